"""What citizens are told, and how far each round of reminders has come.

A message keeps what happened, never a sentence: sentences are made when it is read. Of a message only
the time of its reading may change; old ones are deleted.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

COINS, VOUCHERS = "coins", "vouchers"


class Message(Base):
    """One thing told to one holder, once: `occasion` tells apart what is said of one subject again."""

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("holder_id", "kind", "subject", "occasion"),
        CheckConstraint("kind ~ '^[a-z_]{1,40}$'", name="kind_is_a_word"),
        CheckConstraint("read_at >= created_at", name="read_after_it_was_made"),
        Index("ix_message_unread", "holder_id", "id", postgresql_where=sql("read_at IS NULL")),
        Index("ix_message_created_at", "created_at"),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    kind: Mapped[str]
    subject: Mapped[str]
    """The public id of what it is about; for coins their validity class."""
    occasion: Mapped[str]
    facts: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]


class ReminderRound(Base):
    """One going-through of all that ends on a day in a region; 0 days ahead tells what has ended."""

    __tablename__ = "reminder_round"
    __table_args__ = (
        CheckConstraint(f"what IN ('{COINS}', '{VOUCHERS}')", name="what_is_known"),
        CheckConstraint("days_ahead BETWEEN 0 AND 90", name="days_ahead_are_bounded"),
        CheckConstraint(f"days_ahead > 0 OR what = '{COINS}'", name="ended_vouchers_are_news"),
        CheckConstraint("told >= 0", name="told_is_not_negative"),
    )

    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"), primary_key=True)
    what: Mapped[str] = mapped_column(primary_key=True)
    ends_on: Mapped[date] = mapped_column(primary_key=True)
    """The first day on which it is no longer valid."""
    days_ahead: Mapped[int] = mapped_column(Integer, primary_key=True)
    after: Mapped[list[Any]]
    """The last place gone through; empty at the beginning."""
    told: Mapped[int]
    begun_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
