"""Signing in, staying signed in, signing out. A session ends once and for good.

A citizen is made by the first sign-in, together with the accounts; of two first sign-ins at once the
unique identity lets one make the citizen and the other find it. A wrong password is returned, not
raised: raising it would roll the count of attempts back.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.identity.errors import CredentialsWrong, TokenInvalid, TooManySignIns, UsernameTaken
from app.identity.passwords import hash_password, password_matches
from app.identity.roles import ACTOR_KINDS, PERMISSIONS, Role
from app.identity.tables import Citizen, Identity, SignInAttempts, SignInSession, Staff
from app.identity.tokens import REFRESH_LIFE, Claims
from kernel.actor import Actor
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import Refusal, require
from kernel.identifiers import new_id, public_id
from ledger.accounts import citizen_accounts

CITIZEN = "ctz"
STAFF = "stf"
WECHAT = "wechat"
MOST_ATTEMPTS = 5
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """A standing session: what its tokens are made from."""

    session_id: UUID
    refresh_id: UUID
    subject: str


@dataclass(frozen=True, kw_only=True)
class WechatUser:
    """Who WeChat says it is; `unionid` only where the mini program is bound to an open platform."""

    appid: str
    openid: str
    unionid: str | None = None


def sign_in_citizen(call: Call, user: WechatUser, *, region_id: str) -> SignedIn:
    """Open a session for a WeChat user; the first one makes the citizen and the ledger accounts."""
    citizen = known_citizen(call, user, region_id=region_id)
    require(citizen.erased_at is None, TokenInvalid())
    return _open_session(call, region_id=citizen.region_id, citizen_id=citizen.id)


def known_citizen(call: Call, user: WechatUser, *, region_id: str) -> Citizen:
    """The citizen behind a WeChat identity; made with the ledger accounts when it is a new one."""
    citizen_id = new_id()
    made = call.db.execute(
        _CLAIM_IDENTITY,
        {
            "channel": WECHAT,
            "appid": user.appid,
            "subject": user.openid,
            "region": region_id,
            "citizen": citizen_id,
            "unionid": user.unionid,
            "now": call.now,
        },
    ).scalar_one_or_none()
    if made is None:
        known = call.db.get_one(Identity, (WECHAT, user.appid, user.openid))
        return call.db.get_one(Citizen, known.citizen_id)
    citizen = Citizen(id=citizen_id, region_id=region_id, nickname=None, created_at=call.now, erased_at=None)
    call.db.add(citizen)
    call.db.flush()  # the session's foreign key needs the row
    citizen_accounts(call, citizen_id, region_id=region_id)
    return citizen


def sign_in_staff(call: Call, *, username: str, password: str) -> SignedIn | Refusal:
    """Open a session for a user name and password.

    Gives back, in this order: TooManySignIns (five attempts of a name in 15 minutes), CredentialsWrong.
    """
    staff = call.db.scalar(select(Staff).where(Staff.username == username))
    account = hashlib.sha256(username.encode()).digest()
    refusal = _count_attempt(call, account, region_id=staff.region_id if staff else None)
    if refusal is not None:
        return refusal
    standing = staff is not None and staff.disabled_at is None
    matches = password_matches(password, staff.password_hash if staff is not None else None)
    if staff is None or not (standing and matches):
        return CredentialsWrong()
    call.db.execute(_FORGET_ATTEMPTS, {"account": account})
    return _open_session(call, region_id=staff.region_id, staff_id=staff.id)


def refresh(call: Call, claims: Claims) -> SignedIn:
    """Follow a refresh token by the next; one that comes twice ends the session. Refuses TokenInvalid."""
    following = new_id()
    person = call.db.execute(
        update(SignInSession)
        .where(
            SignInSession.id == claims.session_id,
            SignInSession.current_token == claims.token_id,
            SignInSession.ended_at.is_(None),
            SignInSession.expires_at > call.now,
        )
        .values(current_token=following, expires_at=call.now + REFRESH_LIFE)
        .returning(SignInSession.citizen_id, SignInSession.staff_id)
    ).one_or_none()
    if person is None:
        call.after_refusal(lambda after: _end(after, claims.session_id, cause="token_reused"))
        raise TokenInvalid
    require(actor_of(call.db, claims, now=call.now) is not None, TokenInvalid())
    return SignedIn(session_id=claims.session_id, refresh_id=following, subject=claims.subject)


def sign_out(call: Call, session_id: UUID) -> None:
    """End a session; ending it twice changes nothing."""
    _end(call, session_id, cause="signed_out")


def forget_attempts(call: Call, *, most: int = 5000) -> int:
    """Delete up to `most` counts of attempts whose window is over; returns how many.

    A name that nobody has leaves a row too, or its absence would show which names exist.
    """
    done = call.db.execute(_FORGET_OLD_ATTEMPTS, {"start": call.now - WINDOW, "most": most})
    return int(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def actor_of(session: Session, claims: Claims, *, now: datetime) -> Actor | None:
    """Who the token's session stands for now; None when it ended or the person may not come in any more."""
    row = session.execute(_STANDING, {"session": claims.session_id, "now": now}).one_or_none()
    if row is None:
        return None
    if row.citizen_id is not None:
        role, person, subject = Role.CITIZEN, row.citizen_id, public_id(CITIZEN, row.citizen_id)
    else:
        role, person, subject = Role(row.role), row.staff_id, public_id(STAFF, row.staff_id)
    if subject != claims.subject:
        return None
    return Actor(
        kind=ACTOR_KINDS[role],
        id=person,
        region_id=row.region_id,
        organisation_id=row.organisation_id,
        permissions=PERMISSIONS[role],
    )


