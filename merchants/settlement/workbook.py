"""A settlement as an XLSX workbook: one sheet of figures, one of lines; written to a file, then handed on."""

import tempfile
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Font

from kernel.errors import require
from merchants.settlement.errors import WorkbookTooLarge
from merchants.settlement.files import Cell, Sheet

MOST_LINES = 200_000
_CHUNK = 1 << 16
_WIDTHS = (8, 22, 34, 14, 20, 26, 18, 12, 18, 18)
_FIGURES, _LINES = "结算单 Settlement", "明细 Lines"


def as_xlsx(sheet: Sheet) -> Iterator[bytes]:
    """A workbook, written to disk row by row; refuses `WorkbookTooLarge`."""
    lines = sheet.told.line_count or 0
    require(lines <= MOST_LINES, WorkbookTooLarge(lines=lines, most=MOST_LINES))
    return _chunks(sheet)


def _chunks(sheet: Sheet) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        _write(sheet, file)
        file.seek(0)
        while chunk := file.read(_CHUNK):
            yield chunk


def _write(sheet: Sheet, file: Any) -> None:
    book = Workbook(write_only=True)
    figures = book.create_sheet(_FIGURES)
    figures.column_dimensions["A"].width, figures.column_dimensions["B"].width = 46, 72
    for label, value in sheet.summary():
        figures.append([_cell(figures, label, bold=True), _cell(figures, value)])
    lines = book.create_sheet(_LINES)
    lines.freeze_panes = "A2"
    for letter, width in zip("ABCDEFGHIJ", _WIDTHS, strict=True):
        lines.column_dimensions[letter].width = width
    lines.append([_cell(lines, name, bold=True) for name in sheet.heading()])
    for row in sheet.rows():
        lines.append([_cell(lines, cell) for cell in row])
    book.save(file)


def _cell(sheet: Any, value: Cell, *, bold: bool = False) -> Any:
    cell = WriteOnlyCell(sheet, value=value)
    if isinstance(value, str):
        cell.data_type = "s"  # text is text, however it begins
    if isinstance(value, Decimal):
        cell.number_format = "0.000" if value.as_tuple().exponent == -3 else "0.00"
    if bold:
        cell.font = Font(bold=True)
    return cell
