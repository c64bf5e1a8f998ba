"""Recomputations: proposed by one person, approved by another with exactly the figures of the dry run.

Every change is a conditional UPDATE whose row count is checked; the database itself says that two persons
act and that one recomputation by a table is under way in a region.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from carbon.activities.recomputation.dry_run import DryRun
from carbon.activities.recomputation.errors import (
    AuthorCannotApprove,
    FiguresDiffer,
    NotACorrection,
    RecomputationNotWaiting,
    RecomputationOpen,
)
from carbon.activities.recomputation.states import OPEN, TRANSITIONS, WAITING, Policy, State, one_of
from carbon.activities.recomputation.tables import Recomputation, RecomputationPart, RecomputationStep
from carbon.factors.submission import known_table
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest

PREFIX = "rec"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """By which correcting table earlier credits shall be corrected, by which policy, and why."""

    table_id: UUID
    policy: Policy
    reason: str


def propose(call: Call, proposal: Proposal) -> Recomputation:
    """Keep a proposal of the caller's for the own region; a worker does its dry run.

    Refuses, in this order: NotFound and NotAFactorTable (of the table), NotACorrection, RecomputationOpen.
    """
    table = known_table(call, proposal.table_id)
    require(table.corrects_id is not None and table.state == "published", NotACorrection())
    values = {
        "id": new_id(),
        "region_id": call.region,
        "table_id": table.id,
        "policy": proposal.policy.value,
        "state": State.DRAFT.value,
        "author_id": call.actor.known_id,
        "created_at": call.now,
    }
    opened = upsert(Recomputation).values(values)
    under_way = opened.on_conflict_do_nothing(
        index_elements=["table_id", "region_id"], index_where=text(one_of("state", OPEN))
    )
    kept = call.db.scalar(under_way.returning(Recomputation.id)) is not None
    require(kept, RecomputationOpen(pointer="/body/table_id"))
    job = call.db.get_one(Recomputation, values["id"])
    _keep_step(call, job, None, reason=proposal.reason)
    audit(call, "recomputation.propose", subject=public_id(PREFIX, job.id), policy=job.policy)
    return job


def find_recomputation(call: Call, recomputation_id: UUID) -> Recomputation:
    """One of the caller's region; refuses NotFound."""
    found = call.db.get(Recomputation, recomputation_id, populate_existing=True)
    if found is None or found.region_id != call.region:
        raise NotFound("no such recomputation")
    return found


def list_recomputations(call: Call, page: PageRequest) -> Page[Recomputation]:
    """Those of the caller's region, newest first."""
    query = select(Recomputation).where(Recomputation.region_id == call.region)
    return newest_first(call, query, Recomputation.id, page, binding=f"recomputations/{call.region}")


def steps_of(call: Call, job: Recomputation) -> list[RecomputationStep]:
    """What happened to it, in order."""
    steps = select(RecomputationStep).where(RecomputationStep.recomputation_id == job.id)
    return list(call.db.scalars(steps.order_by(RecomputationStep.id)))


def approve(call: Call, recomputation_id: UUID, *, figures: bytes, reason: str) -> Recomputation:
    """Let exactly these figures be posted.

    Refuses, in this order: NotFound, AuthorCannotApprove, RecomputationNotWaiting, FiguresDiffer.
    """
    job = find_recomputation(call, recomputation_id)
    require(job.author_id != call.actor.known_id, AuthorCannotApprove())
    same = Recomputation.digest == figures
    moved = _moved(
        call, job, State.APPROVED, same, reason=reason, values={"approver_id": call.actor.known_id}
    )
    if not moved:
        require(job.state == State.DRY_RUN_DONE, RecomputationNotWaiting(f"it is {job.state}"))
        raise FiguresDiffer(pointer="/body/digest")
    audit(call, "recomputation.approve", subject=public_id(PREFIX, job.id))
    return job


