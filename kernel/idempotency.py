"""Ring one of three: a key a client sends twice has one effect, and the second answer says so.

The row is written first, in the same transaction as the effect; a twin in flight waits on its
unique key until `lock_timeout`, then is told to come back. Only successes are remembered.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, Integer, LargeBinary, delete, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import LOCK_WAIT_OVER, Base, sql_state
from kernel.errors import Kind, Refusal

KEPT = timedelta(days=30)
LONGEST_KEY = 128


class KeyMissing(Refusal):
    """This request moves value and needs an Idempotency-Key header."""

    kind = Kind.BAD_REQUEST
    code = "idempotency_key_missing"
    title_zh = "该请求涉及权益变动,必须携带 Idempotency-Key"


class KeyMalformed(Refusal):
    """An Idempotency-Key is 8 to 128 visible ASCII characters."""

    kind = Kind.BAD_REQUEST
    code = "idempotency_key_malformed"
    title_zh = "Idempotency-Key 应为 8 至 128 个可见 ASCII 字符"


class KeyInUse(Refusal):
    """A request with this Idempotency-Key is still running; ask again with the same key."""

    kind = Kind.CONFLICT
    code = "idempotency_key_in_use"
    title_zh = "同一 Idempotency-Key 的请求仍在处理,请用同一键重试"


class KeyReused(Refusal):
    """This Idempotency-Key was used with another payload."""

    kind = Kind.INVALID
    code = "idempotency_key_reused"
    title_zh = "该 Idempotency-Key 已用于其他内容"


class RememberedAnswer(Base):
    """What was answered to a key; scoped to principal and route. Belongs to no region: keys are callers'."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("ix_idempotency_recorded_at", "recorded_at"),)

    principal: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    payload_hash: Mapped[bytes]
    status: Mapped[int | None] = mapped_column(Integer)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    recorded_at: Mapped[datetime]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One send of one key."""

    principal: str
    route: str
    key: str
    payload_hash: bytes


@dataclass(frozen=True)
class Answer:
    """A remembered answer: status and the exact body bytes."""

    status: int
    body: bytes


def check_key(key: str | None) -> str:
    """The key as sent; refuses `KeyMissing`, `KeyMalformed`."""
    if key is None:
        raise KeyMissing
    if not (8 <= len(key) <= LONGEST_KEY and key.isascii() and key.isprintable() and " " not in key):
        raise KeyMalformed
    return key


def claim(session: Session, attempt: Attempt, *, now: datetime) -> Answer | None:
    """None when this send is the first; the first answer when it is a replay.

    Waits for a twin in flight; refuses `KeyInUse` after `lock_timeout`, `KeyReused` on other content.
    """
    row = {**vars(attempt), "now": now}
    try:
        first = session.execute(_CLAIM, row).rowcount  # type: ignore[attr-defined]  # cursor results have it
    except DBAPIError as error:
        if sql_state(error) == LOCK_WAIT_OVER:
            raise KeyInUse(retry_after_s=1) from error
        raise
    if first:
        return None
    found = session.execute(_FIND, row).one_or_none()
    if found is None or found.status is None:
        raise KeyInUse(retry_after_s=1)
    if bytes(found.payload_hash) != attempt.payload_hash:
        raise KeyReused
    return Answer(found.status, bytes(found.body))


def remember(session: Session, attempt: Attempt, answer: Answer) -> None:
    """Keep the answer beside the effect; the caller commits both at once."""
    session.execute(_REMEMBER, {**vars(attempt), "status": answer.status, "body": answer.body})


def forget_old(session: Session, *, now: datetime, most: int = 10_000) -> int:
    """Delete answers older than 30 days, at most `most` a run, oldest first; returns how many."""
    old = (
        text(
            "SELECT principal, route, key FROM idempotency"
            " WHERE recorded_at < :before ORDER BY recorded_at LIMIT :most"
        )
        .bindparams(before=now - KEPT, most=most)
        .columns(RememberedAnswer.principal, RememberedAnswer.route, RememberedAnswer.key)
        .subquery()
    )
    done = session.execute(
        delete(RememberedAnswer).where(
            RememberedAnswer.principal == old.c.principal,
            RememberedAnswer.route == old.c.route,
            RememberedAnswer.key == old.c.key,
        )
    )
    return int(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


_CLAIM = text(
    "INSERT INTO idempotency (principal, route, key, payload_hash, recorded_at)"
    " VALUES (:principal, :route, :key, :payload_hash, :now) ON CONFLICT DO NOTHING"
)
_FIND = text(
    "SELECT payload_hash, status, body FROM idempotency"
    " WHERE principal = :principal AND route = :route AND key = :key"
)
_REMEMBER = text(
    "UPDATE idempotency SET status = :status, body = :body"
    " WHERE principal = :principal AND route = :route AND key = :key"
)
