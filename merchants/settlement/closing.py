"""Closing a period: rows are claimed, not a span of time, part by part, then summed and booked once.

Claimed is every redemption with its reversal and every offline case that funders bear, without a settlement
yet, up to the period's last day and with no reversal possible any more. A redemption that was reversed is
claimed together with its reversal, never before. What commits or arrives later is claimed by the next
closing, under its own day. One settlement of a merchant is open at a time, its row is locked by whoever goes
on with it, and the key of a line is what it claims: a part that was cut off is done again by the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id
from merchants.onboarding import known_merchant
from merchants.settlement.errors import NotDueYet
from merchants.settlement.figures import close_with_figures
from merchants.settlement.periods import Period, period_from, rule_regions
from merchants.settlement.records import first_step
from merchants.settlement.states import State
from rewards.voucher_states import State as Voucher

AT_ONCE = 500
"""Uses claimed in one transaction: their vouchers are locked as long."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """A merchant that may have something to settle."""

    region_id: str
    merchant_id: UUID


def merchants_to_settle(call: Call) -> list[Due]:
    """Every merchant of the regions that say when they settle."""
    regions = rule_regions(call)
    rows = call.db.execute(_MERCHANTS, {"regions": regions}) if regions else ()
    return [Due(region_id=row.region_id, merchant_id=row.id) for row in rows]


def close_next(call: Call, merchant_id: UUID, *, most: int = AT_ONCE) -> int:
    """One part of what is due of a merchant; 0 when nothing is. Call it until then, each in a transaction.

    Refuses, in this order: `NotFound`, `NoRuleInForce`.
    """
    known_merchant(call, merchant_id)
    opened = _open_of(call, merchant_id) or _begin(call, merchant_id)
    if opened is None:
        return 0
    return 1 if _go_on(call, opened, most=most) else 0


def close_now(call: Call, merchant_id: UUID, *, most: int = AT_ONCE) -> UUID:
    """Close what is due of a merchant as far as one request may; the schedule goes on with a long one.

    Refuses, in this order: `NotFound`, `NoRuleInForce`, `NotDueYet`.
    """
    merchant = known_merchant(call, merchant_id)
    period_from(call, merchant.region_id, call.today)
    opened = _open_of(call, merchant_id) or _begin(call, merchant_id)
    if opened is None:
        raise NotDueYet
    _go_on(call, opened, most=most)
    return opened


def due_period(call: Call, merchant_id: UUID, region_id: str) -> Period | None:
    """The period to settle now: the first with something to claim that is behind those settled, if it is due.

    Refuses `NoRuleInForce` where nobody has said when that is.
    """
    found = call.db.execute(_DUE, {"merchant": merchant_id, "now": call.now}).one()
    if found.earliest is None:
        return None
    settled = found.settled
    day = found.earliest if settled is None else max(found.earliest, settled + timedelta(days=1))
    if day > call.today:
        return None
    period = period_from(call, region_id, day)
    return period if period.due_on() <= call.today else None


def _open_of(call: Call, merchant_id: UUID) -> UUID | None:
    found: UUID | None = call.db.execute(_OPEN, {"merchant": merchant_id}).scalar_one_or_none()
    return found


def _begin(call: Call, merchant_id: UUID) -> UUID | None:
    region = known_merchant(call, merchant_id).region_id
    period = due_period(call, merchant_id, region)
    if period is None:
        return None
    values = {
        "id": new_id(),
        "region": region,
        "merchant": merchant_id,
        "rule": period.terms.rule_id,
        "first": period.first,
        "last": period.last,
        "now": call.now,
    }
    begun = call.db.execute(_BEGIN, values).scalar_one_or_none()
    if begun is None:  # somebody else began it at the same moment
        return _open_of(call, merchant_id)
    first_step(call, begun, region_id=region, reason=f"{period.first} to {period.last}")
    return UUID(str(begun))


def _go_on(call: Call, settlement_id: UUID, *, most: int) -> bool:
    """Claim the next uses, or close when none are left; False when somebody else has closed it."""
    row = call.db.execute(_HOLD, {"id": settlement_id}).one_or_none()
    if row is None:
        return False
    found = call.db.execute(_PAGE, _page_values(call, row, most)).all()
    if found:
        _claim(call, row, found)
    cases = call.db.execute(_CLAIM_CASES, _claim_values(row, most=most))
    claimed = cases.rowcount  # type: ignore[attr-defined]  # cursor results have it
    if len(found) < most and claimed < most:
        close_with_figures(call, row)
    return True


def _page_values(call: Call, row: Row[Any], most: int) -> dict[str, Any]:
    return {
        "merchant": row.merchant_id,
        "last": row.last_day,
        "now": call.now,
        "day": row.claimed_day or date.min,
        "id": row.claimed_id or UUID(int=0),
        "most": most,
    }


def _claim_values(row: Row[Any], **more: Any) -> dict[str, Any]:
    return {
        "settlement": row.id,
        "region": row.region_id,
        "merchant": row.merchant_id,
        "last": row.last_day,
        **more,
    }


def _claim(call: Call, row: Row[Any], found: Sequence[Row[Any]]) -> None:
    """Write the lines of these uses; where a redemption stands, its voucher is settled with it.

    Vouchers are locked in the order that everybody locks them. A reversal that came first is seen behind the
    lock, and is claimed with its redemption, or leaves both to the next closing.
    """
    vouchers = {
        "holders": [use.holder_id for use in found],
        "vouchers": [use.voucher_id for use in found],
    }
    call.db.execute(_LOCK, vouchers)
    values = _claim_values(row, ids=[use.id for use in found], redeemed=Voucher.REDEEMED.value)
    call.db.execute(_CLAIM, values)
    call.db.execute(_CLAIM_REVERSALS, values)
    standing = call.db.execute(_STANDING, values).all()
    settled = call.db.execute(
        _SETTLE,
        {
            "holders": [use.holder_id for use in standing],
            "vouchers": [use.voucher_id for use in standing],
            "cycles": [use.cycle for use in standing],
            "steps": [new_id() for _ in standing],
            "principal": call.actor.principal,
            "reason": f"settled for {row.first_day} to {row.last_day}",
            "now": call.now,
        },
    )
    if settled.rowcount != len(standing):  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a redemption that stands is of a redeemed voucher")
    last = found[-1]
    call.db.execute(_GONE_THROUGH, {"id": row.id, "day": last.business_day, "last": last.id})


_CLAIMABLE = (
    "FROM redemption r LEFT JOIN redemption_reversal b ON b.redemption_id = r.id"
    " WHERE r.merchant_id = :merchant AND r.reversible_until <= :now AND NOT EXISTS (SELECT 1"
    " FROM settlement_line l WHERE l.subject_id = r.id AND l.what = 'redemption')"
)
_CASES = (
    "FROM offline_conflict f WHERE f.merchant_id = :merchant AND f.liable = 'funders'"
    " AND NOT EXISTS (SELECT 1 FROM settlement_line l WHERE l.subject_id = f.id AND l.what = 'conflict')"
)
_ADJUSTED = (
    "FROM settlement_adjustment a WHERE a.merchant_id = :merchant AND a.state = 'approved'"
    " AND NOT EXISTS (SELECT 1 FROM settlement_line l WHERE l.subject_id = a.id AND l.what = 'adjustment')"
)
_SHARES = (
    "(SELECT coalesce(jsonb_agg(jsonb_build_object('funder_id', p ->> 'funder_id',"
    " 'fen', {sign}(p ->> 'cost_fen')::bigint) ORDER BY p ->> 'funder_id'), '[]')"
    " FROM jsonb_array_elements({of}.payables) p)"
)
_INSERT = (
    "INSERT INTO settlement_line (subject_id, what, settlement_id, region_id, store_id, terminal_id,"
    " business_day, happened_at, coin_milli, payable_fen, centre_fen, shares)"
)
_MERCHANTS = text("SELECT id, region_id FROM merchant WHERE region_id = ANY (:regions) ORDER BY id")
_OPEN = text(f"SELECT id FROM settlement WHERE merchant_id = :merchant AND state = '{State.OPEN}'")  # noqa: S608 - our own state
# Adjustments alone that take something have nothing to be taken from: they wait. One statement sees one
# moment: who looked twice would open an empty period behind one that another closes meanwhile.
_DUE = text(
    f"SELECT least((SELECT min(greatest(r.business_day, b.business_day)) {_CLAIMABLE}),"  # noqa: S608 - our own text
    f" (SELECT min(f.business_day) {_CASES}),"
    f" (SELECT min(a.decided_on) {_ADJUSTED} AND a.payable_fen > 0 AND a.coin_milli = 0))"
    " AS earliest, (SELECT max(last_day) FROM settlement WHERE merchant_id = :merchant) AS settled"
)
_BEGIN = text(
    "INSERT INTO settlement (id, region_id, merchant_id, rule_id, first_day, last_day, state, opened_at)"
    " VALUES (:id, :region, :merchant, :rule, :first, :last, 'open', :now)"
    " ON CONFLICT DO NOTHING RETURNING id"
)
_HOLD = text("SELECT * FROM settlement WHERE id = :id AND state = 'open' FOR UPDATE")
_PAGE = text(
    f"SELECT r.id, r.business_day, r.holder_id, r.voucher_id {_CLAIMABLE}"
    " AND r.business_day <= :last AND (b.redemption_id IS NULL OR b.business_day <= :last)"
    " AND (r.business_day, r.id) > (:day, :id) ORDER BY r.business_day, r.id LIMIT :most"
)
_LOCK = text(
    "SELECT 1 FROM voucher v JOIN unnest(CAST(:holders AS uuid[]), CAST(:vouchers AS uuid[])) u (holder, id)"
    " ON v.holder_id = u.holder AND v.id = u.id ORDER BY v.holder_id, v.id FOR NO KEY UPDATE OF v"
)
_CLAIM = text(
    f"{_INSERT} SELECT r.id, 'redemption', :settlement, :region, r.store_id, r.terminal_id, r.business_day,"  # noqa: S608 - our own text
    f" r.redeemed_at, r.coin_milli, r.cost_fen, 0, {_SHARES.format(sign='', of='r')}"
    " FROM redemption r LEFT JOIN redemption_reversal b ON b.redemption_id = r.id"
    " WHERE r.id = ANY (CAST(:ids AS uuid[])) AND (b.business_day <= :last OR b.redemption_id IS NULL"
    " AND EXISTS (SELECT 1 FROM voucher v WHERE v.holder_id = r.holder_id AND v.id = r.voucher_id"
    " AND v.cycle = r.cycle AND v.state = :redeemed))"
)
_CLAIM_REVERSALS = text(
    f"{_INSERT} SELECT r.id, 'reversal', :settlement, :region, r.store_id, r.terminal_id, b.business_day,"  # noqa: S608 - our own text
    f" b.reversed_at, -r.coin_milli, -r.cost_fen, 0, {_SHARES.format(sign='-', of='r')}"
    " FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id"
    " JOIN settlement_line l ON l.subject_id = r.id AND l.what = 'redemption'"
    " WHERE r.id = ANY (CAST(:ids AS uuid[])) AND l.settlement_id = :settlement"
)
_CLAIM_CASES = text(
    f"{_INSERT} SELECT f.id, 'conflict', :settlement, :region, f.store_id, f.terminal_id, f.business_day,"
    f" f.recorded_at, 0, f.cost_fen, 0, {_SHARES.format(sign='', of='f')} {_CASES}"
    " AND f.business_day <= :last ORDER BY f.id LIMIT :most"
)
_STANDING = text(
    "SELECT r.holder_id, r.voucher_id, r.cycle FROM redemption r JOIN settlement_line l"
    " ON l.subject_id = r.id AND l.what = 'redemption' WHERE r.id = ANY (CAST(:ids AS uuid[]))"
    " AND NOT EXISTS (SELECT 1 FROM redemption_reversal b WHERE b.redemption_id = r.id)"
)
_SETTLE = text(
    "WITH use AS (SELECT * FROM unnest(CAST(:holders AS uuid[]), CAST(:vouchers AS uuid[]),"
    " CAST(:cycles AS integer[]), CAST(:steps AS uuid[])) u (holder, voucher, cycle, step)),"
    " moved AS (UPDATE voucher v SET state = 'settled' FROM use WHERE v.holder_id = use.holder"
    " AND v.id = use.voucher AND v.cycle = use.cycle AND v.state = 'redeemed'"
    " RETURNING v.holder_id, v.id, v.region_id, v.cycle, use.step)"
    " INSERT INTO voucher_step (holder_id, voucher_id, id, region_id, from_state, to_state, cycle, principal,"
    " reason, recorded_at) SELECT holder_id, id, step, region_id, 'redeemed', 'settled', cycle, :principal,"
    " :reason, :now FROM moved"
)
_GONE_THROUGH = text(
    "UPDATE settlement SET claimed_day = :day, claimed_id = :last WHERE id = :id AND state = 'open'"
)
