"""The control of every bulk figure: the rows that a batch left, copied raw into empty twins of their tables.

A twin has all indexes and checks of its table but no foreign keys, and each table is copied in the order
of its own key in one transaction: PostgreSQL alone could hardly come to that outcome faster.
"""

from collections.abc import Mapping
from time import perf_counter
from uuid import UUID

import psycopg
from psycopg import sql

from app.factory import Product

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


def raw_copy_seconds(product: Product, tables: Mapping[str, str], *, batch_id: UUID) -> float:
    """Seconds of copying a batch's rows of these tables, commits included."""
    url = product.settings.database_url.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(url) as connection:
        return sum(_seconds(connection, table, where, batch_id) for table, where in tables.items())


def _seconds(connection: psycopg.Connection, table: str, where: str, batch_id: UUID) -> float:
    name, twin = sql.Identifier(table), sql.Identifier(f"bench_{table}")
    rows = sql.SQL("COPY (SELECT * FROM {} WHERE {} ORDER BY 1, 2, 3) TO STDOUT").format(
        name, sql.SQL(where).format(batch=sql.Literal(batch_id))
    )
    with connection.cursor() as cursor, cursor.copy(rows) as source:
        data = b"".join(bytes(block) for block in source)
    connection.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(twin, name))
    connection.commit()
    start = perf_counter()
    with connection.cursor() as cursor, cursor.copy(sql.SQL("COPY {} FROM STDIN").format(twin)) as sink:
        sink.write(data)
    connection.commit()
    seconds = perf_counter() - start
    connection.execute(sql.SQL("DROP TABLE {}").format(twin))
    connection.commit()
    return seconds
