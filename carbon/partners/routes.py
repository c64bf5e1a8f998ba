"""URLs of consents and cards (citizens) and of data partners (operators); no logic."""

from typing import Any

from flask import Response, current_app

from carbon.activities.routes import CARD_SECRET
from carbon.partners import offers
from carbon.partners.bindings import (
    BINDING,
    bind,
    find_consent,
    give_consent,
    is_in_force,
    unbind,
    withdraw_consent,
)
from carbon.partners.registry import (
    PREFIX,
    Registered,
    grant_evidence,
    own_partner,
    register_partner,
    resume,
    rotate_key,
    suspend,
)
from carbon.partners.schemas import (
    BindingOrder,
    ConsentOrder,
    GivesBinding,
    GivesBindings,
    GivesConsent,
    GivesConsents,
    GivesOffers,
    GivesPartner,
    GivesPartners,
    GivesPartnerWithKey,
    TakesBinding,
    TakesConsent,
    TakesEvidence,
    TakesPartner,
    TakesPartnerStep,
)
from carbon.partners.tables import Binding, Consent, Partner
from kernel.call import Call
from kernel.errors import Refusal
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.http.problems import refused
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission

routes = Routes("partners", __name__, description="Data partners, and which records citizens let in.")


@endpoint(
    routes,
    "GET",
    "/v1/me/data-partners",
    needs=Permission.CONSENT_GIVE,
    query=PageQuery,
    gives=GivesOffers,
    summary="Who may be allowed to send records: what they send, and the text to agree to",
    no_store=True,
)
def list_offers(call: Call, page: dict[str, Any]) -> Page[offers.Offered]:
    """List the partners of the caller's region."""
    return offers.offers(call, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/me/consents",
    needs=Permission.CONSENT_GIVE,
    query=PageQuery,
    gives=GivesConsents,
    summary="The caller's consents, open and withdrawn",
    no_store=True,
)
def list_consents(call: Call, page: dict[str, Any]) -> Page[Consent]:
    """List the caller's consents."""
    return offers.consents(call, PageRequest(**page))


@endpoint(
    routes,
    "POST",
    "/v1/me/consents",
    needs=Permission.CONSENT_GIVE,
    takes=TakesConsent,
    gives=GivesConsent,
    status=201,
    summary="Let one partner's records in by the current text; again is the same, a newer text begins anew",
)
def consent(call: Call, order: ConsentOrder) -> Consent:
    """Consent."""
    return give_consent(call, order.partner_id, text_version=order.text_version)


@endpoint(
    routes,
    "DELETE",
    "/v1/me/consents/<named>",
    needs=Permission.CONSENT_GIVE,
    status=204,
    summary="Withdraw a consent, by its id or the partner's: later records are refused, credits stay",
)
def withdraw(call: Call, *, named: str) -> None:
    """Withdraw; a consent that was withdrawn before stays so, one to a former text is that to the newer."""
    found = find_consent(call, named)
    if is_in_force(call, found):
        withdraw_consent(call, found.citizen_id, found.partner_id)


@endpoint(
    routes,
    "GET",
    "/v1/me/bindings",
    needs=Permission.CONSENT_GIVE,
    query=PageQuery,
    gives=GivesBindings,
    summary="The caller's cards and accounts; their numbers are not kept",
    no_store=True,
)
def list_bindings(call: Call, page: dict[str, Any]) -> Page[Binding]:
    """List the caller's bindings."""
    return offers.bindings(call, PageRequest(**page))


@endpoint(
    routes,
    "POST",
    "/v1/me/bindings",
    needs=Permission.CONSENT_GIVE,
    takes=TakesBinding,
    gives=GivesBinding,
    status=201,
    summary="Bind a card or account of a partner that the caller consents to; again is the same binding",
)
def bind_card(call: Call, order: BindingOrder) -> Binding | Response:
    """Bind a card or account; that it is another's is answered, not raised, so that the try is kept."""
    secret = str(current_app.config[CARD_SECRET]).encode()
    outcome = bind(call, order.partner_id, card_secret=secret, subject_number=order.subject_number)
    return refused(outcome) if isinstance(outcome, Refusal) else outcome


@endpoint(
    routes,
    "DELETE",
    "/v1/me/bindings/<binding>",
    needs=Permission.CONSENT_GIVE,
    status=204,
    summary="End a binding; the card may then be bound by another citizen",
)
def unbind_card(call: Call, *, binding: str) -> None:
    """End a binding of the caller."""
    unbind(call, parse_public_id(BINDING, binding))


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners",
    needs=Permission.PARTNER_MANAGE,
    takes=TakesPartner,
    gives=GivesPartnerWithKey,
    status=201,
    no_store=True,
    summary="Register a data partner; its key is shown this once",
)
def add_partner(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """Register a partner. Not idempotent: a remembered answer would keep the key."""
    return _with_key(register_partner(call, region_id=call.region, **given))


@endpoint(
    routes,
    "GET",
    "/v1/operator/partners",
    needs=Permission.PARTNER_MANAGE,
    query=PageQuery,
    gives=GivesPartners,
    summary="The data partners of the caller's region",
)
def list_partners(call: Call, page: dict[str, Any]) -> Page[Partner]:
    """List partners."""
    return offers.partners(call, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/operator/partners/<partner>",
    needs=Permission.PARTNER_MANAGE,
    gives=GivesPartner,
    summary="One data partner",
)
def show_partner(call: Call, *, partner: str) -> Partner:
    """Show a partner."""
    return own_partner(call, parse_public_id(PREFIX, partner))


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners/<partner>/key",
    needs=Permission.PARTNER_MANAGE,
    gives=GivesPartnerWithKey,
    status=201,
    no_store=True,
    summary="Replace a partner's key; the old one stops at once, the new one is shown this once",
)
def replace_key(call: Call, *, partner: str) -> dict[str, Any]:
    """Rotate the key."""
    return _with_key(rotate_key(call, parse_public_id(PREFIX, partner)))


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners/<partner>/suspension",
    needs=Permission.PARTNER_MANAGE,
    takes=TakesPartnerStep,
    gives=GivesPartner,
    status=201,
    summary="Refuse a partner's key from now on",
)
def suspend_partner(call: Call, why: dict[str, Any], *, partner: str) -> Partner:
    """Suspend a partner."""
    return suspend(call, parse_public_id(PREFIX, partner), reason=why["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners/<partner>/resumption",
    needs=Permission.PARTNER_MANAGE,
    takes=TakesPartnerStep,
    gives=GivesPartner,
    status=201,
    summary="Let a suspended partner in again",
)
def resume_partner(call: Call, why: dict[str, Any], *, partner: str) -> Partner:
    """Resume a partner."""
    return resume(call, parse_public_id(PREFIX, partner), reason=why["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/operator/partners/<partner>/evidence",
    needs=Permission.PARTNER_MANAGE,
    takes=TakesEvidence,
    gives=GivesPartner,
    status=201,
    summary="Say which evidence tiers a partner's contract lets it claim",
)
def grant_partner_evidence(call: Call, given: dict[str, Any], *, partner: str) -> Partner:
    """Replace the partner's evidence tiers."""
    wanted = parse_public_id(PREFIX, partner)
    return grant_evidence(call, wanted, tiers=given["evidence_tiers"], reason=given["reason"])


def _with_key(made: Registered) -> dict[str, Any]:
    shown = ("id", "name", "data_source", "evidence_tiers", "state", "created_at")
    return {**{name: getattr(made.partner, name) for name in shown}, "api_key": made.api_key}
