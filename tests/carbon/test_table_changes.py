"""What a factor table says otherwise than another, in figures a reader can check."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from app.identity.roles import Role
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.bundles import read_shipped
from carbon.factors.factor_rows import Bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.factors.row_changes import What, compare_rows, percent_in_words, percent_moved
from carbon.factors.table_changes import table_changes
from carbon.methodologies.unit_algebra import GasSet
from kernel.call import Call
from tests.app.desk import Desk, desk
from tests.carbon.city import OFFICIAL, RETROSPECTIVE, as_operator
from tests.carbon.test_factor_routes import TABLES, TEXT, draft, publish

__all__ = ["desk"]
PUBLIC = "/v1/public/factor-tables"
NEW = TEXT.replace("2021-12-01", "2026-01-01")
METRO = read_shipped_bundle(OFFICIAL).rows[0]


def changes(desk: Desk, table: str, against: str | None = None, *, who: str = "editor") -> Any:
    query = "" if against is None else f"?against={against}"
    return desk.ask(who, "GET", f"{TABLES if who else PUBLIC}/{table}/changes{query}")


def test_a_draft_is_compared_with_the_table_it_would_follow(desk: Desk) -> None:
    first = draft(desk).json["id"]
    publish(desk, first)
    text = (
        NEW.replace('value: "46.7"', 'value: "46.8"', 1)
        .replace('expected: "0.467"', 'expected: "0.468"')
        .replace('expected: "576.6049"', 'expected: "577.8396"')
    )
    second = draft(desk, text).json["id"]
    told = changes(desk, second).json
    assert (told["table"], told["against"]) == (second, first)
    assert told["counts"] == {"added": 0, "removed": 0, "changed": 3, "recited": 0, "unchanged": 0}
    assert told["fields"] == [{"field": "effective_from", "before": "2021-12-01", "after": "2026-01-01"}]
    metro = told["rows"][0]
    assert (metro["what"], metro["code"]) == ("changed", "SZ-METRO-2021")
    assert metro["before"] == {
        "code": "SZ-METRO-2021",
        "value": "46.7",
        "unit": "gCO2/person-km",
        "gas_set": "CO2",
    }
    assert metro["after"]["value"] == "46.8"
    # 0.1 of 46.7 is 100/467 percent, which no decimal ends.
    assert (metro["percent"], metro["percent_exact"]) == ("+0.21", "100/467")
    assert {"field": "value", "before": "46.7", "after": "46.8"} in metro["fields"]
    assert {"field": "valid_from", "before": "2021-12-01", "after": "2026-01-01"} in metro["fields"]
    assert any("= 0.467 kgCO2" in (each["before"] or "") for each in metro["fields"])
    assert [row["percent"] for row in told["rows"][1:]] == ["0.00", "0.00"]
    publish(desk, second)
    assert changes(desk, second, who="").json == changes(desk, second).json == told


def test_the_first_table_of_a_subject_has_added_all_its_rows(desk: Desk) -> None:
    table = draft(desk).json["id"]
    told = changes(desk, table).json
    assert (told["against"], told["fields"]) == (None, [])
    assert told["counts"] == {"added": 3, "removed": 0, "changed": 0, "recited": 0, "unchanged": 0}
    assert [(row["what"], row["before"], row["fields"]) for row in told["rows"]] == [("added", None, [])] * 3


def test_neither_a_draft_nor_a_table_of_assumptions_comes_before_an_official_table(desk: Desk) -> None:
    assumed = draft(desk, read_shipped(RETROSPECTIVE).decode()).json["id"]
    assert publish(desk, assumed).status_code == 201
    one, other = (draft(desk).json["id"] for _ in range(2))
    assert [changes(desk, table).json["against"] for table in (one, other, assumed)] == [None] * 3
    publish(desk, one)
    assert changes(desk, other).json["against"] == one
    assert changes(desk, one).json["against"] is None


def test_a_table_and_itself_differ_in_nothing(desk: Desk) -> None:
    table = draft(desk).json["id"]
    told = changes(desk, table, table).json
    assert (told["fields"], told["rows"], told["counts"]["unchanged"]) == ([], [], 3)


def test_two_drafts_are_compared_both_ways(desk: Desk) -> None:
    one = draft(desk).json["id"]
    other = draft(desk, TEXT[: TEXT.index("  - code: SZ-BUS-RIDE-4KM")]).json["id"]
    there, back = changes(desk, other, one).json, changes(desk, one, other).json
    assert (there["counts"]["removed"], back["counts"]["added"]) == (1, 1)
    (gone,), (come,) = there["rows"], back["rows"]
    assert (gone["what"], gone["before"], gone["after"]) == ("removed", come["after"], None)
    assert {field["field"] for field in there["fields"]} == {"source"}


def test_who_may_not_see_a_table_may_not_compare_it(desk: Desk) -> None:
    desk.hire("elsewhere", Role.OPERATOR_EDITOR, region="CN")
    own = desk.ask(
        "elsewhere",
        "POST",
        TABLES,
        {"form": "csv", "text": read_shipped("everyday_actions_national.csv").decode()},
    ).json["id"]
    hidden = draft(desk).json["id"]
    assert changes(desk, hidden, who="elsewhere").status_code == 404
    refused = changes(desk, own, hidden, who="elsewhere")
    assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (404, "/query/against")
    assert changes(desk, hidden, who="").status_code == 404
    publish(desk, hidden)
    assert changes(desk, own, hidden, who="elsewhere").status_code == 200
    assert changes(desk, hidden, who="").status_code == 200
    assert changes(desk, hidden, own, who="").status_code == 404
    assert changes(desk, hidden, who="citizen").status_code == 403


@pytest.mark.parametrize("against", ["x", "ptn_" + "0" * 26, "%00", "pub_<script>"])
def test_what_is_no_table_is_refused_by_its_place(desk: Desk, against: str) -> None:
    table = draft(desk).json["id"]
    for who in ("editor", ""):
        refused = changes(desk, table, against, who=who)
        assert refused.status_code in {404, 422}
    assert desk.ask("editor", "GET", f"{TABLES}/{table}/changes?before={table}").status_code == 422


def test_a_figure_of_another_year_meets_the_one_of_this_year(call: Call) -> None:
    older, newer = (
        draft_factor_table(as_operator(call), _of_known_regions(f"grid_electricity_{year}.yaml"))
        for year in (2022, 2023)
    )
    publish_factor_table(as_operator(call), older.id, reason="demo city")
    told = table_changes(call, newer)
    assert (told["counts"]["added"], told["counts"]["removed"]) == (0, 0)
    nation = next(row for row in told["rows"] if row["region"] == "CN")
    assert (nation["before"]["value"], nation["after"]["value"]) == ("0.5366", "0.5306")
    assert (nation["percent"], nation["percent_exact"]) == ("-1.12", "-3000/2683")
    assert nation["fields"][0] == {
        "field": "code",
        "before": "CN-GRID-2022-NAT-AVG",
        "after": "CN-GRID-2023-NAT-AVG",
    }


def _of_known_regions(name: str) -> Bundle:
    bundle = read_shipped_bundle(name)
    return replace(bundle, rows=tuple(row for row in bundle.rows if row.region in {"CN", "CN-GD"}))


def test_two_rows_of_one_place_do_not_meet_under_other_codes() -> None:
    later = replace(METRO, code="LATER", valid_from=date(2030, 1, 1))
    renamed = replace(METRO, code="RENAMED")
    assert [change.what for change in compare_rows([METRO], [renamed])] == [What.CHANGED]
    assert sorted(change.what for change in compare_rows([METRO], [renamed, later])) == [
        What.ADDED,
        What.ADDED,
        What.REMOVED,
    ]


def test_a_row_with_another_source_only_is_recited() -> None:
    read = replace(METRO, source=replace(METRO.source, seen_in=None, page="7"))
    (change,) = compare_rows([METRO], [read])
    assert change.what is What.RECITED
    assert [each.field for each in change.fields] == ["source_page", "source_seen_in"]


@pytest.mark.parametrize(
    ("other", "percent"),
    [
        ({"value": "93.4"}, Fraction(100)),
        ({"value": "0.0467", "unit": "kgCO2/person-km"}, Fraction(0)),
        ({"value": "0"}, Fraction(-100)),
        ({"unit": "g/trip"}, None),
        ({"gas_set": GasSet.CO2E, "unit": "g/person-km"}, None),
    ],
)
def test_a_value_moved_by_so_many_percent_of_what_it_was(
    other: dict[str, Any], percent: Fraction | None
) -> None:
    assert percent_moved(METRO, replace(METRO, **other)) == percent


def test_nothing_is_a_percentage_of_zero() -> None:
    assert percent_moved(replace(METRO, value="0"), METRO) is None


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        (Fraction(-3000, 2683), "-1.12"),
        (Fraction(1, 200), "+0.01"),
        (Fraction(-1, 200), "-0.01"),
        (Fraction(1, 300), "+0.00"),
        (Fraction(0), "0.00"),
        (Fraction(10**9), "+1000000000.00"),
    ],
)
def test_a_percentage_is_said_with_two_decimals(percent: Fraction, words: str) -> None:
    assert percent_in_words(percent) == words


def test_a_corrected_table_does_not_follow_the_one_that_corrects_it(desk: Desk) -> None:
    table = draft(desk).json["id"]
    publish(desk, table)
    head = f"kind: factor_table\ncorrects: {table}\ncorrection_reason: two digits were exchanged\n"
    newer = draft(desk, TEXT.replace("kind: factor_table\n", head)).json["id"]
    assert publish(desk, newer).status_code == 201
    against = {
        each: desk.ask("", "GET", f"/v1/public/factor-tables/{each}/changes").json["against"]
        for each in (table, newer)
    }
    assert against == {table: None, newer: table}
