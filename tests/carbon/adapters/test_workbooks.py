"""Workbooks as offices send them: what a cell means, and what is refused rather than guessed."""

import io
import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from carbon.activities.adapters.activity_lines import read_activity_lines, read_activity_sheet
from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers, WorkbookUnreadable
from carbon.activities.adapters.frames import SCHEMA, row_inputs
from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES
from carbon.activities.adapters.workbook.cells import FRAME_ROWS
from carbon.activities.adapters.workbook.lookups import CELL_CHARACTERS_MAX, shows_hours
from kernel.errors import Refusal
from tests.carbon.adapters.test_activity_lines import BAD_EITHER_WAY, RIDE
from tests.carbon.adapters.workbook_files import (
    COLUMNS,
    WORKBOOK,
    blank,
    by_hand,
    inline,
    rows,
    saved,
    since_1904,
    table,
)

GOOD: dict[str, Any] = {
    "source_event_id": "e1",
    "subject": "DEMO0001",
    "scenario": "metro_ride",
    "occurred_at": "2026-11-20T11:00:00+08:00",
    "quantity": 12_000,
    "unit": "m",
}
ELEVEN = datetime(2026, 11, 20, 11)  # noqa: DTZ001 - a cell has no zone


def read(data: Any) -> pl.DataFrame:
    found = data if isinstance(data, bytes) else saved(data)
    return pl.concat(read_activity_sheet(io.BytesIO(found)))


def one(**changes: Any) -> dict[str, Any]:
    """What becomes of a record with some cells changed."""
    record = GOOD | changes
    return read(table(record.values(), header=record)).row(0, named=True)


def test_one_record_in_three_forms_has_one_content() -> None:
    record = GOOD | {"started_at": "2026-11-20T10:30:00.250+08:00", "corrects_revision": 3}
    csv = ",".join(record) + "\n" + ",".join(map(str, record.values()))
    frames = [
        pl.concat(read_activity_lines(io.BytesIO(csv.encode()), form="csv")),
        pl.concat(read_activity_lines(io.BytesIO(json.dumps(record).encode()), form="ndjson")),
        read(table(record.values(), header=record)),
        read(
            table(
                (
                    record
                    | {"occurred_at": ELEVEN, "started_at": ELEVEN - timedelta(minutes=29, seconds=59.75)}
                ).values(),
                header=record,
            )
        ),
    ]
    assert [frame["outcome"].to_list() for frame in frames] == [[ACTIVITY]] * 4
    assert len({frame["payload"][0] for frame in frames}) == 1
    plain = [frame.drop("line_no") for frame in frames]
    assert all(frame.equals(plain[0]) for frame in plain)
    assert list(frames[2].columns) == list(SCHEMA)
    assert read(table((GOOD | {"quantity": 12_001}).values()))["payload"][0] != frames[2]["payload"][0]


@pytest.mark.parametrize(("changes", "outcome", "pointer"), BAD_EITHER_WAY)
def test_a_bad_row_is_refused_as_in_a_csv(changes: dict[str, Any], outcome: str, pointer: str) -> None:
    record = {name: value for name, value in (RIDE | changes).items() if value is not ...}
    header = list(dict.fromkeys((*RIDE, *record)))
    texts = [str(record[name]) if name in record else None for name in header]
    good = [RIDE.get(name) for name in header]
    frame = read(table(good, texts, good, header=header))
    assert frame["outcome"].to_list() == [ACTIVITY, outcome, ACTIVITY]
    row = frame.row(1, named=True)
    assert (row["pointer"], row["scenario"], row_inputs(row)) == (pointer, None, {})


