"""The platform's own format for partners: one activity a line, as CSV, NDJSON or a workbook.

Fields: `source_event_id`, `subject` (card or account number), `scenario`, `occurred_at` (ISO 8601 with
a zone), and either `quantity` with its `unit` or the inputs of a method by their names (in NDJSON
inside `inputs`). Optional: `started_at`, `corrects_revision`. All forms end in the same checks.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, BinaryIO, Literal

import orjson
import polars as pl

from carbon.activities.adapters import cell_checks as check
from carbon.activities.adapters.csv_cells import read_cells, read_header, split_header
from carbon.activities.adapters.errors import FileEmpty
from carbon.activities.adapters.frames import INSTANT, conform, inputs_json, sha256
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.text_lines import LINE_BYTES_MAX, LineChunk, read_chunks, split_lines
from carbon.activities.adapters.workbook.cells import Columns, read_sheet
from carbon.activities.adapters.workbook.parts import BYTES_MAX
from carbon.methodologies.inputs import COUNT, DISTANCE, INPUTS, MASS, SAVED_ENERGY, SAVED_WATER, TRIPS
from kernel.errors import require
from kernel.side_by_side import in_order

Form = Literal["csv", "ndjson"]
Split = Callable[[LineChunk], pl.DataFrame]
ReadCells = Callable[[LineChunk, list[str]], pl.DataFrame]
Work = Callable[[], pl.DataFrame]

_REQUIRED = ("source_event_id", "subject", "scenario", "occurred_at")
_OPTIONAL = ("started_at", "corrects_revision", "quantity", "unit")
_CELLS = (*_REQUIRED, *_OPTIONAL, *INPUTS)
_FIELD_KINDS: dict[str, type] = {
    **dict.fromkeys((*_REQUIRED, *_OPTIONAL), str),
    **dict.fromkeys(("corrects_revision", "quantity"), int),
}
_INPUT_KINDS: dict[str, type] = dict.fromkeys(INPUTS, int)
_COLUMNS = Columns(
    required=_REQUIRED,
    optional=(*_OPTIONAL, *INPUTS),
    texts=frozenset({"source_event_id", "subject", "scenario", "unit"}),
    times=frozenset({"occurred_at", "started_at"}),
)
UNITS: dict[str, str] = {
    item.unit: item.name for item in (DISTANCE, TRIPS, COUNT, MASS, SAVED_ENERGY, SAVED_WATER)
}
"""What a bare `quantity` is, by its `unit`: m, trip, piece, g, Wh (saved) or ml (saved)."""

_PAIR = re.compile(r'"\s*:')
_INPUTS = r'"inputs"\s*:'
_SCENARIO = r"[a-z][a-z0-9_]{0,63}"
_TEXT, _WHOLE = r'"[^"\\\x00-\x1f]*"', r"(?:0|[1-9][0-9]{0,17})"
_INPUT = rf'"(?:{"|".join(INPUTS)})" *: *{_WHOLE}'
_FIELD = (
    rf'(?:"(?:{"|".join((*_REQUIRED, "started_at", "unit"))})" *: *{_TEXT}'
    rf'|"(?:corrects_revision|quantity)" *: *{_WHOLE}'
    rf'|"inputs" *: *\{{ *(?:{_INPUT}(?: *, *{_INPUT})*)? *\}})'
)
_USUAL = rf"\A *\{{ *{_FIELD}(?: *, *{_FIELD})* *\}} *\z"
"""An object of known fields, each of its own kind, its texts without escapes and its numbers short."""
_RECORD = pl.Struct(
    {
        **dict.fromkeys((*_REQUIRED, "started_at", "unit"), pl.String),
        **dict.fromkeys(("corrects_revision", "quantity"), pl.Int64),
        "inputs": pl.Struct(dict.fromkeys(INPUTS, pl.Int64)),
    }
)


def read_activity_lines(
    stream: BinaryIO,
    *,
    form: Form,
    file_no: int = 1,
    after_line: int = 0,
    chunk_bytes: int = 4 << 20,
    line_bytes_max: int = LINE_BYTES_MAX,
    threads: int = 0,
) -> Iterator[pl.DataFrame]:
    """Frames of the common shape, chunk by chunk, in bounded memory; `threads` of them ahead, side by side.

    Lines up to `after_line` are left out.

    Refuses FileEmpty, and for CSV HeaderDiffers, at the first chunk. Identities are not compared here:
    `frames.refuse_repetitions` does it within a frame, the table of references between frames.
    """
    chunks = read_chunks(stream, chunk_bytes=chunk_bytes, line_bytes_max=line_bytes_max)

    def split(chunk: LineChunk) -> pl.DataFrame:
        return split_lines(
            chunk.data, file_no=file_no, first_line_no=chunk.first_line_no, line_bytes_max=line_bytes_max
        )

    def cells(chunk: LineChunk, names: list[str]) -> pl.DataFrame:
        return read_cells(chunk, names, file_no=file_no, line_bytes_max=line_bytes_max)

    if form == "csv":
        works = _csv_works(chunks, cells, after_line)
    else:
        works = _ndjson_works(chunks, split, after_line)
    seen = form == "csv" or after_line > 0  # a header is something, and so is what is left out
    for frame in in_order(works, threads=threads) if threads else (work() for work in works):
        seen = seen or not frame.is_empty()
        if seen:
            yield frame
    require(seen, FileEmpty())


def _ndjson_works(chunks: Iterator[LineChunk], split: Split, after_line: int) -> Iterator[Work]:
    def read(chunk: LineChunk) -> pl.DataFrame:
        return _understand(_split_objects(_behind(split(chunk), after_line)))

    # The first piece is read in any case: whether the file has a line at all is seen in it.
    return (
        partial(read, chunk)
        for chunk in chunks
        if chunk.first_line_no == 1 or chunk.last_line_no > after_line
    )


def _csv_works(chunks: Iterator[LineChunk], cells: ReadCells, after_line: int) -> Iterator[Work]:
    def read(chunk: LineChunk) -> pl.DataFrame:
        return _understand(_behind(cells(chunk, names), after_line))

    header, rest = split_header(chunks)
    names = read_header(header, required=_REQUIRED, optional=(*_OPTIONAL, *INPUTS))[0]
    yield partial(read, rest)
    yield from (partial(read, chunk) for chunk in chunks if chunk.last_line_no > after_line)


def _behind(lines: pl.DataFrame, after_line: int) -> pl.DataFrame:
    return lines.filter(pl.col("line_no") > after_line) if after_line else lines


def read_activity_sheet(stream: BinaryIO) -> Iterator[pl.DataFrame]:
    """Frames of the common shape from the first visible sheet of a workbook (.xlsx), read whole.

    Refuses, at the first frame, FileTooLarge, FileEmpty, WorkbookUnreadable, WorkbookTooLarge, HeaderDiffers.
    """
    yield from map(_understand, read_sheet(stream.read(BYTES_MAX + 1), _COLUMNS))


def _understand(cells: pl.DataFrame) -> pl.DataFrame:
    """From cells of text to activities and refused lines."""
    stated = {name for name in _CELLS if name in cells.columns and cells[name].null_count() < cells.height}
    if "pointer" not in cells.columns:
        cells = cells.with_columns(pointer=pl.lit(None, dtype=pl.String))
    frame = cells.with_columns(
        _instants(cells, "occurred_at", stated).alias("occurred"),
        _instants(cells, "started_at", stated).alias("started"),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in _CELLS if name not in stated),
    )
    frame = check.with_failures(frame, _checks(stated))
    inputs = _inputs(frame, stated)
    frame = frame.with_columns(
        outcome=pl.coalesce("line_code", pl.lit(ACTIVITY)),
        occurred_at=pl.col("occurred"),
        started_at=pl.col("started"),
        corrects_revision=check.whole_number("corrects_revision"),
    )
    whole = conform(frame.drop(INPUTS).with_columns(**inputs))
    return whole.with_columns(payload_hash=_payload_hash(whole))


def _instants(cells: pl.DataFrame, name: str, stated: set[str]) -> pl.Series | pl.Expr:
    return check.instants(cells[name]) if name in stated else pl.lit(None, dtype=INSTANT)


def _checks(stated: set[str]) -> list[tuple[str, pl.Expr]]:
    """The checks of a line in the order in which they are reported; what no line states has none."""
    inputs = [name for name in INPUTS if name in stated]
    has_quantity = pl.col("quantity").is_not_null()
    has_inputs = pl.any_horizontal(pl.lit(value=False), *(pl.col(name).is_not_null() for name in inputs))
    patterns = {"source_event_id": r"[!-~]{1,128}", "subject": r"[!-~]{1,64}", "scenario": _SCENARIO}
    return [
        *((f"/{name}", check.missing(name)) for name in _REQUIRED),
        *((f"/{name}", check.not_plain_text(name, pattern)) for name, pattern in patterns.items()),
        ("/occurred_at", pl.when(pl.col("occurred").is_null()).then(pl.lit("time_not_readable"))),
        *(_checks_of_start() if "started_at" in stated else ()),
        *_not_whole("corrects_revision", stated),
        ("/quantity", pl.when(has_quantity & has_inputs).then(pl.lit("quantity_and_inputs"))),
        ("/quantity", pl.when(~has_quantity & ~has_inputs).then(pl.lit("field_missing"))),
        *_not_whole("quantity", stated),
        (
            "/unit",
            pl.when(has_quantity & pl.col("unit").is_null())
            .then(pl.lit("field_missing"))
            .when(pl.col("unit").is_not_null() & (~pl.col("unit").is_in(list(UNITS)) | ~has_quantity))
            .then(pl.lit("unit_unknown")),
        ),
        *(each for name in inputs for each in _not_whole(name, stated)),
    ]


def _checks_of_start() -> list[tuple[str, pl.Expr]]:
    unreadable = pl.col("started_at").is_not_null() & pl.col("started").is_null()
    return [
        (
            "/started_at",
            pl.when(unreadable)
            .then(pl.lit("time_not_readable"))
            .when(pl.col("started") > pl.col("occurred"))
            .then(pl.lit("times_reversed")),
        )
    ]


def _not_whole(name: str, stated: set[str]) -> list[tuple[str, pl.Expr]]:
    return [(f"/{name}", check.not_whole_number(name))] if name in stated else []


def _inputs(frame: pl.DataFrame, stated: set[str]) -> dict[str, pl.Series]:
    """The stated inputs as numbers; a bare quantity is the input of its unit."""
    found = frame.select(check.whole_number(name) for name in INPUTS if name in stated).to_dict()
    if {"quantity", "unit"} <= stated:
        quantities = frame.select("unit", whole=check.whole_number("quantity"))
        for unit in set(frame["unit"].unique().to_list()) & set(UNITS):
            name = UNITS[unit]
            stated_so = found[name] if name in found else pl.lit(None, dtype=pl.Int64)
            quantity = pl.when(pl.col("unit") == unit).then("whole").otherwise(stated_so)
            found[name] = quantities.select(quantity.alias(name)).to_series()
    return found


def _payload_hash(frame: pl.DataFrame) -> pl.Series:
    """SHA-256 over scenario, times and inputs: equal for equal content in either form."""
    texts = frame.with_columns(inputs=inputs_json(frame)).select(
        payload=pl.when(pl.col("outcome") == ACTIVITY).then(
            pl.concat_str(
                pl.col("scenario"),
                pl.col("started_at").dt.epoch("us").cast(pl.String).fill_null("-"),
                pl.col("occurred_at").dt.epoch("us").cast(pl.String),
                pl.col("inputs"),
                separator="|",
            )
        )
    )
    return sha256(texts["payload"])


def _split_objects(lines: pl.DataFrame) -> pl.DataFrame:
    """NDJSON lines as cells: texts as they stand, whole numbers written out in digits.

    Lines of the usual form, as programs write them, are read in bulk, the rest one by one.
    """
    lines = lines.with_row_index("row")
    usual = _read_usual(lines.filter(pl.col("line_code").is_null() & pl.col("text").str.contains(_USUAL)))
    rest = lines.join(usual.select("row"), on="row", how="anti", maintain_order="left")
    if rest.is_empty():
        return usual.drop("row")
    return pl.concat([usual, _read_one_by_one(rest)], how="diagonal").sort("row").drop("row")


def _read_usual(lines: pl.DataFrame) -> pl.DataFrame:
    """The cells of lines of `_USUAL`; a line that repeats a field is left out."""
    read = lines["text"].str.json_decode(_RECORD).struct.unnest()
    cells = read.drop("inputs").hstack(read["inputs"].struct.unnest()).with_columns(pl.all().cast(pl.String))
    pairs, inputs = (pl.col("text").str.count_matches(each) for each in (_PAIR.pattern, _INPUTS))
    stated = pl.sum_horizontal(pl.col(name).is_not_null() for name in _CELLS)
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
            for name in _CELLS
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

    json.loads(text, object_pairs_hook=pairs)
    return any(found)


def _escaped(name: str) -> str:
    """A name of the sender's as a JSON pointer token, at most 40 characters of it (RFC 6901)."""
    return name[:40].replace("~", "~0").replace("/", "~1")
