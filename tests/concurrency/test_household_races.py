"""Threads on real PostgreSQL: a home is judged once, a meter is of one home, a day has one reading."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest

from carbon.activities.intake import take_chunk
from carbon.households.assessment import assess_due, assess_household
from carbon.households.readings import take_readings
from carbon.households.registration import add_member, end_stay, find_household, register_household
from carbon.partners.registry import find_partner
from carbon.reconciliation import CHECKS
from kernel.call import Call
from kernel.errors import Refusal
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import SECRET, City
from tests.carbon.households.street import (
    APRIL,
    IN_APRIL,
    LAST_YEAR,
    MARCH,
    REGISTERED,
    home_order,
    member_order,
    meter_order,
    plant_street,
    reading,
)
from tests.carbon.test_meters import read
from tests.conftest import Database

THREADS = 8


def at_once(works: list[Callable[[], object]]) -> list[object]:
    """What came of each, or the code with which it was refused; all begin together."""
    gate = Barrier(len(works))

    def one(work: Callable[[], object]) -> object:
        gate.wait()
        try:
            return work()
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


@pytest.fixture
def city(database: Database) -> City:
    return database.run(plant_street)


def registered(database: Database, city: City, reference: str = "home-1", *meters: str) -> UUID:
    order = home_order(
        reference, meters=[meter_order(each, str(n)) for n, each in enumerate(meters or ("m-1",))]
    )

    def work(call: Call) -> UUID:
        return register_household(
            call, find_partner(call, city.partner_id), order, secret=SECRET
        ).household.id

    return database.run(work, now=REGISTERED)


def send(database: Database, city: City, meter: str = "m-1") -> None:
    readings = [reading(day, shown, meter) for day, shown in (*LAST_YEAR, (MARCH, 200_000), (APRIL, 201_240))]
    told = database.run(
        lambda call: take_readings(call, city.partner_id, readings, secret=SECRET), now=IN_APRIL
    )
    assert {each.outcome for each in told} == {"taken"}


def sound(database: Database) -> None:
    outcomes = database.run(lambda call: reconcile(call, (*LEDGER_CHECKS, *CHECKS)))
    assert [outcome.check.name for outcome in outcomes if not outcome.holds] == []


def test_a_home_that_eight_judge_at_once_is_credited_once(database: Database, city: City) -> None:
    home = registered(database, city)
    send(database, city)

    def judge() -> object:
        return database.run(lambda call: assess_household(call, home, secret=SECRET), now=IN_APRIL)

    assert sorted(map(str, at_once([judge] * THREADS))) == ["0"] * (THREADS - 1) + ["1"]
    assert database.rows("SELECT count(*), sum(carbon_mg) FROM activity")[0] == (
        2,
        2 * 15_500 * 441_900 // 1_000,
    )
    assert database.rows("SELECT count(*) FROM household_saving")[0] == (1,)
    assert database.rows("SELECT count(*) FROM meter_claim")[0] == (1,)
    sound(database)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_workers_at_night_share_the_homes(database: Database, city: City, most: int) -> None:
    meters = [f"m-{number}" for number in range(6)]
    for number, meter in enumerate(meters):
        registered(database, city, f"home-{number}", meter)
        send(database, city, meter)
    night = IN_APRIL + timedelta(days=1)

    def work() -> object:
        done = 0
        while taken := database.run(lambda call: assess_due(call, secret=SECRET, most=most), now=night):
            done += taken
        return done

    assert sum(int(str(each)) for each in at_once([work] * 4)) == 6
    assert database.rows("SELECT count(*) FROM household_saving")[0] == (6,)
    assert database.rows("SELECT count(*) FROM activity")[0] == (12,)
    sound(database)


def test_a_meter_that_eight_homes_want_is_of_one(database: Database, city: City) -> None:
    def register(number: int) -> Callable[[], object]:
        return lambda: str(registered(database, city, f"home-{number}") and "registered")

    told = at_once([register(number) for number in range(THREADS)])
    assert sorted(map(str, told)) == ["meter_of_another_home"] * (THREADS - 1) + ["registered"]
    assert database.rows("SELECT count(*) FROM household")[0] == (1,)


def test_a_saving_and_a_bill_of_one_meter_are_one_credit(database: Database, city: City) -> None:
    home = registered(database, city)
    send(database, city)
    bill = read("acc-1,m-1,2026-03-10,2026-03-20,1000,1100,kWh,200")

    def judge() -> object:
        return database.run(lambda call: assess_household(call, home, secret=SECRET), now=IN_APRIL)

    def pay() -> object:
        return database.run(
            lambda call: take_chunk(call, city.intake(), bill)["outcome"].item(), now=IN_APRIL
        )

    told = at_once([judge, pay, judge, pay, judge, pay])
    assert {str(each) for each in told[1::2]} <= {"credited", "duplicate", "rejected"}
    claimed = database.rows("SELECT count(*) FROM meter_claim WHERE ended_at IS NULL")[0]
    savings = database.rows("SELECT total FROM household_saving")
    billed = "credited" in told
    assert (tuple(claimed), [each.total for each in savings]) == ((1,), [0 if billed else 31_000])
    assert database.rows("SELECT count(*) FROM activity")[0] == (1 if billed else 2,)
    sound(database)


def test_one_reading_sent_by_eight_is_taken_once(database: Database, city: City) -> None:
    registered(database, city)
    same = reading(MARCH, 100, source_event_id="e1")

    def push() -> object:
        taken = database.run(
            lambda call: take_readings(call, city.partner_id, [same], secret=SECRET), now=IN_APRIL
        )
        return taken[0].outcome

    assert sorted(map(str, at_once([push] * THREADS))) == ["duplicate"] * (THREADS - 1) + ["taken"]
    assert database.rows("SELECT evidence_no FROM household")[0] == (2,)


def test_of_eight_numbers_for_one_day_one_stands(database: Database, city: City) -> None:
    registered(database, city)

    def push(number: int) -> Callable[[], object]:
        one = [reading(MARCH, 100 + number)]
        return lambda: (
            database.run(
                lambda call: take_readings(call, city.partner_id, one, secret=SECRET)[0], now=IN_APRIL
            ).code
        )

    told = at_once([push(number) for number in range(THREADS)])
    assert sorted(map(str, told)) == ["None"] + ["reading_differs"] * (THREADS - 1)


def test_of_eight_corrections_of_one_reading_one_stands(database: Database, city: City) -> None:
    registered(database, city)
    first = [reading(MARCH, 100, source_event_id="e0")]
    database.run(lambda call: take_readings(call, city.partner_id, first, secret=SECRET), now=IN_APRIL)

    def push(number: int) -> Callable[[], object]:
        one = [reading(MARCH, 200 + number, corrects="e0")]
        return lambda: (
            database.run(
                lambda call: take_readings(call, city.partner_id, one, secret=SECRET)[0], now=IN_APRIL
            ).code
        )

    told = at_once([push(number) for number in range(THREADS)])
    assert sorted(map(str, told)) == ["None"] + ["corrected_before"] * (THREADS - 1)


def test_who_moves_in_or_out_eight_times_at_once_does_so_once(database: Database, city: City) -> None:
    home = registered(database, city)
    database.run(lambda call: city.bind(call, ["acc-3"]))
    order = member_order("acc-3", since=MARCH)

    def enter() -> object:
        def work(call: Call) -> object:
            found = find_household(call, city.partner_id, home)
            return add_member(call, found, order, secret=SECRET) and "moved"

        return database.run(work, now=IN_APRIL)

    assert sorted(map(str, at_once([enter] * THREADS))) == ["member_there"] * (THREADS - 1) + ["moved"]
    last = database.rows("SELECT id FROM household_member ORDER BY id DESC LIMIT 1")[0].id

    def leave() -> object:
        def work(call: Call) -> object:
            return end_stay(call, find_household(call, city.partner_id, home), last, on=APRIL) and "left"

        return database.run(work, now=IN_APRIL)

    assert sorted(map(str, at_once([leave] * THREADS))) == ["left"] + ["stay_ended"] * (THREADS - 1)
