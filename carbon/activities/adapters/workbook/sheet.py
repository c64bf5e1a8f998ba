"""A sheet of a workbook, walked cell by cell and written again in the plainest form there is.

A library that reads workbooks allocates what a file claims: two cells in opposite corners, or one long text
that a million cells share, end the process that reads them. And it hands on an error (#N/A) or a formula
that was never calculated as an empty cell. So it gets only what is written here: cells in their order,
inside bounds, each text in its place. What a value does not say of its cell is marked.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import IO
from xml.sax.saxutils import escape

from carbon.activities.adapters.errors import WorkbookTooLarge, WorkbookUnreadable
from carbon.activities.adapters.workbook.lookups import (
    CELL_CHARACTERS_MAX,
    MAIN,
    CutText,
    SheetBounds,
    require_few,
)
from carbon.activities.adapters.workbook.xml_walk import Visitor

ROWS_MAX, COLUMNS_MAX = 50_000, 26
"""Of activities: to Z; the format has nineteen columns."""
ACTIVITIES = SheetBounds(rows=ROWS_MAX, columns=COLUMNS_MAX, cell_characters=CELL_CHARACTERS_MAX)
_LETTERS = 26
_NAME = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")
_ROW, _PLACE = re.compile(r"[1-9][0-9]{0,6}"), re.compile(r"[0-9]{1,9}")
_FORMS = {
    "n": re.compile(r"-?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[Ee][+-]?[0-9]{1,3})?"),
    "b": re.compile(r"[01]"),
    "d": re.compile(r"[0-9TZ:.+-]{1,40}"),
}
"""Values that are no texts: numbers, truth, and times that programs write."""
_TEXTS = frozenset({"s", "str", "inlineStr"})
_PIECES_MOST = 4_096


class Mark(IntEnum):
    """What is to be known of a cell beside its value."""

    NONE = 0
    ERROR = 1
    NOT_CALCULATED = 2
    HAS_HOURS = 3
    """Its format shows hours, so a whole number of days in it is a midnight and not a day."""


class SheetCopy(Visitor):
    """Writes a sheet's cells to `target`: those that have a value, and no more than their values.

    Refuses WorkbookTooLarge (beyond the bounds, too much text) and WorkbookUnreadable.
    """

    def __init__(
        self, target: IO[bytes], bounds: SheetBounds, *, texts: list[str], with_hours: list[bool]
    ) -> None:
        self.rows = 0
        """Rows up to the last that has a value or a mark."""
        self.marks = bytearray(bounds.rows * bounds.columns)
        """Row by row, one for each column of the bounds."""
        self._bounds = bounds
        self._target, self._texts, self._with_hours = target, texts, with_hours
        self._pieces = [f'<worksheet xmlns="{MAIN}"><sheetData>']
        self._open_row = -1
        self._row = self._column = self._last_place = -1
        self._in_data = self._in_row = self._is_spoken = self._collects = self._has_formula = False
        self._cell: dict[str, str] | None = None
        self._value = CutText(bounds.cell_characters)
        self._characters = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin a row, a cell, or what is in a cell."""
        if self._cell is not None:
            self._start_in_cell(name, "t" if self._cell.get("t") == "inlineStr" else "v")
        elif name == "c" and self._in_row:
            self._cell, self._has_formula = attributes, False
            self._value = CutText(self._bounds.cell_characters)
            self._column = self._column + 1 if "r" not in attributes else self._named(attributes["r"])
        elif name == "row" and self._in_data:
            self._in_row, self._column = True, -1
            self._row = self._row + 1 if "r" not in attributes else self._numbered(attributes["r"])
        elif name == "sheetData":
            self._in_data = True

    def _start_in_cell(self, name: str, holds_value: str) -> None:
        if name == holds_value:
            self._collects = not self._is_spoken
        elif name == "f":
            self._has_formula = True
        elif name == "rPh":
            self._is_spoken = True

    def text(self, data: str) -> None:
        """Keep a piece of a cell's value."""
        if self._collects:
            self._value.add(data)

    def end(self, name: str) -> None:
        """End what began."""
        self._collects = False
        if name == "c" and self._cell is not None:
            self._take(self._cell, self._value.text)
            self._cell = None
        elif name == "rPh":
            self._is_spoken = False
        elif name == "row":
            self._in_row = False
        elif name == "sheetData":
            self._in_data = False

    def close(self) -> None:
        """Write what is left."""
        self._pieces.append(
            "</row></sheetData></worksheet>" if self._open_row >= 0 else "</sheetData></worksheet>"
        )
        self._flush()

    def _take(self, cell: dict[str, str], value: str) -> None:
        """Mark a cell and write it; one that is nothing but a format is passed over."""
        kind = cell.get("t", "n")
        if kind == "e":
            self._place(Mark.ERROR)
        elif value and kind in _TEXTS:
            self._place(Mark.NONE)
            self._write_text(self._shared(value) if kind == "s" else value)
        elif value := value.strip():
            self._place(Mark.NONE)
            self._write_value(kind, value, _index(cell.get("s", "0"), self._with_hours))
        elif self._has_formula and kind not in _TEXTS:
            self._place(Mark.NOT_CALCULATED)

    def _write_text(self, text: str) -> None:
        self._characters += len(text)
        require_few(self._characters)
        self._write(f' t="inlineStr"><is><t xml:space="preserve">{escape(text)}</t></is>')

    def _write_value(self, kind: str, value: str, style: int | None) -> None:
        if kind not in _FORMS or not _FORMS[kind].fullmatch(value):
            raise self._odd()
        if "T" in value if kind == "d" else style is not None and self._with_hours[style]:
            self.marks[self._last_place] = Mark.HAS_HOURS
        known = "" if style is None else f' s="{style}"'
        self._write(f'{known} t="{kind}"><v>{value}</v>')

    def _place(self, mark: Mark) -> None:
        """Judge where a cell stands, and mark the place."""
        rows, columns = self._bounds.rows, self._bounds.columns
        if self._row >= rows or self._column >= columns:
            raise WorkbookTooLarge(f"there are cells beyond {cell_name(rows - 1, columns - 1)}")
        place = self._row * columns + self._column
        if place <= self._last_place:
            raise WorkbookUnreadable("cells out of their order")
        self.marks[place], self._last_place, self.rows = mark, place, self._row + 1

    def _write(self, content: str) -> None:
        if self._open_row != self._row:
            closing = "</row>" if self._open_row >= 0 else ""
            self._pieces.append(f'{closing}<row r="{self._row + 1}">')
            self._open_row = self._row
        self._pieces.append(f'<c r="{cell_name(self._row, self._column)}"{content}</c>')
        if len(self._pieces) > _PIECES_MOST:
            self._flush()

    def _flush(self) -> None:
        self._target.write("".join(self._pieces).encode())
        self._pieces = []

    def _shared(self, number: str) -> str:
        place = _index(number, self._texts)
        if place is None:
            raise self._odd()
        return self._texts[place]

    def _numbered(self, text: str) -> int:
        if not _ROW.fullmatch(text):
            raise WorkbookUnreadable("a row without a number")
        return int(text) - 1

    def _named(self, text: str) -> int:
        found = _NAME.fullmatch(text)
        if found is None or int(found[2]) - 1 != self._row:
            raise WorkbookUnreadable("a cell without a place")
        return _column_of(found[1])

    def _odd(self) -> WorkbookUnreadable:
        return WorkbookUnreadable(f"cell {cell_name(self._row, self._column)} holds no value of its kind")


def cell_name(row: int, column: int) -> str:
    """What a spreadsheet calls a cell, both numbers counted from 0: `C7` for (6, 2), `AA7` for (6, 26)."""
    return f"{column_name(column)}{row + 1}"


def column_name(column: int) -> str:
    """What a spreadsheet calls a column, counted from 0: `Z` for 25, `AA` for 26."""
    before, last = divmod(column, _LETTERS)
    return (column_name(before - 1) if before else "") + chr(ord("A") + last)


def _column_of(name: str) -> int:
    """The number of a column by its letters, counted from 0."""
    number = 0
    for letter in name:
        number = number * _LETTERS + ord(letter) - ord("A") + 1
    return number - 1


def _index(text: str, table: Sequence[object]) -> int | None:
    """The place in `table` that a cell names in digits, where there is one."""
    return int(text) if _PLACE.fullmatch(text) and int(text) < len(table) else None
