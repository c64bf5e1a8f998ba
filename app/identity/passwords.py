"""Passwords of operators and merchant staff: argon2id, and the same work whether the user exists or not."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.identity.errors import PasswordUnacceptable
from kernel.errors import require

SHORTEST, LONGEST = 8, 128
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
"""OWASP's second choice for argon2id: 19 MiB, two passes, one lane."""


def hash_password(password: str) -> str:
    """The encoded argon2id hash; refuses PasswordUnacceptable."""
    require(acceptable(password), PasswordUnacceptable(pointer="/body/password"))
    return _HASHER.hash(password)


def password_matches(password: str, encoded: str | None) -> bool:
    """Whether `password` belongs to `encoded`; without a hash the same work is done for nothing."""
    usable = acceptable(password)
    try:
        matches = _HASHER.verify(encoded or _nobody(), password if usable else "-" * SHORTEST)
    except (VerificationError, InvalidHashError):
        return False
    return matches and usable and encoded is not None


def acceptable(password: str) -> bool:
    """Whether the length fits and every character is text."""
    return SHORTEST <= len(password) <= LONGEST and not any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in password
    )


@cache
def _nobody() -> str:
    return _HASHER.hash("the password of nobody")
