"""What waits is done: the dry run of a proposal, the parts of an approved recomputation one after the other.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call, and
commits. Any number of workers may do this at once: a part is claimed in the transaction that posts it, so it
is posted once, and who comes after a run that was cut off finds the parts that are left.
"""

from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy import select

from carbon.activities.recomputation.dry_run import Computing, PutDown, Run
from carbon.activities.recomputation.errors import RecomputationNotWaiting
from carbon.activities.recomputation.figures import scope_of
from carbon.activities.recomputation.jobs import PREFIX, begin, called_off, finish, keep_dry_run, waiting
from carbon.activities.recomputation.posting import Order, post_part
from carbon.activities.recomputation.states import Policy, State
from carbon.activities.recomputation.tables import Recomputation, RecomputationPart
from kernel.call import Call
from kernel.errors import Busy, Kind, Refusal
from kernel.identifiers import public_id
from kernel.publications.tables import Publication

Progress = Callable[[int], None]
"""Hears how many activities were looked at, or corrected, so far."""
STEPS_A_TURN = 30
"""Pieces of a dry run, or parts, that one of them does before the next has its turn: about half a minute."""


class PutAside:
    """Dry runs that were put down, with what they have found: who takes one up goes on where it was.

    They lie in memory: another process begins them anew.
    """

    MOST = 8
    """More are not begun until one of these has ended: the sums of millions of citizens take 100 MB."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._found: dict[UUID, Computing] = {}

    def take(self, job: Recomputation) -> Computing | None:
        """A recomputation's dry run as it was put down, else one that begins; None where too many lie."""
        found = self._found.pop(job.id, None)
        if found is None and len(self._found) < self.MOST:
            found = Computing(job.table_id, job.region_id)
        return found

    def keep(self, job: Recomputation, computing: Computing) -> None:
        """Put one down."""
        self._found[job.id] = computing

    def forget_but(self, waiting_: list[UUID]) -> None:
        """Drop those of which nobody waits for a dry run any more."""
        for each in self._found.keys() - set(waiting_):
            del self._found[each]


class _Turn:
    """Some steps of one recomputation while others wait."""

    def __init__(self, keep_on: Callable[[], bool]) -> None:
        self._keep_on, self._steps = keep_on, 0

    def __call__(self) -> bool:
        self._steps += 1
        return not self.is_over and self._keep_on()

    @property
    def is_over(self) -> bool:
        return self._steps > STEPS_A_TURN


def do_waiting(run: Run, *, keep_on: Callable[[], bool] = lambda: True, aside: PutAside | None = None) -> int:
    """Do what waits, in turns, until nobody wants it any more; returns how many went a step further.

    One that fails takes no other with it: what failed first is raised behind the last of them. A dry run
    that is put down at the end lies in `aside`, for the next who comes with it.
    """
    aside = PutAside() if aside is None else aside
    done, failures, seen = 0, list[Exception](), set[UUID]()
    while keep_on() and (left := [each for each in _waiting(run, aside) if each not in seen]):
        for recomputation_id in left:
            turn = _Turn(keep_on)
            try:
                done += work_on(run, recomputation_id, keep_on=turn, aside=aside)
            except Exception as failure:
                if not keep_on():
                    raise  # a stop interrupts what runs: nothing is wrong with it
                named = public_id(PREFIX, recomputation_id)
                _log.error("recomputation_failed", recomputation=named, failure=type(failure).__name__)
                failures.append(failure)
                seen.add(recomputation_id)
            if not turn.is_over:
                seen.add(recomputation_id)
            if not keep_on():
                break
    if failures:
        raise failures[0]
    return done


def _waiting(run: Run, aside: PutAside) -> list[UUID]:
    found = run(waiting)
    aside.forget_but(found)
    return found


def work_on(
    run: Run,
    recomputation_id: UUID,
    *,
    progress: Progress = lambda _done: None,
    keep_on: Callable[[], bool] = lambda: True,
    aside: PutAside | None = None,
) -> bool:
    """Do what one of them waits for; whether it went a step further.

    What refuses it as a whole calls it off, under its code: FiguresMoved, NotEnough, NotACorrection.
    """
    state = run(lambda call: call.db.scalar(_STATE.where(Recomputation.id == recomputation_id)))
    try:
        if state == State.DRAFT:
            return _compute(run, recomputation_id, progress, keep_on, aside or PutAside())
        return _post(run, recomputation_id, progress, keep_on)
    except RecomputationNotWaiting:
        return False
    except Refusal as refusal:
        if refusal.kind is Kind.UNAVAILABLE:
            raise
        code = refusal.code
        return run(
            lambda call: called_off(call, call.db.get_one(Recomputation, recomputation_id), reason=code)
        )


def _compute(
    run: Run, recomputation_id: UUID, progress: Progress, keep_on: Callable[[], bool], aside: PutAside
) -> bool:
    job = run(lambda call: call.db.get_one(Recomputation, recomputation_id))
    computing = aside.take(job)
    if computing is None:
        return False
    try:
        found = computing.go_on(run, progress=progress, keep_on=keep_on)
    except PutDown:
        aside.keep(job, computing)
        return False
    except Busy:
        aside.keep(job, computing)
        raise
    return run(lambda call: keep_dry_run(call, recomputation_id, found))


def _post(run: Run, recomputation_id: UUID, progress: Progress, keep_on: Callable[[], bool]) -> bool:
    order = run(lambda call: _begun(call, recomputation_id))
    if order is None:
        return False
    corrected = 0
    for part in run(lambda call: _left(call, recomputation_id)):
        if not keep_on():
            return False
        corrected += run(lambda call, each=part: post_part(call, order, each))  # type: ignore[misc]  # mypy knows no defaults of lambdas
        progress(corrected)
    return run(lambda call: finish(call, recomputation_id))


def _begun(call: Call, recomputation_id: UUID) -> Order | None:
    job = call.db.get_one(Recomputation, recomputation_id)
    if not begin(call, job):
        return None
    scope = scope_of(call, call.db.get_one(Publication, job.table_id), job.region_id)
    return Order(job.id, job.table_id, job.region_id, Policy(job.policy), scope)


def _left(call: Call, recomputation_id: UUID) -> list[RecomputationPart]:
    query = select(RecomputationPart).where(
        RecomputationPart.recomputation_id == recomputation_id, RecomputationPart.posted_at.is_(None)
    )
    return list(call.db.scalars(query.order_by(RecomputationPart.number)))


_STATE = select(Recomputation.state)
_log = structlog.get_logger()
