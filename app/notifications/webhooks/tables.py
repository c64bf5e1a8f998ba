"""Where news goes, what was sent there, and how each attempt ended.

An endpoint has a handful of slots an owner, so that their number is the database's matter. A delivery is
one event for one endpoint, once; its body is written when the event happens and never changes. Secrets rest
sealed as private keys do.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base

MOST_ENDPOINTS = 5
PING = "endpoint.ping.v1"


class WebhookEndpoint(Base):
    """An address that an owner wants told. Waits until a ping was answered; deleted, its slot is free."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint("owner_kind IN ('merchant', 'partner')", name="owner_is_known"),
        CheckConstraint("state IN ('waiting', 'on', 'paused', 'deleted')", name="state_is_known"),
        CheckConstraint("paused_because IN ('owner', 'failures', 'gone')", name="pause_is_known"),
        CheckConstraint("(state = 'paused') = (paused_because IS NOT NULL)", name="paused_says_why"),
        CheckConstraint("state <> 'on' OR verified_at IS NOT NULL", name="on_means_verified"),
        CheckConstraint(f"slot BETWEEN 1 AND {MOST_ENDPOINTS}", name="a_handful_an_owner"),
        CheckConstraint("url LIKE 'https://%'", name="only_https"),
        CheckConstraint("num_nonnulls(page_digest, page_ends_at) <> 1", name="page_has_an_end"),
        Index(
            "uq_webhook_endpoint_slot",
            "owner_kind",
            "owner_id",
            "slot",
            unique=True,
            postgresql_where=text("state <> 'deleted'"),
        ),
        Index("ix_webhook_endpoint_on", "id", postgresql_where=text("state = 'on'")),
        Index("ix_webhook_endpoint_region", "region_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    owner_kind: Mapped[str]
    owner_id: Mapped[UUID]
    slot: Mapped[int] = mapped_column(SmallInteger)
    url: Mapped[str]
    events: Mapped[list[Any]]
    description: Mapped[str]
    state: Mapped[str]
    paused_because: Mapped[str | None]
    failing_since: Mapped[datetime | None]
    """When the first of the failures came that no success has followed."""
    created_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    page_digest: Mapped[bytes | None] = mapped_column(unique=True)
    page_ends_at: Mapped[datetime | None]

    @property
    def merchant_id(self) -> UUID | None:
        """The owner, where it is a merchant."""
        return self.owner_id if self.owner_kind == "merchant" else None

    @property
    def partner_id(self) -> UUID | None:
        """The owner, where it is a partner."""
        return self.owner_id if self.owner_kind == "partner" else None


class WebhookSecret(Base):
    """What deliveries are signed with; the one before signs too until its end."""

    __tablename__ = "webhook_secret"
    __table_args__ = (
        Index(
            "uq_webhook_secret_current",
            "endpoint_id",
            unique=True,
            postgresql_where=text("ends_at IS NULL"),
        ),
    )

    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """One event for one endpoint; `news_id` is the same at every endpoint and in every attempt."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "news_id"),
        CheckConstraint("state IN ('waiting', 'delivered', 'dead')", name="state_is_known"),
        CheckConstraint("(state = 'waiting') = (next_at IS NOT NULL)", name="waiting_says_until_when"),
        CheckConstraint("(state = 'waiting') = (ended_at IS NULL)", name="ended_says_when"),
        CheckConstraint("(lease IS NULL) = (leased_until IS NULL)", name="a_lease_has_an_end"),
        CheckConstraint("tries >= 0 AND tries_left >= 0", name="tries_are_counted"),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "next_at",
            "id",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_webhook_delivery_leased", "endpoint_id", postgresql_where=text("lease IS NOT NULL")),
        Index(
            "uq_webhook_delivery_ping",
            "endpoint_id",
            unique=True,
            postgresql_where=text(f"event = '{PING}' AND state = 'waiting'"),
        ),
        Index("ix_webhook_delivery_listed", "endpoint_id", "id"),
        Index("ix_webhook_delivery_recorded", "recorded_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(ForeignKey("webhook_endpoint.id"))
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    news_id: Mapped[UUID]
    event: Mapped[str]
    body: Mapped[str]
    state: Mapped[str]
    tries: Mapped[int] = mapped_column(Integer)
    tries_left: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime | None]
    lease: Mapped[UUID | None]
    leased_until: Mapped[datetime | None]
    happened_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class WebhookAttempt(Base):
    """One sending of a delivery and what came back; written after it, so a dead worker's has no row."""

    __tablename__ = "webhook_attempt"
    __table_args__ = (
        CheckConstraint(
            "result IN ('delivered', 'refused', 'slow', 'unresolved', 'forbidden', 'unreachable',"
            " 'untrusted', 'garbled')",
            name="result_is_known",
        ),
        CheckConstraint("(status IS NULL) = (result NOT IN ('delivered', 'refused'))", name="status_came"),
        CheckConstraint("number >= 1 AND took_ms >= 0", name="numbers_are_counts"),
    )

    delivery_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook_delivery.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime]
    took_ms: Mapped[int] = mapped_column(Integer)
    result: Mapped[str]
    status: Mapped[int | None] = mapped_column(Integer)
    answer: Mapped[str]
    """The first characters of what was answered, made harmless."""