@pytest.mark.parametrize(
    ("name", "value", "outcome"),
    [
        ("quantity", 12_000.0, ACTIVITY),
        ("quantity", 12_000.000000000002, ACTIVITY),
        ("quantity", "12000", ACTIVITY),
        ("quantity", 0, ACTIVITY),
        ("quantity", 999_999_999_999_999, ACTIVITY),
        ("quantity", 12_000.5, "number_not_plain"),
        ("quantity", 0.1, "number_not_plain"),
        ("quantity", 1e-9, "number_not_plain"),
        ("quantity", "12,000", "number_not_plain"),
        ("quantity", "12000.0", "number_not_plain"),
        ("quantity", " 12000", "number_not_plain"),
        ("quantity", "１２０００", "number_not_plain"),
        ("quantity", -1, "number_negative"),
        ("quantity", 10**15, "digits_lost"),
        ("quantity", 10**200, "digits_lost"),
        ("quantity", True, "field_wrong_type"),
        ("quantity", date(1932, 11, 7), "field_wrong_type"),
        ("quantity", time(8), "field_wrong_type"),
        ("quantity", timedelta(hours=30), "field_wrong_type"),
        ("quantity", "=1/0", "formula_not_calculated"),
        ("quantity", "#N/A", "cell_is_error"),
        ("subject", 12345678, ACTIVITY),
        ("subject", 621_234_567_890_123, ACTIVITY),
        ("subject", "6212345678901234567", ACTIVITY),
        ("subject", 6_212_345_678_901_234, "digits_lost"),
        ("subject", 6_212_345_678_901_234_567, "digits_lost"),
        ("subject", 12.5, "number_not_plain"),
        ("subject", False, "field_wrong_type"),
        ("subject", ELEVEN, "field_wrong_type"),
        ("subject", "DEMO 1", "text_not_plain"),
        ("subject", "ＤＥＭＯ１", "text_not_plain"),
        ("subject", "a\nb", "text_not_plain"),
        ("subject", "#REF!", "cell_is_error"),
        ("source_event_id", 1, ACTIVITY),
        ("source_event_id", date(2026, 1, 2), "field_wrong_type"),
        ("source_event_id", 1.25, "number_not_plain"),
        ("scenario", 7, "text_not_plain"),
        ("unit", 7, "unit_unknown"),
        ("occurred_at", ELEVEN, ACTIVITY),
        ("occurred_at", ELEVEN.date(), "time_not_readable"),
        ("occurred_at", time(11), "time_not_readable"),
        ("occurred_at", timedelta(hours=11), "time_not_readable"),
        ("occurred_at", 46346.458333333336, "time_not_readable"),
        ("occurred_at", 20261120110000, "time_not_readable"),
        ("occurred_at", "2026-11-20 11:00", "time_not_readable"),
        ("occurred_at", "2026/11/20 11:00+08:00", "time_not_readable"),
        ("occurred_at", "2026-11-20 11:00+08:00", ACTIVITY),
        ("occurred_at", None, "field_missing"),
        ("occurred_at", True, "field_wrong_type"),
    ],
)
def test_what_a_cell_holds_decides_what_becomes_of_its_row(name: str, value: Any, outcome: str) -> None:
    row = one(**{name: value})
    assert (row["outcome"], row["pointer"]) == (outcome, None if outcome == ACTIVITY else f"/{name}")
    assert outcome in LINE_CODES


def test_what_a_number_says_is_what_is_kept() -> None:
    assert one(quantity=12_000.0)["distance_m"] == 12_000
    assert one(quantity=12_000.000000000002)["distance_m"] == 12_000
    row = one(source_event_id=20_261_120, subject=621_234_567_890_123, corrects_revision=2.0)
    assert (row["source_event_id"], row["subject"]) == ("20261120", "621234567890123")
    assert row["corrects_revision"] == 2


def test_a_cell_of_date_and_time_is_shanghais() -> None:
    assert one(occurred_at=ELEVEN)["occurred_at"] == datetime(2026, 11, 20, 3, tzinfo=UTC)
    row = one(occurred_at=ELEVEN, started_at=ELEVEN - timedelta(hours=12))
    assert row["started_at"] == datetime(2026, 11, 19, 15, tzinfo=UTC)
    assert one(occurred_at=ELEVEN, started_at=ELEVEN + timedelta(seconds=1))["outcome"] == "times_reversed"
    assert one(started_at=date(2026, 11, 20))["pointer"] == "/started_at"


