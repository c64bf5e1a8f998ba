"""Frames into tables by COPY, as CSV text: the cheapest way in from Polars (measured in the design)."""

from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from kernel.call import Call
from kernel.errors import BrokenInvariant


def copy_frame(call: Call, table: str, frame: pl.DataFrame) -> None:
    """Append the rows of `frame` to `table`; columns by name, null is empty and text is quoted."""
    if frame.is_empty():
        return
    call.db.flush()  # rows that these name by foreign key must stand
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in frame.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    with _cursor(call).copy(statement) as sink:
        sink.write(frame.write_csv(include_header=False).encode())


def written_bytes(name: str) -> pl.Expr:
    """A Binary column as PostgreSQL reads it."""
    return (pl.lit("\\x") + pl.col(name).bin.encode("hex")).alias(name)


def written_instant(name: str) -> pl.Expr:
    """An instant column as PostgreSQL reads it."""
    return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias(name)


def _cursor(call: Call) -> psycopg.Cursor[Any]:
    connection = call.db.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise BrokenInvariant("COPY needs psycopg")
    return connection.cursor()
