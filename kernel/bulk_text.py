"""Frames to and from PostgreSQL as text: COPY in, one value out, array literals as one parameter.

Written and read by Polars, so no row becomes a Python object. The driver hands on a result (of COPY too)
row by row, and writes a list parameter value by value: both cost more than the query behind them.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any, TypeVar

import polars as pl
import psycopg
from psycopg import sql
from sqlalchemy import CursorResult
from sqlalchemy.exc import DBAPIError, IntegrityError

from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id

Result = TypeVar("Result")
WORTH_A_SAVEPOINT = 50
"""From so many rows on `unless_taken` is worth the two round trips of its savepoint."""


def copy_in(call: Call, table: str, frame: pl.DataFrame) -> None:
    """Append the rows of `frame` to `table`; columns by name, null is empty and text is quoted.

    Raises what any statement of the session raises: IntegrityError for a violated key.
    """
    if frame.is_empty():
        return
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in frame.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    text = BytesIO()
    frame.write_csv(text, include_header=False)
    call.db.flush()  # rows that these name by foreign key must stand
    try:
        with _driver_cursor(call).copy(statement) as sink:
            sink.write(text.getbuffer())
    except psycopg.Error as error:
        # As the session's own: who retries deadlocks and knows lock waits looks for these.
        raise DBAPIError.instance(f"COPY {table}", None, error, psycopg.Error) from error


def copied_whole(call: Call, table: str, frame: pl.DataFrame) -> bool:
    """`copy_in`, or False and nothing copied when a key of the rows stands already."""

    def copied() -> bool:
        copy_in(call, table, frame)
        return True

    return unless_taken(call, copied) or False


def unless_taken(call: Call, work: Callable[[], Result]) -> Result | None:
    """What `work` gives; None, and all that it did undone, when a key that it writes stands already."""
    try:
        with savepoint(call):
            return work()
    except IntegrityError as error:
        if not isinstance(error.orig, psycopg.errors.UniqueViolation):
            raise
        return None


def execute_text(call: Call, statement: str, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Execute SQL of our own with `%(name)s` for values, as the driver writes it."""
    call.db.flush()  # what the unit of work holds back is part of what it asks for
    return call.db.connection().exec_driver_sql(statement, dict(values))


def select_frame(
    call: Call, query: str, values: Mapping[str, Any], *, schema: Mapping[str, Any]
) -> pl.DataFrame:
    """The rows of `query` (with `%(name)s` for values), its columns in the order and types of `schema`.

    They come as one text of CSV, at most a gigabyte. The query may be an INSERT … RETURNING.
    """
    cells = [f"c{place}" for place in range(len(schema))]
    line = " || ',' || ".join(
        f"coalesce({_cell(name, kind)}, '')" for name, kind in zip(cells, schema.values(), strict=True)
    )
    statement = f"WITH q ({', '.join(cells)}) AS ({query}) SELECT string_agg({line}, E'\\n') FROM q"  # noqa: S608 - our own text
    text = execute_text(call, statement, values).scalar_one()
    if text is None:
        return pl.DataFrame(schema=dict(schema))
    return pl.read_csv(text.encode(), has_header=False, schema=dict(schema))


def _cell(name: str, kind: Any) -> str:
    """What a column writes into a line: text in quotation marks, all else as it is."""
    return f"""'"' || replace({name}::text, '"', '""') || '"'""" if kind == pl.String else f"{name}::text"


def written_bytes(name: str) -> pl.Expr:
    """A Binary column as PostgreSQL reads it."""
    return (pl.lit("\\x") + pl.col(name).bin.encode("hex")).alias(name)


def written_instant(name: str) -> pl.Expr:
    """An instant column as PostgreSQL reads it."""
    return pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").alias(name)


def array_of(values: pl.Series) -> str:
    """The values as PostgreSQL writes an array: `{1,2}`, `{"a","b"}`; null is NULL."""
    if values.dtype.is_integer() or values.dtype == pl.Date:
        written = values.cast(pl.String)
    elif values.dtype == pl.Binary:
        written = '"\\\\x' + values.bin.encode("hex") + '"'
    else:
        escaped = values.cast(pl.String).str.replace_all("\\", "\\\\", literal=True)
        written = '"' + escaped.str.replace_all('"', '\\"', literal=True) + '"'
    return "{" + (written.fill_null("NULL").str.join(",").item() or "") + "}"


def new_ids(count: int) -> pl.Series:
    """`count` fresh ids as text, as `new_id` makes them (UUIDv7), all of this millisecond."""
    now = new_id().hex[:12]
    dice, size = os.urandom(10 * count).hex(), 20
    one = pl.Series("one", [dice[at : at + size] for at in range(0, size * count, size)], dtype=pl.String)
    piece = one.str.slice
    variant = piece(3, 1).replace_strict(_VARIANT)
    return f"{now[:8]}-{now[8:]}-7" + piece(0, 3) + "-" + variant + piece(4, 3) + "-" + piece(8, 12)


@contextmanager
def savepoint(call: Call) -> Iterator[None]:
    """What the driver does inside is undone when an error leaves it."""
    call.db.flush()  # what the unit of work holds back must stand before the savepoint
    with call.db.begin_nested():
        call.db.connection()  # the session sends SAVEPOINT only when its own connection is asked for
        yield


def _driver_cursor(call: Call) -> psycopg.Cursor[Any]:
    """A cursor of the driver in the call's transaction."""
    connection = call.db.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise BrokenInvariant("COPY needs psycopg")
    return connection.cursor()


_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
"""Two fixed bits and two random ones (RFC 9562)."""
