"""A settlement made again from the redemptions, the rule and the rows of the ledger, and held against itself.

Of the stored lines only what they claim is believed, not one figure: coins and fen are read off transfers,
fee and subsidy are worked out anew. So a line that was changed, or a row of the ledger, shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.errors import require
from ledger.chart import Unit
from merchants.redemption import merchant_account
from merchants.settlement.errors import SettlementElsewhere
from merchants.settlement.figures import extras
from merchants.settlement.lines import Line, Sums, all_lines, summed
from merchants.settlement.periods import terms_by_id
from merchants.settlement.records import Told, settlement_of
from merchants.settlement.states import State, What
from merchants.settlement.terms import Extra

MOST_DIFFERENCES = 20


@dataclass(frozen=True, kw_only=True)
class Rederived:
    """What came of it: the digest made again, the figures, and the lines that differ, some of them."""

    told: Told
    digest: str
    payable_fen: int
    coin_milli: int
    lines: int
    settled_fen: int
    settled_coin_milli: int
    """What the ledger's own SETTLE rows say."""
    differing: Sequence[str]

    @property
    def equal(self) -> bool:
        """Whether digest, sums and the ledger all agree."""
        figures = (self.payable_fen, self.coin_milli, self.lines)
        stored = (self.told.payable_fen, self.told.coin_milli, self.told.line_count)
        settled = (self.settled_fen, self.settled_coin_milli)
        return self.digest == self.told.digest and figures == stored and settled == figures[:2]


def rederive(call: Call, settlement_id: UUID) -> Rederived:
    """Make a closed settlement again; refuses, in this order: `NotFound`, `SettlementElsewhere`."""
    told = settlement_of(call, settlement_id)
    require(told.state is not State.OPEN, SettlementElsewhere(state=told.state.value))
    lines = _derived(call, told)
    sums = summed(told.head, lines)
    settled = call.db.execute(_SETTLED, {"merchant": told.merchant_id, "like": f"{told.id}/settle/%"}).one()
    return Rederived(
        told=told,
        digest=sums.digest().hex(),
        payable_fen=sums.payable_fen,
        coin_milli=sums.coin_milli,
        lines=sums.lines,
        settled_fen=int(settled.fen),
        settled_coin_milli=int(settled.coin),
        differing=_differing(call, told, lines),
    )


def _derived(call: Call, told: Told) -> list[Line]:
    account = merchant_account(call, told.merchant_id, Unit.CNY)
    values = {"settlement": told.id, "merchant": told.merchant_id, "owed": account.id}
    lines = [_line(row) for query in _QUERIES for row in call.db.execute(query, values)]
    lines += _extras(call, told, lines)
    return sorted(lines, key=lambda line: line.place)


def _extras(call: Call, told: Told, lines: Sequence[Line]) -> list[Line]:
    stood = [line for line in lines if line.what in {What.REDEMPTION, What.REVERSAL}]
    sums = Sums(told.head)
    for line in stood:
        sums.add(line)
    signs = {What.REDEMPTION: 1, What.REVERSAL: -1}
    cost = {str(funder): fen for funder, fen in sums.owed.items()}
    terms = terms_by_id(call, told.rule_id)
    extra = extras(terms, uses=sum(signs[line.what] for line in stood), cost=cost)
    both = ((What.FEE, extra.fee), (What.SUBSIDY, extra.subsidy))
    return [_extra(told, what, each) for what, each in both if each.payable_fen or each.centre_fen]


def _extra(told: Told, what: What, extra: Extra) -> Line:
    if told.closed_at is None:
        raise SettlementElsewhere
    return Line(
        what=what,
        subject_id=told.id,
        store_id=None,
        terminal_id=None,
        business_day=told.last_day,
        happened_at=told.closed_at,
        coin_milli=0,
        payable_fen=extra.payable_fen,
        centre_fen=extra.centre_fen,
        shares={UUID(funder): fen for funder, fen in extra.shares.items()},
    )


def _line(row: Row[Any]) -> Line:
    shares = {UUID(share["funder_id"]): int(share["fen"]) for share in row.shares or ()}
    return Line(
        what=What(row.what),
        subject_id=row.id,
        store_id=row.store_id,
        terminal_id=row.terminal_id,
        business_day=row.business_day,
        happened_at=row.happened_at,
        coin_milli=int(row.coin_milli),
        payable_fen=sum(shares.values()),
        centre_fen=0,
        shares=shares,
    )


def _differing(call: Call, told: Told, lines: Sequence[Line]) -> list[str]:
    """The lines that are stored otherwise, not at all, or too many."""
    stored = {(line.what, line.subject_id): line for line in all_lines(call, told.id)}
    made = {(line.what, line.subject_id): line for line in lines}
    found = [key for key in {**stored, **made} if stored.get(key) != made.get(key)]
    named = sorted(f"{what} {(stored.get((what, each)) or made[what, each]).public}" for what, each in found)
    return named[:MOST_DIFFERENCES]


