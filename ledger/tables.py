"""The ledger's tables. `holder_id` leads every key, so all of one holder lies together.

Transfers, references, hold ends and seals are never updated or deleted: the application's role has
no such right. `expires_on` is the first day on which coins are no longer valid.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, FetchedValue, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import UserDefinedType

from kernel.database import Base
from ledger.chart import GUARDED, Code, Kind, Unit

ID_BLOCK = 1000
"""The sequences step by this much: a bulk writer takes whole blocks, a single posting one number."""
APPEND_ONLY = (
    "ledger_account",
    "ledger_transfer",
    "ledger_reference",
    "ledger_hold",
    "ledger_hold_end",
    "ledger_checkpoint",
    "coin_regrace",
)


class TransactionNumber(UserDefinedType[int]):
    """PostgreSQL's xid8: which transaction wrote the row; the watermark of folds and seals."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Name the column type."""
        return "xid8"


ischema_names["xid8"] = TransactionNumber  # so that comparing the schema knows the type


GUARDED_KINDS = ", ".join(f"'{kind.value}'" for kind in sorted(GUARDED))
"""As SQL says it; a query that says it so is answered from the index of folded accounts."""


def _one_of(column: str, values: type[Kind | Unit | Code]) -> str:
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"


_XACT = {"server_default": text("pg_current_xact_id()"), "server_onupdate": FetchedValue()}


