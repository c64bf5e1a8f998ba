"""Who lives and works in the demo city: staff with passwords, partners with keys, citizens with cards.

Nobody is invented: citizens are numbered, companies are called examples.
"""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from uuid import UUID

from app.demo.stage import Stage
from app.identity.roles import ACTOR_KINDS, PERMISSIONS, Role
from app.identity.sign_in import WechatUser, add_staff, known_citizen
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.registry import Registered, find_partner, register_partner
from kernel.actor import Actor
from kernel.call import Call

CITIZENS = 200


@dataclass(frozen=True)
class Employee:
    """A member of staff and how to sign in."""

    actor: Actor
    username: str
    password: str

    @property
    def login(self) -> dict[str, str]:
        """What the demo file says."""
        return {"username": self.username, "password": self.password}


@dataclass(frozen=True)
class DataPartner:
    """A partner, its key and the form of its files."""

    id: UUID
    api_key: str
    adapter: str


@dataclass(frozen=True)
class Resident:
    """A citizen: the name WeChat's stub knows, a transit card and, for every other one, a utility account."""

    id: UUID
    persona: str
    card: str
    account: str | None


def hire(
    stage: Stage,
    username: str,
    role: Role,
    *,
    at: datetime,
    organisation_id: UUID | None = None,
    region_id: str | None = None,
) -> Employee:
    """Let somebody of the city, or of another region, sign in with a password made up now."""
    password = secrets.token_urlsafe(12)
    region = region_id or stage.region

    def work(call: Call) -> UUID:
        return add_staff(
            call,
            username=username,
            password=password,
            role=role,
            region_id=region,
            organisation_id=organisation_id,
        ).id

    actor = Actor(
        kind=ACTOR_KINDS[role],
        id=stage.play(work, at=at),
        region_id=region,
        organisation_id=organisation_id,
        permissions=PERMISSIONS[role],
    )
    return Employee(actor, username, password)


def admit_partner(
    stage: Stage, name: str, *, data_source: str, adapter: str, at: datetime, by: Actor
) -> DataPartner:
    """Register a partner with a key."""

    def work(call: Call) -> Registered:
        return register_partner(call, name=name, region_id=stage.region, data_source=data_source)

    made = stage.play(work, at=at, actor=by)
    return DataPartner(made.partner.id, made.api_key, adapter)


def settle_residents(stage: Stage, dice: Random, *, at: datetime, count: int | None) -> list[Resident]:
    """Make `count` citizens (or CITIZENS) with their accounts in the ledger."""

    def work(call: Call) -> list[Resident]:
        return [_resident(call, stage, dice, number) for number in range(1, (count or CITIZENS) + 1)]

    return stage.play(work, at=at)


def bind(stage: Stage, partner: DataPartner, subjects: Sequence[tuple[UUID, str]], *, at: datetime) -> None:
    """Bind cards or accounts to their citizens, who consent."""
    hashed = [
        CitizenCard(citizen, hash_subject(stage.card_secret, partner_id=partner.id, subject=subject))
        for citizen, subject in subjects
    ]

    def work(call: Call) -> None:
        sender = find_partner(call, partner.id)
        bind_many(call, sender, hashed, text_version=CONSENT_TEXTS[sender.data_source].version)

    stage.play(work, at=at)


def stub_openid(appid: str, persona: str) -> str:
    """The openid under which WeChat's stub knows a persona."""
    mark = hashlib.sha256(f"{appid}/{persona}".encode()).digest()
    return "o" + base64.urlsafe_b64encode(mark).decode()[:27]


def _resident(call: Call, stage: Stage, dice: Random, number: int) -> Resident:
    persona = f"demo-citizen-{number:03d}"
    appid = stage.settings.wechat_appid
    user = WechatUser(appid=appid, openid=stub_openid(appid, persona))
    citizen = known_citizen(call, user, region_id=stage.region)
    citizen.nickname = f"市民 {number:03d}"
    card = f"DEMO{dice.randrange(10**8):08d}{number:03d}"
    account = f"A{dice.randrange(10**6):06d}{number:04d}" if number % 2 else None
    return Resident(citizen.id, persona, card, account)