def _owed_by(reference: str, code: str) -> str:
    """Shares as the ledger has them: rows of the merchant's account under one reference a funder."""
    return (
        "(SELECT jsonb_agg(jsonb_build_object('funder_id', a.holder_id, 'fen', t.amount))"  # noqa: S608 - our own text
        " FROM jsonb_array_elements(u.payables) p JOIN ledger_reference f ON f.holder_id = :merchant"
        f" AND {reference} JOIN ledger_transfer t ON t.holder_id = :merchant AND t.account_id = :owed"
        f" AND t.id = f.transfer_id AND t.code = '{code}' JOIN ledger_account a ON a.id = t.contra_id)"
    )


def _coins(ending: str, code: str) -> str:
    return (
        "(SELECT coalesce(-sum(t.amount), 0) FROM ledger_transfer t WHERE t.holder_id = u.holder_id"  # noqa: S608 - our own text
        f" AND t.code = '{code}'"
        f" AND t.reference = 'voucher/' || u.voucher_id || '/' || u.cycle || '{ending}')"
    )


_USE = (
    "f.source = 'voucher'"
    " AND f.reference = u.voucher_id || '/' || u.cycle || '/payable/' || (p ->> 'funder_id')"
)
_UNDONE = f"{_USE} || '/reversal'"
_CASE = (
    "f.source = 'offline'"
    " AND f.reference = u.terminal_id || '/' || u.counter || '/payable/' || (p ->> 'funder_id')"
)
_OF = (
    "FROM settlement_line l JOIN {table} u ON u.id = l.subject_id"
    " WHERE l.settlement_id = :settlement AND l.what = '{what}'"
)
_REDEMPTIONS = text(
    "SELECT l.what, u.id, u.store_id, u.terminal_id, u.business_day, u.redeemed_at AS happened_at,"
    f" {_coins('', 'REDEEM')} AS coin_milli, {_owed_by(_USE, 'PAYABLE')} AS shares"
    f" {_OF.format(table='redemption', what='redemption')}"
)
_REVERSALS = text(
    "SELECT l.what, u.id, u.store_id, u.terminal_id, b.business_day, b.reversed_at AS happened_at,"  # noqa: S608 - our own text
    f" {_coins('/reversal', 'REDEEM_REVERSAL')} AS coin_milli,"
    f" {_owed_by(_UNDONE, 'PAYABLE_REVERSAL')} AS shares"
    " FROM settlement_line l JOIN redemption u ON u.id = l.subject_id"
    " JOIN redemption_reversal b ON b.redemption_id = u.id"
    " WHERE l.settlement_id = :settlement AND l.what = 'reversal'"
)
_CASES = text(
    "SELECT l.what, u.id, u.store_id, u.terminal_id, u.business_day, u.recorded_at AS happened_at,"
    f" 0 AS coin_milli, {_owed_by(_CASE, 'PAYABLE')} AS shares"
    f" {_OF.format(table='offline_conflict', what='conflict')}"
)
_ADJUSTMENTS = text(
    "SELECT l.what, u.id, NULL::uuid AS store_id, NULL::uuid AS terminal_id,"  # noqa: S608 - our own text
    " u.decided_on AS business_day, u.decided_at AS happened_at,"
    " (SELECT coalesce(-sum(t.amount), 0) FROM ledger_transfer t"
    " JOIN redemption r ON r.id = u.redemption_id AND t.holder_id = r.holder_id WHERE t.code = 'ADJUST'"
    " AND t.reference = 'adjustment/' || u.id || '/coins') AS coin_milli,"
    " (SELECT jsonb_agg(jsonb_build_object('funder_id', a.holder_id, 'fen', t.amount))"
    " FROM ledger_reference f JOIN ledger_transfer t ON t.holder_id = :merchant AND t.account_id = :owed"
    " AND t.id = f.transfer_id AND t.code = 'ADJUST' JOIN ledger_account a ON a.id = t.contra_id"
    " WHERE f.holder_id = :merchant AND f.source = 'adjustment'"
    " AND f.reference LIKE u.id || '/%') AS shares"
    f" {_OF.format(table='settlement_adjustment', what='adjustment')}"
)
_QUERIES = (_REDEMPTIONS, _REVERSALS, _CASES, _ADJUSTMENTS)
_SETTLED = text(
    "SELECT coalesce(-sum(t.amount) FILTER (WHERE t.unit = 'cny'), 0) AS fen,"
    " coalesce(-sum(t.amount) FILTER (WHERE t.unit = 'coin'), 0) AS coin FROM ledger_reference f"
    " JOIN ledger_transfer t ON t.holder_id = f.holder_id AND t.id = f.transfer_id AND t.code = 'SETTLE'"
    " WHERE f.holder_id = :merchant AND f.source = 'settlement' AND f.reference LIKE :like"
)
