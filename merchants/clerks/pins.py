"""PINs of clerks: six digits, none that is guessed first, kept as argon2id with the cost of passwords.

Six digits are few: what keeps them is the count of tries, kept with the clerk, not the hash.
"""

from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from kernel.errors import require
from merchants.clerks.errors import PinTrivial

LENGTH = 6
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
_FAMOUS = frozenset({"520131", "520520", "521314", "147258", "258369", "159357", "142857", "314159"})


def hash_pin(pin: str, *, pointer: str) -> str:
    """The encoded argon2id hash; refuses `PinTrivial`, pointing at the field."""
    require(not trivial(pin), PinTrivial(pointer=pointer))
    return _HASHER.hash(pin)


def pin_matches(pin: str, encoded: str) -> bool:
    """Whether `pin` belongs to `encoded`."""
    try:
        return _HASHER.verify(encoded, pin)
    except (VerificationError, InvalidHashError):
        return False


def trivial(pin: str) -> bool:
    """Whether it is not six ASCII digits, or one of those that are tried first."""
    if len(pin) != LENGTH or not pin.isascii() or not pin.isdigit():
        return True
    digits = [int(letter) for letter in pin]
    steps = {(after - before) % 10 for before, after in pairwise(digits)}
    few = len(set(digits)) < 3  # 112211, 666888
    row = len(steps) == 1  # 123456, 987654, 135791
    again = pin[:3] == pin[3:]  # 123123
    mirrored = pin == pin[::-1]  # 123321
    doubled = pin[::2] == pin[1::2]  # 112233
    return few or row or again or mirrored or doubled or pin in _FAMOUS
