"""Traps 10 to 21 that the field has fallen into: each has tests that bear its number.

Here stand those of no other place; the rest stands beside what it tests.

10  one trip through two apps        test_trips.py
11  registers of a meter             here as far as bills go; households/test_registers.py, test_judgement.py
12  one of several meters missing    households/test_judgement.py, test_assessment.py
13  months of different length       households/test_judgement.py
14  a saving claimed twice at home   households/test_assessment.py, test_judgement.py
15  a fallback nobody published      here
16  a mode richer than the table     here
17  kilograms counted elsewhere      donations/test_claims.py
18  one lot sold twice               here
19  one calculation, two haircuts    here: there is no market, so caps are the only haircut
20  a corrected factor               here for a new table; test_recomputation.py, test_recomputation_desk.py
                                     for one that corrects
21  whom a baseline is fair to       households/test_judgement.py
"""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from carbon.activities.errors import ScenarioUnknown
from carbon.activities.explanation import explain_activity
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.tables import Activity
from carbon.donations.errors import MoreThanVerified, ProjectPeriodClaimed
from carbon.donations.giving import declare, donate, fill_pool
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.errors import NoFactorInForce
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.factors.tables import Factor
from carbon.methodologies.errors import FactorUnitDoesNotFit
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.units import floor_to_milli_coins
from ledger.chart import Unit
from ledger.errors import NotEnough
from ledger.statements import balances
from rewards.exchange import exchange
from rewards.vouchers import owned
from tests.carbon.city import OFFICIAL, City, as_operator, lines, plant_city, publish_rule, ride
from tests.carbon.donations.test_donations import KILOGRAM, LED, approved, person
from tests.carbon.test_intake import activities, broken, take
from tests.carbon.test_meters import SEPTEMBER, Desk, plant_homes
from tests.conftest import NOW, REGION, Database
from tests.rewards.world import acting, shelf
from tests.rewards.world import publish_rules as publish_voucher_rules

TRAPS = range(10, 22)
TABLE = read_shipped_bundle(OFFICIAL)
METRO = TABLE.rows[0]


@pytest.fixture
def city(call: Call) -> City:
    made = plant_city(call)
    made.bind(call, ["card-017"])
    return made


def published(call: Call, *, subject: str = "another", **change: Any) -> None:
    """Put a table of one row in force: that of the metro, but for what changes."""
    row = replace(METRO, **{"examples": (), "valid_to": None, **change})
    table = replace(TABLE, subject=subject, region=row.region, rows=(row,))
    drafted = draft_factor_table(as_operator(call), table)
    publish_factor_table(as_operator(call), drafted.id, reason="trap")


# 11: registers of a meter


def test_trap_11_a_register_that_ran_backwards_is_no_saving(call: Call) -> None:
    """A rollover, a swapped meter and back-feed all look so; none of them becomes a whole month saved."""
    desk = Desk(call, plant_homes(call))
    for start, end in (("99990", "90"), ("1000", "20"), ("1000", "999.9")):
        bill = SEPTEMBER.replace("1000,1100", f"{start},{end}")
        assert desk.bills(bill) == [("rejected", "meter_runs_backwards")]
    assert activities(call) == []
    assert desk.bills(SEPTEMBER) == [("credited", None)]  # the days are free for the right readings


def test_trap_11_an_estimated_reading_is_replaced_by_the_real_one_and_not_added(call: Call) -> None:
    desk = Desk(call, plant_homes(call))
    assert desk.saving("e1", start=40, end=10, actual_wh=100_000)["outcome"] == "credited"
    assert (
        desk.saving("e1", start=40, end=10, actual_wh=300_000, corrects_revision=1)["outcome"] == "credited"
    )
    estimated, real = activities(call)
    owner = estimated.citizen_id
    held = {each.unit: each.available for each in balances(call, owner) if each.available}
    assert (held[Unit.CARBON], held[Unit.COIN]) == (real.carbon_mg, real.coin_milli)
    assert 0 < real.carbon_mg < estimated.carbon_mg
    assert broken(call) == []


# 15: a fallback nobody published


@pytest.mark.parametrize("scenario", ["teleport", "metro_ride_2", "metro", "unknown"])
def test_trap_15_an_unknown_action_fails_loud_and_counts_as_nothing_else(
    call: Call, city: City, scenario: str
) -> None:
    with pytest.raises(ScenarioUnknown):
        take_activity(call, city.intake(), lines(ride("e1", scenario=scenario)))
    assert activities(call) == []


