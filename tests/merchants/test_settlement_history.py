"""A merchant finds every redemption again, and totals by day, store, terminal and clerk that add up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from kernel.call import Call
from kernel.errors import InvalidField
from kernel.identifiers import new_id
from kernel.paging import PageRequest, WrongCursor
from merchants.redemption import redeem
from merchants.settlement.history import GROUPS, Total, Use, Wanted, history, totals
from merchants.statements import statement
from merchants.tables import Redemption
from tests.conftest import NOW
from tests.merchants.clerk_world import signed_in, staff_of
from tests.merchants.settlement_world import closed, publish_terms, undone, used
from tests.merchants.world import Market, bought, code_of, customer, market

A_DAY = timedelta(days=1)


@pytest.fixture
def place(call: Call) -> Market:
    """Four uses on three tills on two days, one of them reversed on the second."""
    made = market(call)
    publish_terms(call)
    me = customer(call, 100_000)
    done = [
        used(call, replace(made, till=till), me, now=NOW + days * A_DAY)
        for till, days in ((made.till, 0), (made.second_till, 0), (made.far_till, 0), (made.till, 1))
    ]
    undone(call, made, done[0].id, now=NOW + timedelta(hours=20))
    return made


def _all(call: Call, place: Market, by: str, *, limit: int = 200) -> list[Total]:
    found: list[Total] = []
    after: str | None = None
    while after is not None or not found:
        page = PageRequest(limit=limit, after=after)
        got = totals(call, place.merchant_id, page, by=by, last_day=call.today + A_DAY)
        found, after = [*found, *got.items], got.next
        if after is None:
            break
    return found


def test_totals_by_anything_add_up_to_the_statements_of_the_days(call: Call, place: Market) -> None:
    days = [statement(call, place.merchant_id, call.today + number * A_DAY) for number in range(2)]
    coins, fen = sum(day.coin_milli for day in days), sum(day.payable_fen for day in days)
    for by in GROUPS:
        for limit in (1, 200):
            found = _all(call, place, by, limit=limit)
            assert (sum(each.coin_milli for each in found), sum(each.payable_fen for each in found)) == (
                coins,
                fen,
            )
            assert (sum(each.redemptions for each in found), sum(each.reversals for each in found)) == (4, 1)
    by_day = _all(call, place, "day")
    assert [(each.day, each.payable_fen) for each in by_day] == [(day.day, day.payable_fen) for day in days]
    assert [len(_all(call, place, by)) for by in GROUPS] == [2, 2, 3, 1]
    assert _all(call, place, "clerk")[0].clerk_id is None


def test_totals_are_by_the_clerk_where_the_till_said_who(call: Call, place: Market) -> None:
    staff_of(call, place)
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    done = redeem(signed_in(call, place), code)
    clerk = call.db.get_one(Redemption, done.id).clerk_id
    assert clerk is not None
    found = {each.clerk_id: each.redemptions for each in _all(call, place, "clerk", limit=1)}
    assert found == {None: 4, clerk: 1}
    told = history(call, place.merchant_id, Wanted(clerk=clerk), PageRequest())
    assert [use.clerk_id for use in told.items] == [clerk]


def test_the_history_is_filtered_and_paged_and_says_what_became_of_each(call: Call, place: Market) -> None:
    whole = history(call, place.merchant_id, Wanted(), PageRequest()).items
    assert len(whole) == 4
    assert [use.business_day for use in whole] == sorted((use.business_day for use in whole), reverse=True)
    paged: list[Use] = []
    after: str | None = None
    for _ in range(4):
        page = history(call, place.merchant_id, Wanted(), PageRequest(limit=1, after=after))
        paged, after = [*paged, *page.items], page.next
    assert (paged, after) == (list(whole), None)
    assert sum(use.reversed_at is not None for use in whole) == 1
    one_till = history(call, place.merchant_id, Wanted(terminal=place.far_till), PageRequest()).items
    assert [use.terminal_id for use in one_till] == [place.far_till]
    second_day = Wanted(first_day=call.today + A_DAY)
    assert len(history(call, place.merchant_id, second_day, PageRequest()).items) == 1
    (told,) = closed(call, place)
    settled = history(call, place.merchant_id, Wanted(), PageRequest()).items
    assert {use.settlement_id for use in settled} == {None, told.id}


def test_a_cursor_of_another_question_and_absurd_days_are_refused(call: Call, place: Market) -> None:
    page = history(call, place.merchant_id, Wanted(), PageRequest(limit=1))
    with pytest.raises(WrongCursor):
        history(call, place.merchant_id, Wanted(store=new_id()), PageRequest(after=page.next))
    for first, last in ((call.today + A_DAY, call.today), (call.today - 400 * A_DAY, call.today)):
        with pytest.raises(InvalidField) as refused:
            totals(call, place.merchant_id, PageRequest(), by="day", first_day=first, last_day=last)
        assert refused.value.pointer == "/query/last_day"
    with pytest.raises(InvalidField):
        totals(call, place.merchant_id, PageRequest(), by="citizen")
