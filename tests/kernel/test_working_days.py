"""Working days: the State Council's own years, and years made up by chance, against a count by hand.

2025: 国办发明电〔2024〕12号; 2026: the notice of 4 November 2025. What Hypothesis draws is made up.
"""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.publications.errors import CalendarMissing, RuleContentWrong
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.working_calendars import WorkingYear, calendar_fault, count
from kernel.publications.working_days import nth_working_day_after
from tests.conftest import REGION
from tests.kernel.arrangements import ARRANGEMENTS, arranged

PLAIN = WorkingYear(frozenset(), frozenset())


def publish_year(call: Call, year: int, content: dict[str, Any] | None = None) -> None:
    proposal = Draft(
        region_id=REGION,
        kind="working_calendar",
        subject=f"year_{year}",
        title=f"{year}",
        content=content or ARRANGEMENTS[year],
        source="State Council",
        effective_from=date(2024, 12, 1),
    )
    other = replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))
    publish(other, draft(call_of_somebody(call), proposal).id, reason="the printed notice")


def call_of_somebody(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


@pytest.mark.parametrize(
    ("given_on", "days", "last"),
    [
        # National Day of 2025: 1 to 8 October; Sunday 28 September and Saturday 11 October are worked.
        ("2025-09-25", 1, "2025-09-26"),
        ("2025-09-26", 1, "2025-09-28"),
        ("2025-09-26", 3, "2025-09-30"),
        ("2025-09-26", 4, "2025-10-09"),
        ("2025-09-26", 7, "2025-10-13"),
        ("2025-10-01", 1, "2025-10-09"),
        ("2025-10-10", 1, "2025-10-11"),
        ("2025-10-11", 1, "2025-10-13"),
        # Spring Festival of 2025: 28 January to 4 February; 26 January and 8 February are worked.
        ("2025-01-24", 1, "2025-01-26"),
        ("2025-01-24", 3, "2025-02-05"),
        ("2025-01-24", 6, "2025-02-08"),
        ("2025-01-24", 7, "2025-02-10"),
        # Spring Festival of 2026: 15 to 23 February; Saturdays 14 and 28 are worked.
        ("2026-02-12", 2, "2026-02-14"),
        ("2026-02-13", 7, "2026-03-02"),
        ("2026-02-14", 5, "2026-02-28"),
        # National Day of 2026: 1 to 7 October; Sunday 20 September and Saturday 10 October are worked.
        ("2026-09-18", 1, "2026-09-20"),
        ("2026-09-30", 4, "2026-10-12"),
        ("2026-09-29", 3, "2026-10-09"),
        ("2026-10-09", 1, "2026-10-10"),
        # The turn of the year asks both calendars.
        ("2025-12-31", 1, "2026-01-04"),
        ("2025-12-30", 3, "2026-01-05"),
        # An ordinary week.
        ("2026-11-20", 7, "2026-12-01"),
        ("2026-11-20", 0, "2026-11-20"),
    ],
)
def test_the_years_of_the_state_council(call: Call, given_on: str, days: int, last: str) -> None:
    for year in (2025, 2026):
        publish_year(call, year)
    found = nth_working_day_after(call, REGION, date.fromisoformat(given_on), days=days)
    assert found == date.fromisoformat(last)


def test_a_naive_count_of_weekdays_is_wrong_around_every_long_holiday() -> None:
    for start, holiday in (
        (date(2025, 9, 26), "National Day 2025"),
        (date(2025, 1, 24), "Spring Festival 2025"),
        (date(2026, 2, 12), "Spring Festival 2026"),
        (date(2026, 9, 29), "National Day 2026"),
    ):
        right = count(arranged, start, days=7)
        assert right != count(lambda _: PLAIN, start, days=7), holiday


def test_a_year_without_a_calendar_is_refused_not_guessed(call: Call) -> None:
    publish_year(call, 2026)
    assert nth_working_day_after(call, REGION, date(2026, 12, 28), days=3) == date(2026, 12, 31)
    with pytest.raises(CalendarMissing) as refused:
        nth_working_day_after(call, REGION, date(2026, 12, 28), days=4)
    assert refused.value.facts == {"year": 2027, "region": REGION}
    with pytest.raises(CalendarMissing):
        nth_working_day_after(call, "CN-GD", date(2026, 12, 1), days=1)


def test_a_calendar_that_is_not_in_force_yet_is_not_asked(call: Call) -> None:
    publish_year(call, 2026)
    early = replace(call, now=call.now.replace(year=2024, month=11))
    with pytest.raises(CalendarMissing):
        nth_working_day_after(early, REGION, date(2026, 3, 2), days=1)


@st.composite
def made_up_years(draw: st.DrawFn) -> dict[int, WorkingYear]:
    """Two years with holidays anywhere, and weekends worked anywhere."""
    made = {}
    for year in (2030, 2031):
        days = [date(year, 1, 1) + timedelta(days=number) for number in range(365)]
        weekends = [day for day in days if day.weekday() >= 5]
        workdays = draw(st.frozensets(st.sampled_from(weekends), max_size=20))
        holidays = draw(st.frozensets(st.sampled_from(days), max_size=40)) - workdays
        made[year] = WorkingYear(holidays, workdays)
    return made


@given(
    made_up_years(),
    st.integers(0, 364),
    st.integers(0, 60),
)
def test_between_the_notice_and_its_last_day_lie_exactly_its_working_days(
    years: dict[int, WorkingYear], start: int, days: int
) -> None:
    first = date(2030, 1, 1) + timedelta(days=start)
    last = count(lambda year: years[year], first, days=days)
    between = [first + timedelta(days=number) for number in range(1, (last - first).days + 1)]
    worked = [
        day
        for day in between
        if (day.weekday() < 5 or day in years[day.year].workdays) and day not in years[day.year].holidays
    ]
    assert len(worked) == days
    assert not days or worked[-1] == last


@given(made_up_years(), st.integers(0, 300), st.integers(0, 30), st.integers(0, 30))
def test_days_counted_in_two_goes_are_the_days_counted_in_one(
    years: dict[int, WorkingYear], start: int, some: int, more: int
) -> None:
    first = date(2030, 1, 1) + timedelta(days=start)
    halfway = count(lambda year: years[year], first, days=some)
    assert count(lambda year: years[year], halfway, days=more) == count(
        lambda year: years[year], first, days=some + more
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"holidays": ["2025-12-31"]}, "holidays"),
        ({"holidays": ["2026-02-30"]}, "holidays"),
        ({"holidays": ["2026-01-01", "2026-01-01"]}, "holidays"),
        ({"holidays": ["２０２６-01-01"]}, "holidays"),
        ({"holidays": ["New Year"]}, "holidays"),
        ({"workdays": ["2027-01-02"]}, "workdays"),
        ({"workdays": ["2026-01-05"]}, "workdays"),
        ({"holidays": ["2026-01-04"], "workdays": ["2026-01-04"]}, "workdays"),
    ],
)
def test_a_calendar_that_is_none_is_refused_with_the_field(
    call: Call, change: dict[str, Any], field: str
) -> None:
    content = {**ARRANGEMENTS[2026], **change}
    assert (calendar_fault(content) or ("",))[0] == field
    with pytest.raises(RuleContentWrong) as refused:
        publish_year(call, 2026, content)
    assert refused.value.pointer == f"/content/{field}"


def test_the_years_of_the_state_council_are_calendars() -> None:
    assert [calendar_fault(each) for each in ARRANGEMENTS.values()] == [None, None]
