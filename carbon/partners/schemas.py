"""What citizens send and read about their consents and cards, and operators about partners."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields

from carbon.partners.bindings import BINDING, CONSENT
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.registry import PREFIX as PARTNER
from carbon.partners.tables import DEVICE_VERIFIED, STATES
from kernel.http.fields import Gives, Instant, PublicId, Takes, Text

TIER = r"[a-z][a-z0-9_]*"
CARD_NUMBER = r"[!-~]{1,64}"
"""As in the records of partners: visible ASCII without spaces."""


@dataclass(frozen=True, kw_only=True)
class ConsentOrder:
    """To whom, and after reading which text."""

    partner_id: UUID
    text_version: str


@dataclass(frozen=True, kw_only=True, repr=False)
class BindingOrder:
    """A card or account; never printed."""

    partner_id: UUID
    subject_number: str


class TakesConsent(Takes):
    """A consent."""

    into = ConsentOrder
    examples = MappingProxyType(
        {"A consent": {"partner_id": f"{PARTNER}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "text_version": "v1"}}
    )
    partner_id = PublicId(PARTNER, required=True)
    text_version = Text(required=True, most=32, pattern=r"[a-z0-9.-]+")


class TakesBinding(Takes):
    """A binding. The number is hashed before anything is kept."""

    into = BindingOrder
    examples = MappingProxyType(
        {
            "A card": {
                "partner_id": f"{PARTNER}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z",
                "subject_number": "3104700123456789",
            }
        }
    )
    partner_id = PublicId(PARTNER, required=True)
    subject_number = Text(required=True, most=64, pattern=CARD_NUMBER, load_only=True)


def _tiers(**more: Any) -> fields.List[Any]:
    """Evidence tiers, each once."""
    return fields.List(
        Text(most=64, pattern=TIER),
        validate=ma.validate.And(ma.validate.Length(min=1, max=8), _each_once),
        metadata={"uniqueItems": True},
        **more,
    )


def _each_once(names: list[str]) -> None:
    if len(set(names)) < len(names):
        raise ma.ValidationError("each tier once")


class TakesPartner(Takes):
    """A partner to register."""

    examples = MappingProxyType(
        {
            "A metro": {"name": "示例地铁", "data_source": "transit"},
            "An app that people check in with": {
                "name": "示例打卡",
                "data_source": "transit",
                "evidence_tiers": ["self_check_in"],
            },
        }
    )
    name = Text(required=True, most=120)
    data_source = fields.String(required=True, validate=ma.validate.OneOf(tuple(CONSENT_TEXTS)))
    evidence_tiers = _tiers(load_default=lambda: [DEVICE_VERIFIED])


class TakesEvidence(Takes):
    """Which evidence tiers a partner may claim, and why."""

    examples = MappingProxyType(
        {
            "An app with gates of its own": {
                "evidence_tiers": ["self_check_in", "device_verified"],
                "reason": "its devices were audited",
            }
        }
    )
    evidence_tiers = _tiers(required=True)
    reason = Text(required=True, least=2, most=300)


class TakesPartnerStep(Takes):
    """A reason somebody may have to read."""

    examples = MappingProxyType({"A reason": {"reason": "the contract was renewed"}})
    reason = Text(required=True, least=2, most=300)


class GivesConsentText(Gives):
    """The text to show before asking."""

    version = fields.String()
    zh = fields.String()
    en = fields.String()


class GivesConsent(Gives):
    """One consent; open until it is withdrawn."""

    id = PublicId(CONSENT)
    partner_id = PublicId(PARTNER)
    text_version = fields.String()
    given_at = Instant()
    withdrawn_at = Instant(allow_none=True)


class GivesOffered(Gives):
    """A partner of the citizen's region, what it sends, the text to read, and the open consent, if any."""

    partner_id = PublicId(PARTNER)
    name = fields.String()
    data_source = fields.String()
    fields_taken_in = fields.List(fields.String())
    consent_text = fields.Nested(GivesConsentText)
    open_consent = fields.Nested(GivesConsent, allow_none=True)


class GivesOffers(Gives):
    """A page of partners."""

    items = fields.List(fields.Nested(GivesOffered))
    next = fields.String(allow_none=True)


class GivesConsents(Gives):
    """A page of consents, newest first."""

    items = fields.List(fields.Nested(GivesConsent))
    next = fields.String(allow_none=True)


class GivesBinding(Gives):
    """One binding. The number is not known here any more, so no part of it is shown."""

    id = PublicId(BINDING)
    partner_id = PublicId(PARTNER)
    bound_at = Instant()
    ended_at = Instant(allow_none=True)


class GivesBindings(Gives):
    """A page of bindings, newest first."""

    items = fields.List(fields.Nested(GivesBinding))
    next = fields.String(allow_none=True)


class GivesPartner(Gives):
    """A partner as operators see it."""

    id = PublicId(PARTNER)
    name = fields.String()
    data_source = fields.String()
    evidence_tiers = fields.List(fields.String())
    state = fields.String(metadata={"enum": list(STATES)})
    created_at = Instant()


class GivesPartnerWithKey(GivesPartner):
    """A partner and its key, shown this once."""

    api_key = fields.String()


class GivesPartners(Gives):
    """A page of partners, newest first."""

    items = fields.List(fields.Nested(GivesPartner))
    next = fields.String(allow_none=True)