def test_every_moment_of_a_day_is_read_as_it_was_typed() -> None:
    moments = [ELEVEN.replace(hour=0) + timedelta(milliseconds=step * 61_003) for step in range(1, 1_416)]
    frame = read(table(*((GOOD | {"occurred_at": at}).values() for at in moments)))
    expected = [(at - timedelta(hours=8)).replace(tzinfo=UTC) for at in moments]
    assert frame["occurred_at"].to_list() == expected


@pytest.mark.parametrize(
    ("format_", "outcome"),
    [
        ("yyyy-mm-dd hh:mm", ACTIVITY),
        ('yyyy"年"m"月"d"日" h"时"', ACTIVITY),
        ("[$-804]yyyy/m/d H:mm;@", ACTIVITY),
        ("yyyy-mm-dd", "time_not_readable"),
        ('yyyy-mm-dd "h"', "time_not_readable"),
        ("yyyy-mm-dd;h", "time_not_readable"),
        ("General", "time_not_readable"),
    ],
)
def test_a_midnight_is_told_from_a_day_by_the_hours_that_its_cell_shows(format_: str, outcome: str) -> None:
    book = table(GOOD.values())
    book.active["D2"].value = datetime(2026, 11, 20)  # noqa: DTZ001 - a cell has no zone
    book.active["D2"].number_format = format_
    row = read(book).row(0, named=True)
    assert row["outcome"] == outcome
    if outcome == ACTIVITY:
        assert row["occurred_at"] == datetime(2026, 11, 19, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "expected"), [("[hh]:mm", False), (r"yyyy\h", False), ("_hyyyy", False), ("h:mm AM/PM", True)]
)
def test_an_hour_that_is_quoted_is_none(code: str, *, expected: bool) -> None:
    assert shows_hours(code) is expected


def test_formats_of_conditions_and_named_styles_are_not_those_of_cells() -> None:
    styles = (
        '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="yyyy-mm-dd"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="22"/></cellStyleXfs><cellXfs><xf numFmtId="170"/></cellXfs>'
        '<dxfs><dxf><numFmt numFmtId="170" formatCode="h:mm"/></dxf></dxfs></styleSheet>'
    )
    cells = inline("e1", "c", "metro_ride") + '<c s="0"><v>46346</v></c><c><v>1</v></c>' + inline("m")
    assert read(by_hand(rows(cells), styles=styles))["outcome"].to_list() == ["time_not_readable"]
    shown = styles.replace("yyyy-mm-dd", "yyyy h:mm").replace('formatCode="h:mm"', 'formatCode="0"')
    row = read(by_hand(rows(cells), styles=shown)).row(0, named=True)
    assert row["occurred_at"] == datetime(2026, 11, 19, 16, tzinfo=UTC)


def test_a_cell_of_a_format_that_is_not_there_is_a_plain_number() -> None:
    styles = '<styleSheet><cellXfs><xf numFmtId="22"/></cellXfs></styleSheet>'
    before, after = inline("e1", "c", "metro_ride", GOOD["occurred_at"]), inline("m")
    cells = [f"{before}<c{style}><v>9</v></c>{after}" for style in (' s="1"', ' s="x"', ' s="0"', "")]
    frame = read(by_hand(rows(*cells), styles=styles))
    assert frame["outcome"].to_list() == [ACTIVITY, ACTIVITY, "field_wrong_type", "field_wrong_type"]


def test_days_may_be_counted_from_1904() -> None:
    book = table((GOOD | {"occurred_at": ELEVEN}).values())
    assert read(since_1904(book))["occurred_at"].to_list() == [datetime(2026, 11, 20, 3, tzinfo=UTC)]


def test_times_that_programs_write_into_cells_are_read() -> None:
    cells = [
        inline("e1", "c", "metro_ride") + f'<c t="d"><v>{at}</v></c><c><v>1</v></c>' + inline("m")
        for at in (
            "2026-11-20T11:00:00",
            "2026-11-20T00:00:00",
            "2026-11-20",
            "2026-11-20T11:00:00Z",
        )
    ]
    frame = read(by_hand(rows(*cells)))
    assert frame["occurred_at"].to_list() == [
        datetime(2026, 11, 20, 3, tzinfo=UTC),
        datetime(2026, 11, 19, 16, tzinfo=UTC),
        None,
        datetime(2026, 11, 20, 11, tzinfo=UTC),
    ]


