"""Shops of the demo city: merchants with stores and tills, what is on the shelf, and vouchers in every state.

A voucher's life is planned as days: bought so many days ago, ended so many days later.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from app.demo.people import Employee, Resident, hire
from app.demo.shelf import DETAILS, fill_shelf
from app.demo.stage import Stage
from app.factory import TERMINAL_PERMISSIONS
from app.identity.roles import PERMISSIONS, Role
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import BrokenInvariant
from merchants.clerks.pins import trivial
from merchants.clerks.roster import enter
from merchants.clerks.shifts import Shift, known_shift, sign_in
from merchants.onboarding import add_merchant, add_store
from merchants.redemption import prepare, redeem
from merchants.redemption_reversal import reverse
from merchants.terminals import new_terminal, pair
from rewards.catalogue.offering import Offer, Share, add_funder, draft_reward
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.vouchers import Key, cancel, deactivate, key_of

MERCHANTS = (
    (
        "bakery",
        "示例面包坊",
        "Example bakery",
        ("一店 / First store", "二店 / Second store", "三店 / Third store"),
    ),
    ("coffee", "示例咖啡", "Example coffee", ("钟楼店 / Bell Tower store",)),
    ("books", "示例书店", "Example books", ("书院店 / Shuyuan store",)),
)
REWARDS = (
    # key, Chinese, English, merchant, coins, fen, days, a person, stock
    ("transit-pass", "公交地铁一日票", "One-day transit pass", None, 40, 800, 30, 10, 2000),
    ("loaf", "全麦面包一份", "A wholemeal loaf", "bakery", 30, 500, 30, 20, 1000),
    ("own-cup-coffee", "自带杯热美式", "Coffee in your own cup", "coffee", 25, 600, 30, 20, 1000),
    ("book-discount", "图书满 50 减 10 元", "10 yuan off books from 50", "books", 50, 1000, 60, 5, 500),
    ("fresh-greens", "当日鲜蔬券", "Greens of the day", None, 15, 300, 3, 30, 1000),
    ("adopt-a-tree", "认养一棵树", "Adopt a tree", None, 500, 5000, 90, 1, 10),
    (
        "breakfast-bun",
        "早餐包一个(限一店)",
        "A breakfast bun, first store only",
        "bakery",
        10,
        300,
        30,
        20,
        1000,
    ),
)
CLERKS = {"07": "cashier", "01": "manager"}
"""Number and role of each merchant's clerks."""
OF_ONE_STORE = frozenset({"breakfast-bun"})
"""Honoured by the first store of their merchant only, so a till there may honour them without a network."""
_QUIET = ("loaf", "own-cup-coffee", "transit-pass", "book-discount")
SOLD = tuple(key for key, *_ in REWARDS if key not in {"fresh-greens", "adopt-a-tree", *OF_ONE_STORE})


@dataclass(frozen=True)
class Till:
    """A paired terminal and its secret."""

    actor: Actor
    token: str
    store: str
    store_id: UUID
    scope_no: int


@dataclass(frozen=True)
class Shop:
    """A merchant with those who sign in at a desk, its tills, and its clerks' PINs by number."""

    id: UUID
    name_zh: str
    clerk: Employee
    manager: Employee
    pins: dict[str, str]
    tills: tuple[Till, ...]


@dataclass(frozen=True)
class Market:
    """All shops by key, and all rewards by key."""

    shops: dict[str, Shop]
    rewards: dict[str, UUID]


@dataclass(frozen=True)
class Plan:
    """A voucher's life: which reward, which citizen, when, and what happens to it."""

    at: datetime
    work: Callable[[], None]


def open_market(stage: Stage, *, at: datetime, editor: Actor, publisher: Actor) -> Market:
    """Take in the merchants with their tills and put the rewards on the shelf."""
    shops = {
        key: _open_shop(stage, key, zh=name_zh, en=name_en, stores=stores, at=at, editor=editor)
        for key, name_zh, name_en, stores in MERCHANTS
    }

    def work(call: Call) -> tuple[dict[str, UUID], list[UUID]]:
        funders = [
            add_funder(
                call, name_zh="示例市碳普惠专项资金", name_en="Carbon inclusion fund of the demo city"
            ),
            add_funder(call, name_zh="示例银行公益赞助", name_en="Example bank, sponsor"),
        ]
        return {row[0]: _offer(call, row, shops, funders) for row in REWARDS}, funders

    drafts, funders = stage.play(work, at=at, actor=editor)
    return Market(shops, fill_shelf(stage, drafts, funders, at=at, editor=editor, publisher=publisher))


