"""Why a batch waits: its partner is suspended, or what refused it when a worker had it last.

The step by which a worker put it down keeps the refusal; it is told until somebody takes the batch up again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text

from carbon.activities.tables import WAITING, ActivityBatch
from carbon.partners.errors import PartnerSuspended
from carbon.partners.registry import ACTIVE
from carbon.partners.tables import Partner
from kernel.call import Call
from kernel.errors import Refusal


@dataclass(frozen=True)
class Wait:
    """The code of a refusal by no fault of the file, and what it said for people."""

    code: str
    detail: str | None


def written_reason(refusal: Refusal) -> str:
    """What the step of a batch that is put down keeps."""
    return f"{refusal.code}: {refusal.detail}" if refusal.detail else refusal.code


def waits(call: Call, batches: Sequence[ActivityBatch]) -> dict[UUID, Wait]:
    """What those of the batches wait for that are kept from going on, by their id."""
    waiting = [batch for batch in batches if batch.state in WAITING]
    if not waiting:
        return {}
    found = _put_down(call, [batch.id for batch in waiting])
    suspended = _suspended(call, {batch.partner_id for batch in waiting})
    kept_back = Wait(PartnerSuspended.code, None)
    # A suspension is looked at itself: one that was met in the middle of the file may be over.
    found = {batch_id: wait for batch_id, wait in found.items() if wait.code != kept_back.code}
    return found | {batch.id: kept_back for batch in waiting if batch.partner_id in suspended}


def _put_down(call: Call, batches: list[UUID]) -> dict[UUID, Wait]:
    reasons = {row.id: _read(row.reason) for row in call.db.execute(_LAST_REASONS, {"batches": batches})}
    return {batch_id: wait for batch_id, wait in reasons.items() if wait is not None}


def _read(reason: str) -> Wait | None:
    """None where the last step is none by which a refusal put it down: it is in somebody's hands, perhaps."""
    code, _, detail = reason.partition(": ")
    return Wait(code, detail or None) if code in Refusal.catalogue else None


def _suspended(call: Call, partners: set[UUID]) -> set[UUID]:
    return set(call.db.scalars(select(Partner.id).where(Partner.id.in_(partners), Partner.state != ACTIVE)))


# By the key, one row a batch: one that waits for days has a step for each time it was tried.
_LAST_REASONS = text(
    "SELECT b.id, s.reason FROM unnest(CAST(:batches AS uuid[])) AS b (id) CROSS JOIN LATERAL"
    " (SELECT reason FROM activity_batch_step WHERE batch_id = b.id ORDER BY id DESC LIMIT 1) s"
)
