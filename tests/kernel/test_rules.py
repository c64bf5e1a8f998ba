"""Rules as services read them: typed, of one shape each, dated."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.publications import rules
from kernel.publications.errors import NoRuleInForce, RuleContentWrong, RuleKindUnknown
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.shapes import SHAPES
from tests.conftest import REGION

FIRST = date(2026, 1, 1)
DAY = date(2026, 2, 28)
SAVING = dict(SHAPES["household_saving"].example)


def an_operator(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


def proposal(kind: str, subject: str, content: dict[str, Any]) -> Draft:
    return Draft(
        region_id=REGION,
        kind=kind,
        subject=subject,
        title=kind,
        content=content,
        source="demo city",
        effective_from=FIRST,
    )


def put_in_force(call: Call, kind: str, subject: str, **content: Any) -> None:
    drafted = draft(an_operator(call), proposal(kind, subject, content))
    publish(an_operator(call), drafted.id, reason="demo city")


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("coin_rate", {"coins_milli": 1000}),
        ("coin_rate", {"coins_milli": 1000, "per_mg": 10_000, "more": 1}),
        ("coin_rate", {"coins_milli": 1000, "per_mg": 0}),
        ("coin_rate", {"coins_milli": True, "per_mg": 1}),
        ("cap", {"scenarios": [], "period": "day", "coins_milli": 1}),
        ("cap", {"scenarios": ["metro_ride"], "period": "week", "coins_milli": 1}),
        ("validity", {"months": 120}),
        ("household_saving", {**SAVING, "baselines": []}),
        ("household_saving", {**SAVING, "baselines": ["own_same_month", "own_same_month"]}),
        ("household_saving", {**SAVING, "baselines": ["of_the_world"]}),
        ("household_saving", {**SAVING, "baselines": "own_same_month"}),
        ("household_saving", {**SAVING, "city_person_day": [1] * 11}),
        ("household_saving", {**SAVING, "city_person_day": [*[1] * 11, -1]}),
        ("household_saving", {**SAVING, "city_person_day": [*[1] * 11, True]}),
        ("household_saving", {**SAVING, "solar": "maybe"}),
    ],
)
def test_a_rule_in_another_shape_is_refused(call: Call, kind: str, content: dict[str, Any]) -> None:
    with pytest.raises(RuleContentWrong):
        draft(an_operator(call), proposal(kind, "x", content))


def test_a_rule_of_an_unknown_kind_is_refused(call: Call) -> None:
    with pytest.raises(RuleKindUnknown):
        draft(an_operator(call), proposal("weather", "x", {}))


def test_single_figures_are_read_with_their_unit(call: Call) -> None:
    put_in_force(call, "prepare_lock", "standard", seconds=60)
    put_in_force(call, "reversal_window", "standard", hours=24)
    put_in_force(call, "grace", "standard", days=30)
    put_in_force(call, "spending_order", "standard", classes=["promotional", "standard"])
    readers: list[tuple[Callable[..., object], object]] = [
        (rules.prepare_lock, timedelta(seconds=60)),
        (rules.reversal_window, timedelta(hours=24)),
        (rules.grace, timedelta(days=30)),
        (rules.spending_order, ("promotional", "standard")),
    ]
    for reader, value in readers:
        assert reader(call, REGION, day=DAY) == value
        with pytest.raises(NoRuleInForce):
            reader(call, REGION, day=FIRST - timedelta(days=1))


def test_coins_are_valid_to_the_end_of_the_month(call: Call) -> None:
    put_in_force(call, "validity", "standard", months=24)
    put_in_force(call, "validity", "promotional", months=3)
    ends = rules.first_invalid_day
    assert ends(call, REGION, validity_class="standard", credited_on=DAY) == date(2028, 3, 1)
    assert ends(call, REGION, validity_class="promotional", credited_on=DAY) == date(2026, 6, 1)


def test_one_coin_for_each_ten_grams_is_floored(call: Call) -> None:
    put_in_force(call, "coin_rate", "standard", coins_milli=1000, per_mg=10_000)
    rate = rules.coin_rate(call, REGION, day=DAY)
    assert [rate.coins_for(mg) for mg in (10_000, 19, 9, 107_600)] == [1000, 1, 0, 10_760]


def test_a_cap_names_its_scenarios_and_its_period(call: Call) -> None:
    transit = ["metro_ride", "bus_ride"]
    put_in_force(call, "cap", "transit", scenarios=transit, period="day", coins_milli=30_000)
    put_in_force(call, "cap", "household", scenarios=["water"], period="month", coins_milli=100_000)
    found = rules.caps(call, REGION, day=DAY)
    bus, water = rules.cap_of(found, "bus_ride"), rules.cap_of(found, "water")
    assert bus is not None
    assert water is not None
    assert (bus.coins_milli, bus.period_start(DAY)) == (30_000, DAY)
    assert (water.coins_milli, water.period_start(DAY)) == (100_000, date(2026, 2, 1))
    assert rules.cap_of(found, "parcel_box") is None


def test_a_fallback_is_a_published_rule_or_there_is_none(call: Call) -> None:
    put_in_force(call, "factor_fallback", "household_water_saving", region_id="CN")
    found = rules.fallback(call, REGION, scenario="household_water_saving", day=DAY)
    assert found is not None
    assert found.region_id == "CN"
    assert rules.fallback(call, REGION, scenario="metro_ride", day=DAY) is None
