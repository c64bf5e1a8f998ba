"""What the activities of some days would have come to under another factor table. Nothing is written.

Their kilograms are computed by the methods of today from the inputs that were kept; coins at the rate and
under the cap that each activity was credited with, whose use is gone through again (see `replay`). Only what
was taken is known: what was refused at its time (for the days of a meter too) is not among the activities,
and one that the table would refuse comes to nothing, also where it corrected another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import text

from carbon.activities.errors import SpanBackwards, SpanTooLong, TooManyToSimulate
from carbon.activities.simulation.anew import judged_anew
from carbon.activities.simulation.past import LookedThrough, Span, bases_of, pieces
from carbon.activities.simulation.proposed import ProposedTable
from carbon.activities.simulation.tally import Tally
from carbon.factors.catalogue import standing
from kernel.bulk_text import savepoint
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.tables import Publication


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which business days (both included), and from which day on the table's first rows are taken to hold.

    Without `starting_on` they hold from their own first days.
    """

    first_day: date
    last_day: date
    starting_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one request computes: some ten to twenty seconds of work."""

    days: int = 366
    activities: int = 500_000
    looked_through: int = 2_000_000
    """Of all regions together: no index finds those of one."""


REQUEST = Limits()


def simulate(
    call: Call, table: Publication, question: Question, *, limits: Limits | None = None
) -> dict[str, Any]:
    """Milligrams and milli-coins before and after, as `GivesSimulation` names them.

    The activities are those of the table's region and the regions below it that stand. Taken as it was
    published, a table changes nothing that was recorded while it was in force.

    Refuses, in this order: SpanBackwards, SpanTooLong, what `ProposedTable` refuses, TooManyToSimulate.
    """
    span = Span(first_day=question.first_day, last_day=question.last_day)
    require(span.days > 0, SpanBackwards(pointer="/body/last_day"))
    if limits is not None and span.days > limits.days:
        raise SpanTooLong(f"{span.days} days", pointer="/body/last_day", most=limits.days)
    tally = Tally()
    with read_only(call):
        proposed = ProposedTable(call, table, starting_on=question.starting_on)
        bases = bases_of(call, table.region_id)
        looked_through = LookedThrough(None if limits is None else limits.looked_through)
        for piece in pieces(call, bases, span, looked_through=looked_through):
            tally.add(judged_anew(piece, proposed))
            if limits is not None and tally.activities > limits.activities:
                raise TooManyToSimulate(pointer="/body/last_day", most=limits.activities)
    return {
        "table_id": public_id(PREFIX, table.id),
        "standing": standing(table, today=call.today),
        "first_day": question.first_day,
        "last_day": question.last_day,
        "starting_on": question.starting_on,
        **tally.told(proposed),
    }


@contextmanager
def read_only(call: Call) -> Iterator[None]:
    """PostgreSQL itself refuses to write inside; after the savepoint the transaction is as it was."""
    with savepoint(call):
        call.db.execute(text("SET TRANSACTION READ ONLY"))
        yield
