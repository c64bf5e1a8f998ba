"""Reading the catalogue: the shelf of a region, one reward with all that belongs to it, the operators' list.

Nothing here promises: what is left and what may be had is what was true a moment ago, an exchange asks again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, exists, func, select, text
from sqlalchemy.orm import aliased

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound
from kernel.paging import Page, PageRequest
from rewards.catalogue.offering import Label
from rewards.catalogue.pictures import address_of
from rewards.catalogue.reward_states import RewardState
from rewards.catalogue.standing import standing_of
from rewards.catalogue.tables import RewardGroup, RewardPrice, RewardUnit
from rewards.stock import day_part
from rewards.tables import WHOLE, Reward, RewardStock


@dataclass(frozen=True, kw_only=True)
class OnShelf:
    """A reward as people see it; what is left is what is left now.

    `cannot` says for a citizen who is signed in why they could not exchange it now, by the refusal's code.
    """

    id: UUID
    region_id: str
    kind: str
    state: str
    title_zh: str
    title_en: str
    description_zh: str
    description_en: str
    terms_zh: str
    terms_en: str
    price_coin_milli: int | None
    merchant_id: UUID | None
    scope_no: int | None
    valid_days: int
    limit_per_person: int
    limit_period: str | None
    limit_in_period: int | None
    stock: int
    stock_per_day: int | None
    remaining: int
    remaining_today: int | None
    waits: bool
    regions: Sequence[str]
    group_id: UUID | None
    group_zh: str | None
    group_en: str | None
    exchange_hours: Sequence[dict[str, Any]]
    redeem_hours: Sequence[dict[str, Any]]
    label: Label | None
    picture: str | None
    picture_sha256: str | None
    sells_from: datetime
    sells_until: datetime
    stores: Sequence[dict[str, Any]]
    cannot: str | None = None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which rewards of whose shelf: of a kind, `in_stock`, or `obtainable` by the caller now."""

    region_id: str
    kind: str | None = None
    show: str | None = None


def shelf(call: Call, asked: Asked, page: PageRequest) -> Page[OnShelf]:
    """The rewards on sale in a region now, newest first.

    Where only what the caller could have is asked for, a page may be shorter than its limit.
    """
    binding = f"shelf/{asked.region_id}/{asked.kind}/{asked.show}"
    position = page.position(binding, UUID)
    query = _shown(call).where(
        Reward.regions.contains([asked.region_id]),
        Reward.state == RewardState.PUBLISHED.value,
        Reward.sells_from <= call.now,
        Reward.sells_until > call.now,
    )
    if asked.kind is not None:
        query = query.where(Reward.kind == asked.kind)
    if asked.show == "in_stock":
        query = query.where(_in_stock(call.today))
    if position is not None:
        query = query.where(Reward.id < position[0])
    found = _read(call, query.order_by(Reward.id.desc()).limit(page.limit + 1))
    made = page.page(found, binding, lambda item: [str(item.id)])
    if asked.show == "obtainable":
        return Page([item for item in made.items if item.cannot is None], made.next)
    return made


def one_reward(call: Call, reward_id: UUID) -> OnShelf:
    """One reward that is or was on the shelf; a draft is `NotFound`."""
    query = _shown(call).where(Reward.id == reward_id, Reward.state != RewardState.DRAFT.value)
    # What was dropped as a draft was never on a shelf.
    return _one(_read(call, query.where(_was_published())))


def operators_reward(call: Call, reward_id: UUID) -> OnShelf:
    """One reward of the caller's region, in any state; refuses `NotFound`."""
    return _one(_read(call, _shown(call).where(Reward.id == reward_id, Reward.region_id == call.region)))


def operators_shelf(call: Call, state: str | None, page: PageRequest) -> Page[OnShelf]:
    """The rewards of the caller's region in any state, newest first."""
    binding = f"rewards/{call.region}/{state}"
    position = page.position(binding, UUID)
    query = _shown(call).where(Reward.region_id == call.region)
    if state is not None:
        query = query.where(Reward.state == state)
    if position is not None:
        query = query.where(Reward.id < position[0])
    found = _read(call, query.order_by(Reward.id.desc()).limit(page.limit + 1))
    return page.page(found, binding, lambda item: [str(item.id)])


def units_of(call: Call, reward_id: UUID) -> list[dict[str, Any]]:
    """The units of a reward and which are free; who has the others is nobody's business."""
    rows = call.db.scalars(
        select(RewardUnit).where(RewardUnit.reward_id == reward_id).order_by(RewardUnit.no)
    )
    return [
        {"no": row.no, "name_zh": row.name_zh, "name_en": row.name_en, "free": row.voucher_id is None}
        for row in rows
    ]


def _one(found: list[OnShelf]) -> OnShelf:
    if not found:
        raise NotFound("no such reward")
    return found[0]


