"""What waits is done: the dry run of a proposal, the parts of an approved recomputation one after the other.

`run` is given by whoever owns the database: it opens a unit of work, calls the function with its Call, and
commits. Any number of workers may do this at once: a part is claimed in the transaction that posts it, so it
is posted once, and who comes after a run that was cut off finds the parts that are left.
"""

from collections.abc import Callable
from uuid import UUID

import structlog
from sqlalchemy import select

from carbon.activities.recomputation.dry_run import PutDown, Run, dry_run
from carbon.activities.recomputation.errors import RecomputationNotWaiting
from carbon.activities.recomputation.figures import scope_of
from carbon.activities.recomputation.jobs import PREFIX, begin, called_off, finish, keep_dry_run, waiting
from carbon.activities.recomputation.posting import Order, post_part
from carbon.activities.recomputation.states import Policy, State
from carbon.activities.recomputation.tables import Recomputation, RecomputationPart
from kernel.call import Call
from kernel.errors import Kind, Refusal
from kernel.identifiers import public_id
from kernel.publications.tables import Publication

Progress = Callable[[int], None]
"""Hears how many activities were looked at, or corrected, so far."""


def do_waiting(run: Run, *, keep_on: Callable[[], bool] = lambda: True) -> int:
    """Do what waits, oldest first, until nobody wants it any more; returns how many went a step further.

    One that fails takes no other with it: what failed first is raised behind the last of them.
    """
    done, failures = 0, list[Exception]()
    for recomputation_id in run(waiting):
        if not keep_on():
            break
        try:
            done += work_on(run, recomputation_id, keep_on=keep_on)
        except Exception as failure:
            if not keep_on():
                raise  # a stop interrupts what runs: nothing is wrong with it
            named = public_id(PREFIX, recomputation_id)
            _log.error("recomputation_failed", recomputation=named, failure=type(failure).__name__)
            failures.append(failure)
    if failures:
        raise failures[0]
    return done


def work_on(
    run: Run,
    recomputation_id: UUID,
    *,
    progress: Progress = lambda _done: None,
    keep_on: Callable[[], bool] = lambda: True,
) -> bool:
    """Do what one of them waits for; whether it went a step further.

    What refuses it as a whole calls it off, under its code: FiguresMoved, NotEnough, NotACorrection.
    """
    state = run(lambda call: call.db.scalar(_STATE.where(Recomputation.id == recomputation_id)))
    try:
        if state == State.DRAFT:
            return _compute(run, recomputation_id, progress, keep_on)
        return _post(run, recomputation_id, progress, keep_on)
    except (PutDown, RecomputationNotWaiting):
        return False
    except Refusal as refusal:
        if refusal.kind is Kind.UNAVAILABLE:
            raise
        code = refusal.code
        return run(
            lambda call: called_off(call, call.db.get_one(Recomputation, recomputation_id), reason=code)
        )


def _compute(run: Run, recomputation_id: UUID, progress: Progress, keep_on: Callable[[], bool]) -> bool:
    job = run(lambda call: call.db.get_one(Recomputation, recomputation_id))
    found = dry_run(run, job.table_id, job.region_id, progress=progress, keep_on=keep_on)
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
