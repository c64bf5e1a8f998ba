"""A period closes over rows: each use once, with its reversal, under its own day, part by part."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from kernel.publications.errors import NoRuleInForce, RuleContentWrong
from kernel.publications.shapes import check_content
from merchants.errors import RedemptionSettled
from merchants.redemption_reversal import reverse
from merchants.settlement.closing import close_next, close_now
from merchants.settlement.errors import NotDueYet
from merchants.settlement.lines import summed
from merchants.settlement.periods import Terms, period_of
from merchants.settlement.records import Told, settlements
from merchants.settlement.states import State, What
from tests.conftest import NOW, at
from tests.merchants.settlement_world import (
    CLOSING,
    TERMS,
    clerk,
    closed,
    lines_of,
    merchant_has,
    publish_terms,
    sound,
    undone,
    used,
)
from tests.merchants.world import Market, customer, market

A_DAY = timedelta(days=1)


@pytest.fixture
def place(call: Call) -> Market:
    return market(call)


def test_without_a_rule_nothing_is_closed_and_the_refusal_says_which(call: Call, place: Market) -> None:
    used(call, place, customer(call))
    for close in (close_next, close_now):
        with pytest.raises(NoRuleInForce) as refused:
            close(at(call, CLOSING), place.merchant_id)
        assert refused.value.facts["kind"] == "settlement"
    assert settlements(call, PageRequest()).items == []


def test_a_day_is_settled_with_its_reversals_and_leaves_the_merchants_accounts_empty(
    call: Call, place: Market
) -> None:
    publish_terms(call)
    me = customer(call, 100_000)
    done = [used(call, place, me, now=NOW + timedelta(seconds=number)) for number in range(5)]
    undone(call, place, done[2].id, now=NOW + timedelta(hours=2))
    assert merchant_has(call, place) == (12_000, 2000)
    (told,) = closed(call, place)
    lines = lines_of(call, told)
    assert [line.what for line in lines] == [What.REDEMPTION] * 5 + [What.REVERSAL]
    assert (told.state, told.first_day, told.last_day) == (State.CLOSED, call.today, call.today)
    assert (told.coin_milli, told.payable_fen, told.line_count) == (12_000, 2000, 6)
    big, small = place.funders
    assert told.by_funder == [
        {"funder_id": str(funder), "fen": fen} for funder, fen in sorted([(big, 4 * 333), (small, 4 * 167)])
    ]
    assert lines[0].shares == {big: 333, small: 167}
    assert told.digest == summed(told.head, lines).digest().hex()
    assert merchant_has(call, place) == (0, 0)
    sound(call)


def test_a_settled_redemption_is_not_reversed_by_anybody(call: Call, place: Market) -> None:
    publish_terms(call)
    done = used(call, place, customer(call))
    closed(call, place)
    late = at(call, CLOSING)
    for caller in (place.at_till(late), replace(late, actor=clerk(place)), late):
        with pytest.raises(RedemptionSettled):
            reverse(caller, done.id, reason="too late")
    sound(call)


def test_what_may_still_be_reversed_waits_for_the_next_closing_under_its_own_day(
    call: Call, place: Market
) -> None:
    publish_terms(call, close_days=1)
    me = customer(call, 100_000)
    early = used(call, place, me, now=NOW)
    late = used(call, place, me, now=NOW + timedelta(hours=3))
    (first,) = closed(call, place, now=NOW + A_DAY + timedelta(hours=1))
    assert [line.subject_id for line in lines_of(call, first)] == [early.id]
    assert closed(call, place, now=NOW + A_DAY + timedelta(hours=4)) == []
    (second,) = closed(call, place, now=NOW + 2 * A_DAY)
    assert [(line.subject_id, line.business_day) for line in lines_of(call, second)] == [
        (late.id, call.today)
    ]
    assert second.first_day == call.today + A_DAY
    sound(call, now=NOW + 2 * A_DAY)


def test_a_use_reversed_after_its_period_waits_for_its_reversals_day_and_is_never_paid_before(
    call: Call, place: Market
) -> None:
    publish_terms(call)
    me = customer(call, 100_000)
    kept, back = used(call, place, me), used(call, place, me)
    undone(call, place, back.id, now=NOW + timedelta(hours=20))
    (first,) = closed(call, place)
    assert [line.subject_id for line in lines_of(call, first)] == [kept.id]
    (second,) = closed(call, place, now=CLOSING + A_DAY)
    assert [(line.subject_id, line.what) for line in lines_of(call, second)] == [
        (back.id, What.REDEMPTION),
        (back.id, What.REVERSAL),
    ]
    assert (second.payable_fen, second.coin_milli) == (0, 0)
    sound(call, now=CLOSING + A_DAY)


def _fee(call: Call, told: Told) -> list[int]:
    return [line.payable_fen for line in lines_of(call, told) if line.what is What.FEE]


def test_fee_and_subsidy_are_those_of_the_rule_of_the_period_also_for_uses_of_earlier_days(
    call: Call, place: Market
) -> None:
    """A use before the first rule, and one that could still be reversed when its own period was closed."""
    me = customer(call, 100_000)
    before = used(call, place, me)
    publish_terms(call, since=call.today + A_DAY, close_days=1, fee_fen_each=10)
    publish_terms(call, since=call.today + 2 * A_DAY, close_days=1, fee_fen_each=30, subsidy_fen_each=5)
    early = used(call, place, me, now=NOW + A_DAY)
    late = used(call, place, me, now=NOW + A_DAY + timedelta(hours=3))
    first, second = [
        *closed(call, place, now=NOW + 2 * A_DAY + timedelta(hours=1)),
        *closed(call, place, now=NOW + 4 * A_DAY),
    ]
    assert [(told.first_day, _fee(call, told), told.payable_fen) for told in (first, second)] == [
        (call.today + A_DAY, [-20], 980),
        (call.today + 2 * A_DAY, [-30], 474),  # of five fen the two funders bear 3.33 and 1.67, floored
    ]
    claimed = [{line.subject_id for line in lines_of(call, told)} - {told.id} for told in (first, second)]
    assert claimed == [{before.id, early.id}, {late.id}]
    assert lines_of(call, first)[0].business_day < first.first_day
    sound(call, now=NOW + 4 * A_DAY)


def test_months_that_were_missed_are_closed_one_after_the_other(call: Call, place: Market) -> None:
    publish_terms(call, period="monthly", last_day=31, close_days=3)
    me = customer(call, 100_000)
    for days in (0, 12, 45):
        used(call, place, me, now=NOW + days * A_DAY)
    with pytest.raises(NotDueYet):
        close_now(at(call, NOW + 12 * A_DAY), place.merchant_id)
    months = closed(call, place, now=NOW + 80 * A_DAY)
    assert [(told.first_day, told.last_day, told.line_count) for told in months] == [
        (date(2026, 11, 1), date(2026, 11, 30), 1),
        (date(2026, 12, 1), date(2026, 12, 31), 1),
        (date(2027, 1, 1), date(2027, 1, 31), 1),
    ]
    assert closed(call, place, now=NOW + 80 * A_DAY) == []
    sound(call, now=NOW + 80 * A_DAY)


def test_a_closing_in_parts_claims_the_same_as_one_at_once(call: Call, place: Market) -> None:
    publish_terms(call)
    me = customer(call, 100_000)
    done = [used(call, place, me) for _ in range(7)]
    undone(call, place, done[0].id, now=NOW + timedelta(minutes=5))
    parts = 0
    while close_next(at(call, CLOSING), place.merchant_id, most=2):
        parts += 1
    (told,) = settlements(call, PageRequest()).items
    assert (parts, told.state, told.line_count, told.payable_fen) == (4, State.CLOSED, 8, 3000)
    assert {line.subject_id for line in lines_of(call, told)} == {each.id for each in done}
    sound(call)


def test_a_merchant_of_nowhere_is_not_settled(call: Call, place: Market) -> None:
    publish_terms(call)
    with pytest.raises(Refusal) as refused:
        close_now(call, new_id())
    assert refused.value.code == "not_found"


def _terms(**changes: Any) -> Terms:
    more: dict[str, Any] = {"rule_id": new_id(), "since": date(2026, 1, 1), "until": None}
    return Terms(**{**TERMS, **more, **changes})


@pytest.mark.parametrize(
    ("rule", "day", "first", "last"),
    [
        ({"period": "daily"}, "2026-11-20", "2026-11-20", "2026-11-20"),
        ({"period": "weekly", "last_day": 7}, "2026-11-20", "2026-11-16", "2026-11-22"),
        ({"period": "weekly", "last_day": 4}, "2026-11-20", "2026-11-20", "2026-11-26"),
        ({"period": "weekly", "last_day": 5}, "2026-11-20", "2026-11-14", "2026-11-20"),
        ({"period": "monthly", "last_day": 31}, "2026-02-10", "2026-02-01", "2026-02-28"),
        ({"period": "monthly", "last_day": 25}, "2026-11-25", "2026-10-26", "2026-11-25"),
        ({"period": "monthly", "last_day": 25}, "2026-11-26", "2026-11-26", "2026-12-25"),
        ({"period": "monthly", "last_day": 30}, "2026-03-01", "2026-03-01", "2026-03-30"),
        ({"period": "monthly", "last_day": 31}, "2026-01-05", "2026-01-01", "2026-01-31"),
    ],
)
def test_a_period_has_the_days_that_the_calendar_says(
    rule: dict[str, Any], day: str, first: str, last: str
) -> None:
    found = period_of(_terms(**rule), date.fromisoformat(day))
    assert (found.first.isoformat(), found.last.isoformat()) == (first, last)


def test_periods_follow_each_other_without_a_gap_and_never_span_two_rules() -> None:
    calendars: tuple[dict[str, Any], ...] = (
        {"period": "daily"},
        *({"period": "weekly", "last_day": day} for day in range(1, 8)),
        *({"period": "monthly", "last_day": day} for day in range(1, 32)),
    )
    for rule in calendars:
        terms = _terms(**rule, since=date(2026, 1, 9), until=date(2028, 3, 5))
        day = terms.since
        while day < date(2028, 3, 5):
            found = period_of(terms, day)
            assert found.first == day
            assert all(period_of(terms, inner) == found for inner in (found.first, found.last))
            day = found.last + A_DAY
        assert day == terms.until


def test_a_rule_of_settling_that_cannot_be_is_refused_at_its_field() -> None:
    for name, value in (
        ("last_day", 8),
        ("period", "hourly"),
        ("close_days", 0),
        ("fee_basis_points", 10_001),
        ("fee_bearer", "citizen"),
        ("silence", None),
    ):
        with pytest.raises(RuleContentWrong) as refused:
            check_content("settlement", {**TERMS, "period": "weekly", name: value})
        assert refused.value.pointer == f"/content/{name}"
