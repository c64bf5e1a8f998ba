"""What looks odd in a drafted table is said in two languages, and stops nobody."""

from dataclasses import replace
from datetime import date
from string import Formatter
from typing import Any

import pytest

from app.identity.roles import Role
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.factor_rows import Bundle, FactorRow, WorkedExample
from carbon.factors.plausibility import (
    APART,
    GRID_HIGHER,
    MOVED,
    SENTENCES,
    TWICE,
    in_words,
    warnings_of,
)
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.methodologies.unit_algebra import GasSet
from kernel.call import Call
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.city import OFFICIAL, as_operator
from tests.carbon.test_factor_routes import TABLES, TEXT, YES, draft, publish
from tests.conftest import REGION

__all__ = ["desk"]
METRO = read_shipped_bundle(OFFICIAL).rows[0]
GRID = read_shipped_bundle("grid_electricity_2023.yaml").rows[0]
NEW = TEXT.replace("2021-12-01", "2026-01-01")


def codes(call: Call, row: FactorRow, before: FactorRow | None = None) -> list[str]:
    return [each.code for each in warnings_of(call, [row], predecessor=[] if before is None else [before])]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("46.7", []),
        ("93.4", []),  # twice as much is not more than twice
        ("93.41", [MOVED]),
        ("23.35", []),
        ("23.34", [MOVED]),
        ("467", [MOVED]),
        ("0", [MOVED]),
    ],
)
def test_a_value_that_moved_by_more_than_a_factor_of_two_is_said(
    call: Call, value: str, said: list[str]
) -> None:
    assert codes(call, replace(METRO, value=value), METRO) == said


def test_a_value_that_is_printed_in_another_unit_did_not_move(call: Call) -> None:
    assert codes(call, replace(METRO, value="0.0467", unit="kgCO2/person-km"), METRO) == []
    assert codes(call, replace(METRO, value="0.467", unit="kgCO2/person-km"), METRO) == [MOVED]
    other_gas = replace(METRO, value="467", unit="g/person-km", gas_set=GasSet.CO2E)
    assert codes(call, other_gas, METRO) == []


def test_a_figure_that_was_zero_moved(call: Call) -> None:
    assert codes(call, METRO, replace(METRO, value="0")) == [MOVED]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0.5306", []),
        ("0.5305", []),
        ("0.5307", [GRID_HIGHER]),
        ("1.0613", [MOVED, GRID_HIGHER]),
    ],
)
def test_a_grid_factor_that_is_higher_than_before_is_said(call: Call, value: str, said: list[str]) -> None:
    newer = replace(GRID, code="CN-GRID-2024-NAT-AVG", value=value)
    assert codes(call, newer, GRID) == said


def test_only_grid_factors_are_watched_for_rising(call: Call) -> None:
    assert codes(call, replace(METRO, value="46.8"), METRO) == []


def _table(row: FactorRow, region: str, value: str, **change: Any) -> Bundle:
    example = WorkedExample((("distance_m", 1000),), value, "g", "by hand")
    return Bundle(
        name="own",
        subject="transport",
        region=region,
        title_zh="示例",
        title_en="Example",
        note=None,
        assumption=None,
        rows=(replace(row, region=region, value=value, examples=(example,), **change),),
    )


def _published(call: Call, bundle: Bundle) -> Publication:
    drafted = draft_factor_table(as_operator(call), bundle)
    return publish_factor_table(as_operator(call), drafted.id, reason="demo city")


def test_regions_more_than_a_factor_of_five_apart_are_said(call: Call) -> None:
    _published(call, _table(METRO, "CN", "10"))
    assert codes(call, replace(METRO, value="50")) == []
    assert codes(call, replace(METRO, value="50.1")) == [APART]
    assert codes(call, replace(METRO, value="2")) == []
    assert codes(call, replace(METRO, value="1.9")) == [APART]
    assert codes(call, replace(METRO, value="0.0501", unit="kgCO2/person-km")) == [APART]
    # Another thing, another gas, another scenario or the region itself is no neighbour.
    assert codes(call, replace(METRO, value="50.1", unit="g/trip")) == []
    assert codes(call, replace(METRO, value="50.1", unit="g/person-km", gas_set=GasSet.CO2E)) == []
    assert codes(call, replace(METRO, value="50.1", scenario="walk")) == []
    assert codes(call, replace(METRO, value="50.1", region="CN")) == []


