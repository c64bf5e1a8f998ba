"""Access and refresh tokens: signed proofs that point to a session in the database.

A token says nothing about roles: it names its session, and the session is looked up on every
request. So signing out holds at once and survives the loss of every cache. flask-jwt-extended signs
and verifies; the product's own clock judges the times.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import jwt
from flask import Flask, Response
from flask_jwt_extended import JWTManager, create_access_token, create_refresh_token, decode_token
from flask_jwt_extended.exceptions import JWTExtendedException

from app.identity.errors import TokenInvalid
from kernel.errors import Refusal
from kernel.http.problems import refused
from kernel.identifiers import new_id

ISSUER = AUDIENCE = "tanpuhui"
ALGORITHM = "HS256"
ACCESS, REFRESH = "access", "refresh"
ACCESS_LIFE = timedelta(minutes=15)
REFRESH_LIFE = timedelta(days=30)
LONGEST_TOKEN = 4096
_CLAIMS = frozenset({"iss", "aud", "sub", "sid", "jti", "type", "fresh", "iat", "exp"})
_ALL_TIME = 10**11
"""Seconds of leeway that take the machine's clock out of the library's judgement."""


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a valid token says."""

    session_id: UUID
    token_id: UUID
    subject: str


@dataclass(frozen=True, kw_only=True)
class TokenPair:
    """Both tokens of a session, and when the access token ends."""

    access_token: str
    refresh_token: str
    expires_at: datetime


def install_tokens(app: Flask, *, secret: str) -> None:
    """Configure flask-jwt-extended; each of its own refusals is our 401."""
    app.config.update(
        JWT_SECRET_KEY=secret,
        JWT_ALGORITHM=ALGORITHM,
        JWT_DECODE_ALGORITHMS=[ALGORITHM],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ENCODE_AUDIENCE=AUDIENCE,
        JWT_DECODE_AUDIENCE=AUDIENCE,
        JWT_ENCODE_NBF=False,
        JWT_COOKIE_CSRF_PROTECT=False,  # no cookies, so no csrf claim either
        JWT_TOKEN_LOCATION=["headers"],
        JWT_ACCESS_TOKEN_EXPIRES=ACCESS_LIFE,
        JWT_REFRESH_TOKEN_EXPIRES=REFRESH_LIFE,
        JWT_DECODE_LEEWAY=_ALL_TIME,
    )
    manager = JWTManager(app)

    def answer(*_: object) -> Response:
        return refused(TokenInvalid())

    for loader in (
        manager.expired_token_loader,
        manager.invalid_token_loader,
        manager.needs_fresh_token_loader,
        manager.revoked_token_loader,
        manager.token_verification_failed_loader,
        manager.unauthorized_loader,
        manager.user_lookup_error_loader,
    ):
        loader(answer)


def issue(*, session_id: UUID, refresh_id: UUID, subject: str, now: datetime) -> TokenPair:
    """Sign both tokens; the refresh token carries `refresh_id`, the only one its session accepts."""
    shared = {"sid": str(session_id), "iat": int(now.timestamp())}
    access = {**shared, "jti": str(new_id()), "exp": int((now + ACCESS_LIFE).timestamp())}
    refresh = {**shared, "jti": str(refresh_id), "exp": int((now + REFRESH_LIFE).timestamp())}
    return TokenPair(
        access_token=create_access_token(subject, additional_claims=access),
        refresh_token=create_refresh_token(subject, additional_claims=refresh),
        expires_at=now + ACCESS_LIFE,
    )


def read_token(token: str, *, kind: str, now: datetime) -> Claims:
    """What the token of `kind` (access or refresh) says; refuses TokenInvalid for every other text."""
    try:
        return _read(token, kind=kind, now=now)
    except (jwt.PyJWTError, JWTExtendedException, ValueError, TypeError, KeyError, RecursionError):
        # What is wrong with it is nobody's business but the issuer's; the token stays out of the trace.
        raise _invalid() from None


def _read(token: str, *, kind: str, now: datetime) -> Claims:
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise _invalid()
    header = jwt.get_unverified_header(token)
    if header != {"alg": ALGORITHM, "typ": "JWT"}:
        raise _invalid()
    verified = decode_token(token)
    # The library fills in a missing type; the signed bytes themselves must say it.
    claims = jwt.decode(token, options={"verify_signature": False})
    if (
        claims.keys() != _CLAIMS
        or verified["type"] != kind
        or not all(isinstance(claims[name], str) for name in ("sub", "sid", "jti"))
    ):
        raise _invalid()
    issued, ends, at = claims["iat"], claims["exp"], int(now.timestamp())
    if type(issued) is not int or type(ends) is not int or not issued <= at < ends:
        raise _invalid()
    return Claims(session_id=UUID(claims["sid"]), token_id=UUID(claims["jti"]), subject=claims["sub"])


def _invalid() -> Refusal:
    return TokenInvalid()
