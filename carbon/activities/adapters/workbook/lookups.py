"""What the cells of a workbook refer to: which sheet is seen first, the texts they share, their formats."""

import re
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

from carbon.activities.adapters.errors import WorkbookTooLarge, WorkbookUnreadable
from carbon.activities.adapters.workbook.parts import Part
from carbon.activities.adapters.workbook.xml_walk import Visitor

TEXTS_MAX = 500_000
TEXT_CHARACTERS_MAX = 16 << 20
"""In the texts that all sheets of a workbook share, and once more in the cells of the sheet that is read."""
CELL_CHARACTERS_MAX = 1_000
"""Of an activity's; no field of one may be nearly as long."""
FORMATS_MAX = 70_000
"""Excel itself stops at 65,490."""
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_CODE_CHARACTERS_MAX = 255
_WITH_HOURS = frozenset({"18", "19", "20", "21", "22", "32", "33", "34", "35", "45", "46", "47", "55", "56"})
"""The formats without a code of their own that show a time, those of Chinese Excel among them."""
_TABLES = frozenset({"numFmts", "cellXfs"})
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|[\\_*].')


@dataclass(frozen=True, kw_only=True)
class SheetBounds:
    """How many rows and columns of a sheet may hold something, and how much of one text is kept.

    A longer text is cut: no field may be as long, so it is refused as it would be whole.
    """

    rows: int
    columns: int
    cell_characters: int


class Sheets(Visitor):
    """Which worksheet is the first that an office sees, and since when days are counted."""

    def __init__(self, parts: dict[str, Part]) -> None:
        self.since_1904 = False
        self._parts = parts
        self._first: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Look at a sheet."""
        if name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in {"1", "true"}
        elif name == "sheet" and self._first is None and attributes.get("state", "visible") == "visible":
            key = next((value for each, value in attributes.items() if each.endswith(":id")), "")
            part = self._parts.get(key)
            if part is not None and part.kind == "worksheet":
                self._first = part.name

    def first(self) -> str:
        """The part that the sheet is; refuses WorkbookUnreadable."""
        if self._first is None:
            raise WorkbookUnreadable("no visible sheet with cells")
        return self._first


class CutText:
    """A text that comes in pieces, as far as it is kept."""

    def __init__(self, characters_max: int) -> None:
        self.text = ""
        self._characters_max = characters_max

    def add(self, data: str) -> None:
        """Append what there is room for."""
        self.text += data[: self._characters_max - len(self.text)]


class Texts(Visitor):
    """The texts that cells share: their runs joined, the small print of their pronunciation left out."""

    def __init__(self, characters_max: int) -> None:
        self.found: list[str] = []
        self._characters_max = characters_max
        self._text = CutText(characters_max)
        self._characters = 0
        self._collects = self._is_spoken = False

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002 - a visitor's signature
        """Begin a text, or a run of it."""
        if name == "si":
            if len(self.found) >= TEXTS_MAX:
                raise WorkbookTooLarge(f"more than {TEXTS_MAX:,} texts")
            self._text = CutText(self._characters_max)
        elif name == "rPh":
            self._is_spoken = True
        elif name == "t":
            self._collects = not self._is_spoken

    def text(self, data: str) -> None:
        """Keep a piece."""
        if self._collects:
            self._text.add(data)

    def end(self, name: str) -> None:
        """Keep a text."""
        if name == "t":
            self._collects = False
        elif name == "rPh":
            self._is_spoken = False
        elif name == "si":
            text = self._text.text
            self._characters += len(text)
            require_few(self._characters)
            self.found.append(text)


class Styles(Visitor):
    """The number formats of cells, by their place in the table of styles."""

    def __init__(self) -> None:
        self.with_hours: list[bool] = []
        self._codes: dict[str, str] = {}
        self._codes_with_hours: dict[str, bool] = {}
        self._numbers: list[str] = []
        self._table = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Keep a format; tables of other uses (conditions, named styles) have formats of the same numbers."""
        number = attributes.get("numFmtId", "0")
        if name in _TABLES:
            self._table = name
        elif name == "numFmt" and self._table == "numFmts":
            code = self._codes[number] = attributes.get("formatCode", "")[:_CODE_CHARACTERS_MAX]
            self._codes_with_hours[number] = shows_hours(code)
        elif name == "xf" and self._table == "cellXfs":
            self._numbers.append(number)
            self.with_hours.append(self._codes_with_hours.get(number, number in _WITH_HOURS))
        if len(self._numbers) + len(self._codes) > FORMATS_MAX:
            raise WorkbookTooLarge(f"more than {FORMATS_MAX:,} formats")

    def end(self, name: str) -> None:
        """Leave a table."""
        if name == self._table:
            self._table = ""

    def written(self) -> str:
        """The table again, with nothing but number formats."""
        codes = (
            f"<numFmt numFmtId={quoteattr(number)} formatCode={quoteattr(code)}/>"
            for number, code in self._codes.items()
        )
        formats = (f"<xf numFmtId={quoteattr(number)}/>" for number in self._numbers)
        return (
            f'<styleSheet xmlns="{MAIN}"><numFmts>{"".join(codes)}</numFmts>'
            f"<cellXfs>{''.join(formats)}</cellXfs></styleSheet>"
        )


def shows_hours(code: str) -> bool:
    """Whether a number format such as `yyyy-mm-dd hh:mm` has hours, outside what it quotes."""
    return "h" in _QUOTED.sub("", code).partition(";")[0].lower()


def require_few(characters: int) -> None:
    """Refuse WorkbookTooLarge for more characters of text than one workbook may have."""
    if characters > TEXT_CHARACTERS_MAX:
        raise WorkbookTooLarge(f"more than {TEXT_CHARACTERS_MAX >> 20} million characters of text")
