"""What is on the demo city's shelf: every kind of reward, seats of a hall, one that is waited for."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.demo.people import Resident
from app.demo.pictures import reward_picture
from app.demo.stage import Stage
from app.identity.roles import PERMISSIONS, Role
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from rewards.catalogue.groups import GroupTerms, add_group, admit
from rewards.catalogue.hours import Opening
from rewards.catalogue.lives import publish_reward
from rewards.catalogue.offering import Label, Offer, Share, UnitName, draft_reward
from rewards.catalogue.pictures import drawn_anew, picture_reward
from rewards.catalogue.prices import change_price
from rewards.catalogue.tables import RewardGroup
from rewards.catalogue.waiting import join_queue
from rewards.exchange import Wanted, exchange

CHECKED = "内容与资金来源已核对 / contents and funding were checked"
DAYTIME = tuple(Opening(weekday=day, from_minute=9 * 60, until_minute=18 * 60) for day in range(1, 7))
GREEN_PRODUCT = Label(
    scheme="绿色产品认证(演示)",
    certificate="DEMO-GP-2026-0017",
    verify_url="https://label.example.org/certificates/DEMO-GP-2026-0017",
)
DETAILS: dict[str, dict[str, Any]] = {
    "transit-pass": {"kind": "transit_ticket"},
    "loaf": {
        "kind": "goods",
        "label": GREEN_PRODUCT,
        "description_zh": "全麦面包 400 克,当日现烤",
        "description_en": "400 g, baked the same day",
    },
    "own-cup-coffee": {
        "kind": "goods",
        "terms_zh": "请自带杯子",
        "terms_en": "Bring your own cup",
    },
    "book-discount": {"kind": "discount"},
    "fresh-greens": {"kind": "goods"},
    "adopt-a-tree": {
        "kind": "charity",
        "description_zh": "以您的名义在城郊种下一棵树,养护三年",
        "description_en": "A tree planted in your name and cared for for three years",
    },
    "breakfast-bun": {
        "kind": "goods",
        "redeem_hours": tuple(
            Opening(weekday=day, from_minute=6 * 60 + 30, until_minute=10 * 60) for day in range(1, 8)
        ),
    },
}
"""What the rewards of the market are beside their price."""
MORE: dict[str, dict[str, Any]] = {
    "parking-hour": {
        "kind": "parking_ticket",
        "title_zh": "换乘停车场 2 小时",
        "title_en": "Two hours at park and ride",
        "price_coin_milli": 20_000,
        "cost_fen": 400,
        "stock": 3000,
        "limit_per_person": 50,
        "limit_period": "month",
        "limit_in_period": 4,
        "terms_zh": "仅限换乘地铁当日使用",
        "terms_en": "On a day on which you go on by metro",
    },
    "bike-repair": {
        "kind": "service",
        "title_zh": "自行车保养",
        "title_en": "A bicycle service",
        "price_coin_milli": 45_000,
        "cost_fen": 900,
        "stock": 500,
        "limit_per_person": 6,
        "stock_per_day": 12,
        "limit_period": "month",
        "limit_in_period": 1,
        "exchange_hours": DAYTIME,
        "redeem_hours": DAYTIME,
        "description_zh": "检查刹车、链条和胎压,约 30 分钟",
        "description_en": "Brakes, chain and tyres, about half an hour",
    },
    "concert-seat": {
        "kind": "unique_item",
        "title_zh": "低碳音乐会座位",
        "title_en": "A seat at the low-carbon concert",
        "price_coin_milli": 60_000,
        "cost_fen": 3000,
        "limit_per_person": 1,
        "stock": 6,
        "units": tuple(
            UnitName(name_zh=f"{row}排{seat}座", name_en=f"Row {row}, seat {seat}")
            for row in (3, 4)
            for seat in (7, 8, 9)
        ),
        "waits": True,
    },
    "garden-day": {
        "kind": "service",
        "title_zh": "屋顶菜园体验日",
        "title_en": "A day in the roof garden",
        "price_coin_milli": 30_000,
        "cost_fen": 2000,
        "limit_per_person": 1,
        "stock": 1,
        "waits": True,
        "description_zh": "跟园艺师种一天菜,收成带回家",
        "description_en": "A day with a gardener; take the harvest home",
    },
    "student-lunch": {
        "kind": "discount",
        "title_zh": "学生素食午餐立减 5 元",
        "title_en": "5 yuan off a students' lunch",
        "price_coin_milli": 12_000,
        "cost_fen": 500,
        "stock": 2000,
        "limit_per_person": 100,
        "limit_period": "week",
        "limit_in_period": 2,
    },
}
STUDENTS = GroupTerms(
    name_zh="在校学生",
    name_en="Students",
    terms_zh="凭本市学校出具的在读证明,由运营中心登记",
    terms_en="Whoever a school of the city confirms, as the operation centre enters them",
)


def fill_shelf(
    stage: Stage,
    rewards: dict[str, UUID],
    funders: Sequence[UUID],
    *,
    at: datetime,
    editor: Actor,
    publisher: Actor,
) -> dict[str, UUID]:
    """Draft what else is on the shelf, give every draft its picture, and publish all; the rewards by key."""
    pictures = {key: drawn_anew(reward_picture(key)) for key in (*rewards, *MORE)}

    def drafted(call: Call) -> dict[str, UUID]:
        group = add_group(call, STUDENTS)
        made = {key: draft_reward(call, _offer(call, key, funders, group)) for key in MORE}
        whole = {**rewards, **made}
        for key, reward in whole.items():
            picture_reward(call, reward, pictures[key])
        return whole

    whole = stage.play(drafted, at=at, actor=editor)

    def published(call: Call) -> None:
        for key, reward in whole.items():
            publish_reward(call, reward, picture_seen=pictures[key].digest, reason=CHECKED)

    stage.play(published, at=at + timedelta(hours=1), actor=publisher)
    return whole


def shelf_life(
    stage: Stage,
    rewards: dict[str, UUID],
    buyers: Sequence[Resident],
    *,
    now: datetime,
    editor: Actor,
    publisher: Actor,
) -> list[tuple[datetime, Callable[[], object]]]:
    """A seat is taken, two wait for the garden, students are entered, coffee gets cheaper."""
    owner, seated, *waiting = buyers[3:7]
    cheaper = now - timedelta(days=9)

    def priced(call: Call) -> None:
        reason = "秋季自带杯行动 / own-cup weeks of autumn"
        coffee = rewards["own-cup-coffee"]
        change_price(call, coffee, price_coin_milli=20_000, applies_from=None, reason=reason)

    def entered(call: Call) -> None:
        group = call.db.execute(_GROUP).scalar_one()
        admit(call, group, [each.id for each in buyers[:5]])

    def bought(key: str, wanted: Wanted, call: Call) -> None:
        exchange(call, rewards[key], wanted)

    def joined(call: Call) -> None:
        join_queue(call, rewards["garden-day"])

    play = stage.play
    events: list[tuple[datetime, Callable[[], object]]] = [
        (cheaper, partial(play, priced, at=cheaper, actor=publisher)),
        (cheaper, partial(play, entered, at=cheaper, actor=editor)),
    ]
    deeds: list[tuple[int, Resident, Callable[[Call], None]]] = [
        (6, owner, partial(bought, "garden-day", Wanted())),
        (5, seated, partial(bought, "concert-seat", Wanted(unit_no=2))),
        *((4, each, joined) for each in waiting),
    ]
    for days, who, work in deeds:
        when = now - timedelta(days=days)
        events.append((when, partial(play, work, at=when, actor=_citizen(stage, who))))
    return events


def _offer(call: Call, key: str, funders: Sequence[UUID], group: UUID) -> Offer:
    return Offer(
        funding=[Share(funder_id=funders[0], parts=2), Share(funder_id=funders[1], parts=1)],
        valid_days=60,
        sells_from=call.now,
        sells_until=call.now + timedelta(days=3 * 365),
        group_id=group if key == "student-lunch" else None,
        **MORE[key],
    )


_GROUP = select(RewardGroup.id)


def _citizen(stage: Stage, who: Resident) -> Actor:
    permissions = PERMISSIONS[Role.CITIZEN]
    return Actor(kind=ActorKind.CITIZEN, id=who.id, region_id=stage.region, permissions=permissions)
