"""The till at the command line does what its orders say."""

from pathlib import Path

import pytest

from app.commands import add_commands
from app.factory import Product
from app.terminal_command import ORDERS, carried_out
from kernel.clock import FixedClock
from merchants.clerks.roster import enter
from tests.conftest import Database
from tests.merchants.clerk_world import PIN
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


def test_a_clerk_signs_in_and_scans_several_codes_in_orders(town: Town) -> None:
    me, till = town.citizen(), town.till()
    town.run(lambda call: enter(call, town.merchant_id, number="07", role="cashier", pin=PIN))
    codes = [town.codes(me, town.buy(me))[0] for _ in range(3)]
    said = [
        carried_out(till, order)
        for order in (
            "clerk 07 905163",
            f"clerk 07 {PIN}",
            f"batch {codes[0]} {codes[1]}",
            f"batch {codes[2]} {codes[1]}",
            "sign-out",
            f"scan {codes[2]}",
            "offline",
            f"batch {codes[2]}",
            f"clerk 07 {PIN}",
        )
    ]
    assert said == [
        "pin_wrong",
        "cashier",
        "redeemed",
        "voucher_redeemed (code 2)",
        "power on, online, 0 queued, clock set by 0 s",
        "redeemed",
        "power on, offline, 0 queued, clock set by 0 s",
        "unreachable",
        "unreachable: this till is offline",
    ]
    assert [row.clerk_id is None for row in town.rows("redemption")] == [False, False, True]
