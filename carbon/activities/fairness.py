"""Which batch a worker takes next, and when it lets another partner's go first.

A worker stays with a partner for some seconds, oldest batch first. Then, at the end of a chunk, a partner
that waits and that no worker serves has its turn; of several the one that was served longest ago. Who is
alone is asked for one short look a chunk and loses nothing (decision 0013).
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, text, update
from sqlalchemy.orm import aliased

from carbon.activities.batch_states import State, one_of
from carbon.activities.tables import WAITING, ActivityBatch
from carbon.partners.registry import ACTIVE
from carbon.partners.tables import Partner
from kernel.call import Call


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long a worker stays with a partner while another waits: until the end of a chunk after both.

    `seconds` are for the partner's batches together. `readings` is how many times as long as finding the
    place in the file in hand: whoever goes on with that file has to find it again.
    """

    seconds: float = 10
    readings: float = 4


PACE = Pace()


@dataclass(frozen=True)
class Stay:
    """With which partner a worker is, and until when (of the monotonic clock) nobody else is looked for."""

    partner_id: UUID
    ends: float

    @classmethod
    def begun(cls, partner_id: UUID, pace: Pace) -> "Stay":
        """A stay that begins now."""
        return cls(partner_id, time.monotonic() + pace.seconds)

    def is_over(self) -> bool:
        """Whether the partner had its seconds."""
        return time.monotonic() >= self.ends


@dataclass
class Reading:
    """How long a worker has been at a file, and how long it took to find its place there."""

    _began: float = field(default_factory=time.monotonic)
    _found: float | None = None

    def noting(self, frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """The same frames; with the first of them the place is found."""
        for frame in frames:
            self._found = self._found or time.monotonic()
            yield frame

    def is_worth(self, readings: float) -> bool:
        """Whether the worker has been at it so many times as long as finding the place took."""
        now = time.monotonic()
        return now - self._began >= readings * ((self._found or now) - self._began)


def next_batch(call: Call, *, rather: UUID | None) -> ActivityBatch | None:
    """A batch that waits, or whose worker was cut off, its row locked; rows in other hands are skipped.

    Of the partner `rather` where it has one, else of a partner that no worker serves, and among those of the
    one that was served longest ago; its oldest.
    """
    query = (
        _free(call)
        .order_by(
            ActivityBatch.partner_id.is_distinct_from(rather),
            _is_served(call),
            Partner.served_at.nulls_first(),
            ActivityBatch.id,
        )
        .limit(1)
        .with_for_update(key_share=True, skip_locked=True, of=ActivityBatch)
    )
    return call.db.scalar(query)


def another_waits(call: Call) -> bool:
    """Whether a partner waits that no worker serves."""
    return bool(call.db.scalar(select(exists(_free(call).where(~_is_served(call))))))


def note_service(call: Call, batch: ActivityBatch) -> None:
    """From now on its partner comes after all others; of two workers the later one is right."""
    call.db.execute(
        update(Partner)
        .where(Partner.id == batch.partner_id)
        .where(or_(Partner.served_at.is_(None), Partner.served_at < call.now))
        .values(served_at=call.now)
    )


def _free(call: Call) -> Select[ActivityBatch]:
    is_free = or_(
        ActivityBatch.state == State.UPLOADED,
        and_(ActivityBatch.state == State.RUNNING, ActivityBatch.leased_until < call.now),
    )
    # In the words of the partial index: what a prepared statement calls $1 it cannot compare with them.
    return (
        select(ActivityBatch)
        .join(Partner, Partner.id == ActivityBatch.partner_id)
        .where(text(one_of("activity_batch.state", WAITING)), ActivityBatch.spool.is_not(None), is_free)
        .where(Partner.state == ACTIVE)
    )


def _is_served(call: Call) -> ColumnElement[bool]:
    """Whether some worker has a batch of the same partner in hand."""
    other = aliased(ActivityBatch, name="other")
    in_hand = select(other.partner_id).where(
        text(one_of("other.state", (State.RUNNING,))),
        other.spool.is_not(None),
        other.leased_until >= call.now,
    )
    return ActivityBatch.partner_id.in_(in_hand)