def test_a_formula_counts_by_the_result_that_was_saved_with_it() -> None:
    before, after = inline("e1", "c", "metro_ride", GOOD["occurred_at"]), inline("m")
    frame = read(
        by_hand(
            rows(
                before + "<c><f>A1*2</f><v>8000</v></c>" + after,
                before + "<c><f>A1*2</f><v/></c>" + after,
                before + "<c><f>A1*2</f></c>" + after,
                before + '<c t="str"><f>IF(A1,1,"")</f><v></v></c>' + after,
                before + '<c t="e"><f>A1/0</f><v>#DIV/0!</v></c>' + after,
                before + '<c t="e"><f>_xlfn.SORT(A1)</f><v>#SPILL!</v></c>' + after,
            )
        )
    )
    assert frame["outcome"].to_list() == [
        ACTIVITY,
        "formula_not_calculated",
        "formula_not_calculated",
        "field_missing",
        "cell_is_error",
        "cell_is_error",
    ]
    assert frame["distance_m"][0] == 8_000
    assert frame["pointer"].to_list() == [None, *["/quantity"] * 5]


def test_rows_keep_the_numbers_that_the_spreadsheet_shows() -> None:
    book = blank()
    sheet = book.active
    good = list(GOOD.values())
    for row, cells in ((3, COLUMNS), (4, good), (7, ["e2", *good[1:]]), (8, ["", "  ", "\u3000"])):
        for column, value in enumerate(cells, start=2):
            sheet.cell(row, column, value)
    sheet.cell(12, 2, "e3")
    sheet.cell(40, 3).number_format = "0.00"
    frame = read(book)
    assert frame["line_no"].to_list() == [4, 7, 12]
    assert frame["outcome"].to_list() == [ACTIVITY, ACTIVITY, "field_missing"]
    assert frame["file_no"].unique().to_list() == [1]


def test_a_last_row_of_errors_alone_does_not_disappear() -> None:
    frame = read(by_hand(rows("", "<c><f>A1</f></c>", '<c/><c t="e"><v>#N/A</v></c>')))
    assert frame["line_no"].to_list() == [3, 4]
    assert frame["outcome"].to_list() == ["formula_not_calculated", "cell_is_error"]
    assert frame["pointer"].to_list() == ["/source_event_id", "/subject"]


def test_a_table_may_stand_anywhere_and_what_is_marked_stands_with_it() -> None:
    book = blank()
    for row, cells in ((5, COLUMNS), (6, GOOD.values()), (7, GOOD.values())):
        for column, value in enumerate(cells, start=4):
            book.active.cell(row, column, value)
    book.active["G6"].value = datetime(2026, 11, 20)  # noqa: DTZ001 - a cell has no zone
    book.active["G6"].number_format = "yyyy-mm-dd hh:mm"
    book.active["H7"] = "#N/A"
    frame = read(book)
    assert frame["outcome"].to_list() == [ACTIVITY, "cell_is_error"]
    assert (frame["line_no"].to_list(), frame["pointer"][1]) == ([6, 7], "/quantity")


def test_more_rows_than_a_frame_come_all_and_in_their_order() -> None:
    cells = inline("e1", "c", "metro_ride", GOOD["occurred_at"], "1", "m")
    data = by_hand(rows(*[cells] * (FRAME_ROWS + 2)))
    frames = list(read_activity_sheet(io.BytesIO(data)))
    assert [frame.height for frame in frames] == [FRAME_ROWS, 2]
    assert pl.concat(frames)["line_no"].to_list() == list(range(2, FRAME_ROWS + 4))


def test_merged_cells_say_something_in_their_first_row_only() -> None:
    good = list(GOOD.values())
    book = table(good, ["e2", *good[1:]])
    book.active.merge_cells("D2:D3")
    frame = read(book)
    assert frame["outcome"].to_list() == [ACTIVITY, "field_missing"]
    assert frame["pointer"][1] == "/occurred_at"


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_the_first_sheet_that_is_seen_is_the_one_that_counts(state: str) -> None:
    book = table(GOOD.values())
    lists = book.create_sheet("lists", 0)
    lists.sheet_state = state
    lists.append(["metro_ride"])
    book.create_chartsheet("a chart", 0)
    book.create_sheet("last").append(["anything"])
    assert read(book)["outcome"].to_list() == [ACTIVITY]


