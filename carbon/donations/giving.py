"""From an enterprise's dossier to the region's pool: declared by one, approved by another, given once.

Approval admits the kilograms to the ledger on the enterprise's account; giving moves them to the
pool through clearing. A kilogram that was given is not on the enterprise's account any more.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from carbon.donations.errors import (
    DeclarerCannotApprove,
    ProjectNotApproved,
    ProjectNotWaiting,
    ProjectPeriodClaimed,
)
from carbon.donations.tables import Donation, DonationProject
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.signing import Purpose, verification_keys
from kernel.units import show_grams
from ledger.accounts import institution, open_account
from ledger.chart import Code, Kind, Unit
from ledger.posting import Movement, Transfer, move, post, roll_pending_legs

PROJECT, DONATION = "prj", "don"


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What an enterprise declares. `period_end` is the first day after the period; carbon in mg CO2e."""

    enterprise_id: UUID
    enterprise_name: str
    project_key: str
    title: str
    dossier: str
    period_start: date
    period_end: date
    carbon_mg: int
    verifier: str
    verification_document: str
    exclusivity_statement: str


def declare(call: Call, declaration: Declaration) -> DonationProject:
    """Keep a declaration. Refuses `ProjectPeriodClaimed`, naming the first."""
    project = DonationProject(
        id=new_id(),
        region_id=call.region,
        **vars(declaration),
        state="declared",
        declared_by=call.actor.known_id,
        declared_at=call.now,
    )
    try:
        with call.db.begin_nested():
            call.db.add(project)
            call.db.flush()  # the overlap must show itself here, inside the savepoint
    except IntegrityError as error:
        raise ProjectPeriodClaimed(first=_first_claim(call, declaration)) from error
    audit(call, "declare", subject=public_id(PROJECT, project.id), carbon_mg=project.carbon_mg)
    return project


def approve(call: Call, project_id: UUID, *, reason: str) -> DonationProject:
    """Admit the kilograms to the enterprise's account.

    Refuses, in this order: `NotFound`, `DeclarerCannotApprove`, `ProjectNotWaiting`.
    """
    project = _decide(call, project_id, state="approved", reason=reason)
    donor = open_account(
        call, project.enterprise_id, kind=Kind.DONOR, unit=Unit.CARBON, region_id=project.region_id
    )
    post(
        call,
        Transfer(
            account=donor,
            contra=institution(call, project.region_id, kind=Kind.SOURCE, unit=Unit.CARBON),
            amount=project.carbon_mg,
            code=Code.CREDIT_CARBON,
            source="project",
            reference=str(project.id),
            occurred_at=call.now,
        ),
    )
    return project


def reject(call: Call, project_id: UUID, *, reason: str) -> DonationProject:
    """Turn a declaration down; its period may be declared again. Refuses as `approve` does."""
    return _decide(call, project_id, state="rejected", reason=reason)


def donate(call: Call, project_id: UUID, *, carbon_mg: int) -> Donation:
    """Give kilograms of an approved project to the region's pool and sign the certificate.

    Refuses, in this order: `NotFound`, `ProjectNotApproved`, `NotEnough`.
    """
    project = find_project(call, project_id)
    if project.state != "approved":
        raise ProjectNotApproved
    donation_id = new_id()
    donor = open_account(
        call, project.enterprise_id, kind=Kind.DONOR, unit=Unit.CARBON, region_id=project.region_id
    )
    given = move(
        call,
        Movement(
            giver=donor,
            taker=institution(call, project.region_id, kind=Kind.POOL, unit=Unit.CARBON),
            amount=carbon_mg,
            code=Code.DONATE,
            source="donation",
            reference=str(donation_id),
            occurred_at=call.now,
        ),
        region_id=project.region_id,
    )
    donation = Donation(
        id=donation_id,
        region_id=project.region_id,
        project_id=project.id,
        carbon_mg=carbon_mg,
        transfer_id=given.transfer_id,
        given_at=call.now,
    )
    signer = call.keys.signer(call.db, Purpose.CERTIFICATE, now=call.now)
    donation.digest = digest(canonical_json(certificate(donation, project)))
    donation.kid = signer.kid
    donation.signature = signer.sign(donation.digest)
    call.db.add(donation)
    announce(
        call,
        "donation.given",
        region_id=project.region_id,
        subject=public_id(DONATION, donation_id),
        carbon_mg=carbon_mg,
    )
    return donation


def fill_pool(call: Call, region_id: str) -> int:
    """Post the donations that wait in clearing to the pool; milligrams. The rolling job calls it."""
    pool = institution(call, region_id, kind=Kind.POOL, unit=Unit.CARBON)
    return roll_pending_legs(call, pool, region_id=region_id, code=Code.DONATE)


def certificate(donation: Donation, project: DonationProject) -> dict[str, Any]:
    """What the certificate says; its canonical JSON is what is signed."""
    return {
        "format": "tanpuhui-certificate/1",
        "id": public_id(DONATION, donation.id),
        "region": donation.region_id,
        "enterprise": project.enterprise_name,
        "project": project.title,
        "project_key": project.project_key,
        "period_start": project.period_start.isoformat(),
        "period_end": project.period_end.isoformat(),
        "verifier": project.verifier,
        "verification_document": project.verification_document,
        "exclusivity_statement": project.exclusivity_statement,
        "carbon_mg": donation.carbon_mg,
        "carbon_shown": show_grams(donation.carbon_mg),
        "given_at": donation.given_at.isoformat(),
    }


def find_certificate(call: Call, donation_id: UUID) -> dict[str, Any]:
    """A certificate with its signature and whether it holds; refuses `NotFound`."""
    donation = call.db.get(Donation, donation_id)
    if donation is None:
        raise NotFound("no such certificate")
    said = certificate(donation, find_project(call, donation.project_id))
    mark = digest(canonical_json(said))
    keys = verification_keys(call.db, Purpose.CERTIFICATE, now=call.now)
    holds = mark == bytes(donation.digest) and keys.verify(
        kid=donation.kid, data=mark, signature=bytes(donation.signature)
    )
    proof = {"kid": donation.kid, "sha256": mark.hex(), "signature": bytes(donation.signature).hex()}
    return {"certificate": said, "proof": proof, "holds": holds}


def find_project(call: Call, project_id: UUID) -> DonationProject:
    """A project of the caller's region, or of any for a caller without one; refuses `NotFound`."""
    project = call.db.get(DonationProject, project_id)
    if project is None or call.actor.region_id not in {None, project.region_id}:
        raise NotFound("no such project")
    return project


def _decide(call: Call, project_id: UUID, *, state: str, reason: str) -> DonationProject:
    project = find_project(call, project_id)
    if project.declared_by == call.actor.known_id:
        raise DeclarerCannotApprove
    done = call.db.execute(
        update(DonationProject)
        .where(DonationProject.id == project_id, DonationProject.state == "declared")
        .values(state=state, decided_by=call.actor.known_id, decided_at=call.now, decision_reason=reason)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise ProjectNotWaiting
    call.db.refresh(project)
    audit(call, state, subject=public_id(PROJECT, project_id), reason=reason)
    return project


def _first_claim(call: Call, declaration: Declaration) -> str | None:
    first = call.db.scalar(
        select(DonationProject.id).where(
            DonationProject.project_key == declaration.project_key,
            DonationProject.state != "rejected",
            DonationProject.period_start < declaration.period_end,
            DonationProject.period_end > declaration.period_start,
        )
    )
    return None if first is None else public_id(PROJECT, first)
