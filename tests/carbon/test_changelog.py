"""All published factors as one list and one file, and a line a table that says what it changed."""

import csv
import io
from typing import Any

import pytest

from carbon.factors.catalogue import CSV_COLUMNS
from tests.app.desk import Desk, desk
from tests.carbon.test_factor_routes import TEXT, draft, publish
from tests.conftest import REGION

__all__ = ["desk"]
PUBLIC = "/v1/public/factor-tables"
CHEAPER = (
    TEXT.replace("2021-12-01", "2025-01-01")
    .replace('value: "46.7"', 'value: "42.03"', 1)
    .replace('expected: "0.467"', 'expected: "0.4203"')
    .replace('expected: "576.6049"', 'expected: "518.94441"')
)
SHORT = TEXT[: TEXT.index("  - code: SZ-BUS-RIDE-4KM")].replace("2021-12-01", "2026-01-01")


def read(desk: Desk, path: str) -> Any:
    answer = desk.ask("", "GET", f"{PUBLIC}/{path}")
    assert answer.status_code == 200, answer.json
    return answer


def three_tables(desk: Desk) -> list[str]:
    """Their ids, newest first: the first, one with a value a tenth lower, one without its last row."""
    tables: list[str] = []
    for text in (TEXT, CHEAPER, SHORT):
        drafted = draft(desk, text)
        assert drafted.status_code == 201, drafted.json
        tables.insert(0, drafted.json["id"])
        assert publish(desk, tables[0]).status_code == 201
    return tables


def test_each_table_is_a_line_newest_first(desk: Desk) -> None:
    tables = three_tables(desk)
    hidden = draft(desk, TEXT.replace("2021-12-01", "2026-02-01")).json["id"]
    told = read(desk, "changelog").json
    assert told["next"] is None
    assert [entry["table"] for entry in told["items"]] == tables
    assert hidden not in str(told)
    assert [entry["against"] for entry in told["items"]] == [*tables[1:], None]
    assert [entry["line_en"] for entry in told["items"]] == [
        "1 removed, 2 changed; values moved by +11.11 %",
        "3 changed; values moved by -10.00 %",
        "the first table of its subject, rows: 3",
    ]
    assert [entry["line_zh"] for entry in told["items"]] == [
        "删除 1 行、修改 2 行;数值变动 +11.11%",
        "修改 3 行;数值变动 -10.00%",
        "该主题的第一张表,共 3 行",
    ]
    for entry in told["items"]:
        assert entry["counts"] == read(desk, f"{entry['table']}/changes").json["counts"]
    assert read(desk, "changelog?region=CN").json["items"] == []


def test_the_changelog_is_read_page_by_page(desk: Desk) -> None:
    tables = three_tables(desk)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = read(desk, f"changelog?limit=1&region={REGION}" + (f"&after={after}" if after else "")).json
        seen += [entry["table"] for entry in page["items"]]
        after = page["next"]
    assert seen == tables


def test_all_rows_are_one_list_and_one_file(desk: Desk) -> None:
    tables = three_tables(desk)
    items = read(desk, "rows").json["items"]
    assert [item["table"] for item in items] == [tables[0]] * 2 + [tables[1]] * 3 + [tables[2]] * 3
    assert [item["value"] for item in items if item["code"] == "SZ-METRO-2021"] == ["46.7", "42.03", "46.7"]
    assert {item["standing"] for item in items[2:]} == {"superseded"}
    answer = read(desk, "rows.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert "Link" not in answer.headers
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [(row["table_id"], row["code"], row["value"]) for row in rows] == [
        (item["table"], item["code"], item["value"]) for item in items
    ]
    one = read(desk, f"{tables[1]}/rows.csv").get_data(as_text=True)
    assert list(csv.DictReader(io.StringIO(one))) == rows[2:5]


def test_a_long_file_names_the_next_in_its_header(desk: Desk) -> None:
    three_tables(desk)
    whole = list(csv.reader(io.StringIO(read(desk, "rows.csv").get_data(as_text=True))))
    path, rows = f"rows.csv?limit=2&region={REGION}", []
    while path:
        answer = read(desk, path)
        rows += list(csv.reader(io.StringIO(answer.get_data(as_text=True))))[1:]
        link = answer.headers.get("Link", "")
        path = link.partition(f"<{PUBLIC}/")[2].partition(">")[0]
        assert not link or link.endswith('>; rel="next"')
    assert rows == whole[1:]


@pytest.mark.parametrize("path", ["rows.csv", "rows", "changelog"])
def test_a_page_of_tables_has_a_limit_and_bad_questions_are_refused(desk: Desk, path: str) -> None:
    for query in ("limit=51", "limit=0", "after=x", "region=cn", "state=draft"):
        answer = desk.ask("", "GET", f"{PUBLIC}/{path}?{query}")
        assert answer.status_code == 422, query
    assert read(desk, path).status_code == 200
