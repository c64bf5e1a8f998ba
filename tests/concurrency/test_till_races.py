"""Threads at tills: batches in opposite orders, PINs tried at once, sign-ins that replace each other."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from merchants.clerks.errors import PinWrong, TooManyPins
from merchants.clerks.roster import dismiss, enter, link
from merchants.clerks.shifts import Shift, sign_in
from merchants.redemption import Redeemed, redeem
from merchants.redemption_batches import redeem_together
from rewards.live_codes import new_alias
from rewards.vouchers import Key, cancel
from tests.concurrency.test_ledger_races import together
from tests.conftest import Database
from tests.ledger.world import Citizen
from tests.merchants.clerk_world import PIN, WRONG_PIN, staff_of
from tests.merchants.world import Market, bought, code_of, customer, market, sound
from tests.rewards.world import acting, as_citizen

_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
Work = Callable[[Call], Any]


def _batch(place: Market, till: UUID, codes: list[str], call: Call) -> list[Redeemed]:
    return redeem_together(place.at_till(call, till), codes)


def _one(place: Market, till: UUID, code: str, call: Call) -> Redeemed:
    return redeem(place.at_till(call, till), code)


def _bought(place: Market, who: Citizen, call: Call) -> Key:
    return bought(call, place, who)


def _dismiss(clerk: UUID, call: Call) -> None:
    dismiss(call, clerk, reason="left")


def _cancel(who: Citizen, key: Key, call: Call) -> str:
    cancel(as_citizen(call, who), key.voucher_id)
    return "cancelled"


def _shown(database: Database, place: Market, *, by_number: int = 0) -> list[tuple[Citizen, Key, str]]:
    """Two vouchers of each of four citizens; some shown as numbers."""
    people = [database.run(customer) for _ in range(4)]
    keys = [(who, database.run(partial(_bought, place, who))) for who in (*people, *people)]

    def code(number: int, who: Citizen, key: Key, call: Call) -> str:
        if number < by_number:
            return new_alias(as_citizen(call, who), key.voucher_id).digits
        return code_of(call, who, key)

    return [(who, key, database.run(partial(code, n, who, key))) for n, (who, key) in enumerate(keys)]


def test_batches_of_the_same_vouchers_in_opposite_orders_use_each_once(database: Database) -> None:
    place = database.run(market)
    for by_number in (0, 3, 0, 3):
        codes = [code for *_, code in _shown(database, place, by_number=by_number)]
        works = [
            partial(_batch, place, till, order)
            for till in (place.till, place.second_till)
            for order in (codes, codes[::-1], codes[3:] + codes[:3])
        ]
        results = together(database, works)
        done = [each for each in results if isinstance(each, list)]
        assert [len(each) for each in done] == [8]
        # A number that was used up is unknown; a voucher that was used is redeemed.
        assert {each for each in results if isinstance(each, str)} <= {"voucher_redeemed", "alias_unknown"}
    assert database.rows("SELECT count(*) AS n FROM redemption")[0].n == 32
    assert database.rows(_DEADLOCKS)[0].deadlocks == 0
    database.run(sound)


def test_a_batch_beside_single_scans_and_cancellations_is_whole_or_nothing(database: Database) -> None:
    place = database.run(market)
    for _ in range(4):
        shown = _shown(database, place, by_number=2)
        codes = [code for *_, code in shown]
        works: list[Work] = [partial(_batch, place, place.till, codes[::-1])]
        works += [
            partial(_one, place, place.far_till, codes[0]),
            partial(_one, place, place.far_till, codes[5]),
        ]
        works += [partial(_cancel, who, key) for who, key, _ in shown[2:4]]
        whole, *others = together(database, works)
        used = database.rows(
            "SELECT count(*) AS n FROM redemption WHERE voucher_id = ANY(:ids)",
            ids=[key.voucher_id for _, key, _ in shown],
        )[0].n
        apart = sum(isinstance(each, Redeemed) for each in others)
        if isinstance(whole, list):
            assert (used, apart, others.count("cancelled")) == (8, 0, 0)
        else:
            assert used == apart
            assert apart + others.count("cancelled") > 0
    assert database.rows(_DEADLOCKS)[0].deadlocks == 0
    database.run(sound)


def _try(place: Market, till: UUID, number: str, pin: str, call: Call) -> Shift | Refusal:
    return sign_in(place.at_till(call, till), number=number, pin=pin)


def test_of_many_pins_tried_at_once_five_are_looked_at(database: Database) -> None:
    place = database.run(market)
    staff = database.run(lambda call: staff_of(call, place))
    me = database.run(customer)
    tills = (place.till, place.second_till, place.far_till)
    works: list[Work] = [partial(_try, place, tills[n % 3], "07", WRONG_PIN) for n in range(12)]
    works += [lambda call: link(as_citizen(call, me), staff.cashier, pin=WRONG_PIN)] * 4
    told = Counter(type(each) for each in together(database, works))
    assert told == {PinWrong: 5, TooManyPins: 11}
    row = database.rows("SELECT attempts, wrong_in_a_row FROM clerk WHERE number = '07'")[0]
    assert tuple(row) == (5, 5)
    assert isinstance(database.run(partial(_try, place, place.till, "07", PIN)), TooManyPins)


def test_sign_ins_at_once_leave_one_shift_a_till_and_one_a_clerk(database: Database) -> None:
    place = database.run(market)

    def more(call: Call) -> None:
        own = acting(call, ActorKind.MERCHANT, organisation=place.merchant_id)
        for number in ("A1", "A2", "A3"):
            enter(own, place.merchant_id, number=number, role="cashier", pin=PIN)

    database.run(more)
    tills = (place.till, place.second_till, place.far_till)
    for turn in range(3):
        works = [
            partial(_try, place, till, number, PIN)
            for till in (tills if turn % 2 else tills[::-1])
            for number in ("A1", "A2", "A3")
        ]
        assert {type(each) for each in together(database, works)} == {Shift}
    rows = database.rows("SELECT terminal_id, clerk_id FROM clerk_shift WHERE ended_at IS NULL")
    assert len({row.terminal_id for row in rows}) == len({row.clerk_id for row in rows}) == len(rows)
    assert len(database.rows("SELECT 1 FROM clerk_shift")) == 27
    assert database.rows(_DEADLOCKS)[0].deadlocks == 0


def test_a_clerk_dismissed_while_signing_in_has_no_open_shift(database: Database) -> None:
    place = database.run(market)

    def hired(number: str, call: Call) -> UUID:
        own = acting(call, ActorKind.MERCHANT, organisation=place.merchant_id)
        return enter(own, place.merchant_id, number=number, role="cashier", pin=PIN)

    for number in range(8):
        clerk = database.run(partial(hired, f"B{number}"))
        works: list[Work] = [partial(_try, place, place.till, f"B{number}", PIN)]
        works += [partial(_dismiss, clerk)]
        signed, _ = together(database, works)
        assert isinstance(signed, Shift | PinWrong)
        open_ = database.rows("SELECT 1 FROM clerk_shift WHERE clerk_id = :c AND ended_at IS NULL", c=clerk)
        assert open_ == []


def test_a_number_entered_by_many_at_once_is_one_clerk(database: Database) -> None:
    place = database.run(market)

    def work(call: Call) -> UUID:
        own = acting(replace(call), ActorKind.MERCHANT, organisation=place.merchant_id)
        return enter(own, place.merchant_id, number="33", role="cashier", pin=PIN)

    results = together(database, [work] * 8)
    assert results.count("clerk_number_taken") == 7
    assert len(database.rows("SELECT 1 FROM clerk")) == 1


def test_two_citizens_who_say_they_are_one_clerk_are_not_both_believed(database: Database) -> None:
    place = database.run(market)
    staff = database.run(lambda call: staff_of(call, place))
    people = [database.run(customer) for _ in range(4)]

    def said(who: Citizen, call: Call) -> Refusal | None:
        return link(as_citizen(call, who), staff.cashier, pin=PIN)

    results = together(database, [partial(said, who) for who in people])
    assert sorted("" if each is None else each.code for each in results) == ["", *["clerk_linked"] * 3]
