"""From an enterprise's dossier to the region's pool: declared by one, approved by another, given once.

Approval admits the kilograms to the ledger on the enterprise's account; giving moves them to the
pool through clearing. A kilogram that was given is not on the enterprise's account any more. What a
project rests on is claimed with it (`claims.py`), what was given has serials (`serials.py`).
"""

from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from carbon.donations.claims import NO_CLAIMS, Claims, claim, end_claims, take_records
from carbon.donations.deed_texts import CURRENT, STATEMENTS
from carbon.donations.documents import sealed_documents
from carbon.donations.errors import (
    DeclarerCannotApprove,
    MoreThanVerified,
    PeriodNotOver,
    ProjectNotApproved,
    ProjectNotWaiting,
    ProjectPeriodClaimed,
    StatementUnknown,
)
from carbon.donations.serials import Piece, lot_of, number, shelve
from carbon.donations.tables import SAME_KEY, Donation, DonationProject
from carbon.listing import newest_first
from kernel.actor import ActorKind, NotPermitted
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import InvalidField, NotFound
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
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


def declare(call: Call, declaration: Declaration, claims: Claims = NO_CLAIMS) -> DonationProject:
    """Keep a declaration, and claim what it rests on.

    Refuses, in this order, each naming the first: `PeriodNotOver`, `ProjectPeriodClaimed`,
    `PartnerUnknown`, `RecordCredited`, `RegistrationOffered`, `MeterOffered`.
    """
    if declaration.period_end > call.today:  # its last day is the one before
        raise PeriodNotOver(pointer="/body/period_end")
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
    claim(call, project, claims)
    audit(call, "declare", subject=public_id(PROJECT, project.id), carbon_mg=project.carbon_mg)
    return project


def approve(call: Call, project_id: UUID, *, reason: str) -> DonationProject:
    """Admit the kilograms to the enterprise's account, and take the records that it rests on for good.

    Refuses, in this order: `NotFound`, `DeclarerCannotApprove`, `ProjectNotWaiting`, `RecordCredited`.
    """
    project = _decide(call, project_id, state="approved", reason=reason)
    take_records(call, project)
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
    """Turn a declaration down; its period and claims are free again. Refuses as `approve` does."""
    project = _decide(call, project_id, state="rejected", reason=reason)
    end_claims(call, project)
    return project


def donate(call: Call, project_id: UUID, *, carbon_mg: int, statement_version: str = CURRENT) -> Donation:
    """Give kilograms of an approved project to the region's pool and sign the deed, which is the certificate.

    The deed makes the exclusivity statement of `statement_version`. The project's row is locked, so that
    two gifts at once are counted one after the other. Refuses, in this order: `NotFound`,
    `StatementUnknown`, `ProjectNotApproved`, `NotEnough`, `MoreThanVerified`.
    """
    project = find_project(call, project_id)
    if statement_version != CURRENT:
        raise StatementUnknown(pointer="/body/statement_version", current=CURRENT)
    call.db.refresh(project, with_for_update={"key_share": True})
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
    _refuse_beyond_verified(call, project, carbon_mg)
    donation = Donation(
        id=donation_id,
        region_id=project.region_id,
        project_id=project.id,
        carbon_mg=carbon_mg,
        transfer_id=given.transfer_id,
        statement_version=statement_version,
        given_at=call.now,
    )
    _sign(call, donation, project)
    audit(call, "donate", subject=public_id(DONATION, donation_id), carbon_mg=carbon_mg)
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