def test_trap_15_another_regions_factor_is_taken_only_where_a_published_rule_says_so(
    call: Call, city: City
) -> None:
    """Neither the province, nor the nation, nor a neighbour is asked by itself."""
    for region in ("CN", "CN-GD"):
        published(
            call, scenario="ferry_ride", region=region, code=f"FERRY-{region}", valid_from=date(2020, 1, 1)
        )
    trip = lines(ride("e1", scenario="ferry_ride"))
    with pytest.raises(NoFactorInForce):
        take_activity(call, city.intake(), trip)
    publish_rule(call, "factor_fallback", "ferry_ride", {"region_id": "CN-GD"}, since=date(2026, 11, 21))
    with pytest.raises(NoFactorInForce):  # a rule of tomorrow rules no ride of today
        take_activity(call, city.intake(), trip)
    assert activities(call) == []
    tomorrow = replace(call, now=NOW + timedelta(days=1))
    take_activity(tomorrow, city.intake(), lines(ride("e1", scenario="ferry_ride", occurred_at=tomorrow.now)))
    (activity,) = activities(call)
    assert activity.basis.found_by == "fallback:CN-GD"
    told = explain_activity(call, activity)
    assert "CN-GD" in str(told["tree"])
    assert told["factor"]["code"] == "FERRY-CN-GD"


def test_trap_15_a_rule_that_leads_to_a_region_without_a_factor_leads_no_further(
    call: Call, city: City
) -> None:
    published(call, scenario="ferry_ride", region="CN", code="FERRY-CN", valid_from=date(2020, 1, 1))
    publish_rule(call, "factor_fallback", "ferry_ride", {"region_id": "CN-GD"})
    with pytest.raises(NoFactorInForce):
        take_activity(call, city.intake(), lines(ride("e1", scenario="ferry_ride")))
    assert activities(call) == []


# 16: a mode richer than the table


def test_trap_16_a_mode_that_the_table_does_not_tell_apart_is_refused_and_not_zero(
    call: Call, city: City
) -> None:
    """Nothing is rounded to the nearest mode, and a refused ride leaves its name free for a right one."""
    rows = [
        ride(f"e{number}", scenario=mode) for number, mode in enumerate(("metro_express_ride", "tram_ride"))
    ]
    assert take(call, city, *rows, ride("e2")) == ["rejected/scenario_unknown"] * 2 + ["credited"]
    assert [each.carbon_mg for each in activities(call)] == [467_000]
    published(call, scenario="tram_ride", code="TRAM", value="20", valid_from=date(2026, 1, 1))
    assert take(call, city, rows[1]) == ["credited"]
    assert sorted(each.carbon_mg for each in activities(call)) == [200_000, 467_000]


def test_trap_16_a_shared_cars_kilometres_are_not_each_passengers(call: Call, city: City) -> None:
    """A vehicle's kilometre is another measure: no row puts it in the place of a person's."""
    before = call.db.query(Factor).count()
    with pytest.raises(FactorUnitDoesNotFit):
        published(
            call, scenario="carpool_ride", code="CARPOOL", unit="gCO2/vehicle-km", valid_from=NOW.date()
        )
    assert call.db.query(Factor).count() == before
    with pytest.raises(ScenarioUnknown):
        take_activity(call, city.intake(), lines(ride("e1", scenario="carpool_ride")))


# 18: one lot sold twice


def test_trap_18_a_lot_that_was_given_is_not_there_for_another(call: Call) -> None:
    project = approved(call)
    donate(person(call), project.id, carbon_mg=60 * KILOGRAM)
    # The enterprise may hold kilograms of other projects; they are not this one's.
    other = replace(LED, project_key="demo-heat-pump-02")
    approved(call, other)
    with pytest.raises(MoreThanVerified), call.db.begin_nested():
        donate(person(call), project.id, carbon_mg=41 * KILOGRAM)
    donate(person(call), project.id, carbon_mg=40 * KILOGRAM)
    with pytest.raises(ProjectPeriodClaimed):
        declare(person(call), replace(LED, enterprise_id=person(call).actor.known_id))
    fill_pool(call, REGION)
    assert broken(call) == []


