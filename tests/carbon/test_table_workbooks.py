"""A factor table as a workbook: what the CSV says, faults by row and column, no figure that was a float."""

import csv
import io
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from carbon.activities.byte_bodies import WORKBOOK_MEDIA
from carbon.factors.bundle_export import bundle_csv
from carbon.factors.bundle_files import (
    BundleRefused,
    read_bundle,
    read_shipped_bundle,
    shipped_bundle_names,
)
from carbon.factors.bundle_lines import COLUMNS, REQUIRED
from carbon.factors.bundle_sheets import SHEET
from carbon.factors.example_table import EXAMPLE_CSV, EXAMPLE_YAML
from carbon.factors.factor_rows import Bundle
from carbon.factors.routes import _WORKBOOK_BYTES_MAX
from carbon.factors.stored_rows import as_json
from kernel.errors import Refusal
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.adapters.workbook_files import by_hand, inline, saved, table
from tests.carbon.city import OFFICIAL
from tests.carbon.test_factor_routes import TABLES, code, publish
from tests.conftest import REGION

__all__ = ["desk"]
URL = f"{TABLES}/workbook"


def lines_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


EXAMPLE = lines_of(EXAMPLE_CSV)[0]


def sheet(*lines: dict[str, Any]) -> bytes:
    """A workbook with these lines; its columns are those of the first."""
    return saved(table(*([line.get(name) for name in lines[0]] for line in lines), header=lines[0]))


def read(*lines: dict[str, Any]) -> Bundle:
    return read_bundle(sheet(*lines), form="xlsx")


def faults_of(data: bytes) -> list[dict[str, Any]]:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(data, form="xlsx")
    errors = refused.value.facts["errors"]
    assert isinstance(errors, list)
    return errors


def published(bundle: Bundle) -> Publication:
    """The publication that a bundle becomes, without a database."""
    return Publication(
        region_id=bundle.region,
        subject=f"{bundle.subject}/assumption" if bundle.assumption else bundle.subject,
        title=f"{bundle.title_zh} / {bundle.title_en}",
        assumption=bundle.assumption,
        content={
            "name": bundle.name,
            "note": bundle.note,
            "rows": [as_json(asdict(row)) for row in bundle.rows],
        },
    )


def told(bundle: Bundle) -> dict[str, Any]:
    """All that a draft keeps of a file, but on which of its lines it stood."""
    return {**asdict(bundle), "normalised": [(each.field, each.printed) for each in bundle.normalised]}


@pytest.mark.parametrize("name", shipped_bundle_names())
def test_a_table_comes_back_from_its_own_csv_and_from_a_workbook_of_it(name: str) -> None:
    shipped = read_shipped_bundle(name)
    text = bundle_csv(published(shipped))
    lines = lines_of(text)
    assert tuple(lines[0]) == COLUMNS
    # A line break within a text is a space in CSV.
    for form, data in (("csv", text.encode()), ("xlsx", sheet(*lines))):
        again = told(read_bundle(data, form=form))  # type: ignore[arg-type]  # both are forms
        assert again == {**told(shipped), "normalised": again["normalised"]}, form


def test_what_was_printed_otherwise_comes_back_as_it_was_printed() -> None:
    printed = EXAMPLE_YAML.replace('"0.012"', "０．０１２").replace(
        "unit: kgCO2/piece", "unit: 千克二氧化碳/个"
    )
    shipped = read_bundle(printed.encode(), form="yaml")
    lines = lines_of(bundle_csv(published(shipped)))
    assert (lines[0]["value"], lines[0]["unit_printed"]) == ("０．０１２", "千克二氧化碳/个")
    assert read(*lines).rows == shipped.rows


def test_a_row_has_as_many_examples_as_lines_below_it_say() -> None:
    more = dict.fromkeys(COLUMNS) | {
        "example_inputs": '{"count": 3}',
        "example_expected": "36",
        "example_unit": "gCO2",
        "example_source": "3 x 12 g by hand",
    }
    line = dict.fromkeys(COLUMNS) | EXAMPLE
    (row,) = read(line, more, more | {"example_inputs": '{"count": 0}', "example_expected": "0"}).rows
    assert [dict(each.inputs)["count"] for each in row.examples] == [5, 3, 0]
    text = bundle_csv(published(read(line, more)))
    assert len(lines_of(text)) == 2
    assert len(read_bundle(text.encode(), form="csv").rows[0].examples) == 2
    (fault,) = faults_of(sheet(line, more, more | {"example_expected": "37"}))
    assert (fault["code"], fault["pointer"]) == ("example_differs", "/rows/0/examples/2")
    assert (fault["row"], fault["detail"][:5]) == (4, "AT4: ")


