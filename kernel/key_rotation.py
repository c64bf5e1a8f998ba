"""The life of a signing key: published, then signing, then retired; or revoked because somebody else has it.

A key is published seven days before it signs, so every terminal's list knows it by then. When the next one
begins, the last verifies for a quarter of an hour more: the longest that a code it signed may be shown. Times
only ever come nearer (a trigger keeps that), and an id is never used again: of 255 the last goes on signing,
and another version of the code must come first. Whoever changes the ring locks its rows; there is always a
key that signs.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import Kind, NotFound, Refusal, require
from kernel.signing import MOST_KEYS, Purpose

PUBLISHED_BEFORE = timedelta(days=7)
VERIFIES_AFTER = timedelta(minutes=15)
ROTATED_EVERY = timedelta(days=90)
PUBLISHED, SIGNING, VERIFYING, RETIRED, REVOKED = "published", "signing", "verifying", "retired", "revoked"


class KeyTooSoon(Refusal):
    """A key signs seven days after it was published, or terminals without a network do not know it."""

    kind = Kind.CONFLICT
    title_zh = "密钥须公布满七天后才能签发"


class KeyBegun(Refusal):
    """This key signs already, or is retired."""

    kind = Kind.CONFLICT
    title_zh = "该密钥已开始签发或已停用"


class KeyStillSigns(Refusal):
    """No newer key signs yet; publish and begin one first."""

    kind = Kind.CONFLICT
    title_zh = "尚无新密钥接替,不能停用"


@dataclass(frozen=True, kw_only=True)
class RingKey:
    """A key and where it is in its life."""

    kid: int
    state: str
    created_at: datetime
    signs_from: datetime
    retired_at: datetime | None
    revoked_because: str | None


def ring(call: Call, purpose: Purpose) -> list[RingKey]:
    """Every key of a purpose, by id, as it stands now."""
    rows = call.db.execute(_RING, {"purpose": purpose.value}).all()
    signing = max((row.kid for row in rows if _may_sign(row, call.now)), default=0)
    return [
        RingKey(
            kid=row.kid,
            state=_state(row, call.now, signs=row.kid == signing),
            created_at=row.created_at,
            signs_from=row.signs_from,
            retired_at=row.retired_at,
            revoked_because=row.revoked_because,
        )
        for row in rows
    ]


def publish_next(call: Call, purpose: Purpose, *, signs_from: datetime | None = None) -> int:
    """Make the next key, which signs in seven days or later; the last one retires after that.

    Refuses, in this order: `KeyTooSoon`, `NoKeyLeft`.
    """
    begins = signs_from or call.now + PUBLISHED_BEFORE
    require(begins >= call.now + PUBLISHED_BEFORE, KeyTooSoon(earliest=str(call.now + PUBLISHED_BEFORE)))
    _lock(call, purpose)
    return _add(call, purpose, signs_from=begins)


def begin(call: Call, purpose: Purpose, kid: int) -> None:
    """Let a published key sign from now on. Refuses, in this order: `NotFound`, `KeyBegun`, `KeyTooSoon`."""
    key = _key(call, purpose, kid)
    require(key.state == PUBLISHED, KeyBegun())
    require(key.created_at + PUBLISHED_BEFORE <= call.now, KeyTooSoon())
    _begin(call, purpose, kid)


def retire(call: Call, purpose: Purpose, kid: int) -> datetime:
    """Retire a key that another follows, a quarter of an hour after its last signature; says when.

    Refuses, in this order: `NotFound`, `KeyBegun` (published only), `KeyStillSigns`.
    """
    key = _key(call, purpose, kid)
    require(key.state != PUBLISHED, KeyBegun())
    newer = [
        each
        for each in ring(call, purpose)
        if each.kid > kid and each.signs_from <= call.now and each.state != REVOKED
    ]
    # A published key that follows later has set an end already, but until it begins nobody else signs.
    over = key.retired_at is not None and key.retired_at <= call.now
    require(over or any(each.state == SIGNING for each in newer), KeyStillSigns())
    last_s = min((each.signs_from for each in newer), default=call.now)
    ends = max(last_s + VERIFIES_AFTER, call.now)
    _retire(call, purpose, upto=kid, at=ends, least=kid)
    return ends if key.retired_at is None else min(ends, key.retired_at)


def revoke_key(call: Call, purpose: Purpose, kid: int, *, reason: str) -> list[str]:
    """Believe a key no more from now on, and see to it that another signs; says what was done.

    Online it is refused at once; a terminal without a network believes it until its list is seven days old.
    Refuses `NotFound`.
    """
    _key(call, purpose, kid)
    values = {"purpose": purpose.value, "kid": kid, "now": call.now, "reason": reason}
    if call.db.execute(_REVOKE, values).scalar_one_or_none() is None:
        return []
    audit(call, "key.revoked", subject=f"{purpose.value}/{kid}", reason=reason)
    return [f"revoked {kid}", *_cover(call, purpose)]


def rotate_due(call: Call, purpose: Purpose) -> int:
    """Make a first key where there is none, and publish the next in time for its turn; how many were made."""
    _lock(call, purpose)
    made = len(_cover(call, purpose))
    keys = ring(call, purpose)
    newest = keys[-1]
    waits = any(each.state == PUBLISHED for each in keys)
    turn = newest.signs_from + ROTATED_EVERY
    if waits or newest.kid == MOST_KEYS or call.now < turn - PUBLISHED_BEFORE:
        return made
    _add(call, purpose, signs_from=max(turn, call.now + PUBLISHED_BEFORE))
    return made + 1


def _cover(call: Call, purpose: Purpose) -> list[str]:
    """Some key signs now, and one of them has no end; what had to be done for it."""
    done, keys = list[str](), ring(call, purpose)
    if not any(each.retired_at is None for each in keys):
        # It begins where the last one ends, or at once where that is over.
        ends = [
            each.retired_at - VERIFIES_AFTER for each in keys if each.retired_at and not each.revoked_because
        ]
        done.append(f"made {_add(call, purpose, signs_from=max([*ends, call.now]))}")
        keys = ring(call, purpose)
    if not any(each.state == SIGNING for each in keys):
        first = min(each.kid for each in keys if each.state == PUBLISHED)
        _begin(call, purpose, first)
        done.append(f"began {first}")
    return done


def _add(call: Call, purpose: Purpose, *, signs_from: datetime) -> int:
    kid = call.keys.add_key(call.db, purpose, now=call.now, signs_from=signs_from)
    _retire(call, purpose, upto=kid - 1, at=signs_from + VERIFIES_AFTER)
    audit(call, "key.published", subject=f"{purpose.value}/{kid}", signs_from=signs_from.isoformat())
    return kid


def _begin(call: Call, purpose: Purpose, kid: int) -> None:
    call.db.execute(_BEGIN, {"purpose": purpose.value, "kid": kid, "now": call.now})
    _retire(call, purpose, upto=kid - 1, at=call.now + VERIFIES_AFTER)
    audit(call, "key.begun", subject=f"{purpose.value}/{kid}")


def _retire(call: Call, purpose: Purpose, *, upto: int, at: datetime, least: int = 1) -> None:
    values = {"purpose": purpose.value, "least": least, "upto": upto, "at": at}
    call.db.execute(_RETIRE, values)


def _key(call: Call, purpose: Purpose, kid: int) -> RingKey:
    _lock(call, purpose)
    for key in ring(call, purpose):
        if key.kid == kid:
            return key
    raise NotFound(f"no {purpose.value} key {kid}")


def _lock(call: Call, purpose: Purpose) -> None:
    call.db.execute(_LOCK, {"purpose": purpose.value})


def _may_sign(row: Row[Any], now: datetime) -> bool:
    return row.signs_from <= now and (row.retired_at is None or row.retired_at > now)


def _state(row: Row[Any], now: datetime, *, signs: bool) -> str:
    if row.revoked_because is not None:
        return REVOKED
    if row.retired_at is not None and row.retired_at <= now:
        return RETIRED
    if row.signs_from > now:
        return PUBLISHED
    return SIGNING if signs else VERIFYING


_RING = text(
    "SELECT kid, created_at, signs_from, retired_at, revoked_because FROM signing_key"
    " WHERE purpose = :purpose ORDER BY kid"
)
_LOCK = text("SELECT kid FROM signing_key WHERE purpose = :purpose ORDER BY kid FOR UPDATE")
_BEGIN = text(
    "UPDATE signing_key SET signs_from = :now WHERE purpose = :purpose AND kid = :kid AND signs_from > :now"
)
_RETIRE = text(
    "UPDATE signing_key SET retired_at = :at WHERE purpose = :purpose AND kid BETWEEN :least AND :upto"
    " AND (retired_at IS NULL OR retired_at > :at)"
)
_REVOKE = text(
    "UPDATE signing_key SET retired_at = least(retired_at, :now), revoked_because = :reason"
    " WHERE purpose = :purpose AND kid = :kid AND revoked_because IS NULL RETURNING kid"
)
