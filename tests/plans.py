"""What a piece of work reads: its own statements are caught and explained, so no clock is asked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, text

from kernel.call import Call
from kernel.database import create_engine
from tests.conftest import NOW, Database, make_call


@dataclass(frozen=True)
class Read:
    """A node of a plan that reads a table: how, by which index, how many rows and pages it went through."""

    table: str
    by: str
    index: str | None
    rows: float
    pages: int
    """Of the table and of the index: an index that is passed over as a whole drops no rows."""


def fill(database: Database, *statements: str) -> None:
    """Write many rows as the owner, then let the planner know what there is."""
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
        connection.execute(text("ANALYZE"))
    owner.dispose()


def reads_of(database: Database, work: Callable[[Call], Any], *, now: Any = NOW) -> list[Read]:
    """Everything that the statements of `work` read, each run under EXPLAIN ANALYZE; nothing is kept."""
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:  # noqa: FBT001 - SQLAlchemy calls it
        sent.append((statement, values))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.sessions() as session:
            work(make_call(session, now=now))
            session.rollback()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    found: list[Read] = []
    for statement, values in sent:
        with database.sessions() as session:
            explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
            plan = session.connection().exec_driver_sql(explain, values).scalar_one()
            found += _nodes(plan[0]["Plan"])
            session.rollback()
    return found


def rows_read(reads: list[Read], table: str) -> float:
    """How many rows of a table were gone through, kept or not."""
    return sum(read.rows for read in reads if read.table == table)


def pages_read(reads: list[Read], table: str) -> int:
    """How many pages of a table and its indexes were looked at, some more than once."""
    return sum(read.pages for read in reads if read.table == table)


def _nodes(node: dict[str, Any]) -> Iterator[Read]:
    if "Relation Name" in node and "Scan" in node["Node Type"]:
        dropped = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
        rows = (node["Actual Rows"] + dropped) * node["Actual Loops"]
        pages = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
        yield Read(node["Relation Name"], node["Node Type"], node.get("Index Name"), rows, pages)
    for child in node.get("Plans", []):
        yield from _nodes(child)
