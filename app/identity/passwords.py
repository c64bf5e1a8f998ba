"""Passwords of operators and merchant staff: argon2id, and the same work whether the user exists or not."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.identity.errors import PasswordUnacceptable
from kernel.errors import require

SHORTEST, LONGEST = 8, 128
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
"""OWASP's second choice for argon2id: 19 MiB, two passes, one lane."""
_NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$NO0sNl7IWeu3SpRCQh8tig$B8jTMiALjo/1q4eN9JNek6Hc0RzRRcNrs/Q6Vvj4Rkc"
"""The hash of a random password that was thrown away; written out, so that the first stranger after a
start is not answered more slowly than the second."""


def hash_password(password: str) -> str:
    """The encoded argon2id hash; refuses PasswordUnacceptable."""
    require(acceptable(password), PasswordUnacceptable(pointer="/body/password"))
    return _HASHER.hash(password)


def password_matches(password: str, encoded: str | None) -> bool:
    """Whether `password` belongs to `encoded`; without a hash the same work is done for nothing."""
    usable = acceptable(password)
    try:
        matches = _HASHER.verify(encoded or _NOBODY, password if usable else "-" * SHORTEST)
    except (VerificationError, InvalidHashError):
        return False
    return matches and usable and encoded is not None


def hash_is_outdated(encoded: str) -> bool:
    """Whether `encoded` was made with other parameters; hash the password anew when it next matches."""
    return _HASHER.check_needs_rehash(encoded)


def acceptable(password: str) -> bool:
    """Whether the length fits and every character is text."""
    return SHORTEST <= len(password) <= LONGEST and not any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in password
    )
