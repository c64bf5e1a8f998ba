"""The control of every bulk figure: the rows that a batch left, copied raw into empty twins of their tables.

A twin has all indexes and checks of its table but no foreign keys, and each table is copied in the order
of its own key: in one transaction, PostgreSQL alone could hardly come to that outcome faster; in chunks, each
committed with its rows of all tables, it could hardly be done faster beside people who redeem.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import groupby
from time import perf_counter
from uuid import UUID

import psycopg
from psycopg import sql

from app.factory import Product
from kernel.database import Base

CREDIT_TABLES = {
    "ledger_reference": "transfer_id IN (SELECT id FROM ledger_transfer WHERE batch_id = {batch})",
    "ledger_transfer": "batch_id = {batch}",
}
ACTIVITY_TABLES = {
    "activity_reference": "activity_id IN (SELECT id FROM activity WHERE batch_id = {batch})",
    "activity": "batch_id = {batch}",
    **CREDIT_TABLES,
}
"""Where the rows of a batch lie."""


_LINES = (
    "(SELECT citizen_id, id, coin_transfer_id, carbon_transfer_id, (line_no - 2) / {size} AS chunk"
    " FROM activity WHERE batch_id = {batch}) l"
)
_OF_LINES = {
    "activity_reference": "t.activity_id = l.id",
    "activity": "t.citizen_id = l.citizen_id AND t.id = l.id",
    "ledger_reference": "t.holder_id = l.citizen_id"
    " AND t.transfer_id IN (l.coin_transfer_id, l.carbon_transfer_id)",
    "ledger_transfer": "t.holder_id = l.citizen_id AND t.id IN (l.coin_transfer_id, l.carbon_transfer_id)",
}
"""What a line left in each table; a transfer of several lines lies where the first of them does."""


def raw_copy_seconds(product: Product, tables: Mapping[str, str], *, batch_id: UUID) -> float:
    """Seconds of copying a batch's rows of these tables, commits included."""
    with _connected(product) as connection:
        return sum(_seconds(connection, table, where, batch_id) for table, where in tables.items())


def raw_chunks_seconds(product: Product, *, batch_id: UUID, chunk_lines: int) -> float:
    """Seconds of copying the rows of a batch that was one file, so many lines of it a transaction."""
    with _connected(product) as connection, ExitStack() as twins:
        chunks: dict[int, list[tuple[str, bytes]]] = {}
        for table in _OF_LINES:
            twin = twins.enter_context(_twin(connection, table))
            for chunk, data in _chunks(connection, table, batch_id, chunk_lines):
                chunks.setdefault(chunk, []).append((twin, data))
        start = perf_counter()
        for number in sorted(chunks):
            for twin, data in chunks[number]:
                _copy(connection, twin, data)
            connection.commit()
        return perf_counter() - start


def _connected(product: Product) -> psycopg.Connection:
    return psycopg.connect(product.settings.database_url.replace("postgresql+psycopg", "postgresql"))


def _seconds(connection: psycopg.Connection, table: str, where: str, batch_id: UUID) -> float:
    rows = sql.SQL("SELECT * FROM {} WHERE {} ORDER BY {}").format(
        sql.Identifier(table), sql.SQL(where).format(batch=sql.Literal(batch_id)), _names(_key(table))
    )
    data = b"".join(_read(connection, rows))
    with _twin(connection, table) as twin:
        start = perf_counter()
        _copy(connection, twin, data)
        connection.commit()
        return perf_counter() - start


def _chunks(
    connection: psycopg.Connection, table: str, batch_id: UUID, size: int
) -> Iterator[tuple[int, bytes]]:
    """A table's rows of each chunk, in the order of its key."""
    lines = sql.SQL(_LINES).format(batch=sql.Literal(batch_id), size=sql.Literal(size))
    key = _key(table)
    rows = sql.SQL(
        "SELECT * FROM (SELECT DISTINCT ON ({of_table}) l.chunk, t.* FROM {lines} JOIN {table} t ON {joined}"
        " ORDER BY {of_table}, l.chunk) r ORDER BY chunk, {key}"
    ).format(
        of_table=sql.SQL(", ").join(sql.Identifier("t", name) for name in key),
        lines=lines,
        table=sql.Identifier(table),
        joined=sql.SQL(_OF_LINES[table]),
        key=_names(key),
    )
    numbered = (row.split(b"\t", 1) for row in b"".join(_read(connection, rows)).splitlines(keepends=True))
    for chunk, group in groupby(numbered, key=lambda row: int(row[0])):
        yield chunk, b"".join(row for _, row in group)


def _read(connection: psycopg.Connection, rows: sql.Composed) -> Iterable[bytes]:
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY ({}) TO STDOUT").format(rows)) as source:
        return [bytes(block) for block in source]


@contextmanager
def _twin(connection: psycopg.Connection, table: str) -> Iterator[str]:
    twin = f"bench_{table}"
    connection.execute(
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(sql.Identifier(twin), sql.Identifier(table))
    )
    connection.commit()
    try:
        yield twin
    finally:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(twin)))
        connection.commit()


def _copy(connection: psycopg.Connection, twin: str, data: bytes) -> None:
    statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(twin))
    with connection.cursor() as cursor, cursor.copy(statement) as sink:
        sink.write(data)


def _key(table: str) -> list[str]:
    return [column.name for column in Base.metadata.tables[table].primary_key]


def _names(columns: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
