"""The platform's own format for partners: one activity a line, as CSV, NDJSON or a workbook.

Fields: `source_event_id`, `subject` (card or account number), `scenario`, `occurred_at` (ISO 8601 with
a zone), and either `quantity` with its `unit` or the inputs of a method by their names (in NDJSON
inside `inputs`). Optional: `started_at`, `corrects_revision`, `evidence`. All forms end in the same checks.
"""

from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Literal

import polars as pl

from carbon.activities.adapters import cell_checks as check
from carbon.activities.adapters.activity_fields import CELLS, OPTIONAL, REQUIRED, UNITS
from carbon.activities.adapters.csv_pieces import CsvForm, read_pieces
from carbon.activities.adapters.errors import FileEmpty
from carbon.activities.adapters.frames import INSTANT, conform, inputs_json
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.ndjson_uniform import read_objects
from carbon.activities.adapters.text_lines import WHOLE, LineChunk, Reading, read_chunks
from carbon.activities.adapters.workbook.cells import Columns, read_sheet
from carbon.activities.adapters.workbook.parts import BYTES_MAX
from carbon.methodologies.inputs import INPUTS
from kernel.errors import require
from kernel.side_by_side import in_order

Form = Literal["csv", "ndjson"]

_CSV = CsvForm(required=REQUIRED, optional=(*OPTIONAL, *INPUTS))
_COLUMNS = Columns(
    required=REQUIRED,
    optional=(*OPTIONAL, *INPUTS),
    texts=frozenset({"source_event_id", "subject", "scenario", "unit", "evidence"}),
    times=frozenset({"occurred_at", "started_at"}),
)


def read_activity_lines(stream: BinaryIO, *, form: Form, reading: Reading = WHOLE) -> Iterator[pl.DataFrame]:
    """Frames of the common shape, chunk by chunk, in bounded memory.

    Refuses, at the first chunk, FileEmpty and, of CSV, HeaderDiffers. Identities are not compared here:
    `frames.refuse_repetitions` does it within a frame, the table of references between frames.
    """
    if form == "ndjson":
        return _read_objects(stream, reading)
    return read_pieces(stream, _understand, _CSV, reading)


def _read_objects(stream: BinaryIO, reading: Reading) -> Iterator[pl.DataFrame]:
    after_line, line_bytes_max = reading.after_line, reading.line_bytes_max

    def read(chunk: LineChunk) -> pl.DataFrame:
        cells = read_objects(chunk, file_no=reading.file_no, line_bytes_max=line_bytes_max)
        return _understand(cells.filter(pl.col("line_no") > after_line) if after_line else cells)

    chunks = read_chunks(stream, chunk_bytes=reading.chunk_bytes, line_bytes_max=line_bytes_max)
    # The first piece is read in any case: whether the file has a line at all is seen in it.
    works = (
        partial(read, chunk)
        for chunk in chunks
        if chunk.first_line_no == 1 or chunk.last_line_no > after_line
    )
    seen = after_line > 0  # what is left out is something
    for frame in in_order(works, threads=reading.threads):
        seen = seen or not frame.is_empty()
        if seen:
            yield frame
    require(seen, FileEmpty())


def read_activity_sheet(stream: BinaryIO) -> Iterator[pl.DataFrame]:
    """Frames of the common shape from the first visible sheet of a workbook (.xlsx), read whole.

    Refuses, at the first frame, FileTooLarge, FileEmpty, WorkbookUnreadable, WorkbookTooLarge, HeaderDiffers.
    """
    yield from map(_understand, read_sheet(stream.read(BYTES_MAX + 1), _COLUMNS))


def _understand(cells: pl.DataFrame) -> pl.DataFrame:
    """From cells of text to activities and refused lines."""
    stated = {name for name in CELLS if name in cells.columns and cells[name].null_count() < cells.height}
    if "pointer" not in cells.columns:
        cells = cells.with_columns(pointer=pl.lit(None, dtype=pl.String))
    frame = cells.with_columns(
        _instants(cells, "occurred_at", stated).alias("occurred"),
        _instants(cells, "started_at", stated).alias("started"),
        *(pl.lit(None, dtype=pl.String).alias(name) for name in CELLS if name not in stated),
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
    return whole.with_columns(payload=_payload(whole))


def _instants(cells: pl.DataFrame, name: str, stated: set[str]) -> pl.Series | pl.Expr:
    return check.instants(cells[name]) if name in stated else pl.lit(None, dtype=INSTANT)


def _checks(stated: set[str]) -> list[tuple[str, pl.Expr]]:
    """The checks of a line in the order in which they are reported; what no line states has none."""
    inputs = [name for name in INPUTS if name in stated]
    has_quantity = pl.col("quantity").is_not_null()
    has_inputs = pl.any_horizontal(pl.lit(value=False), *(pl.col(name).is_not_null() for name in inputs))
    patterns = {
        "source_event_id": r"[!-~]{1,128}",
        "subject": r"[!-~]{1,64}",
        "scenario": r"[a-z][a-z0-9_]{0,63}",
    }
    return [
        *((f"/{name}", check.missing(name)) for name in REQUIRED),
        *((f"/{name}", check.not_plain_text(name, pattern)) for name, pattern in patterns.items()),
        ("/occurred_at", pl.when(pl.col("occurred").is_null()).then(pl.lit("time_not_readable"))),
        *(_checks_of_start() if "started_at" in stated else ()),
        *_not_whole("corrects_revision", stated),
        *_checks_of_evidence(stated),
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


def _checks_of_evidence(stated: set[str]) -> list[tuple[str, pl.Expr]]:
    pattern = r"[a-z][a-z0-9_]{0,63}"
    return [("/evidence", check.not_plain_text("evidence", pattern))] if "evidence" in stated else []


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


def _payload(frame: pl.DataFrame) -> pl.Series:
    """Scenario, times, inputs and stated evidence: equal for equal content in either form.

    Null for refused lines. What states no evidence is written as before there was any.
    """
    texts = frame.with_columns(inputs=inputs_json(frame)).select(
        payload=pl.when(pl.col("outcome") == ACTIVITY).then(
            pl.concat_str(
                pl.col("scenario"),
                pl.col("started_at").dt.epoch("us").cast(pl.String).fill_null("-"),
                pl.col("occurred_at").dt.epoch("us").cast(pl.String),
                pl.col("inputs"),
                "evidence",
                separator="|",
                ignore_nulls=True,
            )
        )
    )
    return texts["payload"]