def test_a_cell_that_a_spreadsheet_would_run_comes_back_without_its_mark() -> None:
    text = EXAMPLE_CSV.replace("A drink in one's own cup", "=1+1")
    lines = lines_of(bundle_csv(published(read_bundle(text.encode(), form="csv"))))
    assert lines[0]["name_en"] == "'=1+1"
    assert read(*lines).rows[0].name_en == "=1+1"
    assert read(EXAMPLE | {"name_en": "'tis"}).rows[0].name_en == "'tis"


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("value", 0.012, "number_not_text"),
        ("value", 12, "number_not_text"),
        ("value", 0.1 + 0.2, "number_not_text"),
        ("value", "=0.012*1", "formula_not_calculated"),
        ("value", "#N/A", "cell_is_error"),
        ("value", True, "field_wrong_type"),
        ("value", date(2026, 1, 2), "field_wrong_type"),
        ("value", None, "field_missing"),
        ("value", "0.0120000000000000004", "number_not_plain"),
        ("value", "1.2E-2", "number_not_plain"),
        ("value", "12", "example_differs"),
        ("example_expected", 60, "number_not_text"),
        ("example_expected", "61", "example_differs"),
        ("example_inputs", '{"count": 5.0}', "number_not_plain"),
        ("example_inputs", "count 5", "field_wrong_type"),
        ("example_inputs", 5, "field_wrong_type"),
        ("method", "per_mile", "choice_unknown"),
        ("method", 7.5, "number_not_plain"),
        ("unit", "kgCO2/吨", "unit_word_ambiguous"),
        ("unit", True, "field_wrong_type"),
        ("code", 1.5, "number_not_plain"),
        ("code", 10**16, "digits_lost"),
        ("valid_from", datetime(2027, 1, 1, 8), "day_not_readable"),  # noqa: DTZ001 - a cell has no zone
        ("valid_from", 46388, "day_not_readable"),
        ("valid_from", "2027-1-1", "day_not_readable"),
        ("verified", False, "field_wrong_type"),
        ("source_published_year", 2026.5, "number_not_plain"),
        ("source_title", None, "field_missing"),
        ("source_title", True, "field_wrong_type"),
        ("table_title_zh", None, "field_missing"),
        ("table_region", True, "field_wrong_type"),
    ],
)
def test_a_fault_is_named_once_with_the_row_and_the_column_that_the_spreadsheet_shows(
    column: str, value: Any, said: str
) -> None:
    shown = "example_expected" if said == "example_differs" else column
    letter = chr(ord("A") + list(EXAMPLE).index(shown))
    faults = [each for each in faults_of(sheet(EXAMPLE | {column: value})) if "row" in each]
    assert [each["code"] for each in faults if each["column"] == letter] == [said]
    assert all(each["detail"].startswith(f"{each['column']}{each['row']}: ") for each in faults)
    assert {each["row"] for each in faults} == {2}


def test_the_faults_of_all_rows_are_named_at_once_and_stand_where_the_sheet_has_them() -> None:
    book = table()
    page = book.active
    page.delete_rows(1)
    second = EXAMPLE | {"code": "B", "scenario": "b", "value": 0.5, "verified": "perhaps"}
    third = EXAMPLE | {"code": "C", "scenario": "c", "unit": "gCO2/km", "table_region": "CN-BJ"}
    for row, cells in ((3, {name: name for name in EXAMPLE}), (5, EXAMPLE), (6, second), (9, third)):
        for column, name in enumerate(EXAMPLE, start=4):
            page.cell(row, column, cells[name])
    page.cell(11, 1, "a note")
    told = [(each["code"], each["row"], each["column"]) for each in faults_of(saved(book))]
    assert told == [
        ("number_not_text", 6, "O"),
        ("table_differs", 9, None),
        ("columns_differ", 11, None),
        ("choice_unknown", 6, "T"),
        ("factor_unit_ambiguous", 9, "O"),
    ]


def test_counts_years_and_days_may_be_a_spreadsheets_own() -> None:
    own = {
        "method_version": 1,
        "data_year": 2026.0,
        "quantity_max": 999_999_999_999_999,
        "valid_from": date(2027, 1, 1),
        "valid_to": date(2027, 12, 31),
        "source_published_year": 2026,
        "code": 7,
    }
    (row,) = read(EXAMPLE | own).rows
    assert (row.code, row.data_year, row.quantity_max) == ("7", 2026, 999_999_999_999_999)
    assert (row.valid_from, row.valid_to) == (date(2027, 1, 1), date(2027, 12, 31))


