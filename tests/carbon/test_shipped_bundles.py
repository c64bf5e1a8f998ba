"""The shipped factor tables agree with the collected list, and answer one question with one row."""

import csv
import io
import re
from datetime import date
from fractions import Fraction
from itertools import combinations

import pytest

from carbon.examples import round_half_up
from carbon.factors.bundle_files import (
    read_shipped_bundle,
    shipped_bundle_names,
)
from carbon.factors.factor_rows import FactorRow
from carbon.factors.mapping import read_shipped_mapping
from carbon.methodologies.errors import FactorNegative
from carbon.methodologies.registry import METHODS
from carbon.methodologies.unit_algebra import convert_factor, parse_factor_unit
from tests.carbon.adapters.shared_files import read_shared
from tests.carbon.shipped_factors import NoShippedFactor, find_shipped_factor, shipped_rows
from tests.conftest import ROOT

Row = dict[str, str]


@pytest.fixture(scope="module")
def collected() -> dict[str, Row]:
    """The collected list of 358 published factors, by code."""
    return {
        row["code"]: row
        for row in csv.DictReader(io.StringIO(read_shared("data/factors/factors.csv").decode()))
    }


def test_all_358_collected_factors_convert_exactly(collected: dict[str, Row]) -> None:
    mapping = read_shipped_mapping()
    assert len(collected) == len(mapping) == 358
    assert set(mapping) == set(collected)
    negative = []
    for code, row in collected.items():
        value, mapped = row["factor_kgco2e_per_unit"], mapping[code]
        try:
            converted = convert_factor(value, mapped.unit, gas_set=mapped.gas_set)
        except FactorNegative:
            negative.append(code)
            converted = convert_factor(value.removeprefix("-"), mapped.unit, gas_set=mapped.gas_set)
        assert converted.gas_set is mapped.gas_set
    assert negative == ["CPCD-10110A0262018A"], "Tibet's sink is published below zero and never a reduction"


def test_the_mapping_keeps_the_unit_of_the_list_and_leads_to_a_built_method(
    collected: dict[str, Row],
) -> None:
    things = {"km": "person-km"}
    for code, mapped in read_shipped_mapping().items():
        listed = collected[code]["unit_in"]
        thing = mapped.unit.partition("/")[2]
        assert thing == things.get(listed, listed) or (listed, thing) == ("t", "t-water")
        assert (mapped.scenario is None) == (mapped.method is None)
        if mapped.method is not None:
            assert parse_factor_unit(mapped.unit).measure is METHODS[mapped.method].measure


def test_a_vehicles_kilometre_in_the_list_stays_one(collected: dict[str, Row]) -> None:
    mapping = read_shipped_mapping()
    vehicles = [code for code, row in collected.items() if row["unit_in"] == "vehicle-km"]
    assert len(vehicles) == 20
    assert all(
        mapping[code].unit.endswith("/vehicle-km") and mapping[code].method is None for code in vehicles
    )


LISTED = [row for row in shipped_rows() if row.assumption is None]
ASSUMED = [row for row in shipped_rows() if row.assumption is not None]
LISTED_ROUNDED = {"CN-CAR-FREE-DAY-2007"}
"""Rows whose printed pair the list has divided and rounded."""


@pytest.mark.parametrize("row", LISTED, ids=lambda row: row.code)
def test_a_shipped_row_says_what_the_collected_list_says(row: FactorRow, collected: dict[str, Row]) -> None:
    listed, mapped = collected[row.code], read_shipped_mapping()[row.code]
    exact = convert_factor(listed["factor_kgco2e_per_unit"], mapped.unit)
    if row.code not in LISTED_ROUNDED:
        assert row.in_use().factor.value_ng == exact.value_ng
    if METHODS[row.method].credits:
        assert (row.scenario, row.method, row.gas_set) == (mapped.scenario, mapped.method, mapped.gas_set)
    else:
        assert (row.scenario, row.gas_set) == (mapped.emission_scenario, mapped.gas_set)
    assert (row.name_zh, row.name_en) == (listed["name_zh"], listed["name_en"])
    assert row.region in listed["region"].split(";")
    assert ("yes" if row.verified else "no") == listed["verified"]
    assert (str(row.valid_from), str(row.valid_to or "")) == (listed["valid_from"], listed["valid_to"])
    stays_open = "nominal" in listed["notes"] or "start date" in listed["notes"].lower()
    assert (row.valid_from_kind == "nominal") is stays_open, listed["notes"]
    assert row.source.title in listed["source_title"]
    assert row.source.document_number is None or row.source.document_number in listed["source_title"]
    assert (row.source.publisher, str(row.source.published_year)) == (
        listed["source_publisher"],
        listed["source_year"],
    )


def test_the_list_rounds_the_twelfth_of_what_is_printed_for_twelve_days(collected: dict[str, Row]) -> None:
    (row,) = (row for row in LISTED if row.code in LISTED_ROUNDED)
    assert (row.value, row.unit) == ("98", "kgCO2/12days")
    listed = collected[row.code]
    assert "98 kg / 12 days" in listed["notes"]
    assert round_half_up(Fraction(98, 12), 4) == listed["factor_kgco2e_per_unit"]


