"""From an Authorization header to an Actor: a session's access token, or a key known by its prefix.

Identity does not know whose keys exist: the rooms that make keys register who reads them.
"""

import re
from collections.abc import Callable
from uuid import UUID

from flask import Flask, current_app, request
from sqlalchemy.orm import Session

from app.identity.errors import TokenInvalid
from app.identity.sign_in import actor_of
from app.identity.tokens import ACCESS, LONGEST_TOKEN, read_token
from kernel.actor import ANONYMOUS, Actor
from kernel.http.endpoint import door

KeyReader = Callable[[Session, str], Actor | None]
"""From a key to its owner; None, or a refusal of its own, for a key nobody has."""
_READERS = "tanpuhui.key_readers"
_SESSION = "tanpuhui.session"
_HEADER = re.compile(r"[Bb]earer ([A-Za-z0-9._~+/=-]+)", re.ASCII)


def register_keys(app: Flask, prefix: str, reader: KeyReader) -> None:
    """Let `reader` say who holds a key that begins with `prefix`, such as `tpk_`."""
    app.extensions.setdefault(_READERS, {})[prefix] = reader


def actor_from_request() -> Actor:
    """Who asks; ANONYMOUS without the header. Refuses TokenInvalid for credentials that do not hold."""
    headers = request.headers.getlist("Authorization")
    if not headers:
        return ANONYMOUS
    found = _HEADER.fullmatch(headers[0]) if len(headers) == 1 and len(headers[0]) <= LONGEST_TOKEN else None
    if found is None:
        raise TokenInvalid
    token = found.group(1)
    with door().sessions() as session:
        for prefix, reader in current_app.extensions.get(_READERS, {}).items():
            if token.startswith(prefix):
                return _known(reader(session, token))
        claims = read_token(token, kind=ACCESS, now=door().clock.now())
        actor = _known(actor_of(session, claims, now=door().clock.now()))
    request.environ[_SESSION] = claims.session_id
    return actor


def current_session() -> UUID:
    """The session behind this request's access token; refuses TokenInvalid where a key asked."""
    session_id = request.environ.get(_SESSION)
    if not isinstance(session_id, UUID):
        raise TokenInvalid
    return session_id


def _known(actor: Actor | None) -> Actor:
    if actor is None:
        raise TokenInvalid
    return actor
