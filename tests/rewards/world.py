"""A region with its voucher rules, a funder, a reward and citizens with coins, in a few words."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.permission import Permission
from kernel.publications.publishing import Draft, draft, publish
from ledger.reconciliation import CHECKS as LEDGER
from ledger.reconciliation import reconcile
from rewards.catalogue.lives import publish_reward
from rewards.catalogue.offering import Offer, Share, add_funder, draft_reward
from rewards.reconciliation import CHECKS
from tests.conftest import NOW, REGION
from tests.ledger.world import Citizen, citizen

RULES: dict[str, dict[str, Any]] = {
    "prepare_lock": {"seconds": 60},
    "reversal_window": {"hours": 24},
    "grace": {"days": 30},
    "waiting_list": {"hold_minutes": 120},
    "spending_order": {"classes": ["promotional", "standard"]},
}


def acting(call: Call, kind: ActorKind, who: UUID | None = None, organisation: UUID | None = None) -> Call:
    """The same unit of work with another caller."""
    return replace(call, actor=actor(kind, who, organisation))


def actor(kind: ActorKind, who: UUID | None = None, organisation: UUID | None = None) -> Actor:
    """A caller of a kind that may do everything; permissions are the door's business."""
    return Actor(
        kind=kind,
        id=who or new_id(),
        region_id=REGION,
        organisation_id=organisation,
        permissions=frozenset(Permission),
    )


def operator_of(call: Call, region: str) -> Call:
    """The same unit of work, asked by an operator of a region."""
    operator = acting(call, ActorKind.OPERATOR)
    return replace(operator, actor=replace(operator.actor, region_id=region))


def sound(call: Call) -> None:
    """Every check of the ledger and of the shelf holds."""
    outcomes = reconcile(call, (*LEDGER, *CHECKS))
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


def publish_rules(call: Call, region: str = REGION) -> None:
    """The demo city's voucher rules for a region, in force since long ago."""
    for kind, content in RULES.items():
        proposal = Draft(
            region_id=region,
            kind=kind,
            subject="standard",
            title=kind,
            content=content,
            source="rules of the test",
            effective_from=date(2026, 1, 1),
        )
        made = draft(operator_of(call, region), proposal)
        publish(operator_of(call, region), made.id, reason="test")


def on_sale(call: Call, offer: Offer) -> UUID:
    """A reward that one operator drafted and another published."""
    reward = draft_reward(acting(call, ActorKind.OPERATOR), offer)
    publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=None, reason="test")
    call.db.flush()
    return reward


@dataclass(frozen=True)
class Shelf:
    """A reward and the two funders that pay for it, 2 to 1."""

    reward_id: UUID
    funders: tuple[UUID, UUID]


def shelf(
    call: Call,
    *,
    stock: int = 1000,
    limit: int = 1000,
    price: int = 3000,
    merchant_id: UUID | None = None,
    scope_no: int | None = None,
    valid_days: int = 30,
    cost_fen: int = 500,
    **more: Any,
) -> Shelf:
    """A reward of 3 coins and 5.00 yuan; `more` says what else it is."""
    funders = (
        add_funder(call, name_zh="公共资金", name_en="Public fund"),
        add_funder(call, name_zh="赞助方", name_en="Sponsor"),
    )
    reward = on_sale(
        call,
        Offer(
            title_zh="面包一份",
            title_en="A loaf of bread",
            price_coin_milli=price,
            cost_fen=cost_fen,
            funding=[Share(funder_id=funders[0], parts=2), Share(funder_id=funders[1], parts=1)],
            valid_days=valid_days,
            limit_per_person=limit,
            stock=stock,
            merchant_id=merchant_id,
            scope_no=scope_no,
            **{
                "sells_from": NOW - timedelta(days=1),
                "sells_until": NOW + timedelta(days=400),
                **more,
            },
        ),
    )
    return Shelf(reward, funders)


def rich_citizen(call: Call, coins: int = 10_000, *, ends: date = date(2028, 12, 1)) -> Citizen:
    """A citizen with that many milli-coins."""
    who = citizen(call)
    who.earn(call, coins, reference=str(new_id()), ends=ends)
    return who


def as_citizen(call: Call, who: Citizen) -> Call:
    """The same unit of work, asked by a citizen."""
    return acting(call, ActorKind.CITIZEN, who.id)
