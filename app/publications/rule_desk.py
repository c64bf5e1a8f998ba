"""Rules on their way through an operation centre: drafted by one person, put in force by another.

A rule rules from a day that has not passed, so nothing that was credited is ruled anew, and no
scenario ever has two caps at once.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.publications.errors import NotARule, RuleStartsInPast, RuleStartsTooFar, ScenarioCapped
from carbon.households.kinds import KINDS as KINDS_OF_METERS
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest
from kernel.publications.errors import RuleContentWrong
from kernel.publications.procedure import PROCEDURE
from kernel.publications.publishing import PREFIX, Draft, draft, publish
from kernel.publications.rules import AUTOMATIC_HOLD, STANDARD
from kernel.publications.shapes import FACTOR_TABLE, SHAPES, check_content
from kernel.publications.tables import PUBLIC_STATES, Publication
from kernel.publications.working_calendars import subject_of
from kernel.publications.working_days import CALENDAR
from kernel.tenancy import Region, known_region
from ledger.chart import SPENDING_ORDER

KINDS = tuple(SHAPES)
ONE_OF_A_REGION = frozenset(
    {
        *("coin_rate", "prepare_lock", "owner_confirmation", "reversal_window", "grace", "offline"),
        *("spending_order", "waiting_list", "reminders", "settlement"),
    }
)
"""Kinds of which a region has one rule at a time, under the subject `standard`."""

FURTHEST_START = timedelta(days=731)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A rule as proposed, for the caller's region."""

    kind: str
    subject: str
    title: str
    content: dict[str, Any]
    source: str
    effective_from: date
    assumption: str | None = None
    corrects_id: UUID | None = None


def propose(call: Call, proposal: Proposal) -> Publication:
    """Keep a rule as a draft of the caller's.

    Refuses, in this order: `RuleContentWrong` (subject), `RuleStartsInPast`, `RuleStartsTooFar`,
    `RuleKindUnknown`, `RuleContentWrong` (content), what `draft` refuses; `NotFound` and `NotARule` for what
    it corrects.
    """
    _check_subject(proposal)
    _check_start(call, proposal.effective_from)
    _check_content(call, proposal)
    if proposal.corrects_id is not None:
        _check_correction(own_rule(call, proposal.corrects_id), proposal)
    drafted = draft(call, Draft(region_id=call.region, **vars(proposal)))
    audit(call, "draft", subject=public_id(PREFIX, drafted.id), kind=proposal.kind)
    return drafted


def put_in_force(call: Call, publication_id: UUID, *, reason: str) -> Publication:
    """Publish a rule of the caller's region.

    Refuses, in this order: `NotFound`, `NotARule`, `RuleStartsInPast`, what `publish` refuses,
    `ScenarioCapped`.
    """
    rule = own_rule(call, publication_id)
    require(rule.effective_from >= call.today, RuleStartsInPast(today=call.today.isoformat()))
    # One rule a region at a time: whether a scenario has another cap is a look at what others published.
    region = select(Region.id).where(Region.id == rule.region_id)
    call.db.execute(region.with_for_update(key_share=True))
    published = publish(call, rule.id, reason=reason)
    if published.kind == "cap":
        _refuse_second_cap(call, published)
    return published


def own_rule(call: Call, publication_id: UUID) -> Publication:
    """A rule of the caller's region, draft or published; refuses `NotFound`, `NotARule`."""
    found = call.db.get(Publication, publication_id)
    if found is None or found.region_id != call.region:
        raise NotFound("no such publication")
    require(found.kind != FACTOR_TABLE, NotARule())
    return found


def own_rules(call: Call, page: PageRequest, *, kind: str | None, state: str | None) -> Page[Publication]:
    """Rules of the caller's region, drafts too, newest first."""
    query = select(Publication).where(Publication.region_id == call.region, Publication.kind != FACTOR_TABLE)
    if kind is not None:
        query = query.where(Publication.kind == kind)
    if state is not None:
        query = query.where(Publication.state == state)
    binding = f"rules/{call.region}/{kind}/{state}"
    return newest_first(call, query, Publication.id, page, binding=binding)


