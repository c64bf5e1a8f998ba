"""The city that is measured: rules, a partner with bound cards, citizens with coins, tills, a reward.

Everything is made through the product's own services, so what is timed later meets rows as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

import polars as pl
from sqlalchemy import text

from app.factory import Product
from app.identity.sign_in import WechatUser, sign_in_citizen
from app.identity.tokens import issue
from app.product_calls import run
from bench.records import card
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner, register_partner
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.publications.publishing import Draft, draft, publish
from kernel.signing import Purpose
from kernel.tenancy import Region
from ledger.accounts import institution
from ledger.bulk_accounts import open_citizen_accounts
from ledger.bulk_posting import CreditRun, post_batch
from ledger.chart import STANDARD, Code, Kind, Unit
from merchants.onboarding import add_merchant, add_store
from merchants.terminals import new_terminal, pair
from rewards.catalogue.lives import publish_reward
from rewards.catalogue.offering import Offer, Share, add_funder, draft_reward

Result = TypeVar("Result")
REGION = "CN-GD-SZ"
ENDS = date(2030, 1, 1)
COINS_EACH = 10_000_000
TABLES = ("shenzhen_transport_2021.yaml", "shenzhen_transport_retrospective.yaml")
RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("coin_rate", "standard", {"coins_milli": 1000, "per_mg": 10_000}),
    (
        "cap",
        "transit",
        {"scenarios": ["metro_ride", "bus_ride"], "period": "day", "coins_milli": 30_000},
    ),
    ("validity", "standard", {"months": 24}),
    ("validity", "promotional", {"months": 3}),
    ("prepare_lock", "standard", {"seconds": 60}),
    ("reversal_window", "standard", {"hours": 24}),
    ("grace", "standard", {"days": 30}),
    ("spending_order", "standard", {"classes": ["promotional", "standard"]}),
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """A citizen, the card that is bound to them, and the access token of their session."""

    id: UUID
    card: str
    token: str


@dataclass(frozen=True, kw_only=True)
class City:
    """What stands, and the secrets that its clients carry."""

    people: list[Person]
    partner_id: UUID
    partner_key: str
    till_tokens: list[str]
    reward_id: UUID


def long(work: Callable[[Call], Result]) -> Callable[[Call], Result]:
    """The same work without the time limits of a request."""

    def unlimited(call: Call) -> Result:
        call.db.execute(text("SET LOCAL statement_timeout = 0"))
        return work(call)

    return unlimited


def found_city(product: Product, *, citizens: int, tills: int) -> City:
    """Plant regions, keys, rules, a partner, `citizens` with coins and sessions, and `tills` of one shop.

    The citizens have the first cards of `bench.records`.
    """
    run(product, _plant)
    partner = run(product, lambda call: register_partner(call, name="bench transit", region_id=REGION))
    people = [_sign_in(product, number) for number in range(citizens)]
    run(product, long(lambda call: _bind(call, product, partner.partner.id, people)))
    run(product, long(lambda call: give_coins(call, people)))
    return City(
        people=people,
        partner_id=partner.partner.id,
        partner_key=partner.api_key,
        till_tokens=run(product, lambda call: _shop(call, tills)),
        reward_id=run(product, offer),
    )


def bind_cards(product: Product, partner_id: UUID, cards: list[str]) -> list[UUID]:
    """Give each card a citizen of its own, with consent and with accounts, as a first sign-in opens them."""
    people = [Person(id=new_id(), card=number, token="") for number in cards]
    ids = pl.Series([str(who.id) for who in people])
    run(product, long(lambda call: open_citizen_accounts(call, ids, region_id=REGION)))
    run(product, long(lambda call: _bind(call, product, partner_id, people)))
    return [who.id for who in people]


def _operator(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


def _plant(call: Call) -> None:
    for code, parent in (("CN", None), ("CN-GD", "CN"), (REGION, "CN-GD")):
        call.db.add(Region(id=code, parent_id=parent, name_zh=code, name_en=code, holder_id=new_id()))
        call.db.flush()  # the child's foreign key needs the parent
    for purpose in Purpose:
        call.keys.add_key(call.db, purpose, now=call.now, signs_from=call.now)
    for kind, subject, content in RULES:
        proposal = Draft(
            region_id=REGION,
            kind=kind,
            subject=subject,
            title=kind,
            content=content,
            source="rules of the bench",
            effective_from=date(2018, 1, 1),
        )
        publish(_operator(call), draft(_operator(call), proposal).id, reason="bench")
    for name in TABLES:
        drafted = draft_factor_table(_operator(call), read_shipped_bundle(name))
        publish_factor_table(_operator(call), drafted.id, reason="bench")


def _sign_in(product: Product, number: int) -> Person:
    user = WechatUser(appid="wxbench0000000000", openid=f"bench-{number}")
    signed = run(product, lambda call: sign_in_citizen(call, user, region_id=REGION))
    now = product.door.clock.now()
    with product.flask.app_context():
        pair_ = issue(
            session_id=signed.session_id, refresh_id=signed.refresh_id, subject=signed.subject, now=now
        )
    citizen = run(product, lambda call: call.db.execute(_CITIZEN, {"openid": user.openid}).scalar_one())
    return Person(id=citizen, card=card(number), token=pair_.access_token)


def _bind(call: Call, product: Product, partner_id: UUID, people: list[Person]) -> None:
    secret = product.settings.card_hash_secret.encode()
    cards = [
        CitizenCard(who.id, hash_subject(secret, partner_id=partner_id, subject=who.card)) for who in people
    ]
    bind_many(call, find_partner(call, partner_id), cards, text_version="bench")


def give_coins(call: Call, people: list[Person]) -> None:
    """Credit each as many coins as no bench spends."""
    accounts = open_citizen_accounts(call, pl.Series([str(who.id) for who in people]), region_id=REGION)
    credit = CreditRun(
        code=Code.CREDIT,
        unit=Unit.COIN,
        validity_class=STANDARD,
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source="bench-start",
        batch_id=new_id(),
        expires_on=ENDS,
    )
    coins = accounts.frame.select(
        "holder_id",
        pl.lit(COINS_EACH, pl.Int64).alias("amount"),
        pl.lit("start").alias("reference"),
        pl.lit(b"start").alias("payload_hash"),
        pl.lit(call.now).dt.cast_time_unit("us").alias("occurred_at"),
    )
    post_batch(call, credit, coins, accounts)


def _shop(call: Call, tills: int) -> list[str]:
    merchant = add_merchant(call, name_zh="示例面包店", name_en="Example bakery")
    store = add_store(call, merchant, name_zh="一店", name_en="First")
    return [pair(call, new_terminal(call, store.id, label=f"till {n}").code).token for n in range(tills)]


def offer(call: Call, *, stock: int = 10_000_000) -> UUID:
    """A loaf of bread on the shelf, so many times."""
    bread = Offer(
        title_zh="面包一份",
        title_en="A loaf of bread",
        price_coin_milli=1_000,
        cost_fen=500,
        funding=[Share(funder_id=add_funder(call, name_zh="公共资金", name_en="Public fund"), parts=1)],
        valid_days=30,
        limit_per_person=1_000_000,
        stock=stock,
        sells_from=call.now - timedelta(days=1),
        sells_until=call.now + timedelta(days=400),
    )
    reward = draft_reward(_operator(call), bread)
    publish_reward(_operator(call), reward, picture_seen=None, reason="bench")
    return reward


_CITIZEN = text("SELECT citizen_id FROM identity WHERE subject = :openid")