def test_a_workbook_of_hidden_sheets_has_nothing_to_read() -> None:
    with pytest.raises(WorkbookUnreadable, match="no visible sheet"):
        read(by_hand(rows(), workbook=WORKBOOK.replace("<sheet ", '<sheet state="hidden" ')))


def test_a_header_may_have_blanks_and_marks_around_its_names() -> None:
    around = [
        f"{before}{name}{after}"
        for (before, after), name in zip(
            [("\ufeff", ""), (" ", " "), ("\u00a0", ""), ("", "\u3000"), ("\u200b", "\n"), ("", "\t")],
            COLUMNS,
            strict=True,
        )
    ]
    assert read(table(GOOD.values(), header=around))["outcome"].to_list() == [ACTIVITY]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (("活动清单",), "missing: source_event_id, subject, scenario, occurred_at"),
        (COLUMNS[1:], "missing: source_event_id"),
        ((*COLUMNS, "unit"), "twice"),
        ((*COLUMNS, " unit "), "twice"),
        ((*COLUMNS, "price"), "1 columns"),
        ((*COLUMNS, 5), "1 columns"),
        ((*COLUMNS, ELEVEN), "1 columns"),
        ((*COLUMNS, "#N/A"), "1 columns"),
        ((*COLUMNS, "ｃｏｕｎｔ"), "1 columns"),
    ],
)
def test_a_header_of_other_columns_refuses_the_file(header: tuple[Any, ...], said: str) -> None:
    with pytest.raises(HeaderDiffers) as refused:
        read(table(GOOD.values(), header=header))
    assert said in refused.value.detail


def test_a_cell_under_no_name_spoils_its_row_only() -> None:
    good = list(GOOD.values())
    header = [*COLUMNS[:2], None, *COLUMNS[2:]]
    gap = [*good[:2], None, *good[2:]]
    book = table(gap, gap, gap, [*gap[:2], "note", *gap[3:]], header=header)
    book.active["K3"] = "a note beside it"
    book.active["L4"] = "   "
    frame = read(book)
    assert frame["outcome"].to_list() == [ACTIVITY, "columns_differ", ACTIVITY, "columns_differ"]


def test_a_header_alone_has_no_rows_and_an_empty_sheet_no_header() -> None:
    assert read(table()).height == 0
    for empty in (blank(), table(header=[None, "  "])):
        with pytest.raises(FileEmpty):
            read(empty)


def test_texts_are_read_however_they_are_kept() -> None:
    texts = (
        "<si><r><t>metro</t></r><r><rPr/><t xml:space='preserve'>_ride</t></r>"
        "<rPh sb='0' eb='1'><t>di tie</t></rPh></si><si/><si><t>c&amp;1</t></si>"
    )
    at = f'<c t="str"><v>{GOOD["occurred_at"]}</v></c>'
    event = '<c t="inlineStr"><is><r><t>e</t></r><r><t>1</t></r><rPh><t>x</t></rPh></is></c>'
    shared = [f'<c t="s"><v>{place}</v></c>' for place in range(3)]
    cells = f"{event}{shared[2]}{shared[0]}{at}<c><v>1</v></c>{inline('m')}{shared[1]}"
    row = read(by_hand(rows(cells), texts=texts)).row(0, named=True)
    assert (row["outcome"], row["source_event_id"], row["subject"]) == (ACTIVITY, "e1", "c&1")
    assert row["scenario"] == "metro_ride"


