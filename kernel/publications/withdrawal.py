"""Withdrawal: a published document ends on a day to come, for a reason that anybody may read.

What it ruled stays as it was. One that has not come into force yet never does; what it was to follow has
ended on that day all the same, so another is published in its place.
"""

from datetime import date
from typing import Any
from uuid import UUID

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import public_id
from kernel.publications.errors import (
    AlreadyWithdrawn,
    EndsBefore,
    NotPublished,
    ProcedureStays,
    WithdrawalNotAhead,
)
from kernel.publications.procedure import PROCEDURE
from kernel.publications.publishing import PREFIX
from kernel.publications.steps import hold, move, write_step
from kernel.publications.tables import Publication


def withdraw(call: Call, publication_id: UUID, *, from_day: date, reason: str) -> Publication:
    """End a published document on `from_day`, the first day it no longer rules.

    Refuses, in this order: `NotFound`, `AlreadyWithdrawn`, `NotPublished`, `ProcedureStays`,
    `WithdrawalNotAhead`, `EndsBefore`.
    """
    published = hold(call, publication_id)
    require(published.withdrawn_from is None, AlreadyWithdrawn())
    require(published.state == "published", NotPublished())
    require(published.kind != PROCEDURE, ProcedureStays())
    pointer = "/body/from_day"
    require(from_day > call.today, WithdrawalNotAhead(pointer=pointer, today=call.today.isoformat()))
    ends_on = published.ends_on
    require(ends_on is None or from_day < ends_on, EndsBefore(pointer=pointer, ends_on=str(ends_on)))
    ended: dict[str, Any] = {"withdrawn_from": from_day, "withdrawn_by": call.actor.known_id}
    ended |= {"state": "withdrawn"} if from_day <= published.effective_from else {"ends_on": from_day}
    still = Publication.withdrawn_from.is_(None)
    require(move(call, published, still, to=ended), AlreadyWithdrawn())
    write_step(call, published, "withdrawn", reason=reason)
    audit(call, "withdraw", subject=public_id(PREFIX, published.id), from_day=from_day.isoformat())
    return published
