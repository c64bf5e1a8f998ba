"""Who people are and which sign-ins stand. All of it is here: losing the cache loses nothing.

A session is one sign-in: the family of refresh tokens that follow each other. Only the newest of
them works, and an ended session never works again.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base


class Citizen(Base):
    """A person with coins. The ledger knows the id as a holder."""

    __tablename__ = "citizen"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    nickname: Mapped[str | None]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]


class Identity(Base):
    """How a citizen is known outside; `subject` is the openid of one mini program."""

    __tablename__ = "identity"
    __table_args__ = (
        CheckConstraint("channel IN ('wechat')", name="channel_is_known"),
        Index("ix_identity_citizen_id", "citizen_id"),
    )

    channel: Mapped[str] = mapped_column(primary_key=True)
    appid: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    citizen_id: Mapped[UUID] = mapped_column(
        # Deferred: who wins the race for the identity makes the citizen, in this order.
        ForeignKey("citizen.id", deferrable=True, initially="DEFERRED")
    )
    unionid: Mapped[str | None]
    created_at: Mapped[datetime]


class Staff(Base):
    """Somebody with a password; `organisation_id` is the merchant of its staff or a donor's enterprise."""

    __tablename__ = "staff"
    __table_args__ = (
        CheckConstraint(
            "role IN ('clerk', 'merchant_manager', 'operator_editor', 'operator_reviewer',"
            " 'operator_publisher', 'operator_auditor', 'donor')",
            name="role_is_known",
        ),
        CheckConstraint(
            "(role IN ('clerk', 'merchant_manager', 'donor')) = (organisation_id IS NOT NULL)",
            name="organisation_where_it_belongs",
        ),
        CheckConstraint("username ~ '^[a-z0-9._-]{3,64}$'", name="username_is_plain"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    username: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    role: Mapped[str]
    organisation_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class SignInSession(Base):
    """One sign-in until its end; `current_token` is the only refresh token that works."""

    __tablename__ = "sign_in_session"
    __table_args__ = (
        CheckConstraint("(citizen_id IS NULL) <> (staff_id IS NULL)", name="belongs_to_one_person"),
        CheckConstraint(
            "(ended_at IS NULL) = (end_cause IS NULL)"
            " AND (end_cause IS NULL OR end_cause IN ('signed_out', 'token_reused'))",
            name="end_has_its_cause",
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    citizen_id: Mapped[UUID | None] = mapped_column(ForeignKey("citizen.id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.id"))
    current_token: Mapped[UUID]
    started_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_cause: Mapped[str | None]


class SignInAttempts(Base):
    """Password attempts of one name in one window, also of names nobody has (then without a region)."""

    __tablename__ = "sign_in_attempts"
    __table_args__ = (CheckConstraint("attempts BETWEEN 1 AND 5", name="attempts_are_bounded"),)

    username_digest: Mapped[bytes] = mapped_column(primary_key=True)
    region_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"))
    attempts: Mapped[int] = mapped_column(Integer)
    window_started_at: Mapped[datetime]
