"""The first visible sheet of a workbook as cells of text, as a CSV would have them.

Numbers count to fifteen digits, which is what a spreadsheet keeps. A cell that shows a date and a time has
no zone, so it is Shanghai's; a day is no instant. What would have to be guessed has a code of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO
from itertools import chain, islice, repeat

import polars as pl
from python_calamine import CalamineError, load_workbook

from carbon.activities.adapters.csv_cells import require_columns
from carbon.activities.adapters.errors import FileEmpty, WorkbookUnreadable
from carbon.activities.adapters.text_lines import CONTROL
from carbon.activities.adapters.workbook.lookups import SheetBounds
from carbon.activities.adapters.workbook.plain import PlainSheet, plain_copy
from carbon.activities.adapters.workbook.sheet import ACTIVITIES, Mark
from kernel.clock import SHANGHAI

DIGITS_KEPT = 15
FRAME_ROWS = 10_000
UNSEEN = " \t\r\n\u00a0\u3000\ufeff\u200b"
"""What may stand around a name in a header."""
MARKED = {Mark.ERROR: "cell_is_error", Mark.NOT_CALCULATED: "formula_not_calculated"}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a format; `texts` hold names and `times` instants, all others numbers."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    texts: frozenset[str]
    times: frozenset[str]


@dataclass(frozen=True)
class SheetRow:
    """A row by the number that a spreadsheet shows, its values and their marks, one for each column."""

    number: int
    values: list[object]
    marks: bytes

    def states(self, column: int) -> bool:
        """Whether anything stands in a cell."""
        value = self.values[column]
        blank = isinstance(value, str) and not value.strip(UNSEEN)
        return not blank or self.marks[column] in MARKED


def read_sheet(data: bytes, columns: Columns) -> list[pl.DataFrame]:
    """Frames of a String column for each column that the sheet names, one frame at least.

    Beside them `file_no`, `line_no` (the row as a spreadsheet shows it), `line_code` and `pointer`. Rows in
    which nothing stands are passed over. Refuses FileTooLarge, FileEmpty, WorkbookUnreadable,
    WorkbookTooLarge, HeaderDiffers.
    """
    names, rows = read_rows(data, ACTIVITIES, required=columns.required, optional=columns.optional)
    frames = [_frame(islice(rows, FRAME_ROWS), names, columns)]
    while frames[-1].height == FRAME_ROWS:
        frames.append(_frame(islice(rows, FRAME_ROWS), names, columns))
    return frames


def read_rows(
    data: bytes, bounds: SheetBounds, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> tuple[dict[int, str], Iterator[SheetRow]]:
    """The named columns by their place, and the rows below the header in which something stands.

    Refuses FileTooLarge, FileEmpty, WorkbookUnreadable, WorkbookTooLarge, HeaderDiffers.
    """
    sheet = plain_copy(data, bounds)
    rows = (row for row in _rows(sheet) if any(map(row.states, range(bounds.columns))))
    header = next(rows, None)
    if header is None:
        raise FileEmpty
    return _names(header, required=required, optional=optional), rows


def _rows(sheet: PlainSheet) -> Iterator[SheetRow]:
    """Every row down to the last that has something; the library stops at the last that has a value."""
    values = chain(_values(sheet.workbook), repeat([]))
    for row, found in zip(range(sheet.rows), values, strict=False):
        padded = [*found, *repeat("", sheet.columns - len(found))]
        yield SheetRow(row + 1, padded, sheet.marks_of(row))


def _values(workbook: bytes) -> Iterator[list[object]]:
    with _refusing(), load_workbook(BytesIO(workbook)) as book:
        sheet = book.get_sheet_by_index(0)
        if sheet.start is not None:
            before = [""] * sheet.start[1]
            for row in sheet.iter_rows():
                yield [*before, *row]


@contextmanager
def _refusing() -> Iterator[None]:
    """What the library raises, as a refusal: a file that it cannot read must not end the worker."""
    try:
        yield
    except (CalamineError, ArithmeticError, ValueError, OSError) as error:
        raise WorkbookUnreadable("its cells cannot be read") from error
    except BaseException as error:
        # Rust's panic: no Exception, so that nobody catches it by chance, and of no module that has a name.
        if type(error).__name__ != "PanicException":
            raise
        raise WorkbookUnreadable("its cells cannot be read") from error


def _names(header: SheetRow, *, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[int, str]:
    """The named columns by their place. Refuses HeaderDiffers."""
    names = {
        column: str(value).strip(UNSEEN)
        for column, value in enumerate(header.values)
        if header.states(column)
    }
    require_columns(list(names.values()), required=required, optional=optional)
    return names


def _frame(rows: Iterator[SheetRow], names: dict[int, str], columns: Columns) -> pl.DataFrame:
    numbers: list[int] = []
    codes: list[str | None] = []
    pointers: list[str | None] = []
    texts: dict[str, list[str | None]] = {name: [] for name in names.values()}
    for row in rows:
        code = pointer = None
        for column, name in names.items():
            text, fault = _read(row.values[column], row.marks[column], name, columns)
            texts[name].append(text)
            if fault and not code:
                code, pointer = fault, f"/{name}"
        if any(row.states(column) for column in range(len(row.marks)) if column not in names):
            code, pointer = "columns_differ", None
        numbers.append(row.number)
        codes.append(code)
        pointers.append(pointer)
    frame = pl.DataFrame(
        {
            "file_no": pl.Series([1] * len(numbers), dtype=pl.Int32),
            "line_no": pl.Series(numbers, dtype=pl.Int64),
            "line_code": pl.Series(codes, dtype=pl.String),
            "pointer": pl.Series(pointers, dtype=pl.String),
            **{name: pl.Series(found, dtype=pl.String) for name, found in texts.items()},
        }
    )
    is_odd = pl.any_horizontal(pl.col(name).str.contains(CONTROL) for name in texts)
    odd = pl.when(is_odd).then(pl.lit("control_character"))
    return frame.with_columns(line_code=pl.coalesce("line_code", odd))


def _read(value: object, mark: int, name: str, columns: Columns) -> tuple[str | None, str | None]:
    """A cell as text, or a code; neither where nothing stands in it."""
    if mark in MARKED:
        return None, MARKED[Mark(mark)]
    if isinstance(value, str):
        return value or None, None
    if isinstance(value, date | time | timedelta) and name in columns.times:
        return _read_time(value, mark)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "field_wrong_type"
    text = plain_digits(value)
    fault = "digits_lost" if text is None else None
    if text is not None and "." in text and name in columns.texts:
        fault = "number_not_plain"
    return None if fault else text, fault


def _read_time(value: date | time | timedelta, mark: int) -> tuple[str | None, str | None]:
    """An instant in Shanghai; a day, an hour of no day or a duration is none."""
    if isinstance(value, date) and not isinstance(value, datetime) and mark == Mark.HAS_HOURS:
        value = datetime.combine(value, time.min)
    if not isinstance(value, datetime):
        return None, "time_not_readable"
    return value.replace(tzinfo=SHANGHAI).isoformat(), None


def plain_digits(value: object) -> str | None:
    """A number in plain digits; None where it has more of them than a spreadsheet keeps."""
    number = Decimal(f"{value:.{DIGITS_KEPT}g}")
    if not number.is_finite() or number.adjusted() >= DIGITS_KEPT:
        return None
    return f"{number.normalize():f}" if number else "0"
