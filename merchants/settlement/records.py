"""A settlement as its readers know it, and the one way its state changes behind the closing."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, text

from kernel.actor import ActorKind
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from merchants.settlement.errors import SettlementElsewhere
from merchants.settlement.lines import PREFIXES, Head
from merchants.settlement.states import TRANSITIONS, State, What
from merchants.settlement.tables import SettlementStep

SETTLEMENT = "stl"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A settlement with what became of it; figures are None while it is open."""

    id: UUID
    region_id: str
    merchant_id: UUID
    rule_id: UUID
    first_day: date
    last_day: date
    state: State
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    dispute_until: datetime | None
    line_count: int | None
    coin_milli: int | None
    payable_fen: int | None
    by_funder: list[dict[str, Any]] | None
    digest: str | None
    dispute: dict[str, Any] | None
    answer: dict[str, Any] | None
    payment: dict[str, Any] | None

    @property
    def owed(self) -> list[dict[str, Any]] | None:
        """What each funder owes."""
        return None if self.by_funder is None else owed(self.by_funder)

    @property
    def head(self) -> Head:
        """What the digest is over, besides its lines."""
        return Head(
            settlement_id=self.id,
            merchant_id=self.merchant_id,
            first_day=self.first_day,
            last_day=self.last_day,
            rule_id=self.rule_id,
        )


def owed(shares: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Stored shares with the ids as ids."""
    return [{"funder_id": UUID(share["funder_id"]), "fen": share["fen"]} for share in shares]


def settlement_of(call: Call, settlement_id: UUID) -> Told:
    """A settlement of the calling merchant, or of the caller's region; refuses `NotFound`."""
    return _own(call, call.db.execute(_ONE, {"id": settlement_id}).one_or_none())


def held_settlement(call: Call, settlement_id: UUID) -> Told:
    """The same, its row locked until the end; refuses `NotFound`."""
    call.db.execute(_LOCK, {"id": settlement_id})
    return settlement_of(call, settlement_id)


def settlements(
    call: Call, page: PageRequest, *, merchant_id: UUID | None = None, state: str | None = None
) -> Page[Told]:
    """Settlements of the caller's region, newest first; of one merchant, or in one state."""
    binding = f"settlements/{call.region}/{merchant_id}/{state}"
    position = page.position(binding, UUID)
    values = {
        "region": call.region,
        "merchant": merchant_id,
        "state": state,
        "before": position[0] if position else None,
        "most": page.limit + 1,
    }
    found = [_told(row) for row in call.db.execute(_LISTED, values)]
    return page.page(found, binding, lambda item: [str(item.id)])


def move(call: Call, settlement: Told, to: State, *, reason: str, event: str) -> None:
    """Move a held settlement on; refuses `SettlementElsewhere`."""
    require(to in TRANSITIONS[settlement.state], SettlementElsewhere(state=settlement.state.value))
    values = {"id": settlement.id, "from": settlement.state.value, "to": to.value}
    done = call.db.execute(_MOVE, values)
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a locked settlement changed under us")
    write_step(call, settlement.id, settlement.region_id, to, came_from=settlement.state, reason=reason)
    tell(call, settlement.id, settlement.region_id, event)


def first_step(call: Call, settlement_id: UUID, *, region_id: str, reason: str) -> None:
    """Write down who opened a settlement."""
    write_step(call, settlement_id, region_id, State.OPEN, came_from=None, reason=reason)


def write_step(
    call: Call, settlement_id: UUID, region_id: str, to: State, *, came_from: State | None, reason: str
) -> None:
    """Write one line of a settlement's life."""
    call.db.execute(
        insert(SettlementStep).values(
            id=new_id(),
            settlement_id=settlement_id,
            region_id=region_id,
            from_state=came_from,
            to_state=to,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )


def tell(call: Call, settlement_id: UUID, region_id: str, event: str, **facts: Any) -> None:
    """Leave a deed in the audit trail and announce it."""
    subject = public_id(SETTLEMENT, settlement_id)
    audit(call, event, subject=subject, **facts)
    announce(call, event, region_id=region_id, subject=subject, **facts)


def _own(call: Call, row: Row[Any] | None) -> Told:
    if row is None:
        raise NotFound("no such settlement")
    of_a_merchant = call.actor.kind is ActorKind.MERCHANT
    own = row.merchant_id == call.actor.organisation_id if of_a_merchant else row.region_id == call.region
    require(own, NotFound("no such settlement"))
    return _told(row)


def _told(row: Row[Any]) -> Told:
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    digest = told.pop("digest")
    shown = None if digest is None else bytes(digest).hex()
    for line in (told["dispute"] or {}).get("lines", ()):
        line["id"] = public_id(PREFIXES[What(line["what"])], UUID(line["id"]))
    return Told(**{**told, "state": State(row.state), "digest": shown})


_TOLD = (
    "SELECT s.id, s.region_id, s.merchant_id, s.rule_id, s.first_day, s.last_day, s.state, s.opened_at,"
    " s.closed_at, s.closed_by, s.dispute_until, s.line_count, s.coin_milli, s.payable_fen, s.by_funder,"
    " s.digest, to_jsonb(d) AS dispute, to_jsonb(a) AS answer, to_jsonb(p) AS payment FROM settlement s"
    " LEFT JOIN settlement_dispute d ON d.settlement_id = s.id"
    " LEFT JOIN settlement_answer a ON a.settlement_id = s.id"
    " LEFT JOIN settlement_payment p ON p.settlement_id = s.id"
)
_ONE = text(f"{_TOLD} WHERE s.id = :id")
_LISTED = text(
    f"{_TOLD} WHERE s.region_id = :region"
    " AND (CAST(:merchant AS uuid) IS NULL OR s.merchant_id = CAST(:merchant AS uuid))"
    " AND (CAST(:state AS text) IS NULL OR s.state = CAST(:state AS text))"
    " AND (CAST(:before AS uuid) IS NULL OR s.id < CAST(:before AS uuid)) ORDER BY s.id DESC LIMIT :most"
)
_LOCK = text("SELECT 1 FROM settlement WHERE id = :id FOR UPDATE")
_MOVE = text("UPDATE settlement SET state = :to WHERE id = :id AND state = :from")
