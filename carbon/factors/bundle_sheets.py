"""A factor table as a sheet of a workbook: the columns of the CSV, and its checks.

A figure is kept exactly as printed, and a spreadsheet keeps none: it makes 0.5310 a binary number and shows
0.531, or as much of it as the column is wide. So figures are cells of text, and a number in one is refused
by its place; only counts and years may be numbers, and days a spreadsheet's days.
"""

from datetime import date, datetime
from typing import Any

from carbon.activities.adapters.workbook.cells import MARKED, UNSEEN, SheetRow, plain_digits, read_rows
from carbon.activities.adapters.workbook.lookups import SheetBounds
from carbon.activities.adapters.workbook.sheet import Mark, column_name
from carbon.factors.bundle_fields import TEXT_MAX, Faults
from carbon.factors.bundle_lines import COLUMNS, REQUIRED, CellFault, Line, Places, nest

SHEET = SheetBounds(rows=5_000, columns=52, cell_characters=TEXT_MAX + 1)
"""To AZ, 43 of them named; rows for two thousand factors, more examples, and blanks between them."""
_DAYS = frozenset({"valid_from", "valid_to", "source_published_on", "source_last_checked_on"})
_FIGURES = frozenset({"value", "example_expected"})
_AS_TEXT = "a number of the spreadsheet's: format the column as text and enter the figure as it is printed"
_SAID = {
    "number_not_text": _AS_TEXT,
    "number_not_plain": "a whole number in plain digits",
    "digits_lost": "more than fifteen digits: a spreadsheet has lost the others",
    "day_not_readable": "a day without hours, or the text YYYY-MM-DD",
    "field_wrong_type": "a text",
    "cell_is_error": "the spreadsheet shows an error",
    "formula_not_calculated": "a formula without a result; open the file, calculate and save it",
}


def nest_sheet(data: bytes, faults: Faults) -> dict[str, Any]:
    """The first visible sheet of a workbook in the shape of a YAML table; faults are named by their cells.

    Refuses FileTooLarge, FileEmpty, WorkbookUnreadable, WorkbookTooLarge, HeaderDiffers.
    """
    optional = tuple(name for name in COLUMNS if name not in REQUIRED)
    names, rows = read_rows(data, SHEET, required=REQUIRED, optional=optional)
    places = Places()
    faults.locate(places.of, {name: column_name(column) for column, name in names.items()})
    return nest((_line(row, names) for row in rows), faults, places)


def _line(row: SheetRow, names: dict[int, str]) -> Line:
    if any(row.states(column) for column in range(len(row.marks)) if column not in names):
        return Line(row.number, {}, code="columns_differ", detail="a cell under no name")
    read = {name: _read(row.values[column], row.marks[column], name) for column, name in names.items()}
    return Line(
        row.number,
        {name: text if code is None else "" for name, (text, code) in read.items()},
        faults=tuple(
            CellFault(name, code, _SAID[code]) for name, (_, code) in read.items() if code is not None
        ),
    )


def _read(value: object, mark: int, name: str) -> tuple[str | None, str | None]:
    """A cell as text, or a code; neither where nothing stands in it."""
    if mark in MARKED:
        return None, MARKED[Mark(mark)]
    if isinstance(value, str):
        return (value if value.strip(UNSEEN) else None), None
    if name in _DAYS:
        return _read_day(value, mark)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "field_wrong_type"
    return (None, "number_not_text") if name in _FIGURES else _read_whole(value)


def _read_day(value: object, mark: int) -> tuple[str | None, str | None]:
    has_hours = isinstance(value, datetime) or mark == Mark.HAS_HOURS
    if has_hours or not isinstance(value, date):
        return None, "day_not_readable"
    return value.isoformat(), None


def _read_whole(value: float) -> tuple[str | None, str | None]:
    text = plain_digits(value)
    if text is None:
        return None, "digits_lost"
    return (None, "number_not_plain") if "." in text else (text, None)
