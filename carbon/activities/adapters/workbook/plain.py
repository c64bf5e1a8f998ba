"""The sheet of a workbook that an office sees first, written again as a workbook of its own."""

from dataclasses import dataclass
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

from carbon.activities.adapters.errors import WorkbookUnreadable
from carbon.activities.adapters.workbook.lookups import MAIN, SheetBounds, Sheets, Styles, Texts
from carbon.activities.adapters.workbook.parts import Part, open_parts, part_blocks, related
from carbon.activities.adapters.workbook.sheet import SheetCopy
from carbon.activities.adapters.workbook.xml_walk import walk

_TABLE_ELEMENTS_MAX = 500_000
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONSHIPS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
)
_AROUND = {
    "_rels/.rels": _RELATIONSHIPS.format(
        f'<Relationship Id="a" Type="{_RELATED}/officeDocument" Target="xl/workbook.xml"/>'
    ),
    "xl/_rels/workbook.xml.rels": _RELATIONSHIPS.format(
        f'<Relationship Id="a" Type="{_RELATED}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="b" Type="{_RELATED}/styles" Target="styles.xml"/>'
    ),
}
_WORKBOOK = (
    f'<workbook xmlns="{MAIN}" xmlns:r="{_RELATED}"><workbookPr date1904="{{}}"/>'
    '<sheets><sheet name="a" sheetId="1" r:id="a"/></sheets></workbook>'
)


@dataclass(frozen=True)
class PlainSheet:
    """One sheet as a workbook of its own, and the marks of its cells, row by row, `columns` a row."""

    workbook: bytes
    rows: int
    columns: int
    marks: bytes

    def marks_of(self, row: int) -> bytes:
        """The marks of a row, counted from 0."""
        return self.marks[row * self.columns : (row + 1) * self.columns]


def plain_copy(data: bytes, bounds: SheetBounds) -> PlainSheet:
    """Copy the first visible sheet of a workbook.

    Refuses FileTooLarge, FileEmpty, WorkbookUnreadable and WorkbookTooLarge.
    """
    with open_parts(data) as book:
        root = _related_as(related(book), "officeDocument")
        if root is None:
            raise WorkbookUnreadable("a zip, but not a workbook")
        parts = related(book, root)
        sheets, texts, styles = Sheets(parts), Texts(bounds.cell_characters), Styles()
        walk(part_blocks(book, root), sheets, elements_max=_TABLE_ELEMENTS_MAX)
        if name := _related_as(parts, "sharedStrings"):
            walk(part_blocks(book, name), texts)
        if name := _related_as(parts, "styles"):
            walk(part_blocks(book, name), styles, elements_max=_TABLE_ELEMENTS_MAX)
        written = BytesIO()
        with ZipFile(written, "w", ZIP_DEFLATED, compresslevel=1) as plain:
            for path, content in _AROUND.items():
                plain.writestr(path, content)
            plain.writestr("xl/workbook.xml", _WORKBOOK.format(int(sheets.since_1904)))
            plain.writestr("xl/styles.xml", styles.written())
            with plain.open("xl/worksheets/sheet1.xml", "w") as target:
                copy = SheetCopy(target, bounds, texts=texts.found, with_hours=styles.with_hours)
                walk(part_blocks(book, sheets.first()), copy)
                copy.close()
    marks = bytes(copy.marks[: copy.rows * bounds.columns])
    return PlainSheet(written.getvalue(), copy.rows, bounds.columns, marks)


def _related_as(parts: dict[str, Part], kind: str) -> str | None:
    return next((part.name for part in parts.values() if part.kind == kind), None)
