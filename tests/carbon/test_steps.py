"""Lines of one chunk that depend on each other come to what they would come to one after the other."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text

from carbon.activities.chunks import chunks_of
from carbon.activities.intake import take_chunk
from carbon.activities.steps import STEPS_MOST, steps_of
from kernel.call import Call
from tests.carbon.city import OFFICIAL, City, lines, plant_city, publish_rule, ride
from tests.carbon.test_corrections import Rider
from tests.carbon.test_intake import activities, broken
from tests.conftest import NOW

Row = dict[str, Any]
A, B = "card-017", "card-018"
FREE = 600
"""Metres of a ride that no cap cuts; the day's cap is 30 coins, which 6,424 metres bring."""


@pytest.fixture
def city(call: Call) -> City:
    made = plant_city(call, OFFICIAL, "tap_water_national.yaml")
    publish_rule(call, "factor_fallback", "household_water_saving", {"region_id": "CN"})
    made.bind(call, [A, B])
    return made


def left(call: Call) -> list[str]:
    """Every activity and what caps count."""
    found = [
        (
            each.source_event_id,
            each.revision,
            each.citizen_id,
            each.carbon_mg,
            each.coin_milli,
            each.coin_cut_milli,
        )
        for each in activities(call)
    ]
    used = call.db.execute(text("SELECT CAST(holder_id AS text), used FROM cap_usage"))
    return sorted(map(str, found)) + sorted(map(str, used))


def alone_and_together(call: Call, city: City, *rows: Row) -> list[tuple[str, str | None]]:
    """What the lines come to in one chunk, which is what they come to in a chunk each."""
    frame = lines(*rows)
    point = call.db.begin_nested()
    alone = [_told(call, city, line) for line in frame.iter_slices(1)]
    left_alone = left(call)
    point.rollback()
    call.db.expire_all()
    together = [
        _IN_FILE.get(told, told)
        for told in take_chunk(call, city.intake(), frame).select("outcome", "code").rows()
    ]
    assert together == [told for (told,) in alone]
    assert left(call) == left_alone
    assert broken(call) == []
    return together


def _told(call: Call, city: City, line: pl.DataFrame) -> list[tuple[str, str | None]]:
    return take_chunk(call, city.intake(), line).select("outcome", "code").rows()


CREDITED, ASSESSED = ("credited", None), ("assessed", "below_one_milligram")
DUPLICATE, DIFFERS = ("duplicate", "duplicate"), ("rejected", "record_differs")
UNKNOWN = ("rejected", "revision_unknown")
_IN_FILE = {
    ("duplicate", "duplicate_in_file"): DUPLICATE,
    ("rejected", "content_differs_in_file"): DIFFERS,
}


def test_one_event_of_two_cards_is_not_a_duplicate(call: Call, city: City) -> None:
    told = alone_and_together(call, city, ride("e", A, metres=FREE), ride("e", B, metres=FREE))
    assert told == [CREDITED, DIFFERS]


def test_who_repeats_a_line_that_differs_from_the_record_taken_differs_as_well(
    call: Call, city: City
) -> None:
    take_chunk(call, city.intake(), lines(ride("e", metres=FREE)))
    other = ride("e", metres=FREE + 1)
    assert alone_and_together(call, city, other, other, ride("e", metres=FREE), ride("f", metres=FREE)) == [
        DIFFERS,
        DIFFERS,
        DUPLICATE,
        CREDITED,
    ]


def test_a_correction_that_came_too_early_counts_when_it_comes_again(call: Call, city: City) -> None:
    fix = ride("e", metres=FREE, corrects_revision=1)
    told = alone_and_together(call, city, fix, fix, ride("e", metres=2 * FREE), fix, fix)
    assert told == [UNKNOWN, UNKNOWN, CREDITED, CREDITED, DUPLICATE]


@pytest.mark.parametrize(
    "rows",
    [
        [ride("e", metres=7_000), ride("e", metres=0, corrects_revision=1), ride("f", metres=7_000)],
        [ride("e", metres=7_000), ride("f", metres=7_000), ride("e", metres=0, corrects_revision=1)],
        [
            ride("e", metres=5_000),
            ride("f", metres=5_000),
            ride("e", metres=9_000, corrects_revision=1),
            ride("f", metres=0, corrects_revision=1),
            ride("g", metres=5_000),
        ],
        [ride("f", metres=9_000, corrects_revision=1), ride("e", metres=9_000), ride("f", metres=9_000)],
    ],
)
def test_a_cap_is_filled_and_given_back_in_the_order_of_the_lines(
    call: Call, city: City, rows: list[Row]
) -> None:
    alone_and_together(call, city, *rows)


