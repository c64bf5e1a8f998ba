"""Clerks: one PIN, one shift, one till; what is honoured names them, and nobody honours the own voucher."""

from collections import Counter
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest
from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound, Refusal
from kernel.paging import PageRequest
from kernel.permission import Permission
from merchants.clerks.errors import (
    ClerkDismissed,
    ClerkNeeded,
    ClerkNumberTaken,
    ManagerNeeded,
    OwnVoucher,
    PinTrivial,
    ShiftOver,
)
from merchants.clerks.pin_attempts import WINDOW
from merchants.clerks.pins import trivial
from merchants.clerks.roster import clerks, dismiss, enter, link, set_pin
from merchants.clerks.shifts import LONGEST_SHIFT, Shift, known_shift, sign_in, sign_out
from merchants.clerks.tables import MOST_ATTEMPTS, MOST_WRONG
from merchants.errors import TerminalNotPaired
from merchants.onboarding import add_merchant
from merchants.redemption import confirm, prepare, redeem
from merchants.redemption_reversal import reverse
from merchants.terminals import revoke
from tests.conftest import NOW, at
from tests.merchants.clerk_world import OTHER_PIN, PIN, WRONG_PIN, Staff, ask, refused_as, signed_in, staff_of
from tests.merchants.world import Market, bought, code_of, customer, market, refused_rows, sound
from tests.rewards.world import acting, as_citizen


@pytest.fixture
def place(call: Call) -> Market:
    return market(call)


@pytest.fixture
def staff(call: Call, place: Market) -> Staff:
    return staff_of(call, place)


def _shifts(call: Call) -> list[tuple[UUID, str | None]]:
    rows = call.db.execute(text("SELECT clerk_id, end_cause FROM clerk_shift ORDER BY id"))
    return [(row.clerk_id, row.end_cause) for row in rows]


def test_a_pin_that_is_tried_first_is_no_pin() -> None:
    tried_first = (
        *("000000", "123456", "654321", "890123", "135791", "112233", "123123", "123321"),
        *("121212", "666888", "520131", "147258"),
    )
    no_pins = ("", "12345", "2740511", "27405a", "２７４０５１", " 27405", "27405\n", "+74051")
    assert [pin for pin in (*tried_first, *no_pins) if not trivial(pin)] == []
    assert not trivial(PIN)
    everything = sum(trivial("".join(digits)) for digits in product("0123456789", repeat=6))
    assert everything < 10**6 // 100


def test_what_a_clerk_honours_undoes_and_is_refused_names_the_clerk(
    call: Call, place: Market, staff: Staff
) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    till = signed_in(call, place)
    done = redeem(till, code)
    assert refused_rows(till, lambda inner: redeem(inner, code)) == "voucher_redeemed"
    reverse(till, done.id, reason="wrong item")
    for table in ("redemption", "redemption_reversal", "scan_refusal"):
        rows = call.db.execute(text(f"SELECT clerk_id FROM {table}"))  # noqa: S608 - a fixed list
        assert rows.scalars().all() == [staff.cashier]
    redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    named = call.db.execute(text("SELECT clerk_id FROM redemption ORDER BY id")).scalars().all()
    assert named == [staff.cashier, None]
    sound(call)


