"""The life of a voucher, in one table; the database checks the states, a step row keeps each change.

A lock that ran out counts as issued again, so no job has to unlock. A reversal starts the next cycle:
`cycle` counts the issues of one voucher, 0 to 9, each with its own hold and its own code id.
"""

from enum import StrEnum

LAST_CYCLE = 9


class State(StrEnum):
    """Where a voucher is in its life."""

    ISSUED = "issued"
    LOCKED = "locked"
    REDEEMED = "redeemed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DEACTIVATED = "deactivated"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ISSUED: frozenset(
        {State.LOCKED, State.REDEEMED, State.EXPIRED, State.CANCELLED, State.DEACTIVATED}
    ),
    State.LOCKED: frozenset(
        {State.LOCKED, State.REDEEMED, State.EXPIRED, State.CANCELLED, State.DEACTIVATED}
    ),
    State.REDEEMED: frozenset({State.ISSUED, State.EXPIRED}),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
    State.DEACTIVATED: frozenset(),
}
LIVE = (State.ISSUED, State.LOCKED)
"""Coins are held for these."""
OUT = (State.ISSUED, State.LOCKED, State.REDEEMED)
"""An item of the stock is out for these."""


def one_of(column: str, states: tuple[State, ...] = tuple(State)) -> str:
    """The SQL condition that `column` is one of `states`."""
    return f"{column} IN ({', '.join(repr(state.value) for state in states)})"
