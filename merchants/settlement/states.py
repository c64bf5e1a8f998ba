"""The life of a settlement and of an adjustment, in one place; the database checks the states.

A settlement is open while its rows are claimed, part by part. Once closed its lines and its digest stand
for good: what was wrong with it is an adjustment, a line of a later settlement.
"""

from collections.abc import Iterable
from enum import StrEnum


class State(StrEnum):
    """Where a settlement is in its life."""

    OPEN = "open"
    CLOSED = "closed"
    DISPUTED = "disputed"
    CONFIRMED = "confirmed"
    PAID = "paid"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.CLOSED}),
    State.CLOSED: frozenset({State.CONFIRMED, State.DISPUTED}),
    State.DISPUTED: frozenset({State.CONFIRMED}),
    State.CONFIRMED: frozenset({State.PAID}),
    State.PAID: frozenset(),
}


class Standing(StrEnum):
    """Where an adjustment is in its life."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


DECISIONS: dict[Standing, frozenset[Standing]] = {
    Standing.PROPOSED: frozenset({Standing.APPROVED, Standing.REJECTED}),
    Standing.APPROVED: frozenset(),
    Standing.REJECTED: frozenset(),
}


class What(StrEnum):
    """What a line is about."""

    REDEMPTION = "redemption"
    REVERSAL = "reversal"
    CONFLICT = "conflict"
    ADJUSTMENT = "adjustment"
    FEE = "fee"
    SUBSIDY = "subsidy"


USES = (What.REDEMPTION, What.REVERSAL)


def one_of(column: str, words: Iterable[StrEnum]) -> str:
    """The SQL condition that `column` is one of `words`."""
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"
