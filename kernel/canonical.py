"""Exact bytes for hashing and signing, fixed before the first row.

Every field is a type letter, a length and its bytes, so no two lists of fields share one encoding.
The vectors in `tests/vectors/canonical.json` must never change; a new need gets a new domain name.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

Field = None | bool | int | str | bytes | date | datetime | UUID | tuple["Field", ...]


def canonical_bytes(domain: str, *fields: Field) -> bytes:
    """Encode `fields` under `domain` (what the bytes are for, with its version, such as `transfer/1`)."""
    return _encode(domain) + b"".join(_encode(field) for field in fields)


def _encode(value: Field) -> bytes:
    letter, payload = _payload(value)
    return letter + len(payload).to_bytes(4, "big") + payload


def _payload(value: Field) -> tuple[bytes, bytes]:  # noqa: PLR0911 - one branch a type is the clearest form
    if value is None:
        return b"n", b""
    if isinstance(value, bool):
        return b"b", b"\x01" if value else b"\x00"
    if isinstance(value, int):
        return b"i", str(value).encode()
    if isinstance(value, str):
        return b"s", value.encode()
    if isinstance(value, bytes):
        return b"x", value
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("an instant without a zone has no canonical bytes")
        return b"t", value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").encode()
    if isinstance(value, date):
        return b"d", value.isoformat().encode()
    if isinstance(value, UUID):
        return b"u", value.bytes
    if isinstance(value, tuple):
        return b"l", b"".join(_encode(item) for item in value)
    raise TypeError(f"{type(value).__name__} has no canonical bytes")


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8 and integers only; raises TypeError for floats."""
    _refuse_floats(value)
    return json.dumps(
        value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a float has no canonical form; write the decimal as text")
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("keys are text")
        value = value.values()
    elif isinstance(value, str) or not isinstance(value, Sequence):
        return
    for item in value:
        _refuse_floats(item)


def digest(data: bytes) -> bytes:
    """SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()
