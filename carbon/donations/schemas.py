"""What enterprises and operators send about donations, and what everybody reads of the pool."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields, validates_schema

from carbon.donations.allocation import ALLOCATION
from carbon.donations.giving import DONATION, PROJECT
from carbon.donations.tables import STATES
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Several, Takes, Text, Whole
from kernel.units import show_grams

ENTERPRISE, CITIZEN = "ent", "ctz"
MOST_CITIZENS = 200
MOST_CARBON_MG = 10**15
"""A million tonnes."""
REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"


@dataclass(frozen=True, kw_only=True)
class AllocationOrder:
    """Whom to give how much of the pool, and why."""

    citizen_ids: tuple[UUID, ...]
    carbon_mg_each: int
    reason: str


def _shown(name: str) -> fields.Function:
    return fields.Function(lambda thing: show_grams(_of(thing, name)), metadata={"type": "string"})


def _of(thing: Any, name: str) -> int:
    return int(thing[name] if isinstance(thing, dict) else getattr(thing, name))


class TakesDeclaration(Takes):
    """A project: its dossier, kilograms, verifier, period (`period_end` is the first day after it)."""

    examples = MappingProxyType(
        {
            "A retrofit": {
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
        }
    )
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

    @validates_schema
    def _period_has_days(self, data: dict[str, Any], **_: Any) -> None:
        if data["period_end"] <= data["period_start"]:
            raise ma.ValidationError("must lie after period_start", "period_end")


class TakesDecision(Takes):
    """Why a project is approved or rejected."""

    examples = MappingProxyType({"A reason": {"reason": "the verification report was read"}})
    reason = Text(required=True, least=2, most=300)


class TakesGift(Takes):
    """How much of the project to give to the pool."""

    examples = MappingProxyType({"Sixty kilograms": {"carbon_mg": 60_000_000}})
    carbon_mg = Whole(required=True, least=1, most=MOST_CARBON_MG)


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

    @validates_schema
    def _each_once(self, data: dict[str, Any], **_: Any) -> None:
        seen: set[UUID] = set()
        for place, citizen in enumerate(data["citizen_ids"]):
            if citizen in seen:
                raise ma.ValidationError({"citizen_ids": {place: ["is named twice"]}})
            seen.add(citizen)


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
    reason = fields.String()
    carbon_mg_each = fields.Integer()
    carbon_shown = _shown("carbon_mg_each")
    allocated_at = Instant()


class GivesAllocations(Gives):
    """A page of allocations, newest first."""

    items = fields.List(fields.Nested(GivesAllocation))
    next = fields.String(allow_none=True)


class GivesShared(GivesAllocation):
    """What an allocation came to."""

    citizens = fields.Integer()
    carbon_mg = fields.Integer()
    coin_milli_each = fields.Integer()


class GivesPool(Gives):
    """The pool in milligrams: donated = on_the_way + available + allocated."""

    region = fields.String()
    donated_mg = fields.Integer()
    on_the_way_mg = fields.Integer()
    available_mg = fields.Integer()
    allocated_mg = fields.Integer()
    donated_shown = _shown("donated_mg")
    available_shown = _shown("available_mg")
    allocated_shown = _shown("allocated_mg")
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


class GivesCertificate(Gives):
    """A certificate, word for word as signed, and whether its signature holds."""

    certificate = fields.Dict(keys=fields.String())
    proof = fields.Nested(GivesCertificateProof)
    holds = fields.Boolean()
    page = fields.String()
    how_to_verify = fields.Nested(GivesHowToVerify)