def test_trap_18_of_two_who_give_one_lot_at_once_one_gives_it(database: Database) -> None:
    project = database.run(lambda call: approved(call).id)
    together = Barrier(4)

    def give(_: int) -> str:
        together.wait()
        try:
            database.run(lambda call: donate(person(call), project, carbon_mg=60 * KILOGRAM))
        except (NotEnough, MoreThanVerified) as refusal:
            return refusal.code
        return "given"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(give, range(4)))
    assert outcomes.count("given") == 1
    (total,) = database.rows("SELECT sum(carbon_mg) AS mg FROM donation")
    assert total.mg == 60 * KILOGRAM


# 19: one calculation, two haircuts


def test_trap_19_one_calculation_gives_the_kilograms_and_the_coins(call: Call, city: City) -> None:
    """A cap cuts coins; a rate turns kilograms into coins; neither makes a second figure of kilograms."""
    take(call, city, ride("e1"), ride("e2"), ride("e3", metres=1))
    for each in activities(call):
        told = explain_activity(call, each)
        assert told["carbon_mg"] == each.carbon_mg == int(told["steps"][-1]["value_after"])
        whole = floor_to_milli_coins(each.carbon_mg, coins_milli=1000, per_mg=10_000)
        assert each.coin_milli + each.coin_cut_milli == whole == told["coins"]["before_cap_milli"]
        shares = {entry["unit"]: entry["share"] for entry in told["entries"]}
        assert shares["carbon"] == each.carbon_mg
        assert shares.get("coin", 0) == each.coin_milli
    owner = activities(call)[0].citizen_id
    held = {each.unit: each.available for each in balances(call, owner) if each.available}
    assert held == {Unit.CARBON: 2 * 467_000 + 46, Unit.COIN: 30_000}
    assert broken(call) == []


def test_trap_19_another_rate_gives_other_coins_for_the_same_kilograms(call: Call, city: City) -> None:
    take(call, city, ride("e1", metres=100))
    publish_rule(
        call, "coin_rate", "standard", {"coins_milli": 500, "per_mg": 10_000}, since=date(2026, 11, 21)
    )
    tomorrow = replace(call, now=NOW + timedelta(days=1))
    take_chunk(tomorrow, city.intake(), lines(ride("e2", metres=100, occurred_at=tomorrow.now)))
    before, after = activities(call)
    assert before.carbon_mg == after.carbon_mg == 4_670
    assert (before.coin_milli, after.coin_milli) == (467, 233)
    assert before.digest == after.digest  # the calculation is one; what it is worth is not part of it


# 20: a corrected factor


def test_trap_20_a_new_table_changes_neither_what_was_shown_nor_a_voucher(call: Call, city: City) -> None:
    publish_voucher_rules(call)
    take(call, city, ride("e1"))
    (activity,) = activities(call)
    citizen = acting(call, ActorKind.CITIZEN, activity.citizen_id)
    key = exchange(citizen, shelf(call).reward_id)
    shown, voucher, held = (
        explain_activity(call, activity),
        owned(citizen, key.voucher_id),
        _held(call, activity),
    )
    published(call, subject=TABLE.subject, code="SZ-METRO-2026", value="40", valid_from=date(2026, 11, 21))
    tomorrow = replace(call, now=NOW + timedelta(days=1))
    outcome = take_chunk(tomorrow, city.intake(), lines(ride("e2", occurred_at=tomorrow.now)))["outcome"]
    assert outcome.item() == "credited"
    call.db.expire_all()
    first, second = activities(call)
    assert (first.carbon_mg, second.carbon_mg) == (467_000, 400_000)
    assert explain_activity(call, first) == shown
    assert shown["replays_equal"] is True
    assert owned(citizen, key.voucher_id) == voucher
    assert _held(call, activity)[Unit.CARBON] == held[Unit.CARBON] + 400_000


def _held(call: Call, activity: Activity) -> dict[Unit, int]:
    return {each.unit: each.available for each in balances(call, activity.citizen_id) if each.available}


def test_every_trap_has_tests_that_bear_its_number() -> None:
    here = Path(__file__).parent
    named = {
        int(number)
        for path in here.rglob("test_*.py")
        for number in re.findall(r"^def test_trap_([0-9]+)_", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named == set(TRAPS)
