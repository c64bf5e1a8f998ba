"""Threads on real PostgreSQL: a voucher, an item and a coin each go once, whoever comes at the same time."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import cycle, product
from threading import Event
from time import monotonic, sleep
from typing import TypeVar
from uuid import UUID

from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from ledger.statements import Balance, balances
from merchants.redemption import Redeemed, confirm, prepare, redeem
from merchants.redemption_reversal import reverse
from rewards.exchange import exchange
from rewards.vouchers import Key, cancel, deactivate, expire_due, owned
from tests.concurrency.test_ledger_races import together
from tests.conftest import NOW, Database, make_call
from tests.ledger.world import Citizen
from tests.merchants.world import Market, bought, code_of, customer, market, sound
from tests.rewards.world import acting, as_citizen, shelf

Result = TypeVar("Result")
LATE = NOW + timedelta(days=3)
"""When vouchers of one day have ended."""


def _scan(place: Market, till: UUID, code: str, call: Call) -> Redeemed:
    return redeem(place.at_till(call, till), code)


def _prepare(place: Market, till: UUID, code: str, call: Call) -> UUID:
    return prepare(place.at_till(call, till), code).session


def _cancel(who: Citizen, key: Key, call: Call) -> str:
    cancel(as_citizen(call, who), key.voucher_id)
    return "cancelled"


def _undo(place: Market, redemption_id: UUID, call: Call) -> str:
    reverse(place.at_till(call), redemption_id, reason="wrong item")
    return "reversed"


def _buy(who: Citizen, reward_id: UUID, call: Call) -> Key:
    return exchange(as_citizen(call, who), reward_id)


def _state(database: Database, who: Citizen, key: Key) -> str:
    return database.run(lambda call: owned(as_citizen(call, who), key.voucher_id)).state.value


def test_sixty_four_scans_of_one_voucher_are_one_redemption_and_sixty_three_clear_refusals(
    database: Database,
) -> None:
    place, me = database.run(market), database.run(customer)
    key = database.run(lambda call: bought(call, place, me))
    code = database.run(lambda call: code_of(call, me, key))
    tills = (place.till, place.second_till, place.far_till)
    scans = [partial(_scan, place, tills[number % 3], code) for number in range(64)]
    results = together(database, scans)
    assert sum(isinstance(result, Redeemed) for result in results) == 1
    assert results.count("voucher_redeemed") == 63
    assert database.rows("SELECT count(*) AS n FROM redemption")[0].n == 1
    database.run(sound)


def test_the_last_item_goes_once(database: Database) -> None:
    database.run(market)
    reward = database.run(lambda call: shelf(call, stock=1)).reward_id
    people = [database.run(customer) for _ in range(32)]
    results = together(database, [partial(_buy, who, reward) for who in people])
    assert sum(isinstance(result, Key) for result in results) == 1
    assert results.count("out_of_stock") == 31
    assert sum(sum(b.held for b in database.run(partial(_balances, who))) for who in people) == 3000
    database.run(sound)


def test_of_a_stock_spread_over_slots_exactly_as_many_go_as_there_are(database: Database) -> None:
    database.run(market)
    reward = database.run(lambda call: shelf(call, stock=20)).reward_id
    people = [database.run(customer) for _ in range(40)]
    results = together(database, [partial(_buy, who, reward) for who in people])
    assert sum(isinstance(result, Key) for result in results) == 20
    assert results.count("out_of_stock") == 20
    database.run(sound)


def test_of_n_plus_ten_vouchers_on_money_for_n_exactly_n_are_issued(database: Database) -> None:
    place = database.run(market)
    me = database.run(lambda call: customer(call, 3000 * 20))
    results = together(database, [partial(_buy, me, place.reward_id)] * 30)
    assert sum(isinstance(result, Key) for result in results) == 20
    assert results.count("balance_insufficient") == 10
    database.run(sound)


def test_one_person_at_many_windows_gets_no_more_than_the_limit(database: Database) -> None:
    database.run(market)
    reward = database.run(lambda call: shelf(call, limit=3)).reward_id
    me = database.run(lambda call: customer(call, 100_000))
    results = together(database, [partial(_buy, me, reward)] * 16)
    assert sum(isinstance(result, Key) for result in results) == 3
    assert results.count("reward_limit_reached") == 13
    database.run(sound)


def test_a_scan_and_a_cancellation_at_once_have_one_outcome(database: Database) -> None:
    place = database.run(market)
    me = database.run(lambda call: customer(call, 100_000))
    for _ in range(15):
        key = database.run(lambda call: bought(call, place, me))
        code = database.run(partial(_code, me, key))
        scanned, cancelled = together(
            database, [partial(_scan, place, place.till, code), partial(_cancel, me, key)]
        )
        outcome = (scanned if isinstance(scanned, str) else "redeemed", cancelled)
        assert outcome in {("redeemed", "voucher_redeemed"), ("voucher_ended", "cancelled")}
        assert _state(database, me, key) == ("redeemed" if outcome[0] == "redeemed" else "cancelled")
    database.run(sound)


def test_a_cancellation_an_exchange_and_a_deactivation_of_one_citizen_do_not_deadlock(
    database: Database,
) -> None:
    place = database.run(market)
    me = database.run(lambda call: customer(call, 100_000))
    for _ in range(8):
        keys = [database.run(lambda call: bought(call, place, me)) for _ in range(4)]
        works: list[Callable[[Call], object]] = [partial(_cancel, me, key) for key in keys[:2]]
        works += [partial(_deactivate, key) for key in keys[2:]]
        works += [partial(_buy, me, place.reward_id)] * 4
        assert not [result for result in together(database, works) if result == "busy"]
    database.run(sound)


def test_a_reversal_races_itself_and_a_scan_and_happens_once(database: Database) -> None:
    place = database.run(market)
    me = database.run(lambda call: customer(call, 100_000))
    for _ in range(8):
        key = database.run(lambda call: bought(call, place, me))
        code = database.run(partial(_code, me, key))
        done = database.run(partial(_scan, place, place.till, code))
        works: list[Callable[[Call], object]] = [partial(_undo, place, done.id)] * 6
        works += [partial(_scan, place, place.far_till, code)] * 6
        results = Counter(together(database, works))
        assert results["reversed"] == 1
        assert results["already_reversed"] == 5
        assert results["voucher_redeemed"] + results["code_seen"] == 6
        assert _state(database, me, key) == "issued"
    database.run(sound)


def test_of_two_tills_that_prepare_one_voucher_one_holds_it_and_confirms_it_once(database: Database) -> None:
    place, me = database.run(market), database.run(customer)
    key = database.run(lambda call: bought(call, place, me))
    code = database.run(lambda call: code_of(call, me, key))
    tills = (place.till, place.far_till)
    sessions = together(database, [partial(_prepare, place, till, code) for till in tills])
    assert sessions.count("voucher_locked") == 1
    winner = next(number for number, session in enumerate(sessions) if session != "voucher_locked")
    session = sessions[winner]
    results = together(
        database, [partial(_confirm, place, till, session) for till in tills for _ in range(8)]
    )
    assert sum(isinstance(result, Redeemed) for result in results) == 1
    assert results.count("session_over") == 15
    database.run(sound)


def test_a_photographed_code_is_refused_after_a_reversal_at_every_till_at_once(database: Database) -> None:
    place, me = database.run(market), database.run(customer)
    key = database.run(lambda call: bought(call, place, me))
    photograph = database.run(lambda call: code_of(call, me, key))
    done = database.run(partial(_scan, place, place.till, photograph))
    database.run(partial(_undo, place, done.id))
    fresh = database.run(lambda call: code_of(call, me, key))
    results = together(
        database,
        [partial(_scan, place, place.till, photograph)] * 8 + [partial(_scan, place, place.far_till, fresh)],
    )
    assert results[:8] == ["code_seen"] * 8
    assert isinstance(results[8], Redeemed)
    database.run(sound)


def test_the_expiry_job_run_by_many_at_once_ends_each_voucher_once(database: Database) -> None:
    place = database.run(lambda call: market(call, valid_days=1))
    people = [database.run(customer) for _ in range(5)]
    keys = [database.run(partial(_bought, place, who)) for who in people for _ in range(3)]
    ended: list[object] = []
    while not ended or any(ended[-4:]):
        ended += together(database, [lambda call: expire_due(replace(call, now=LATE))] * 4)
    assert sum(count for count in ended if isinstance(count, int)) == len(keys)
    assert database.rows("SELECT count(*) AS n FROM voucher WHERE state = 'expired'")[0].n == len(keys)
    database.run(sound)


def test_an_expiry_that_waits_for_a_citizen_keeps_nobody_from_the_shelf(database: Database) -> None:
    place = database.run(lambda call: market(call, valid_days=1))
    people = [database.run(customer) for _ in range(3)]
    for who in people:
        database.run(partial(_bought, place, who))
    last = max(who.id for who in people)
    with database.sessions() as busy, ThreadPoolExecutor(1) as worker:
        busy.execute(text("SELECT 1 FROM ledger_balance WHERE holder_id = :last FOR UPDATE"), {"last": last})
        expiring = worker.submit(database.run, expire_due, now=LATE)
        _wait_until_somebody_waits(database)
        assert (
            database.rows("SELECT count(*) AS n FROM (SELECT FROM reward_stock FOR UPDATE NOWAIT) s")[0].n
            == 16
        )
        busy.rollback()
        assert expiring.result() == 3
    database.run(sound, now=LATE)


def test_an_expiry_ends_one_voucher_of_a_citizen_at_a_time(database: Database) -> None:
    place, me = database.run(lambda call: market(call, valid_days=1)), database.run(customer)
    for _ in range(2):
        database.run(partial(_bought, place, me))
    assert [database.run(expire_due, now=LATE) for _ in range(3)] == [1, 1, 0]


def test_buying_and_cancelling_while_vouchers_expire_never_deadlocks_or_waits_long(
    database: Database,
) -> None:
    place = database.run(lambda call: market(call, stock=10_000, valid_days=1))
    rewards = (place.reward_id, database.run(lambda call: shelf(call, valid_days=1)).reward_id)
    people = [database.run(lambda call: customer(call, 300_000)) for _ in range(24)]
    for who, reward in product(people, rewards * 2):
        database.run(partial(_buy, who, reward))
    done = Event()

    def once(work: Callable[[Call], Result]) -> Result:
        """One transaction without a second try: a deadlock or a lock waited for too long fails the test."""
        with database.sessions() as session:
            result = work(make_call(session, now=LATE))
            session.commit()
        return result

    def buy_and_cancel(first: int) -> int:
        bought_while = 0
        for who in cycle(people[first:] + people[:first]):
            for reward in rewards:
                key = once(partial(_buy, who, reward))
                once(partial(_cancel, who, key))
                bought_while += 1
            if done.is_set():
                return bought_while
        return bought_while

    with ThreadPoolExecutor(3) as buyers:
        buying = [buyers.submit(buy_and_cancel, first) for first in (0, 8, 16)]
        ended: list[int] = []
        while not ended or ended[-1]:
            ended.append(once(expire_due))
        done.set()
        assert min(each.result() for each in buying) > 0
    assert sum(ended) == len(people) * 4
    database.run(sound, now=LATE)


def _wait_until_somebody_waits(database: Database) -> None:
    deadline = monotonic() + 10
    waiting = (
        "SELECT count(*) AS n FROM pg_locks w JOIN pg_locks r USING (pid) JOIN pg_database d"
        " ON d.oid = r.database WHERE NOT w.granted AND d.datname = current_database()"
    )
    while not database.rows(waiting)[0].n:
        assert monotonic() < deadline
        sleep(0.02)


def _balances(who: Citizen, call: Call) -> list[Balance]:
    return balances(call, who.id)


def _bought(place: Market, who: Citizen, call: Call) -> Key:
    return bought(call, place, who)


def _code(who: Citizen, key: Key, call: Call) -> str:
    return code_of(call, who, key)


def _confirm(place: Market, till: UUID, session: UUID, call: Call) -> Redeemed:
    return confirm(place.at_till(call, till), session)


def _deactivate(key: Key, call: Call) -> str:
    try:
        deactivate(acting(call, ActorKind.OPERATOR), key, reason="test")
    except Refusal as refusal:
        return refusal.code
    return "deactivated"
