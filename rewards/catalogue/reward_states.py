"""The life of a reward, in one table; the database checks the states, a step row keeps each change.

A draft is seen by operators only. A published one stands on the shelf while it is sold; withdrawing it
ends its sale and touches no voucher, each of which keeps what was promised when it was bought.
"""

from enum import StrEnum


class RewardState(StrEnum):
    """Where a reward is in its life."""

    DRAFT = "draft"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class RewardKind(StrEnum):
    """What coins buy."""

    GOODS = "goods"
    DISCOUNT = "discount"
    TRANSIT_TICKET = "transit_ticket"
    PARKING_TICKET = "parking_ticket"
    SERVICE = "service"
    CHARITY = "charity"
    UNIQUE_ITEM = "unique_item"
    """Named units, such as the seats of a hall or the plots of a garden; each is sold once."""


class LimitPeriod(StrEnum):
    """A stretch of the calendar in Shanghai; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class PlaceState(StrEnum):
    """Where somebody is who waits for what is sold out."""

    WAITING = "waiting"
    OFFERED = "offered"
    TAKEN = "taken"
    LAPSED = "lapsed"
    LEFT = "left"


TRANSITIONS: dict[RewardState, frozenset[RewardState]] = {
    RewardState.DRAFT: frozenset({RewardState.PUBLISHED, RewardState.WITHDRAWN}),
    RewardState.PUBLISHED: frozenset({RewardState.WITHDRAWN}),
    RewardState.WITHDRAWN: frozenset(),
}
PLACE_TRANSITIONS: dict[PlaceState, frozenset[PlaceState]] = {
    PlaceState.WAITING: frozenset({PlaceState.OFFERED, PlaceState.LEFT}),
    PlaceState.OFFERED: frozenset({PlaceState.TAKEN, PlaceState.LAPSED, PlaceState.LEFT}),
    PlaceState.TAKEN: frozenset(),
    PlaceState.LAPSED: frozenset(),
    PlaceState.LEFT: frozenset(),
}
QUEUED = (PlaceState.WAITING, PlaceState.OFFERED)
"""These stand in the queue; a citizen has one of them a reward."""


def words_of(column: str, words: type[StrEnum]) -> str:
    """The SQL condition that `column` is one of the words."""
    return f"{column} IN ({', '.join(repr(word.value) for word in words)})"
