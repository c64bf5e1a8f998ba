"""What keeps a citizen from what is on the shelf, in the order in which an exchange would say it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import Refusal
from ledger.chart import Kind, Unit
from ledger.errors import NotEnough
from ledger.statements import balances
from rewards.catalogue.errors import (
    OthersWait,
    OutOfStockAtStore,
    OutOfStockToday,
    PeriodLimitReached,
    RewardClosedNow,
    RewardForGroup,
    RewardForOtherRegions,
)
from rewards.catalogue.hours import open_at
from rewards.catalogue.periods import periods_of
from rewards.catalogue.reward_states import PlaceState, RewardState
from rewards.errors import OutOfStock, RewardLimitReached, RewardNotOnSale
from rewards.tables import WHOLE

if TYPE_CHECKING:
    from rewards.catalogue.shelf import OnShelf


def standing_of(call: Call, items: Sequence["OnShelf"]) -> dict[UUID, str | None]:
    """By reward, the code of the first refusal the caller would meet now; None where there is none."""
    if not items:
        return {}
    values = {"holder": call.actor.known_id, "rewards": [item.id for item in items], "now": call.now}
    mine = {row.id: row for row in call.db.execute(_MINE, values)}
    coins = sum(
        each.available
        for each in balances(call, call.actor.known_id)
        if each.kind is Kind.CITIZEN and each.unit is Unit.COIN and not each.frozen
    )
    return {item.id: _against(call, item, mine[item.id], coins) for item in items}


def _against(call: Call, item: "OnShelf", mine: Any, coins: int) -> str | None:
    used: dict[str, int] = mine.used or {}
    inside = [used.get(period, 0) for period in periods_of(item.limit_period, call.today) if period != WHOLE]
    offered = mine.place == PlaceState.OFFERED and mine.held_until > call.now
    shares = [store["remaining"] for store in item.stores]
    met: tuple[tuple[type[Refusal], bool], ...] = (
        (RewardNotOnSale, item.state != RewardState.PUBLISHED or not item.sells_from <= call.now),
        (RewardNotOnSale, call.now >= item.sells_until or item.price_coin_milli is None),
        (RewardForOtherRegions, call.region not in item.regions),
        (RewardForGroup, item.group_id is not None and not mine.in_group),
        (RewardClosedNow, not open_at(item.exchange_hours, call.now)),
        (PeriodLimitReached, any(count >= (item.limit_in_period or 0) for count in inside)),
        (RewardLimitReached, used.get(WHOLE, 0) >= item.limit_per_person),
        (NotEnough, coins < (item.price_coin_milli or 0)),
        (OutOfStockToday, item.remaining_today == 0),
        (OutOfStockAtStore, bool(shares) and not any(shares)),
        (OutOfStock, item.remaining == 0 and not offered),
        (OthersWait, item.waits and bool(mine.others) and not offered),
    )
    return next((refusal.code for refusal, holds in met if holds), None)


_MINE = text(
    "SELECT r.id, EXISTS (SELECT FROM reward_group_member m WHERE m.holder_id = :holder"
    " AND m.group_id = r.group_id) AS in_group,"
    " (SELECT jsonb_object_agg(u.period, u.used) FROM reward_use u WHERE u.holder_id = :holder"
    "  AND u.reward_id = r.id) AS used, p.state AS place, p.held_until,"
    " r.waits AND EXISTS (SELECT FROM reward_place o WHERE o.reward_id = r.id AND o.state = 'waiting')"
    " AS others"
    " FROM reward r LEFT JOIN reward_place p ON p.holder_id = :holder AND p.reward_id = r.id"
    " AND p.state IN ('waiting', 'offered') WHERE r.id = ANY (CAST(:rewards AS uuid[]))"
)
