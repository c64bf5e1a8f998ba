"""`flask merchants terminal-simulator`: a till in software, for whoever tries a shop without a network.

It talks to the product over HTTP as any till does, keeps its memory in a file, and takes one order a line.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import httpx

from app.factory import Product
from kernel.clock import SystemClock
from merchants.simulated_terminal import Clocks, FileMemory, SimulatedTerminal, Unreachable

ORDERS = """
pair CODE     make a key and turn a pairing code into this till's secret
online        find the network again       offline        lose it
scan CODE     redeem online, queue offline  sync           hand in what waits, fetch keys and deny list
batch CODE …  redeem up to ten together    clerk NUMBER PIN, sign-out
drift SECONDS set the wall clock           power-off, power-on
status        say how it stands            quit
"""


def add_terminal_commands(product: Product) -> None:
    """Hang the commands of tills on the application."""

    @product.flask.cli.group("merchants")
    def merchants() -> None:
        """Tills."""

    @merchants.command("terminal-simulator")
    @click.option("--url", help="Where the product is; its own address by default.")
    @click.option(
        "--memory",
        type=click.Path(dir_okay=False, path_type=Path),
        default=Path("terminal.json"),
        show_default=True,
        help="What the till keeps over a power cut; holds its key.",
    )
    @click.argument("orders", nargs=-1)
    def terminal_simulator(url: str | None, memory: Path, orders: tuple[str, ...]) -> None:
        """Be a till: ORDERS, each one argument such as "scan CV1…", or one a line from standard input."""
        given = iter(orders) if orders else _typed()
        with httpx.Client(base_url=url or product.settings.public_url, timeout=30) as http:
            till = SimulatedTerminal(Http(http), FileMemory(memory), _clocks())
            for order in given:
                if order.strip() == "quit":
                    return
                click.echo(carried_out(till, order))


class Http:
    """Asks the product over HTTP; what does not answer is unreachable."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def __call__(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        """Ask once."""
        headers = {"Idempotency-Key": key, **({"Authorization": f"Bearer {token}"} if token else {})}
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(str(error)) from error
        return answer.status_code, answer.json() if answer.content else {}


def carried_out(till: SimulatedTerminal, order: str) -> str:
    """What the till says to one order."""
    word, _, rest = order.strip().partition(" ")
    try:
        match word:
            case "pair" | "scan" | "batch" | "clerk":
                return _answered(till, word, rest)
            case "sign-out":
                till.sign_out()
            case "online" | "offline":
                till.connected = word == "online"
            case "power-off":
                till.lose_power()
            case "power-on":
                till.start()
            case "drift" if rest.lstrip("-").isdecimal():
                till.clocks.set_by_s += int(rest)
            case "sync":
                return _said(till.sync())
            case "status":
                pass
            case _:
                return ORDERS.strip()
    except Unreachable as refusal:
        return f"unreachable: {refusal}"
    return _standing(till)


def _answered(till: SimulatedTerminal, word: str, rest: str) -> str:
    number, _, pin = rest.partition(" ")
    answers: dict[str, Callable[[], str]] = {
        "pair": lambda: till.pair(rest),
        "scan": lambda: till.scan(rest),
        "batch": lambda: till.scan_together(rest.split()),
        "clerk": lambda: till.sign_in(number, pin.strip()),
    }
    return answers[word]()


def _clocks() -> Clocks:
    clock = SystemClock()
    return Clocks(wall=lambda: int(clock.now().timestamp()), monotonic=lambda: int(time.monotonic()))


def _said(outcomes: list[dict[str, Any]]) -> str:
    told = [f"{each['counter']}: {each['outcome']} {each['refusal'] or ''}".rstrip() for each in outcomes]
    return "\n".join(told) or "nothing waited; keys and deny list are fresh"


def _standing(till: SimulatedTerminal) -> str:
    power, network = "on" if till.powered else "off", "online" if till.connected else "offline"
    return f"power {power}, {network}, {len(till.queue)} queued, clock set by {till.clocks.set_by_s} s"


def _typed() -> Iterator[str]:
    if sys.stdin.isatty():
        click.echo(ORDERS.strip())
    yield from sys.stdin
