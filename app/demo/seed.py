"""The demo city, made once by `make run`: two years of a small city's life, played through the services.

The same day gives the same city, apart from ids, keys and passwords. What people need to look around
(addresses, logins, keys) is written to DATA/demo.json, readable by its owner only.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import partial
from io import BytesIO
from random import Random
from typing import Any
from uuid import UUID

from app.demo.charity import (
    Charity,
    Gift,
    give,
    give_what_is_withdrawn,
    plan_spending,
    share_out,
    take_back,
)
from app.demo.charter import found_city, publish_factors, publish_rules
from app.demo.correction import correct_misprint
from app.demo.doubts import ride_twice
from app.demo.households import BILLED_MONTHS, Meter, bill_file, electricity_meter, water_meter
from app.demo.inbox import remind
from app.demo.market import CLERKS, Market, open_market, plan_vouchers
from app.demo.people import DataPartner, Employee, Resident, admit_partner, bind, hire, settle_residents
from app.demo.province import Province, publish_by_procedure
from app.demo.settling import settling
from app.demo.shared_home import SharedHome, shared_home
from app.demo.sharing import Shared, share_a_ride
from app.demo.shelf import shelf_life
from app.demo.stage import Stage, month_start, shanghai
from app.demo.told import ToldShop, tell_shop
from app.demo.transit import STATIONS, Transit
from app.factory import create_product
from app.identity.roles import Role
from app.settings import DEMO_FILE, Settings, write_private
from carbon.activities.imports import ImportOrder, import_file
from carbon.partners.registry import PREFIX as PARTNER
from kernel.actor import Actor
from kernel.identifiers import new_id, public_id
from ledger.expiry import expire_due as expire_coins
from merchants.onboarding import MERCHANT, STORE
from merchants.terminals import TERMINAL
from rewards.catalogue.offering import REWARD
from rewards.vouchers import expire_due as expire_vouchers

SEED = 20260518
RIDE_DAYS = 30
REMINDED = (24, 7, 1, 0)
"""So many days ago what was near its end was reminded of."""
UNBOUND_SHARE = 20
"""One card in so many belongs to nobody who consented."""

Event = tuple[datetime, Callable[[], object]]


@dataclass(frozen=True)
class Town:
    """Who and what the city consists of."""

    editor: Employee
    publisher: Employee
    auditor: Employee
    donor: Employee
    province: Province
    transit: DataPartner
    electricity: DataPartner
    water: DataPartner
    apps: tuple[DataPartner, DataPartner]
    residents: list[Resident]
    market: Market
    gift: Gift
    withdrawn: Gift
    plan_line: UUID
    home: SharedHome
    shared: Shared | None = None
    """How one ride was counted, for whoever has the link."""
    told: ToldShop | None = None
    """The bakery's own system, which is told what its tills honour."""


def seed_demo_city(settings: Settings) -> None:
    """Make the demo city in an empty database and write DATA/demo.json."""
    product = create_product(settings)
    try:
        stage = Stage(product)
        town = play(stage, now=product.door.clock.now())
        write_private(settings.tanpuhui_data / DEMO_FILE, outline(town, settings))
    finally:
        product.close()


def play(stage: Stage, *, now: datetime, citizens: int | None = None) -> Town:
    """Everything up to `now`, in the order in which it happened."""
    dice = Random(SEED)  # noqa: S311 - a demo city, not a secret
    today = now.astimezone(shanghai(now.date(), "00:00").tzinfo).date()
    began = shanghai(month_start(today, -26), "09:00")
    _say("  regions, keys, staff, factor tables, rules")
    found_city(stage, at=began)
    town = _people(stage, dice, today=today, at=began, citizens=citizens)
    corrected = shanghai(today - timedelta(days=20), "10:00")
    events = [
        *_bills(stage, dice, town, today=today, now=now),
        *_rides(stage, dice, town, today=today),
        *town.home.events(today=today),
        *_nights(stage, today=today),
        *_shares(stage, town, now=now),
        (
            corrected,
            partial(correct_misprint, stage, at=corrected, editor=town.editor, publisher=town.publisher),
        ),
        *_doubts(stage, town, today=today),
        *((plan.at, plan.work) for plan in _shopping(stage, dice, town, now=now)),
        *shelf_life(
            stage,
            town.market.rewards,
            [each for each in town.residents if each.account is not None],
            now=now,
            editor=town.editor.actor,
            publisher=town.publisher.actor,
        ),
        *settling(stage, town.market, _buyers(town), today=today, staff=(town.editor, town.publisher)),
    ]
    _say(f"  {BILLED_MONTHS} months of bills, {RIDE_DAYS} days of rides, shares of the pool, vouchers")
    for _, work in sorted(events, key=lambda event: event[0]):
        work()
    told = tell_shop(stage, town.market.shops["bakery"], since=now - timedelta(days=4))
    return replace(town, shared=share_a_ride(stage, town.residents[0], at=now), told=told)


