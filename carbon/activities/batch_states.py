"""The life of a batch, in one table; the database checks the states, a step row keeps each change.

A batch that a partner opens waits for its content, then for a worker. One that an operator imports from
the command line begins as running. Running leads to running when a worker was cut off and another goes on.
Cancelled is a batch of which no line was ever taken.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a batch is in its life."""

    CREATED = "created"
    UPLOADED = "uploaded"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.CREATED: frozenset({State.UPLOADED, State.CANCELLED}),
    State.UPLOADED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.RUNNING, State.DONE, State.FAILED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


def one_of(column: str, states: tuple[State, ...] = tuple(State)) -> str:
    """The SQL condition that `column` is one of `states`."""
    return f"{column} IN ({', '.join(repr(state.value) for state in states)})"
