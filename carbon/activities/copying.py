"""Frames into tables by COPY, as CSV text: the cheapest way in from Polars (measured in the design)."""

import polars as pl

from kernel.bulk_text import copy_in
from kernel.call import Call


def copy_frame(call: Call, table: str, frame: pl.DataFrame) -> None:
    """Append the rows of `frame` to `table`; columns by name, null is empty and text is quoted."""
    if frame.is_empty():
        return
    copy_in(call, table, frame)


def written_bytes(name: str) -> pl.Expr:
    """A Binary column as PostgreSQL reads it."""
    return (pl.lit("\\x") + pl.col(name).bin.encode("hex")).alias(name)


def written_instant(name: str) -> pl.Expr:
    """An instant column as PostgreSQL reads it."""
    return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias(name)
