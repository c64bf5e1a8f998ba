"""Drafting a reward: what it is, what it costs, who pays, how many there are, who may have it and when.

A draft is seen by operators only. Once drafted only its picture may change, and only until it is published:
what a second person has looked at is what the city sees.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.tenancy import BELOW
from ledger.accounts import open_account
from ledger.chart import Kind, Unit
from rewards.catalogue.hours import Opening, plain
from rewards.catalogue.lives import note_step
from rewards.catalogue.prices import first_price
from rewards.catalogue.reward_states import LimitPeriod, RewardKind, RewardState
from rewards.catalogue.tables import RewardGroup, RewardUnit
from rewards.errors import FundingWrong
from rewards.stock import fill, store_part
from rewards.tables import Funder, Reward

REWARD, FUNDER = "rwd", "fnd"


@dataclass(frozen=True, kw_only=True)
class Share:
    """A funder's part of the cost; parts of all shares are weighed against each other."""

    funder_id: UUID
    parts: int


@dataclass(frozen=True, kw_only=True)
class StoreShare:
    """What one store has of a reward."""

    scope_no: int
    stock: int


@dataclass(frozen=True, kw_only=True)
class UnitName:
    """What one seat or plot is called."""

    name_zh: str
    name_en: str


@dataclass(frozen=True, kw_only=True)
class Label:
    """A low-carbon label: whose scheme, which certificate, and where anybody can check it."""

    scheme: str
    certificate: str
    verify_url: str


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A reward to draft. `scope_no` names the one store that honours it, if only one does.

    `stock` is all there will ever be; a day and a store may have a part of their own beside it. `regions`
    are those whose citizens may buy it, the caller's own where none is named.
    """

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
    kind: str = RewardKind.GOODS.value
    description_zh: str = ""
    description_en: str = ""
    terms_zh: str = ""
    terms_en: str = ""
    limit_period: str | None = None
    limit_in_period: int | None = None
    stock_per_day: int | None = None
    stores: Sequence[StoreShare] = ()
    regions: Sequence[str] = ()
    group_id: UUID | None = None
    exchange_hours: Sequence[Opening] = ()
    redeem_hours: Sequence[Opening] = ()
    label: Label | None = None
    units: Sequence[UnitName] = ()
    waits: bool = False


def add_funder(call: Call, *, name_zh: str, name_en: str) -> UUID:
    """Enter who pays, with a ledger account of its own; returns its id."""
    funder = new_id()
    row = Funder(id=funder, region_id=call.region, name_zh=name_zh, name_en=name_en, created_at=call.now)
    call.db.add(row)
    open_account(call, funder, kind=Kind.FUNDER, unit=Unit.CNY, region_id=call.region)
    audit(call, "funder.added", subject=public_id(FUNDER, funder))
    return funder


def draft_reward(call: Call, offer: Offer) -> UUID:
    """Draft a reward with its first price, its stock and its units; returns its id.

    Refuses `FundingWrong`, `NotFound` (a funder, merchant, store, group or region that is not this region's).
    """
    _require_paid(call, offer)
    _require_honoured(call, offer)
    _require_somebody(call, offer)
    reward = new_id()
    call.db.add(_row(call, reward, offer))
    call.db.flush()  # what belongs to the reward needs its row
    first_price(call, reward, offer.price_coin_milli)
    note_step(call, reward, to=RewardState.DRAFT, reason="drafted")
    fill(call, reward, region_id=call.region, total=offer.stock)
    for share in offer.stores:
        fill(call, reward, region_id=call.region, total=share.stock, part=store_part(share.scope_no))
    call.db.add_all(
        RewardUnit(reward_id=reward, no=no, region_id=call.region, name_zh=unit.name_zh, name_en=unit.name_en)
        for no, unit in enumerate(offer.units, start=1)
    )
    audit(call, "reward.drafted", subject=public_id(REWARD, reward), stock=offer.stock)
    return reward


def _row(call: Call, reward: UUID, offer: Offer) -> Reward:
    label = offer.label
    same = (
        *("title_zh", "title_en", "description_zh", "description_en", "terms_zh", "terms_en", "cost_fen"),
        *("merchant_id", "scope_no", "valid_days", "limit_per_person", "limit_in_period", "stock_per_day"),
        *("group_id", "sells_from", "sells_until", "waits"),
    )
    return Reward(
        id=reward,
        region_id=call.region,
        kind=RewardKind(offer.kind).value,
        funding=[{"funder_id": str(share.funder_id), "parts": share.parts} for share in offer.funding],
        stores=[asdict(share) for share in sorted(offer.stores, key=lambda each: each.scope_no)],
        regions=sorted(set(offer.regions)) or [call.region],
        limit_period=None if offer.limit_period is None else LimitPeriod(offer.limit_period).value,
        stock_total=offer.stock,
        exchange_hours=plain(offer.exchange_hours),
        redeem_hours=plain(offer.redeem_hours),
        label_scheme=label and label.scheme,
        label_certificate=label and label.certificate,
        label_url=label and label.verify_url,
        state=RewardState.DRAFT.value,
        drafted_by=call.actor.principal,
        created_at=call.now,
        **{name: getattr(offer, name) for name in same},
    )


def _require_paid(call: Call, offer: Offer) -> None:
    funders = [share.funder_id for share in offer.funding]
    whole = bool(funders) and len(set(funders)) == len(funders) and all(s.parts > 0 for s in offer.funding)
    require(whole, FundingWrong(pointer="/body/funding"))
    known = call.db.scalar(
        select(func.count()).where(Funder.id.in_(funders), Funder.region_id == call.region)
    )
    require(known == len(funders), NotFound("no such funder", pointer="/body/funding"))


def _require_honoured(call: Call, offer: Offer) -> None:
    wanted = [share.scope_no for share in offer.stores] + ([offer.scope_no] if offer.scope_no else [])
    if offer.merchant_id is None and not wanted:
        return
    values = {"merchant": offer.merchant_id, "scopes": wanted, "region": call.region}
    known = call.db.execute(_HONOURED, values).one_or_none()
    there = known is not None and known.stores == len(wanted)
    require(there, NotFound("no such merchant, or no such store of it", pointer="/body/merchant_id"))


def _require_somebody(call: Call, offer: Offer) -> None:
    regions = set(offer.regions) - {call.region}
    if regions:
        below = call.db.execute(_BELOW, {"region": call.region, "regions": sorted(regions)}).scalar_one()
        require(below == len(regions), NotFound("no such region below this one", pointer="/body/regions"))
    if offer.group_id is not None:
        group = call.db.get(RewardGroup, offer.group_id)
        known = group is not None and group.region_id == call.region
        require(known, NotFound("no such group", pointer="/body/group_id"))


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


# By name: merchants stand above this folder and are not imported from here.
_HONOURED = text(
    "SELECT (SELECT count(*) FROM store s WHERE s.merchant_id = m.id"
    " AND s.scope_no = ANY (CAST(:scopes AS bigint[]))) AS stores"
    " FROM merchant m WHERE m.id = CAST(:merchant AS uuid) AND m.region_id = :region"
)
_BELOW = text(
    f"{BELOW} SELECT count(*) FROM below WHERE id = ANY (CAST(:regions AS text[]))"  # noqa: S608 - our own text
)