def outline(town: Town, settings: Settings) -> dict[str, Any]:
    """What somebody who looks around needs; `make run` puts the addresses of the day in front."""
    partners = {"transit": town.transit, "electricity": town.electricity, "water": town.water}
    return {
        "region": settings.region,
        "operators": {
            "editor": town.editor.login,
            "publisher": town.publisher.login,
            "auditor": town.auditor.login,
        },
        "donor": town.donor.login,
        "province": town.province.outline,
        "partners": {
            name: {"id": public_id(PARTNER, each.id), "key": each.api_key, "adapter": each.adapter}
            for name, each in partners.items()
        },
        "stations": str(STATIONS),
        "merchants": {
            key: {
                "id": public_id(MERCHANT, shop.id),
                "clerk": shop.clerk.login,
                "manager": shop.manager.login,
                "clerks": [
                    {"number": number, "role": role, "pin": shop.pins[number]}
                    for number, role in CLERKS.items()
                ],
                "tills": {
                    till.store: {
                        "id": public_id(TERMINAL, till.actor.known_id),
                        "token": till.token,
                        "store_id": public_id(STORE, till.store_id),
                    }
                    for till in shop.tills
                },
            }
            for key, shop in town.market.shops.items()
        },
        "webhook": None if town.told is None else town.told.outline,
        "rewards": {key: public_id(REWARD, reward) for key, reward in town.market.rewards.items()},
        "certificate": town.gift.certificate,
        "withdrawn_certificate": town.withdrawn.certificate,
        "household": town.home.outline(),
        "why": None
        if town.shared is None
        else {"path": town.shared.path, "ends_at": town.shared.ends_at.isoformat()},
        "citizens": [
            {"persona": each.persona, "card": each.card, "utility_account": each.account}
            for each in town.residents[:3]
        ],
    }


def _people(stage: Stage, dice: Random, *, today: date, at: datetime, citizens: int | None) -> Town:
    editor = hire(stage, "editor", Role.OPERATOR_EDITOR, at=at)
    publisher = hire(stage, "publisher", Role.OPERATOR_PUBLISHER, at=at)
    publish_rules(stage, at=at, editor=editor.actor, publisher=publisher.actor)
    publish_factors(stage, since=at, editor=editor.actor, publisher=publisher.actor)
    enterprise = new_id()
    donor = hire(stage, "donor", Role.DONOR, at=at, organisation_id=enterprise)
    residents = settle_residents(stage, dice, at=at, count=citizens)
    gave = shanghai(month_start(today, -7), "10:00")
    charity = Charity(enterprise_id=enterprise, donor=donor, publisher=publisher.actor)
    withdrawn = give_what_is_withdrawn(stage, charity, today=today, at=gave - timedelta(days=10))
    admit = partial(admit_partner, stage, at=at, by=editor.actor)
    electricity = admit("示例供电公司", data_source="electricity", adapter="utility_bills")
    return Town(
        editor=editor,
        publisher=publisher,
        auditor=hire(stage, "auditor", Role.OPERATOR_AUDITOR, at=at),
        donor=donor,
        province=publish_by_procedure(stage, today=today, residents=residents, enterprise_id=enterprise),
        transit=admit("示例通卡公司", data_source="transit", adapter="shenzhen_tong"),
        electricity=electricity,
        water=admit("示例供水公司", data_source="water", adapter="utility_bills"),
        apps=(
            admit("示例共享单车", data_source="transit", adapter="ndjson"),
            admit("示例打卡应用", data_source="transit", adapter="ndjson"),
        ),
        residents=residents,
        market=open_market(stage, at=at, editor=editor.actor, publisher=publisher.actor),
        gift=give(stage, charity, today=today, at=gave),
        withdrawn=withdrawn,
        plan_line=plan_spending(stage, today=today, at=gave, by=editor.actor),
        home=shared_home(stage, electricity, residents, today=today),
    )


