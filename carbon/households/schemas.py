"""What partners and operators say of homes, and what people read of theirs."""

from datetime import date
from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields

from carbon.households.kinds import KINDS
from carbon.households.readings import DUPLICATE, READINGS_MOST, REJECTED, TAKEN, ReadingOrder
from carbon.households.registration import (
    HOUSEHOLD,
    MEMBER,
    MEMBERS_MOST,
    METER,
    METERS_MOST,
    HouseholdOrder,
    MemberOrder,
    MeterOrder,
    StandingOrder,
)
from carbon.partners.registry import PREFIX as PARTNER
from carbon.partners.schemas import CARD_NUMBER
from kernel.http.fields import Day, Gives, Instant, PublicId, Several, Takes, Text, Whole, YesOrNo

_NUMBER = r"[0-9A-Za-z-]{1,32}"
_KIND = ma.validate.OneOf(tuple(KINDS))
EARLIEST = date(2015, 1, 1)
_METER = {
    "number": "demo-m-001",
    "kind": "electricity",
    "point": "1",
    "since": "2025-01-01",
    "modulus": 1_000_000,
    "resolution": 100,
}
_HOME = {
    "reference": "demo-home-001",
    "standing": {"since": "2025-01-01", "price_tier": 1, "has_solar": False},
    "meters": [_METER],
    "members": [{"subject": "3104700123456789", "since": "2025-01-01", "share": 1}],
}
_READING = {
    "source_event_id": "read-2025-03-01-m-001",
    "meter": "demo-m-001",
    "kind": "electricity",
    "day": "2025-03-01",
    "register": 123_456,
}


def _day(**more: Any) -> Day:
    return Day(validate=ma.validate.Range(min=EARLIEST), **more)


class TakesMember(Takes):
    """A person, by a number that the person bound here, from a day on; shares weigh against each other."""

    into = MemberOrder
    examples = MappingProxyType({"Somebody moves in": dict(_HOME["members"][0])})  # type: ignore[index]  # a list
    subject = Text(required=True, most=64, pattern=CARD_NUMBER, load_only=True)
    since = _day(required=True)
    share = Whole(least=1, most=1000, load_default=1)


class TakesDeparture(Takes):
    """The first day without them."""

    examples = MappingProxyType({"Somebody moves out": {"on": "2025-03-16"}})
    on = _day(required=True)


class TakesStanding(Takes):
    """In which tier of the price the home is from a day on, and whether it has solar panels."""

    into = StandingOrder
    examples = MappingProxyType(
        {"The third tier": {"since": "2025-06-01", "price_tier": 3, "has_solar": False}}
    )
    since = _day(required=True)
    price_tier = Whole(least=1, most=9, required=True)
    has_solar = YesOrNo(required=True)


class TakesMeter(Takes):
    """A meter at a point of the home. A step of its dial is `resolution` base units times `multiplier`."""

    into = MeterOrder
    examples = MappingProxyType(
        {
            "A second meter": {**_METER, "number": "demo-m-002", "point": "2"},
            "In the place of another": {
                **_METER,
                "number": "demo-m-003",
                "since": "2025-06-01",
                "first_register": 0,
                "last_register": 123_999,
            },
        }
    )
    number = Text(required=True, most=32, pattern=_NUMBER, load_only=True)
    kind = fields.String(required=True, validate=_KIND)
    point = Text(load_default="1", most=16, pattern=r"[0-9A-Za-z-]{1,16}")
    since = _day(required=True)
    modulus = Whole(least=2, most=10**12, required=True)
    resolution = Whole(least=1, most=10**9, required=True)
    multiplier = Whole(least=1, most=10_000, load_default=1)
    first_register = Whole(load_default=None, allow_none=True)
    last_register = Whole(load_default=None, allow_none=True)


class TakesHomeMeter(TakesMeter):
    """A meter that a home has from the beginning: there is none before it."""

    class Meta(Takes.Meta):
        """Nothing is replaced yet."""

        exclude = ("last_register",)


class TakesHousehold(Takes):
    """A home, its meters and its people."""

    into = HouseholdOrder
    examples = MappingProxyType({"A home": _HOME})
    reference = Text(required=True, most=64, pattern=r"[!-~]{1,64}")
    standing = fields.Nested(TakesStanding, required=True)
    meters = Several(fields.Nested(TakesHomeMeter), required=True, least=1, most=METERS_MOST)
    members = Several(fields.Nested(TakesMember), required=True, least=1, most=MEMBERS_MOST)


class TakesReading(Takes):
    """What a register showed when a day began, or (`corrects`) what it really showed."""

    into = ReadingOrder
    source_event_id = Text(required=True, most=128, pattern=r"[!-~]{1,128}")
    meter = Text(required=True, most=32, pattern=_NUMBER, load_only=True)
    kind = fields.String(required=True, validate=_KIND)
    day = _day(required=True)
    register = Whole(required=True, most=10**12)
    estimated = YesOrNo(load_default=False)
    corrects = Text(load_default=None, allow_none=True, most=128, pattern=r"[!-~]{1,128}")


