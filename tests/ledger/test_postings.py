"""Posting, holding, spending, reversing: each once, each guarded."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from ledger.accounts import citizen_accounts, freeze, institution
from ledger.chart import Code, Kind, Unit
from ledger.errors import AccountFrozen, ContentDiffers, HoldEnded, NotEnough
from ledger.expiry import expire_due
from ledger.holds import release
from ledger.posting import Movement, Transfer, move, post, roll_pending_legs
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import Undo, reverse_spend, take_back
from ledger.statements import balances, lines
from ledger.tables import APPEND_ONLY
from tests.conftest import Database, at
from tests.ledger.world import REGION, citizen, redeem, shop

SOON = date(2026, 12, 1)


def sound(call: Call) -> None:
    """Every invariant of the ledger holds."""
    assert {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds} == {}


def days_on(call: Call, days: int) -> Call:
    return at(call, call.now + timedelta(days=days))


def test_the_same_reference_and_content_is_posted_once(call: Call) -> None:
    me = citizen(call)
    first, second = (me.earn(call, 1000, reference="ride") for _ in range(2))
    assert (first.replayed, second.replayed) == (False, True)
    assert first.transfer_id == second.transfer_id
    assert me.available(call)["standard"] == 1000
    sound(call)


def test_the_same_reference_with_other_content_is_refused(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 1000, reference="ride")
    with pytest.raises(ContentDiffers), call.db.begin_nested():
        me.earn(call, 1001, reference="ride")
    assert me.available(call)["standard"] == 1000


def test_the_chart_refuses_what_it_does_not_list(call: Call) -> None:
    me = citizen(call)
    expired = institution(call, REGION, kind=Kind.EXPIRED, unit=Unit.COIN)
    with pytest.raises(BrokenInvariant):
        post(
            call,
            Transfer(
                account=me.accounts.coins["standard"],
                contra=expired,
                amount=5,
                code=Code.CREDIT,
                source="x",
                reference="x",
                occurred_at=call.now,
            ),
        )


def test_opening_an_account_twice_gives_the_same_account(call: Call) -> None:
    me = citizen(call)
    assert citizen_accounts(call, me.id, region_id=REGION) == me.accounts


def test_a_hold_takes_the_coins_that_end_first(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 300, reference="gift", validity="promotional", ends=SOON)
    me.earn(call, 1000, reference="ride")
    held = me.hold(call, 500, "v/0")
    assert [part.amount for part in held] == [300, 200]
    assert me.available(call) == {"promotional": 0, "standard": 800}
    sound(call)


def test_the_same_hold_again_is_the_same_hold_and_another_amount_is_refused(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 1000, reference="ride")
    assert me.hold(call, 500, "v/0") == me.hold(call, 500, "v/0")
    with pytest.raises(ContentDiffers), call.db.begin_nested():
        me.hold(call, 501, "v/0")
    assert me.available(call)["standard"] == 500


def test_a_hold_beyond_what_is_available_leaves_nothing_behind(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 300, reference="gift", validity="promotional", ends=SOON)
    me.earn(call, 100, reference="ride")
    with pytest.raises(NotEnough), call.db.begin_nested():
        me.hold(call, 401, "v/0")
    assert me.available(call) == {"promotional": 300, "standard": 100}
    sound(call)


def test_redeem_reverse_redeem_pays_twice_and_only_twice(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 600, reference="ride")
    me.hold(call, 600, "v/0")
    assert redeem(call, me, till, "v/0") == 600
    undo = Undo(reference="v/0/reversal", occurred_at=call.now, cause="merchant", held_again_as="v/1")
    assert reverse_spend(call, me.set_of("v/0"), undo).fresh
    assert not reverse_spend(call, me.set_of("v/0"), undo).fresh
    assert redeem(call, me, till, "v/1") == 600
    paid = call.db.execute(
        text("SELECT -sum(amount), count(*) FROM ledger_transfer WHERE contra_id = :till AND amount < 0"),
        {"till": till.id},
    ).one()
    assert tuple(paid) == (1200, 2)
    assert me.available(call)["standard"] == 0
    sound(call)


def test_a_released_hold_cannot_be_spent_nor_a_spent_one_released(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 600, reference="ride")
    me.hold(call, 300, "v/0")
    me.hold(call, 300, "w/0")
    assert release(call, me.set_of("v/0"), cause="citizen", grace_on=None).amount == 300
    assert release(call, me.set_of("v/0"), cause="citizen", grace_on=None).amount == 0
    redeem(call, me, till, "w/0")
    with pytest.raises(HoldEnded), call.db.begin_nested():
        redeem(call, me, till, "v/0")
    with pytest.raises(HoldEnded), call.db.begin_nested():
        release(call, me.set_of("w/0"), cause="citizen", grace_on=None)
    sound(call)


def test_a_redemption_when_every_coin_is_held_still_pays(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 600, reference="ride", ends=SOON)
    me.hold(call, 600, "v/0")
    assert redeem(days_on(call, 30), me, till, "v/0") == 600
    sound(days_on(call, 30))


def test_hold_and_cancel_cannot_renew_coins(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 600, reference="ride", ends=SOON)
    me.hold(call, 600, "v/0")
    later = days_on(call, 30)
    back = release(later, me.set_of("v/0"), cause="citizen", grace_on=None)
    assert (back.amount, back.ended, back.graced) == (600, 600, 0)
    assert me.available(later)["standard"] == 0
    sound(later)


def test_coins_that_come_back_through_no_fault_of_the_citizen_get_days_of_grace(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 600, reference="ride", ends=SOON)
    me.hold(call, 600, "v/0")
    later = days_on(call, 30)
    back = release(later, me.set_of("v/0"), cause="deactivated", grace_on=date(2027, 1, 19))
    assert (back.ended, back.graced) == (0, 600)
    assert me.available(later)["standard"] == 600
    sound(later)
    after = days_on(call, 90)
    assert me.available(after)["standard"] == 0
    assert expire_due(after) == (1, 600)
    sound(after)


def test_coins_end_on_their_day_and_the_schedule_says_so_before(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a", ends=SOON)
    me.earn(call, 200, reference="b", ends=date(2027, 1, 1))
    standard = next(b for b in balances(call, me.id) if b.validity_class == "standard")
    assert [(e.expires_on, e.amount) for e in standard.schedule] == [(SOON, 100), (date(2027, 1, 1), 200)]
    assert expire_due(call) == (0, 0)
    assert expire_due(days_on(call, 11)) == (1, 100)
    assert expire_due(days_on(call, 11)) == (0, 0)
    assert me.available(days_on(call, 11))["standard"] == 200
    sound(days_on(call, 11))


def test_a_later_credit_never_ends_earlier(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a", ends=date(2027, 1, 1))
    assert me.earn(call, 100, reference="b", ends=SOON).expires_on == date(2027, 1, 1)


def test_a_spend_first_posts_what_has_ended(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a", ends=SOON)
    me.earn(call, 200, reference="b", ends=date(2027, 6, 1))
    later = days_on(call, 30)
    with pytest.raises(NotEnough), call.db.begin_nested():
        me.hold(later, 201, "v/0")
    me.hold(later, 200, "v/0")
    assert me.available(later)["standard"] == 0
    sound(later)


def test_a_frozen_account_gives_nothing_but_still_receives(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a")
    freeze(call, me.accounts.coins["standard"], frozen=True)
    with pytest.raises(AccountFrozen), call.db.begin_nested():
        me.hold(call, 50, "v/0")
    me.earn(call, 100, reference="b")
    assert me.available(call)["standard"] == 200


def test_taking_back_lowers_the_bucket_of_its_credit(call: Call) -> None:
    me = citizen(call)
    credit = me.earn(call, 100, reference="a")
    taken = take_back(
        call,
        me.accounts.coins["standard"],
        credit_id=credit.transfer_id,
        amount=40,
        source="take-back",
        reference="a",
    )
    assert (taken.taken, taken.revived, taken.absorbed) == (40, 0, 0)
    assert me.available(call)["standard"] == 60
    sound(call)


def test_a_taken_back_activity_whose_coins_have_expired_costs_nothing_twice(call: Call) -> None:
    me, till = citizen(call, floor=-50), shop(call)
    credit = me.earn(call, 100, reference="a", ends=SOON)
    me.hold(call, 70, "v/0")
    redeem(call, me, till, "v/0")
    later = days_on(call, 30)
    assert expire_due(later) == (1, 30)
    taken = take_back(
        later,
        me.accounts.coins["standard"],
        credit_id=credit.transfer_id,
        amount=100,
        source="take-back",
        reference="a",
    )
    assert (taken.taken, taken.revived, taken.absorbed) == (80, 30, 20)
    posted = next(b.posted for b in balances(later, me.id) if b.validity_class == "standard")
    assert posted == -50
    sound(later)


def test_taking_back_touches_no_held_coin_and_the_rest_is_absorbed(call: Call) -> None:
    me = citizen(call)
    credit = me.earn(call, 100, reference="a")
    me.hold(call, 90, "v/0")
    taken = take_back(
        call,
        me.accounts.coins["standard"],
        credit_id=credit.transfer_id,
        amount=100,
        source="take-back",
        reference="a",
    )
    assert (taken.taken, taken.absorbed) == (10, 90)
    again = take_back(
        call,
        me.accounts.coins["standard"],
        credit_id=credit.transfer_id,
        amount=100,
        source="take-back",
        reference="a",
    )
    assert (again.taken, again.fresh) == (10, False)
    sound(call)


def test_a_later_credit_fills_what_a_take_back_left_owing(call: Call) -> None:
    me, till = citizen(call, floor=-1000), shop(call)
    credit = me.earn(call, 100, reference="a")
    me.hold(call, 100, "v/0")
    redeem(call, me, till, "v/0")
    take_back(
        call,
        me.accounts.coins["standard"],
        credit_id=credit.transfer_id,
        amount=100,
        source="take-back",
        reference="a",
    )
    assert me.available(call)["standard"] == -100
    me.earn(call, 150, reference="b")
    assert me.available(call)["standard"] == 50
    with pytest.raises(NotEnough), call.db.begin_nested():
        me.hold(call, 51, "w/0")
    sound(call)


def test_a_donation_waits_in_clearing_until_it_is_rolled_into_the_pool(call: Call) -> None:
    donor_id = new_id()
    from ledger.accounts import open_account  # noqa: PLC0415 - this test alone opens a donor

    donor = open_account(call, donor_id, kind=Kind.DONOR, unit=Unit.CARBON, region_id=REGION)
    pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
    source = institution(call, REGION, kind=Kind.SOURCE, unit=Unit.CARBON)
    me = citizen(call)
    post(
        call,
        Transfer(
            account=donor,
            contra=source,
            amount=100,
            code=Code.CREDIT_CARBON,
            source="project",
            reference="p",
            occurred_at=call.now,
        ),
    )
    gift = Movement(
        giver=donor,
        taker=pool,
        amount=100,
        code=Code.DONATE,
        source="donation",
        reference="d",
        occurred_at=call.now,
    )
    move(call, gift, region_id=REGION)
    assert move(call, gift, region_id=REGION).replayed
    sound(call)
    assert roll_pending_legs(call, pool, region_id=REGION, code=Code.DONATE) == 100
    assert roll_pending_legs(call, pool, region_id=REGION, code=Code.DONATE) == 0
    share = Movement(
        giver=pool,
        taker=me.accounts.carbon,
        amount=60,
        code=Code.ALLOCATE,
        source="allocation",
        reference="1",
        occurred_at=call.now,
    )
    move(call, share, region_id=REGION)
    with pytest.raises(NotEnough), call.db.begin_nested():
        move(call, replace(share, reference="2"), region_id=REGION)
    sound(call)


def test_lines_come_newest_first_page_by_page(call: Call) -> None:
    me = citizen(call)
    for number in range(5):
        me.earn(call, 10 + number, reference=str(number))
    first = lines(call, me.id, PageRequest(limit=3))
    rest = lines(call, me.id, PageRequest(limit=3, after=first.next))
    assert [line.amount for line in (*first.items, *rest.items)] == [14, 13, 12, 11, 10]
    assert rest.next is None


@pytest.mark.parametrize("table", [*APPEND_ONLY, "audit_entry", "publication_step"])
@pytest.mark.parametrize("deed", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET {}"])
def test_the_application_cannot_change_history(database: Database, table: str, deed: str) -> None:
    column = database.rows(
        "SELECT attname AS n FROM pg_attribute WHERE attrelid = CAST(:t AS regclass) AND attnum = 1", t=table
    )[0].n
    with pytest.raises(DBAPIError, match="permission denied"), database.sessions() as session:
        session.execute(text(deed.format(table, f"{column} = {column}")))
