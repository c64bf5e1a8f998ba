"""What a citizen may agree to, has agreed to, and has bound: the lists behind the consent screens."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from carbon.listing import newest_first
from carbon.partners.consent_texts import CONSENT_TEXTS, ConsentText
from carbon.partners.registry import ACTIVE
from carbon.partners.tables import Binding, Consent, Partner
from kernel.call import Call
from kernel.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class Offered:
    """A partner, the current text, and the caller's open consent, if there is one."""

    partner_id: UUID
    name: str
    data_source: str
    fields_taken_in: tuple[str, ...]
    consent_text: ConsentText
    open_consent: Consent | None


def offers(call: Call, page: PageRequest) -> Page[Offered]:
    """The active partners of the caller's region, newest first."""
    active = select(Partner).where(Partner.region_id == call.region, Partner.state == ACTIVE)
    found = newest_first(call, active, Partner.id, page, binding=f"offers/{call.region}")
    mine = call.db.scalars(
        select(Consent).where(
            Consent.citizen_id == call.actor.known_id,
            Consent.partner_id.in_([partner.id for partner in found.items]),
            Consent.withdrawn_at.is_(None),
        )
    )
    consents = {consent.partner_id: consent for consent in mine}
    return Page([_offered(partner, consents.get(partner.id)) for partner in found.items], found.next)


def consents(call: Call, page: PageRequest) -> Page[Consent]:
    """The caller's consents, withdrawn ones too, newest first."""
    mine = select(Consent).where(Consent.citizen_id == call.actor.known_id)
    return newest_first(call, mine, Consent.id, page, binding=f"consents/{call.actor.known_id}")


def bindings(call: Call, page: PageRequest) -> Page[Binding]:
    """The caller's bindings, ended ones too, newest first."""
    mine = select(Binding).where(Binding.citizen_id == call.actor.known_id)
    return newest_first(call, mine, Binding.id, page, binding=f"bindings/{call.actor.known_id}")


def partners(call: Call, page: PageRequest) -> Page[Partner]:
    """The partners of the caller's region, suspended ones too, newest first."""
    ours = select(Partner).where(Partner.region_id == call.region)
    return newest_first(call, ours, Partner.id, page, binding=f"partners/{call.region}")


def _offered(partner: Partner, consent: Consent | None) -> Offered:
    text = CONSENT_TEXTS[partner.data_source]
    return Offered(
        partner_id=partner.id,
        name=partner.name,
        data_source=partner.data_source,
        fields_taken_in=text.fields,
        consent_text=text,
        open_consent=consent,
    )
