r"""CV1 voucher codes, judged by a terminal with public keys only, in one file.

Needs Python 3.11 and the library `cryptography`, nothing else.

    ring = KeyRing(answer["voucher_code"])          # GET /v1/public/keys, or `keys` of the offline kit
    frame = verify(text, find=ring.at(now_s), scope_no=71, now_s=now_s, seen=used_code_ids.__contains__)

`Refused.code` is the refusal in the words of the API. The order of the checks is part of the format:
length, prefix, alphabet, version, key, signature, store, time, code id. No parser runs before the alphabet
is checked. A code is "CV1" and the base 32 (RFC 4648, capitals, no padding) of 26 bytes of frame and 64 of
signature; the frame is 0x12 | key id u8 | code id 16 | scope u32 | not-after u32, big-endian, and the
Ed25519 signature covers "carbon-voucher-qr-v1\0" and the frame.
"""

import re
import struct
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PREFIX = "CV1"
LENGTH = 147
VERSION_ED25519 = 0x12
"""Version and algorithm suite in one byte; 0x22 is kept for SM2 with the same sizes."""
DOMAIN = b"carbon-voucher-qr-v1\0"
STEP_S = 30
GRACE_S = 30
"""How far a terminal's clock may be off; seconds on both sides of a code's own step."""
ONLINE_ONLY = 0
LONGEST_SCAN = 512

FRAME = struct.Struct(">BB16sII")
_BODY = re.compile(r"[A-Z2-7]{144}", re.ASCII)
_RAW_LENGTH = 90
_DIGITS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")
"""From the letters of base 32 to the digits that `int` reads, one for one."""

Find = Callable[[int], Ed25519PublicKey | None]
"""From a key id to its public key; None where it is unknown or retired."""


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """The code is not accepted; `code` says why, `facts` are figures for programmes."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


class Frame(NamedTuple):
    """What a code says: the key, whose use of which voucher, which store (0: online only), until when."""

    kid: int
    code_id: bytes
    scope_no: int
    not_after_s: int


class KeyRing:
    """Published keys by id, each with the second from which it is retired."""

    def __init__(self, published: Iterable[Mapping[str, Any]]) -> None:
        """`published`: objects with `kid`, `public_key` (hexadecimal), `retired` and perhaps `retired_at`."""
        self._keys: dict[int, tuple[Ed25519PublicKey, float | None]] = {}
        for key in published:
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public_key"]))
            self._keys[key["kid"]] = (public, _retired_from(key))

    def at(self, now_s: int) -> Find:
        """The keys as they stand at an instant."""

        def find(kid: int) -> Ed25519PublicKey | None:
            key, retired_from = self._keys.get(kid, (None, None))
            return None if retired_from is not None and retired_from <= now_s else key

        return find


def verify(text: str, *, find: Find, scope_no: int, now_s: int, seen: Callable[[bytes], bool]) -> Frame:
    """The frame of a code that holds at this store and second.

    Raises `Refused`, in this order: the six of `read`, `code_for_another_store`, `code_not_yet_valid`,
    `code_too_old`, `code_seen`.
    """
    frame = read(text, find=find)
    if frame.scope_no not in (ONLINE_ONLY, scope_no):
        raise Refused("code_for_another_store")
    ahead_s = frame.not_after_s - now_s
    if ahead_s > STEP_S + GRACE_S:
        raise Refused("code_not_yet_valid")
    if ahead_s < -GRACE_S:
        raise Refused("code_too_old")
    if seen(frame.code_id):
        raise Refused("code_seen")
    return frame


def verify_offline(
    text: str, *, find: Find, scope_no: int, now_s: int, seen: Callable[[bytes], bool]
) -> Frame:
    """As `verify`, for a terminal that cannot ask: a code without a store is `code_online_only`."""
    frame = verify(text, find=find, scope_no=scope_no, now_s=now_s, seen=seen)
    if frame.scope_no == ONLINE_ONLY:
        raise Refused("code_online_only")
    return frame


def read(text: str, *, find: Find) -> Frame:
    """The frame of a code that was signed by a key of ours, whenever and wherever.

    Raises `Refused`, in this order: `code_wrong_length`, `code_wrong_prefix`, `code_not_canonical`,
    `code_version_unknown`, `code_key_unknown`, `code_signature_wrong`.
    """
    if len(text) != LENGTH:
        raise Refused("code_wrong_length")
    if not text.startswith(PREFIX):
        raise Refused("code_wrong_prefix")
    body = text[len(PREFIX) :]
    # 144 characters of five bits are 90 bytes to the last bit: within the alphabet every text has its own
    # bytes, so no second spelling of a code exists and none has to be looked for.
    if not _BODY.fullmatch(body):
        raise Refused("code_not_canonical")
    raw = int(body.translate(_DIGITS), 32).to_bytes(_RAW_LENGTH, "big")  # 17 times as fast as b32decode
    frame, signature = raw[: FRAME.size], raw[FRAME.size :]
    version, kid, code_id, scope_no, not_after_s = FRAME.unpack(frame)
    if version != VERSION_ED25519:
        raise Refused("code_version_unknown")
    key = find(kid)
    if key is None:
        raise Refused("code_key_unknown", kid=kid)
    try:
        key.verify(signature, DOMAIN + frame)
    except InvalidSignature:
        raise Refused("code_signature_wrong") from None
    return Frame(kid, code_id, scope_no, not_after_s)


def scanned(text: str) -> str:
    """What a scanner typed, as a code is written: full-width letters of an input method become ASCII.

    Belongs at the edge only; `read` itself never repairs anything. What is longer than any scan stays
    as it came and fails by its length: a cut would make a code out of a code with a tail.
    """
    return text if len(text) > LONGEST_SCAN else unicodedata.normalize("NFKC", text).strip(" \t\r\n")


def _retired_from(key: Mapping[str, Any]) -> float | None:
    if key.get("retired_at"):
        return datetime.fromisoformat(key["retired_at"]).timestamp()
    return 0 if key.get("retired") else None
