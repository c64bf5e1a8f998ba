"""Reading factor tables from YAML and CSV: the same rows, and every fault named with its place."""

import csv
import io
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from typing import Any

import pytest
import yaml

from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers
from carbon.factors.bundle_files import (
    BundleRefused,
    read_bundle,
)
from carbon.factors.plain_yaml import YamlNotPlain, read_plain_yaml
from carbon.methodologies.unit_algebra import GasSet
from kernel.errors import Refusal

Row = dict[str, str]
GOOD: dict[str, Any] = {
    "kind": "factor_table",
    "name": "own",
    "subject": "transport",
    "region": "CN-GD-SZ",
    "title_zh": "示例",
    "title_en": "Example",
    "sources": {"s": {"title": "A document"}},
    "rows": [
        {
            "code": "A",
            "scenario": "metro_ride",
            "method": "per_person_km",
            "value": "46.70",
            "unit": "gCO2/person-km",
            "gas_set": "CO2",
            "valid_from": "2024-01-01",
            "valid_from_kind": "published",
            "verified": "no",
            "source": "s",
            "examples": [
                {"inputs": {"distance_m": "1000"}, "expected": "46.7", "unit": "g", "source": "by hand"}
            ],
        }
    ],
}


TWICE = {"value_place": "正文第 3 页", "other_place": "附件 2"}


def _yaml(change: Callable[[dict[str, Any]], object] = lambda _: None) -> bytes:
    value = yaml.safe_load(yaml.safe_dump(GOOD))
    change(value)
    return yaml.safe_dump(value, allow_unicode=True).encode()


def test_a_printed_value_keeps_its_zeros() -> None:
    bundle = read_bundle(_yaml(), form="yaml")
    assert bundle.rows[0].value == "46.70"
    assert (bundle.rows[0].region, bundle.rows[0].gas_set, bundle.valid_to) == ("CN-GD-SZ", GasSet.CO2, None)


def test_what_a_document_prints_twice_is_kept_with_both_places() -> None:
    row = read_bundle(_yaml(_set(**TWICE, other_value="４６．８")), form="yaml").rows[0]
    assert (row.value, row.value_place) == ("46.70", "正文第 3 页")
    assert (row.other_value, row.other_place) == ("46.8", "附件 2")


