"""Acts 5 to 7: coins become a voucher, three tills scan it, the merchant's day adds up."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from app.story.cast import Story
from app.story.visitor import Visitor

LOAF = "loaf"
BAKERY = "bakery"


def exchanges(story: Story, citizen: Visitor) -> dict[str, Any]:
    """Act 5: coins become a voucher with a code that changes every 30 seconds."""
    tell = story.tell
    tell.step(5, "Coins become a voucher 碳币兑换权益")
    reward, key = story.cast.demo["rewards"][LOAF], str(uuid4())
    voucher: dict[str, Any] = citizen.post("/v1/me/vouchers", {"reward_id": reward}, key=key)
    tell.say(
        f"{voucher['title_zh']} / {voucher['title_en']}: {voucher['price_coin_milli'] // 1000} coins held"
    )
    again = citizen.send("/v1/me/vouchers", {"reward_id": reward}, key=key)
    replayed = again.headers.get("Idempotent-Replayed") == "true" and again.json() == voucher
    tell.holds(replayed, "The same request sent again is answered with the same voucher, not a second one.")
    codes = citizen.get(f"/v1/me/vouchers/{voucher['id']}/codes")["items"]
    tell.holds(
        len({each["text"] for each in codes}) == len(codes) == 20,
        "Twenty codes for ten minutes, all different.",
    )
    folder = story.cast.data / "story"
    folder.mkdir(exist_ok=True)
    for form in ("svg", "png"):
        picture = folder / f"voucher.{form}"
        picture.write_bytes(citizen.read(f"/v1/me/vouchers/{voucher['id']}/qr.{form}"))
        tell.say(f"QR code: {picture} ({picture.stat().st_size} bytes)")
    return voucher


def is_scanned(story: Story, citizen: Visitor, voucher: dict[str, Any]) -> list[dict[str, Any]]:
    """Act 6: three tills scan at one moment, one redeems; a mistake is undone and made good."""
    tell = story.tell
    tell.step(6, "Three tills scan at the same moment 三台终端同时扫码")
    tills = story.cast.tills(BAKERY)
    code = _code(citizen, voucher)
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda number: _scan(tills[number], code), range(3)))
    redeemed = [each.json() for each in answers if each.status_code == 201]
    refused = [each.json() for each in answers if each.status_code != 201]
    tell.holds(len(redeemed) == 1, "One of them redeems the voucher.")
    for each in refused:
        tell.say(f"refused: {each['code']}: {each['title']}")
    tell.holds(
        len(refused) == 2 and all(400 <= each["status"] < 500 for each in refused),
        "The two others are told why not.",
    )
    if not redeemed:
        return []
    late = _scan(tills[0], code)
    tell.holds(
        late.json().get("code") == "voucher_redeemed", "A photograph of the code, a moment later, is refused."
    )
    winner = tills[[each.status_code for each in answers].index(201)]
    undone = winner.post(
        f"/v1/terminal/redemptions/{redeemed[0]['id']}/reversal", {"reason": "扫错了 / scanned by mistake"}
    )
    tell.holds(undone["lives_again"], "The cashier undoes it; the voucher lives again under a new code.")
    stale = _scan(winner, code)
    tell.holds(400 <= stale.status_code < 500, f"The old code stays worthless: {stale.json()['code']}.")
    second = _code(citizen, voucher)
    prepared = winner.post("/v1/terminal/redemptions/prepare", {"code": second})
    coins, until = prepared["coin_milli"] // 1000, prepared["confirm_before"]
    tell.say(f"prepared: {prepared['title_zh']}, {coins} coins, to confirm before {until}")
    confirmed = winner.post("/v1/terminal/redemptions/confirm", {"session": prepared["session"]})
    tell.holds(confirmed["cycle"] == 1, "Prepared and confirmed: redeemed for good, in its second cycle.")
    return [redeemed[0], confirmed]


def adds_up(story: Story, redeemed: list[dict[str, Any]]) -> None:
    """Act 7: the merchant's statement of the day."""
    tell = story.tell
    tell.step(7, "At night the merchant's statement adds up 夜间对账")
    clerk = story.cast.staff(story.cast.demo["merchants"][BAKERY]["clerk"])
    statement = clerk.get(f"/v1/merchant/statements/{story.today}")
    lines = statement["lines"]
    tell.table(
        "when",
        "what",
        "coins",
        "yuan",
        rows=(
            [
                each["happened_at"][:19],
                each["what"],
                each["coin_milli"] // 1000,
                f"{each['payable_fen'] / 100:.2f}",
            ]
            for each in lines[-6:]
        ),
    )
    coins, fen = sum(each["coin_milli"] for each in lines), sum(each["payable_fen"] for each in lines)
    tell.holds(
        statement["coin_milli"] == coins and statement["payable_fen"] == fen,
        f"{len(lines)} lines sum to {coins} milli-coins and {fen} fen, to the last one.",
    )
    funders = sum(each["payable_fen"] for each in statement["by_funder"])
    tell.holds(funders == fen, "What the funders owe together is what the merchant is owed.")
    ours = {each["id"] for each in redeemed} <= {each["redemption_id"] for each in lines}
    tell.holds(ours, "Both scans of this story and the undoing stand in it.")
    tell.say(f"digest over all lines: {statement['digest']}")
    tell.not_yet("sealing of the ledger: not built yet 封账尚未完成")


def _scan(till: Visitor, code: str) -> Any:
    return till.send("/v1/terminal/redemptions", {"code": code})


def _code(citizen: Visitor, voucher: dict[str, Any]) -> str:
    return str(citizen.get(f"/v1/me/vouchers/{voucher['id']}/codes")["items"][0]["text"])