def add_staff(
    call: Call,
    *,
    username: str,
    password: str,
    role: Role,
    region_id: str,
    organisation_id: UUID | None = None,
) -> Staff:
    """Let somebody sign in with a password. Refuses PasswordUnacceptable, UsernameTaken."""
    encoded = hash_password(password)
    taken = call.db.scalar(select(func.count()).select_from(Staff).where(Staff.username == username))
    require(not taken, UsernameTaken(pointer="/body/username"))
    staff = Staff(
        id=new_id(),
        region_id=region_id,
        username=username,
        password_hash=encoded,
        role=role.value,
        organisation_id=organisation_id,
        created_at=call.now,
        disabled_at=None,
    )
    call.db.add(staff)
    call.db.flush()  # whoever adds somebody may name them in the same unit of work
    audit(call, "staff.add", subject=public_id(STAFF, staff.id), role=role.value)
    return staff


def _open_session(
    call: Call, *, region_id: str, citizen_id: UUID | None = None, staff_id: UUID | None = None
) -> SignedIn:
    opened = SignInSession(
        id=new_id(),
        region_id=region_id,
        citizen_id=citizen_id,
        staff_id=staff_id,
        current_token=new_id(),
        started_at=call.now,
        expires_at=call.now + REFRESH_LIFE,
        ended_at=None,
        end_cause=None,
    )
    call.db.add(opened)
    call.db.flush()  # a foreign key that fails must fail here
    subject = (
        public_id(CITIZEN, citizen_id) if citizen_id is not None else public_id(STAFF, staff_id or opened.id)
    )
    return SignedIn(session_id=opened.id, refresh_id=opened.current_token, subject=subject)


def _end(call: Call, session_id: UUID, *, cause: str) -> None:
    call.db.execute(
        update(SignInSession)
        .where(SignInSession.id == session_id, SignInSession.ended_at.is_(None))
        .values(ended_at=call.now, end_cause=cause)
    )


def _count_attempt(call: Call, account: bytes, *, region_id: str | None) -> Refusal | None:
    """Take one of the window's attempts before the password is looked at, so that a race takes no sixth."""
    values = {
        "account": account,
        "region": region_id,
        "now": call.now,
        "start": call.now - WINDOW,
        "most": MOST_ATTEMPTS,
    }
    if call.db.execute(_TAKE_ATTEMPT, values).one_or_none() is not None:
        return None
    window = call.db.get_one(SignInAttempts, account, populate_existing=True)
    wait = window.window_started_at + WINDOW - call.now
    return TooManySignIns(retry_after_s=max(1, -int(-wait.total_seconds() // 1)))


_CLAIM_IDENTITY = text(
    "INSERT INTO identity (channel, appid, subject, region_id, citizen_id, unionid, created_at)"
    " VALUES (:channel, :appid, :subject, :region, :citizen, :unionid, :now)"
    " ON CONFLICT (channel, appid, subject) DO NOTHING RETURNING citizen_id"
)
_TAKE_ATTEMPT = text(
    "INSERT INTO sign_in_attempts AS a (username_digest, region_id, attempts, window_started_at)"
    " VALUES (:account, :region, 1, :now) ON CONFLICT (username_digest) DO UPDATE SET"
    " attempts = CASE WHEN a.window_started_at <= :start THEN 1 ELSE a.attempts + 1 END,"
    " window_started_at = CASE WHEN a.window_started_at <= :start THEN :now ELSE a.window_started_at END"
    " WHERE a.window_started_at <= :start OR a.attempts < :most RETURNING attempts"
)
_FORGET_ATTEMPTS = text("DELETE FROM sign_in_attempts WHERE username_digest = :account")
_FORGET_OLD_ATTEMPTS = text(
    "DELETE FROM sign_in_attempts WHERE window_started_at <= :start AND username_digest IN (SELECT"
    " username_digest FROM sign_in_attempts WHERE window_started_at <= :start LIMIT :most)"
)
_STANDING = text(
    "SELECT s.region_id, s.citizen_id, s.staff_id, f.role, f.organisation_id FROM sign_in_session s"
    " LEFT JOIN citizen c ON c.id = s.citizen_id LEFT JOIN staff f ON f.id = s.staff_id"
    " WHERE s.id = :session AND s.ended_at IS NULL AND s.expires_at > :now"
    " AND c.erased_at IS NULL AND f.disabled_at IS NULL"
)
