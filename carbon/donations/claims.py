"""What a project rests on counts nowhere else: meters, a partner's records, numbers of other schemes.

A meter's days are claimed in the table that citizens' readings claim them in, so whoever comes second is
refused, the household as well as the enterprise. A partner's records are looked for when a project is
declared and taken when it is approved, under the primary key that crediting takes them under. Rejection
frees the rest.
"""

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import DATERANGE, Range, insert
from sqlalchemy.exc import IntegrityError

from carbon.activities.meters import hash_meter
from carbon.activities.tables import MeterClaim
from carbon.donations.errors import MeterOffered, PartnerUnknown, RecordCredited, RegistrationOffered
from carbon.donations.tables import DonationEvent, DonationProject, DonationRegistration
from carbon.partners.tables import Partner
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.identifiers import new_id, public_id

PROJECT, PARTNER = "prj", "ptn"
COUNTED = {
    "electricity": ("generated_wh", "wh"),
    "water": ("ml",),
    "gas": ("gas_ml",),
    "heat": ("kj",),
}
"""What a meter counts, as readings claim it: generated power is claimed as saved power too, never as both."""
MOST_LIKENESSES = 50
FOR_EVER = {"green_certificate"}
"""Schemes whose every number stands for one megawatt-hour; others name a project, period by period."""


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A meter by what it counts and its number, exactly as the utility writes it."""

    counts: str
    number: str


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A number in another scheme."""

    scheme: str
    number: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """A data partner's record."""

    partner_id: UUID
    source_event_id: str


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a declaration names beside its period; `secret` is the key of the meters' hashes."""

    meters: tuple[Meter, ...] = ()
    registrations: tuple[Registration, ...] = ()
    records: tuple[Record, ...] = ()
    secret: bytes = b""


NO_CLAIMS = Claims()


def claim(call: Call, project: DonationProject, claims: Claims) -> None:
    """Claim all of it for a project just declared.

    Refuses, in this order, naming the first: `PartnerUnknown`, `RecordCredited`, `RegistrationOffered`,
    `MeterOffered`.
    """
    _note_records(call, project, claims.records)
    for place, registration in enumerate(claims.registrations):
        _claim_number(call, project, registration, place)
    wanted = {
        hash_meter(claims.secret, counts=counts, number=meter.number): place
        for place, meter in enumerate(claims.meters)
        for counts in COUNTED[meter.counts]
    }
    # In the order of meters, as imports claim them, so that two wait for each other in one direction only.
    for hashed in sorted(wanted):
        _claim_meter(call, project, hashed, wanted[hashed])


def take_records(call: Call, project: DonationProject) -> None:
    """Take a project's records as crediting would, for good; refuses `RecordCredited`."""
    values = {"project": project.id, "enterprise": project.enterprise_id, "hash": _mark(project)}
    call.db.execute(_TAKE, values)
    first = call.db.execute(_FIRST_OTHER, values).one_or_none()
    if first is not None:
        raise RecordCredited(partner=public_id(PARTNER, first.partner_id), source_event_id=first.event)


def end_claims(call: Call, project: DonationProject) -> None:
    """Free what a rejected project claimed."""
    for statement in _ENDS:
        call.db.execute(statement, {"project": project.id, "now": call.now})


def claims_of(call: Call, project: DonationProject) -> dict[str, Any]:
    """What a project claims, whose records others have by now, and which projects look like it.

    Meters are only counted: of their numbers nothing but a keyed hash is kept. Likenesses are no refusal;
    they are for whoever decides to look at.
    """
    values = {
        "project": project.id,
        "hash": _mark(project),
        "enterprise": project.enterprise_id,
        "verifier": project.verifier,
        "document": project.verification_document,
        "start": project.period_start,
        "end": project.period_end,
        "most": MOST_LIKENESSES,
    }
    found = call.db.execute(_CLAIMS, values).one()
    alike = call.db.execute(_ALIKE, values).all()
    return {
        **found._mapping,  # noqa: SLF001 - SQLAlchemy's public name
        "likenesses": [{"project_id": row.id, "why": row.why} for row in alike],
    }


def _note_records(call: Call, project: DonationProject, records: tuple[Record, ...]) -> None:
    for place, record in enumerate(records):
        partner = call.db.get(Partner, record.partner_id)
        if partner is None or partner.region_id != project.region_id:
            raise PartnerUnknown(pointer=f"/body/records/{place}/partner_id")
        call.db.add(DonationEvent(project_id=project.id, region_id=project.region_id, **vars(record)))
    if not records:
        return
    call.db.flush()  # they are looked for by SQL
    first = call.db.execute(_FIRST_OTHER, {"project": project.id, "hash": _mark(project)}).one_or_none()
    if first is not None:
        place = next(
            place
            for place, record in enumerate(records)
            if (record.partner_id, record.source_event_id) == (first.partner_id, first.event)
        )
        raise RecordCredited(
            pointer=f"/body/records/{place}",
            partner=public_id(PARTNER, first.partner_id),
            source_event_id=first.event,
        )