def rules_of_day(call: Call, region_id: str) -> list[Publication]:
    """Every rule of a region that rules today, by kind and subject; refuses `NotFound` (region)."""
    known_region(call.db, region_id)
    query = select(Publication).where(
        Publication.region_id == region_id,
        Publication.kind != FACTOR_TABLE,
        Publication.state == "published",
        Publication.effective_from <= call.today,
        Publication.ends_on.is_(None) | (Publication.ends_on > call.today),
    )
    return list(call.db.scalars(query.order_by(Publication.kind, Publication.subject)))


def _check_subject(proposal: Proposal) -> None:
    """A rule under a subject that nobody looks up would be published and never rule."""
    known: frozenset[str] | None = None
    if proposal.kind in ONE_OF_A_REGION:
        known = frozenset({STANDARD})
    elif proposal.kind == "validity":
        known = frozenset(SPENDING_ORDER)
    elif proposal.kind == PROCEDURE:
        known = frozenset({STANDARD, FACTOR_TABLE, *SHAPES})
    elif proposal.kind == CALENDAR:
        known = frozenset({subject_of(proposal.content.get("year", 0))})
    elif proposal.kind == "household_saving":
        known = frozenset(each.scenario for each in KINDS_OF_METERS.values())
    if known is not None and proposal.subject not in known:
        raise RuleContentWrong(f"the subject is one of {', '.join(sorted(known))}", pointer="/body/subject")


def _check_start(call: Call, day: date) -> None:
    pointer = "/body/effective_from"
    require(day >= call.today, RuleStartsInPast(pointer=pointer, today=call.today.isoformat()))
    require(day <= call.today + FURTHEST_START, RuleStartsTooFar(pointer=pointer))


def _check_content(call: Call, proposal: Proposal) -> None:
    """A rule of its kind's shape, about things that are there; the pointers are the request's."""
    content = proposal.content
    try:
        check_content(proposal.kind, content)
    except RuleContentWrong as wrong:
        raise RuleContentWrong(wrong.detail, pointer=f"/body{wrong.pointer}") from wrong
    if proposal.kind == "factor_fallback":
        pointer = "/body/content/region_id"
        known = call.db.get(Region, content["region_id"]) is not None
        require(known, RuleContentWrong("no such region", pointer=pointer))
        require(content["region_id"] != call.region, RuleContentWrong("another region", pointer=pointer))
    if proposal.kind == "spending_order" and sorted(content["classes"]) != sorted(SPENDING_ORDER):
        raise RuleContentWrong(f"each of {', '.join(SPENDING_ORDER)} once", pointer="/body/content/classes")
    named_once = {"cap", AUTOMATIC_HOLD}
    if proposal.kind in named_once and len(set(content["scenarios"])) < len(content["scenarios"]):
        raise RuleContentWrong("each scenario once", pointer="/body/content/scenarios")


def _check_correction(corrected: Publication, proposal: Proposal) -> None:
    same = (corrected.kind, corrected.subject) == (proposal.kind, proposal.subject)
    require(
        same and corrected.state in PUBLIC_STATES,
        RuleContentWrong("a published rule of this kind and subject", pointer="/body/corrects"),
    )


def _refuse_second_cap(call: Call, cap: Publication) -> None:
    others = call.db.scalars(
        select(Publication).where(
            Publication.region_id == cap.region_id,
            Publication.kind == cap.kind,
            Publication.state == "published",
            Publication.id != cap.id,
            Publication.ends_on.is_(None) | (Publication.ends_on > cap.effective_from),
        )
    )
    for other in others:
        both = sorted(set(cap.content["scenarios"]) & set(other.content["scenarios"]))
        if both:
            raise ScenarioCapped(scenarios=both, other=public_id(PREFIX, other.id))
