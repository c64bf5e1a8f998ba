"""Who did what to what, in the transaction of the deed itself; rows are never changed or deleted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from kernel.call import Call
from kernel.database import Base
from kernel.identifiers import new_id


class AuditEntry(Base):
    """One deed. `facts` holds ids and figures, never names, card numbers or codes."""

    __tablename__ = "audit_entry"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"))
    principal: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    facts: Mapped[dict[str, Any]]
    request_id: Mapped[str]
    recorded_at: Mapped[datetime]


def audit(call: Call, action: str, *, subject: str, **facts: Any) -> None:
    """Write one deed of the caller: `action` is a verb of the word list, `subject` a public id."""
    call.db.add(
        AuditEntry(
            id=new_id(),
            region_id=call.actor.region_id,
            principal=call.actor.principal,
            action=action,
            subject=subject,
            facts=facts,
            request_id=call.request_id,
            recorded_at=call.now,
        )
    )