def test_neither_pin_nor_secret_stands_in_the_database_or_the_audit_trail(
    call: Call, place: Market, staff: Staff
) -> None:
    assert staff.cashier
    shift = sign_in(place.at_till(call), number="07", pin=PIN)
    assert isinstance(shift, Shift)
    assert isinstance(sign_in(place.at_till(call), number="07", pin=WRONG_PIN), Exception)
    for table in ("clerk", "clerk_shift", "audit_entry"):
        kept = call.db.execute(text(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t"))  # noqa: S608 - a fixed list
        row = kept.scalar_one()
        assert not [each for each in (PIN, WRONG_PIN, shift.token, shift.token.encode().hex()) if each in row]
    told = call.db.execute(text("SELECT action FROM audit_entry WHERE subject LIKE 'clk_%' ORDER BY id"))
    assert told.scalars().all() == ["clerk.entered", "clerk.entered", "shift.begun", "clerk.pin_wrong"]


def test_a_store_that_asks_for_a_clerk_honours_nothing_without_one(
    call: Call, place: Market, staff: Staff
) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    ask(call, place, clerk_required=True)
    for use in (redeem, prepare):
        with pytest.raises(ClerkNeeded):
            use(place.at_till(call), code)
    prepared = prepare(signed_in(call, place), code)
    with pytest.raises(ClerkNeeded):
        confirm(place.at_till(call), prepared.session)
    assert redeem(place.at_till(call, place.far_till), code_of(call, me, bought(call, place, me)))
    done = confirm(signed_in(call, place), prepared.session)
    with pytest.raises(ClerkNeeded):
        reverse(place.at_till(call), done.id, reason="nobody")
    assert reverse(signed_in(call, place), done.id, reason="wrong item").lives_again
    assert staff.manager
    sound(call)


def test_only_a_manager_undoes_where_the_store_asks_for_one(call: Call, place: Market, staff: Staff) -> None:
    me = customer(call)
    done = redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    ask(call, place, manager_reverses=True)
    console = acting(call, ActorKind.MERCHANT, organisation=place.merchant_id)
    clerk = frozenset({Permission.REDEMPTION_REVERSE})
    with pytest.raises(ManagerNeeded):
        reverse(_holding(console, clerk), done.id, reason="a clerk at a desk")
    with pytest.raises(ClerkNeeded):
        reverse(place.at_till(call), done.id, reason="nobody")
    with pytest.raises(ManagerNeeded):
        reverse(signed_in(call, place, "07"), done.id, reason="a cashier")
    assert reverse(signed_in(call, place, "01"), done.id, reason="the manager").lives_again
    by = call.db.execute(text("SELECT clerk_id FROM redemption_reversal")).scalar_one()
    assert by == staff.manager
    again = redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    desk = _holding(console, clerk | {Permission.CLERK_MANAGE})
    assert reverse(desk, again.id, reason="the manager at a desk").lives_again
    sound(call)


def _holding(call: Call, permissions: frozenset[Permission]) -> Call:
    from dataclasses import replace  # noqa: PLC0415 - only here

    return replace(call, actor=replace(call.actor, permissions=permissions))


def test_a_shift_ends_by_its_hours_by_sign_out_and_by_another_sign_in(
    call: Call, place: Market, staff: Staff
) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    first = signed_in(call, place)
    evening = at(first, NOW + LONGEST_SHIFT)
    late = code_of(evening, me, bought(at(call, evening.now), place, me))
    done = redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    with pytest.raises(ShiftOver):
        redeem(evening, late)
    with pytest.raises(ShiftOver):
        reverse(evening, done.id, reason="too late")
    elsewhere = signed_in(call, place, till=place.second_till)
    with pytest.raises(ShiftOver):
        redeem(first, code)
    manager = signed_in(call, place, "01", till=place.second_till)
    with pytest.raises(ShiftOver):
        redeem(elsewhere, code)
    sign_out(manager)
    with pytest.raises(ShiftOver):
        prepare(manager, code)
    sign_out(place.at_till(call))
    assert _shifts(call) == [
        (staff.cashier, "replaced"),
        (staff.cashier, "replaced"),
        (staff.manager, "signed_out"),
    ]


def test_a_shift_of_another_till_and_a_made_up_one_are_no_shifts(
    call: Call, place: Market, staff: Staff
) -> None:
    shift = sign_in(place.at_till(call), number="07", pin=PIN)
    assert isinstance(shift, Shift)
    assert shift.clerk_id == staff.cashier
    assert known_shift(call.db, place.till, shift.token) is not None
    for till, token in (
        (place.second_till, shift.token),
        (place.till, shift.token + "x"),
        (place.till, shift.token.removeprefix("tps_")),
        (place.till, ""),
    ):
        assert known_shift(call.db, till, token) is None


def test_a_new_pin_a_dismissal_and_a_revoked_till_end_the_shift(
    call: Call, place: Market, staff: Staff
) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    till = signed_in(call, place)
    set_pin(call, staff.cashier, pin="830517")
    with pytest.raises(ShiftOver):
        redeem(till, code)
    assert refused_as(sign_in(place.at_till(call), number="07", pin=PIN)) == "pin_wrong"
    assert isinstance(sign_in(place.at_till(call), number="07", pin="830517"), Shift)
    dismiss(call, staff.cashier, reason="left")
    dismiss(call, staff.cashier, reason="left")
    assert refused_as(sign_in(place.at_till(call), number="07", pin="830517")) == "pin_wrong"
    with pytest.raises(ClerkDismissed):
        set_pin(call, staff.cashier, pin="830517")
    manager = signed_in(call, place, "01")
    revoke(call, place.till, reason="lost")
    with pytest.raises(TerminalNotPaired):
        redeem(manager, code)
    assert [cause for _, cause in _shifts(call)] == ["pin_set", "dismissed", "terminal_revoked"]
    with pytest.raises(TerminalNotPaired):
        sign_in(place.at_till(call), number="01", pin=OTHER_PIN)


def test_five_tries_in_a_quarter_and_twenty_in_a_row_are_all_there_are(
    call: Call, place: Market, staff: Staff
) -> None:
    def tried(pin: str, when: timedelta = timedelta(0)) -> str:
        outcome = sign_in(at(place.at_till(call), NOW + when), number="07", pin=pin)
        return "in" if isinstance(outcome, Shift) else refused_as(outcome)

    assert [tried(WRONG_PIN) for _ in range(MOST_ATTEMPTS - 1)] == ["pin_wrong"] * (MOST_ATTEMPTS - 1)
    assert tried(PIN) == "in"
    assert Counter(tried(WRONG_PIN) for _ in range(9)) == {"pin_wrong": 5, "too_many_pins": 4}
    assert tried(PIN) == "too_many_pins"
    assert tried(PIN, WINDOW - timedelta(seconds=1)) == "too_many_pins"
    waits = sign_in(at(place.at_till(call), NOW + timedelta(minutes=14)), number="07", pin=PIN)
    assert isinstance(waits, Refusal)
    assert waits.facts == {"retry_after_s": 60}
    for number in range(1, MOST_WRONG // MOST_ATTEMPTS):
        assert {tried(WRONG_PIN, WINDOW * number) for _ in range(MOST_ATTEMPTS)} == {"pin_wrong"}
    assert tried(PIN, WINDOW * 100) == "pin_blocked"
    set_pin(call, staff.cashier, pin=OTHER_PIN)
    assert tried(OTHER_PIN, WINDOW * 100) == "in"
    assert refused_as(sign_in(place.at_till(call), number="99", pin=PIN)) == "pin_wrong"


def test_a_clerk_neither_honours_nor_undoes_the_own_voucher(call: Call, place: Market, staff: Staff) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    nobody_knows = signed_in(call, place)
    assert redeem(nobody_knows, code_of(call, me, bought(call, place, me)))
    assert refused_as(link(as_citizen(call, me), staff.cashier, pin=WRONG_PIN)) == "pin_wrong"
    assert link(as_citizen(call, me), staff.cashier, pin=PIN) is None
    assert link(as_citizen(call, me), staff.cashier, pin=PIN) is None
    assert refused_as(link(as_citizen(call, customer(call)), staff.cashier, pin=PIN)) == "clerk_linked"
    till = signed_in(call, place)
    for use in (redeem, prepare):
        with pytest.raises(OwnVoucher):
            use(till, code)
    manager = signed_in(call, place, "01", till=place.second_till)
    prepared = prepare(manager, code)
    assert confirm(manager, prepared.session)
    used = call.db.execute(text("SELECT id FROM redemption WHERE clerk_id = :m"), {"m": staff.manager})
    with pytest.raises(OwnVoucher):
        reverse(till, used.scalar_one(), reason="mine")
    other = customer(call)
    assert redeem(till, code_of(call, other, bought(call, place, other)))
    sound(call)


def test_a_store_may_let_in_only_clerks_who_said_who_they_are(
    call: Call, place: Market, staff: Staff
) -> None:
    signed_in(call, place, "07")
    ask(call, place, clerk_required=True, linked_clerks_only=True)
    assert [cause for _, cause in _shifts(call)] == ["signed_out"]
    assert refused_as(sign_in(place.at_till(call), number="07", pin=PIN)) == "clerk_unlinked"
    link(as_citizen(call, customer(call)), staff.cashier, pin=PIN)
    assert isinstance(sign_in(place.at_till(call), number="07", pin=PIN), Shift)
    ask(call, place, clerk_required=True, linked_clerks_only=True)
    assert [cause for _, cause in _shifts(call)] == ["signed_out", None]


def test_a_manager_keeps_the_own_merchants_clerks_and_no_others(
    call: Call, place: Market, staff: Staff
) -> None:
    another = add_merchant(call, name_zh="另一家", name_en="Another")
    own = acting(call, ActorKind.MERCHANT, organisation=place.merchant_id)
    theirs = acting(call, ActorKind.MERCHANT, organisation=another)
    with pytest.raises(ClerkNumberTaken):
        enter(own, place.merchant_id, number="07", role="manager", pin=PIN)
    with pytest.raises(PinTrivial):
        enter(own, place.merchant_id, number="08", role="cashier", pin="111111")
    assert enter(theirs, another, number="07", role="cashier", pin=PIN)
    for work in (
        lambda: enter(theirs, place.merchant_id, number="09", role="cashier", pin=PIN),
        lambda: set_pin(theirs, staff.cashier, pin=PIN),
        lambda: dismiss(theirs, staff.cashier, reason="not mine"),
        lambda: clerks(theirs, place.merchant_id, PageRequest()),
        lambda: ask(theirs, place, clerk_required=True),
        lambda: dismiss(own, another, reason="no clerk"),
    ):
        with pytest.raises(NotFound):
            work()
    first = clerks(own, place.merchant_id, PageRequest(limit=1))
    rest = clerks(own, place.merchant_id, PageRequest(limit=1, after=first.next))
    listed = [(each.number, each.role, each.linked) for page in (first, rest) for each in page.items]
    assert listed == [("01", "manager", False), ("07", "cashier", False)]
    assert rest.next is None
    assert isinstance(sign_in(place.at_till(call), number="07", pin=PIN), Shift)