def plan_vouchers(
    stage: Stage,
    market: Market,
    dice: Random,
    buyers: Sequence[Resident],
    *,
    now: datetime,
    publisher: Actor,
) -> list[Plan]:
    """Some weeks of shopping: most vouchers are used, a few go every other way a voucher can go."""
    town = _Shoppers(stage, market, dice, publisher)
    plans: list[Plan] = []
    for days in range(20, 0, -1):
        noon = (now - timedelta(days=days)).replace(hour=4, minute=0, second=0, microsecond=0)
        for place in range(3):
            buyer, when = dice.choice(buyers), noon + timedelta(minutes=7 * place)
            plans.append(town.shop(buyer, dice.choice(SOLD), when, "redeem"))
        ways = ("keep", "cancel", "deactivate", "let_expire", "undo", "undo_and_redeem")
        plans.append(town.shop(dice.choice(buyers), "fresh-greens", noon, ways[days % len(ways)]))
    plans.append(town.shop(buyers[0], "loaf", now - timedelta(hours=2), "keep"))
    plans.append(town.shop(buyers[1], "own-cup-coffee", now - timedelta(minutes=3), "prepare"))
    plans.append(town.shop(buyers[2], "breakfast-bun", now - timedelta(hours=1), "show_and_cancel"))
    return plans


def _quiet_use(number: int) -> str:
    return "undo_and_redeem" if number % 9 == 4 else "undo" if number % 11 == 7 else "redeem"


def plan_month(
    stage: Stage,
    market: Market,
    buyers: Sequence[Resident],
    *,
    days: Sequence[datetime],
    publisher: Actor,
    then: Callable[[int], str] = _quiet_use,
) -> list[Plan]:
    """A month of quiet shopping, a use at each of `days`, some of them undone; it is settled when it is over.

    `then` says what becomes of the voucher of each number.
    """
    dice = Random(len(days))  # noqa: S311 - a demo city, not a secret
    town = _Shoppers(stage, market, dice, publisher)
    return [
        town.shop(buyers[number % len(buyers)], _QUIET[number % len(_QUIET)], noon, then(number))
        for number, noon in enumerate(days)
    ]


class _Shoppers:
    """Buys vouchers and does with each what its plan says, a little later."""

    def __init__(self, stage: Stage, market: Market, dice: Random, publisher: Actor) -> None:
        self._stage, self._market, self._dice, self._publisher = stage, market, dice, publisher

    def shop(self, buyer: Resident, reward: str, at: datetime, then: str) -> Plan:
        owner = Actor(
            kind=ActorKind.CITIZEN,
            id=buyer.id,
            region_id=self._stage.region,
            permissions=PERMISSIONS[Role.CITIZEN],
        )
        till = self._till(reward)

        def work() -> None:
            reward_id = self._market.rewards[reward]
            key = self._stage.play(lambda call: exchange(call, reward_id), at=at, actor=owner)
            _ENDS[then](self, key, owner, till, at + timedelta(minutes=1))

        return Plan(at, work)

    def _till(self, reward: str) -> Till:
        """A till that honours the reward; where any does, the bakery's first."""
        shop = next(row[3] for row in REWARDS if row[0] == reward) or "bakery"
        return self._dice.choice(self._market.shops[shop].tills)

    def keep(self, *_: Any) -> None:
        """The voucher stays in the phone."""

    let_expire = keep
    """The nightly job ends it."""

    def redeem(self, key: Key, owner: Actor, till: Till, at: datetime) -> UUID:
        code = self._code(key, owner, at)
        coffee = self._market.shops["coffee"]

        def work(call: Call) -> UUID:
            # At the coffee house a clerk signs in, elsewhere the till stands alone.
            by = _with_clerk(call, coffee.pins["07"]) if till in coffee.tills else call
            return redeem(by, code).id

        return self._stage.play(work, at=at, actor=till.actor)

    def prepare(self, key: Key, owner: Actor, till: Till, at: datetime) -> None:
        code = self._code(key, owner, at)
        self._stage.play(lambda call: prepare(call, code), at=at, actor=till.actor)

    def cancel(self, key: Key, owner: Actor, _till: Till, at: datetime) -> None:
        self._stage.play(lambda call: cancel(call, key.voucher_id), at=at, actor=owner)

    def show_and_cancel(self, key: Key, owner: Actor, till: Till, at: datetime) -> None:
        """Its codes were in the phone: it is closing, a till without a network may have honoured it."""
        self._code(key, owner, at)
        self.cancel(key, owner, till, at + timedelta(minutes=1))

    def deactivate(self, key: Key, _owner: Actor, _till: Till, at: datetime) -> None:
        reason = "商家临时停业,碳币退回 / the shop is closed, the coins are back"

        def work(call: Call) -> None:
            deactivate(call, key_of(call, key.voucher_id), reason=reason)

        self._stage.play(work, at=at, actor=self._publisher)

    def undo(self, key: Key, owner: Actor, till: Till, at: datetime) -> None:
        used = self.redeem(key, owner, till, at)
        self._stage.play(
            lambda call: reverse(call, used, reason="扫错了 / scanned by mistake"),
            at=at + timedelta(minutes=5),
            actor=till.actor,
        )

    def undo_and_redeem(self, key: Key, owner: Actor, till: Till, at: datetime) -> None:
        self.undo(key, owner, till, at)
        self.redeem(key, owner, till, at + timedelta(minutes=10))

    def _code(self, key: Key, owner: Actor, at: datetime) -> str:
        return self._stage.play(lambda call: live_codes(call, key.voucher_id)[0].text, at=at, actor=owner)