def _set(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda value: value["rows"][0].update(fields)


def _drop(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda value: value["rows"][0].pop(name)


def _example(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda value: value["rows"][0]["examples"][0].update(fields)


def _twice(**fields: Any) -> Callable[[dict[str, Any]], object]:
    return lambda value: value["rows"].append(deepcopy(value["rows"][0]) | fields)


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        (_drop("code"), "field_missing", "/rows/0/code"),
        (_drop("value"), "field_missing", "/rows/0/value"),
        (_drop("source"), "field_missing", "/rows/0/source"),
        (_drop("verified"), "field_missing", "/rows/0/verified"),
        (_drop("gas_set"), "field_missing", "/rows/0/gas_set"),
        (_drop("valid_from_kind"), "field_missing", "/rows/0/valid_from_kind"),
        (_drop("examples"), "example_missing", "/rows/0/examples"),
        (_set(examples=[]), "example_missing", "/rows/0/examples"),
        (_set(price="1"), "field_unknown", "/rows/0/price"),
        (_set(code="A\x07"), "text_not_plain", "/rows/0/code"),
        (_set(value=["46.7"]), "text_not_plain", "/rows/0/value"),
        (_set(value="46,7"), "number_not_plain", "/rows/0/value"),
        (_set(value="1e9"), "number_not_plain", "/rows/0/value"),
        (_set(value="\uff14\uff16\u3002\uff17"), "number_not_plain", "/rows/0/value"),
        (_set(value="\uff0d46.7"), "factor_negative", "/rows/0/value"),
        (_set(unit="kgCO2/吨"), "unit_word_ambiguous", "/rows/0/unit"),
        (_set(unit="克/公里"), "factor_unit_ambiguous", "/rows/0/unit"),
        (_set(value="-46.7"), "factor_negative", "/rows/0/value"),
        (_set(value="46.70000001"), "conversion_not_exact", "/rows/0/value"),
        (_set(value="46.8"), "example_differs", "/rows/0/examples/0"),
        (_set(unit="gCO2/km"), "factor_unit_ambiguous", "/rows/0/value"),
        (_set(unit="gCO2/vehicle-km"), "factor_unit_does_not_fit", "/rows/0/value"),
        (_set(unit="gCO2e/person-km"), "gas_set_differs", "/rows/0/value"),
        (_set(unit="gCO2/mile"), "factor_unit_unknown", "/rows/0/value"),
        (_set(gas_set="co2"), "choice_unknown", "/rows/0/gas_set"),
        (_set(method="per_mile"), "choice_unknown", "/rows/0/method"),
        (_set(method_version="2"), "method_unknown", "/rows/0/value"),
        (_set(variant="green"), "choice_unknown", "/rows/0/variant"),
        (_set(verified="true"), "choice_unknown", "/rows/0/verified"),
        (_set(valid_from="2024-1-1"), "day_not_readable", "/rows/0/valid_from"),
        (_set(valid_from="2024-02-30"), "day_not_readable", "/rows/0/valid_from"),
        (_set(valid_to="2023-12-31"), "window_reversed", "/rows/0/valid_to"),
        (_set(data_year="MMXXIV"), "number_not_plain", "/rows/0/data_year"),
        (_set(data_year="1899"), "number_out_of_range", "/rows/0/data_year"),
        (_set(data_year="2201"), "number_out_of_range", "/rows/0/data_year"),
        (_set(data_year="40000"), "number_out_of_range", "/rows/0/data_year"),
        (_set(quantity_max="-1"), "number_not_plain", "/rows/0/quantity_max"),
        (_set(quantity_max="999"), "quantity_above_limit", "/rows/0/examples/0"),
        (_set(source="t"), "source_unknown", "/rows/0/source"),
        (_set(other_value="46.8"), "conflict_incomplete", "/rows/0/value_place"),
        (_set(value_place="p. 3", other_place="annex"), "conflict_incomplete", "/rows/0/other_value"),
        (_set(**TWICE, other_value="46.7"), "conflict_without_difference", "/rows/0/other_value"),
        (_set(**TWICE, other_value="46,8"), "number_not_plain", "/rows/0/other_value"),
        (_set(**TWICE, other_value="NaN"), "number_not_plain", "/rows/0/other_value"),
        (_set(assumption="ours", verified="yes"), "assumption_verified", "/rows/0/verified"),
        (_example(inputs={"distance_m": "1e3"}), "number_not_plain", "/rows/0/examples/0/inputs/distance_m"),
        (_example(inputs={"trips": "1"}), "input_unknown", "/rows/0/examples/0"),
        (_example(inputs=[]), "field_wrong_type", "/rows/0/examples/0/inputs"),
        (_example(expected="46.6"), "example_differs", "/rows/0/examples/0"),
        (_example(unit="kWh"), "example_not_readable", "/rows/0/examples/0"),
        (_twice(), "code_repeated", "/rows/1/code"),
        (_twice(code="B", valid_from="2025-01-01"), "rows_overlap", "/rows/1/valid_from"),
        (lambda value: value.update(kind="rule"), "choice_unknown", "/kind"),
        (lambda value: value.update(rows=[]), "field_wrong_type", "/rows"),
        (lambda value: value.update(rows={"a": "b"}), "field_wrong_type", "/rows"),
        (lambda value: value.update(rows=["a"]), "field_wrong_type", "/rows/0"),
        (lambda value: value.update(sources=[]), "field_wrong_type", "/sources"),
        (lambda value: value["sources"]["s"].pop("title"), "field_missing", "/sources/s/title"),
        (lambda value: value.pop("title_en"), "field_missing", "/title_en"),
    ],
)
def test_a_fault_of_a_table_is_named_with_its_place(
    change: Callable[[dict[str, Any]], object], code: str, pointer: str
) -> None:
    with pytest.raises(BundleRefused) as caught:
        read_bundle(_yaml(change), form="yaml")
    assert (code, pointer) in {(error.code, error.pointer) for error in caught.value.errors}, (
        caught.value.errors
    )


def test_all_faults_of_a_file_are_named_at_once() -> None:
    def spoil(value: dict[str, Any]) -> None:
        _twice(code="B", value="x", scenario="walk")(value)
        _drop("code")(value)

    with pytest.raises(BundleRefused) as caught:
        read_bundle(_yaml(spoil), form="yaml")
    places = [error.pointer for error in caught.value.errors]
    assert {"/rows/0/code", "/rows/1/value"} <= set(places)
    assert caught.value.pointer == places[0]
    assert len(caught.value.facts["errors"]) == len(places)


def test_rows_of_one_scenario_may_follow_each_other() -> None:
    def follow(value: dict[str, Any]) -> None:
        _twice(code="B", valid_from="2025-01-01")(value)
        value["rows"][0]["valid_to"] = "2024-12-31"

    assert len(read_bundle(_yaml(follow), form="yaml").rows) == 2


def test_a_row_without_a_first_day_waits_for_the_operator() -> None:
    bundle = read_bundle(_yaml(_drop("valid_from")), form="yaml")
    assert bundle.valid_from is None
    assert not bundle.rows[0].holds_on(date(2024, 5, 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"- a",
        b"a: [",
        b"a: b\na: c",
        b"a: {b: c, b: d}",
        b"a: &x [1]\nb: *x",
        b"? [a]\n: b",
        b"\xff\xfe\x00",
        b"a: !!python/object:os.system {}",
        b"a: !x b",
        b"a: b\n---\nc: d\n",
        b"[" * 100_000,
        b"a: " + b"x" * (5 << 20),
    ],
)
def test_yaml_that_is_not_plain_is_refused(data: bytes) -> None:
    with pytest.raises((YamlNotPlain, BundleRefused)):
        read_bundle(data, form="yaml")


def test_a_fault_of_the_yaml_itself_names_its_line() -> None:
    with pytest.raises(YamlNotPlain, match="an alias, line 2"):
        read_plain_yaml(b"a: &x [1]\nb: *x\n")
    with pytest.raises(YamlNotPlain, match="a key that stands twice, line 3"):
        read_plain_yaml(b"a: 1\nb: 2\na: 3\n")


def test_plain_yaml_makes_only_texts() -> None:
    assert read_plain_yaml(b"a: 46.70\nb: no\nc: 2024-01-01\nd: [1, null]\n") == {
        "a": "46.70",
        "b": "no",
        "c": "2024-01-01",
        "d": ["1", "null"],
    }


def _csv(**changes: str) -> bytes:
    row = GOOD["rows"][0]
    fields = {f"table_{name}": GOOD[name] for name in ("name", "subject", "region", "title_zh", "title_en")}
    fields |= {name: value for name, value in row.items() if isinstance(value, str) and name != "source"}
    fields |= {
        "source_title": "A document",
        "example_inputs": '{"distance_m": 1000}',
        "example_expected": "46.7",
        "example_unit": "g",
        "example_source": "by hand",
    }
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerow(fields)
    if changes:
        writer.writerow(fields | changes)
    return out.getvalue().encode()


def test_both_forms_give_the_same_table() -> None:
    assert read_bundle(_csv(), form="csv") == read_bundle(_yaml(), form="yaml")


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"code": "B", "scenario": "walk", "table_name": "other"}, "table_differs", "/rows/1"),
        (
            {"code": "B", "scenario": "walk", "example_inputs": "{"},
            "field_wrong_type",
            "/rows/1/examples/0/inputs",
        ),
        (
            {"code": "B", "scenario": "walk", "example_inputs": '{"distance_m": 1.5}'},
            "number_not_plain",
            "/rows/1/examples/0/inputs/distance_m",
        ),
        ({"code": "B", "scenario": "walk", "example_inputs": ""}, "input_missing", "/rows/1/examples/0"),
        ({"code": "B"}, "rows_overlap", "/rows/1/valid_from"),
        ({"code": "B", "scenario": "walk", "value": ""}, "field_missing", "/rows/1/value"),
    ],
)
def test_a_fault_of_a_csv_line_is_named_with_its_place(changes: Row, code: str, pointer: str) -> None:
    with pytest.raises(BundleRefused) as caught:
        read_bundle(_csv(**changes), form="csv")
    assert (code, pointer) in {(error.code, error.pointer) for error in caught.value.errors}, (
        caught.value.errors
    )


def test_a_csv_line_that_is_no_row_is_a_fault() -> None:
    with pytest.raises(BundleRefused) as caught:
        read_bundle(_csv() + b"own,transport\n", form="csv")
    assert [error.code for error in caught.value.errors] == ["columns_differ"]


@pytest.mark.parametrize(("data", "refusal"), [(b"", FileEmpty), (b"code,value\n", HeaderDiffers)])
def test_a_csv_of_another_form_is_refused_whole(data: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        read_bundle(data, form="csv")
