"""The end of a closing: adjustments, fee and subsidy join the lines, all is summed, and booked once.

An adjustment that would leave the merchant owing waits for a settlement that can bear it, so what a
settlement comes to is never below zero.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Row, text

from kernel.call import Call
from kernel.clock import day_bounds
from kernel.errors import BrokenInvariant
from ledger.accounts import Account, find_account, institution
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post
from merchants.redemption import merchant_account
from merchants.settlement import terms as arithmetic
from merchants.settlement.lines import Head, Sums, all_lines, summed
from merchants.settlement.periods import Terms, terms_by_id
from merchants.settlement.records import tell, write_step
from merchants.settlement.states import State, What
from merchants.settlement.terms import Extra

SOURCE = "settlement"
MOST_ADJUSTMENTS = 1000


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What a settlement costs and brings beside its lines."""

    fee: Extra
    subsidy: Extra


def extras(terms: Terms, *, uses: int, cost: dict[str, int]) -> Extras:
    """Fee and subsidy of uses that stand."""
    return Extras(
        fee=arithmetic.fee(terms, uses=uses, cost=cost),
        subsidy=arithmetic.subsidy(terms, uses=uses, cost=cost),
    )


def head_of(row: Row[Any]) -> Head:
    """The head of a settlement's row."""
    return Head(
        settlement_id=row.id,
        merchant_id=row.merchant_id,
        first_day=row.first_day,
        last_day=row.last_day,
        rule_id=row.rule_id,
    )


def close_with_figures(call: Call, row: Row[Any]) -> None:
    """Close a settlement whose uses are all claimed; its row is locked and open."""
    terms, values = terms_by_id(call, row.rule_id), {"settlement": row.id}
    so_far = call.db.execute(_SO_FAR, values).one()
    cost = {share.funder: int(share.fen) for share in call.db.execute(_COST, values)}
    extra = extras(terms, uses=int(so_far.uses), cost=cost)
    _add(call, row, What.FEE, extra.fee)
    _add(call, row, What.SUBSIDY, extra.subsidy)
    payable = int(so_far.payable_fen) + extra.fee.payable_fen + extra.subsidy.payable_fen
    _add_adjustments(call, row, payable_fen=payable, coin_milli=int(so_far.coin_milli))
    sums = summed(head_of(row), all_lines(call, row.id))
    _book_extras(call, row, extra)
    _book(call, row, sums)
    done = call.db.execute(_CLOSE, _closed(call, row, sums, terms))
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a locked settlement changed under us")
    write_step(call, row.id, row.region_id, State.CLOSED, came_from=State.OPEN, reason="all is claimed")
    tell(call, row.id, row.region_id, "settlement.closed", payable_fen=sums.payable_fen, lines=sums.lines)


def _closed(call: Call, row: Row[Any], sums: Sums, terms: Terms) -> dict[str, Any]:
    _, until = day_bounds(call.today + timedelta(days=terms.dispute_days))
    return {
        "id": row.id,
        "now": call.now,
        "by": call.actor.principal,
        "until": until,
        "lines": sums.lines,
        "coin": sums.coin_milli,
        "payable": sums.payable_fen,
        "owed": Jsonb(sums.by_funder()),
        "digest": sums.digest(),
    }


def _add(call: Call, row: Row[Any], what: What, extra: Extra) -> None:
    if not (extra.payable_fen or extra.centre_fen):
        return
    shares = [{"funder_id": funder, "fen": fen} for funder, fen in sorted(extra.shares.items())]
    values = {
        "settlement": row.id,
        "region": row.region_id,
        "what": what.value,
        "day": row.last_day,
        "now": call.now,
        "payable": extra.payable_fen,
        "centre": extra.centre_fen,
        "shares": Jsonb(shares),
    }
    call.db.execute(_ADD, values)


def _add_adjustments(call: Call, row: Row[Any], *, payable_fen: int, coin_milli: int) -> None:
    """What brings something first, so that nothing is paid out that the same settlement could keep back."""
    values = {"merchant": row.merchant_id, "last": row.last_day, "most": MOST_ADJUSTMENTS}
    taken = []
    for bringing in call.db.execute(_BRINGING, values).all():
        payable_fen += bringing.payable_fen
        taken.append(bringing.id)
    bearable = {**values, "payable": payable_fen, "coin": coin_milli}
    for taking in call.db.execute(_TAKING, bearable).all():
        left = payable_fen + taking.payable_fen, coin_milli + taking.coin_milli
        if min(left) >= 0:
            payable_fen, coin_milli = left
            taken.append(taking.id)
    if taken:
        call.db.execute(_ADJUST, {"settlement": row.id, "ids": taken})