def test_a_cap_that_stands_full_is_given_back_after_the_lines_before(call: Call, city: City) -> None:
    take_chunk(call, city.intake(), lines(ride("e", metres=9_000), ride("o", B, metres=9_000)))
    told = alone_and_together(
        call,
        city,
        ride("f", metres=9_000),
        ride("p", B, metres=FREE),
        ride("e", metres=0, corrects_revision=1),
        ride("o", B, metres=0, corrects_revision=1),
        ride("g", metres=FREE),
    )
    assert told == [CREDITED, CREDITED, ASSESSED, ASSESSED, CREDITED]
    given = {each.source_event_id: each.coin_milli for each in activities(call) if each.coin_milli}
    assert given == {"e": 30_000, "o": 30_000, "g": 2_802}


def test_coins_of_later_lines_do_not_pay_for_what_was_spent(call: Call) -> None:
    rider = Rider(call, plant_city(call))
    rider.send(FREE)
    rider.spend()
    rows = [ride("e1", metres=0, corrects_revision=1), ride("e2", metres=FREE)]
    take_chunk(call, rider.city.intake(), lines(*rows))
    assert rider.available() == 2_802
    assert rider.borne() == [2_802]
    assert broken(call) == []


def saving(event: str, *, start: int, end: int, **more: Any) -> Row:
    """A saving of water between two days, by readings."""
    fields = {
        "scenario": "household_water_saving",
        "started_at": NOW - timedelta(days=start),
        "occurred_at": NOW - timedelta(days=end),
        "baseline_ml": 400_000,
        "actual_ml": 200_000,
        **more,
    }
    return ride(event, A, metres=None, **fields)


TAKEN = ("rejected", "meter_interval_taken")


def test_days_of_a_meter_are_free_after_the_correction_that_frees_them(call: Call, city: City) -> None:
    take_chunk(call, city.intake(), lines(saving("e", start=40, end=20)))
    told = alone_and_together(
        call,
        city,
        saving("f", start=30, end=25),
        saving("e", start=20, end=10, corrects_revision=1),
        saving("g", start=35, end=25),
    )
    assert told == [TAKEN, CREDITED, CREDITED]


def test_a_line_whose_days_are_taken_leaves_its_name_to_the_next(call: Call, city: City) -> None:
    take_chunk(call, city.intake(), lines(saving("e", start=40, end=20)))
    taken = saving("f", start=30, end=15)
    told = alone_and_together(
        call,
        city,
        taken,
        taken,
        saving("f", start=20, end=15),
        saving("g", start=18, end=12),
        taken,
    )
    assert told == [TAKEN, TAKEN, CREDITED, TAKEN, DIFFERS]


def test_a_day_that_a_repetition_names_is_not_kept_from_others(call: Call, city: City) -> None:
    told = alone_and_together(
        call,
        city,
        saving("e", start=40, end=30),
        saving("e", start=30, end=20),
        saving("f", start=30, end=20),
        saving("e", start=40, end=30),
    )
    assert told == [CREDITED, DIFFERS, CREDITED, DUPLICATE]


def test_lines_that_leave_each_other_alone_share_a_step() -> None:
    """A fact's lines go one a step, a correction is alone of its person's; others wait for nobody."""
    frame = lines(
        ride("a", A),
        ride("b", A),
        ride("c", B),
        ride("a", A, corrects_revision=1),
        ride("d", A),
        ride("e", A),
        ride("a", A, corrects_revision=2),
        ride("f", B),
        ride("b", B),
    )
    assert steps_of(frame, person="subject").to_list() == [0, 0, 0, 1, 2, 2, 3, 0, 1]


def test_a_chunk_ends_before_one_card_needs_too_many_steps() -> None:
    records = [ride(f"e{number}") for number in range(STEPS_MOST)]
    fixes = [ride(f"e{number}", corrects_revision=1) for number in range(STEPS_MOST)]
    chunks = [chunk.height for chunk in chunks_of([lines(*records, *fixes)], size=lambda: 100)]
    assert chunks == [2 * STEPS_MOST - 1, 1]