class LedgerAccount(Base):
    """An account of a holder: what kind, in which unit, of which validity class."""

    __tablename__ = "ledger_account"
    __table_args__ = (
        UniqueConstraint("holder_id", "kind", "unit", "validity_class"),
        CheckConstraint(_one_of("kind", Kind), name="kind_is_known"),
        CheckConstraint(_one_of("unit", Unit), name="unit_is_known"),
        # Folds know an account by its id alone; theirs are few among the accounts of citizens.
        Index("ix_ledger_account_folded", "id", postgresql_where=text(f"kind NOT IN ({GUARDED_KINDS})")),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    unit: Mapped[str]
    validity_class: Mapped[str]
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    expires_into: Mapped[int | None]
    """The folded account that its coins expire into; kept here so that expiry reads one holder."""
    opened_at: Mapped[datetime]


class LedgerBalance(Base):
    """The running balance of a guarded account. Available is `posted - held`."""

    __tablename__ = "ledger_balance"
    __table_args__ = (
        CheckConstraint("held >= 0", name="held_is_not_negative"),
        CheckConstraint("posted - held >= floor", name="available_stands_on_the_floor"),
        CheckConstraint("floor <= 0", name="floor_is_not_positive"),
        Index(
            "ix_ledger_balance_next_expiry",
            "next_expiry",
            postgresql_where=text("next_expiry < '9999-12-31'"),
        ),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    posted: Mapped[int] = mapped_column(server_default=text("0"))
    held: Mapped[int] = mapped_column(server_default=text("0"))
    floor: Mapped[int] = mapped_column(server_default=text("0"))
    frozen: Mapped[bool] = mapped_column(server_default=text("false"))
    next_expiry: Mapped[date] = mapped_column(server_default=text("'9999-12-31'"))


class LedgerTransfer(Base):
    """One movement: `amount` (+ to the account, - from it) against the contra account."""

    __tablename__ = "ledger_transfer"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount_is_not_zero"),
        CheckConstraint(_one_of("unit", Unit), name="unit_is_known"),
        CheckConstraint(_one_of("code", Code), name="code_is_known"),
        Index(
            "ix_ledger_transfer_xact",
            text("((xact::text)::bigint)"),
            postgresql_using="brin",
            postgresql_with={"pages_per_range": "256", "autosummarize": "on"},
        ),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[int]
    contra_id: Mapped[int]
    amount: Mapped[int]
    unit: Mapped[str]
    code: Mapped[str]
    reference: Mapped[str]
    movement_id: Mapped[UUID | None]
    hold_id: Mapped[int | None]
    batch_id: Mapped[UUID | None]
    reverses_id: Mapped[int | None]
    expires_on: Mapped[date | None]
    """The bucket a credit stands in; a take-back must find it again."""
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    xact: Mapped[int] = mapped_column(TransactionNumber(), **_XACT)  # type: ignore[arg-type]  # keyword bundle


class LedgerReference(Base):
    """What was posted for which business fact: at most once per holder, source and reference."""

    __tablename__ = "ledger_reference"

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(primary_key=True)
    transfer_id: Mapped[int | None]
    """Null when a take-back found nothing to take: the fact is remembered, nothing moved."""
    payload_hash: Mapped[bytes]


class LedgerHold(Base):
    """Coins set aside for a purpose; all holds of one (purpose, reference) act together."""

    __tablename__ = "ledger_hold"
    __table_args__ = (
        UniqueConstraint("holder_id", "purpose", "reference", "account_id"),
        CheckConstraint("amount > 0", name="amount_is_positive"),
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[int]
    purpose: Mapped[str]
    reference: Mapped[str]
    expires_at: Mapped[datetime | None]
    recorded_at: Mapped[datetime]
    xact: Mapped[int] = mapped_column(TransactionNumber(), **_XACT)  # type: ignore[arg-type]  # keyword bundle


class LedgerHoldEnd(Base):
    """How a hold ended: posted (spent) or voided (released); at most once."""

    __tablename__ = "ledger_hold_end"
    __table_args__ = (CheckConstraint("outcome IN ('posted', 'voided')", name="outcome_is_known"),)

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    outcome: Mapped[str]
    transfer_id: Mapped[int | None]
    recorded_at: Mapped[datetime]
    xact: Mapped[int] = mapped_column(TransactionNumber(), **_XACT)  # type: ignore[arg-type]  # keyword bundle


class CoinBucket(Base):
    """Coins credited to an account that end on one day, and how many of them did."""

    __tablename__ = "coin_bucket"
    __table_args__ = (
        CheckConstraint("credited >= 0", name="credited_is_not_negative"),
        CheckConstraint("expired >= 0", name="expired_is_not_negative"),
        Index("ix_coin_bucket_ending", "expires_on", "holder_id", "account_id"),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    expires_on: Mapped[date] = mapped_column(primary_key=True)
    credited: Mapped[int]
    expired: Mapped[int] = mapped_column(server_default=text("0"))


class CoinRegrace(Base):
    """Coins that came back after their day through no fault of the citizen, and their new day."""

    __tablename__ = "coin_regrace"
    __table_args__ = (CheckConstraint("amount > 0", name="amount_is_positive"),)

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hold_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    amount: Mapped[int]
    grace_on: Mapped[date]
    cause: Mapped[str]


class CapUsage(Base):
    """How many coins an account got in a period under a cap, whichever publication of its subject rules."""

    __tablename__ = "cap_usage"
    __table_args__ = (
        CheckConstraint("used >= 0", name="used_is_not_negative"),
        CheckConstraint("period IN ('day', 'month')", name="period_is_known"),
        {"postgresql_with": {"fillfactor": "80"}},
    )

    holder_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    region_id: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    period: Mapped[str] = mapped_column(primary_key=True)
    period_start: Mapped[date] = mapped_column(primary_key=True)
    used: Mapped[int]


class LedgerPendingLeg(Base):
    """The credit leg of a movement into a pool, campaign or batch, until a rolling job posts it summed."""

    __tablename__ = "ledger_pending_leg"
    __table_args__ = (
        CheckConstraint("amount > 0", name="amount_is_positive"),
        Index("ix_ledger_pending_leg_waiting", "account_id", postgresql_where=text("rolled_into IS NULL")),
    )

    movement_id: Mapped[UUID] = mapped_column(primary_key=True)
    holder_id: Mapped[UUID]
    account_id: Mapped[int]
    amount: Mapped[int]
    code: Mapped[str]
    rolled_into: Mapped[int | None]
    recorded_at: Mapped[datetime]


class LedgerCheckpoint(Base):
    """The fold of a folded account up to a transaction watermark; only ever added to."""

    __tablename__ = "ledger_checkpoint"
    __table_args__ = (Index("ix_ledger_checkpoint_up_to_xact", "up_to_xact"),)

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    up_to_xact: Mapped[int] = mapped_column(TransactionNumber(), primary_key=True)
    amount: Mapped[int]
    recorded_at: Mapped[datetime]
