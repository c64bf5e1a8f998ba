"""A factor table as lines, one a row: out of CSV or a sheet, into the nested shape that YAML has.

A line names its table, row, source and example side by side. One that says nothing but an example gives
another example to the row above it. A mark (`'`) before a sign that a spreadsheet would run falls away,
as in the spreadsheet: our own files carry it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from carbon.factors.bundle_fields import Faults
from carbon.factors.printed_cells import LinedText

KIND = "factor_table"
TABLE_FIELDS = (
    *("name", "subject", "region", "title_zh", "title_en", "note", "assumption"),
    *("corrects", "correction_reason"),
)
ROW_FIELDS = (
    *("code", "name_zh", "name_en", "scenario", "region", "method", "method_version"),
    *("value", "unit", "unit_printed", "gas_set", "variant", "baseline", "data_year"),
    *("value_place", "other_value", "other_place"),
    *("valid_from", "valid_to", "valid_from_kind", "quantity_min", "quantity_max"),
    *("verified", "assumption", "note"),
)
SOURCE_FIELDS = (
    *("title", "publisher", "document_number", "published_on", "published_year", "page", "url"),
    *("quotation", "seen_in", "last_checked_on"),
)
EXAMPLE_FIELDS = ("inputs", "expected", "unit", "source")
COLUMNS = (
    *(f"table_{name}" for name in TABLE_FIELDS),
    *ROW_FIELDS,
    *(f"source_{name}" for name in SOURCE_FIELDS),
    *(f"example_{name}" for name in EXAMPLE_FIELDS),
)
"""A column of each field, in the order in which our own files have them."""
REQUIRED = ("table_name", "code", "value", "unit")
RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Line:
    """The cells of one line, by the number that its file shows; None where nothing stands."""

    number: int
    cells: Mapping[str, str | None]
    code: str | None = None
    """Why the line as a whole cannot be read."""
    detail: str = ""
    faults: tuple["CellFault", ...] = ()
    """Cells that cannot be read; each is an empty text among the cells."""


@dataclass(frozen=True)
class CellFault:
    """Why a cell cannot be read: its column, a code and a sentence."""

    column: str
    code: str
    detail: str


class Places:
    """On which line each row, source and example of a table stands."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.examples: list[list[int]] = []

    def of(self, pointer: str) -> tuple[int, str | None] | None:
        """The line that a pointer means, and its column where it means one; None for the file as a whole."""
        match pointer.split("/")[1:]:
            case ["rows", row, "examples", number, *rest]:
                return self.examples[int(row)][int(number)], f"example_{rest[0] if rest else 'expected'}"
            case ["rows", row, *rest]:
                return self.rows[int(row)], rest[0] if rest else None
            case ["sources", name, *rest]:
                return int(name.removeprefix("line ")), f"source_{rest[0]}" if rest else None
            case [field] if self.rows and field in TABLE_FIELDS:
                return self.rows[0], f"table_{field}"
        return None


def nest(lines: Iterable[Line], faults: Faults, places: Places) -> dict[str, Any]:
    """Lines in the shape of a YAML table; each line's source is named by its line."""
    table: dict[str, Any] = {}
    sources: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    for line in lines:
        pointer = f"/rows/{len(rows)}"
        if line.code is not None:
            faults.add(line.code, pointer, line.detail or f"line {line.number}", place=(line.number, None))
            continue
        if any(fault.column.startswith("table_") for fault in line.faults):
            # Of which table it speaks is not known, so nothing else of it can be judged.
            _note(line, f"{pointer}/examples/0", pointer, faults)
            continue
        stated = {name: _stated(line.cells.get(name), line.number) for name in COLUMNS}
        example = _part(stated, "example_", EXAMPLE_FIELDS)
        if "inputs" in example:
            example["inputs"] = _inputs_of(example["inputs"], line.number)
        is_more = bool(rows and example) and all(stated[name] is None for name in _BESIDE_EXAMPLES)
        if is_more:
            _note(line, f"/rows/{len(rows) - 1}/examples/{len(rows[-1]['examples'])}", pointer, faults)
            rows[-1]["examples"].append(example)
            places.examples[-1].append(line.number)
            continue
        _note(line, f"{pointer}/examples/0", pointer, faults)
        own = _part(stated, "table_", TABLE_FIELDS)
        if rows and own != table:
            elsewhere = f"line {line.number} belongs to another table"
            faults.add("table_differs", pointer, elsewhere, place=(line.number, None))
        table = own
        named = f"line {line.number}"
        sources[named] = _part(stated, "source_", SOURCE_FIELDS)
        examples = [example] if example else []
        rows.append(_part(stated, "", ROW_FIELDS) | {"source": named, "examples": examples})
        places.rows.append(line.number)
        places.examples.append([line.number] * len(examples))
    return {"kind": KIND, **table, "sources": sources, "rows": rows}


_BESIDE_EXAMPLES = tuple(name for name in COLUMNS if not name.startswith("example_"))


_ARITHMETIC = frozenset({"method", "method_version", "value", "unit", "gas_set"})
"""Without one of these nothing is computed, so nothing is said of what would come out."""


def _note(line: Line, example: str, row: str, faults: Faults) -> None:
    """The faults of a line's cells; that nothing is left of such a cell is no second fault."""
    for fault in line.faults:
        part, _, field = fault.column.partition("_")
        pointer = {
            "table": f"/{field}",
            "source": f"/sources/line {line.number}/{field}",
            "example": f"{example}/{field}",
        }.get(part, f"{row}/{fault.column}")
        faults.add(fault.code, pointer, fault.detail, place=(line.number, fault.column))
        faults.settle(example if part == "example" else pointer)
        if fault.column in _ARITHMETIC:
            faults.settle(f"{row}/value")
            faults.settle(f"{row}/examples")


def guarded(text: str) -> str:
    """The text of a cell that no spreadsheet runs; `nest` takes the mark away again."""
    return f"'{text}" if text.startswith(RUN_BY_SPREADSHEETS) else text


def _stated(text: str | None, line: int) -> LinedText | None:
    if text is None:
        return None
    bare = text[1:] if text[:1] == "'" and text[1:].startswith(RUN_BY_SPREADSHEETS) else text
    return LinedText.at(bare, line)


def _part(cells: Mapping[str, Any], prefix: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: cells[prefix + name] for name in names if cells[prefix + name] is not None}


def _inputs_of(text: str, line: int) -> Any:
    """The JSON of a cell with every number as its digits; None where it is not JSON."""
    try:
        read = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict):
        return read
    return {name: _stated(each, line) if isinstance(each, str) else each for name, each in read.items()}
