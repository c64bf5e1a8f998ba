"""Act 6, the end of it: a shop loses its network, goes on selling, and hands in what it accepted."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.story.cast import Story
from app.story.visitor import Visitor
from kernel.clock import SystemClock
from merchants.simulated_terminal import QUEUED, RESTARTED, Clocks, FileMemory, SimulatedTerminal

BUN = "breakfast-bun"
BAKERY = "bakery"


def works_without_a_network(story: Story, citizen: Visitor) -> None:
    """Two tills of one store without a network: one voucher each, one of them shown to both."""
    tell = story.tell
    tell.say(
        "The first store of the bakery loses its network; two of its tills go on 一店断网,两台终端继续营业"
    )
    with TemporaryDirectory() as folder:
        tills = [_till(story, Path(folder) / f"till-{number}.json", number) for number in (1, 2)]
        bought = [
            citizen.post("/v1/me/vouchers", {"reward_id": story.cast.demo["rewards"][BUN]}) for _ in (1, 2)
        ]
        codes = [_code(citizen, voucher) for voucher in bought]
        for till in tills:
            till.connected = False
        first, second = tills
        said = [first.scan(codes[0]), first.scan(codes[0]), second.scan(codes[0]), second.scan(codes[1])]
        tell.holds(
            said == [QUEUED, "code_seen", QUEUED, QUEUED],
            f"Each till checks codes by itself and says queued, never verified: {', '.join(said)}.",
        )
        second.lose_power()
        second.start()
        tell.holds(
            second.scan(codes[1]) == RESTARTED,
            "After a power cut a till accepts nothing until it has seen the server; its records are kept.",
        )
        for till in tills:
            till.connected = True
        outcomes = [[each["outcome"] for each in till.sync()] for till in tills]
    tell.holds(
        outcomes == [["redeemed"], ["conflict", "redeemed"]],
        "Back on the network both hand in: two vouchers are used, the one shown twice is a case.",
    )
    _is_told(story, tills, [each["id"] for each in bought])


def _is_told(story: Story, tills: list[SimulatedTerminal], bought: list[str]) -> None:
    clerk = story.cast.staff(story.cast.demo["merchants"][BAKERY]["clerk"])
    cases = clerk.get("/v1/merchant/offline-conflicts")["items"]
    mine = [each for each in cases if each["voucher_id"] in bought]
    ids = [till.state["terminal_id"] for till in tills]
    named = [[each["other_terminal_id"], each["terminal_id"]] for each in mine] == [ids]
    story.tell.holds(named, "The merchant reads the case with both tills named.")
    for each in mine:
        story.tell.say(f"borne by the {each['liable']}, as the published rule says: {each['cost_fen']} fen")


def _till(story: Story, memory: Path, number: int) -> SimulatedTerminal:
    editor = story.cast.staff(story.cast.demo["operators"]["editor"])
    store = next(iter(story.cast.demo["merchants"][BAKERY]["tills"].values()))["store_id"]
    label = f"故事终端 {number} / story till {number}"
    pairing: dict[str, Any] = editor.post(f"/v1/stores/{store}/terminals", {"label": label})
    clock = SystemClock()
    clocks = Clocks(wall=lambda: int(clock.now().timestamp()), monotonic=lambda: int(time.monotonic()))
    till = SimulatedTerminal(story.cast.anybody().ask, FileMemory(memory), clocks)
    till.pair(pairing["code"])
    till.refresh()
    return till


def _code(citizen: Visitor, voucher: dict[str, Any]) -> str:
    return str(citizen.get(f"/v1/me/vouchers/{voucher['id']}/codes")["items"][0]["text"])
