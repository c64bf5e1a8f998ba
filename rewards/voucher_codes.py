r"""CV1: a voucher code that any terminal verifies with public keys only, and that is worthless in 90 s.

`"CV1" + base32(frame[26] + Ed25519 signature[64])` is 147 characters, drawn as QR 6-M. The frame is
0x12 | key id u8 | code id 16 | scope u32 | not-after u32, all big-endian; the signature covers
`"carbon-voucher-qr-v1\0" + frame`. No parser runs before the length, prefix and alphabet are checked.
"""

import re
import struct
import unicodedata
from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kernel.errors import BrokenInvariant
from kernel.signing import Signer, VerificationKeys
from rewards.errors import (
    CodeForAnotherStore,
    CodeKeyUnknown,
    CodeNotCanonical,
    CodeNotYetValid,
    CodeSeen,
    CodeSignatureWrong,
    CodeTooOld,
    CodeVersionUnknown,
    CodeWrongLength,
    CodeWrongPrefix,
)

PREFIX = "CV1"
LENGTH = 147
CODE_ID_LENGTH = 16
VERSION_ED25519 = 0x12
"""Version and algorithm suite in one byte; 0x22 is kept for SM2 with the same sizes."""
DOMAIN = b"carbon-voucher-qr-v1\0"
STEP_S = 30
GRACE_S = 30
"""How far a terminal's clock may be off; seconds on both sides of a code's own step."""
PREFETCHED = 20
"""Codes a phone takes along: ten minutes."""
SEEN_KEPT = timedelta(days=7, seconds=GRACE_S)
"""How long after its not-after a used code id is remembered."""
ONLINE_ONLY = 0
MOST_SCOPE = 2**32 - 1
LONGEST_SCAN = 512

_FRAME = struct.Struct(">BB16sII")
_BODY = re.compile(r"[A-Z2-7]{144}", re.ASCII)
_RAW_LENGTH = 90
_DIGITS = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789abcdefghijklmnopqrstuv")
"""From the letters of base 32 (RFC 4648) to the digits that `int` reads, one for one."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class CodeFrame:
    """What a code says: the key, whose use of which voucher, which store (0: online), until when."""

    kid: int
    code_id: bytes
    scope_no: int
    not_after: datetime


@dataclass(frozen=True, kw_only=True)
class Till:
    """Where a code is shown: the store's scope number, and which code ids were used up already."""

    scope_no: int
    seen: Callable[[bytes], bool]


def issue(signer: Signer, *, code_id: bytes, scope_no: int, not_after: datetime) -> str:
    """Write one code; `not_after` is the end of its 30 s step."""
    if len(code_id) != CODE_ID_LENGTH:
        # struct would pad or cut it without a word, and two ids could become one.
        raise BrokenInvariant(f"a code id has {CODE_ID_LENGTH} bytes")
    frame = _FRAME.pack(VERSION_ED25519, signer.kid, code_id, scope_no, seconds(not_after))
    return PREFIX + b32encode(frame + signer.sign(DOMAIN + frame)).decode("ascii")


def steps(now: datetime, *, ends_at: datetime) -> list[datetime]:
    """The not-afters of the codes a phone takes along; none is later than the voucher's end."""
    first = seconds(now) // STEP_S + 1
    ends = (instant((first + number) * STEP_S) for number in range(PREFETCHED))
    return [end for end in ends if end <= ends_at]


def verify(text: str, *, keys: VerificationKeys, till: Till, now: datetime) -> CodeFrame:
    """The frame of a code that holds here and now.

    Refuses, in this order: `CodeWrongLength`, `CodeWrongPrefix`, `CodeNotCanonical`,
    `CodeVersionUnknown`, `CodeKeyUnknown`, `CodeSignatureWrong`, `CodeForAnotherStore`,
    `CodeNotYetValid`, `CodeTooOld`, `CodeSeen`.
    """
    frame = read(text, keys=keys)
    # Refusals are made only where they are raised: ten unused ones cost a fifth of what the signature costs.
    if frame.scope_no not in (ONLINE_ONLY, till.scope_no):
        raise CodeForAnotherStore
    ahead_s = seconds(frame.not_after) - seconds(now)
    if ahead_s > STEP_S + GRACE_S:
        raise CodeNotYetValid
    if ahead_s < -GRACE_S:
        raise CodeTooOld
    if till.seen(frame.code_id):
        raise CodeSeen
    return frame


def read(text: str, *, keys: VerificationKeys) -> CodeFrame:
    """The frame of a code that we signed, whenever and wherever; the first six refusals of `verify`."""
    if len(text) != LENGTH:
        raise CodeWrongLength
    if not text.startswith(PREFIX):
        raise CodeWrongPrefix
    body = text[len(PREFIX) :]
    # 144 characters of five bits are 90 bytes to the last bit: within the alphabet every text has its own
    # bytes, so no second spelling of a code exists and none has to be looked for.
    if not _BODY.fullmatch(body):
        raise CodeNotCanonical
    raw = int(body.translate(_DIGITS), 32).to_bytes(_RAW_LENGTH, "big")  # 17 times as fast as b32decode
    frame, signature = raw[: _FRAME.size], raw[_FRAME.size :]
    version, kid, code_id, scope_no, not_after = _FRAME.unpack(frame)
    if version != VERSION_ED25519:
        raise CodeVersionUnknown
    if keys.find(kid) is None:
        raise CodeKeyUnknown(kid=kid)
    if not keys.verify(kid=kid, data=DOMAIN + frame, signature=signature):
        raise CodeSignatureWrong
    return CodeFrame(kid=kid, code_id=code_id, scope_no=scope_no, not_after=instant(not_after))


def scanned(text: str) -> str:
    """What a scanner typed, as a code is written: full-width letters of an input method become ASCII.

    Belongs at the edge only; `read` itself never repairs anything. What is longer than any scan stays
    as it came and fails by its length: a cut would make a code out of a code with a tail.
    """
    return text if len(text) > LONGEST_SCAN else unicodedata.normalize("NFKC", text).strip(" \t\r\n")


def seconds(at: datetime) -> int:
    """Whole seconds since 1970, without a float on the way."""
    past = at - _EPOCH
    return past.days * 86_400 + past.seconds


def instant(since_1970_s: int) -> datetime:
    """The instant of whole seconds since 1970."""
    return _EPOCH + timedelta(seconds=since_1970_s)
