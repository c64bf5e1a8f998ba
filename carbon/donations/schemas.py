"""What enterprises and operators send about donations, and what everybody reads of the pool."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields, validates_schema

from carbon.donations.allocation import ALLOCATION, Claimant
from carbon.donations.claims import COUNTED, Meter, Record, Registration
from carbon.donations.giving import DONATION, PROJECT
from carbon.donations.plan import CAMPAIGN
from carbon.donations.tables import RULES, SCHEMES, STATES
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Several, Takes, Text, Whole
from kernel.units import show_grams

ENTERPRISE, CITIZEN, PARTNER = "ent", "ctz", "ptn"
MOST_CITIZENS = 200
MOST_METERS, MOST_REGISTRATIONS, MOST_RECORDS = 50, 20, 1000
MOST_WEIGHT = 1000
MOST_CARBON_MG = 10**15
"""A million tonnes."""
REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"


@dataclass(frozen=True, kw_only=True)
class AllocationOrder:
    """Whom to give how much of the pool, and why."""

    citizen_ids: tuple[UUID, ...]
    carbon_mg_each: int
    reason: str
    campaign_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class NeedOrder:
    """Among whom to split how much of the pool, by what weights, and why."""

    shares: tuple[Claimant, ...]
    carbon_mg: int
    reason: str
    campaign_id: UUID | None


def _shown(name: str) -> fields.Function:
    return fields.Function(lambda thing: show_grams(_of(thing, name)), metadata={"type": "string"})


def _of(thing: Any, name: str) -> int:
    return int(thing[name] if isinstance(thing, dict) else getattr(thing, name))


class TakesMeterBehind(Takes):
    """A meter whose readings a project rests on, its number as the utility writes it."""

    into = Meter
    counts = fields.String(required=True, validate=ma.validate.OneOf(tuple(COUNTED)))
    number = Text(required=True, most=64)


class TakesRegistrationBehind(Takes):
    """A number that another scheme gave to the project or to what it generated."""

    into = Registration
    scheme = fields.String(required=True, validate=ma.validate.OneOf(SCHEMES))
    number = Text(required=True, most=120)


class TakesRecordBehind(Takes):
    """A data partner's record that the project rests on, such as a ride of staff."""

    into = Record
    partner_id = PublicId(PARTNER, required=True)
    source_event_id = Text(required=True, most=128)


