"""Workbooks as an office saves them, and as nobody's spreadsheet would: part by part, by hand."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any

from openpyxl import Workbook
from openpyxl.utils.datetime import CALENDAR_MAC_1904

COLUMNS = ("source_event_id", "subject", "scenario", "occurred_at", "quantity", "unit")
_TYPES = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ROOT = (
    f'<Relationships><Relationship Id="r1" Type="{_TYPES}/officeDocument" Target="xl/workbook.xml"/>'
    "</Relationships>"
)
_RELATED = (
    f'<Relationships><Relationship Id="r1" Type="{_TYPES}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{_TYPES}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
    f'<Relationship Id="r3" Type="{_TYPES}/styles" Target="styles.xml"/></Relationships>'
)
WORKBOOK = f'<workbook xmlns:r="{_TYPES}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>'
_STYLES = (
    '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="yyyy&quot;h&quot;mm"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/><xf numFmtId="14"/><xf numFmtId="170"/></cellXfs>'
    "</styleSheet>"
)


def blank() -> Any:
    """A workbook with one empty sheet."""
    return Workbook()


def since_1904(book: Any) -> Any:
    """The workbook, its days counted as on old Macintoshes."""
    book.epoch = CALENDAR_MAC_1904
    return book


def saved(book: Any) -> bytes:
    """The bytes of a workbook."""
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def table(*rows: Iterable[Any], header: Iterable[Any] = COLUMNS) -> Any:
    """A workbook of one sheet: the header, and the rows below it."""
    book = blank()
    for row in (header, *rows):
        book.active.append(list(row))
    return book


def inline(*texts: str) -> str:
    """Cells of text, side by side, without their places."""
    return "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in texts)


def rows(*cells: str) -> str:
    """The header of COLUMNS, and a row for each of `cells`."""
    return "".join(f"<row>{each}</row>" for each in (inline(*COLUMNS), *cells))


def parts_of(data: str = "", **parts: str) -> dict[str, str]:
    """The parts of a small workbook: `data` is what its sheet holds; others by their file's name."""
    return {
        "_rels/.rels": _ROOT,
        "xl/workbook.xml": parts.get("workbook", WORKBOOK),
        "xl/_rels/workbook.xml.rels": parts.get("related", _RELATED),
        "xl/sharedStrings.xml": f"<sst>{parts.get('texts', '')}</sst>",
        "xl/styles.xml": parts.get("styles", _STYLES),
        "xl/worksheets/sheet1.xml": parts.get(
            "sheet", f"<worksheet><sheetData>{data}</sheetData></worksheet>"
        ),
    }


def zipped(parts: dict[str, Any], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Parts as a zip."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as target:
        for name, content in parts.items():
            target.writestr(name, content)
    return sink.getvalue()


def by_hand(data: str = "", **parts: str) -> bytes:
    """A small workbook of parts written by hand."""
    return zipped(parts_of(data, **parts))
