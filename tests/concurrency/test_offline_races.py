"""Threads: what tills hand in meets other tills, owners, jobs and itself; a use is one, a case never lost."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.factory import Product
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import parse_public_id
from merchants.offline import Taken, hand_in
from merchants.offline_records import Record
from merchants.redemption import redeem
from merchants.simulated_terminal import QUEUED, SimulatedTerminal
from merchants.terminals import TERMINAL
from rewards.live_codes import live_codes
from rewards.vouchers import cancel
from tests.concurrency.test_ledger_races import together
from tests.conftest import Database
from tests.merchants.offline_world import COST_FEN, Town, balance_of, found_town
from tests.merchants.world import sound
from tests.rewards.world import acting, as_citizen

Work = Callable[[Call], Any]


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return found_town(product, database, clock)


def _handing_in(town: Town, till: SimulatedTerminal) -> Work:
    records = [
        Record(
            counter=each["counter"],
            scanned_at_s=each["scanned_at_s"],
            code=each["code"],
            previous=bytes.fromhex(each["previous"]),
            signature=bytes.fromhex(each["signature"]),
        )
        for each in till.queue
    ]
    return partial(_hand_in, town, parse_public_id(TERMINAL, till.state["terminal_id"]), records)


def _hand_in(town: Town, terminal: Any, records: list[Record], call: Call) -> Taken:
    return hand_in(acting(call, ActorKind.TERMINAL, terminal, town.merchant_id), records)


def _outcomes(results: list[Any]) -> list[str]:
    return [each.outcome for result in results if isinstance(result, Taken) for each in result.outcomes]


_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


def test_one_batch_sent_by_eight_at_once_is_taken_once_and_answered_eight_times(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    for _ in range(3):
        assert till.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    results = together(town.database, [_handing_in(town, till)] * 8)
    assert _outcomes(results) == ["redeemed"] * 24
    assert len({result.chain_hash for result in results}) == 1
    assert len(town.rows("redemption")) == 3
    town.run(sound)


def test_one_code_in_three_records_of_a_till_sent_by_eight_at_once_is_paid_once(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    code, works = town.codes(me, town.buy(me))[0], list[Work]()
    for _ in range(3):  # each longer than the one before: what one thread took the next continues
        till._write(code, town.seconds(), seen_until_s=town.seconds() + 60, code_id=bytes(16))
        works.append(_handing_in(town, till))
    results = together(town.database, [*works, *works, *works[1:]])
    # Who waited longer than a request may is told so; the records it has are handed in by the others too.
    assert {result for result in results if isinstance(result, str)} <= {"busy"}
    town.run(works[-1])
    records = town.rows("offline_record")
    assert [row.refusal or row.outcome for row in records] == ["redeemed", "code_seen", "code_seen"]
    assert town.rows("offline_conflict") == []
    (owed,) = town.database.rows("SELECT sum(amount) AS fen FROM ledger_transfer WHERE code = 'PAYABLE'")
    assert owed.fen == COST_FEN
    town.run(sound)


def test_twelve_tills_that_honoured_the_same_vouchers_in_any_order_use_each_once(town: Town) -> None:
    people = [town.citizen() for _ in range(4)]
    codes = [town.codes(who, town.buy(who))[0] for who in (*people, *people)]
    tills = [town.offline_till() for _ in range(12)]
    for number, till in enumerate(tills):
        turned = codes[number % 8 :] + codes[: number % 8]
        assert {till.scan(code) for code in turned} == {QUEUED}
    works = [_handing_in(town, till) for till in tills]
    results = together(town.database, works)
    # Who waited longer than a request may is told so, and sends the same batch again.
    assert {result for result in results if isinstance(result, str)} <= {"busy"}
    again = [town.run(work) for work, result in zip(works, results, strict=True) if result == "busy"]
    outcomes = _outcomes([*results, *again])
    assert town.database.rows(_DEADLOCKS)[0].deadlocks == 0
    assert (outcomes.count("redeemed"), outcomes.count("conflict")) == (8, 88)
    assert (len(town.rows("redemption")), len(town.rows("offline_conflict"))) == (8, 88)
    town.run(sound)


def test_a_scan_handed_in_while_the_owner_cancels_and_another_till_scans_online_has_one_outcome(
    town: Town,
) -> None:
    for _ in range(6):
        me, offline, online = town.citizen(3000), town.offline_till(), town.till()
        key = town.buy(me)
        code = town.codes(me, key)[0]
        assert offline.scan(code) == QUEUED
        at_till = parse_public_id(TERMINAL, online.state["terminal_id"])

        def scan(call: Call, code: str = code, at_till: Any = at_till) -> Any:
            return redeem(acting(call, ActorKind.TERMINAL, at_till, town.merchant_id), code)

        def give_back(call: Call, me: Any = me, key: Any = key) -> Any:
            return cancel(as_citizen(call, me), key.voucher_id)

        handing_in = _handing_in(town, offline)
        if together(town.database, [handing_in, scan, give_back])[0] == "busy":
            town.run(handing_in)
        # Closing or not, the record that arrived in time uses it, or the till that was first did.
        assert town.state(me, key) == "redeemed"
        assert balance_of(town, me) == (0, 0)
    assert len(town.rows("redemption")) == 6
    town.run(sound)


def test_codes_are_never_handed_out_of_a_voucher_that_was_given_back_at_once(town: Town) -> None:
    for _ in range(12):
        me = town.citizen(3000)
        key = town.buy(me)

        def shown(call: Call, me: Any = me, key: Any = key) -> Any:
            return live_codes(as_citizen(call, me), key.voucher_id)

        def give_back(call: Call, me: Any = me, key: Any = key) -> Any:
            return cancel(as_citizen(call, me), key.voucher_id)

        codes, back = together(town.database, [shown, give_back])
        # Either the phone has codes and the coins wait for what a till may hand in, or there are none.
        handed_out = not isinstance(codes, str)
        assert (town.state(me, key), back.amount) == (("closing", 0) if handed_out else ("cancelled", 3000))
    town.run(sound)
