"""What a merchant says to its settlement, once: it agrees, or it does not, or it is silent too long.

Who disputes names lines, or all of it, and why. Another person answers: what is upheld follows as
adjustments, each approved by a further person; the settlement itself stays as it was closed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from kernel.call import Call
from kernel.errors import require
from merchants.settlement.adjustments import Correction, propose
from merchants.settlement.errors import AnswerWrong, DisputeWindowOver, LineUnknown, SettlementElsewhere
from merchants.settlement.records import Told, held_settlement, move, settlement_of
from merchants.settlement.states import State, What
from merchants.settlement.tables import SettlementAnswer, SettlementDispute, SettlementLine

UPHELD, REJECTED = "upheld", "rejected"
MOST_LINES, MOST_CORRECTIONS = 200, 50


@dataclass(frozen=True, kw_only=True)
class Named:
    """A line by what it is about and the id of that."""

    what: What
    subject_id: UUID


def confirm(call: Call, settlement_id: UUID) -> Told:
    """The calling merchant agrees; refuses, in this order: `NotFound`, `SettlementElsewhere`."""
    settlement = held_settlement(call, settlement_id)
    require(settlement.state is State.CLOSED, SettlementElsewhere(state=settlement.state.value))
    move(call, settlement, State.CONFIRMED, reason="confirmed by the merchant", event="settlement.confirmed")
    return settlement_of(call, settlement_id)


def dispute(call: Call, settlement_id: UUID, *, lines: Sequence[Named], reason: str) -> Told:
    """The calling merchant does not agree with `lines`, or, where there are none, with all of it.

    Refuses, in this order: `NotFound`, `SettlementElsewhere`, `DisputeWindowOver`, `LineUnknown`.
    """
    settlement = held_settlement(call, settlement_id)
    require(settlement.state is State.CLOSED, SettlementElsewhere(state=settlement.state.value))
    until = settlement.dispute_until
    require(until is not None and call.now < until, DisputeWindowOver(until=str(until)))
    _require_lines(call, settlement_id, lines)
    named = [{"what": line.what.value, "id": str(line.subject_id)} for line in lines]
    call.db.execute(
        insert(SettlementDispute).values(
            settlement_id=settlement_id,
            region_id=settlement.region_id,
            lines=named,
            reason=reason,
            principal=call.actor.principal,
            recorded_at=call.now,
        )
    )
    move(call, settlement, State.DISPUTED, reason=reason, event="settlement.disputed")
    return settlement_of(call, settlement_id)


def answer(
    call: Call, settlement_id: UUID, *, ruling: str, reason: str, corrections: Sequence[Correction]
) -> Told:
    """Answer a dispute; what is upheld becomes proposed adjustments, and the settlement can be paid.

    Refuses, in this order: `NotFound`, `SettlementElsewhere`, `AnswerWrong`, and as `propose`.
    """
    settlement = held_settlement(call, settlement_id)
    require(settlement.state is State.DISPUTED, SettlementElsewhere(state=settlement.state.value))
    require((ruling == UPHELD) == bool(corrections), AnswerWrong(pointer="/body/corrections"))
    call.db.execute(
        insert(SettlementAnswer).values(
            settlement_id=settlement_id,
            region_id=settlement.region_id,
            ruling=ruling,
            reason=reason,
            principal=call.actor.principal,
            recorded_at=call.now,
        )
    )
    move(call, settlement, State.CONFIRMED, reason=f"dispute {ruling}: {reason}", event="settlement.answered")
    for correction in corrections:
        propose(call, settlement_id, correction)
    return settlement_of(call, settlement_id)


def confirm_silent(call: Call, *, most: int = 100) -> int:
    """Confirm the region's settlements that nobody disputed in time, where their rule says so; how many.

    Call it until it returns 0, each call is a transaction of its own.
    """
    due = call.db.execute(_SILENT, {"now": call.now, "region": call.region, "most": most}).scalars().all()
    for settlement_id in due:
        settlement = settlement_of(call, settlement_id)
        move(call, settlement, State.CONFIRMED, reason="not disputed in time", event="settlement.confirmed")
    return len(due)


def _require_lines(call: Call, settlement_id: UUID, lines: Sequence[Named]) -> None:
    there = select(SettlementLine.subject_id, SettlementLine.what).where(
        SettlementLine.settlement_id == settlement_id,
        SettlementLine.subject_id.in_([line.subject_id for line in lines]),
    )
    known = {(row.subject_id, row.what) for row in call.db.execute(there)} if lines else set()
    for number, line in enumerate(lines):
        ours = (line.subject_id, line.what.value) in known
        require(ours, LineUnknown(pointer=f"/body/lines/{number}"))


# Whose rule lets silence wait is left to its merchant; the locked rows are this call's to move.
_SILENT = text(
    "SELECT s.id FROM settlement s JOIN publication p ON p.id = s.rule_id WHERE s.state = 'closed'"
    " AND s.dispute_until <= :now AND s.region_id = :region AND p.content ->> 'silence' = 'confirms'"
    " ORDER BY s.id LIMIT :most FOR NO KEY UPDATE OF s"
)
