"""What must not happen twice, nor beyond its bounds, whatever reference asks for it."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy.exc import DBAPIError

from kernel.call import Call
from kernel.errors import BrokenInvariant
from ledger.accounts import institution
from ledger.chart import Code, Kind, Unit
from ledger.errors import AlreadyReversed, ContentDiffers
from ledger.posting import Movement, Transfer, move, post
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import TakenBack, Undo, reverse_spend, take_back
from tests.ledger.world import REGION, Citizen, citizen, redeem, shop


def sound(call: Call) -> None:
    """Every invariant of the ledger holds."""
    assert {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds} == {}


def _taken(call: Call, me: Citizen, credit: int, *, amount: int, reference: str) -> TakenBack:
    account = me.accounts.coins["standard"]
    return take_back(call, account, credit_id=credit, amount=amount, source="correction", reference=reference)


def test_a_reversal_under_another_reference_does_not_pay_back_twice(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 600, reference="ride")
    me.hold(call, 600, "v/0")
    redeem(call, me, till, "v/0")
    first = Undo(reference="r1", occurred_at=call.now, cause="merchant", grace_on=date(2027, 1, 1))
    assert reverse_spend(call, me.set_of("v/0"), first).fresh
    with pytest.raises(AlreadyReversed), call.db.begin_nested():
        reverse_spend(call, me.set_of("v/0"), replace(first, reference="r2"))
    assert me.available(call)["standard"] == 600
    sound(call)


def test_a_reversal_across_classes_gives_each_class_its_own_back(call: Call) -> None:
    me, till = citizen(call), shop(call)
    me.earn(call, 300, reference="gift", validity="promotional")
    me.earn(call, 500, reference="ride")
    me.hold(call, 600, "v/0")
    redeem(call, me, till, "v/0")
    undo = Undo(reference="r", occurred_at=call.now, cause="merchant", grace_on=date(2027, 1, 1))
    back = reverse_spend(call, me.set_of("v/0"), undo)
    again = reverse_spend(call, me.set_of("v/0"), undo)
    assert (back.amount, back.transfer_ids) == (again.amount, again.transfer_ids)
    assert me.available(call) == {"promotional": 300, "standard": 500}
    sound(call)


def test_no_more_is_taken_back_than_the_credit_gave(call: Call) -> None:
    me = citizen(call)
    credit = me.earn(call, 100, reference="a").transfer_id
    me.earn(call, 900, reference="b")
    assert _taken(call, me, credit, amount=60, reference="1").taken == 60
    assert _taken(call, me, credit, amount=60, reference="1").fresh is False
    with pytest.raises(DBAPIError, match="too much"), call.db.begin_nested():
        _taken(call, me, credit, amount=41, reference="2")
    with pytest.raises(ContentDiffers), call.db.begin_nested():
        _taken(call, me, credit, amount=61, reference="1")
    assert me.available(call)["standard"] == 940
    sound(call)


def test_a_take_back_that_finds_nothing_is_remembered_without_a_transfer(call: Call) -> None:
    me = citizen(call)
    credit = me.earn(call, 100, reference="a").transfer_id
    me.hold(call, 100, "v/0")
    for fresh in (True, False):
        taken = _taken(call, me, credit, amount=100, reference="1")
        assert taken == TakenBack(None, 0, 0, 100, fresh)
    sound(call)


def test_one_reference_cannot_allocate_to_two_citizens(call: Call) -> None:
    first, second = citizen(call), citizen(call)
    pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
    source = institution(call, REGION, kind=Kind.SOURCE, unit=Unit.CARBON)
    clearing = institution(call, REGION, kind=Kind.CLEARING, unit=Unit.CARBON)
    credit = Transfer(
        account=first.accounts.carbon,
        contra=source,
        amount=100,
        code=Code.CREDIT_CARBON,
        source="activity",
        reference="a",
        occurred_at=call.now,
    )
    post(call, credit)
    post(call, replace(credit, account=pool, contra=clearing, code=Code.DONATE, reference="b"))
    share = Movement(
        giver=pool,
        taker=first.accounts.carbon,
        amount=60,
        code=Code.ALLOCATE,
        source="allocation",
        reference="1",
        occurred_at=call.now,
    )
    move(call, share, region_id=REGION)
    assert move(call, share, region_id=REGION).replayed
    with pytest.raises(ContentDiffers), call.db.begin_nested():
        move(call, replace(share, taker=second.accounts.carbon), region_id=REGION)


@pytest.mark.parametrize("ends", [None, date(2026, 11, 20), date(2026, 1, 1), date(2037, 1, 1)])
def test_coins_without_a_sensible_last_day_are_a_bug(call: Call, ends: date | None) -> None:
    me = citizen(call)
    issuance = institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN)
    credit = Transfer(
        account=me.accounts.coins["standard"],
        contra=issuance,
        amount=5,
        code=Code.CREDIT,
        source="x",
        reference="x",
        occurred_at=call.now,
        expires_on=ends,
    )
    with (
        pytest.raises((BrokenInvariant, DBAPIError), match=r"CREDIT of 5|cannot end"),
        call.db.begin_nested(),
    ):
        post(call, credit)


def test_coins_cannot_be_clawed_back_past_their_bucket(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a")
    claw = Transfer(
        account=me.accounts.coins["standard"],
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        amount=-5,
        code=Code.CLAW_BACK,
        source="x",
        reference="x",
        occurred_at=call.now,
    )
    with pytest.raises(BrokenInvariant, match="a function of its own"):
        post(call, claw)


def test_a_correction_upwards_fills_a_bucket_and_downwards_spends(call: Call) -> None:
    me = citizen(call)
    me.earn(call, 100, reference="a")
    up = Transfer(
        account=me.accounts.coins["standard"],
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        amount=30,
        code=Code.CORRECTION,
        source="correction",
        reference="1",
        occurred_at=call.now,
        expires_on=date(2028, 12, 1),
    )
    post(call, up)
    post(call, replace(up, amount=-20, reference="2", expires_on=None))
    assert me.available(call)["standard"] == 110
    sound(call)
