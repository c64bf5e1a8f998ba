"""Cells as people print them: what the tables know is read and listed, all else is refused as it stands."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.factors.bundle_files import BundleRefused, read_bundle
from carbon.factors.bundles import read_shipped
from carbon.factors.printed_cells import (
    _DISTANCES,
    _GASES,
    _MASSES,
    _THINGS,
    _TWO_MEANINGS,
    read_mass,
    read_number,
    read_unit,
)
from carbon.methodologies.errors import FactorUnitAmbiguous, NumberNotPlain
from carbon.methodologies.unit_algebra import parse_factor_unit, parse_plain_decimal
from kernel.errors import Refusal
from tests.app.desk import Desk, desk
from tests.carbon.test_bundle_files import _csv, _set, _yaml
from tests.carbon.test_factor_routes import TABLES, TEXT, code, draft, publish
from tests.conftest import ROOT

__all__ = ["desk"]
FULL_WIDTH = {0x21 + place: 0xFF01 + place for place in range(0x5E)}


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("46.7", "46.7"),
        ("４６．７", "46.7"),
        ("1,100,000", "1100000"),
        ("１，１００，０００．５", "1100000.5"),
        ("999,999", "999999"),
    ],
)
def test_a_number_is_read_in_plain_signs(printed: str, plain: str) -> None:
    assert read_number(printed) == plain
    assert str(parse_plain_decimal(plain)) == plain


@pytest.mark.parametrize(
    "printed",
    [
        "－46.7",  # a full-width minus is a minus
        "−46.7",  # the minus of mathematics is no sign of ours
        "﹣46.7",
        "＋46.7",
        "46,7",
        "4,67",
        "0,168",
        "1,1000",
        "1,,000",
        ",100",
        "1,100,",
        "110,0000",
        "1.100,000",
        "1,100.000,000",
        "10³",
        "4²",
        "①",
        "½",
        "Ⅳ",
        "MMXXIV",
        "四十六",
        "1.2万",
        "٤٦",
        "۴۶",
        "४६",
        "𝟒𝟔",
        "4６e1",
        "１ｅ９",
        "46。7",
        "46、7",
        "46'700",
        "46 700",
        "46\u00a0700",
        "46\x007",
        "4\u200b6",
        "\u202e7.64",
        pytest.param("9" * 1_999, id="1,999 digits"),
        pytest.param("1" + ",000" * 400, id="400 groups"),
        pytest.param("1" * 1_000_000, id="a million digits"),
        "",
    ],
)
def test_a_hostile_number_never_reaches_arithmetic(printed: str) -> None:
    with pytest.raises(Refusal):
        parse_plain_decimal(read_number(printed))
    with pytest.raises(BundleRefused):
        read_bundle(_yaml(_set(value=printed)), form="yaml")


@given(st.text(max_size=12))
def test_what_is_read_is_a_number_of_the_same_digits_or_nothing(printed: str) -> None:
    plain = read_number(printed)
    try:
        parse_plain_decimal(plain)
    except Refusal:
        return
    digits = {chr(wide): chr(narrow) for narrow, wide in FULL_WIDTH.items()}
    assert "".join(digits.get(each, each) for each in printed).replace(",", "") == plain


@given(st.decimals(min_value=0, max_value=10**11, places=4, allow_nan=False, allow_infinity=False))
def test_a_number_in_groups_and_full_width_is_the_number(number: Any) -> None:
    plain = f"{number:f}"
    for printed in (f"{number:,f}", plain.translate(FULL_WIDTH), f"{number:,f}".translate(FULL_WIDTH)):
        assert read_number(printed) == plain


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("gCO2/person-km", "gCO2/person-km"),
        ("克/人公里", "g/person-km"),
        ("克二氧化碳/人·公里", "gCO2/person-km"),
        ("千克二氧化碳当量/千瓦时", "kgCO2e/kWh"),
        ("公斤二氧化碳當量／千瓦時", "kgCO2e/kWh"),
        ("kgCO₂/度", "kgCO2/kWh"),
        ("吨CO2/万千瓦时", "tCO2/10MWh"),
        ("噸二氧化碳/萬千瓦時", "tCO2/10MWh"),
        ("tCO2/兆瓦时", "tCO2/MWh"),
        ("千克/立方米", "kg/m3"),
        ("公斤/立方公尺", "kg/m3"),
        ("kgCO2e/m³", "kgCO2e/m3"),
        ("吨/万立方米", "t/10000m3"),
        ("吨/千立方米", "t/1000m3"),
        ("kgCO2e/吨水", "kgCO2e/t-water"),
        ("kgCO2e/噸水", "kgCO2e/t-water"),
        ("克CO2/車公里", "gCO2/vehicle-km"),
        ("克/人次", "g/trip"),
        ("克每件", "g/piece"),
        ("kgCO2/市斤", "kgCO2/0.5kg"),
        ("ｋｇＣＯ２／ｋＷｈ", "kgCO2/kWh"),
        ("kg CO2 / kWh", "kgCO2/kWh"),
        ("千克/kWh", "kg/kWh"),
        ("kg/吉焦", "kg/GJ"),
    ],
)
def test_a_unit_in_words_is_the_algebras(printed: str, plain: str) -> None:
    assert read_unit(printed) == plain
    assert parse_factor_unit(plain).text == plain


@pytest.mark.parametrize(
    ("printed", "refusal"),
    [
        ("克/公里", "factor_unit_ambiguous"),
        ("克CO2/千米", "factor_unit_ambiguous"),
        ("gCO2／km", "factor_unit_ambiguous"),
        ("kgCO2e/吨", "unit_word_ambiguous"),
        ("公斤/噸", "unit_word_ambiguous"),
        ("kgCO2/斤", "unit_word_ambiguous"),
        ("克/次", "unit_word_ambiguous"),
        ("千克/方", "unit_word_ambiguous"),
        ("万吨/千瓦时", "factor_unit_unknown"),
        ("千克/英里", "factor_unit_unknown"),
        ("斤/千瓦时", "factor_unit_unknown"),
        ("千克//度", "factor_unit_unknown"),
        ("千克/度/天", "factor_unit_unknown"),
        ("千克", "factor_unit_unknown"),
        ("度", "factor_unit_unknown"),
        ("/", "factor_unit_unknown"),
        ("千克/", "factor_unit_unknown"),
        ("/度", "factor_unit_unknown"),
        ("kg①/度", "factor_unit_unknown"),
        ("kgCO²/度", "factor_unit_unknown"),
        ("㎏/度", "factor_unit_unknown"),
        pytest.param("克/" * 500 + "度", "factor_unit_unknown", id="500 strokes"),
    ],
)
def test_a_unit_that_is_not_clear_is_refused_by_name(printed: str, refusal: str) -> None:
    with pytest.raises(BundleRefused) as caught:
        read_bundle(_yaml(_set(unit=printed)), form="yaml")
    assert [error.code for error in caught.value.errors] == [refusal]


def test_a_unit_that_is_in_no_table_stays_as_it_is_printed() -> None:
    for printed in ("千克/英里", "万吨/千瓦时", "千克/度/天", "度", "kg①/度"):
        assert read_unit(printed) == printed


def test_the_mass_of_an_example_may_be_in_words() -> None:
    assert [read_mass(each) for each in ("克", "千克二氧化碳", "噸", "kgCO₂e", "kg", "两", "斤")] == [
        "g",
        "kgCO2",
        "t",
        "kgCO2e",
        "kg",
        "两",
        "斤",
    ]


def test_a_bare_kilometre_says_what_to_write() -> None:
    with pytest.raises(FactorUnitAmbiguous, match="人公里"):
        read_unit("克/公里")


def test_the_guide_names_every_word_of_a_unit() -> None:
    text = (ROOT / "docs/factor-tables.md").read_text(encoding="utf-8")
    for word in (*_MASSES, *_THINGS):
        assert word.isascii() or re.search(rf"[ ,|]{word}\b", text), word
    for plain in (*_MASSES.values(), *_GASES.values()):
        assert plain.isascii()
    for plain in _THINGS.values():
        assert f"`{plain}`" in text
        assert parse_factor_unit(f"g/{plain}")
    assert [word for word in (*_GASES, *_TWO_MEANINGS, *_DISTANCES) if word not in text] == []


def test_full_width_letters_are_no_number() -> None:
    with pytest.raises(NumberNotPlain):
        parse_plain_decimal(read_number("ｆｏｒｔｙ"))


def test_each_cell_that_was_read_otherwise_is_listed_with_its_line() -> None:
    text = _yaml(
        _set(value="４６．７", unit="克/人公里", data_year="２０２４", quantity_max="１，０００，０００")
    )
    bundle = read_bundle(text, form="yaml")
    row = bundle.rows[0]
    assert (row.value, row.value_printed) == ("46.7", "４６．７")
    assert (row.unit, row.unit_printed) == ("g/person-km", "克/人公里")
    assert (row.data_year, row.quantity_max) == (2024, 1_000_000)
    lines = text.decode().splitlines()
    for each in bundle.normalised:
        assert each.line is not None
        assert lines[each.line - 1].strip().startswith(f"{each.field}:")
        assert each.printed in lines[each.line - 1]
    told = {each.field: (each.printed, each.read_as) for each in bundle.normalised}
    assert told == {
        "value": ("４６．７", "46.7"),
        "unit": ("克/人公里", "g/person-km"),
        "data_year": ("２０２４", "2024"),
        "quantity_max": ("１，０００，０００", "1000000"),
    }
    assert {each.pointer for each in bundle.normalised} == {f"/rows/0/{name}" for name in told}


def test_a_csv_says_the_line_of_its_file() -> None:
    first, row, later = (
        _csv(
            code="B", scenario="walk", value="４６．７", example_unit="克", valid_from="２０２４－０１－０１"
        )
        .decode()
        .splitlines()
    )
    data = f"{first}\r\n\r\n{row}\r\n \n{later}\n".encode()
    bundle = read_bundle(data, form="csv")
    assert [(each.line, each.field, each.read_as) for each in bundle.normalised] == [
        (5, "value", "46.7"),
        (5, "valid_from", "2024-01-01"),
        (5, "unit", "g"),
    ]
    assert bundle.normalised[2].pointer == "/rows/1/examples/0/unit"


def test_a_unit_of_the_document_that_the_file_states_is_kept() -> None:
    bundle = read_bundle(_yaml(_set(unit="克/人公里", unit_printed="g/pkm")), form="yaml")
    assert (bundle.rows[0].unit_printed, bundle.normalised[0].printed) == ("g/pkm", "克/人公里")


def test_a_table_in_plain_signs_has_nothing_to_list() -> None:
    for name in ("shenzhen_transport_2021.yaml", "everyday_actions_national.csv"):
        bundle = read_bundle(read_shipped(name), form="csv" if name.endswith(".csv") else "yaml")
        assert bundle.normalised == ()
        assert {row.value_printed for row in bundle.rows} == {None}


def test_the_draft_says_what_was_read_and_the_public_table_shows_both(desk: Desk) -> None:
    text = TEXT.replace('value: "46.7"', "value: ４６．７").replace(
        "unit: gCO2/person-km", "unit: 克CO2/人公里", 1
    )
    drafted = draft(desk, text)
    assert drafted.status_code == 201, drafted.json
    line = text.splitlines().index("    value: ４６．７") + 1
    assert drafted.json["normalised"] == [
        {
            "line": line,
            "pointer": "/rows/0/value",
            "field": "value",
            "printed": "４６．７",
            "read_as": "46.7",
        },
        {
            "line": line + 1,
            "pointer": "/rows/0/unit",
            "field": "unit",
            "printed": "克CO2/人公里",
            "read_as": "gCO2/person-km",
        },
    ]
    table = drafted.json["id"]
    assert desk.ask("auditor", "GET", f"{TABLES}/{table}").json == drafted.json
    seen = publish(desk, table).json["rows"][0]
    assert [seen[name] for name in ("value", "value_printed", "unit", "unit_printed")] == [
        "46.7",
        "４６．７",
        "gCO2/person-km",
        "克CO2/人公里",
    ]
    assert seen["value_ng_per_base_unit"] == 46_700_000
    rows = desk.ask("", "GET", f"/v1/public/factor-tables/{table}/rows.csv").get_data(as_text=True)
    assert ",46.7,４６．７,gCO2/person-km,克CO2/人公里," in rows
    page = desk.ask("", "GET", f"/factors/{table}").get_data(as_text=True)
    assert "<b>４６．７</b>" in page


def test_a_hostile_cell_over_http_is_refused_with_its_place(desk: Desk) -> None:
    for cell in ("－46.7", "10³", "①", "½", "Ⅳ", "9" * 100_000):
        refused = draft(desk, TEXT.replace("46.7", cell, 1))
        assert code(refused) == (422, "bundle_refused"), cell[:9]
        assert refused.json["errors"][0]["pointer"] == "/rows/0/value", cell[:9]
    nul = draft(desk, TEXT.replace("46.7", "46\x007", 1))
    assert (nul.status_code, nul.json["errors"][0]["pointer"]) == (422, "/body/text")
