r"""What a till writes of a scan that it accepted without asking: the same bytes at both ends.

    "carbon-offline-record-v1\0" | till's id 16 | hash of the record before 32
    | counter u32 | seconds since 1970 u32 | code 147

all big-endian, the code in ASCII. The till signs these bytes with its own Ed25519 key; the record's hash is
SHA-256 over bytes and signature, and stands in the next record. The first record follows 32 zero bytes.
"""

import hashlib
import struct
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from rewards.voucher_codes import LENGTH, instant

DOMAIN = b"carbon-offline-record-v1\0"
NO_RECORD = bytes(32)
MOST_COUNTER = 2**32 - 1
_NUMBERS = struct.Struct(">II")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One scan as the till wrote it: `previous` is the hash of the record before it."""

    counter: int
    scanned_at_s: int
    code: str
    previous: bytes
    signature: bytes

    @property
    def scanned_at(self) -> datetime:
        """When the till accepted it, by the till's time."""
        return instant(self.scanned_at_s)


def signed_bytes(terminal_id: UUID, *, previous: bytes, counter: int, scanned_at_s: int, code: str) -> bytes:
    """What the till signs; `code` has the length of a code and `previous` that of a hash."""
    if len(code) != LENGTH or not code.isascii() or len(previous) != len(NO_RECORD):
        raise ValueError("a record holds a code of 147 characters and a hash of 32 bytes")
    return b"".join(
        (DOMAIN, terminal_id.bytes, previous, _NUMBERS.pack(counter, scanned_at_s), code.encode("ascii"))
    )


def bytes_of(record: Record, terminal_id: UUID) -> bytes:
    """What the till signed of this record."""
    return signed_bytes(
        terminal_id,
        previous=record.previous,
        counter=record.counter,
        scanned_at_s=record.scanned_at_s,
        code=record.code,
    )


def hash_of(record: Record, terminal_id: UUID) -> bytes:
    """What the next record names."""
    return hashlib.sha256(bytes_of(record, terminal_id) + record.signature).digest()