def _with_clerk(call: Call, pin: str) -> Call:
    """The same unit of work with the cashier at the till."""
    shift = sign_in(call, number="07", pin=pin)
    if not isinstance(shift, Shift):
        raise shift
    found = known_shift(call.db, call.actor.known_id, shift.token)
    if found is None:
        raise BrokenInvariant("a shift that was opened is known")
    return replace(call, actor=replace(call.actor, clerk_id=found.clerk_id, shift_id=found.id))


_ENDS: dict[str, Callable[[_Shoppers, Key, Actor, Till, datetime], Any]] = {
    name: getattr(_Shoppers, name)
    for name in (
        *("keep", "let_expire", "redeem", "prepare", "cancel", "deactivate", "undo", "undo_and_redeem"),
        "show_and_cancel",
    )
}


def _open_shop(
    stage: Stage, key: str, *, zh: str, en: str, stores: Sequence[str], at: datetime, editor: Actor
) -> Shop:
    def work(call: Call) -> tuple[UUID, tuple[Till, ...]]:
        merchant = add_merchant(call, name_zh=zh, name_en=en)
        return merchant, tuple(_open_store(call, stage, merchant, name) for name in stores)

    merchant, tills = stage.play(work, at=at, actor=editor)
    clerk = hire(stage, f"clerk-{key}", Role.CLERK, at=at, organisation_id=merchant)
    manager = hire(stage, f"manager-{key}", Role.MERCHANT_MANAGER, at=at, organisation_id=merchant)
    pins = {number: _pin() for number in CLERKS}

    def entered(call: Call) -> None:
        for number, role in CLERKS.items():
            enter(call, merchant, number=number, role=role, pin=pins[number])

    stage.play(entered, at=at, actor=manager.actor)
    return Shop(merchant, zh, clerk, manager, pins, tills)


def _pin() -> str:
    """Six digits that nobody guesses first."""
    while trivial(pin := f"{secrets.randbelow(10**6):06d}"):
        pass
    return pin


def _open_store(call: Call, stage: Stage, merchant: UUID, name: str) -> Till:
    name_zh, name_en = name.split(" / ")
    store = add_store(call, merchant, name_zh=name_zh, name_en=name_en)
    paired = pair(call, new_terminal(call, store.id, label="前台 / counter").code)
    actor = Actor(
        kind=ActorKind.TERMINAL,
        id=paired.terminal_id,
        region_id=stage.region,
        organisation_id=merchant,
        permissions=TERMINAL_PERMISSIONS,
    )
    return Till(actor, paired.token, name, store.id, store.scope_no)


def _offer(call: Call, row: tuple[Any, ...], shops: dict[str, Shop], funders: list[UUID]) -> UUID:
    key, title_zh, title_en, shop, coins, cost_fen, valid_days, limit, stock = row
    return draft_reward(
        call,
        Offer(
            title_zh=title_zh,
            title_en=title_en,
            price_coin_milli=1000 * coins,
            cost_fen=cost_fen,
            funding=[Share(funder_id=funders[0], parts=2), Share(funder_id=funders[1], parts=1)],
            valid_days=valid_days,
            limit_per_person=limit,
            stock=stock,
            sells_from=call.now,
            sells_until=call.now + timedelta(days=3 * 365),
            merchant_id=shops[shop].id if shop else None,
            scope_no=shops[shop].tills[0].scope_no if shop and key in OF_ONE_STORE else None,
            **DETAILS[key],
        ),
    )
