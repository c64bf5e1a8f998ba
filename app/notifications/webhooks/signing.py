"""Secrets of endpoints and what they sign: Standard Webhooks, HMAC-SHA256 over `id.timestamp.body`.

A secret is shown once and rests sealed. A rotation lets the one before sign beside the new one for a
published time, so that a receiver changes over when it likes.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select, update

from app.notifications.webhooks.tables import WebhookSecret
from kernel.call import Call
from kernel.identifiers import new_id, public_id

MESSAGE = "msg"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
SECRET_BYTES = 32
BOTH_SIGN = timedelta(hours=24)
"""How long the secret before still signs after a rotation; published in `docs/webhooks.md`."""


def new_secret(call: Call, endpoint_id: UUID) -> str:
    """Make the endpoint's secret and let the one before sign for another day; whoever locks the row calls it.

    At most two sign at a time: what was replaced before that ends now.
    """
    of_endpoint = WebhookSecret.endpoint_id == endpoint_id
    call.db.execute(
        update(WebhookSecret).where(of_endpoint, WebhookSecret.ends_at > call.now).values(ends_at=call.now)
    )
    call.db.execute(
        update(WebhookSecret)
        .where(of_endpoint, WebhookSecret.ends_at.is_(None))
        .values(ends_at=call.now + BOTH_SIGN)
    )
    raw, secret_id = secrets.token_bytes(SECRET_BYTES), new_id()
    call.db.add(
        WebhookSecret(
            endpoint_id=endpoint_id,
            id=secret_id,
            sealed=call.keys.seal(raw, name=_name(endpoint_id, secret_id)),
            created_at=call.now,
        )
    )
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signing_keys(call: Call, endpoint_ids: Sequence[UUID]) -> dict[UUID, tuple[bytes, ...]]:
    """By endpoint, the secrets that sign now, the newest first."""
    rows = call.db.scalars(
        select(WebhookSecret)
        .where(
            WebhookSecret.endpoint_id.in_(endpoint_ids),
            or_(WebhookSecret.ends_at.is_(None), WebhookSecret.ends_at > call.now),
        )
        .order_by(WebhookSecret.id.desc())
    )
    found: dict[UUID, tuple[bytes, ...]] = {}
    for row in rows:
        raw = call.keys.unseal(row.sealed, name=_name(row.endpoint_id, row.id))
        found[row.endpoint_id] = (*found.get(row.endpoint_id, ()), raw)
    return found


def signed_headers(message_id: UUID, *, sent_at_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of the standard; one signature a key, in one header."""
    message = public_id(MESSAGE, message_id)
    signed = b".".join((message.encode(), str(sent_at_s).encode(), body))
    marks = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(mark).decode()}" for mark in marks),
    }


def _name(endpoint_id: UUID, secret_id: UUID) -> str:
    return f"webhook/{endpoint_id}/{secret_id}"