def test_what_spreadsheet_programs_write_around_the_cells_is_passed_over() -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    strings = [*COLUMNS, "e1", "metro_ride", "m"]
    places = "ABCDEF"
    header = "".join(f'<c r="{at}1" s="2" t="s"><v>{place}</v></c>' for place, at in enumerate(places))
    record = (
        '<c r="A2" t="s"><v>6</v></c><c r="B2"><v>12345678</v></c><c r="C2" t="s"><v>7</v></c>'
        '<c r="D2" s="1"><v>46346.458333333336</v></c><c r="E2"><f t="shared" ref="E2:E9" si="0">2*6000</f>'
        '<v>12000</v></c><c r="F2" t="s"><v>8</v></c><c r="G2" s="3"/>'
    )
    sheet = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
        f'<worksheet xmlns="{main}" xmlns:mc="mc" mc:Ignorable="x14ac" xmlns:x14ac="ac" xr:uid="{{0}}">'
        '<sheetPr codeName="S"><tabColor rgb="FFFFFF00"/></sheetPr><dimension ref="A1:G2"/>'
        '<sheetViews><sheetView tabSelected="1" workbookViewId="0"><pane ySplit="1" state="frozen"/>'
        "</sheetView></sheetViews>"
        '<sheetFormatPr defaultRowHeight="14.25" x14ac:dyDescent="0.2"/>'
        '<cols><col min="1" max="16384" width="18" style="3"/></cols>'
        f'<sheetData><row r="1" spans="1:7" x14ac:dyDescent="0.2">{header}</row>'
        f'<row r="2" spans="1:7" ht="15" customHeight="1">{record}</row><row r="3" s="3" customFormat="1"/>'
        '</sheetData><autoFilter ref="A1:F2"/><mergeCells count="1"><mergeCell ref="H1:I1"/></mergeCells>'
        '<phoneticPr fontId="1" type="noConversion"/><legacyDrawing r:id="rId9"/>'
        '<mc:AlternateContent><mc:Choice Requires="x14"><controls><control><anchor><from><xdr:col>3</xdr:col>'
        "<xdr:row>1</xdr:row></from></anchor></control></controls></mc:Choice></mc:AlternateContent>"
        '<extLst><ext uri="{0}"><x14:dataValidations><x14:dataValidation><xm:f>Lists!A1</xm:f><c><v>1</v></c>'
        "</x14:dataValidation></x14:dataValidations></ext></extLst></worksheet>"
    )
    texts = "".join(f'<si><t>{text}</t><phoneticPr fontId="1"/></si>' for text in strings)
    (row,) = read(by_hand(sheet=sheet, texts=texts)).iter_rows(named=True)
    assert (row["outcome"], row["line_no"], row["subject"]) == (ACTIVITY, 2, "12345678")
    assert (row["occurred_at"], row["distance_m"]) == (datetime(2026, 11, 20, 3, tzinfo=UTC), 12_000)


def test_names_of_elements_may_have_a_prefix() -> None:
    sheet = f"<x:worksheet xmlns:x='y'><x:sheetData>{rows()}</x:sheetData></x:worksheet>"
    prefixed = sheet.replace("<row", "<x:row").replace("</row", "</x:row")
    assert read(by_hand(sheet=prefixed)).is_empty()


def test_a_control_character_in_a_cell_refuses_its_row() -> None:
    assert one(subject="a_x0000_b")["outcome"] == "control_character"
    assert one(subject="a_x0041_b")["outcome"] == ACTIVITY


@pytest.mark.parametrize("name", ["subject", "occurred_at", "quantity", "unit"])
def test_a_text_that_is_cut_is_refused_as_it_would_be_whole(name: str) -> None:
    digits = "1" * (CELL_CHARACTERS_MAX + 1)
    short, long = (one(**{name: text}) for text in (digits[:200], digits))
    assert (short["outcome"], short["pointer"]) == (long["outcome"], long["pointer"]) != (ACTIVITY, None)


def test_a_cell_that_only_has_a_format_may_stand_anywhere() -> None:
    data = rows(inline(*map(str, GOOD.values()))) + '<row r="1048576"><c r="XFD1048576" s="2"/></row>'
    assert read(by_hand(data))["outcome"].to_list() == [ACTIVITY]


def test_every_code_that_only_workbooks_have_says_what_to_do() -> None:
    for code in ("digits_lost", "cell_is_error", "formula_not_calculated"):
        assert LINE_CODES[code].zh
    assert "text" in LINE_CODES["digits_lost"].en
    assert {"workbook_unreadable", "workbook_too_large"} <= set(Refusal.catalogue)