def _bills(stage: Stage, dice: Random, town: Town, *, today: date, now: datetime) -> list[Event]:
    """A file of each utility on the third of every month."""
    first = month_start(today, -12 - BILLED_MONTHS)
    homes = [each for each in town.residents if each.account is not None]
    at = shanghai(month_start(today, -26), "12:00")
    events: list[Event] = []
    for partner, make_meter in ((town.electricity, electricity_meter), (town.water, water_meter)):
        bind(stage, partner, [(home.id, str(home.account)) for home in homes], at=at)
        meters: list[Meter] = [make_meter(dice, str(home.account), first=first) for home in homes]
        for month in range(BILLED_MONTHS):
            sent = shanghai(month_start(first, 13 + month), "10:00") + timedelta(days=2)
            data = bill_file(meters, first=first, month=month)
            reference = f"bills-{month_start(first, 12 + month):%Y-%m}"
            events.append(_import(stage, partner, data, reference, at=min(sent, now)))
    return events


def _rides(stage: Stage, dice: Random, town: Town, *, today: date) -> list[Event]:
    """The file of each day in the night after it."""
    transit = Transit()
    riders = [transit.commuter(dice, each.card) for each in town.residents]
    bound = [
        (each.id, each.card) for number, each in enumerate(town.residents) if number % UNBOUND_SHARE != 19
    ]
    bind(stage, town.transit, bound, at=shanghai(month_start(today, -26), "12:00"))
    events: list[Event] = []
    for days in range(RIDE_DAYS, 0, -1):
        day = today - timedelta(days=days)
        data = transit.day_file(dice, day, riders)
        at = shanghai(day + timedelta(days=1), "00:40")
        events.append(_import(stage, town.transit, data, f"taps-{day}", at=at))
    return events


def _import(stage: Stage, partner: DataPartner, data: bytes, reference: str, *, at: datetime) -> Event:
    order = ImportOrder(
        partner_id=partner.id,
        adapter=partner.adapter,
        reference=reference,
        card_secret=stage.card_secret,
        stations=STATIONS.read_bytes(),
    )

    def work() -> None:
        import_file(lambda unit: stage.play(unit, at=at), BytesIO(data), order)

    return at, work


def _nights(stage: Stage, *, today: date) -> list[Event]:
    """What the schedule does at night: coins that ended each month, vouchers of the last weeks, reminders."""
    months = [shanghai(month_start(today, -month), "00:10") for month in range(1, 25)]
    nights = [shanghai(today - timedelta(days=day), "00:15") for day in range(RIDE_DAYS)]
    mornings = [shanghai(today - timedelta(days=day), "00:30") for day in REMINDED]
    return [
        *((at, partial(remind, stage, at=at)) for at in mornings),
        *((at, partial(stage.play, expire_coins, at=at)) for at in months),
        *((at, partial(stage.play, expire_vouchers, at=at)) for at in nights),
    ]


def _shares(stage: Stage, town: Town, *, now: datetime) -> list[Event]:
    """Two shares of the pool: the coins of the first have ended since, those of the second are alive."""
    people: list[UUID] = [each.id for each in town.residents]
    planned = (
        (now - timedelta(days=170), people[:40], "世界环境日活动 / World Environment Day"),
        (now - timedelta(days=12), people[:60], "绿色出行周 / Green travel week"),
    )
    by: Actor = town.publisher.actor
    line = town.plan_line
    withdrawn_at = now - timedelta(days=100)
    return [
        *(
            (at, partial(share_out, stage, some, grams_each=2000, reason=reason, line=line, at=at, by=by))
            for at, some, reason in planned
        ),
        (withdrawn_at, partial(take_back, stage, town.withdrawn, at=withdrawn_at, by=by)),
    ]


def _doubts(stage: Stage, town: Town, *, today: date) -> list[Event]:
    """Yesterday a citizen rode a bicycle that two apps saw."""
    began = shanghai(today - timedelta(days=1), "09:00")
    by = town.editor.actor
    rider = town.residents[3]
    return [(began, partial(ride_twice, stage, town.apps, rider, began=began, editor=by))]


def _shopping(stage: Stage, dice: Random, town: Town, *, now: datetime) -> list[Any]:
    return plan_vouchers(stage, town.market, dice, _buyers(town), now=now, publisher=town.publisher.actor)


def _buyers(town: Town) -> list[Resident]:
    return [each for each in town.residents if each.account is not None]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