def _book_extras(call: Call, row: Row[Any], extra: Extras) -> None:
    """FEE and SUBSIDY, a row of each who pays or is paid."""
    centre = institution(call, row.region_id, kind=Kind.CENTRE, unit=Unit.CNY)
    merchant = merchant_account(call, row.merchant_id, Unit.CNY)
    if extra.fee.payable_fen:
        _post(call, row, merchant, centre, amount=extra.fee.payable_fen, code=Code.FEE, to="merchant")
    for funder_id, fen in extra.fee.shares.items():
        _post(call, row, _funder(call, funder_id), centre, amount=-fen, code=Code.FEE, to=funder_id)
    for funder_id, fen in extra.subsidy.shares.items():
        _post(call, row, merchant, _funder(call, funder_id), amount=fen, code=Code.SUBSIDY, to=funder_id)
    if extra.subsidy.centre_fen:
        of_centre = -extra.subsidy.centre_fen
        _post(call, row, merchant, centre, amount=of_centre, code=Code.SUBSIDY, to="centre")


def _book(call: Call, row: Row[Any], sums: Sums) -> None:
    """SETTLE: what the merchant got of coins and is owed in fen leaves its accounts."""
    for unit, amount in ((Unit.COIN, sums.coin_milli), (Unit.CNY, sums.payable_fen)):
        if amount:
            settled = institution(call, row.region_id, kind=Kind.SETTLED, unit=unit)
            merchant = merchant_account(call, row.merchant_id, unit)
            _post(call, row, merchant, settled, amount=-amount, code=Code.SETTLE, to=unit.value)


def _post(
    call: Call, row: Row[Any], account: Account, contra: Account, *, amount: int, code: Code, to: str
) -> None:
    post(
        call,
        Transfer(
            account=account,
            contra=contra,
            amount=amount,
            code=code,
            source=SOURCE,
            reference=f"{row.id}/{code.value.lower()}/{to}",
            occurred_at=call.now,
        ),
    )


def _funder(call: Call, funder_id: str) -> Account:
    return find_account(call, UUID(funder_id), kind=Kind.FUNDER, unit=Unit.CNY)


_SO_FAR = text(
    "SELECT count(*) FILTER (WHERE what = 'redemption') - count(*) FILTER (WHERE what = 'reversal') AS uses,"
    " coalesce(sum(payable_fen), 0) AS payable_fen, coalesce(sum(coin_milli), 0) AS coin_milli"
    " FROM settlement_line WHERE settlement_id = :settlement"
)
_COST = text(
    "SELECT s ->> 'funder_id' AS funder, sum((s ->> 'fen')::bigint) AS fen FROM settlement_line l,"
    " jsonb_array_elements(l.shares) s WHERE l.settlement_id = :settlement"
    " AND l.what IN ('redemption', 'reversal') GROUP BY 1 ORDER BY 1"
)
_ADD = text(
    "INSERT INTO settlement_line (subject_id, what, settlement_id, region_id, business_day, happened_at,"
    " coin_milli, payable_fen, centre_fen, shares)"
    " VALUES (:settlement, :what, :settlement, :region, :day, :now, 0, :payable, :centre, :shares)"
)
_WAITING = (
    "SELECT a.id, a.payable_fen, a.coin_milli FROM settlement_adjustment a WHERE a.merchant_id = :merchant"
    " AND a.state = 'approved' AND a.decided_on <= :last AND NOT EXISTS (SELECT 1 FROM settlement_line l"
    " WHERE l.subject_id = a.id AND l.what = 'adjustment') AND {which}"
    " ORDER BY a.decided_at, a.id LIMIT :most"
)
_BRINGING = text(_WAITING.format(which="a.payable_fen >= 0 AND a.coin_milli = 0"))
# What cannot be borne even alone is not read: however much of it waits, it keeps nothing else waiting.
_TAKING = text(
    _WAITING.format(
        which="(a.payable_fen < 0 OR a.coin_milli < 0)"
        " AND a.payable_fen >= -CAST(:payable AS bigint) AND a.coin_milli >= -CAST(:coin AS bigint)"
    )
)
_ADJUST = text(
    "INSERT INTO settlement_line (subject_id, what, settlement_id, region_id, business_day, happened_at,"
    " coin_milli, payable_fen, centre_fen, shares) SELECT id, 'adjustment', :settlement, region_id,"
    " decided_on, decided_at, coin_milli, payable_fen, 0, shares FROM settlement_adjustment"
    " WHERE id = ANY (CAST(:ids AS uuid[]))"
)
_CLOSE = text(
    "UPDATE settlement SET state = 'closed', closed_at = :now, closed_by = :by, dispute_until = :until,"
    " line_count = :lines, coin_milli = :coin, payable_fen = :payable, by_funder = :owed, digest = :digest"
    " WHERE id = :id AND state = 'open'"
)