def test_the_lowest_and_the_highest_neighbour_are_looked_at_and_never_the_region_itself(call: Call) -> None:
    _published(call, _table(METRO, "CN", "10"))
    _published(call, _table(METRO, "CN-GD", "40"))
    (low,) = warnings_of(call, [replace(METRO, value="51")], predecessor=[])
    assert (low.facts["other_region"], low.facts["other"]) == ("CN", "10 gCO2/person-km")
    (high,) = warnings_of(call, [replace(METRO, value="7")], predecessor=[])
    assert high.facts["other_region"] == "CN-GD"
    assert codes(call, replace(METRO, value="9", region="CN")) == []
    assert codes(call, replace(METRO, value="7", region="CN-GD")) == []


def test_a_neighbour_counts_while_it_is_in_force(call: Call) -> None:
    high = replace(METRO, value="467")
    draft_factor_table(as_operator(call), _table(METRO, "CN", "10"))
    assert codes(call, high) == []
    _published(call, _table(METRO, "CN", "10", valid_to=date(2022, 12, 31)))
    assert codes(call, high) == []
    _published(call, _table(METRO, "CN", "46.7", valid_from=date(2023, 1, 1)))
    _published(call, _table(METRO, "CN", "10", valid_from=date(2027, 1, 1)))
    assert codes(call, replace(METRO, value="230")) == []
    assert codes(call, high) == [APART]


def test_what_the_document_prints_twice_is_said_with_both_places(call: Call) -> None:
    twice = replace(METRO, value_place="正文", other_value="46.8", other_place="附件 2")
    (said,) = in_words([vars(each) for each in warnings_of(call, [twice], predecessor=[METRO])])
    assert said["code"] == TWICE
    assert said["text_zh"] == (
        "文件两处不一致:正文 为 46.7 gCO2/person-km,附件 2 为 46.8 gCO2/person-km;以前者为准"
    )
    assert "(正文) and 46.8 gCO2/person-km in another (附件 2)" in said["text_en"]


def test_every_warning_has_a_sentence_of_the_same_figures_in_both_languages() -> None:
    for said in SENTENCES.values():
        named = [sorted(name for _, name, _, _ in Formatter().parse(text) if name) for text in said]
        assert set(named[0]) == set(named[1])
    kept = {"code": APART, "row": "A", "region": "CN", "facts": {}}
    figures = {"times": "5", "other_region": "{0.__class__}", "other": "1 g/trip", "after": "9 g/trip"}
    (told,) = in_words([{**kept, "facts": figures}])
    assert "{0.__class__}" in told["text_en"]
    assert "{0.__class__}" in told["text_zh"]


def test_warnings_stand_in_the_answer_and_on_the_table_and_stop_nobody(desk: Desk) -> None:
    publish(desk, draft(desk).json["id"])
    text = (
        NEW.replace('value: "46.7"', 'value: "467"', 1)
        .replace('expected: "0.467"', 'expected: "4.67"')
        .replace('expected: "576.6049"', 'expected: "5766.049"')
    )
    drafted = draft(desk, text)
    assert drafted.json["warnings"] == [
        {
            "code": "value_moved_much",
            "row": "SZ-METRO-2021",
            "region": REGION,
            "text_en": "more than 2 times what it was, or less than one part in 2:"
            " 46.7 gCO2/person-km before, 467 gCO2/person-km now",
            "text_zh": "与前一张表相差超过 2 倍:原为 46.7 gCO2/person-km,现为 467 gCO2/person-km",
        }
    ]
    table = drafted.json["id"]
    assert desk.ask("publisher", "GET", f"{TABLES}/{table}").json["warnings"] == drafted.json["warnings"]
    published = publish(desk, table)
    assert published.status_code == 201
    seen = desk.ask("", "GET", f"/v1/public/factor-tables/{table}").json
    assert seen["warnings"] == drafted.json["warnings"]
    assert seen["proof"]["holds"] is True


def test_a_far_neighbour_is_named_over_http(desk: Desk) -> None:
    publish(desk, draft(desk).json["id"])
    desk.hire("national", Role.OPERATOR_EDITOR, region="CN")
    text = (
        TEXT.replace("region: CN-GD-SZ", "region: CN")
        .replace('value: "26.9"', 'value: "2.69"')
        .replace('expected: "0.269"', 'expected: "0.0269"')
    )
    answer = desk.ask("national", "POST", TABLES, {"form": "yaml", "text": text})
    (told,) = answer.json["warnings"]
    assert (told["code"], told["row"], told["region"]) == ("regions_far_apart", "SZ-BUS-2021", "CN")
    assert "CN-GD-SZ" in told["text_en"]
    assert "CN-GD-SZ" in told["text_zh"]


def test_a_first_table_and_one_that_says_the_same_have_no_warnings(desk: Desk) -> None:
    assert draft(desk).json["warnings"] == []
    publish(desk, draft(desk).json["id"], YES)
    assert draft(desk, NEW).json["warnings"] == []
