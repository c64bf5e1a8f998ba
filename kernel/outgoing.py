"""News for the outside world, written as plain rows in the transaction that makes it true.

A periodic task turns rows into jobs behind the commit: a job queue's own insert would notify, and
notifying serialises commits (`ledger.md`).
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from kernel.call import Call
from kernel.database import Base
from kernel.identifiers import new_id


class Outgoing(Base):
    """One piece of news: what happened to which public id."""

    __tablename__ = "outgoing"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    event: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]]
    recorded_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]


def announce(call: Call, event: str, *, region_id: str, subject: str, **facts: Any) -> None:
    """Write news that leaves after the commit; `facts` carry no personal data."""
    call.db.add(
        Outgoing(
            id=new_id(), region_id=region_id, event=event, subject=subject, facts=facts, recorded_at=call.now
        )
    )
