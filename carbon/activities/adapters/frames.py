"""The one shape in which every adapter hands its lines on.

One row for each line of the input, in input order, refused lines included: nothing disappears. A row
whose `outcome` is `activity` can be assessed; any other outcome is a code of `line_codes`.

    file_no            Int32     1-based number of the file within the import
    line_no            Int64     1-based physical line; the header is line 1
    outcome            String    `activity` or the code of the refusal
    pointer            String    the field at fault (`/quantity`), where one is
    detail             String    what a person needs beyond the code; never a card or account number
    source_event_id    String    identity of the fact at the partner (hex SHA-256 in file adapters)
    corrects_revision  Int64     the revision that the record supersedes; null for ordinary records
    payload            String    the record's content, written one way; null for refused lines
    subject            String    card or account number: for the caller's HMAC, never stored or logged
    scenario           String    the scenario by which a factor is looked up
    started_at         Datetime  aware UTC; start of the trip or period; null where unknown
    occurred_at        Datetime  aware UTC; the instant of the fact: its end
    evidence           String    the evidence tier that the record states; null where it states none
    meter              String    the meter whose interval is claimed; null for trips
    distance_m … (one Int64 column for each name of `INPUTS`, null where not stated)
    facts              String    canonical JSON of what an explanation shows; null where nothing
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.methodologies.inputs import INPUTS
from kernel.canonical import canonical_json

INSTANT = pl.Datetime("us", "UTC")
SCHEMA: dict[str, Any] = {
    "file_no": pl.Int32,
    "line_no": pl.Int64,
    "outcome": pl.String,
    "pointer": pl.String,
    "detail": pl.String,
    "source_event_id": pl.String,
    "corrects_revision": pl.Int64,
    "payload": pl.String,
    "subject": pl.String,
    "scenario": pl.String,
    "started_at": INSTANT,
    "occurred_at": INSTANT,
    "evidence": pl.String,
    "meter": pl.String,
    **dict.fromkeys(INPUTS, pl.Int64),
    "facts": pl.String,
}


def conform(frame: pl.DataFrame, *, more: tuple[str, ...] = ()) -> pl.DataFrame:
    """The columns of SCHEMA in their order and types, absent ones null, then the columns in `more`.

    Activities keep everything; on refused lines everything that an activity would be credited by is
    cleared, so that no caller can credit one by accident. Identity, subject and time stay for reports.
    """
    whole = frame.with_columns(
        pl.lit(None, dtype=kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns
    ).select(*(pl.col(name).cast(kind) for name, kind in SCHEMA.items()), *more)
    is_activity = pl.col("outcome") == ACTIVITY
    if whole.select(is_activity.all()).item():
        return whole
    cleared = ("scenario", *INPUTS)
    return whole.with_columns(pl.when(is_activity).then(pl.col(name)).alias(name) for name in cleared)


def inputs_json(frame: pl.DataFrame) -> pl.Series:
    """The canonical JSON of each row's inputs, as stored (`{"actual_wh":165,"baseline_wh":200}`)."""
    pairs = [
        pl.when(pl.col(name).is_not_null()).then(
            pl.concat_str(pl.lit(f'"{name}":'), pl.col(name).cast(pl.String))
        )
        for name in sorted(INPUTS)
        if frame[name].null_count() < frame.height
    ]
    joined = pl.concat_str(pairs or [pl.repeat("", pl.len())], separator=",", ignore_nulls=True)
    return frame.select(inputs=pl.concat_str(pl.lit("{"), joined, pl.lit("}")))["inputs"]


def row_inputs(row: Mapping[str, Any]) -> dict[str, int]:
    """The inputs of one row (as from `iter_rows(named=True)`), as a method takes them."""
    return {name: row[name] for name in INPUTS if row[name] is not None}


def facts_json(frame: pl.DataFrame, columns: tuple[str, ...]) -> pl.Series:
    """The canonical JSON of `columns` without nulls, made once for each distinct combination."""
    distinct = frame.select(columns).unique(maintain_order=True)
    written = [
        canonical_json({name: value for name, value in row.items() if value is not None}).decode()
        for row in distinct.iter_rows(named=True)
    ]
    table = distinct.with_columns(pl.Series("facts", written, dtype=pl.String))
    joined = frame.select(columns).join(
        table, on=columns, how="left", nulls_equal=True, maintain_order="left", validate="m:1"
    )
    return joined["facts"]


def sha256_hex(texts: pl.Series) -> pl.Series:
    """Hex SHA-256 of each text's UTF-8; null for null."""
    return sha256(texts).bin.encode("hex")


def sha256(values: pl.Series) -> pl.Series:
    """SHA-256 of each value's bytes, of a text's UTF-8, 32 bytes; null for null."""
    data, one = values.cast(pl.Binary).to_list(), hashlib.sha256
    hashed = [None if each is None else one(each).digest() for each in data]
    return pl.Series(values.name, hashed, dtype=pl.Binary)


def refuse_repetitions(
    frame: pl.DataFrame,
    *,
    unrefused: pl.Expr,
    identity: tuple[str, ...] = ("source_event_id", "corrects_revision"),
    content: str = "payload",
) -> pl.DataFrame:
    """Refuse every later row that repeats an identity: `duplicate_in_file` or `content_differs_in_file`.

    Rows are taken in their order; `unrefused` says which take part. `identity` and `content` name columns;
    of an identity those count that there are. The refusal names the first line.
    """
    present = tuple(name for name in identity if name in frame.columns)
    return refuse_found(find_repetitions(frame, unrefused=unrefused, identity=present, content=content))


def find_repetitions(
    frame: pl.DataFrame, *, unrefused: pl.Expr, identity: tuple[str, ...], content: str
) -> pl.DataFrame:
    """Add `repeats`, the code of a row that repeats an earlier one, with `first_file` and `first_line`."""
    firsts = (
        frame.filter(unrefused)
        .select(
            *identity,
            pl.col(content).alias("first_hash"),
            pl.col("line_no").alias("first_line"),
            pl.col("file_no").alias("first_file"),
        )
        .unique(identity, keep="first", maintain_order=True)
    )
    joined = frame.join(firsts, on=identity, how="left", nulls_equal=True, maintain_order="left")
    is_first = (pl.col("line_no") == pl.col("first_line")) & (pl.col("file_no") == pl.col("first_file"))
    same = pl.col(content) == pl.col("first_hash")
    code = pl.when(same).then(pl.lit("duplicate_in_file")).otherwise(pl.lit("content_differs_in_file"))
    return joined.with_columns(repeats=pl.when(unrefused & ~is_first).then(code)).drop("first_hash")


def refuse_found(frame: pl.DataFrame) -> pl.DataFrame:
    """Refuse the rows that `find_repetitions` found; drops what it added."""
    named = pl.format("first: file {} line {}", "first_file", "first_line")
    repeats = pl.col("repeats").is_not_null()
    return frame.with_columns(
        outcome=pl.coalesce(pl.col("repeats").cast(pl.String), "outcome"),
        detail=pl.when(repeats).then(named).otherwise(pl.col("detail")),
    ).drop("repeats", "first_line", "first_file")