def certificate(
    donation: Donation, project: DonationProject, lot: Piece, documents: list[dict[str, Any]]
) -> dict[str, Any]:
    """What the certificate says; its canonical JSON is what is signed.

    The first form knew no serials, documents and versions of the statement; what was signed stays so.
    """
    said: dict[str, Any] = {
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
    if donation.statement_version is None:
        return said
    statement = STATEMENTS[donation.statement_version]
    return {
        **said,
        "format": "tanpuhui-certificate/2",
        "statement": {"version": statement.version, "sha256": statement.sha256},
        "first_serial": lot.first_serial,
        "last_serial": lot.last_serial,
        "documents": documents,
    }


def find_certificate(call: Call, donation_id: UUID) -> dict[str, Any]:
    """A certificate with its signature and whether it holds; refuses `NotFound`."""
    donation = call.db.get(Donation, donation_id)
    if donation is None:
        raise NotFound("no such certificate")
    project = call.db.get_one(DonationProject, donation.project_id)
    lot = lot_of(call, donation_id)
    piece = Piece(donation_id=donation_id, first_serial=lot.first_serial, last_serial=lot.last_serial)
    said = certificate(donation, project, piece, sealed_documents(call, project.id))
    mark = digest(canonical_json(said))
    keys = verification_keys(call.db, Purpose.CERTIFICATE, now=call.now)
    holds = mark == bytes(donation.digest) and keys.verify(
        kid=donation.kid, data=mark, signature=bytes(donation.signature)
    )
    proof = {"kid": donation.kid, "sha256": mark.hex(), "signature": bytes(donation.signature).hex()}
    return {"certificate": said, "proof": proof, "holds": holds}


def find_project(call: Call, project_id: UUID) -> DonationProject:
    """A project of the caller's region, for a donor also of the own enterprise; refuses `NotFound`."""
    project = call.db.get(DonationProject, project_id)
    if project is None or project.region_id != call.region:
        raise NotFound("no such project")
    if call.actor.kind is ActorKind.DONOR and project.enterprise_id != call.actor.organisation_id:
        raise NotFound("no such project")
    return project


def declaring_enterprise(call: Call, stated: UUID | None) -> UUID:
    """For whom the caller declares: a donor for the own enterprise, an operator for the stated one.

    Refuses `NotPermitted` (another enterprise), `InvalidField` (none).
    """
    if call.actor.kind is ActorKind.DONOR:
        own = call.actor.organisation_id
        if own is None or stated not in {None, own}:
            raise NotPermitted("a donor declares for the own enterprise")
        return own
    if stated is None:
        raise InvalidField("for which enterprise?", pointer="/body/enterprise_id")
    return stated


def projects(call: Call, page: PageRequest, *, state: str | None = None) -> Page[DonationProject]:
    """Projects of the caller's region, for a donor of the own enterprise, newest first."""
    query = select(DonationProject).where(DonationProject.region_id == call.region)
    mine = call.actor.organisation_id if call.actor.kind is ActorKind.DONOR else None
    if call.actor.kind is ActorKind.DONOR:
        query = query.where(DonationProject.enterprise_id == mine)
    if state is not None:
        query = query.where(DonationProject.state == state)
    binding = f"projects/{call.region}/{mine}/{state}"
    return newest_first(call, query, DonationProject.id, page, binding=binding)


def given_of(call: Call, project_id: UUID) -> int:
    """Milligrams given of a project so far."""
    total = call.db.scalar(select(func.sum(Donation.carbon_mg)).where(Donation.project_id == project_id))
    return int(total or 0)


def _sign(call: Call, donation: Donation, project: DonationProject) -> None:
    """Number the donation, sign its certificate, and keep both."""
    lot = number(call, donation)
    signer = call.keys.signer(call.db, Purpose.CERTIFICATE, now=call.now)
    said = certificate(donation, project, lot, sealed_documents(call, project.id))
    donation.digest = digest(canonical_json(said))
    donation.kid = signer.kid
    donation.signature = signer.sign(donation.digest)
    call.db.add(donation)
    call.db.flush()  # the lot's foreign key needs the row
    shelve(call, lot, region_id=donation.region_id)


def _refuse_beyond_verified(call: Call, project: DonationProject, carbon_mg: int) -> None:
    """An enterprise's account holds all its projects; a certificate speaks of one."""
    left = project.carbon_mg - given_of(call, project.id)
    if carbon_mg > left:
        raise MoreThanVerified(pointer="/body/carbon_mg", left_mg=left)


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
    values = {
        "key": declaration.project_key,
        "start": declaration.period_start,
        "end": declaration.period_end,
    }
    first = call.db.execute(_FIRST_CLAIM, values).scalar_one_or_none()
    return None if first is None else public_id(PROJECT, first)


_FIRST_CLAIM = text(
    f"SELECT id FROM donation_project WHERE {SAME_KEY} ="  # noqa: S608 - our own text
    f" {SAME_KEY.replace('project_key', 'CAST(:key AS text)')}"
    " AND state <> 'rejected' AND daterange(period_start, period_end) && daterange(:start, :end)"
    " ORDER BY declared_at, id LIMIT 1"
)