def cancel(call: Call, recomputation_id: UUID, *, reason: str) -> Recomputation:
    """Call it off; corrections that were posted by then stay. Refuses NotFound, RecomputationNotWaiting."""
    job = find_recomputation(call, recomputation_id)
    require(called_off(call, job, reason=reason), RecomputationNotWaiting(f"it is {job.state}"))
    audit(call, "recomputation.cancel", subject=public_id(PREFIX, job.id))
    return job


def called_off(call: Call, job: Recomputation, *, reason: str) -> bool:
    """Whether it was under way; it is cancelled now, by the caller, for this reason."""
    values = {"cancelled_because": reason, "finished_at": call.now}
    return _moved(call, job, State.CANCELLED, reason=reason, values=values)


def keep_dry_run(call: Call, recomputation_id: UUID, found: DryRun) -> bool:
    """Keep what a dry run found; False when another's was kept, or the recomputation was called off."""
    job = call.db.get_one(Recomputation, recomputation_id, populate_existing=True)
    mark = found.digest(job.table_id, job.region_id, Policy(job.policy))
    values = {"digest": mark, "told": found.told}
    if not _moved(call, job, State.DRY_RUN_DONE, reason="dry run", values=values):
        return False
    rows = [
        {
            "recomputation_id": job.id,
            "number": number,
            "after_citizen": part.after,
            "until_citizen": part.until,
            "activities": part.activities,
            "carbon_mg_difference": part.carbon_mg_difference,
            "coin_milli_difference": part.coin_milli_difference,
            "digest": part.digest,
        }
        for number, part in enumerate(found.parts, start=1)
    ]
    if rows:
        call.db.execute(insert(RecomputationPart), rows)
    return True


def begin(call: Call, job: Recomputation) -> bool:
    """Whether it may be worked on: it runs from now on, or runs already."""
    return _moved(call, job, State.RUNNING, reason="taken up") or job.state == State.RUNNING


def finish(call: Call, recomputation_id: UUID) -> bool:
    """Whether it has come to its end now: no part of it is left."""
    job = call.db.get_one(Recomputation, recomputation_id, populate_existing=True)
    left = select(RecomputationPart.number).where(
        RecomputationPart.recomputation_id == job.id, RecomputationPart.posted_at.is_(None)
    )
    values = {"finished_at": call.now}
    done = _moved(call, job, State.DONE, ~left.exists(), reason="every part was posted", values=values)
    if done:
        audit(call, "recomputation.done", subject=public_id(PREFIX, job.id))
    return done


def waiting(call: Call) -> list[UUID]:
    """Those that a worker has something to do for, oldest first."""
    query = select(Recomputation.id).where(Recomputation.state.in_(WAITING)).order_by(Recomputation.id)
    return list(call.db.scalars(query.limit(100)))


def _moved(
    call: Call,
    job: Recomputation,
    to: State,
    *conditions: ColumnElement[bool],
    reason: str,
    values: dict[str, Any] | None = None,
) -> bool:
    """Go to another state if the table of transitions leads there from the present one, and keep the step."""
    origins = [state.value for state, following in TRANSITIONS.items() if to in following]
    moved = call.db.execute(
        update(Recomputation)
        .where(Recomputation.id == job.id, Recomputation.state.in_(origins), *conditions)
        .values(state=to.value, **(values or {}))
        .returning(text("old.state"))
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    call.db.refresh(job)
    if moved is not None:
        _keep_step(call, job, moved, reason=reason)
    return moved is not None


def _keep_step(call: Call, job: Recomputation, before: str | None, *, reason: str) -> None:
    if before is not None and State(job.state) not in TRANSITIONS[State(before)]:
        raise BrokenInvariant(f"no way leads from {before} to {job.state}")
    call.db.add(
        RecomputationStep(
            recomputation_id=job.id,
            id=new_id(),
            region_id=job.region_id,
            from_state=before,
            to_state=job.state,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )
