"""How one factor table differs from another: by default from the one that it follows.

A table follows the published one of its region and subject that is in force when it begins. One that
follows none is compared with nothing: each of its rows was added.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select

from carbon.factors.factor_rows import FactorRow
from carbon.factors.row_changes import (
    FieldChange,
    RowChange,
    What,
    as_printed,
    compare_rows,
    percent_in_words,
)
from carbon.factors.stored_rows import read_row
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import Publication

_TABLE_FIELDS = ("region", "subject", "title", "source", "assumption", "note", "effective_from")


class Compared(NamedTuple):
    """With which table, the rows of the later one, and what became of each row."""

    against: Publication | None
    rows: list[FactorRow]
    changes: tuple[RowChange, ...]


def predecessor(call: Call, *, region_id: str, subject: str, first_day: date) -> Publication | None:
    """The published table that rules the region and subject until `first_day`, or on it; None for none."""
    query = select(Publication).where(
        Publication.region_id == region_id,
        Publication.kind == FACTOR_TABLE,
        Publication.subject == subject,
        Publication.state == "published",
        Publication.effective_from <= first_day,
    )
    return call.db.scalars(query.order_by(Publication.effective_from.desc()).limit(1)).first()


def predecessor_of(call: Call, table: Publication) -> Publication | None:
    """The table that a table corrects, or else follows or would follow."""
    if table.corrects_id is not None:
        return call.db.get(Publication, table.corrects_id)
    # Once it is published, what begins on its day is the table itself, or one that took its place.
    before = timedelta(days=table.published_at is not None)
    return predecessor(
        call, region_id=table.region_id, subject=table.subject, first_day=table.effective_from - before
    )


def table_changes(call: Call, table: Publication, against: Publication | None = None) -> dict[str, Any]:
    """What `table` says otherwise than `against`, or than its predecessor."""
    other, rows, found = compared(call, table, against)
    return {
        "table": public_id(PREFIX, table.id),
        "against": None if other is None else public_id(PREFIX, other.id),
        "counts": counted(found, rows),
        "fields": [] if other is None else [vars(each) for each in _table_fields(other, table)],
        "rows": [_row(change) for change in found],
    }


def compared(call: Call, table: Publication, against: Publication | None = None) -> Compared:
    """Compare `table` with `against`, or with its predecessor."""
    other = against or predecessor_of(call, table)
    rows = rows_of(table)
    return Compared(other, rows, compare_rows([] if other is None else rows_of(other), rows))


def rows_of(table: Publication) -> list[FactorRow]:
    """The rows of a table, drafted or published."""
    return [read_row(stored) for stored in table.content["rows"]]


def counted(found: Sequence[RowChange], rows: Sequence[FactorRow]) -> dict[str, int]:
    """How many rows were added, removed, changed and re-cited, and how many of `rows` are as they were."""
    counts = Counter(change.what for change in found)
    touched = sum(change.after is not None for change in found)
    return {**{what.value: counts[what] for what in What}, "unchanged": len(rows) - touched}


def _table_fields(before: Publication, after: Publication) -> list[FieldChange]:
    old, new = _stated(before), _stated(after)
    return [FieldChange(name, old[name], new[name]) for name in _TABLE_FIELDS if old[name] != new[name]]


def _stated(table: Publication) -> dict[str, str | None]:
    said = {
        "region": table.region_id,
        "subject": table.subject,
        "title": table.title,
        "source": table.source,
        "assumption": table.assumption,
        "note": table.content["note"],
        "effective_from": table.effective_from,
    }
    return {name: as_printed(value) for name, value in said.items()}


def _row(change: RowChange) -> dict[str, Any]:
    row, percent = change.row, change.percent
    return {
        "what": change.what.value,
        "code": row.code,
        "name_zh": row.name_zh,
        "name_en": row.name_en,
        "scenario": row.scenario,
        "region": row.region,
        "variant": row.variant,
        "before": _figure(change.before),
        "after": _figure(change.after),
        "percent": None if percent is None else percent_in_words(percent),
        "percent_exact": None if percent is None else str(percent),
        "fields": [vars(each) for each in change.fields],
    }


def _figure(row: FactorRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {"code": row.code, "value": row.value, "unit": row.unit, "gas_set": row.gas_set.value}