_RETROFIT: dict[str, Any] = {
    "enterprise_name": "示例企业 A",
    "project_key": "demo-led-retrofit-01",
    "title": "LED retrofit of a demo plant",
    "dossier": "Metered before and after; 12 months each.",
    "period_start": "2024-01-01",
    "period_end": "2025-01-01",
    "carbon_mg": 100_000_000,
    "verifier": "示例核查机构",
    "verification_document": "DEMO-V-2026-01",
    "exclusivity_statement": "Not sold, not claimed elsewhere.",
}
_SOLAR: dict[str, Any] = {
    **_RETROFIT,
    "project_key": "demo-solar-roof-01",
    "title": "Solar roof of a demo plant",
    "meters": [{"counts": "electricity", "number": "PV-000017"}],
    "registrations": [{"scheme": "green_certificate", "number": "DEMO-GEC-0001"}],
    "records": [
        {"partner_id": f"{PARTNER}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "source_event_id": "demo-shuttle-0001"}
    ],
}


class TakesDeclaration(Takes):
    """A project: its dossier, kilograms, verifier, period (`period_end` is the first day after it).

    What it rests on is named, so that it counts once: meters, records of data partners, numbers of other
    schemes.
    """

    examples = MappingProxyType({"A retrofit": _RETROFIT, "A solar roof": _SOLAR})
    enterprise_id = PublicId(ENTERPRISE, load_default=None)
    enterprise_name = Text(required=True, most=120)
    project_key = Text(required=True, most=120)
    title = Text(required=True, most=200)
    dossier = Text(required=True, most=2000)
    period_start = Day(required=True)
    period_end = Day(required=True)
    carbon_mg = Whole(required=True, least=1, most=MOST_CARBON_MG)
    verifier = Text(required=True, most=200)
    verification_document = Text(required=True, most=200)
    exclusivity_statement = Text(required=True, most=500)
    meters = Several(fields.Nested(TakesMeterBehind), most=MOST_METERS, load_default=())
    registrations = Several(fields.Nested(TakesRegistrationBehind), most=MOST_REGISTRATIONS, load_default=())
    records = Several(fields.Nested(TakesRecordBehind), most=MOST_RECORDS, load_default=())

    @validates_schema
    def _records_stand_once(self, data: dict[str, Any], **_: Any) -> None:
        seen: set[Record] = set()
        for place, record in enumerate(data["records"]):
            if record in seen:
                raise ma.ValidationError({"records": {place: ["is named twice"]}})
            seen.add(record)

    @validates_schema
    def _period_has_days(self, data: dict[str, Any], **_: Any) -> None:
        if data["period_end"] <= data["period_start"]:
            raise ma.ValidationError("must lie after period_start", "period_end")


class TakesDecision(Takes):
    """Why a project is approved or rejected."""

    examples = MappingProxyType({"A reason": {"reason": "the verification report was read"}})
    reason = Text(required=True, least=2, most=300)


class TakesGift(Takes):
    """The deed: how much of the project goes to the pool, under which exclusivity statement."""

    examples = MappingProxyType({"Sixty kilograms": {"carbon_mg": 60_000_000, "statement_version": "v1"}})
    carbon_mg = Whole(required=True, least=1, most=MOST_CARBON_MG)
    statement_version = Text(required=True, most=16)


class TakesAllocation(Takes):
    """Equal shares for up to 200 citizens, each named once."""

    into = AllocationOrder
    examples = MappingProxyType(
        {
            "A kilogram each": {
                "citizen_ids": [f"{CITIZEN}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z"],
                "carbon_mg_each": 1_000_000,
                "reason": "public welfare day",
            }
        }
    )
    citizen_ids = Several(PublicId(CITIZEN), required=True, least=1, most=MOST_CITIZENS)
    carbon_mg_each = Whole(required=True, least=1, most=MOST_CARBON_MG)
    reason = Text(required=True, least=2, most=300)
    campaign_id = PublicId(CAMPAIGN, load_default=None)

    @validates_schema
    def _each_once(self, data: dict[str, Any], **_: Any) -> None:
        seen: set[UUID] = set()
        for place, citizen in enumerate(data["citizen_ids"]):
            if citizen in seen:
                raise ma.ValidationError({"citizen_ids": {place: ["is named twice"]}})
            seen.add(citizen)


class TakesNeed(Takes):
    """What a citizen weighs in an allocation by need; why stays with who decides it."""

    into = Claimant
    citizen_id = PublicId(CITIZEN, required=True)
    weight = Whole(required=True, least=1, most=MOST_WEIGHT)


class TakesNeedAllocation(Takes):
    """Shares by weight for up to 200 citizens, each named once; together exactly `carbon_mg`."""

    into = NeedOrder
    examples = MappingProxyType(
        {
            "Six kilograms by need": {
                "shares": [{"citizen_id": f"{CITIZEN}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "weight": 3}],
                "carbon_mg": 6_000_000,
                "reason": "winter help",
            }
        }
    )
    shares = Several(fields.Nested(TakesNeed), required=True, least=1, most=MOST_CITIZENS)
    carbon_mg = Whole(required=True, least=1, most=MOST_CARBON_MG)
    reason = Text(required=True, least=2, most=300)
    campaign_id = PublicId(CAMPAIGN, load_default=None)

    @validates_schema
    def _each_once(self, data: dict[str, Any], **_: Any) -> None:
        seen: set[UUID] = set()
        for place, share in enumerate(data["shares"]):
            if share.citizen_id in seen:
                raise ma.ValidationError({"shares": {place: {"citizen_id": ["is named twice"]}}})
            seen.add(share.citizen_id)


class ProjectsQuery(PageQuery):
    """A page of projects, of one state."""

    state = fields.String(load_default=None, validate=ma.validate.OneOf(STATES))


class CertificatesQuery(PageQuery):
    """A page of certificates, of one region."""

    region = Text(most=32, pattern=REGION_CODE, load_default=None)


class GivesProject(Gives):
    """A project as the enterprise and the operation centre see it."""

    id = PublicId(PROJECT)
    region_id = fields.String()
    enterprise_id = PublicId(ENTERPRISE)
    enterprise_name = fields.String()
    project_key = fields.String()
    title = fields.String()
    dossier = fields.String()
    period_start = Day()
    period_end = Day()
    carbon_mg = fields.Integer()
    carbon_shown = _shown("carbon_mg")
    verifier = fields.String()
    verification_document = fields.String()
    exclusivity_statement = fields.String()
    state = fields.String(metadata={"enum": list(STATES)})
    declared_at = Instant()
    decided_at = Instant(allow_none=True)
    decision_reason = fields.String(allow_none=True)


class GivesProjects(Gives):
    """A page of projects, newest first."""

    items = fields.List(fields.Nested(GivesProject))
    next = fields.String(allow_none=True)


class GivesGift(Gives):
    """A donation; its id is the certificate's."""

    id = PublicId(DONATION)
    project_id = PublicId(PROJECT)
    carbon_mg = fields.Integer()
    carbon_shown = _shown("carbon_mg")
    given_at = Instant()
    certificate = fields.Function(
        lambda gift: f"/certificates/{PublicId(DONATION).serialize('id', gift)}", metadata={"type": "string"}
    )


class GivesGifts(Gives):
    """A page of donations, newest first."""

    items = fields.List(fields.Nested(GivesGift))
    next = fields.String(allow_none=True)


class GivesAllocation(Gives):
    """One giving out of the pool."""

    id = PublicId(ALLOCATION)
    rule = fields.String(metadata={"enum": list(RULES)})
    campaign_id = PublicId(CAMPAIGN, allow_none=True)
    reason = fields.String()
    carbon_mg = fields.Integer()
    carbon_mg_each = fields.Integer(allow_none=True, metadata={"description": "null by need"})
    carbon_shown = _shown("carbon_mg")
    allocated_at = Instant()


class GivesAllocations(Gives):
    """A page of allocations, newest first."""

    items = fields.List(fields.Nested(GivesAllocation))
    next = fields.String(allow_none=True)


class GivesShared(GivesAllocation):
    """What an allocation came to; `coin_milli_each` is the smallest share's where they differ."""

    citizens = fields.Integer()
    coin_milli_each = fields.Integer()
    coin_milli = fields.Integer()


class GivesPool(Gives):
    """The pool in milligrams: donated = on_the_way + available + allocated + withdrawn."""

    region = fields.String()
    donated_mg = fields.Integer()
    on_the_way_mg = fields.Integer()
    available_mg = fields.Integer()
    allocated_mg = fields.Integer()
    withdrawn_mg = fields.Integer()
    donated_shown = _shown("donated_mg")
    available_shown = _shown("available_mg")
    allocated_shown = _shown("allocated_mg")
    withdrawn_shown = _shown("withdrawn_mg")
    donations = fields.Integer()
    citizens = fields.Integer()
    as_of = Instant()


class GivesCertificateProof(Gives):
    """Ed25519 over the SHA-256 of the certificate's canonical JSON."""

    kid = fields.Integer()
    sha256 = fields.String()
    signature = fields.String()


class GivesHowToVerify(Gives):
    """What to do with it, in two languages, and where the key is."""

    en = fields.String()
    zh = fields.String()
    keys = fields.String()


class GivesWithdrawalNotice(Gives):
    """A withdrawal's notice, word for word as signed, and whether its signature holds."""

    notice = fields.Dict(keys=fields.String())
    proof = fields.Nested(GivesCertificateProof)
    holds = fields.Boolean()


class GivesSerials(Gives):
    """The donation's serials, one a milligram, and what became of them; counts are milligrams."""

    region = fields.String()
    first_serial = fields.Integer()
    last_serial = fields.Integer()
    shared_mg = fields.Integer()
    waiting_mg = fields.Integer()
    withdrawn_mg = fields.Integer()


class GivesCertificate(Gives):
    """A certificate, word for word as signed, whether its signature holds, and how it stands today."""

    certificate = fields.Dict(keys=fields.String())
    proof = fields.Nested(GivesCertificateProof)
    holds = fields.Boolean()
    state = fields.String(metadata={"enum": ["issued", "partly_withdrawn", "withdrawn"]})
    serials = fields.Nested(GivesSerials)
    withdrawal = fields.Nested(GivesWithdrawalNotice, allow_none=True)
    page = fields.String()
    how_to_verify = fields.Nested(GivesHowToVerify)
