"""Printed factors become whole nanograms, or are refused by name."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.methodologies.errors import (
    ConversionNotExact,
    FactorNegative,
    FactorTooLarge,
    FactorUnitAmbiguous,
    FactorUnitDoesNotFit,
    FactorUnitUnknown,
    GasSetDiffers,
    NumberNotPlain,
)
from carbon.methodologies.registry import METHODS, find_method
from carbon.methodologies.unit_algebra import GasSet, Measure, convert_factor
from kernel.errors import Refusal
from kernel.units import INT64_MAX


@pytest.mark.parametrize(
    ("value", "unit", "nanograms", "measure"),
    [
        ("26.9", "g/person-km", 26_900_000, Measure.PERSON_METRE),
        ("46.7", "gCO2/person-km", 46_700_000, Measure.PERSON_METRE),
        ("0.5306", "kgCO2/kWh", 530_600_000, Measure.WATT_HOUR),
        ("4.2", "tCO2/MWh", 4_200_000_000, Measure.WATT_HOUR),
        ("4.2", "tCO2/10MWh", 420_000_000, Measure.WATT_HOUR),
        ("2.5", "tCO2/1000m3", 2_500_000, Measure.MILLILITRE),
        ("25", "tCO2/10000m3", 2_500_000, Measure.MILLILITRE),
        ("0.168", "kgCO2e/t-water", 168_000, Measure.MILLILITRE),
        ("0.168", "kgCO2e/t", 168_000, Measure.GRAM),
        ("0.5155", "kg/trip", 515_500_000_000, Measure.TRIP),
        ("107.6", "g/trip", 107_600_000_000, Measure.TRIP),
        ("0.47", "kgCO2/0.5kg", 940_000_000, Measure.GRAM),
        ("0.2", "kgCO2/10pairs", 20_000_000_000, Measure.PIECE),
        ("54.8", "kgCO2/GJ", 54_800_000, Measure.KILOJOULE),
        ("1925000", "kgCO2e/km2", 1_925_000_000_000, Measure.SQUARE_METRE),
        ("1", "kg/verified-kg", 1_000_000, Measure.VERIFIED_MILLIGRAM),
        ("98", "kgCO2/12days", 98 * 10**12, Measure.TWELVE_DAYS),
        ("8.1667", "kgCO2/day", 98_000_400_000_000, Measure.TWELVE_DAYS),
        ("0.02", "g/step", 20_000_000, Measure.STEP),
        ("12.5", "kg/month", 12_500_000_000_000, Measure.MONTH),
        ("1.83", "tCO2/m3", 1_830_000_000, Measure.MILLILITRE),
        ("0", "g/trip", 0, Measure.TRIP),
    ],
)
def test_a_printed_factor_becomes_whole_nanograms_of_its_base_unit(
    value: str, unit: str, nanograms: int, measure: Measure
) -> None:
    converted = convert_factor(value, unit)
    assert (converted.value_ng, converted.measure) == (nanograms, measure)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " 1",
        "1 ",
        "+1",
        "1e3",
        "1E999999999",
        ".5",
        "5.",
        "1,5",
        "1_000",
        "\uff12\uff16.\uff19",
        "٢٦",
        "NaN",
        "Infinity",
        "0x10",
        "007",
        "1" * 13,
        "0." + "1" * 16,
        "1\n",
        "1\x00",
        "二",
        "²",
    ],
)
def test_a_number_that_is_not_plain_digits_is_refused(value: str) -> None:
    with pytest.raises(NumberNotPlain):
        convert_factor(value, "g/trip")


@pytest.mark.parametrize(
    ("value", "unit", "refusal"),
    [
        ("-64000", "kgCO2e/km2", FactorNegative),
        ("-0.1", "g/trip", FactorNegative),
        ("1", "g", FactorUnitUnknown),
        ("1", "g/", FactorUnitUnknown),
        ("1", "lb/trip", FactorUnitUnknown),
        ("1", "g/mile", FactorUnitUnknown),
        ("1", "g/person-km/day", FactorUnitUnknown),
        ("1", "g / trip", FactorUnitUnknown),
        ("1", "gCH4/trip", FactorUnitUnknown),
        ("1", "g/person\u2011km", FactorUnitUnknown),
        ("93.3", "g/km", FactorUnitAmbiguous),
        ("0.00001", "mg/0.5kg", ConversionNotExact),
        ("0.000000000000001", "g/person-km", ConversionNotExact),
    ],
)
def test_a_factor_that_cannot_be_converted_is_refused_by_name(
    value: str, unit: str, refusal: type[Refusal]
) -> None:
    with pytest.raises(refusal):
        convert_factor(value, unit)


def test_co2_is_not_co2e() -> None:
    assert convert_factor("1", "gCO2e/trip").gas_set is GasSet.CO2E
    assert convert_factor("1", "g/trip", gas_set=GasSet.CO2).gas_set is GasSet.CO2
    with pytest.raises(GasSetDiffers):
        convert_factor("1", "gCO2e/trip", gas_set=GasSet.CO2)


def test_a_vehicles_kilometre_is_not_a_persons() -> None:
    with pytest.raises(FactorUnitDoesNotFit):
        find_method("per_person_km").factor(value="0.16725", unit="kgCO2e/vehicle-km")


def test_a_tonne_of_water_is_a_volume_only_by_its_own_name() -> None:
    water = find_method("saving_water")
    assert water.factor(value="0.168", unit="kgCO2e/t-water").value_ng == 168_000
    with pytest.raises(FactorUnitDoesNotFit):
        water.factor(value="0.168", unit="kgCO2e/t")


def test_a_factor_of_which_not_one_unit_fits_is_refused() -> None:
    with pytest.raises(FactorTooLarge):
        find_method("per_trip").factor(value="9224", unit="t/trip")
    assert find_method("per_trip").factor(value="9223", unit="t/trip").quantity_max == 1


@given(
    grams=st.integers(0, 10**12 - 1),
    decimals=st.integers(0, 10**9 - 1),
    unit=st.sampled_from(["g/trip", "g/person-km", "g/kWh", "kgCO2e/m3", "kgCO2/GJ"]),
)
def test_a_conversion_is_exact_or_refused(grams: int, decimals: int, unit: str) -> None:
    text = f"{grams}.{decimals:09d}"
    per = {"g/trip": (9, 1), "g/person-km": (9, 1000), "g/kWh": (9, 1000), "kgCO2e/m3": (12, 10**6)}
    exponent, base_units = per.get(unit, (12, 10**6))
    exact = (grams + Fraction(decimals, 10**9)) * 10**exponent / base_units
    if exact.denominator == 1:
        assert convert_factor(text, unit).value_ng == exact
    else:
        with pytest.raises(ConversionNotExact):
            convert_factor(text, unit)


@given(name=st.sampled_from(sorted(METHODS)), value=st.integers(1, 10**6))
def test_the_largest_quantity_of_a_factor_stays_below_two_to_the_63(name: str, value: int) -> None:
    thing = {
        "per_person_km": "person-km",
        "per_trip": "trip",
        "per_count": "piece",
        "per_mass": "kg",
        "saving_electricity": "kWh",
        "saving_water": "m3",
        "saving_gas": "m3",
        "saving_heat": "GJ",
        "generation": "kWh",
        "charging": "kWh",
        "day_block": "12days",
        "deemed_monthly": "month",
        "growth": "m3",
        "per_step": "step",
        "project": "verified-kg",
        "emission_electricity": "kWh",
        "emission_heat": "GJ",
        "emission_fuel_volume": "L",
        "emission_fuel_mass": "kg",
        "emission_person_km": "person-km",
        "emission_vehicle_km": "vehicle-km",
        "emission_area": "m2",
    }[name]
    factor = find_method(name).factor(value=str(value), unit=f"g/{thing}")
    assert factor.quantity_max * factor.value_ng <= INT64_MAX < (factor.quantity_max + 1) * factor.value_ng