def _shown(call: Call) -> Select[Any]:
    price = (
        select(RewardPrice.price_coin_milli)
        .where(RewardPrice.reward_id == Reward.id, RewardPrice.applies_from <= call.now)
        .order_by(RewardPrice.no.desc())
        .limit(1)
        .correlate(Reward)
        .scalar_subquery()
    )
    group = aliased(RewardGroup)
    return (
        select(
            Reward,
            group.name_zh.label("group_zh"),
            group.name_en.label("group_en"),
            price.label("price"),
            _left(WHOLE).label("remaining"),
            func.coalesce(_left(day_part(call.today)), Reward.stock_per_day).label("today"),
        )
        .outerjoin(group, group.id == Reward.group_id)
        .execution_options(populate_existing=True)
    )


def _left(part: str) -> ColumnElement[Any]:
    return (
        select(func.sum(RewardStock.remaining))
        .where(RewardStock.reward_id == Reward.id, RewardStock.part == part)
        .correlate(Reward)
        .scalar_subquery()
    )


def _in_stock(today: date) -> ColumnElement[bool]:
    def some(part: str) -> ColumnElement[bool]:
        stock = aliased(RewardStock)
        return exists().where(stock.reward_id == Reward.id, stock.part == part, stock.remaining > 0)

    rows = aliased(RewardStock)
    begun = exists().where(rows.reward_id == Reward.id, rows.part == day_part(today))
    by_day = case((Reward.stock_per_day.is_(None) | ~begun, True), else_=some(day_part(today)))
    return some(WHOLE) & by_day


def _was_published() -> ColumnElement[bool]:
    return text(  # type: ignore[return-value]  # a condition of plain text
        "EXISTS (SELECT FROM reward_step s WHERE s.reward_id = reward.id AND s.to_state = 'published')"
    )


def _read(call: Call, query: Select[Any]) -> list[OnShelf]:
    rows = call.db.execute(query).all()
    stores = _stores(call, [row.Reward for row in rows])
    found = [_on_shelf(row, stores) for row in rows]
    if call.actor.kind is not ActorKind.CITIZEN:
        return found
    against = standing_of(call, found)
    return [replace(item, cannot=against[item.id]) for item in found]


def _stores(call: Call, rewards: Sequence[Reward]) -> dict[tuple[UUID, int], dict[str, Any]]:
    """Name and rest of each store that has a share of its own, by reward and scope."""
    shared = {share["scope_no"] for reward in rewards for share in reward.stores}
    if not shared:
        return {}
    values = {"rewards": [reward.id for reward in rewards], "scopes": sorted(shared)}
    return {
        (row.reward_id, row.scope_no): {
            "scope_no": row.scope_no,
            "name_zh": row.name_zh,
            "name_en": row.name_en,
            "remaining": int(row.remaining),
        }
        for row in call.db.execute(_STORES, values)
    }


def _on_shelf(row: Any, stores: dict[tuple[UUID, int], dict[str, Any]]) -> OnShelf:
    reward: Reward = row.Reward
    label = None
    if reward.label_scheme and reward.label_certificate and reward.label_url:
        label = Label(
            scheme=reward.label_scheme, certificate=reward.label_certificate, verify_url=reward.label_url
        )
    same = {name: getattr(reward, name) for name in _SAME}
    return OnShelf(
        price_coin_milli=row.price,
        stock=reward.stock_total,
        remaining=int(row.remaining or 0),
        remaining_today=None if row.today is None else int(row.today),
        group_zh=row.group_zh,
        group_en=row.group_en,
        label=label,
        picture=address_of(reward.picture_digest),
        picture_sha256=None if reward.picture_digest is None else bytes(reward.picture_digest).hex(),
        stores=[stores[reward.id, share["scope_no"]] for share in reward.stores],
        **same,
    )


_SAME = (
    *("id", "region_id", "kind", "state", "title_zh", "title_en", "description_zh", "description_en"),
    *("terms_zh", "terms_en", "merchant_id", "scope_no", "valid_days", "limit_per_person", "limit_period"),
    *("limit_in_period", "stock_per_day", "waits", "regions", "group_id", "exchange_hours", "redeem_hours"),
    *("sells_from", "sells_until"),
)
# By name: stores stand above this folder and are not imported from here.
_STORES = text(
    "SELECT k.reward_id, s.scope_no, s.name_zh, s.name_en, sum(k.remaining) AS remaining FROM store s"
    " JOIN reward_stock k ON k.part = 'store/' || s.scope_no AND k.reward_id = ANY (CAST(:rewards AS uuid[]))"
    " WHERE s.scope_no = ANY (CAST(:scopes AS bigint[])) GROUP BY 1, 2, 3, 4"
)
