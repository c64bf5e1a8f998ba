"""A page of a batch's lines costs a page, however many lines a row stands for and however few lines match."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from sqlalchemy import event, text

from carbon.activities.batch_results import every_line
from kernel.identifiers import parse_public_id
from tests.carbon.partner_client import RECORD, Partner, ndjson, rides

SEGMENT, SEGMENTS, PAGE = 200_000, 10, 50


def keep_runs(partner: Partner, batch: str, *runs: tuple[int, int, int]) -> None:
    """Rows of lines as an import leaves them: file, last line, how many."""
    row = text(
        "INSERT INTO activity_batch_line (batch_id, file_no, line_no, lines, outcome, code)"
        " VALUES (:batch, :file, :line, :lines, 'duplicate', 'duplicate')"
    )
    values = [
        {"batch": parse_public_id("bat", batch), "file": file_no, "line": line_no, "lines": lines}
        for file_no, line_no, lines in runs
    ]
    partner.database.run(lambda call: call.db.execute(row, values))


def pages(partner: Partner, batch: str, **query: Any) -> Iterator[list[int]]:
    """The numbers of the lines, page by page over HTTP."""
    cursor: dict[str, str] = {}
    while True:
        page = partner.get(f"/{batch}/lines", **query, **cursor).json
        yield [row["line"] for row in page["items"]]
        if page["next"] is None:
            return
        cursor = {"after": page["next"]}


def plan_of(partner: Partner, batch: str, **query: Any) -> list[dict[str, Any]]:
    """The nodes of the plan by which the second page was read, with what each gave."""
    asked: list[tuple[Any, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: Any, values: Any, *_: Any) -> None:
        if "FROM activity" in statement and "LIMIT" in statement:
            asked.append((statement, values))

    reading = pages(partner, batch, **query)
    next(reading)
    event.listen(partner.product.engine, "before_cursor_execute", note)
    try:
        next(reading)
    finally:
        event.remove(partner.product.engine, "before_cursor_execute", note)
    statement, values = asked[-1]
    with partner.database.engine.connect() as connection:
        found = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", values).scalar_one()
    plan = found if isinstance(found, list) else orjson.loads(found)
    return list(_nodes(plan[0]["Plan"]))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


@pytest.mark.parametrize("query", [{}, {"outcome": "duplicate"}], ids=str)
def test_a_page_of_long_runs_tells_a_page_of_lines(partner: Partner, query: dict[str, str]) -> None:
    batch = partner.send(rides(1))["id"]
    keep_runs(partner, batch, *((1, 1 + SEGMENT * n, SEGMENT) for n in range(1, SEGMENTS + 1)))
    plan = plan_of(partner, batch, limit=PAGE, **query)
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in plan) <= 2 * (PAGE + 1)


@pytest.mark.parametrize("limit", [1, 4, 7, 200])
def test_pages_and_downloads_go_across_the_borders_of_runs_and_files(partner: Partner, limit: int) -> None:
    batch = partner.send(rides(3))["id"]
    keep_runs(partner, batch, (1, 9, 6), (1, 10, 1), (1, 20, 8), (2, 7, 7), (2, 8, 1), (3, 30, 5))
    first = [*range(4, 11), *range(13, 21)]
    kept = [*first, *range(1, 9), *range(26, 31)]
    whole = [1, 2, 3, *kept]
    assert [line for page in pages(partner, batch, limit=limit) for line in page] == whole
    told = list(pages(partner, batch, limit=limit, outcome="duplicate"))
    assert [line for page in told for line in page] == kept
    assert [len(page) for page in told[:-1]] == [limit] * (len(told) - 1)
    downloaded = every_line(partner.database.run, parse_public_id("bat", batch))
    assert [row.line for page in downloaded for row in page] == whole


def test_a_download_tells_every_line_of_long_runs_once(partner: Partner) -> None:
    batch = partner.send(rides(1))["id"]
    keep_runs(partner, batch, (1, 6_001, 6_000), (1, 12_002, 6_000), (1, 20_000, 7_998))
    told = list(every_line(partner.database.run, parse_public_id("bat", batch)))
    assert [len(page) for page in told] == [5_000] * 3 + [4_999]
    lines = [1, *range(2, 6_002), *range(6_003, 20_001)]
    assert [row.line for page in told for row in page] == lines


def test_the_few_lines_that_came_to_nothing_are_read_alone(partner: Partner) -> None:
    nothing = [
        {**RECORD, "source_event_id": f"n{n}", "quantity": 0, "corrects_revision": None} for n in range(6)
    ]
    batch = partner.send(rides(2_000) + ndjson(*nothing))["id"]
    partner.database.run(lambda call: call.db.execute(text("ANALYZE activity")))
    plan = plan_of(partner, batch, limit=2, outcome="assessed")
    assert "ix_activity_batch_assessed" in {node.get("Index Name") for node in plan}
    assert sum(node.get("Rows Removed by Filter", 0) for node in plan) == 0
    assert [line for page in pages(partner, batch, limit=4, outcome="assessed") for line in page] == [
        *range(2_001, 2_007)
    ]
