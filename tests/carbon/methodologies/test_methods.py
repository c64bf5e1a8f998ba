"""Each method gives exact milligrams, refuses by name, and says the same for one row and for many."""

from collections.abc import Mapping

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
from carbon.methodologies.inputs import INPUTS
from carbon.methodologies.method import Method
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
    "project": "kg/verified-kg",
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
        ("saving_water", {"baseline_ml": 5, "actual_ml": -1}, InputNegative, "/actual_ml"),
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
        {name: pl.Series([inputs.get(name)], dtype=pl.Int64) for name in INPUTS},
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
    st.sampled_from([0, 1, -1, -(2**63), INT64_MAX, INT64_MAX - 1, 2**31, 2**32]),
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
            st.lists(st.sampled_from(sorted(INPUTS)), unique=True, max_size=3),
        )
    )
    inputs = {each: data.draw(AMOUNTS) for each in names}
    assert _one_row(method, inputs, factor) == _scalar(method, inputs, factor)


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
        item = method.input_sets[-1].inputs[0].name
        for quantity in (factor.quantity_max, factor.quantity_max + 1):
            inputs = {item: quantity}
            assert _one_row(method, inputs, factor) == _scalar(method, inputs, factor)
        assert _scalar(method, {item: factor.quantity_max + 1}, factor) == "quantity_above_limit"
