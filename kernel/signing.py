"""The ring of Ed25519 keys: what for, which id, since when, until when.

Private keys rest encrypted (AES-256-GCM under KEY_RING_SECRET, the key's own name as associated
data). A key id is never reused; a retired key still verifies what its purpose allows.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import CheckConstraint, SmallInteger, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import Base
from kernel.errors import BrokenInvariant, Kind, Refusal

_NONCE_LENGTH = 12
MOST_KEYS = 255


class Purpose(StrEnum):
    """What a key may sign; a signature for one purpose is worthless for another."""

    VOUCHER_CODE = "voucher_code"
    PUBLICATION = "publication"
    CERTIFICATE = "certificate"


class NoKeyLeft(Refusal):
    """All 255 key ids of this purpose are used."""

    kind = Kind.CONFLICT
    title_zh = "该用途的密钥编号已用完"


class SigningKey(Base):
    """One key pair. Global, not regional: every terminal of every region checks with the same ring."""

    __tablename__ = "signing_key"
    __table_args__ = (
        CheckConstraint(f"kid between 1 and {MOST_KEYS}", name="kid_fits_a_byte"),
        CheckConstraint("revoked_because IS NULL OR retired_at IS NOT NULL", name="revoked_is_retired"),
    )

    purpose: Mapped[str] = mapped_column(primary_key=True)
    kid: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    public_key: Mapped[bytes]
    sealed_private_key: Mapped[bytes]
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None]
    """Why it is believed no more: somebody else has it."""


@dataclass(frozen=True)
class Signer:
    """A private key in use."""

    kid: int
    _private: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        """64 bytes of Ed25519 signature over `data`."""
        return self._private.sign(data)


@dataclass(frozen=True)
class VerificationKeys:
    """Public keys by id; what a terminal holds."""

    by_kid: dict[int, Ed25519PublicKey]
    retired: frozenset[int] = frozenset()

    def find(self, kid: int) -> Ed25519PublicKey | None:
        """The public key, or None when unknown or retired."""
        return None if kid in self.retired else self.by_kid.get(kid)

    def verify(self, *, kid: int, data: bytes, signature: bytes) -> bool:
        """Whether `signature` over `data` was made by key `kid`, retired or not."""
        key = self.by_kid.get(kid)
        if key is None:
            return False
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True


class KeyRing:
    """Opens keys at rest with one secret; holds opened signers for the life of the process."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 bytes from the settings."""
        self._box = AESGCM(secret)
        self._signers: dict[bytes, Signer] = {}

    def add_key(self, session: Session, purpose: Purpose, *, now: datetime, signs_from: datetime) -> int:
        """Make the next key of `purpose` and return its id; refuses `NoKeyLeft`."""
        last = session.scalar(select(func.max(SigningKey.kid)).where(SigningKey.purpose == purpose)) or 0
        if last >= MOST_KEYS:
            raise NoKeyLeft
        private = Ed25519PrivateKey.generate()
        raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        nonce = os.urandom(_NONCE_LENGTH)
        session.add(
            SigningKey(
                purpose=purpose.value,
                kid=last + 1,
                public_key=private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
                sealed_private_key=nonce + self._box.encrypt(nonce, raw, _name(purpose, last + 1)),
                created_at=now,
                signs_from=signs_from,
            )
        )
        session.flush()  # a second key in the same unit of work must see this one's number
        return last + 1

    def signer(self, session: Session, purpose: Purpose, *, now: datetime) -> Signer:
        """The newest key that may sign now."""
        newest = session.execute(
            select(SigningKey.kid, SigningKey.public_key)
            .where(
                SigningKey.purpose == purpose.value,
                SigningKey.signs_from <= now,
                SigningKey.retired_at.is_(None) | (SigningKey.retired_at > now),
            )
            .order_by(SigningKey.kid.desc())
            .limit(1)
        ).one_or_none()
        if newest is None:
            raise BrokenInvariant(f"no key signs {purpose.value}; run `flask keys add {purpose.value}`")
        # The public half is part of the name: a restored database may hold another key of that number.
        found = self._signers.get(bytes(newest.public_key))
        return found or self._open(session, purpose, newest.kid)

    def seal(self, secret: bytes, *, name: str) -> bytes:
        """A secret that must be known again, as private keys rest; `name` says whose and opens it alone."""
        nonce = os.urandom(_NONCE_LENGTH)
        return nonce + self._box.encrypt(nonce, secret, _sealed_name(name))

    def unseal(self, sealed: bytes, *, name: str) -> bytes:
        """What was sealed under this name."""
        return self._box.decrypt(sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:], _sealed_name(name))

    def _open(self, session: Session, purpose: Purpose, kid: int) -> Signer:
        key = session.get_one(SigningKey, (purpose.value, kid))
        nonce, sealed = key.sealed_private_key[:_NONCE_LENGTH], key.sealed_private_key[_NONCE_LENGTH:]
        raw = self._box.decrypt(nonce, sealed, _name(purpose, kid))
        signer = Signer(kid, Ed25519PrivateKey.from_private_bytes(raw))
        self._signers[bytes(key.public_key)] = signer
        return signer


def verification_keys(session: Session, purpose: Purpose, *, now: datetime) -> VerificationKeys:
    """All public keys of a purpose, with the retired ones marked."""
    keys = session.scalars(select(SigningKey).where(SigningKey.purpose == purpose.value)).all()
    return VerificationKeys(
        {key.kid: Ed25519PublicKey.from_public_bytes(key.public_key) for key in keys},
        frozenset(key.kid for key in keys if key.retired_at is not None and key.retired_at <= now),
    )


def published_keys(session: Session, purpose: Purpose, *, now: datetime) -> list[dict[str, Any]]:
    """All public keys of a purpose as whoever checks takes them, by id; also those that sign later."""
    keys = select(SigningKey).where(SigningKey.purpose == purpose.value).order_by(SigningKey.kid)
    return [
        {
            "kid": key.kid,
            "algorithm": "Ed25519",
            "public_key": key.public_key.hex(),
            "signs_from": _text(key.signs_from),
            "retired": key.retired_at is not None and key.retired_at <= now,
            "retired_at": None if key.retired_at is None else _text(key.retired_at),
        }
        for key in session.scalars(keys)
    ]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _name(purpose: Purpose, kid: int) -> bytes:
    return f"{purpose.value}/{kid}".encode()


def _sealed_name(name: str) -> bytes:
    """Apart from the names of key pairs, whatever it is called."""
    return f"sealed:{name}".encode()
