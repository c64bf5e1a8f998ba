"""A small city with published rules and factors, a partner, and cards of demo citizens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

import polars as pl

from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.intake import Intake
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner, register_partner
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.publications.publishing import Draft, draft, publish
from tests.conftest import NOW, REGION

SECRET = b"c" * 32
OFFICIAL, RETROSPECTIVE = "shenzhen_transport_2021.yaml", "shenzhen_transport_retrospective.yaml"
RULES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("coin_rate", "standard", {"coins_milli": 1000, "per_mg": 10_000}),
    ("cap", "transit", {"scenarios": ["metro_ride", "bus_ride"], "period": "day", "coins_milli": 30_000}),
    (
        "cap",
        "household",
        {
            "scenarios": ["household_electricity_saving", "household_water_saving"],
            "period": "month",
            "coins_milli": 100_000,
        },
    ),
    ("validity", "standard", {"months": 24}),
    ("validity", "promotional", {"months": 3}),
)


def as_operator(call: Call) -> Call:
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION))


def publish_rules(call: Call) -> None:
    for kind, subject, content in RULES:
        publish_rule(call, kind, subject, content)


def publish_rule(
    call: Call, kind: str, subject: str, content: dict[str, Any], *, since: date = date(2018, 1, 1)
) -> UUID:
    wanted = Draft(
        region_id=REGION,
        kind=kind,
        subject=subject,
        title=f"{kind} {subject}",
        content=content,
        source="demo city",
        effective_from=since,
    )
    return publish(as_operator(call), draft(as_operator(call), wanted).id, reason="demo city").id


def publish_tables(call: Call, *names: str) -> None:
    for name in names:
        drafted = draft_factor_table(as_operator(call), read_shipped_bundle(name))
        publish_factor_table(as_operator(call), drafted.id, reason="demo city")


@dataclass(frozen=True)
class City:
    """A partner and how its lines come in."""

    partner_id: UUID
    api_key: str

    def intake(self, **more: Any) -> Intake:
        return Intake(partner_id=self.partner_id, card_secret=SECRET, **more)

    def bind(self, call: Call, cards: Sequence[str]) -> dict[str, UUID]:
        """Give each card a citizen of its own, with consent."""
        owners = {card: new_id() for card in cards}
        hashed = [
            CitizenCard(owner, hash_subject(SECRET, partner_id=self.partner_id, subject=card))
            for card, owner in owners.items()
        ]
        bind_many(call, find_partner(call, self.partner_id), hashed, text_version="v1")
        return owners


def plant_city(call: Call, *tables: str) -> City:
    publish_rules(call)
    publish_tables(call, *(tables or (OFFICIAL, RETROSPECTIVE)))
    registered = register_partner(call, name="demo transit", region_id=REGION)
    return City(registered.partner.id, registered.api_key)


def ride(event: str, card: str = "card-017", *, metres: int | None = 10_000, **more: Any) -> dict[str, Any]:
    """One metro ride as an adapter hands it on."""
    fields = {
        "file_no": 1,
        "line_no": 1,
        "outcome": "activity",
        "source_event_id": event,
        "subject": card,
        "scenario": "metro_ride",
        "occurred_at": NOW,
        "distance_m": metres,
        **more,
    }
    fields["payload"] = repr([fields["scenario"], fields["occurred_at"], sorted(more.items()), metres])
    return fields


def lines(*rows: dict[str, Any]) -> pl.DataFrame:
    numbered = [{**row, "line_no": place} for place, row in enumerate(rows, start=2)]
    return pl.DataFrame(numbered, schema=SCHEMA)
