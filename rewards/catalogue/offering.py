"""What coins buy: offering a reward with its stock and who pays for it, and reading the shelf."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from ledger.accounts import open_account
from ledger.chart import Kind, Unit
from rewards.errors import FundingWrong
from rewards.stock import fill
from rewards.tables import Funder, Reward, RewardStock

REWARD, FUNDER = "rwd", "fnd"


@dataclass(frozen=True, kw_only=True)
class Share:
    """A funder's part of the cost; parts of all shares are weighed against each other."""

    funder_id: UUID
    parts: int


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A reward to put on the shelf. `scope_no` names the one store that honours it, if only one does."""

    title_zh: str
    title_en: str
    price_coin_milli: int
    cost_fen: int
    funding: Sequence[Share]
    valid_days: int
    limit_per_person: int
    stock: int
    sells_from: datetime
    sells_until: datetime
    merchant_id: UUID | None = None
    scope_no: int | None = None


@dataclass(frozen=True, kw_only=True)
class OnShelf:
    """A reward as people see it; `remaining` is what is left of the stock now."""

    id: UUID
    title_zh: str
    title_en: str
    price_coin_milli: int
    merchant_id: UUID | None
    valid_days: int
    limit_per_person: int
    remaining: int
    sells_until: datetime


def add_funder(call: Call, *, name_zh: str, name_en: str) -> UUID:
    """Enter who pays, with a ledger account of its own; returns its id."""
    funder = new_id()
    row = Funder(id=funder, region_id=call.region, name_zh=name_zh, name_en=name_en, created_at=call.now)
    call.db.add(row)
    open_account(call, funder, kind=Kind.FUNDER, unit=Unit.CNY, region_id=call.region)
    audit(call, "funder.added", subject=public_id(FUNDER, funder))
    return funder


def offer_reward(call: Call, offer: Offer) -> UUID:
    """Put a reward on the shelf with its stock; returns its id.

    Refuses `FundingWrong`, `NotFound` (a funder, merchant or store that is not of this region).
    """
    funders = [share.funder_id for share in offer.funding]
    whole = bool(funders) and len(set(funders)) == len(funders) and all(s.parts > 0 for s in offer.funding)
    require(whole, FundingWrong(pointer="/body/funding"))
    known = call.db.scalar(
        select(func.count()).where(Funder.id.in_(funders), Funder.region_id == call.region)
    )
    require(known == len(funders), NotFound("no such funder", pointer="/body/funding"))
    _require_honoured(call, offer)
    reward = new_id()
    call.db.add(
        Reward(
            id=reward,
            region_id=call.region,
            title_zh=offer.title_zh,
            title_en=offer.title_en,
            price_coin_milli=offer.price_coin_milli,
            cost_fen=offer.cost_fen,
            funding=[{"funder_id": str(share.funder_id), "parts": share.parts} for share in offer.funding],
            merchant_id=offer.merchant_id,
            scope_no=offer.scope_no,
            valid_days=offer.valid_days,
            limit_per_person=offer.limit_per_person,
            stock_total=offer.stock,
            state="on_sale",
            sells_from=offer.sells_from,
            sells_until=offer.sells_until,
            created_at=call.now,
        )
    )
    call.db.flush()  # the slots' foreign key needs the reward's row
    fill(call, reward, region_id=call.region, total=offer.stock)
    audit(call, "reward.offered", subject=public_id(REWARD, reward), stock=offer.stock)
    return reward


def _require_honoured(call: Call, offer: Offer) -> None:
    if offer.merchant_id is None and offer.scope_no is None:
        return
    values = {"merchant": offer.merchant_id, "scope": offer.scope_no, "region": call.region}
    known = call.db.execute(_HONOURED, values).one_or_none()
    require(known, NotFound("no such merchant, or no such store of it", pointer="/body/merchant_id"))


def shelf(call: Call, region_id: str, page: PageRequest) -> Page[OnShelf]:
    """The rewards on sale in a region now, newest first."""
    binding = f"shelf/{region_id}"
    position = page.position(binding, UUID)
    left = (
        select(func.sum(RewardStock.remaining))
        .where(RewardStock.reward_id == Reward.id)
        .correlate(Reward)
        .scalar_subquery()
    )
    query = (
        select(Reward, left.label("remaining"))
        .where(
            Reward.region_id == region_id,
            Reward.state == "on_sale",
            Reward.sells_from <= call.now,
            Reward.sells_until > call.now,
        )
        .order_by(Reward.id.desc())
        .limit(page.limit + 1)
    )
    if position is not None:
        query = query.where(Reward.id < position[0])
    found = [_on_shelf(reward, int(remaining or 0)) for reward, remaining in call.db.execute(query)]
    return page.page(found, binding, lambda item: [str(item.id)])


def split(cost_fen: int, funding: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Divide a cost by whole shares, by largest remainder; the parts sum to the cost exactly."""
    total = sum(share["parts"] for share in funding)
    floors = [cost_fen * share["parts"] // total for share in funding]
    by_remainder = sorted(
        range(len(funding)), key=lambda number: (-(cost_fen * funding[number]["parts"] % total), number)
    )
    for number in by_remainder[: cost_fen - sum(floors)]:
        floors[number] += 1
    return [
        {"funder_id": share["funder_id"], "cost_fen": part}
        for share, part in zip(funding, floors, strict=True)
    ]


def _on_shelf(reward: Reward, remaining: int) -> OnShelf:
    return OnShelf(
        id=reward.id,
        title_zh=reward.title_zh,
        title_en=reward.title_en,
        price_coin_milli=reward.price_coin_milli,
        merchant_id=reward.merchant_id,
        valid_days=reward.valid_days,
        limit_per_person=reward.limit_per_person,
        remaining=remaining,
        sells_until=reward.sells_until,
    )


# By name: merchants stand above this folder and are not imported from here.
_HONOURED = text(
    "SELECT 1 FROM merchant m WHERE m.id = CAST(:merchant AS uuid) AND m.region_id = :region"
    " AND (CAST(:scope AS bigint) IS NULL OR EXISTS"
    " (SELECT 1 FROM store s WHERE s.merchant_id = m.id AND s.scope_no = CAST(:scope AS bigint)))"
)
