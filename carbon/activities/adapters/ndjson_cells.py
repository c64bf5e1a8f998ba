"""NDJSON lines become cells: texts as they stand, whole numbers written out in digits.

Lines of the usual form, as programs write them, are read in bulk, the rest one by one.
"""

import json
import re
from typing import Any

import orjson
import polars as pl

from carbon.activities.adapters.activity_fields import CELLS, OPTIONAL, REQUIRED
from carbon.methodologies.inputs import INPUTS

_FIELD_KINDS: dict[str, type] = {
    **dict.fromkeys((*REQUIRED, *OPTIONAL), str),
    **dict.fromkeys(("corrects_revision", "quantity"), int),
}
_INPUT_KINDS: dict[str, type] = dict.fromkeys(INPUTS, int)
_PAIR = re.compile(r'"\s*:')
_INPUTS = r'"inputs"\s*:'
_TEXT, _WHOLE = r'"[^"\\\x00-\x1f]*"', r"(?:0|[1-9][0-9]{0,17})"
_INPUT = rf'"(?:{"|".join(INPUTS)})" *: *{_WHOLE}'
_FIELD = (
    rf'(?:"(?:{"|".join((*REQUIRED, "started_at", "unit", "evidence"))})" *: *{_TEXT}'
    rf'|"(?:corrects_revision|quantity)" *: *{_WHOLE}'
    rf'|"inputs" *: *\{{ *(?:{_INPUT}(?: *, *{_INPUT})*)? *\}})'
)
USUAL = rf"\A *\{{ *{_FIELD}(?: *, *{_FIELD})* *\}} *\z"
"""An object of known fields, each of its own kind, its texts without escapes and its numbers short."""
_RECORD = pl.Struct(
    {
        **dict.fromkeys((*REQUIRED, "started_at", "unit", "evidence"), pl.String),
        **dict.fromkeys(("corrects_revision", "quantity"), pl.Int64),
        "inputs": pl.Struct(dict.fromkeys(INPUTS, pl.Int64)),
    }
)


def split_objects(lines: pl.DataFrame) -> pl.DataFrame:
    """Add a String column for each field that a line states, and `pointer`.

    Lines that already have a code, and lines refused here (`line_not_json`, `field_wrong_type`,
    `field_repeated`, `field_unknown`, `number_not_plain`), have null in every cell.
    """
    lines = lines.with_row_index("row")
    usual = _read_usual(lines.filter(pl.col("line_code").is_null() & pl.col("text").str.contains(USUAL)))
    rest = lines.join(usual.select("row"), on="row", how="anti", maintain_order="left")
    if rest.is_empty():
        return usual.drop("row")
    return pl.concat([usual, _read_one_by_one(rest)], how="diagonal").sort("row").drop("row")


def _read_usual(lines: pl.DataFrame) -> pl.DataFrame:
    """The cells of lines of `USUAL`; a line that repeats a field is left out."""
    read = lines["text"].str.json_decode(_RECORD).struct.unnest()
    cells = read.drop("inputs").hstack(read["inputs"].struct.unnest()).with_columns(pl.all().cast(pl.String))
    pairs, inputs = (pl.col("text").str.count_matches(each) for each in (_PAIR.pattern, _INPUTS))
    stated = pl.sum_horizontal(pl.col(name).is_not_null() for name in CELLS)
    whole = lines.hstack(cells).with_columns(pointer=pl.lit(None, pl.String))
    return whole.filter((pairs == stated + inputs) & (inputs <= 1))


def _read_one_by_one(lines: pl.DataFrame) -> pl.DataFrame:
    cells: list[dict[str, str]] = []
    codes: list[str | None] = []
    pointers: list[str | None] = []
    for text, code in zip(lines["text"], lines["line_code"], strict=True):
        read: dict[str, str] = {}
        refused, pointer = code, None
        if code is None:
            try:
                read = _read_object(text)
            except _BadLine as bad:
                refused, pointer = bad.code, bad.pointer
        cells.append(read)
        codes.append(refused)
        pointers.append(pointer)
    stated = set().union(*cells)
    return lines.with_columns(
        pl.Series("line_code", codes, dtype=pl.String),
        pl.Series("pointer", pointers, dtype=pl.String),
        *(
            pl.Series(name, [row.get(name) for row in cells], dtype=pl.String)
            for name in CELLS
            if name in stated
        ),
    )


class _BadLine(Exception):  # noqa: N818 - a line is refused, nothing fails
    """A line that has no cells: its code, and the pointer to the field."""

    def __init__(self, code: str, pointer: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.pointer = pointer


def _read_object(text: str) -> dict[str, str]:
    """The cells of one JSON object; raises _BadLine."""
    record, inputs = _parse_object(text)
    cells: dict[str, str] = {}
    _read_fields(record, cells, prefix="", kinds=_FIELD_KINDS)
    if inputs:
        _read_fields(inputs, cells, prefix="/inputs", kinds=_INPUT_KINDS)
    return cells


def _parse_object(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of a line and those of its `inputs`; raises _BadLine."""
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _BadLine("line_not_json") from None
    if not isinstance(record, dict):
        raise _BadLine("line_not_json")
    inputs = record.get("inputs", {})
    if not isinstance(inputs, dict):
        raise _BadLine("field_wrong_type", "/inputs")
    # Every pair of the text has one match, so an equal count leaves no room for a repeated field.
    if _pairs(text) != len(record) + len(inputs) and _repeats(text):
        raise _BadLine("field_repeated")
    record.pop("inputs", None)
    return record, inputs


def _read_fields(
    fields: dict[str, Any], cells: dict[str, str], *, prefix: str, kinds: dict[str, type]
) -> None:
    for name, value in fields.items():
        kind = type(value)
        if kind is kinds.get(name):
            cells[name] = value if kind is str else str(value)
        elif name not in kinds:
            raise _BadLine("field_unknown", f"{prefix}/{_escaped(name)}")
        elif kind is float and kinds[name] is int:
            raise _BadLine("number_not_plain", f"{prefix}/{name}")
        elif value is not None:
            raise _BadLine("field_wrong_type", f"{prefix}/{name}")


def _pairs(text: str) -> int:
    """How often a name and its colon may stand in the text: as often as they do, or more often."""
    if '" ' in text or '"\t' in text:
        return len(_PAIR.findall(text))
    return text.count('":')


def _repeats(text: str) -> bool:
    """Whether an object of the line states a field twice; read again slowly, which is seldom."""
    found: list[bool] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found.append(len({name for name, _ in items}) != len(items))
        return dict(items)

    try:
        json.loads(text, object_pairs_hook=pairs)
    except RecursionError:  # orjson goes deeper than this reader
        raise _BadLine("line_not_json") from None
    return any(found)


def _escaped(name: str) -> str:
    """A name of the sender's as a JSON pointer token, at most 40 characters of it (RFC 6901).

    What cannot be printed is shown as one sign: the database takes no NUL, and no page a line end.
    """
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name[:40])
    return shown.replace("~", "~0").replace("/", "~1")
