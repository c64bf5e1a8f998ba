"""A voucher honoured twice, or when it was gone: the case with both parties, and who bears it.

The published rule says who bears a second use. Where the funders do, they owe the merchant as for a
redemption, up to what one till may honour between two syncs, in any span of as many hours as records have to
arrive; what is beyond that, what arrives too late, whatever became of the voucher meanwhile, and what the
same till had honoured online the merchant bears. A citizen never does.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from kernel.call import Call
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from kernel.publications.rules import OfflineRule
from ledger.accounts import find_account
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post
from merchants.offline_records import Record
from merchants.terminals import KnownTerminal
from rewards.presented_codes import Shown

CONFLICT = "ofc"
SOURCE = "offline"
MERCHANT, FUNDERS = "merchant", "funders"
LATE, FROZEN, REVERSED, REDEEMED = "late", "frozen", "reversed", "redeemed"


@dataclass(frozen=True, kw_only=True)
class Other:
    """Who else used or ended the voucher: a redemption and its till, or the principal that ended it."""

    redemption_id: UUID | None = None
    terminal_id: UUID | None = None
    principal: str | None = None


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """A case as merchants and operators read it; `other_by` is what sort of caller ended the voucher."""

    id: UUID
    cause: str
    terminal_id: UUID
    counter: int
    store_id: UUID
    merchant_id: UUID
    voucher_id: UUID
    cycle: int
    scanned_at: datetime
    recorded_at: datetime
    other_redemption_id: UUID | None
    other_terminal_id: UUID | None
    other_store_id: UUID | None
    other_merchant_id: UUID | None
    other_by: str | None
    liable: str
    cost_fen: int


def open_case(
    call: Call,
    terminal: KnownTerminal,
    voucher: Shown,
    record: Record,
    *,
    cycle: int,
    cause: str,
    other: Other,
    rule: OfflineRule,
    late: bool,
) -> UUID:
    """Write a case, and what the funders owe for it; the till's row is locked, so its cap holds."""
    own = other.terminal_id == terminal.id  # one till's two uses of one voucher are that till's affair
    liable = MERCHANT if late or own else _bearer(call, terminal, voucher, rule=rule)
    payables = _payables(call, terminal, voucher, record) if liable == FUNDERS else []
    case = new_id()
    written = {
        "id": case,
        "region": terminal.region_id,
        "terminal": terminal.id,
        "counter": record.counter,
        "merchant": terminal.merchant_id,
        "store": terminal.store_id,
        "holder": voucher.key.holder_id,
        "voucher": voucher.key.voucher_id,
        "cycle": cycle,
        "cause": cause,
        "other_redemption": other.redemption_id,
        "other_terminal": other.terminal_id,
        "other_principal": other.principal,
        "liable": liable,
        "cost": voucher.cost_fen,
        "payables": Jsonb(payables),
        "today": call.today,
        "scanned": record.scanned_at,
        "now": call.now,
    }
    call.db.execute(_OPEN, written)
    subject = public_id(CONFLICT, case)
    announce(
        call, "offline.conflict", region_id=terminal.region_id, subject=subject, cause=cause, liable=liable
    )
    return case


def other_party(call: Call, voucher: Shown, *, cycle: int) -> tuple[str, Other]:
    """What became of a use of a taken voucher that is no longer live, and through whom."""
    values = {"holder": voucher.key.holder_id, "voucher": voucher.key.voucher_id, "cycle": cycle}
    used = call.db.execute(_USED, values).one_or_none()
    if used is not None:
        cause = REDEEMED if used.reversed_at is None else REVERSED
        return cause, Other(redemption_id=used.id, terminal_id=used.terminal_id)
    ended = call.db.execute(_ENDED, values).scalar_one_or_none()
    return voucher.state.value, Other(principal=ended)


def conflicts(call: Call, page: PageRequest, *, merchant_id: UUID | None = None) -> Page[Conflict]:
    """Cases of the caller's region, newest first; of one merchant, those in which it is either party."""
    binding = f"offline-conflicts/{call.region}/{merchant_id}"
    position = page.position(binding, UUID)
    values = {
        "region": call.region,
        "merchant": merchant_id,
        "before": position[0] if position else None,
        "most": page.limit + 1,
    }
    found = [_conflict(row) for row in call.db.execute(_LISTED, values)]
    return page.page(found, binding, lambda item: [str(item.id)])


