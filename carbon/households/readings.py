"""Readings come in: each event once, a number for a meter and day once, another one only as a correction.

Rows are never changed. Of a day with an estimated and an actual reading the actual one counts, of a reading
and its correction the correction. Homes are locked before their readings are written, in the order of their
ids, so that whoever judges a home sees all of a request or nothing of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from carbon.activities.meters import hash_meter
from carbon.households.errors import (
    CorrectedBefore,
    CorrectedUnknown,
    DayToCome,
    MeterUnknown,
    ReadingDiffers,
)
from carbon.households.kinds import KINDS
from carbon.households.registers import Reading
from carbon.households.registration import KEEP_READING, more_evidence, require_register
from carbon.households.tables import HouseholdMeter, MeterReading
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import Refusal, require

TAKEN, DUPLICATE, REJECTED = "taken", "duplicate", "rejected"
READINGS_MOST = 1_000


@dataclass(frozen=True, kw_only=True, repr=False)
class ReadingOrder:
    """What a meter showed when a day began, by the meter's number; never printed."""

    source_event_id: str
    meter: str
    kind: str
    day: date
    register: int
    estimated: bool
    corrects: str | None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of one reading."""

    source_event_id: str
    outcome: str
    code: str | None = None
    pointer: str | None = None
    detail: str | None = None


def take_readings(
    call: Call, partner_id: UUID, orders: Sequence[ReadingOrder], *, secret: bytes, at: str = "/body/readings"
) -> list[Taken]:
    """Take readings in their order; each comes out as taken, duplicate, or rejected with a code.

    Of one reading are refused, in this order: `DayToCome`, `MeterUnknown`, `RegisterTooLarge`,
    `CorrectedUnknown`, `ReadingDiffers`, `CorrectedBefore`.
    """
    hashes = [hash_meter(secret, counts=KINDS[each.kind].counts, number=each.meter) for each in orders]
    meters = _locked_meters(call, partner_id, hashes)
    told, touched = [], set()
    for place, (order, hashed) in enumerate(zip(orders, hashes, strict=True)):
        try:
            meter = _meter_of(call, meters.get(hashed, []), order)
            if keep(call, partner_id, meter, order, hashed):
                touched.add(meter.household_id)
                told.append(Taken(source_event_id=order.source_event_id, outcome=TAKEN))
            else:
                told.append(Taken(source_event_id=order.source_event_id, outcome=DUPLICATE))
        except Refusal as refusal:
            told.append(
                Taken(
                    source_event_id=order.source_event_id,
                    outcome=REJECTED,
                    code=refusal.code,
                    pointer=f"{at}/{place}{refusal.pointer or ''}",
                    detail=refusal.detail or refusal.title(),
                )
            )
    if touched:
        more_evidence(call, list(touched))
    return told


def keep(call: Call, partner_id: UUID, meter: HouseholdMeter, order: ReadingOrder, hashed: bytes) -> bool:
    """Keep a reading of a meter whose home is locked; False where it stands already."""
    require_register(meter, order.register, pointer="/register")
    payload = digest(canonical_bytes("meter-reading/1", hashed, *_content(order)))
    if order.corrects is not None:
        named = {"partner": partner_id, "event": order.corrects, "meter": meter.id, "day": order.day}
        known = call.db.execute(_OF_METER_AND_DAY, named).first()
        require(known is not None, CorrectedUnknown(pointer="/corrects"))
    values = {
        **{name: value for name, value in asdict(order).items() if name not in {"meter", "kind"}},
        "partner": partner_id,
        "meter": meter.id,
        "household": meter.household_id,
        "region": meter.region_id,
        "payload": payload,
        "now": call.now,
    }
    if call.db.execute(KEEP_READING, values).first() is not None:
        return True
    standing = call.db.execute(_STANDING, {"partner": partner_id, "event": order.source_event_id}).first()
    if standing is not None:
        require(bytes(standing.payload_hash) == payload, ReadingDiffers(pointer="/source_event_id"))
        return False
    if order.corrects is not None:
        raise CorrectedBefore(pointer="/corrects")
    first = call.db.execute(_FIRST, values).scalar_one()
    raise ReadingDiffers(f"first: event {first}", pointer="/day")


def effective(rows: Iterable[Row[Any] | MeterReading]) -> list[Reading]:
    """One a day of those that no other corrects: an actual one rather than an estimate, the last one."""
    rows = list(rows)
    corrected = {row.corrects for row in rows}
    best: dict[date, Row[Any] | MeterReading] = {}
    for row in sorted(rows, key=lambda each: (not each.estimated, each.recorded_at, each.source_event_id)):
        if row.source_event_id not in corrected:
            best[row.day] = row
    return [
        Reading(day=day, register=row.register, estimated=row.estimated) for day, row in sorted(best.items())
    ]


def _content(order: ReadingOrder) -> tuple[Any, ...]:
    return order.kind, order.day, order.register, order.estimated, order.corrects


def _meter_of(call: Call, meters: Sequence[HouseholdMeter], order: ReadingOrder) -> HouseholdMeter:
    """The meter that has this number on the day; its last reading is of the day on which it ended."""
    require(order.day <= call.today, DayToCome(pointer="/day"))
    for meter in meters:
        first, end = meter.days.lower, meter.days.upper
        if first is not None and first <= order.day and (end is None or order.day <= end):
            return meter
    raise MeterUnknown(pointer="/meter")


def _locked_meters(
    call: Call, partner_id: UUID, hashes: Sequence[bytes]
) -> dict[bytes, list[HouseholdMeter]]:
    """Meters of the partner's homes by their hash, the newest first; the homes are locked."""
    values = {"partner": partner_id, "hashes": sorted(set(hashes))}
    call.db.execute(_LOCK, values)
    found = call.db.query(HouseholdMeter).from_statement(_METERS).params(values).populate_existing().all()
    by_hash: dict[bytes, list[HouseholdMeter]] = {}
    for meter in found:
        by_hash.setdefault(bytes(meter.meter_hash), []).append(meter)
    return by_hash


_LOCK = text(
    "SELECT h.id FROM household h WHERE h.partner_id = :partner AND EXISTS (SELECT 1 FROM household_meter m"
    " WHERE m.household_id = h.id AND m.region_id = h.region_id AND m.meter_hash = ANY (:hashes))"
    " ORDER BY h.id FOR NO KEY UPDATE"
)
_METERS = text(
    "SELECT m.* FROM household_meter m JOIN household h ON h.id = m.household_id"
    " WHERE h.partner_id = :partner AND m.region_id = h.region_id AND m.meter_hash = ANY (:hashes)"
    " ORDER BY lower(m.days) DESC"
)
_STANDING = text(
    "SELECT payload_hash FROM meter_reading WHERE partner_id = :partner AND source_event_id = :event"
)
_OF_METER_AND_DAY = text(
    "SELECT 1 FROM meter_reading WHERE partner_id = :partner AND source_event_id = :event"
    " AND meter_id = :meter AND day = :day"
)
_FIRST = text(
    "SELECT source_event_id FROM meter_reading WHERE meter_id = :meter AND day = :day"
    " AND estimated = :estimated AND corrects IS NULL"
)
