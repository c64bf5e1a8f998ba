"""The life of a voucher, in one table; the database checks the states, a step row keeps each change.

A lock that ran out counts as issued again, so no job has to unlock. A reversal starts the next cycle:
`cycle` counts the issues of one voucher, 0 to 9, each with its own hold and its own code id.

A voucher of which a terminal may have honoured a code without asking does not end at once: it is closing,
gives no codes and is refused online, until no such record can arrive any more.
"""

from enum import StrEnum

LAST_CYCLE = 9


class State(StrEnum):
    """Where a voucher is in its life."""

    ISSUED = "issued"
    LOCKED = "locked"
    CLOSING = "closing"
    REDEEMED = "redeemed"
    SETTLED = "settled"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DEACTIVATED = "deactivated"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.ISSUED: frozenset(
        {State.LOCKED, State.REDEEMED, State.CLOSING, State.EXPIRED, State.CANCELLED, State.DEACTIVATED}
    ),
    State.LOCKED: frozenset(
        {State.LOCKED, State.REDEEMED, State.CLOSING, State.EXPIRED, State.CANCELLED, State.DEACTIVATED}
    ),
    State.CLOSING: frozenset({State.REDEEMED, State.EXPIRED, State.CANCELLED, State.DEACTIVATED}),
    State.REDEEMED: frozenset({State.ISSUED, State.EXPIRED, State.SETTLED}),
    State.SETTLED: frozenset(),
    State.EXPIRED: frozenset(),
    State.CANCELLED: frozenset(),
    State.DEACTIVATED: frozenset(),
}
LIVE = (State.ISSUED, State.LOCKED)
"""These may be used."""
HELD = (*LIVE, State.CLOSING)
"""Coins are held for these."""
USED = (State.REDEEMED, State.SETTLED)
"""A redemption of these stands; once settled, its merchant cannot reverse it any more."""
OUT = (*HELD, *USED)
"""An item of the stock is out for these."""


def one_of(column: str, states: tuple[State, ...] = tuple(State)) -> str:
    """The SQL condition that `column` is one of `states`."""
    return f"{column} IN ({', '.join(repr(state.value) for state in states)})"