def test_assumptions_are_labelled_and_never_verified() -> None:
    assert {row.code for row in ASSUMED} == {
        "SZ-BUS-RIDE-4KM",
        "SZ-METRO-RETRO",
        "SZ-BUS-RETRO",
        "SZ-BUS-RIDE-4KM-RETRO",
        "HB-STEPS-POINTS",
    }
    assert not any(row.verified for row in ASSUMED)


def test_a_bus_ride_without_distance_is_four_kilometres_of_the_official_factor() -> None:
    per_ride = find_shipped_factor("bus_ride", "CN-GD-SZ", date(2024, 5, 1))
    per_km = find_shipped_factor("bus_ride_measured", "CN-GD-SZ", date(2024, 5, 1))
    assert per_ride.factor.value_ng == 4_000 * per_km.factor.value_ng


def test_without_the_retrospective_table_no_ride_of_2018_has_a_factor() -> None:
    official = read_shipped_bundle("shenzhen_transport_2021.yaml")
    lent = read_shipped_bundle("shenzhen_transport_retrospective.yaml")
    day = date(2018, 9, 1)
    assert not any(row.holds_on(day) for row in official.rows)
    assert [row.scenario for row in lent.rows if row.holds_on(day)] == [
        "metro_ride",
        "bus_ride_measured",
        "bus_ride",
    ]
    assert [row.in_use().factor.value_ng for row in lent.rows] == [
        row.in_use().factor.value_ng for row in official.rows
    ]
    assert lent.assumption is not None
    assert official.valid_from == lent.ends_on == lent.rows[0].ends_on == date(2021, 12, 1)


def test_no_two_shipped_rows_answer_one_question() -> None:
    for a, b in combinations(shipped_rows(), 2):
        if (a.scenario, a.region) == (b.scenario, b.region):
            assert a.valid_from is not None
            assert b.valid_from is not None
            assert not a.holds_on(b.valid_from)
            assert not b.holds_on(a.valid_from)


def test_no_two_shipped_tables_rule_one_subject_on_one_day() -> None:
    for a, b in combinations([read_shipped_bundle(name) for name in shipped_bundle_names()], 2):
        if (a.region, a.subject) == (b.region, b.subject):
            earlier, later = sorted((a, b), key=lambda bundle: bundle.valid_from or date.min)
            assert earlier.valid_to is not None
            assert later.valid_from is not None
            assert earlier.valid_to < later.valid_from


@pytest.mark.parametrize(
    ("region", "day", "value"),
    [
        ("CN-GD", date(2024, 12, 19), "0.4715"),
        ("CN-GD", date(2024, 12, 20), "0.4403"),
        ("CN-GD", date(2025, 12, 30), "0.4403"),
        ("CN-GD", date(2025, 12, 31), "0.4419"),
        ("CN", date(2026, 1, 1), "0.5306"),
    ],
)
def test_the_grid_factor_of_a_day_is_that_of_its_publication(region: str, day: date, value: str) -> None:
    assert find_shipped_factor("household_electricity_saving", region, day).factor.value == value


def test_a_day_before_any_publication_has_no_factor() -> None:
    for scenario, region, day in (
        ("household_electricity_saving", "CN-GD", date(2024, 4, 11)),
        ("household_electricity_saving", "CN-XZ", date(2025, 1, 1)),
        ("teleportation", "CN-GD-SZ", date(2025, 1, 1)),
    ):
        with pytest.raises(NoShippedFactor):
            find_shipped_factor(scenario, region, day)


def test_the_page_of_what_ships_counts_the_collected_list(collected: dict[str, Row]) -> None:
    page = (ROOT / "docs/shipped-factors.md").read_text(encoding="utf-8")
    told = {
        category: (int(rows), int(ship))
        for category, rows, ship in re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", page, re.MULTILINE)
    }
    shipped = {row.code for row in LISTED}
    counted = {
        category: (
            sum(row["category"] == category for row in collected.values()),
            sum(row["category"] == category and code in shipped for code, row in collected.items()),
        )
        for category in {row["category"] for row in collected.values()}
    }
    assert told == counted
    tables = {name.rpartition(".")[0] for name in shipped_bundle_names()}
    for named in re.findall(r"`([a-z]+_[a-z_]+(?:\d{4}|…|[a-z]))`", page.partition("\n## ")[0]):
        if named not in told:
            stem = named.removesuffix("…")
            assert any(each.startswith(stem) if stem != named else each == named for each in tables), named


def test_what_is_not_seen_in_the_original_says_so() -> None:
    by_code = {row.code: row.source for row in shipped_rows()}
    assert by_code["CN-GRID-2023-PRV-440000"].seen_in_original
    assert not by_code["CN-GRID-2022-PRV-440000"].seen_in_original
    assert not by_code["SZ-METRO-2021"].seen_in_original
    assert by_code["CN-GRID-2022-PRV-440000"].document_number is None
