"""Footprints: published and found by worked examples, and never the reason for a credit."""

from datetime import date
from typing import Any

import pytest

from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.intake import take_chunk
from carbon.examples import check_examples, read_examples
from carbon.factors.bundle_files import read_bundle
from carbon.factors.errors import NoFactorInForce
from carbon.factors.lookup import factor_in_force, finder, is_known_scenario
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.households.rules import rule_finder
from carbon.methodologies.inputs import INPUTS, KNOWN_INPUTS
from carbon.methodologies.registry import FOOTPRINTS, METHODS
from kernel.call import Call
from tests.app.desk import Desk, desk
from tests.carbon.city import as_operator, lines, plant_city, ride
from tests.carbon.test_simulation import CITIZENS, TEXT, history, told
from tests.conftest import REGION

__all__ = ["desk"]
TABLE = """\
kind: factor_table
name: emissions
subject: emissions
region: CN-GD-SZ
title_zh: 排放
title_en: Emissions
sources:
  s: {title: A document}
rows:
"""
ROW = """\
  - code: USED-{scenario}
    scenario: {scenario}
    method: emission_person_km
    value: "0.10385"
    unit: kgCO2e/person-km
    gas_set: CO2e
    valid_from: 2018-01-01
    valid_from_kind: published
    verified: yes
    source: s
    examples:
      - {{inputs: {{distance_m: 10000}}, expected: "1.0385", unit: kgCO2e, source: by hand}}
"""


def published(call: Call, *scenarios: str) -> None:
    text = TABLE + "".join(ROW.format(scenario=scenario) for scenario in scenarios)
    drafted = draft_factor_table(as_operator(call), read_bundle(text.encode(), form="yaml"))
    publish_factor_table(as_operator(call), drafted.id, reason="demo city")


def take(call: Call, city: Any, *scenarios: str) -> list[tuple[str, str]]:
    rides = [ride(f"e{number}") | {"scenario": each} for number, each in enumerate(scenarios)]
    outcomes = take_chunk(call, city.intake(), lines(*rides))
    return [(row["outcome"], row["code"]) for row in outcomes.iter_rows(named=True)]


def test_no_activity_is_credited_by_a_footprint(call: Call) -> None:
    city = plant_city(call)
    city.bind(call, ["card-017"])
    published(call, "bus_ridden", "walk")
    assert take(call, city, "bus_ridden", "metro_ride", "walk") == [
        ("rejected", "scenario_unknown"),
        ("credited", None),
        ("rejected", "scenario_unknown"),
    ]
    assert not is_known_scenario(call, "bus_ridden")
    with pytest.raises(NoFactorInForce):
        factor_in_force(call, scenario="bus_ridden", region_id=REGION, day=date(2026, 11, 1))


def test_worked_examples_find_footprints_and_reductions(call: Call) -> None:
    plant_city(call)
    published(call, "bus_ridden", "taxi_ridden")
    both = (
        '"[{""scenario"": ""bus_ridden"", ""distance_m"": 10000},'
        ' {""scenario"": ""taxi_ridden"", ""distance_m"": 4000, ""less"": true}]"'
    )
    rows = (
        "id,region,on,method,inputs,expected,unit",
        f"a,{REGION},2026-11-01,emission_person_km,{both},0.6231,kgCO2e",
        f'b,{REGION},2026-11-01,per_person_km,"{{""scenario"":""metro_ride"",""distance_m"":1000}}",46.7,g',
        f'c,{REGION},2017-11-01,emission_person_km,"{{""scenario"": ""bus_ridden"", ""distance_m"": 1}}",0,g',
    )
    results = check_examples(read_examples("\n".join(rows).encode()), finder(call), rule_finder(call))
    assert [(each.passed, each.code) for each in results] == [
        (True, None),
        (True, None),
        (False, "no_factor_in_force"),
    ]


def test_a_draft_that_makes_a_footprint_of_a_scenario_leaves_its_activities_without_a_row(desk: Desk) -> None:
    history(desk.database)
    head, metro, *rest = TEXT.split("  - code: ")
    used = metro.replace("per_person_km", "emission_person_km")
    assert used != metro
    result = told(desk, "  - code: ".join([head, used, *rest]))
    assert [(each["code"], each["activities"]) for each in result["without_row"]] == [
        ("SZ-METRO-2021", CITIZENS + 1)
    ]
    assert result["totals"]["carbon_mg_after"] == 0


def test_what_only_footprints_take_is_no_column_of_activities() -> None:
    only = set(KNOWN_INPUTS) - set(INPUTS)
    assert only
    assert not only & set(SCHEMA)
    taken = {
        item.name
        for name, method in METHODS.items()
        if name not in FOOTPRINTS
        for each in method.input_sets
        for item in each.inputs
    }
    assert taken == set(INPUTS)


def test_a_footprint_is_told_as_one_to_whoever_reads_the_table(desk: Desk) -> None:
    text = TABLE + ROW.format(scenario="bus_ridden").replace("verified: yes", "verified: no")
    answer = desk.ask("editor", "POST", "/v1/operator/factor-tables", {"form": "yaml", "text": text})
    drafted = answer.json
    assert (answer.status_code, drafted["standing"], drafted["proof"]) == (201, "draft", None)
    path = f"/v1/public/factor-tables/{drafted['id']}"
    assert desk.ask("", "GET", path).status_code == 404
    why = {"reason": "checked"}
    publication = f"/v1/operator/factor-tables/{drafted['id']}/publication"
    assert desk.ask("publisher", "POST", publication, why).status_code == 201
    (row,) = desk.ask("", "GET", path).json["rows"]
    assert (row["credits"], row["verified"]) == (False, False)
    page = desk.ask("", "GET", f"/factors/{drafted['id']}").get_data(as_text=True)
    assert "emission, never credited" in page
    assert "未核对" in page
    assert "已核对" not in page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert ",no," in desk.ask("", "GET", f"{path}/rows.csv").get_data(as_text=True)
    assert ",no," in desk.ask("", "GET", f"{path}/bundle.csv").get_data(as_text=True)