def test_a_figure_keeps_its_zeros() -> None:
    assert read(EXAMPLE | {"value": "0.01200"}).rows[0].value == "0.01200"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: b"no workbook", "workbook_unreadable"),
        (lambda: by_hand(f'<row r="{SHEET.rows + 1}"><c><v>1</v></c></row>'), "workbook_too_large"),
        (lambda: by_hand('<row r="1"><c r="BA1"><v>1</v></c></row>'), "workbook_too_large"),
        (lambda: by_hand(f"<row>{inline('code', 'value')}</row>"), "header_differs"),
        (lambda: by_hand(f"<row>{inline(*REQUIRED, 'value')}</row>"), "header_differs"),
        (lambda: by_hand(f"<row>{inline(*REQUIRED, 'price')}</row>"), "header_differs"),
        (lambda: by_hand(f"<row>{inline(*REQUIRED)}</row>"), "bundle_refused"),
        (by_hand, "file_empty"),
        (lambda: sheet(EXAMPLE | {"note": "x" * 2_001}), "bundle_refused"),
    ],
)
def test_a_workbook_that_is_no_table_is_refused(build: Callable[[], bytes], said: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_bundle(build(), form="xlsx")
    assert refused.value.code == said


def test_all_columns_there_are_fit_into_the_sheet_and_the_longest_text_is_whole() -> None:
    line = dict.fromkeys(COLUMNS) | EXAMPLE | {"note": "注" * 2_000}
    assert len(COLUMNS) < SHEET.columns
    assert len(read(line).rows[0].note or "") == 2_000


def send(desk: Desk, data: bytes, query: str = "", who: str = "editor", **headers: str) -> Any:
    digest = b64encode(sha256(data).digest()).decode()
    told = {"X-Who": who, "Content-Digest": f"sha-256=:{digest}:"} | headers
    client = desk.product.flask.test_client()
    return client.post(URL + query, data=data, content_type=WORKBOOK_MEDIA, headers=told)


def test_a_workbook_is_drafted_published_and_given_back(desk: Desk) -> None:
    drafted = send(desk, sheet(EXAMPLE))
    assert drafted.status_code == 201, drafted.json
    in_json = desk.ask("editor", "POST", TABLES, {"form": "csv", "text": EXAMPLE_CSV}).json
    assert drafted.json["rows"] == in_json["rows"]
    assert drafted.json["title"] == in_json["title"]
    path = f"factor-tables/{drafted.json['id']}/bundle.csv"
    own = desk.ask("editor", "GET", f"/v1/operator/{path}")
    assert (own.status_code, own.content_type) == (200, "text/csv; charset=utf-8")
    assert desk.ask("", "GET", f"/v1/public/{path}").status_code == 404
    assert publish(desk, drafted.json["id"]).status_code == 201
    public = desk.ask("", "GET", f"/v1/public/{path}").get_data(as_text=True)
    assert public == own.get_data(as_text=True)
    for again in (
        desk.ask("editor", "POST", TABLES, {"form": "csv", "text": public}),
        send(desk, sheet(*lines_of(public))),
    ):
        assert (again.status_code, again.json["rows"]) == (201, drafted.json["rows"])


def test_the_answer_names_row_and_column_in_both_languages(desk: Desk) -> None:
    bad = sheet(EXAMPLE, EXAMPLE | {"code": "B", "scenario": "b", "value": 0.5})
    for language in ("en", "zh"):
        answer = send(desk, bad, **{"Accept-Language": language})
        assert code(answer) == (422, "bundle_refused")
        (fault,) = answer.json["errors"]
        assert (fault["pointer"], fault["row"], fault["column"]) == ("/rows/1/value", 3, "L")
        assert fault["detail"].startswith("L3: ")


def test_a_workbook_goes_through_the_gates_of_every_table(desk: Desk, tmp_path: Path) -> None:
    data = sheet(EXAMPLE)
    assert send(desk, data, who="publisher").status_code == 403
    assert send(desk, data, who="").status_code == 401
    assert code(send(desk, data, "?first_day=2027-01-01")) == (422, "first_day_unused")
    assert send(desk, data, "?first_day=2027-01-01").json["errors"][0]["pointer"] == "/query/first_day"
    assert code(send(desk, data, "?first_day=tomorrow")) == (422, "request_invalid")
    assert code(send(desk, data, "?day=1")) == (422, "request_invalid")
    assert code(send(desk, sheet(EXAMPLE | {"table_region": "CN"}))) == (403, "region_not_yours")
    assert code(send(desk, data, **{"Content-Digest": "none"})) == (400, "content_digest_missing")
    assert code(send(desk, data, **{"Content-Digest": f"sha-256=:{'A' * 43}=:"})) == (
        400,
        "content_digest_differs",
    )
    assert code(send(desk, b"text")) == (422, "workbook_unreadable")
    assert code(send(desk, bytes(_WORKBOOK_BYTES_MAX + 1))) == (413, "upload_too_large")
    no_day = sheet(EXAMPLE | {"valid_from": None, "valid_from_kind": "nominal"})
    assert code(send(desk, no_day)) == (422, "first_day_unknown")
    taken = send(desk, no_day, "?first_day=2027-01-01&source=the%20guide").json
    assert (taken["rows"][0]["valid_from"], taken["source"]) == ("2027-01-01", "the guide")
    folder = Path(desk.product.flask.config["UPLOADS_FOLDER"])
    assert [each for each in folder.iterdir() if each.is_file()] == []
    assert desk.database.rows("SELECT count(*) AS n FROM publication")[0].n == 1


def test_the_official_table_is_the_same_draft_in_every_form(desk: Desk) -> None:
    shipped = read_shipped_bundle(OFFICIAL)
    assert shipped.region == REGION
    text = bundle_csv(published(shipped))
    drafts = [
        desk.ask("editor", "POST", TABLES, {"form": "csv", "text": text}),
        send(desk, sheet(*lines_of(text))),
    ]
    assert [each.status_code for each in drafts] == [201, 201]
    assert drafts[0].json["rows"] == drafts[1].json["rows"]
