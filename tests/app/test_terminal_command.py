"""The till at the command line does what its orders say."""

from pathlib import Path

import pytest

from app.commands import add_commands
from app.factory import Product
from app.terminal_command import ORDERS, carried_out
from kernel.clock import FixedClock
from tests.conftest import Database
from tests.merchants.offline_world import Town, found_town


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return found_town(product, database, clock)


def test_a_shift_without_a_network_in_orders(town: Town) -> None:
    me, till = town.citizen(), town.till()
    first, second = (town.codes(me, town.buy(me))[0] for _ in range(2))
    said = [
        carried_out(till, order)
        for order in (
            "offline",
            f"scan {first}",
            "sync",
            "drift 31",
            f"scan {second}",
            "power-off",
            "power-on",
            "status",
            f"scan {second}",
            "online",
            "sync",
            f"scan {second}\n",
            "dance",
        )
    ]
    assert said == [
        "power on, offline, 0 queued, clock set by 0 s",
        "queued",
        "unreachable: this till is offline",
        "power on, offline, 1 queued, clock set by 31 s",
        "clock_drifted",
        "power off, offline, 0 queued, clock set by 31 s",
        "power on, offline, 1 queued, clock set by 31 s",
        "power on, offline, 1 queued, clock set by 31 s",
        "restarted_offline",
        "power on, online, 1 queued, clock set by 31 s",
        "1: redeemed",
        "redeemed",
        ORDERS.strip(),
    ]


def test_the_command_keeps_its_memory_and_says_when_nobody_answers(product: Product, tmp_path: Path) -> None:
    add_commands(product)
    where = ["--url", "http://127.0.0.1:1", "--memory", str(tmp_path / "till.json")]
    orders = ["status", "pair ABCDEFGHJKMN", "quit", "status"]
    told = product.flask.test_cli_runner().invoke(args=["merchants", "terminal-simulator", *where, *orders])
    assert told.exit_code == 0
    first, second = told.output.strip().splitlines()
    assert first == "power on, online, 0 queued, clock set by 0 s"
    assert second.startswith("unreachable: ")
