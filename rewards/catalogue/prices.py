"""What a reward costs, version by version: a price applies from an instant on and is never edited.

Of the versions that have begun the last one written is paid, so a price announced for later is taken back by
writing another that begins before it. A voucher names the version it was bought at.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import require
from kernel.identifiers import public_id
from rewards.catalogue.errors import PriceBackdated, RewardNotPublished
from rewards.catalogue.lives import held
from rewards.catalogue.reward_states import RewardState
from rewards.catalogue.tables import RewardPrice

PRICES_SHOWN_MOST = 200
PRICE_IN_FORCE = (
    "SELECT p.price_coin_milli, p.no FROM reward_price p WHERE p.reward_id = r.id AND p.applies_from <= :now"
    " ORDER BY p.no DESC LIMIT 1"
)
"""The price of reward `r` at `:now`."""


def first_price(call: Call, reward_id: UUID, price_coin_milli: int) -> None:
    """Write what a draft costs."""
    call.db.add(_version(call, reward_id, no=1, price=price_coin_milli, since=call.now, reason="drafted"))


def change_price(
    call: Call, reward_id: UUID, *, price_coin_milli: int, applies_from: datetime | None, reason: str
) -> RewardPrice:
    """Write a price that applies from now, or from later on. Two at once get numbers one after the other.

    Refuses, in this order: `NotFound`, `RewardNotPublished`, `PriceBackdated`.
    """
    reward = held(call, reward_id)
    require(reward.state == RewardState.PUBLISHED, RewardNotPublished(state=reward.state))
    since = call.now if applies_from is None else applies_from
    require(since >= call.now, PriceBackdated(pointer="/body/applies_from"))
    last = call.db.scalar(select(func.max(RewardPrice.no)).where(RewardPrice.reward_id == reward_id))
    version = _version(
        call, reward_id, no=int(last or 0) + 1, price=price_coin_milli, since=since, reason=reason
    )
    call.db.add(version)
    audit(call, "reward.priced", subject=public_id("rwd", reward_id), price_coin_milli=price_coin_milli)
    return version


def price_history(call: Call, reward_id: UUID) -> list[RewardPrice]:
    """The versions, newest first."""
    written = select(RewardPrice).where(RewardPrice.reward_id == reward_id)
    return list(call.db.scalars(written.order_by(RewardPrice.no.desc()).limit(PRICES_SHOWN_MOST)))


def _version(
    call: Call, reward_id: UUID, *, no: int, price: int, since: datetime, reason: str
) -> RewardPrice:
    return RewardPrice(
        reward_id=reward_id,
        no=no,
        region_id=call.region,
        price_coin_milli=price,
        applies_from=since,
        principal=call.actor.principal,
        reason=reason,
        recorded_at=call.now,
    )
