"""Rules of settling, days of shopping and periods that close, in a few words."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.publications.publishing import Draft, draft, publish
from ledger.chart import Unit
from ledger.reconciliation import CHECKS as LEDGER
from ledger.reconciliation import reconcile
from merchants.reconciliation import CHECKS
from merchants.redemption import Redeemed, merchant_account, redeem
from merchants.redemption_reversal import reverse
from merchants.settlement.closing import close_next
from merchants.settlement.lines import Line, all_lines
from merchants.settlement.records import Told, settlement_of
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.vouchers import Key
from tests.conftest import NOW, REGION, at
from tests.ledger.world import Citizen
from tests.merchants.world import Market
from tests.rewards.world import acting, actor, as_citizen

TERMS: dict[str, Any] = {
    "period": "daily",
    "last_day": 1,
    "close_days": 2,
    "dispute_days": 5,
    "silence": "confirms",
    "fee_basis_points": 0,
    "fee_fen_each": 0,
    "fee_bearer": "merchant",
    "subsidy_basis_points": 0,
    "subsidy_fen_each": 0,
    "subsidy_bearer": "funders",
}
CLOSING = NOW + timedelta(days=2)
"""When what happened at NOW is due: its window of 24 hours is over, and two days have passed."""


def publish_terms(call: Call, *, since: date = date(2026, 1, 1), **changes: Any) -> UUID:
    """A rule of settling; a day is closed two days later unless `changes` say otherwise."""
    wanted = Draft(
        region_id=REGION,
        kind="settlement",
        subject="standard",
        title="settlement",
        content={**TERMS, **changes},
        source="rules of the test",
        effective_from=since,
    )
    made = draft(acting(call, ActorKind.OPERATOR), wanted)
    return publish(acting(call, ActorKind.OPERATOR), made.id, reason="test").id


def used(call: Call, place: Market, who: Citizen, *, now: datetime = NOW) -> Redeemed:
    """A voucher bought and redeemed."""
    then = at(call, now)
    key = exchange(as_citizen(then, who), place.reward_id)
    return redeemed(then, place, who, key)


def redeemed(call: Call, place: Market, who: Citizen, key: Key) -> Redeemed:
    """A voucher redeemed now."""
    code = live_codes(as_citizen(call, who), key.voucher_id)[0].text
    return redeem(place.at_till(call), code)


def undone(call: Call, place: Market, redemption_id: UUID, *, now: datetime = NOW) -> None:
    """A redemption reversed at the till."""
    reverse(place.at_till(at(call, now)), redemption_id, reason="wrong item")


def closed(call: Call, place: Market, *, now: datetime = CLOSING, most: int = 500) -> list[Told]:
    """Close what is due, part by part, in one transaction; the settlements that came of it."""
    then = at(call, now)
    before = _settlements(call)
    while close_next(then, place.merchant_id, most=most):
        pass
    return [settlement_of(then, each) for each in _settlements(call) if each not in before]


def _settlements(call: Call) -> list[UUID]:
    found = call.db.execute(text("SELECT id FROM settlement ORDER BY last_day"))
    return list(found.scalars())


def lines_of(call: Call, settlement: Told) -> list[Line]:
    """All lines of a settlement."""
    return list(all_lines(call, settlement.id))


def merchant_has(call: Call, place: Market) -> tuple[int, int]:
    """What the ledger still holds for the merchant: milli-coins and fen."""
    return (_fold(call, place, Unit.COIN), _fold(call, place, Unit.CNY))


def _fold(call: Call, place: Market, unit: Unit) -> int:
    account = merchant_account(call, place.merchant_id, unit)
    own = text(
        "SELECT coalesce(sum(CASE WHEN account_id = :account THEN amount ELSE -amount END), 0)"
        " FROM ledger_transfer WHERE account_id = :account OR contra_id = :account"
    )
    return int(call.db.execute(own, {"account": account.id}).scalar_one())


def clerk(place: Market) -> Actor:
    """Somebody of the merchant."""
    return actor(ActorKind.MERCHANT, organisation=place.merchant_id)


def operator() -> Actor:
    """Somebody of the operation centre, another each time."""
    return actor(ActorKind.OPERATOR)


def sound(call: Call, *, now: datetime = CLOSING) -> None:
    """Every invariant of the ledger, of vouchers and of settlements holds."""
    outcomes = reconcile(at(call, now), (*LEDGER, *CHECKS))
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


Work = Callable[[Call], Any]
