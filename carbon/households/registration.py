"""Homes come to be known: by their partner or by an operator for it, with people who agreed themselves.

A person is named by a number that the person bound at the partner, with an open consent to its records: who
did not take part cannot be enrolled. Exclusion constraints stand behind who lives where and which meter is
whose, so of two who say otherwise at once the second is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError

from carbon.activities.errors import ConsentMissing, UnboundCard
from carbon.activities.meters import hash_meter
from carbon.households.errors import (
    ConsentOutdated,
    DayToCome,
    HouseholdExists,
    HouseholdFull,
    MemberThere,
    MeterOfAnotherHome,
    NothingToReplace,
    PointTaken,
    RegisterTooLarge,
    StayEnded,
)
from carbon.households.kinds import KINDS
from carbon.households.tables import Household, HouseholdMember, HouseholdMeter, HouseholdStanding
from carbon.partners.bindings import hash_subject, open_consent
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.registry import find_partner
from carbon.partners.tables import Binding, Partner
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id

HOUSEHOLD, MEMBER, METER = "hhd", "hhm", "mtr"
MEMBERS_MOST, METERS_MOST = 30, 30
"""Of one home, ended ones too."""


@dataclass(frozen=True, kw_only=True, repr=False)
class MemberOrder:
    """A person by the number that the person bound; never printed."""

    subject: str
    since: date
    share: int


@dataclass(frozen=True, kw_only=True, repr=False)
class MeterOrder:
    """A meter by its number, and what it showed on its first day, where that is known; never printed.

    `last_register` is what the meter before it at the point showed that day.
    """

    number: str
    kind: str
    point: str
    since: date
    modulus: int
    resolution: int
    multiplier: int = 1
    first_register: int | None = None
    last_register: int | None = None


@dataclass(frozen=True, kw_only=True)
class StandingOrder:
    """In which tier of the price a home is from a day on, and whether it has solar panels."""

    since: date
    price_tier: int
    has_solar: bool


@dataclass(frozen=True, kw_only=True)
class HouseholdOrder:
    """A home with whom and what it has; pointers of refusals name places of it."""

    reference: str
    standing: StandingOrder
    meters: Sequence[MeterOrder]
    members: Sequence[MemberOrder]


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A home with its meters, people and standings, ended ones too."""

    household: Household
    meters: Sequence[HouseholdMeter]
    members: Sequence[HouseholdMember]
    standings: Sequence[HouseholdStanding]


def register_household(call: Call, partner: Partner, order: HouseholdOrder, *, secret: bytes) -> Whole:
    """Register a home; what it saves counts from the month on in which it is registered.

    Refuses, in this order: `HouseholdExists`; of each meter `DayToCome`, `RegisterTooLarge`,
    `MeterOfAnotherHome`, `PointTaken`; of each member `DayToCome`, `UnboundCard`, `ConsentMissing`,
    `ConsentOutdated`, `MemberThere`.
    """
    household = Household(
        id=new_id(),
        region_id=partner.region_id,
        partner_id=partner.id,
        reference=order.reference,
        evidence_no=1,
        assessed_no=0,
        assessed_to=call.today.replace(day=1),
        assessed_on=call.today,
        created_at=call.now,
    )
    _add(call, household, "uq_household_partner_id_reference", HouseholdExists(pointer="/body/reference"))
    _add_standing(call, household, order.standing)
    for place, meter in enumerate(order.meters):
        _add_meter(call, household, meter, secret=secret, at=f"/body/meters/{place}")
    for place, member in enumerate(order.members):
        _add_member(call, household, member, secret=secret, at=f"/body/members/{place}")
    audit(
        call,
        "household.register",
        subject=public_id(HOUSEHOLD, household.id),
        meters=len(order.meters),
        members=len(order.members),
    )
    return whole(call, household)