def _bearer(call: Call, terminal: KnownTerminal, voucher: Shown, *, rule: OfflineRule) -> str:
    if rule.liable == MERCHANT:
        return MERCHANT
    since = call.now - timedelta(hours=rule.sync_hours)
    borne = call.db.execute(_BORNE, {"terminal": terminal.id, "since": since}).one()
    within = borne.cases < rule.redemptions and borne.fen + voucher.cost_fen <= rule.total_fen
    return FUNDERS if within and voucher.cost_fen <= rule.face_fen else MERCHANT


def _payables(call: Call, terminal: KnownTerminal, voucher: Shown, record: Record) -> list[dict[str, Any]]:
    owed = []
    for share in voucher.funding:
        if share["cost_fen"] == 0:
            continue
        funder = find_account(call, UUID(share["funder_id"]), kind=Kind.FUNDER, unit=Unit.CNY)
        transfer = Transfer(
            account=terminal.yuan_account,
            contra=funder,
            amount=share["cost_fen"],
            code=Code.PAYABLE,
            source=SOURCE,
            reference=f"{terminal.id}/{record.counter}/payable/{share['funder_id']}",
            occurred_at=call.now,
        )
        owed.append({**share, "transfer_id": post(call, transfer).transfer_id})
    return owed


def _conflict(row: Row[Any]) -> Conflict:
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    principal = told.pop("other_principal")
    return Conflict(**told, other_by=None if principal is None else principal.partition(":")[0])


_OPEN = text(
    "INSERT INTO offline_conflict (id, region_id, terminal_id, counter, merchant_id, store_id, holder_id,"
    " voucher_id, cycle, cause, other_redemption_id, other_terminal_id, other_principal, liable, cost_fen,"
    " payables, business_day, scanned_at, recorded_at)"
    " VALUES (:id, :region, :terminal, :counter, :merchant, :store, :holder, :voucher, :cycle, :cause,"
    " CAST(:other_redemption AS uuid), CAST(:other_terminal AS uuid), CAST(:other_principal AS text),"
    " :liable, :cost, :payables, :today, :scanned, :now)"
)
_USED = text(
    "SELECT r.id, r.terminal_id, b.reversed_at FROM redemption r"
    " LEFT JOIN redemption_reversal b ON b.redemption_id = r.id"
    " WHERE r.voucher_id = :voucher AND r.cycle = :cycle"
)
# Who closed it is who ended it: when the closing is over, a job writes the last step.
_ENDED = text(
    "SELECT principal FROM voucher_step WHERE holder_id = :holder AND voucher_id = :voucher"
    " AND cycle = :cycle AND to_state IN ('closing', 'expired', 'cancelled', 'deactivated')"
    " ORDER BY id LIMIT 1"
)
_BORNE = text(
    "SELECT count(*) AS cases, coalesce(sum(cost_fen), 0) AS fen FROM offline_conflict"
    " WHERE terminal_id = :terminal AND recorded_at > :since AND liable = 'funders'"
)
_LISTED = text(
    "SELECT f.id, f.cause, f.terminal_id, f.counter, f.store_id, f.merchant_id, f.voucher_id, f.cycle,"
    " f.scanned_at, f.recorded_at, f.other_redemption_id, f.other_terminal_id, t.store_id AS other_store_id,"
    " t.merchant_id AS other_merchant_id, f.other_principal, f.liable, f.cost_fen"
    " FROM offline_conflict f LEFT JOIN terminal t ON t.id = f.other_terminal_id"
    " WHERE f.region_id = :region AND (CAST(:before AS uuid) IS NULL OR f.id < CAST(:before AS uuid))"
    " AND (CAST(:merchant AS uuid) IS NULL OR f.merchant_id = CAST(:merchant AS uuid)"
    "  OR t.merchant_id = CAST(:merchant AS uuid)) ORDER BY f.id DESC LIMIT :most"
)
