"""Webhooks of Tanpuhui, checked by whoever receives them, in one file.

Needs Python 3.10 and nothing else. The scheme is Standard Webhooks 1.0, symmetric (`v1`).

    event = verify(headers, body, secrets=["whsec_..."], now_s=int(time.time()))
    if event["id"] not in done: ...                           # the same id comes again when we are unsure

`body` is the bytes as they came. `verify` returns {"id", "timestamp", "type", "data", ...} or raises
`Refused`, whose `code` says why. Answer 2xx once the event is safe with you, within fifteen seconds;
anything else, and it is sent again.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

TOLERANCE_S = 300
"""How far the time of sending may lie from the receiver's clock, on either side."""
PREFIX = "whsec_"
VERSION = "v1"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """Not ours, or not now; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def verify(headers: Mapping[str, str], body: bytes, *, secrets: Iterable[str], now_s: int) -> dict[str, Any]:
    """The event in a request, if one of `secrets` signed it.

    `headers` is any mapping of names to texts. Raises `Refused`, in this order: `header_missing`,
    `timestamp_malformed`, `timestamp_too_old`, `timestamp_in_future`, `signature_wrong`, `body_malformed`.
    """
    given = {str(name).lower(): value for name, value in headers.items()}
    try:
        message, sent, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError:
        raise Refused("header_missing") from None
    if not _SECONDS.fullmatch(sent):
        raise Refused("timestamp_malformed")
    age_s = now_s - int(sent)
    if age_s > TOLERANCE_S:
        raise Refused("timestamp_too_old")
    if age_s < -TOLERANCE_S:
        raise Refused("timestamp_in_future")
    expected = [signature(secret, message, sent, body).encode() for secret in secrets]
    # Every pair is compared, each in constant time: how long it takes says nothing about a signature.
    fits = [
        hmac.compare_digest(each, one.encode("utf-8", "replace"))
        for each in expected
        for one in signatures.split(" ")
    ]
    if not any(fits):
        raise Refused("signature_wrong")
    try:
        event = json.loads(body)
    except ValueError:
        raise Refused("body_malformed") from None
    if not isinstance(event, dict):
        raise Refused("body_malformed")
    return {**event, "id": message}


def signature(secret: str, message: str, sent: str, body: bytes) -> str:
    """`v1,` and the base 64 of HMAC-SHA256 over `id.timestamp.body`."""
    signed = message.encode() + b"." + sent.encode() + b"." + body
    mark = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return VERSION + "," + base64.b64encode(mark).decode()


def key_of(secret: str) -> bytes:
    """The bytes behind `whsec_`; raises `Refused` (`secret_malformed`)."""
    if not secret.startswith(PREFIX):
        raise Refused("secret_malformed")
    try:
        return base64.b64decode(secret[len(PREFIX) :], validate=True)
    except binascii.Error:
        raise Refused("secret_malformed") from None
