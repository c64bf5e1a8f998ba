"""A citizen's inbox: what was told, in order, and what of it was read.

`tell` is the only writer. Telling the same again changes nothing, so whoever tells may be cut off and
begin anew. Reading is a conditional UPDATE: the first time stays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.notifications.kinds import KINDS, Saying
from app.notifications.tables import Message
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound
from kernel.identifiers import new_id
from kernel.paging import Page, PageRequest

MESSAGE = "msg"
KEPT = timedelta(days=400)
"""Longer than any reminder is ahead, so that none is sent a second time because the first was deleted."""
_AT_ONCE = 1_000
MOST_COUNTED = 100
"""The number of unread messages is counted so far and no further."""


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What one holder is told; the same kind, subject and occasion is told once."""

    holder_id: UUID
    region_id: str
    kind: str
    subject: str
    occasion: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Told:
    """A message as its holder reads it."""

    id: UUID
    kind: str
    subject: str
    facts: dict[str, Any]
    says: Saying
    created_at: datetime
    read_at: datetime | None


@dataclass(frozen=True)
class Inbox(Page[Told]):
    """A page of messages, and how many of all are unread, 100 standing for more."""

    unread: int


def tell(call: Call, tellings: Sequence[Telling]) -> int:
    """Put messages into their holders' inboxes; returns how many were new."""
    for each in tellings:
        kind = KINDS.get(each.kind)
        if kind is None or kind.facts != each.facts.keys():
            raise BrokenInvariant(f"{each.kind} is no kind of message, or has other facts")
    # In one order, so that two who tell the same wait for each other and not in a circle.
    ordered = sorted(tellings, key=lambda each: (each.holder_id, each.kind, each.subject, each.occasion))
    new = 0
    for first in range(0, len(ordered), _AT_ONCE):
        some = ordered[first : first + _AT_ONCE]
        rows = [{**vars(each), "id": new_id(), "created_at": call.now} for each in some]
        made = insert(Message).values(rows).on_conflict_do_nothing().returning(Message.id)
        new += len(call.db.scalars(made).all())
    return new


def inbox(call: Call, page: PageRequest) -> Inbox:
    """The calling citizen's messages, newest first."""
    holder = call.actor.known_id
    binding = f"inbox/{holder}"
    position = page.position(binding, UUID)
    query = select(Message).where(Message.holder_id == holder)
    if position is not None:
        query = query.where(Message.id < position[0])
    rows = call.db.scalars(query.order_by(Message.id.desc()).limit(page.limit + 1))
    found = page.page([_told(row) for row in rows], binding, lambda each: [str(each.id)])
    return Inbox(found.items, found.next, unread(call, holder))


def unread(call: Call, holder_id: UUID) -> int:
    """How many messages of a holder are unread, 100 standing for more."""
    waiting = select(Message.id).where(Message.holder_id == holder_id, Message.read_at.is_(None))
    counted = select(func.count()).select_from(waiting.limit(MOST_COUNTED).subquery())
    return int(call.db.scalar(counted) or 0)


def read(call: Call, message_id: UUID) -> Told:
    """Mark a message of the calling citizen as read, the first time alone; refuses `NotFound`."""
    mine = (Message.holder_id == call.actor.known_id, Message.id == message_id)
    call.db.execute(_reading(call).where(*mine))
    row = call.db.scalar(select(Message).where(*mine))
    if row is None:
        raise NotFound("no such message")
    return _told(row)


def read_all(call: Call, *, until: datetime) -> int:
    """Mark what the calling citizen was told up to an instant as read; returns how many were not yet."""
    told = _reading(call).where(Message.holder_id == call.actor.known_id, Message.created_at <= until)
    return _count(call.db.execute(told))


def forget_messages(call: Call, *, most: int = 5_000) -> int:
    """Delete messages older than 400 days, at most `most` a run; returns how many."""
    old = (
        select(Message.holder_id, Message.id)
        .where(Message.created_at < call.now - KEPT)
        .order_by(Message.created_at)
        .limit(most)
    )
    key = func.row(Message.holder_id, Message.id)
    return _count(call.db.execute(delete(Message).where(key.in_(old))))


def _reading(call: Call) -> Any:
    # A machine whose clock is behind must not read a message before it was made.
    return (
        update(Message)
        .where(Message.read_at.is_(None))
        .values(read_at=func.greatest(call.now, Message.created_at))
        .execution_options(synchronize_session=False)
    )


def _told(row: Message) -> Told:
    return Told(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        facts=row.facts,
        says=KINDS[row.kind].says(row.facts),
        created_at=row.created_at,
        read_at=row.read_at,
    )


def _count(done: Any) -> int:
    return int(done.rowcount)