def _claim_number(call: Call, project: DonationProject, registration: Registration, place: int) -> None:
    """One number stands behind one project; as with project keys another spelling is the same number."""
    number = "".join(unicodedata.normalize("NFKC", registration.number).split()).lower()
    days: Range[date] = Range(project.period_start, project.period_end)
    if registration.scheme in FOR_EVER:
        days = Range()
    row = DonationRegistration(
        id=new_id(),
        region_id=project.region_id,
        project_id=project.id,
        scheme=registration.scheme,
        number=number,
        days=days,
        claimed_at=call.now,
    )
    try:
        with call.db.begin_nested():
            call.db.add(row)
            call.db.flush()  # the other one must show itself here, inside the savepoint
    except IntegrityError as error:
        values = {"scheme": registration.scheme, "number": number, "days": days}
        first = call.db.execute(_FIRST_NUMBER, values).scalar_one_or_none()
        raise RegistrationOffered(
            pointer=f"/body/registrations/{place}",
            first=None if first is None else public_id(PROJECT, first),
        ) from error


def _claim_meter(call: Call, project: DonationProject, hashed: bytes, place: int) -> None:
    values = {
        "id": new_id(),
        "region_id": project.region_id,
        "meter_hash": hashed,
        "days": Range(project.period_start, project.period_end),
        "project_id": project.id,
        "source_event_id": public_id(PROJECT, project.id),
        "revision": 1,
        "claimed_at": call.now,
    }
    made = call.db.execute(
        insert(MeterClaim).values(values).on_conflict_do_nothing().returning(MeterClaim.id)
    ).one_or_none()
    if made is not None:
        return
    first = call.db.execute(
        _FIRST_METER, {"region": project.region_id, "hash": hashed, "days": values["days"]}
    ).one_or_none()
    raise MeterOffered(pointer=f"/body/meters/{place}", **_told(first))


def _told(first: Any) -> dict[str, Any]:
    """The first one's days, and which project offered them or which partner sent them; nobody's name."""
    if first is None:  # it gave its days back at that moment; whoever asks again gets them
        return {}
    days = {
        "first_days_from": first.days_from.isoformat(),
        "first_days_until_before": first.days_to.isoformat(),
    }
    if first.project_id is not None:
        return {"first": public_id(PROJECT, first.project_id), **days}
    return {"first": public_id(PARTNER, first.partner_id), **days}


def _mark(project: DonationProject) -> bytes:
    """In the place of a record's hash; no record has this one."""
    return digest(canonical_bytes("donation-project/1", project.id))


_TAKE = text(
    "INSERT INTO activity_reference"
    " (partner_id, source_event_id, revision, citizen_id, activity_id, payload_hash)"
    " SELECT partner_id, source_event_id, 1, :enterprise, project_id, :hash FROM donation_event"
    " WHERE project_id = :project ORDER BY source_event_id, partner_id ON CONFLICT DO NOTHING"
)
_FIRST_OTHER = text(
    "SELECT e.partner_id, e.source_event_id AS event FROM donation_event e JOIN activity_reference r"
    " ON r.partner_id = e.partner_id AND r.source_event_id = e.source_event_id"
    " WHERE e.project_id = :project AND r.payload_hash <> :hash ORDER BY 2, 1 LIMIT 1"
)
_FIRST_NUMBER = text(
    "SELECT project_id FROM donation_registration WHERE scheme = :scheme AND number = :number"
    " AND days && :days AND ended_at IS NULL ORDER BY claimed_at, id LIMIT 1"
).bindparams(bindparam("days", type_=DATERANGE))
_FIRST_METER = text(
    "SELECT project_id, partner_id, lower(days) AS days_from, upper(days) AS days_to FROM meter_claim"
    " WHERE region_id = :region AND meter_hash = :hash AND days && :days"
    " AND ended_at IS NULL ORDER BY lower(days) LIMIT 1"
).bindparams(bindparam("days", type_=DATERANGE))
_ENDS = tuple(
    text(f"UPDATE {table} SET ended_at = :now WHERE project_id = :project AND ended_at IS NULL")  # noqa: S608 - ours
    for table in ("meter_claim", "donation_registration")
)
_CLAIMS = text(
    "SELECT (SELECT count(*) FROM meter_claim WHERE project_id = :project AND ended_at IS NULL) AS meters,"
    " (SELECT coalesce(json_agg(json_build_object('scheme', scheme, 'number', number)"
    " ORDER BY scheme, number), '[]') FROM donation_registration"
    " WHERE project_id = :project AND ended_at IS NULL) AS registrations,"
    " (SELECT count(*) FROM donation_event WHERE project_id = :project) AS records,"
    " (SELECT count(*) FROM donation_event e JOIN activity_reference r ON r.partner_id = e.partner_id"
    " AND r.source_event_id = e.source_event_id WHERE e.project_id = :project AND r.payload_hash <> :hash)"
    " AS records_of_others"
)
_ALIKE = text(
    "SELECT id, CASE WHEN verifier = :verifier AND verification_document = :document THEN 'same_document'"
    " ELSE 'same_enterprise_and_days' END AS why FROM donation_project WHERE id <> :project"
    " AND state <> 'rejected' AND ((verifier = :verifier AND verification_document = :document)"
    " OR (enterprise_id = :enterprise AND daterange(period_start, period_end) && daterange(:start, :end)))"
    " ORDER BY id LIMIT :most"
)