class TakesReadings(Takes):
    """Readings in the order in which they are to be taken."""

    examples = MappingProxyType(
        {
            "A reading": {"readings": [_READING]},
            "It was another number": {
                "readings": [
                    {
                        **_READING,
                        "source_event_id": "read-2025-03-01-m-001-b",
                        "register": 123_465,
                        "corrects": _READING["source_event_id"],
                    }
                ]
            },
        }
    )
    readings = Several(fields.Nested(TakesReading), required=True, least=1, most=READINGS_MOST)


class GivesTaken(Gives):
    """What became of one reading."""

    source_event_id = fields.String()
    outcome = fields.String(metadata={"enum": [TAKEN, DUPLICATE, REJECTED]})
    code = fields.String(allow_none=True)
    pointer = fields.String(allow_none=True)
    detail = fields.String(allow_none=True)


class GivesReadings(Gives):
    """An outcome for each reading, in their order."""

    items = fields.List(fields.Nested(GivesTaken))


class GivesDays(Gives):
    """Half-open days; `until` is the first day after them, null while they go on."""

    since = fields.Function(
        lambda row: row.days.lower.isoformat(), metadata={"type": "string", "format": "date"}
    )
    until = fields.Function(
        lambda row: None if row.days.upper is None else row.days.upper.isoformat(),
        metadata={"type": ["string", "null"], "format": "date"},
    )


class GivesMeter(GivesDays):
    """A meter; its number is not known here any more."""

    id = PublicId(METER)
    kind = fields.String()
    point = fields.String()
    modulus = fields.Integer()
    resolution = fields.Integer()
    multiplier = fields.Integer()


class GivesMember(GivesDays):
    """A person's stay, under an id that is nobody's name."""

    id = PublicId(MEMBER)
    share = fields.Integer()


class GivesStanding(Gives):
    """From which day on what holds."""

    since = Day()
    price_tier = fields.Integer()
    has_solar = fields.Boolean()


class GivesHousehold(Gives):
    """A home as its partner knows it."""

    id = PublicId(HOUSEHOLD, attribute="household.id")
    reference = fields.String(attribute="household.reference")
    registered_at = Instant(attribute="household.created_at")
    meters = fields.List(fields.Nested(GivesMeter))
    members = fields.List(fields.Nested(GivesMember))
    standings = fields.List(fields.Nested(GivesStanding))


class GivesHouseholds(Gives):
    """A page of homes, newest first."""

    items = fields.List(fields.Nested(GivesHousehold))
    next = fields.String(allow_none=True)


class GivesOwnMember(Gives):
    """Somebody who lives there; the id is told to oneself only."""

    is_me = fields.Boolean()
    id = fields.String(allow_none=True)
    share = fields.Integer()
    since = Day()
    until = Day(allow_none=True)


class GivesOwnMeter(Gives):
    """A meter of the home."""

    kind = fields.String()
    point = fields.String()
    since = Day()
    until = Day(allow_none=True)


class GivesOwnHousehold(Gives):
    """A home of the caller and who shares it."""

    id = PublicId(HOUSEHOLD)
    partner_id = PublicId(PARTNER)
    members = fields.List(fields.Nested(GivesOwnMember))
    meters = fields.List(fields.Nested(GivesOwnMeter))


class GivesOwnHouseholds(Gives):
    """A page of homes, newest first."""

    items = fields.List(fields.Nested(GivesOwnHousehold))
    next = fields.String(allow_none=True)


class GivesShortfall(Gives):
    """Half-open days of a point that are not known, and why."""

    point = fields.String()
    first_day = fields.String(metadata={"format": "date"})
    end_day = fields.String(metadata={"format": "date"})
    reason = fields.String()


class GivesBaseline(Gives):
    """Which baseline counted, and how much it was."""

    name = fields.String()
    amount = fields.Integer()


class GivesOwnLine(Gives):
    """One line of the saving; `own_amount` is the caller's part."""

    line = fields.String()
    amount = fields.Integer()
    own_amount = fields.Integer()
    outcome = fields.String(allow_none=True)
    code = fields.String(allow_none=True)
    activity_id = PublicId("act", allow_none=True)


class GivesWhy(Gives):
    """A sentence in two languages."""

    zh = fields.String()
    en = fields.String()


class GivesOwnPeriod(Gives):
    """What a period came to: lines, or why there are none. Amounts are in `unit`."""

    kind = fields.String()
    unit = fields.String()
    first_day = Day()
    end_day = Day()
    revision = fields.Integer()
    recorded_at = Instant()
    reasons = fields.List(fields.String())
    says = fields.Nested(GivesWhy, allow_none=True)
    shortfalls = fields.List(fields.Nested(GivesShortfall))
    actual = fields.Integer(allow_none=True)
    baseline = fields.Nested(GivesBaseline, allow_none=True)
    total = fields.Integer()
    lines = fields.List(fields.Nested(GivesOwnLine))


class GivesOwnPeriods(Gives):
    """A page of periods, the last judged first."""

    items = fields.List(fields.Nested(GivesOwnPeriod))
    next = fields.String(allow_none=True)
