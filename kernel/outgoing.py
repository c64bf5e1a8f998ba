"""News for the outside world, written as plain rows in the transaction that makes it true.

A periodic task takes rows on behind the commit: a job queue's own insert would notify, and notifying
serialises commits (`ledger.md`). Only rows behind the watermark (the oldest transaction still running)
are taken, in the order of their transactions: nothing older can appear after them.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import UserDefinedType

from kernel.call import Call
from kernel.database import Base
from kernel.identifiers import new_id

KEPT = timedelta(days=30)


class TransactionNumber(UserDefinedType[int]):
    """PostgreSQL's xid8: which transaction wrote the row."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Name the column type."""
        return "xid8"


class Outgoing(Base):
    """One piece of news: what happened to which public id."""

    __tablename__ = "outgoing"
    __table_args__ = (
        Index("ix_outgoing_waiting", "xact", "id", postgresql_where=text("taken_at IS NULL")),
        Index("ix_outgoing_taken_at", "taken_at", postgresql_where=text("taken_at IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    event: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    xact: Mapped[int] = mapped_column(TransactionNumber(), server_default=text("pg_current_xact_id()"))


@dataclass(frozen=True, kw_only=True)
class News:
    """A taken row; `facts` carry no personal data."""

    id: UUID
    region_id: str
    event: str
    subject: str
    facts: dict[str, Any]
    recorded_at: datetime


def announce(call: Call, event: str, *, region_id: str, subject: str, **facts: Any) -> None:
    """Write news that leaves after the commit; `facts` carry no personal data."""
    call.db.add(
        Outgoing(
            id=new_id(), region_id=region_id, event=event, subject=subject, facts=facts, recorded_at=call.now
        )
    )


def take_news(call: Call, *, most: int = 500) -> list[News]:
    """Take up to `most` rows that wait behind the watermark, oldest first; each is taken once.

    Whoever takes them acts in the same transaction, or not at all. Two takers wait for each other.
    """
    rows = call.db.execute(_TAKE, {"most": most, "now": call.now}).mappings().all()
    return [News(**row) for row in rows]


def news_lies_ahead(session: Session) -> bool:
    """Whether news waits for transactions that this server has not numbered yet."""
    return bool(session.execute(_AHEAD).scalar_one())


def forget_taken(call: Call, *, most: int = 5_000) -> int:
    """Delete news that was taken more than 30 days ago, at most `most` a run; returns how many."""
    done = call.db.execute(_FORGET, {"before": call.now - KEPT, "most": most})
    return int(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


# Rows are locked in one order, so two takers cannot deadlock; the later one finds them taken. Skipping
# locked rows instead would let the later one overtake.
_TAKE = text(
    """
    WITH waiting AS MATERIALIZED (
        SELECT id FROM outgoing
        WHERE taken_at IS NULL AND xact < pg_snapshot_xmin(pg_current_snapshot())
        ORDER BY xact, id LIMIT :most FOR UPDATE),
    taken AS (
        UPDATE outgoing o SET taken_at = :now FROM waiting w WHERE o.id = w.id AND o.taken_at IS NULL
        RETURNING o.id, o.region_id, o.event, o.subject, o.facts, o.recorded_at, o.xact)
    SELECT id, region_id, event, subject, facts, recorded_at FROM taken ORDER BY xact, id
    """
)
_AHEAD = text(
    "SELECT EXISTS (SELECT FROM outgoing WHERE taken_at IS NULL"
    " AND xact >= pg_snapshot_xmax(pg_current_snapshot()))"
)
_FORGET = text(
    "DELETE FROM outgoing WHERE id IN"
    " (SELECT id FROM outgoing WHERE taken_at < :before ORDER BY taken_at LIMIT :most)"
)
