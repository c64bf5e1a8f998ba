"""An interval of a meter is credited once, whoever sends it, in whatever file and whatever else races."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

import polars as pl
import pytest
from sqlalchemy import text

from carbon.activities.adapters.utility_bills import read_bills
from carbon.activities.errors import MeterIntervalTaken
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.tables import MeterClaim
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner, register_partner
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.tenancy import Region
from tests.carbon.city import SECRET, City, lines, plant_city, publish_rule, publish_tables, ride
from tests.carbon.test_intake import activities, broken
from tests.conftest import NOW, REGION, Database

GRIDS = tuple(f"grid_electricity_{year}.yaml" for year in (2021, 2022, 2023))
TABLES = (*GRIDS, "natural_gas_national.yaml", "purchased_heat.yaml", "shanghai_solar_2024.yaml")
HEADER = "account,meter,period_start,period_end,reading_start,reading_end,unit,baseline\n"
SEPTEMBER = "acc-1,m-1,2026-09-01,2026-10-01,1000,1100,kWh,200"


def plant_homes(call: Call) -> City:
    """A city with factors for electricity used and generated, gas and heat, and accounts."""
    city = plant_city(call)
    for region in {row.region for name in TABLES for row in read_shipped_bundle(name).rows}:
        if call.db.get(Region, region) is None:
            call.db.add(Region(id=region, parent_id="CN", name_zh=region, name_en=region, holder_id=new_id()))
    call.db.flush()  # the tables name these regions
    publish_rule(call, "factor_fallback", "household_electricity_saving", {"region_id": "CN-GD"})
    publish_rule(call, "factor_fallback", "household_gas_saving", {"region_id": "CN"})
    publish_rule(call, "factor_fallback", "household_heat_saving", {"region_id": "CN"})
    publish_rule(call, "factor_fallback", "solar_generation", {"region_id": "CN-SH"})
    publish_tables(call, *TABLES)
    city.bind(call, ["acc-1", "acc-2"])
    return city


@pytest.fixture
def city(call: Call) -> City:
    return plant_homes(call)


def bill_file(*bills: str) -> bytes:
    return (HEADER + "".join(f"{bill}\n" for bill in bills)).encode()


def read(*bills: str) -> pl.DataFrame:
    return pl.concat(read_bills(BytesIO(bill_file(*bills))))


@dataclass
class Desk:
    """Where bills come in, a chunk each."""

    call: Call
    city: City

    def bills(self, *bills: str) -> list[tuple[str, str | None]]:
        """Take bills; outcome and code of each."""
        intake = self.city.intake()
        return take_chunk(self.call, intake, read(*bills)).select("outcome", "code").rows()

    def saving(self, event: str, *, start: int, end: int, **more: Any) -> dict[str, Any]:
        """Take one record of our own format: readings from `start` to `end` days ago, 200 kWh below."""
        usual = {"scenario": "household_electricity_saving", "baseline_wh": 400_000, "actual_wh": 200_000}
        line = ride(
            event,
            "acc-1",
            metres=None,
            started_at=NOW - timedelta(days=start),
            occurred_at=NOW - timedelta(days=end),
            **{**usual, **more},
        )
        return take_activity(self.call, self.city.intake(), lines(line))

    def claimed(self) -> list[tuple[str, int, bool]]:
        """Claims by event, days and whether they stand."""
        found = self.call.db.query(MeterClaim).order_by(MeterClaim.id).populate_existing()
        return [
            (each.source_event_id, (each.days.upper - each.days.lower).days, each.ended_at is None)  # type: ignore[operator]  # bounded
            for each in found
        ]


@pytest.fixture
def desk(call: Call, city: City) -> Desk:
    return Desk(call, city)


CREDITED, TAKEN = ("credited", None), ("rejected", "meter_interval_taken")


def test_one_interval_sent_three_times_with_other_days_is_credited_once(desk: Desk) -> None:
    assert desk.bills(SEPTEMBER) == [CREDITED]
    assert desk.bills(SEPTEMBER.replace("09-01", "09-02")) == [TAKEN]
    assert desk.bills(SEPTEMBER.replace("10-01", "09-30")) == [TAKEN]
    assert desk.bills(SEPTEMBER.replace("acc-1", "acc-2")) == [TAKEN]
    assert desk.bills(SEPTEMBER) == [("duplicate", "duplicate")]
    assert desk.bills(SEPTEMBER.replace("1100", "1050")) == [("rejected", "record_differs")]
    assert len(activities(desk.call)) == 1
    assert broken(desk.call) == []


def test_what_touches_no_day_of_it_is_another_interval(desk: Desk) -> None:
    october = SEPTEMBER.replace("10-01", "11-01").replace("09-01", "10-01")
    august = SEPTEMBER.replace("09-01", "08-01").replace("10-01", "09-01")
    water = SEPTEMBER.replace("kWh", "m3")
    other = SEPTEMBER.replace("m-1", "m-2")
    assert desk.bills(SEPTEMBER, october, august, other) == [CREDITED] * 4
    assert desk.bills(water) != [TAKEN]


def test_of_two_in_one_chunk_the_earlier_line_wins_and_is_named(desk: Desk) -> None:
    call, city = desk.call, desk.city
    chunk = read(SEPTEMBER.replace("m-1", "m-2"), SEPTEMBER)
    later = read(SEPTEMBER.replace("09-01", "09-10"))
    fourth = pl.lit(chunk["line_no"][1] + 1, pl.Int64)
    both = pl.concat([chunk, later.with_columns(line_no=fourth)])
    outcomes = take_chunk(call, city.intake(), both)
    assert outcomes.select("outcome", "code").rows() == [CREDITED, CREDITED, TAKEN]
    assert outcomes["detail"][2] == "first: 2026-09-01 until before 2026-10-01"


def test_a_bill_that_is_refused_keeps_its_days_from_nobody(desk: Desk) -> None:
    future = SEPTEMBER.replace("10-01", "12-01")
    taken = SEPTEMBER.replace("09-01", "08-15").replace("10-01", "09-15")
    later = SEPTEMBER.replace("09-01", "09-11")
    assert desk.bills(SEPTEMBER.replace("09-01", "08-01").replace("10-01", "09-01")) == [CREDITED]
    assert desk.bills(future, taken, later, SEPTEMBER, later) == [
        ("rejected", "occurred_in_future"),
        TAKEN,
        CREDITED,
        TAKEN,
        ("duplicate", "duplicate"),
    ]
    assert broken(desk.call) == []


def test_a_second_partner_is_told_the_days_and_not_whose_they_are(desk: Desk) -> None:
    desk.bills(SEPTEMBER)
    other = register_partner(desk.call, name="second utility", region_id=REGION)
    hashed = hash_subject(SECRET, partner_id=other.partner.id, subject="acc-9")
    cards = [CitizenCard(new_id(), hashed)]
    bind_many(desk.call, find_partner(desk.call, other.partner.id), cards, text_version="v1")
    bills = read(SEPTEMBER.replace("acc-1", "acc-9").replace("09-01", "08-15"))
    intake = City(other.partner.id, other.api_key).intake()
    with pytest.raises(MeterIntervalTaken) as refused:
        take_activity(desk.call, intake, bills)
    assert refused.value.detail == "first: 2026-09-01 until before 2026-10-01"
    assert desk.call.db.execute(text("SELECT count(*) FROM activity_reference")).scalar_one() == 1


def test_a_record_without_a_meter_claims_the_days_of_its_account(desk: Desk) -> None:
    assert desk.saving("e1", start=40, end=10)["outcome"] == "credited"
    with pytest.raises(MeterIntervalTaken):
        desk.saving("e2", start=35, end=5)
    assert desk.saving("e3", start=10, end=5)["outcome"] == "credited"


def test_gas_and_heat_of_an_account_are_claimed_beside_its_electricity(desk: Desk) -> None:
    none = {"baseline_wh": None, "actual_wh": None}
    gas = {**none, "scenario": "household_gas_saving", "baseline_gas_ml": 9_000_000, "actual_gas_ml": 1}
    heat = {**none, "scenario": "household_heat_saving", "baseline_kj": 9_000_000, "actual_kj": 1}
    for event, reading in (("wh", {}), ("gas", gas), ("heat", heat)):
        assert desk.saving(event, start=40, end=10, **reading)["outcome"] == "credited"
    for event, reading in (("gas again", gas), ("heat again", heat)):
        with pytest.raises(MeterIntervalTaken):
            desk.saving(event, start=35, end=5, **reading)
    assert len(desk.claimed()) == 3
    assert broken(desk.call) == []


def test_what_a_roof_generated_is_claimed_beside_what_the_home_saved(desk: Desk) -> None:
    none = {"baseline_wh": None, "actual_wh": None}
    roof = {**none, "scenario": "solar_generation", "generated_wh": 9_000_000}
    assert desk.saving("home", start=40, end=10)["outcome"] == "credited"
    assert desk.saving("roof", start=40, end=10, **roof)["outcome"] == "credited"
    with pytest.raises(MeterIntervalTaken):
        desk.saving("roof again", start=11, end=5, **roof)
    assert desk.saving("roof later", start=10, end=5, **roof)["outcome"] == "credited"


def test_a_correction_moves_the_claim(desk: Desk) -> None:
    desk.saving("e1", start=40, end=20)
    assert desk.saving("e1", start=20, end=10, corrects_revision=1)["outcome"] == "credited"
    assert desk.claimed() == [("e1", 20, False), ("e1", 10, True)]
    assert desk.saving("e2", start=40, end=20)["outcome"] == "credited"
    with pytest.raises(MeterIntervalTaken):
        desk.saving("e3", start=15, end=12)


def test_a_correction_into_taken_days_is_refused_and_changes_nothing(desk: Desk) -> None:
    desk.saving("e1", start=40, end=20)
    desk.saving("e2", start=20, end=10)
    with pytest.raises(MeterIntervalTaken):
        desk.saving("e1", start=40, end=15, corrects_revision=1)
    assert desk.claimed() == [("e1", 20, True), ("e2", 10, True)]
    with pytest.raises(MeterIntervalTaken):
        desk.saving("e3", start=30, end=25)
    assert desk.saving("e1", start=40, end=21, corrects_revision=1)["outcome"] == "credited"
    assert broken(desk.call) == []


def ridden(event: str, **more: Any) -> dict[str, Any]:
    """A metro ride of the account, an hour of yesterday."""
    day = NOW - timedelta(days=1)
    return ride(event, "acc-1", started_at=day - timedelta(hours=1), occurred_at=day, **more)


@pytest.mark.parametrize("together", [False, True])
def test_a_correction_to_a_ride_that_is_refused_keeps_its_days(desk: Desk, *, together: bool) -> None:
    publish_rule(desk.call, "trip_claims", "rail", {"scenarios": ["metro_ride"], "slot": "five_minutes"})
    saving = {"scenario": "household_electricity_saving", "baseline_wh": 400_000, "actual_wh": 200_000}
    days = {"started_at": NOW - timedelta(days=35), "occurred_at": NOW - timedelta(days=15)}
    rows = [
        ridden("r1"),
        ridden("e1", metres=9_000, corrects_revision=1),
        ride("e2", "acc-1", metres=None, **days, **saving),
        ridden("r1", metres=9_000, corrects_revision=1),
    ]
    desk.saving("e1", start=40, end=20)
    chunks = [lines(*rows)] if together else [lines(row) for row in rows]
    taken = pl.concat([take_chunk(desk.call, desk.city.intake(), chunk) for chunk in chunks])
    claimed = ("rejected", "trip_claimed")
    assert taken.select("outcome", "code").rows() == [CREDITED, claimed, TAKEN, CREDITED]
    assert [claim for claim in desk.claimed() if claim[2]] == [("e1", 20, True)]
    assert desk.saving("e1", start=20, end=10, corrects_revision=1)["outcome"] == "credited"
    assert [claim for claim in desk.claimed() if claim[2]] == [("e1", 10, True)]
    assert broken(desk.call) == []


def test_a_withdrawn_interval_is_free_again_and_its_fact_must_get_it_anew(desk: Desk) -> None:
    (bill,) = read(SEPTEMBER)["source_event_id"].to_list()
    desk.bills(SEPTEMBER)
    nothing = {"baseline_wh": None, "actual_wh": None}
    assert (
        desk.saving(bill, start=2, end=1, saved_wh=0, corrects_revision=1, **nothing)["outcome"] == "assessed"
    )
    assert desk.bills(SEPTEMBER.replace("09-01", "09-02")) == [CREDITED]
    with pytest.raises(MeterIntervalTaken):  # the meter and days of its first revision: it names no others
        desk.saving(bill, start=2, end=1, saved_wh=9_000_000, corrects_revision=2, **nothing)
    assert broken(desk.call) == []


def test_the_same_interval_in_files_imported_at_once_is_credited_once(database: Database) -> None:
    city = database.run(plant_homes)

    def send(number: int) -> dict[str, int]:
        bills = [
            SEPTEMBER.replace("m-1", f"m-{meter}").replace("09-01", f"09-{number + 1:02}")
            for meter in range(60)
        ]
        order = ImportOrder(
            partner_id=city.partner_id,
            adapter="utility_bills",
            reference=f"file-{number}",
            card_secret=SECRET,
            chunk_lines=20,
        )
        return import_file(
            database.run, BytesIO(bill_file(*bills[:: 1 if number % 2 else -1])), order
        ).outcomes

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(send, range(6)))
    assert sum(each.get("credited", 0) for each in outcomes) == 60
    assert sum(each.get("rejected/meter_interval_taken", 0) for each in outcomes) == 300
    assert len(database.rows("SELECT 1 FROM activity")) == 60
    assert len(database.rows("SELECT 1 FROM activity_reference")) == 60
    told = database.rows("SELECT detail FROM activity_batch_line LIMIT 1")[0].detail
    assert told.startswith("first: 2026-09-0")
    assert "bat_" in told


def test_one_record_at_once_from_many_is_one_credit_and_duplicates(database: Database) -> None:
    city = database.run(plant_homes)
    bill = read(SEPTEMBER)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: database.run(lambda call: take_activity(call, city.intake(), bill)), range(16))
        )
    assert sorted(str(answer["outcome"]) for answer in answers) == ["credited", *["duplicate"] * 15]
