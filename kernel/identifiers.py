"""UUIDv7 inside, a prefix and 26 Crockford characters outside.

The prefix says what a thing is, so a voucher's id sent where a citizen's belongs is refused by
name. Ids sort by time and are never secrets.
"""

from uuid import UUID

from uuid_utils.compat import uuid7

from kernel.errors import Kind, Refusal

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_LENGTH = 26


class WrongIdentifier(Refusal):
    """This is not an id of the kind that belongs here."""

    kind = Kind.INVALID
    title_zh = "标识符的类型或格式不对"


def new_id() -> UUID:
    """Make an id; later ids sort after earlier ones to the millisecond (RFC 9562, version 7)."""
    return uuid7()


def public_id(prefix: str, value: UUID) -> str:
    """`vch_01JD…`: the prefix, an underscore and 26 characters of Crockford's base 32."""
    number = value.int
    digits = [_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5)]
    return f"{prefix}_{''.join(digits)}"


def parse_public_id(prefix: str, text: str) -> UUID:
    """Return the id behind the public form; refuses another prefix, other letters and overlong numbers."""
    head, _, body = text.partition("_")
    if head != prefix or len(body) != _LENGTH or any(character not in _VALUE for character in body):
        raise WrongIdentifier(f"expected {prefix}_ and {_LENGTH} characters", expected=prefix)
    number = 0
    for character in body:
        number = number << 5 | _VALUE[character]
    if number >= 1 << 128:
        raise WrongIdentifier("the number is too large for an id", expected=prefix)
    return UUID(int=number)