def find_household(call: Call, partner_id: UUID, household_id: UUID) -> Household:
    """A home of this partner, locked: what is said of one home is said in turn. Refuses `NotFound`."""
    found = call.db.scalar(
        select(Household)
        .where(Household.id == household_id, Household.partner_id == partner_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound("no such household")
    return found


def show_household(call: Call, partner_id: UUID, household_id: UUID) -> Whole:
    """A home of this partner, to be read. Refuses `NotFound`."""
    found = call.db.get(Household, household_id)
    if found is None or found.partner_id != partner_id:
        raise NotFound("no such household")
    return whole(call, found)


def whole(call: Call, household: Household) -> Whole:
    """A home with everything that stands about it."""
    call.db.flush()

    def rows(table: Any) -> list[Any]:
        return list(
            call.db.scalars(select(table).where(table.household_id == household.id).order_by(table.id))
        )

    return Whole(
        household=household,
        meters=rows(HouseholdMeter),
        members=rows(HouseholdMember),
        standings=rows(HouseholdStanding),
    )


def add_member(call: Call, household: Household, order: MemberOrder, *, secret: bytes) -> Whole:
    """Somebody moves in. Refuses `HouseholdFull`, and what registering refuses of a member."""
    _require_room(call, household, HouseholdMember, MEMBERS_MOST)
    member = _add_member(call, household, order, secret=secret, at="/body")
    more_evidence(call, [household.id])
    audit(call, "household.move_in", subject=public_id(MEMBER, member.id))
    return whole(call, household)


def end_stay(call: Call, household: Household, member_id: UUID, *, on: date) -> Whole:
    """Somebody moves out: `on` is the first day without them. Refuses `NotFound`, `StayEnded`."""
    known = call.db.get(HouseholdMember, (household.id, member_id))
    if known is None:
        raise NotFound("no such member")
    values = {"household": household.id, "member": member_id, "on": on}
    done = call.db.execute(_END_STAY, values)
    require(done.rowcount == 1, StayEnded(pointer="/body/on"))  # type: ignore[attr-defined]  # cursor results
    call.db.refresh(known)
    more_evidence(call, [household.id])
    audit(call, "household.move_out", subject=public_id(MEMBER, member_id), on=on.isoformat())
    return whole(call, household)


def add_standing(call: Call, household: Household, order: StandingOrder) -> Whole:
    """Say in which tier a home is from a day on; said again for a day, the last word counts."""
    _add_standing(call, household, order)
    more_evidence(call, [household.id])
    return whole(call, household)


def add_meter(call: Call, household: Household, order: MeterOrder, *, secret: bytes) -> Whole:
    """A meter is put in; with `last_register` it replaces the one at its point, which ends on that day.

    Refuses, in this order: `HouseholdFull`, `NothingToReplace`, `RegisterTooLarge` (of the former one), and
    what registering refuses of a meter.
    """
    _require_room(call, household, HouseholdMeter, METERS_MOST)
    if order.last_register is not None:
        former = _end_former(call, household, order)
        require_register(former, order.last_register, pointer="/body/last_register")
        _read(call, household, former, order.since, order.last_register, "last")
    meter = _add_meter(call, household, order, secret=secret, at="/body")
    more_evidence(call, [household.id])
    replaced = order.last_register is not None
    audit(call, "household.meter", subject=public_id(METER, meter.id), replaced=replaced)
    return whole(call, household)


def more_evidence(call: Call, household_ids: Sequence[UUID]) -> None:
    """Note that there is something to judge that was not judged yet."""
    call.db.flush()
    call.db.execute(_MORE, {"ids": sorted(household_ids)})


def _add_standing(call: Call, household: Household, order: StandingOrder) -> None:
    call.db.add(
        HouseholdStanding(
            household_id=household.id,
            id=new_id(),
            region_id=household.region_id,
            **vars(order),
            recorded_at=call.now,
        )
    )
    call.db.flush()


def _add_meter(
    call: Call, household: Household, order: MeterOrder, *, secret: bytes, at: str
) -> HouseholdMeter:
    require(order.since <= call.today, DayToCome(pointer=f"{at}/since"))
    meter = HouseholdMeter(
        id=new_id(),
        household_id=household.id,
        region_id=household.region_id,
        kind=order.kind,
        point=order.point,
        meter_hash=hash_meter(secret, counts=KINDS[order.kind].counts, number=order.number),
        modulus=order.modulus,
        resolution=order.resolution,
        multiplier=order.multiplier,
        days=Range(order.since, None),
        recorded_at=call.now,
    )
    if order.first_register is not None:
        require_register(meter, order.first_register, pointer=f"{at}/first_register")
    try:
        _add(call, meter, "ex_household_meter_one_at_a_point", PointTaken(pointer=f"{at}/point"))
    except IntegrityError as error:
        if _constraint(error) != "ex_household_meter_one_home":
            raise
        # Whose it is may be another partner's affair; since when it is theirs is told.
        first = call.db.execute(
            _WHOSE, {"region": meter.region_id, "hash": meter.meter_hash, "on": order.since}
        )
        taken = first.scalar()
        raise MeterOfAnotherHome(
            "" if taken is None else f"first: from {taken} on", pointer=f"{at}/number"
        ) from error
    if order.first_register is not None:
        _read(call, household, meter, order.since, order.first_register, "first")
    return meter


def _read(
    call: Call, household: Household, meter: HouseholdMeter, day: date, register: int, which: str
) -> None:
    """Keep what a meter showed on its first or last day, unless a reading says so already.

    The event is named by the meter, with a space in it: no partner can send such a name.
    """
    values = {
        "partner": household.partner_id,
        "source_event_id": f"meter {public_id(METER, meter.id)} {which}",
        "meter": meter.id,
        "household": household.id,
        "region": household.region_id,
        "day": day,
        "register": register,
        "estimated": False,
        "corrects": None,
        "payload": digest(canonical_bytes("meter-reading/1", meter.id.bytes, which, day, register)),
        "now": call.now,
    }
    call.db.execute(KEEP_READING, values)


def _end_former(call: Call, household: Household, order: MeterOrder) -> HouseholdMeter:
    values = {"household": household.id, "kind": order.kind, "point": order.point, "on": order.since}
    ended = call.db.execute(_END_METER, values).scalar_one_or_none()
    if ended is None:
        raise NothingToReplace(pointer="/body/point")
    meter = call.db.get_one(HouseholdMeter, ended)
    call.db.refresh(meter)
    return meter


def _add_member(
    call: Call, household: Household, order: MemberOrder, *, secret: bytes, at: str
) -> HouseholdMember:
    require(order.since <= call.today, DayToCome(pointer=f"{at}/since"))
    hashed = hash_subject(secret, partner_id=household.partner_id, subject=order.subject)
    binding = call.db.scalar(
        select(Binding).where(
            Binding.partner_id == household.partner_id,
            Binding.subject_hash == hashed,
            Binding.ended_at.is_(None),
        )
    )
    if binding is None:
        raise UnboundCard(pointer=f"{at}/subject")
    _require_consent(call, household, binding, pointer=f"{at}/subject")
    member = HouseholdMember(
        household_id=household.id,
        id=new_id(),
        region_id=household.region_id,
        citizen_id=binding.citizen_id,
        binding_id=binding.id,
        share=order.share,
        days=Range(order.since, None),
        recorded_at=call.now,
    )
    _add(call, member, "ex_household_member_once", MemberThere(pointer=f"{at}/subject"))
    return member


def _require_consent(call: Call, household: Household, binding: Binding, *, pointer: str) -> None:
    """Refuse who did not agree, or not to the text that tells what the people of a home see."""
    consent = open_consent(call, binding.citizen_id, household.partner_id)
    if consent is None:
        raise ConsentMissing(pointer=pointer)
    offered = CONSENT_TEXTS[find_partner(call, household.partner_id).data_source]
    if offered.tells_of_homes and consent.text_version != offered.version:
        raise ConsentOutdated(pointer=pointer, current=offered.version)


def _add(call: Call, row: Any, constraint: str, refusal: Exception) -> None:
    """Add a row that a constraint may refuse; whatever else the database says is for the caller."""
    try:
        with call.db.begin_nested():
            call.db.add(row)
            call.db.flush()
    except IntegrityError as error:
        if _constraint(error) == constraint:
            raise refusal from error
        raise


def _constraint(error: IntegrityError) -> str | None:
    diag = getattr(error.orig, "diag", None)
    return cast("str | None", getattr(diag, "constraint_name", None))


def _require_room(call: Call, household: Household, table: Any, most: int) -> None:
    """The home is locked, so nobody adds another beside this look."""
    count = call.db.scalar(select(func.count()).where(table.household_id == household.id))
    if count is None:
        raise BrokenInvariant("a count is a number")
    require(count < most, HouseholdFull(most=most))


def require_register(meter: HouseholdMeter, register: int, *, pointer: str) -> None:
    """Refuse `RegisterTooLarge` for a number that the dial does not have."""
    require(register < meter.modulus, RegisterTooLarge(pointer=pointer, most=meter.modulus - 1))


KEEP_READING = text(
    "INSERT INTO meter_reading (partner_id, source_event_id, meter_id, household_id, region_id, day,"
    " register, estimated, corrects, payload_hash, recorded_at) VALUES (:partner, :source_event_id, :meter,"
    " :household, :region, :day, :register, :estimated, :corrects, :payload, :now)"
    " ON CONFLICT DO NOTHING RETURNING 1"
)
_MORE = text("UPDATE household SET evidence_no = evidence_no + 1 WHERE id = ANY (:ids)")
_END_STAY = text(
    "UPDATE household_member SET days = daterange(lower(days), :on)"
    " WHERE household_id = :household AND id = :member AND upper_inf(days) AND lower(days) < :on"
)
_END_METER = text(
    "UPDATE household_meter SET days = daterange(lower(days), :on)"
    " WHERE household_id = :household AND kind = :kind AND point = :point AND upper_inf(days)"
    " AND lower(days) < :on RETURNING id"
)
_WHOSE = text(
    "SELECT lower(days) FROM household_meter WHERE region_id = :region AND meter_hash = :hash"
    " AND days && daterange(CAST(:on AS date), NULL) ORDER BY 1 LIMIT 1"
)
