"""Each method gives exact milligrams, refuses by name, and says the same for one row and for many."""

import math
from collections.abc import Mapping
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.errors import (
    FactorUnitDoesNotFit,
    InputMissing,
    InputNegative,
    InputNotWhole,
    InputTooLarge,
    InputUnknown,
    MethodUnknown,
    QuantityAboveLimit,
    QuantityBelowLimit,
)
from carbon.methodologies.inputs import INPUTS, KNOWN_INPUTS
from carbon.methodologies.method import INPUT_REFUSALS, Method
from carbon.methodologies.project import AS_VERIFIED
from carbon.methodologies.registry import METHODS, find_method
from kernel.errors import Refusal
from kernel.units import INT64_MAX

UNITS = {
    "per_person_km": "g/person-km",
    "per_trip": "g/trip",
    "per_count": "g/piece",
    "per_mass": "g/kg",
    "saving_electricity": "kgCO2/kWh",
    "saving_water": "kgCO2e/t-water",
    "saving_gas": "kgCO2/m3",
    "saving_heat": "kgCO2/GJ",
    "generation": "kgCO2/kWh",
    "charging": "kgCO2/kWh",
    "day_block": "kgCO2/12days",
    "deemed_monthly": "kg/month",
    "growth": "kgCO2/m3",
    "per_step": "g/step",
    "project": "kg/verified-kg",
    "emission_electricity": "kgCO2/kWh",
    "emission_heat": "kgCO2/GJ",
    "emission_fuel_volume": "kgCO2/L",
    "emission_fuel_mass": "kgCO2/kg",
    "emission_person_km": "kgCO2e/person-km",
    "emission_vehicle_km": "kgCO2e/vehicle-km",
    "emission_area": "kgCO2/m2",
}


@pytest.mark.parametrize(
    ("name", "value", "unit", "inputs", "carbon_mg"),
    [
        ("per_person_km", "46.7", "g/person-km", {"distance_m": 10_000}, 467_000),
        ("per_person_km", "46.7", "g/person-km", {"distance_m": 0}, 0),
        ("per_person_km", "46.7", "g/person-km", {"distance_m": 1}, 46),
        ("per_trip", "107.6", "g/trip", {"trips": 1}, 107_600),
        ("per_count", "6.4", "kgCO2/piece", {"count": 2}, 12_800_000),
        ("per_mass", "0.47", "kgCO2/0.5kg", {"mass_g": 1_000}, 940_000),
        (
            "saving_electricity",
            "0.4403",
            "kgCO2/kWh",
            {"baseline_wh": 200_000, "actual_wh": 165_000},
            15_410_500,
        ),
        ("saving_electricity", "0.4403", "kgCO2/kWh", {"baseline_wh": 1, "actual_wh": 2}, 0),
        ("saving_electricity", "0.1564", "kgCO2/kWh", {"saved_wh": 35_000}, 5_474_000),
        ("saving_water", "0.168", "kgCO2e/t-water", {"saved_ml": 3_000_000}, 504_000),
        ("saving_water", "0.168", "kgCO2e/t-water", {"baseline_ml": 5, "actual_ml": 5}, 0),
        ("project", "1", "kg/verified-kg", {"verified_mg": 123}, 123),
    ],
)
def test_a_method_gives_exact_milligrams(
    name: str, value: str, unit: str, inputs: dict[str, int], carbon_mg: int
) -> None:
    method = find_method(name)
    assert method.assess(inputs, method.factor(value=value, unit=unit)).carbon_mg == carbon_mg


def milligrams(kilograms: Fraction) -> int:
    """What is stored of an exact figure: its floor."""
    return math.floor(kilograms * 10**6)


