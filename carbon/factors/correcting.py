"""A table that corrects another takes its place: the same region, subject and days, row for row.

The corrected table stays to be read, and everything that was credited by it stays as it was. What is
recorded from then on is judged by the table that corrects. What became of earlier credits is a matter of
its own: see `carbon/activities/recomputation`.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from uuid import UUID

from carbon.factors.errors import CorrectionCoversLess, NotCorrectable
from carbon.factors.factor_rows import FactorRow
from carbon.factors.stored_rows import read_row
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import WrongIdentifier, parse_public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.steps import hold, move, write_step
from kernel.publications.tables import Publication

CORRECTED = "corrected"
_OPEN = date.max
Days = tuple[date, date]
"""From the first day to the first on which it no longer holds."""


def table_to_correct(call: Call, named: str, *, region_id: str, subject: str) -> Publication:
    """The published table that a draft of this region and subject names; refuses NotCorrectable."""
    try:
        found = call.db.get(Publication, parse_public_id(PREFIX, named))
    except WrongIdentifier:
        found = None
    fits = found is not None and (found.region_id, found.kind, found.subject) == (
        region_id,
        FACTOR_TABLE,
        subject,
    )
    if found is None or not fits or found.state != "published":
        raise NotCorrectable(f"{named:.40}", pointer="/corrects")
    return found


def require_cover(corrected: Publication, rows: Iterable[FactorRow]) -> None:
    """Refuse CorrectionCoversLess where a day of the corrected table would be without a row."""
    new = list(rows)
    missing = [
        {"code": row.code, "scenario": row.scenario, "region": row.region, "from": gap.isoformat()}
        for row in (read_row(stored) for stored in corrected.content["rows"])
        for gap in _gaps(_days_of(row, corrected), _covering(row, new))
    ]
    require(not missing, CorrectionCoversLess(pointer="/rows", rows=missing[:100]))


def take_place(call: Call, table: Publication, *, reason: str) -> None:
    """Put the table that a proposal corrects aside, so that the proposal may have its days.

    Refuses NotCorrectable: another has corrected it meanwhile. The caller publishes the proposal at once.
    """
    if table.corrects_id is None:
        return
    corrected = hold(call, table.corrects_id)
    stands = corrected.state == "published" and move(call, corrected, to={"state": CORRECTED})
    require(stands, NotCorrectable("another table has corrected it"))
    write_step(call, corrected, CORRECTED, reason=reason)


def chain_of(call: Call, table: Publication) -> list[UUID]:
    """The table that a table corrects, and what that one corrected before, nearest first."""
    found: list[UUID] = []
    before = table.corrects_id
    while before is not None:
        found.append(before)
        before = call.db.get_one(Publication, before).corrects_id
    return found


def _days_of(row: FactorRow, table: Publication) -> Days:
    first = max(row.valid_from or _OPEN, table.effective_from)
    return first, min(row.ends_on or _OPEN, table.ends_on or _OPEN)


def _covering(row: FactorRow, rows: list[FactorRow]) -> list[Days]:
    same = [each for each in rows if (each.scenario, each.region) == (row.scenario, row.region)]
    return sorted((each.valid_from or _OPEN, each.ends_on or _OPEN) for each in same)


def _gaps(days: Days, covering: list[Days]) -> Iterator[date]:
    """The first day of what is not covered, if anything is."""
    day, end = days
    for first, until in covering:
        if first <= day < until:
            day = until
    if day < end:
        yield day
