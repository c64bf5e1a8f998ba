"""A ride is credited once, whoever sends it; so is a car-free day and a deemed month."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from carbon.activities.adapters.frames import SCHEMA
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.tables import TripClaim
from carbon.activities.trip_slots import slots_of, spans_of
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner, register_partner
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.errors import Refusal
from kernel.publications.rules import TripClass
from tests.carbon.city import SECRET, City, lines, plant_city, publish_rule, publish_tables, ride
from tests.carbon.test_intake import broken
from tests.conftest import REGION, Database

RAIL = {"scenarios": ["metro_ride"], "slot": "five_minutes"}
CARD = "card-017"


def on(clock: str, day: int = 19) -> datetime:
    hour, minute = clock.split(":")
    return datetime(2026, 11, day, int(hour), int(minute), tzinfo=SHANGHAI)


def trip(event: str, start: str | None, end: str, card: str = CARD, **more: Any) -> dict[str, Any]:
    """A metro ride of that day, by the clock of Shanghai."""
    return ride(event, card, started_at=None if start is None else on(start), occurred_at=on(end), **more)


@dataclass
class Desk:
    """Where the records of the metro and of an app come in, for the same citizen."""

    call: Call
    metro: City
    app: City
    citizen: UUID

    def take(self, city: City, *rows: dict[str, Any]) -> list[tuple[str, str | None]]:
        """Outcome and code of each."""
        return self.told(city, *rows)[0]

    def told(
        self, city: City, *rows: dict[str, Any]
    ) -> tuple[list[tuple[str, str | None]], list[str | None]]:
        taken = take_chunk(self.call, city.intake(), lines(*rows))
        return taken.select("outcome", "code").rows(), taken["detail"].to_list()

    def slots(self) -> list[str]:
        """The slots that are claimed, by the clock of Shanghai."""
        self.call.db.expire_all()
        found = self.call.db.query(TripClaim).order_by(TripClaim.slot)
        moments = [datetime.fromtimestamp(each.slot * 300, SHANGHAI) for each in found]
        return [moment.strftime("%H:%M") for moment in moments]


def plant_two(call: Call, *, card: str = CARD) -> tuple[City, City, UUID]:
    """A metro and an app that know one citizen, by the same number."""
    metro = plant_city(call)
    citizen = metro.bind(call, [card])[card]
    registered = register_partner(call, name="an app", region_id=REGION)
    app = City(registered.partner.id, registered.api_key)
    hashed = CitizenCard(citizen, hash_subject(SECRET, partner_id=app.partner_id, subject=card))
    bind_many(call, find_partner(call, app.partner_id), [hashed], text_version="v1")
    return metro, app, citizen


@pytest.fixture
def desk(call: Call) -> Desk:
    return Desk(call, *plant_two(call))


@pytest.fixture
def ruled(desk: Desk) -> Desk:
    publish_rule(desk.call, "trip_claims", "rail", RAIL)
    return desk


CREDITED, CLAIMED, DUPLICATE = ("credited", None), ("rejected", "trip_claimed"), ("duplicate", "duplicate")


def test_without_a_rule_nothing_is_claimed_and_both_are_credited(desk: Desk) -> None:
    assert desk.take(desk.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    assert desk.take(desk.app, trip("a1", "08:03", "08:33")) == [CREDITED]
    assert desk.slots() == []


def test_trap_10_the_same_ride_through_two_apps_is_credited_once(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    assert ruled.slots() == ["08:00", "08:05", "08:10", "08:15", "08:20", "08:25", "08:30"]
    assert ruled.take(ruled.app, trip("a1", "08:03", "08:33")) == [CLAIMED]
    assert ruled.take(ruled.app, trip("a2", None, "08:30")) == [CLAIMED]
    assert ruled.take(ruled.app, trip("a3", "08:36", "08:50")) == [CREDITED]
    assert broken(ruled.call) == []


def test_a_tap_is_one_slot_at_most_and_meets_the_ride_it_closes(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("tap", None, "08:31")) == [CREDITED]
    assert ruled.slots() == ["08:30"]
    assert ruled.take(ruled.app, trip("a1", "08:02", "08:31")) == [CLAIMED]
    assert ruled.take(ruled.app, trip("a2", "08:35", "08:50")) == [CREDITED]


def test_trap_10_a_partial_overlap_is_refused_whole_and_the_rest_may_be_sent_alone(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:00", "08:30")) == [CREDITED]
    before = ruled.slots()
    assert ruled.take(ruled.app, trip("a1", "08:20", "09:00")) == [CLAIMED]
    assert ruled.slots() == before
    assert ruled.take(ruled.app, trip("a1", "08:30", "09:00")) == [CREDITED]


def test_a_ride_that_begins_where_another_ends_shares_its_slot(ruled: Desk) -> None:
    assert (
        ruled.take(ruled.metro, trip("e1", "08:02", "08:31"), trip("e2", "08:33", "08:50")) == [CREDITED] * 2
    )
    assert ruled.take(ruled.metro, trip("e3", "07:40", "08:01")) == [CREDITED]
    assert ruled.take(ruled.app, trip("a2", "08:32", "08:49"), trip("a1", "08:31", "08:34")) == [CLAIMED] * 2


def test_a_record_alone_is_refused_with_pointer_and_the_slot_that_both_want(ruled: Desk) -> None:
    ruled.take(ruled.metro, trip("e1", "08:02", "08:31"))
    with pytest.raises(Refusal) as refused:
        take_activity(ruled.call, ruled.app.intake(), lines(trip("a1", "08:02", "08:31")))
    assert (refused.value.code, refused.value.pointer) == ("trip_claimed", "/occurred_at")
    assert refused.value.detail == "first: 2026-11-19 08:00, by an earlier record"


def test_the_same_fact_again_is_a_duplicate_and_with_other_content_differs(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    slots = ruled.slots()
    assert ruled.take(ruled.metro, trip("e1", "08:02", "08:31")) == [DUPLICATE]
    assert ruled.take(ruled.metro, trip("e1", "09:02", "09:31")) == [("rejected", "record_differs")]
    assert ruled.slots() == slots


def test_what_stood_before_the_rule_is_a_duplicate_although_another_has_its_time(desk: Desk) -> None:
    assert desk.take(desk.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    publish_rule(desk.call, "trip_claims", "rail", RAIL)
    assert desk.take(desk.app, trip("a1", "08:02", "08:31")) == [CREDITED]
    assert desk.take(desk.metro, trip("e1", "08:02", "08:31")) == [DUPLICATE]


def test_in_one_chunk_the_earlier_line_has_the_time(ruled: Desk) -> None:
    told = ruled.take(
        ruled.metro, trip("e1", "08:00", "08:30"), trip("e2", "08:25", "08:50"), trip("e3", "08:40", "09:00")
    )
    assert told == [CREDITED, CLAIMED, CREDITED]


def test_a_line_that_is_refused_keeps_its_time_from_nobody(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:00", "08:10")) == [CREDITED]
    told = ruled.take(
        ruled.metro,
        trip("e1", "09:00", "09:20"),  # stands with other content
        trip("nobodys", "09:00", "09:20", card="nobody"),
        trip("e2", "08:05", "09:10"),  # overlaps
        trip("e3", "09:00", "09:20"),
    )
    assert [code for _, code in told] == ["record_differs", "unbound_card", "trip_claimed", None]


def test_a_name_that_was_refused_is_free_for_the_next_line(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:00", "08:30")) == [CREDITED]
    told = ruled.take(ruled.metro, trip("e2", "08:10", "08:40"), trip("e2", "09:10", "09:40"))
    assert told == [CLAIMED, CREDITED]


def test_a_ride_that_comes_to_nothing_claims_nothing(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:02", "08:31", metres=0)) == [
        ("assessed", "below_one_milligram")
    ]
    assert ruled.take(ruled.app, trip("a1", "08:02", "08:31")) == [CREDITED]


def test_a_correction_moves_its_claim_and_a_withdrawal_frees_it(ruled: Desk) -> None:
    assert ruled.take(ruled.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    assert ruled.take(ruled.metro, trip("e1", "09:01", "09:08", corrects_revision=1)) == [CREDITED]
    assert ruled.slots() == ["09:00", "09:05"]
    assert ruled.take(ruled.app, trip("a1", "08:02", "08:31")) == [CREDITED]
    assert ruled.take(ruled.app, trip("a2", "09:03", "09:07")) == [CLAIMED]
    gone = trip("e1", "09:01", "09:08", corrects_revision=2, metres=0)
    assert ruled.take(ruled.metro, gone) == [("assessed", "below_one_milligram")]
    assert ruled.take(ruled.app, trip("a2", "09:03", "09:07")) == [CREDITED]
    assert broken(ruled.call) == []


def test_a_correction_into_anothers_time_is_refused_and_keeps_its_own(ruled: Desk) -> None:
    assert ruled.take(ruled.app, trip("a1", "09:00", "09:30")) == [CREDITED]
    assert ruled.take(ruled.metro, trip("e1", "08:00", "08:10")) == [CREDITED]
    assert ruled.take(ruled.metro, trip("e1", "08:55", "09:10", corrects_revision=1)) == [CLAIMED]
    assert ruled.slots()[:2] == ["08:00", "08:05"]
    assert ruled.take(ruled.metro, trip("e1", "08:05", "08:20", corrects_revision=1)) == [CREDITED]
    assert ruled.slots()[:3] == ["08:05", "08:10", "08:15"]


def test_a_correction_of_what_is_not_there_claims_nothing(ruled: Desk) -> None:
    told = ruled.take(
        ruled.metro, trip("e9", "08:00", "08:10", corrects_revision=1), trip("e1", "08:00", "08:10")
    )
    assert told == [("rejected", "revision_unknown"), CREDITED]


def test_a_correction_out_of_the_rules_days_frees_what_it_had(desk: Desk) -> None:
    publish_rule(desk.call, "trip_claims", "rail", RAIL, since=on("00:00").date())
    assert desk.take(desk.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    earlier = ride("e1", CARD, occurred_at=on("08:31", day=10), corrects_revision=1)
    assert desk.take(desk.metro, earlier) == [CREDITED]
    assert desk.slots() == []


def test_other_classes_and_other_people_do_not_meet(ruled: Desk) -> None:
    call = ruled.call
    publish_rule(call, "trip_claims", "road", {"scenarios": ["bus_ride"], "slot": "five_minutes"})
    ruled.metro.bind(call, ["card-018"])
    bus = trip("bus", "08:00", "08:30", scenario="bus_ride", metres=None, trips=1)
    told = ruled.take(
        ruled.metro, trip("e1", "08:00", "08:30"), bus, trip("e2", "08:00", "08:30", card="card-018")
    )
    assert told == [CREDITED] * 3


def test_a_trip_of_more_slots_than_one_may_claim_is_refused(ruled: Desk) -> None:
    long = ride("e1", CARD, started_at=on("08:00", day=16), occurred_at=on("08:00"))
    short = ride("e2", CARD, started_at=on("08:00", day=18), occurred_at=on("08:00"))
    assert ruled.take(ruled.metro, long, short) == [("rejected", "trip_too_long"), CREDITED]
    assert len(ruled.slots()) == 288


@pytest.mark.parametrize("count", [1, 16])
def test_of_many_who_send_one_ride_at_once_one_is_credited(database: Database, count: int) -> None:
    metro, app, _ = database.run(plant_two)
    database.run(lambda call: publish_rule(call, "trip_claims", "rail", RAIL))
    together = Barrier(2 * count)

    def send(number: int) -> str:
        city = (metro, app)[number % 2]
        row = trip(f"e{number}", f"08:{number:02}", "08:40")
        together.wait()
        try:
            return str(database.run(lambda call: take_activity(call, city.intake(), lines(row)))["outcome"])
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(2 * count) as pool:
        outcomes = list(pool.map(send, range(2 * count)))
    assert sorted(outcomes) == ["credited", *["trip_claimed"] * (2 * count - 1)]
    assert len(database.rows("SELECT DISTINCT activity_id FROM trip_claim")) == 1
    assert database.run(broken) == []


def test_corrections_and_others_that_want_one_time_at_once_leave_it_to_one(database: Database) -> None:
    metro, app, _ = database.run(plant_two)
    database.run(lambda call: publish_rule(call, "trip_claims", "rail", RAIL))
    first = trip("e1", "08:00", "08:20")
    database.run(lambda call: take_activity(call, metro.intake(), lines(first)))
    together = Barrier(8)

    def send(number: int) -> str:
        wanted = [
            (metro, trip("e1", "09:00", f"09:{20 + number}", corrects_revision=1)),
            (app, trip(f"a{number}", "09:10", "09:30")),
        ][number % 2]
        together.wait()
        try:
            outcome = database.run(lambda call: take_activity(call, wanted[0].intake(), lines(wanted[1])))
            return str(outcome["outcome"])
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(send, range(8)))
    assert outcomes.count("credited") == 1
    standing = database.rows(
        "SELECT a.source_event_id, a.revision FROM activity a WHERE NOT EXISTS (SELECT 1 FROM"
        " activity_reversal r WHERE r.activity_id = a.id) ORDER BY 1"
    )
    claiming = database.rows(
        "SELECT DISTINCT a.source_event_id, a.revision FROM trip_claim c"
        " JOIN activity a ON a.id = c.activity_id ORDER BY 1"
    )
    assert claiming == standing
    assert database.run(broken) == []


def test_two_hours_apart_is_another_ride(ruled: Desk) -> None:
    late = on("23:50"), on("23:50") + timedelta(minutes=20)
    over_midnight = ride("e1", CARD, started_at=late[0], occurred_at=late[1])
    assert ruled.take(ruled.metro, over_midnight) == [CREDITED]
    assert ruled.slots() == ["23:50", "23:55", "00:00", "00:05"]


def test_a_car_free_day_under_two_names_is_credited_once(desk: Desk) -> None:
    call = desk.call
    publish_rule(call, "factor_fallback", "car_free_day", {"region_id": "CN"})
    publish_tables(call, "car_free_days_national.yaml")
    publish_rule(call, "trip_claims", "car_free", {"scenarios": ["car_free_day"], "slot": "day"})

    def still(event: str, until: datetime, hours: int) -> dict[str, Any]:
        more: dict[str, Any] = {"scenario": "car_free_day", "metres": None, "standing_hours": hours}
        return ride(event, CARD, occurred_at=until, **more)

    assert desk.take(desk.metro, still("d1", on("00:00", day=19), 48)) == [CREDITED]
    assert desk.slots() == ["00:00", "00:00"]
    assert desk.take(desk.app, still("b1", on("20:00", day=17), 24)) == [CLAIMED]
    assert desk.take(desk.app, still("b2", on("09:00", day=19), 24)) == [CREDITED]
    assert desk.take(desk.app, still("b3", on("10:00", day=19), 24)) == [CLAIMED]
    assert desk.take(desk.metro, still("d2", on("00:00", day=18), 24)) == [CLAIMED]
    assert desk.take(desk.metro, still("d3", on("00:00", day=17), 24)) == [CREDITED]
    fewer = {**still("d1", on("00:00", day=19), 24), "corrects_revision": 1}
    assert desk.take(desk.metro, fewer) == [CREDITED]
    assert desk.take(desk.app, still("b1", on("20:00", day=17), 24)) == [CREDITED]
    assert broken(call) == []


def test_of_what_is_claimed_by_the_day_one_a_day_counts_at_whatever_hours(desk: Desk) -> None:
    publish_rule(desk.call, "trip_claims", "rail", {**RAIL, "slot": "day"})
    assert desk.take(desk.metro, trip("e1", "08:02", "08:31")) == [CREDITED]
    assert desk.take(desk.app, trip("a1", "18:02", "18:31")) == [CLAIMED]


def slots_claimed(slot: str, **more: Any) -> list[str]:
    """Beginnings of the slots of one record that ends on 2026-11-19."""
    each = TripClass(
        mode_class="c", scenarios=frozenset(["s"]), slot=slot, since=date(2026, 1, 1), until=None
    )
    line = {"scenario": "s", "occurred_at": on("12:00"), "business_day": on("12:00").date(), **more}
    schema = {
        **SCHEMA,
        "trip": pl.UInt32,
        "citizen_id": pl.String,
        "activity_id": pl.String,
        "business_day": pl.Date,
    }
    spans = spans_of(pl.DataFrame([{"trip": 0, **line}], schema=schema), [each])
    found = slots_of(spans)
    assert found.height == spans["slots"].item()
    return [datetime.fromtimestamp(each * 300, SHANGHAI).strftime("%Y-%m-%d %H:%M") for each in found["slot"]]


def test_months_are_counted_back_from_the_end_and_an_end_at_midnight_is_the_month_before() -> None:
    november = datetime(2026, 11, 1, tzinfo=SHANGHAI)
    assert slots_claimed("month", months=3, occurred_at=november) == [
        "2026-08-01 00:00",
        "2026-09-01 00:00",
        "2026-10-01 00:00",
    ]
    assert slots_claimed("month", months=1) == ["2026-11-01 00:00"]
    assert slots_claimed("month", started_at=datetime(2025, 12, 31, tzinfo=SHANGHAI))[0] == "2025-12-01 00:00"
    assert slots_claimed("day", started_at=on("23:59", day=17)) == [
        "2026-11-17 00:00",
        "2026-11-18 00:00",
        "2026-11-19 00:00",
    ]
    assert slots_claimed("day", standing_hours=71)[0] == "2026-11-18 00:00"
    assert slots_claimed("five_minutes", started_at=on("11:55")) == ["2026-11-19 11:55"]
    assert slots_claimed("five_minutes", started_at=on("12:00")) == ["2026-11-19 12:00"]