@pytest.mark.parametrize(
    ("name", "value", "unit", "inputs", "kilograms"),
    [
        ("saving_gas", "2.16219", "kgCO2/m3", {"saved_gas_ml": 10_000_000}, 10 * Fraction("2.16219")),
        ("saving_gas", "2.16219", "kgCO2/m3", {"saved_gas_ml": 1}, Fraction("2.16219") / 10**6),
        (
            "saving_gas",
            "2.184",
            "kgCO2/m3",
            {"baseline_gas_ml": 30_000_000, "actual_gas_ml": 24_750_001},
            Fraction(30_000_000 - 24_750_001, 10**6) * Fraction("2.184"),
        ),
        ("saving_gas", "2.184", "kgCO2/m3", {"baseline_gas_ml": 7, "actual_gas_ml": 8}, Fraction(0)),
        ("saving_heat", "110", "kgCO2/GJ", {"saved_kj": 1_234_567}, Fraction("1.234567") * 110),
        ("saving_heat", "0.06", "tCO2/GJ", {"saved_kj": 999}, Fraction(999, 10**6) * 60),
        ("saving_heat", "54.8", "gCO2/MJ", {"saved_kj": 7}, Fraction(7, 10**3) * Fraction("54.8") / 10**3),
        (
            "saving_heat",
            "85.4",
            "kgCO2/GJ",
            {"baseline_kj": 24_000_000, "actual_kj": 23_999_999},
            Fraction("85.4") / 10**6,
        ),
        ("generation", "0.42", "kgCO2/kWh", {"generated_wh": 1_100_000_000}, 1_100_000 * Fraction("0.42")),
        ("generation", "0.4419", "kgCO2/kWh", {"generated_wh": 1}, Fraction("0.4419") / 1_000),
        ("charging", "0.3125", "kgCO2/kWh", {"charged_wh": 33_333}, Fraction("33.333") * Fraction("0.3125")),
        ("day_block", "98", "kgCO2/12days", {"standing_hours": 23}, Fraction(0)),
        ("day_block", "98", "kgCO2/12days", {"standing_hours": 24}, Fraction(98, 12)),
        ("day_block", "98", "kgCO2/12days", {"standing_hours": 5 * 24 + 23}, 5 * Fraction(98, 12)),
        ("day_block", "98", "kgCO2/12days", {"standing_hours": 12 * 24}, Fraction(98)),
        ("day_block", "8.2", "kgCO2/day", {"standing_hours": 72}, 3 * Fraction("8.2")),
        ("growth", "1.83", "tCO2/m3", {"growth_l": 12_000, "buffer_permille": 0}, Fraction(12 * 1_830)),
        ("growth", "1.83", "tCO2/m3", {"growth_l": 12_000, "buffer_permille": 1_000}, Fraction(0)),
        (
            "growth",
            "1.83",
            "tCO2/m3",
            {"growth_l": 7, "buffer_permille": 333},
            Fraction(7, 1_000) * Fraction(667, 1_000) * 1_830,
        ),
        ("per_step", "0.02", "gCO2/step", {"steps": 7_250}, 7_250 * Fraction("0.02") / 1_000),
        ("per_step", "0.0000005", "gCO2/step", {"steps": 3_999}, 3_999 * Fraction("0.0000000005")),
        ("deemed_monthly", "12.345678", "kgCO2/month", {"months": 7}, 7 * Fraction("12.345678")),
        (
            "emission_electricity",
            "0.5306",
            "kgCO2/kWh",
            {"actual_wh": 15_001},
            Fraction("15.001") * Fraction("0.5306"),
        ),
        ("emission_heat", "0.11", "tCO2/GJ", {"actual_kj": 1_234_567}, Fraction("1.234567") * 110),
        (
            "emission_fuel_volume",
            "2.179",
            "kgCO2/L",
            {"fuel_ml": 8_003},
            Fraction("8.003") * Fraction("2.179"),
        ),
        (
            "emission_fuel_volume",
            "2.184",
            "kgCO2/m3",
            {"fuel_ml": 2_000_000_007},
            Fraction("2000.000007") * Fraction("2.184"),
        ),
        (
            "emission_fuel_mass",
            "2.9538",
            "kgCO2/kg",
            {"mass_g": 14_501},
            Fraction("14.501") * Fraction("2.9538"),
        ),
        (
            "emission_person_km",
            "0.10385",
            "kgCO2e/person-km",
            {"distance_m": 10_007},
            Fraction("10.007") * Fraction("0.10385"),
        ),
        (
            "emission_vehicle_km",
            "0.16725",
            "kgCO2e/vehicle-km",
            {"vehicle_distance_m": 10_000, "share_permille": 625},
            Fraction(10) / Fraction("1.6") * Fraction("0.16725"),
        ),
        (
            "emission_vehicle_km",
            "0.16725",
            "kgCO2e/vehicle-km",
            {"vehicle_distance_m": 10_001, "share_permille": 333},
            Fraction(10_001 * 333 // 1_000, 1_000) * Fraction("0.16725"),
        ),
        ("emission_area", "50", "kgCO2/m2", {"area_m2": 61}, Fraction(3_050)),
    ],
)
def test_a_method_gives_the_floor_of_the_exact_figure(
    name: str, value: str, unit: str, inputs: dict[str, int], kilograms: Fraction
) -> None:
    method = find_method(name)
    factor = method.factor(value=value, unit=unit)
    assert method.assess(inputs, factor).carbon_mg == milligrams(kilograms)
    assert _one_row(method, inputs, factor) == milligrams(kilograms)


@pytest.mark.parametrize(
    ("name", "inputs", "refusal", "pointer"),
    [
        ("per_trip", {}, InputMissing, "/trips"),
        ("per_trip", {"distance_m": 1}, InputUnknown, "/distance_m"),
        ("per_trip", {"trips": 1, "price": 2}, InputUnknown, "/price"),
        ("per_trip", {"trips": True}, InputNotWhole, "/trips"),
        ("per_trip", {"trips": 1.0}, InputNotWhole, "/trips"),
        ("per_trip", {"trips": "1"}, InputNotWhole, "/trips"),
        ("per_trip", {"trips": float("nan")}, InputNotWhole, "/trips"),
        ("per_trip", {"trips": None}, InputNotWhole, "/trips"),
        ("per_trip", {"trips": -1}, InputNegative, "/trips"),
        ("per_trip", {"trips": 2**63}, InputTooLarge, "/trips"),
        ("saving_electricity", {"baseline_wh": 1}, InputMissing, "/actual_wh"),
        ("saving_electricity", {"baseline_wh": 1, "saved_wh": 1}, InputUnknown, "/baseline_wh"),
        (
            "saving_electricity",
            {"baseline_wh": 1, "actual_wh": 1, "saved_wh": 1},
            InputUnknown,
            "/actual_wh",
        ),
        ("saving_water", {"saved_wh": 1}, InputUnknown, "/saved_wh"),
        ("saving_gas", {"saved_ml": 1}, InputUnknown, "/saved_ml"),
        ("saving_gas", {"baseline_ml": 2, "actual_ml": 1}, InputUnknown, "/actual_ml"),
        ("saving_gas", {"actual_gas_ml": 1}, InputMissing, "/baseline_gas_ml"),
        ("saving_heat", {"baseline_kj": 1, "saved_kj": 1}, InputUnknown, "/baseline_kj"),
        ("generation", {"saved_wh": 1}, InputUnknown, "/saved_wh"),
        ("charging", {"generated_wh": 1}, InputUnknown, "/generated_wh"),
        ("day_block", {"standing_hours": 23.5}, InputNotWhole, "/standing_hours"),
        ("growth", {"growth_l": 1}, InputMissing, "/buffer_permille"),
        ("growth", {"growth_l": 1, "buffer_permille": 1_001}, InputTooLarge, "/buffer_permille"),
        ("growth", {"growth_l": 2**63 // 1_000 + 1, "buffer_permille": 0}, InputTooLarge, "/growth_l"),
        ("growth", {"growth_l": 2**63, "buffer_permille": -1}, InputNegative, "/buffer_permille"),
        ("per_step", {"steps": 2**63}, InputTooLarge, "/steps"),
        ("deemed_monthly", {"months": 0.5}, InputNotWhole, "/months"),
        ("saving_water", {"baseline_ml": 5, "actual_ml": -1}, InputNegative, "/actual_ml"),
        ("emission_vehicle_km", {"vehicle_distance_m": 1}, InputMissing, "/share_permille"),
        (
            "emission_vehicle_km",
            {"vehicle_distance_m": 1, "share_permille": 1_001},
            InputTooLarge,
            "/share_permille",
        ),
        (
            "emission_vehicle_km",
            {"vehicle_distance_m": 2**63 // 1_000 + 1, "share_permille": 0},
            InputTooLarge,
            "/vehicle_distance_m",
        ),
        ("emission_person_km", {"vehicle_distance_m": 1}, InputUnknown, "/vehicle_distance_m"),
        ("emission_electricity", {"saved_wh": 1}, InputUnknown, "/saved_wh"),
        ("emission_fuel_volume", {"fuel_ml": 0.5}, InputNotWhole, "/fuel_ml"),
    ],
)
def test_an_input_that_does_not_belong_is_refused_with_its_name(
    name: str, inputs: dict[str, int], refusal: type[Refusal], pointer: str
) -> None:
    method = find_method(name)
    factor = method.factor(value="1", unit=UNITS[name])
    with pytest.raises(refusal) as caught:
        method.assess(inputs, factor)
    assert caught.value.pointer == pointer


def test_a_quantity_outside_the_published_limits_is_refused() -> None:
    method = find_method("per_trip")
    factor = method.factor(value="1", unit="g/trip", quantity_min=2, quantity_max=4)
    assert method.assess({"trips": 4}, factor).carbon_mg == 4_000
    with pytest.raises(QuantityBelowLimit):
        method.assess({"trips": 1}, factor)
    with pytest.raises(QuantityAboveLimit):
        method.assess({"trips": 5}, factor)


def test_a_factor_of_another_method_is_refused() -> None:
    per_trip, per_km = find_method("per_trip"), find_method("per_person_km")
    with pytest.raises(FactorUnitDoesNotFit):
        per_trip.assess({"trips": 1}, per_km.factor(value="1", unit="g/person-km"))


def test_an_unknown_method_or_version_is_refused() -> None:
    for name, version in (("per_mile", 1), ("per_trip", 2)):
        with pytest.raises(MethodUnknown):
            find_method(name, version)


def test_a_project_is_credited_as_verified_up_to_its_limit() -> None:
    project = find_method("project")
    most = AS_VERIFIED.quantity_max
    assert most == 9_223_372_036_854
    assert project.assess({"verified_mg": most}, AS_VERIFIED).carbon_mg == most
    with pytest.raises(QuantityAboveLimit):
        project.assess({"verified_mg": most + 1}, AS_VERIFIED)


def test_the_steps_show_every_number_and_the_rounding() -> None:
    method = find_method("per_person_km")
    steps = method.assess({"distance_m": 12_345}, method.factor(value="46.7", unit="gCO2/person-km")).steps
    assert [(step.expression, step.value_before_rounding, step.value_after, step.unit) for step in steps] == [
        ("12345 m", "12345", "12345", "person-m"),
        ("46.7 gCO2/person-km", "46700000", "46700000", "ng/person-m"),
        ("12345 person-m × 46700000 ng/person-m", "576511500000", "576511500000", "ng"),
        ("576511500000 ng ÷ 1000000", "576511.5", "576511", "mg"),
    ]


def test_the_steps_of_a_saving_show_the_baseline() -> None:
    method = find_method("saving_electricity")
    factor = method.factor(value="0.4403", unit="kgCO2/kWh")
    first = method.assess({"baseline_wh": 200_000, "actual_wh": 165_000}, factor).steps[0]
    assert first.expression == "max(200000 Wh − 165000 Wh, 0)"
    assert first.value_after == "35000"


def test_the_steps_of_a_figure_for_twelve_days_divide_it_last() -> None:
    method = find_method("day_block")
    steps = method.assess({"standing_hours": 47}, method.factor(value="98", unit="kgCO2/12days")).steps
    assert [(step.expression, step.value_before_rounding, step.value_after, step.unit) for step in steps] == [
        ("⌊47 h ÷ 24⌋", "1", "1", "day"),
        ("98 kgCO2/12days", "98000000000000", "98000000000000", "ng/12days"),
        ("1 day × 98000000000000 ng/12days", "98000000000000", "98000000000000", "ng/12"),
        ("98000000000000 ng ÷ 12", "98000000000000/12", "8166666666666", "ng"),
        ("8166666666666 ng ÷ 1000000", "8166666.666666", "8166666", "mg"),
    ]


def test_any_change_of_a_number_changes_the_digest() -> None:
    method = find_method("saving_electricity")
    factor = method.factor(value="0.4403", unit="kgCO2/kWh")
    base = method.assess({"baseline_wh": 2, "actual_wh": 1}, factor)
    again = method.assess({"actual_wh": 1, "baseline_wh": 2}, factor)
    others = [
        method.assess({"baseline_wh": 3, "actual_wh": 2}, factor),
        method.assess({"saved_wh": 1}, factor),
        method.assess({"baseline_wh": 2, "actual_wh": 1}, method.factor(value="0.44030", unit="kgCO2/kWh")),
    ]
    assert base == again
    assert base.digest() == again.digest()
    assert base.digest().hex() == "8adfaf9458ad71c8dbfd03c7692d963e815cfea3c48cf3e182fe2318812d4cfb"
    assert len({base.digest(), *(other.digest() for other in others)}) == 4


def _one_row(method: Method, inputs: Mapping[str, int], factor: MethodFactor) -> int | str:
    """What the frame form says: milligrams or the code of a refusal."""
    frame = pl.DataFrame(
        {name: pl.Series([inputs.get(name)], dtype=pl.Int64) for name in KNOWN_INPUTS},
    ).with_columns(
        code=method.refusal_expression(
            quantity_min=pl.lit(factor.quantity_min), quantity_max=pl.lit(factor.quantity_max)
        ),
        carbon_mg=method.carbon_mg_expression(pl.lit(factor.value_ng)),
    )
    code, carbon_mg = frame.row(0)[-2:]
    return code if code is not None else int(carbon_mg)


def _scalar(method: Method, inputs: Mapping[str, int], factor: MethodFactor) -> int | str:
    try:
        return int(method.assess(inputs, factor).carbon_mg)
    except Refusal as refusal:
        return refusal.code


AMOUNTS = st.one_of(
    st.integers(0, 10**6),
    st.integers(0, INT64_MAX),
    st.integers(0, 1_001),
    st.sampled_from([0, 1, -1, -(2**63), INT64_MAX, INT64_MAX - 1, INT64_MAX // 1_000, 2**31, 2**32]),
)


@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(data=st.data(), name=st.sampled_from(sorted(METHODS)), value=st.integers(0, 10**7))
def test_one_row_and_many_rows_say_the_same(data: st.DataObject, name: str, value: int) -> None:
    method = find_method(name)
    factor = method.factor(
        value=f"{value // 100}.{value % 100:02d}",
        unit=UNITS[name],
        quantity_min=data.draw(st.sampled_from([0, 0, 1, 100])),
        quantity_max=data.draw(st.none() | st.integers(100, INT64_MAX)),
    )
    own = sorted(item.name for each in method.input_sets for item in each.inputs)
    names = data.draw(
        st.one_of(
            st.sampled_from([sorted(each.names) for each in method.input_sets]),
            st.lists(st.sampled_from(own), unique=True),
            st.lists(
                st.sampled_from(sorted(INPUTS if method.credits else KNOWN_INPUTS)), unique=True, max_size=3
            ),
        )
    )
    inputs = {each: data.draw(AMOUNTS) for each in names}
    said = _scalar(method, inputs, factor)
    assert _one_row(method, inputs, factor) == said
    assert isinstance(said, int) or said in {refusal.code for refusal in INPUT_REFUSALS}


@pytest.mark.parametrize(
    ("growth_l", "buffer_permille", "said"),
    [
        (1, 1_001, "input_too_large"),
        (INT64_MAX // 1_000 + 1, 0, "input_too_large"),
        (INT64_MAX // 1_000 + 1, 1_000, "input_too_large"),
        (INT64_MAX, 999, "input_too_large"),
        (INT64_MAX, -1, "input_negative"),
        (-1, 1_001, "input_negative"),
        (INT64_MAX // 1_000, 0, "quantity_above_limit"),
        (INT64_MAX // 1_000, 1_000, 0),
    ],
)
def test_growth_beyond_what_an_input_can_be_is_refused_in_both_forms(
    growth_l: int, buffer_permille: int, said: int | str
) -> None:
    method = find_method("growth")
    factor = method.factor(value="1.83", unit="tCO2/m3")
    inputs = {"growth_l": growth_l, "buffer_permille": buffer_permille}
    assert _one_row(method, inputs, factor) == _scalar(method, inputs, factor) == said


@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(quantity=st.integers(0, INT64_MAX), value=st.integers(1, 10**9))
@example(quantity=INT64_MAX, value=1)
def test_no_quantity_within_the_limit_wraps_around(quantity: int, value: int) -> None:
    method = find_method("per_trip")
    factor = method.factor(value=str(value), unit="mg/trip")
    assume(quantity <= factor.quantity_max)
    assert _one_row(method, {"trips": quantity}, factor) == quantity * value


def test_the_limit_itself_is_credited_and_one_more_is_refused_in_both_forms() -> None:
    for name, method in METHODS.items():
        factor = method.factor(value="0.01", unit=UNITS[name])
        inputs = _inputs_of(method, factor.quantity_max)
        assert method.quantity(inputs) == factor.quantity_max
        most = factor.quantity_max * factor.value_ng // (method.measure.parts * 10**6)
        assert _one_row(method, inputs, factor) == _scalar(method, inputs, factor) == most
        inputs = _inputs_of(method, factor.quantity_max + 1)
        assert _one_row(method, inputs, factor) == _scalar(method, inputs, factor) == "quantity_above_limit"


def _inputs_of(method: Method, quantity: int) -> dict[str, int]:
    """Inputs that give this quantity."""
    item = method.input_sets[-1].inputs[0].name
    inputs = {item: quantity * {"standing_hours": 24}.get(item, 1)}
    return inputs | {
        "growth": {"buffer_permille": 999},
        "emission_vehicle_km": {"share_permille": 1_000},
    }.get(method.name, {})
