r"""CV1: a voucher code that any terminal verifies with public keys only, and that is worthless in 90 s.

`"CV1" + base32(frame[26] + Ed25519 signature[64])` is 147 characters, drawn as QR 6-M. The frame is
0x12 | key id u8 | code id 16 | scope u32 | not-after u32, all big-endian; the signature covers
`"carbon-voucher-qr-v1\0" + frame`. What is judged here is judged by the file that terminals take along.
"""

from base64 import b32encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kernel.errors import BrokenInvariant, Refusal
from kernel.signing import Signer, VerificationKeys
from rewards.errors import (
    CodeForAnotherStore,
    CodeKeyUnknown,
    CodeNotCanonical,
    CodeNotYetValid,
    CodeOnlineOnly,
    CodeSeen,
    CodeSignatureWrong,
    CodeTooOld,
    CodeVersionUnknown,
    CodeWrongLength,
    CodeWrongPrefix,
)
from rewards.terminal_kit import cv1_verifier
from rewards.terminal_kit.cv1_verifier import (
    DOMAIN,
    FRAME,
    GRACE_S,
    LENGTH,
    LONGEST_SCAN,
    ONLINE_ONLY,
    PREFIX,
    STEP_S,
    VERSION_ED25519,
    Refused,
    scanned,
)

CODE_ID_LENGTH = 16
PREFETCHED = 20
"""Codes a phone takes along: ten minutes."""
SEEN_KEPT = timedelta(days=7, seconds=GRACE_S)
"""How long after its not-after a used code id is remembered."""
MOST_SCOPE = 2**32 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REFUSALS: dict[str, type[Refusal]] = {
    "code_for_another_store": CodeForAnotherStore,
    "code_key_unknown": CodeKeyUnknown,
    "code_not_canonical": CodeNotCanonical,
    "code_not_yet_valid": CodeNotYetValid,
    "code_online_only": CodeOnlineOnly,
    "code_seen": CodeSeen,
    "code_signature_wrong": CodeSignatureWrong,
    "code_too_old": CodeTooOld,
    "code_version_unknown": CodeVersionUnknown,
    "code_wrong_length": CodeWrongLength,
    "code_wrong_prefix": CodeWrongPrefix,
}


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
    frame = FRAME.pack(VERSION_ED25519, signer.kid, code_id, scope_no, seconds(not_after))
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
    return _judged(cv1_verifier.verify, text, keys=keys, till=till, now=now)


def verify_offline(text: str, *, keys: VerificationKeys, till: Till, now: datetime) -> CodeFrame:
    """As `verify`, of a code that a terminal accepted without asking; at last refuses `CodeOnlineOnly`."""
    return _judged(cv1_verifier.verify_offline, text, keys=keys, till=till, now=now)


def read(text: str, *, keys: VerificationKeys) -> CodeFrame:
    """The frame of a code that we signed, whenever and wherever; the first six refusals of `verify`."""
    try:
        return _frame(cv1_verifier.read(text, find=keys.find))
    except Refused as refused:
        raise _REFUSALS[refused.code](**refused.facts) from None


def _judged(
    judge: Callable[..., cv1_verifier.Frame], text: str, *, keys: VerificationKeys, till: Till, now: datetime
) -> CodeFrame:
    try:
        return _frame(judge(text, find=keys.find, scope_no=till.scope_no, now_s=seconds(now), seen=till.seen))
    except Refused as refused:
        raise _REFUSALS[refused.code](**refused.facts) from None


def _frame(read_: cv1_verifier.Frame) -> CodeFrame:
    return CodeFrame(
        kid=read_.kid,
        code_id=read_.code_id,
        scope_no=read_.scope_no,
        not_after=instant(read_.not_after_s),
    )


def seconds(at: datetime) -> int:
    """Whole seconds since 1970, without a float on the way."""
    past = at - _EPOCH
    return past.days * 86_400 + past.seconds


def instant(since_1970_s: int) -> datetime:
    """The instant of whole seconds since 1970."""
    return _EPOCH + timedelta(seconds=since_1970_s)


__all__ = [
    "CODE_ID_LENGTH",
    "DOMAIN",
    "GRACE_S",
    "LENGTH",
    "LONGEST_SCAN",
    "MOST_SCOPE",
    "ONLINE_ONLY",
    "PREFETCHED",
    "PREFIX",
    "SEEN_KEPT",
    "STEP_S",
    "VERSION_ED25519",
    "CodeFrame",
    "Till",
    "instant",
    "issue",
    "read",
    "scanned",
    "seconds",
    "steps",
    "verify",
    "verify_offline",
]
