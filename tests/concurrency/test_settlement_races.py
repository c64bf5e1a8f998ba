"""Threads and steered transactions: whoever closes, reverses, syncs or pays, each thing counts once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import Any
from uuid import UUID

import pytest

from app.factory import Product
from app.schedule import SCHEDULE, Stop
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.errors import Refusal
from kernel.paging import PageRequest
from ledger.reconciliation import CHECKS as LEDGER
from ledger.reconciliation import reconcile
from merchants.reconciliation import CHECKS
from merchants.redemption import redeem
from merchants.settlement.adjustments import Correction, decide, propose
from merchants.settlement.agreement import confirm, confirm_silent, dispute
from merchants.settlement.closing import close_next
from merchants.settlement.lines import all_lines
from merchants.settlement.payment import pay
from merchants.settlement.records import Told, settlements
from merchants.settlement.rederiving import rederive
from merchants.settlement.states import Standing, State, What
from merchants.simulated_terminal import QUEUED
from tests.concurrency.test_ledger_races import together
from tests.conftest import NOW, Database, at, make_call
from tests.merchants.offline_world import Town, found_town
from tests.merchants.settlement_world import (
    CLOSING,
    clerk,
    closed,
    operator,
    publish_terms,
    undone,
    used,
)
from tests.merchants.world import Market, bought, code_of, customer, market

A_DAY = timedelta(days=1)


def _sound(database: Database, *, now: Any = CLOSING) -> None:
    outcomes = database.run(lambda call: reconcile(call, (*LEDGER, *CHECKS)), now=now)
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


def _place(database: Database, **terms: Any) -> Market:
    def work(call: Call) -> Market:
        made = market(call)
        publish_terms(call, **terms)
        return made

    return database.run(work)


def _uses(database: Database, place: Market, number: int) -> list[UUID]:
    me = database.run(lambda call: customer(call, 3000 * number))
    return [database.run(lambda call: used(call, place, me)).id for _ in range(number)]


def _close_all(place: Market, most: int, call: Call) -> int:
    """One part, at the time of closing."""
    return close_next(at(call, CLOSING), place.merchant_id, most=most)


def _lines(database: Database) -> Counter[tuple[UUID, str]]:
    return Counter((row.subject_id, row.what) for row in database.rows("SELECT * FROM settlement_line"))


def _told(database: Database) -> list[Told]:
    return database.run(lambda call: list(settlements(call, PageRequest()).items))


def test_two_closers_at_once_claim_every_use_once(database: Database) -> None:
    place = _place(database)
    ids = _uses(database, place, 12)
    results: list[Any] = [1]
    while any(result == 1 for result in results):
        results = together(database, [partial(_close_all, place, 2)] * 6)
        assert {result for result in results if isinstance(result, str)} <= {"busy"}
    assert _lines(database) == Counter((each, "redemption") for each in ids)
    (told,) = _told(database)
    assert (told.state, told.line_count, told.payable_fen) == (State.CLOSED, 12, 6000)
    assert database.rows("SELECT count(*) AS n FROM ledger_transfer WHERE code = 'SETTLE'")[0].n == 2
    _sound(database)


def test_a_redemption_that_commits_while_its_period_closes_is_settled_by_the_next(database: Database) -> None:
    place = _place(database)
    first = _uses(database, place, 1)[0]
    me = database.run(customer)
    key = database.run(lambda call: bought(call, place, me))
    code = database.run(lambda call: code_of(call, me, key))
    with database.sessions() as till:
        slow = redeem(place.at_till(make_call(till, now=NOW)), code)
        (told,) = database.run(lambda call: closed(call, place))
        assert [line.subject_id for line in _of(database, told)] == [first]
        till.commit()
    later = CLOSING + A_DAY
    assert database.run(lambda call: closed(call, place)) == []
    (next_one,) = database.run(lambda call: closed(call, place, now=later))
    (line,) = _of(database, next_one)
    assert (line.subject_id, line.business_day, next_one.first_day) == (
        slow.id,
        told.last_day,
        told.last_day + A_DAY,
    )
    _sound(database, now=later)


def _of(database: Database, told: Told) -> list[Any]:
    return database.run(lambda call: list(all_lines(call, told.id)))


def test_a_reversal_and_a_closing_at_once_have_one_outcome(database: Database) -> None:
    """The reversal asked a moment before its window was over, the closing a moment after."""
    place = _place(database, close_days=1)
    edge = NOW + A_DAY
    for number in range(6):
        (done,) = _uses(database, place, 1)

        def undo(call: Call, done: UUID = done) -> str:
            undone(call, place, done, now=edge - timedelta(microseconds=1))
            return "reversed"

        def close(call: Call) -> int:
            return close_next(at(call, edge), place.merchant_id)

        results = together(database, [undo, close] if number % 2 else [close, undo])
        outcome = results[0 if number % 2 else 1]
        assert outcome in {"reversed", "redemption_settled", "busy"}
        state = database.rows("SELECT state FROM voucher ORDER BY issued_at DESC, id DESC LIMIT 1")[0].state
        settled = (done, "redemption") in _lines(database)
        undone_rows = database.rows("SELECT 1 FROM redemption_reversal WHERE redemption_id = :id", id=done)
        assert (state, settled, bool(undone_rows)) in {
            ("settled", True, False),
            ("issued", False, True),  # its pair waits for its reversal's day
            ("redeemed", False, False),  # a closing of this day was there already: the next claims it
        }
    _sound(database, now=edge)


@pytest.mark.parametrize("first", ["reversal", "closing"])
def test_a_reversal_and_a_closing_that_wait_for_each_other_never_both_happen(
    database: Database, first: str
) -> None:
    """Steered: the second begins while the first has not committed, and waits for it."""
    place = _place(database, close_days=1)
    (done,) = _uses(database, place, 1)
    edge = NOW + A_DAY

    def undo(call: Call) -> str:
        undone(call, place, done, now=edge - timedelta(microseconds=1))
        return "reversed"

    def close(call: Call) -> int:
        return close_next(at(call, edge), place.merchant_id)

    works = {"reversal": undo, "closing": close}
    second = works["closing" if first == "reversal" else "reversal"]
    with database.sessions() as session, ThreadPoolExecutor(1) as worker:
        works[first](make_call(session, now=edge))
        session.flush()
        begun = Event()

        def asked() -> Any:
            begun.set()
            try:
                return database.run(second, now=edge)
            except Refusal as refusal:
                return refusal.code

        waiting = worker.submit(asked)
        assert begun.wait(10)
        _until_somebody_waits(database, waiting)
        session.commit()
        result = waiting.result(30)
    lines = _lines(database)
    if first == "closing":
        assert result in {"redemption_settled", "busy"}
        assert lines == Counter({(done, "redemption"): 1})
        with pytest.raises(Refusal) as refused:
            database.run(undo, now=edge)
        assert refused.value.code == "redemption_settled"
    else:
        assert result in {1, "busy"}
        assert not lines
    _sound(database, now=edge)


def _until_somebody_waits(database: Database, waiting: Any) -> None:
    """Until the other transaction waits for a lock, or has ended without one."""
    query = (
        "SELECT count(*) AS n FROM pg_locks w JOIN pg_locks r USING (pid) JOIN pg_database d"
        " ON d.oid = r.database WHERE NOT w.granted AND d.datname = current_database()"
    )
    while not waiting.done() and not database.rows(query)[0].n:
        pass


def test_a_payment_sent_by_eight_at_once_is_booked_once(database: Database) -> None:
    place = _place(database)
    _uses(database, place, 2)
    (told,) = database.run(lambda call: closed(call, place))
    database.run(lambda call: confirm(call, told.id), actor=clerk(place), now=CLOSING)

    def pay_by(bank: str, call: Call) -> State:
        return pay(replace(call, actor=operator()), told.id, bank_statement_id=bank).state

    results = together(database, [partial(pay_by, f"BANK-{number % 2}") for number in range(8)])
    counted = Counter(results)
    assert counted[State.PAID] + counted["settlement_paid"] + counted["busy"] == 8
    assert counted[State.PAID] >= 1
    booked = database.rows("SELECT amount FROM ledger_transfer WHERE code = 'PAID'")
    assert [row.amount for row in booked] == [-1000]
    assert len(database.rows("SELECT 1 FROM settlement_payment")) == 1
    _sound(database)


def test_one_bank_statement_for_two_settlements_at_once_pays_one(database: Database) -> None:
    place = _place(database)
    found = []
    for day in (NOW, NOW + A_DAY):
        me = database.run(customer)
        database.run(lambda call, me=me, day=day: used(call, place, me, now=day))  # type: ignore[misc]  # bound now
        found += database.run(lambda call, day=day: closed(call, place, now=day + 2 * A_DAY))  # type: ignore[misc]  # bound now
    for told in found:
        database.run(partial(_confirmed, told), actor=clerk(place), now=CLOSING)

    def pay_one(told: Told, call: Call) -> State:
        return pay(replace(call, actor=operator()), told.id, bank_statement_id="ONE").state

    results = together(database, [partial(pay_one, told) for told in found])
    assert sorted(map(str, results)) == ["bank_statement_used", "paid"]
    _sound(database)


def test_settlements_that_come_to_nothing_are_paid_at_once(database: Database) -> None:
    place = _place(database)
    found = []
    for day in (NOW, NOW + A_DAY):
        me = database.run(customer)
        done = database.run(lambda call, me=me, day=day: used(call, place, me, now=day))  # type: ignore[misc]  # bound now
        database.run(partial(undone, place=place, redemption_id=done.id, now=day))
        found += database.run(lambda call, day=day: closed(call, place, now=day + 2 * A_DAY))  # type: ignore[misc]  # bound now
    for told in found:
        database.run(partial(_confirmed, told), actor=clerk(place), now=CLOSING)

    def pay_one(told: Told, call: Call) -> State:
        return pay(replace(call, actor=operator()), told.id, bank_statement_id="NONE").state

    assert together(database, [partial(pay_one, told) for told in found]) == [State.PAID] * 2
    _sound(database)


def _confirmed(told: Told, call: Call) -> Told:
    return confirm(call, told.id)


def test_a_dispute_a_confirmation_and_silence_at_once_are_one_of_them(database: Database) -> None:
    place = _place(database)
    for number in range(4):
        day = NOW + number * A_DAY
        me = database.run(customer)
        database.run(lambda call, me=me, day=day: used(call, place, me, now=day))  # type: ignore[misc]  # bound now
        (told,) = database.run(lambda call, day=day: closed(call, place, now=day + 2 * A_DAY))  # type: ignore[misc]  # bound now
        assert told.dispute_until is not None
        edge = told.dispute_until

        def disagree(call: Call, told: Told = told, edge: Any = edge) -> str:
            asked = replace(call, actor=clerk(place), now=edge - timedelta(microseconds=1))
            return dispute(asked, told.id, lines=[], reason="all is wrong").state.value

        def agree(call: Call, told: Told = told, edge: Any = edge) -> str:
            return confirm(replace(call, actor=clerk(place), now=edge), told.id).state.value

        def silence(call: Call, edge: Any = edge) -> int:
            return confirm_silent(at(call, edge))

        results = together(database, [disagree, agree, silence, disagree, agree, silence])
        done = [result for result in results if result in {"disputed", "confirmed", 1}]
        assert len(done) == 1
        steps = database.rows(
            "SELECT to_state FROM settlement_step WHERE settlement_id = :id ORDER BY id", id=told.id
        )
        assert [row.to_state for row in steps][:2] == ["open", "closed"]
        assert len(steps) == 3
    _sound(database, now=NOW + 30 * A_DAY)


def test_an_adjustment_decided_by_many_at_once_is_booked_once(database: Database) -> None:
    place = _place(database)
    (done,) = _uses(database, place, 1)
    (told,) = database.run(lambda call: closed(call, place))
    back = Correction(reason="bad bread", redemption_id=done)

    def suggest(call: Call) -> UUID:
        return propose(replace(at(call, CLOSING), actor=operator()), told.id, back).id

    results = together(database, [suggest] * 4)
    (made,) = [result for result in results if isinstance(result, UUID)]
    assert Counter(results)["taken_back_before"] == 3

    def decision(to: Standing, call: Call) -> Standing:
        return decide(replace(at(call, CLOSING), actor=operator()), made, decision=to, reason="seen").state

    results = together(database, [partial(decision, each) for each in list(Standing)[1:] * 4])
    counted = Counter(results)
    assert counted[Standing.APPROVED] + counted[Standing.REJECTED] == 1
    assert counted["adjustment_decided"] == 7
    _sound(database)


def test_a_closing_that_is_cut_off_in_the_middle_is_gone_on_with(database: Database) -> None:
    """As a kill does it: the part that had not committed is gone, the parts before it stand."""
    place = _place(database)
    ids = _uses(database, place, 7)
    assert database.run(partial(_close_all, place, 3)) == 1
    with database.sessions() as dying:
        assert _close_all(place, 3, make_call(dying, now=NOW)) == 1
        dying.connection().connection.driver_connection.pgconn.finish()  # type: ignore[union-attr]  # psycopg's
        dying.invalidate()
    (told,) = _told(database)
    assert (told.state, len(_lines(database))) == (State.OPEN, 3)
    assert [row.state for row in database.rows("SELECT state FROM voucher")].count("settled") == 3
    while database.run(partial(_close_all, place, 3)):
        pass
    (told,) = _told(database)
    assert (told.state, told.line_count) == (State.CLOSED, 7)
    assert _lines(database) == Counter((each, "redemption") for each in ids)
    assert database.run(lambda call: rederive(call, told.id)).equal
    _sound(database)


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    made = found_town(product, database, clock, sync_hours=24)
    database.run(publish_terms)
    return made


def test_what_was_honoured_offline_at_nine_in_the_evening_is_settled_under_the_day_it_arrived(
    town: Town,
) -> None:
    """21:00 offline, the hold is due at midnight, handed in at 09:00: the next closing has it, once."""
    town.later(hours=9)  # it is 21:00 in Shanghai
    me, till = town.citizen(), town.offline_till()
    online, key = town.till(), town.buy(me)
    other = town.buy(me)
    assert till.scan(town.codes(me, key)[0]) == QUEUED
    assert online.scan(town.codes(me, other)[0]).startswith("red")
    evening = town.clock.now()
    town.later(hours=12)
    till.connected = True
    till.sync()
    morning = town.clock.now()
    days = {row.business_day for row in town.rows("redemption")}
    assert days == {evening.date(), morning.date()}
    _close_in(town, evening + 2 * A_DAY)
    (first,) = _told(town.database)
    assert [line.business_day for line in _of(town.database, first)] == [evening.date()]
    _close_in(town, morning + 3 * A_DAY)
    second, _ = _told(town.database)
    assert [(line.what, line.business_day) for line in _of(town.database, second)] == [
        (What.REDEMPTION, morning.date())
    ]
    _sound(town.database, now=morning + 3 * A_DAY)


def _close_in(town: Town, now: Any) -> None:
    def part(call: Call) -> int:
        return close_next(call, town.merchant_id)

    while town.database.run(part, now=now):
        pass


def test_a_conflict_that_funders_bear_and_a_sync_while_closing_are_settled_once(town: Town) -> None:
    me = town.citizen()
    tills = [town.offline_till() for _ in range(3)]
    codes = [town.codes(me, town.buy(me))[0] for _ in range(2)]
    for till in tills:
        for code in codes:
            assert till.scan(code) == QUEUED
    for till in tills:
        till.connected = True
    tills[0].sync()
    later = town.clock.now() + 3 * A_DAY

    def close(call: Call) -> int:
        return close_next(at(call, later), town.merchant_id, most=1)

    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(till.sync) for till in tills[1:]]
        waiting.append(pool.submit(together, town.database, [close] * 2))
        for each in waiting:
            each.result(60)
    for till in tills:
        till.sync()
    for days in range(3, 8):
        _close_in(town, town.clock.now() + days * A_DAY)
    lines = _lines(town.database)
    assert set(lines.values()) == {1}
    assert Counter(what for _, what in lines) == {"redemption": 2, "conflict": 4}
    assert sum(told.payable_fen or 0 for told in _told(town.database)) == 6 * 500
    _sound(town.database, now=town.clock.now() + 8 * A_DAY)


def test_the_schedule_closes_what_is_due_and_confirms_silence(
    product: Product, database: Database, clock: FixedClock
) -> None:
    place = _place(database)
    _uses(database, place, 2)
    line = next(item for item in SCHEDULE if item.name == "settle_merchants")
    assert line.run(product, Stop()) == 0
    clock.at = CLOSING
    assert line.run(product, Stop()) == 1
    assert line.run(product, Stop()) == 0
    (told,) = _told(database)
    assert told.state is State.CLOSED
    clock.at = CLOSING + 7 * A_DAY
    assert line.run(product, Stop()) == 1
    assert _told(database)[0].state is State.CONFIRMED
    _sound(database, now=clock.at)
