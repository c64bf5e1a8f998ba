"""Frames to and from PostgreSQL as text: COPY in, one value out, array literals as one parameter.

Written and read by Polars, so no row becomes a Python object. The driver hands on a result (of COPY too)
row by row, and writes a list parameter value by value: both cost more than the query behind them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import polars as pl
import psycopg
from psycopg import sql

from kernel.call import Call
from kernel.errors import BrokenInvariant


def copy_in(call: Call, table: str, frame: pl.DataFrame) -> None:
    """Append the rows of `frame` to `table`; columns by name, null is empty and text is quoted."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in frame.columns)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), columns)
    text = BytesIO()
    frame.write_csv(text, include_header=False)
    with driver_cursor(call).copy(statement) as sink:
        sink.write(text.getbuffer())


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
    # A query text of our own modules, wrapped in text of this one.
    row = driver_cursor(call).execute(statement.encode(), values).fetchone()
    if row is None or row[0] is None:
        return pl.DataFrame(schema=dict(schema))
    return pl.read_csv(row[0].encode(), has_header=False, schema=dict(schema))


def _cell(name: str, kind: Any) -> str:
    """What a column writes into a line: text in quotation marks, all else as it is."""
    return f"""'"' || replace({name}::text, '"', '""') || '"'""" if kind == pl.String else f"{name}::text"


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


@contextmanager
def savepoint(call: Call) -> Iterator[None]:
    """What the driver does inside is undone when an error leaves it."""
    call.db.flush()  # what the unit of work holds back must stand before the savepoint
    with call.db.begin_nested():
        call.db.connection()  # the session sends SAVEPOINT only when its own connection is asked for
        yield


def driver_cursor(call: Call) -> psycopg.Cursor[Any]:
    """A cursor of the driver in the call's transaction."""
    connection = call.db.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise BrokenInvariant("COPY needs psycopg")
    return connection.cursor()
