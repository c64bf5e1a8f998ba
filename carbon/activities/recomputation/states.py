"""The life of a recomputation, in one table; the database checks the states, a step row keeps each change.

Drafted by one person it waits for its dry run, then for another person who approves exactly these figures,
then for a worker. Cancelled is one that somebody called off, or whose figures moved: what was posted by then
stays, each correction is whole by itself.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a recomputation is in its life."""

    DRAFT = "draft"
    DRY_RUN_DONE = "dry_run_done"
    APPROVED = "approved"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.DRY_RUN_DONE, State.CANCELLED}),
    State.DRY_RUN_DONE: frozenset({State.APPROVED, State.CANCELLED}),
    State.APPROVED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.DONE, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
}
OPEN = (State.DRAFT, State.DRY_RUN_DONE, State.APPROVED, State.RUNNING)
WAITING = (State.DRAFT, State.APPROVED, State.RUNNING)
"""A worker has something to do for these."""


class Policy(StrEnum):
    """What happens to coins that the corrected table does not justify; kilograms are always corrected."""

    FUND = "fund"
    """The region's fund bears them all."""
    UNSPENT = "unspent"
    """What the citizen still has is taken, never below zero; the fund bears the rest."""
    FLOOR = "floor"
    """It is taken down to the floor of the account; the fund bears the rest."""


def one_of(column: str, values: tuple[StrEnum, ...] | type[State] | type[Policy]) -> str:
    """The SQL condition that `column` is one of `values`."""
    return f"{column} IN ({', '.join(repr(value.value) for value in values)})"
