"""A home's month is judged once, credited to the people who lived there, and put right when more is known."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
import structlog
from sqlalchemy import text

from carbon.activities.explanation import explain
from carbon.activities.holds import APPEAL_TIME, HoldOrder, decide, put_on_hold
from carbon.activities.intake import take_chunk
from carbon.households.assessment import assess_due
from carbon.households.registration import (
    HOUSEHOLD,
    StandingOrder,
    add_member,
    add_meter,
    add_standing,
    end_stay,
    find_household,
)
from carbon.households.tables import HouseholdSaving
from carbon.partners.bindings import unbind, withdraw_consent
from carbon.partners.registry import find_partner, grant_evidence
from carbon.partners.tables import Binding
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from tests.carbon.city import SECRET, publish_rule
from tests.carbon.households.street import (
    APRIL,
    IN_APRIL,
    IN_MAY,
    LAST_YEAR,
    MARCH,
    MAY,
    REGISTERED,
    Street,
    home_order,
    member_order,
    meter_order,
    plant_street,
    reading,
)
from tests.carbon.test_intake import activities, broken
from tests.carbon.test_meters import read
from tests.conftest import NOW, REGION, at

MILLIGRAMS_A_KWH = 441_900
"""By the grid factor of Guangdong that is in force in April of 2026."""


@pytest.fixture
def street(call: Call) -> Street:
    made = Street(call, plant_street(call))
    made.register()
    made.took(*(reading(day, register) for day, register in LAST_YEAR))
    return made


def whole_march(street: Street, used: int = 1_240) -> None:
    """4 kWh a day, in tenths of a kWh: 31 kWh less than the year before."""
    street.took(reading(MARCH, 200_000), reading(APRIL, 200_000 + used))


def test_trap_14_a_saving_is_credited_once_and_shared_to_the_unit(street: Street) -> None:
    whole_march(street, used=1_235)
    assert street.judge() == 1
    saving = street.last()
    assert (saving.total, saving.revision, saving.figures["baseline"]) == (
        31_500,
        1,
        {"name": "own_same_month", "amount": 155_000},
    )
    assert street.lines(saving) == [("saving", 15_750, "credited", None)] * 2
    lived = activities(street.call)
    assert [each.inputs for each in lived] == [{"saved_wh": 15_750}] * 2
    assert len({each.citizen_id for each in lived}) == 2
    assert street.claims() == [(MARCH, APRIL)]
    assert broken(street.call) == []


def test_it_explains_itself_and_replays(street: Street) -> None:
    whole_march(street)
    # After the rules of this city were published: a credit before that would rightly not replay.
    street.judge(now=NOW + timedelta(hours=1))
    lived = activities(street.call)[0]
    tree = explain(street.call, lived.citizen_id, int(lived.carbon_transfer_id or 0))
    assert tree["replays_equal"]
    shown = tree["activities"][0]
    assert shown["carbon_mg"] == 15_500 * MILLIGRAMS_A_KWH // 1_000
    assert shown["facts"] == {
        "household": public_id("hhd", street.homes["home-1"].household.id),
        "kind": "electricity",
        "period_start": "2026-03-01",
        "period_end": "2026-04-01",
        "line": "saving",
        "household_amount": 31_000,
        "household_use": 124_000,
        "baseline": "own_same_month",
        "baseline_amount": 155_000,
    }


def test_judged_again_it_adds_nothing(street: Street) -> None:
    whole_march(street)
    assert street.judge() == 1
    before = street.marks()
    assert [street.judge(), street.judge(now=IN_APRIL + timedelta(days=9))] == [0, 0]
    assert street.marks() == before


def test_trap_12_one_of_two_meters_without_a_reading_waits_for_it(street: Street) -> None:
    home = street.homes["home-1"].household
    add_meter(at(street.call, REGISTERED), home, meter_order("m-2", "2"), secret=SECRET)
    street.took(*(reading(day, register // 10, "m-2") for day, register in LAST_YEAR))
    whole_march(street)
    assert street.judge() == 1
    saving = street.last()
    assert (saving.total, saving.figures["reasons"]) == (0, ["reading_missing"])
    assert saving.figures["shortfalls"] == [
        {"point": "2", "first_day": "2026-03-01", "end_day": "2026-04-01", "reason": "reading_missing"}
    ]
    assert (activities(street.call), street.claims()) == ([], [])
    late = 30_000
    street.took(reading(MARCH, late, "m-2"), reading(APRIL, late + 124, "m-2"))
    assert street.judge() == 1
    assert (street.last().revision, street.last().total) == (2, 31_000 + 3_100)
    assert len(street.claims()) == 2
    assert broken(street.call) == []


def test_a_corrected_reading_posts_the_difference(street: Street) -> None:
    whole_march(street)
    street.judge()
    people = [each.citizen_id for each in activities(street.call)]
    wrong = reading(APRIL, 201_240).source_event_id
    street.took(reading(APRIL, 201_440, corrects=wrong))
    assert street.judge() == 1
    assert (street.last().revision, street.last().total) == (2, 11_000)
    assert [street.carbon(each) for each in people] == [5_500 * MILLIGRAMS_A_KWH // 1_000] * 2
    assert street.judge() == 0
    street.took(reading(APRIL, 209_000, source_event_id="again", corrects=f"m-1-{APRIL}-201440"))
    assert street.judge() == 1
    assert street.last().figures["reasons"] == ["not_below_baseline"]
    assert [street.carbon(each) for each in people] == [0, 0]
    assert street.claims() == []
    assert broken(street.call) == []


def test_trap_14_who_moves_out_has_the_days_until_then(street: Street) -> None:
    home = street.homes["home-1"]
    end_stay(at(street.call, IN_APRIL), home.household, home.members[1].id, on=date(2026, 3, 11))
    # Nobody who left may make a saving: one of two people for 21 of 31 days lowers the baseline.
    street.took(reading(MARCH, 200_000), reading(APRIL, 200_500))
    street.judge()
    baseline = 155_000 * (31 + 10) // 62
    assert street.last().figures["baseline"]["amount"] == baseline
    saved = baseline - 50_000
    parts = [amount for _, amount, *_ in street.lines(street.last())]
    assert sum(parts) == saved
    assert parts[1] == pytest.approx(saved * 5 / 31, abs=1)


def test_a_move_that_is_told_late_is_a_correction(street: Street) -> None:
    whole_march(street, used=500)
    street.judge()
    home = street.homes["home-1"]
    end_stay(at(street.call, IN_APRIL), home.household, home.members[1].id, on=MARCH)
    assert street.judge() == 1
    # Half the people, half the baseline: 77.5 kWh less 50.
    assert street.last().total == 27_500
    by_person = sorted(street.carbon(each.citizen_id) for each in home.members)
    assert by_person == [0, 27_500 * MILLIGRAMS_A_KWH // 1_000]
    assert broken(street.call) == []


def test_a_bill_of_the_meter_came_first(street: Street) -> None:
    whole_march(street)
    bill = "acc-1,m-1,2026-03-15,2026-04-15,1000,1100,kWh,200"
    intake = street.city.intake()
    assert take_chunk(street.call, intake, read(bill))["outcome"].to_list() == ["credited"]
    assert street.judge() == 1
    saving = street.last()
    assert (saving.total, saving.figures["reasons"]) == (0, ["meter_interval_taken"])
    assert saving.figures["detail"] == "first: 2026-03-15 until before 2026-04-15"
    before = street.marks()
    assert (street.judge(), street.marks()) == (0, before)
    assert len(activities(street.call)) == 1


def test_a_bill_of_the_meter_comes_second(street: Street) -> None:
    whole_march(street)
    street.judge()
    bill = "acc-1,m-1,2026-03-15,2026-04-15,1000,1100,kWh,200"
    told = take_chunk(street.call, street.city.intake(), read(bill)).row(0, named=True)
    assert (told["code"], told["detail"]) == (
        "meter_interval_taken",
        "first: 2026-03-01 until before 2026-04-01",
    )


def test_days_are_free_again_when_nothing_is_left_of_a_saving(street: Street) -> None:
    whole_march(street)
    street.judge()
    home = street.homes["home-1"].household
    third = StandingOrder(since=date(2026, 1, 1), price_tier=3, has_solar=False)
    add_standing(at(street.call, IN_APRIL), home, third)
    assert street.judge() == 1
    assert (street.last().figures["reasons"], street.claims()) == (["price_tier_excluded"], [])
    assert [street.carbon(each.citizen_id) for each in activities(street.call)] == [0] * 4
    bill = "acc-1,m-1,2026-03-15,2026-04-15,1000,1100,kWh,200"
    assert take_chunk(street.call, street.city.intake(), read(bill))["outcome"].to_list() == ["credited"]
    assert broken(street.call) == []


def refuse_part(street: Street, citizen: UUID, activity: UUID) -> None:
    """One operator holds a part, another refuses it when the time to appeal is over."""
    editor, publisher = (Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION) for _ in range(2))
    order = HoldOrder(citizen_id=citizen, activity_id=activity, reason_zh="不符", reason_en="not so")
    kept = put_on_hold(replace(at(street.call, NOW), actor=editor), order)
    decided = replace(at(street.call, NOW + APPEAL_TIME), actor=publisher)
    decide(decided, kept.id, into="refused", reason="nobody lived there")


def test_the_days_of_a_saving_that_was_refused_are_free_for_the_true_bill(call: Call) -> None:
    street = Street(call, plant_street(call))
    publish_rule(call, "grace", "standard", {"days": 30})
    street.register(home_order(members=[member_order("acc-1"), member_order("acc-2")]))
    street.took(*(reading(day, register) for day, register in LAST_YEAR))
    whole_march(street)
    tonight = at(call, NOW + timedelta(hours=1))
    assert assess_due(tonight, secret=SECRET) == 1
    assert assess_due(tonight, secret=SECRET) == 0
    lived = activities(call)
    bill = read("acc-1,m-1,2026-03-15,2026-04-15,1000,1100,kWh,200")
    for number, each in enumerate(lived, start=1):
        assert street.claims()
        refuse_part(street, each.citizen_id, each.id)
        night = at(call, NOW + APPEAL_TIME + timedelta(days=number))
        assert assess_due(night, secret=SECRET) == 1
    assert street.claims() == []
    assert take_chunk(call, street.city.intake(), bill)["outcome"].to_list() == ["credited"]
    call.db.expire_all()
    assert street.judge(now=NOW + APPEAL_TIME + timedelta(days=9)) == 1
    march = [each for each in street.savings() if each.first_day == MARCH][-1]
    assert march.figures["reasons"] == ["meter_interval_taken"]
    assert [row[2:] for row in street.lines(march)] == [("rejected", "activity_held")] * len(lived)
    assert broken(call) == []


def test_w28_the_third_tier_of_the_price_saves_nothing(call: Call) -> None:
    street = Street(call, plant_street(call))
    street.register(home_order(tier=3))
    street.took(*(reading(day, register) for day, register in LAST_YEAR))
    whole_march(street)
    assert street.judge() == 1
    assert (street.last().total, street.last().figures["reasons"]) == (0, ["price_tier_excluded"])
    assert activities(call) == []


def test_a_meter_that_was_replaced_in_the_month_counts_as_one(street: Street) -> None:
    street.took(reading(MARCH, 200_000))
    swap = meter_order(
        "m-9", "1", since=date(2026, 3, 20), modulus=100_000, first_register=99_900, last_register=200_760
    )
    add_meter(at(street.call, IN_APRIL), street.homes["home-1"].household, swap, secret=SECRET)
    street.took(reading(APRIL, 380, "m-9"))
    assert street.judge() == 1
    assert (street.last().figures["actual"], street.last().total) == (124_000, 31_000)
    assert street.claims() == [(MARCH, date(2026, 3, 20)), (date(2026, 3, 20), APRIL)]


def test_who_withdrew_the_consent_gets_no_more_and_the_others_do(street: Street) -> None:
    whole_march(street)
    left, stayed = (each.citizen_id for each in street.homes["home-1"].members)
    withdraw_consent(street.call, left, street.city.partner_id)
    street.judge()
    assert street.lines(street.last()) == [
        ("saving", 15_500, "rejected", "consent_withdrawn"),
        ("saving", 15_500, "credited", None),
    ]
    assert (street.carbon(left), street.carbon(stayed)) == (0, 15_500 * MILLIGRAMS_A_KWH // 1_000)
    before = street.marks()
    assert (street.judge(), street.marks()) == (0, before)


def test_a_number_that_is_anothers_now_brings_nobody_anothers_share(street: Street) -> None:
    whole_march(street)
    member = street.homes["home-1"].members[0]
    owner = replace(street.call, actor=replace(street.call.actor, id=member.citizen_id))
    unbind(owner, member.binding_id)
    street.city.bind(street.call, ["acc-1"])
    assert street.call.db.query(Binding).filter(Binding.ended_at.is_(None)).count() == 2
    street.judge()
    assert street.lines(street.last())[0] == ("saving", 15_500, "rejected", "unbound_card")
    assert len(activities(street.call)) == 1


@pytest.mark.parametrize("anothers", [False, True])
def test_parts_never_exceed_a_saving_that_shrank_after_a_number_was_given_back(
    street: Street, *, anothers: bool
) -> None:
    whole_march(street)
    street.judge()
    left, stayed = street.homes["home-1"].members
    unbind(replace(street.call, actor=replace(street.call.actor, id=left.citizen_id)), left.binding_id)
    if anothers:
        street.city.bind(street.call, ["acc-1"])
    street.took(reading(APRIL, 201_440, corrects=f"m-1-{APRIL}-201240"))
    assert street.judge() == 1
    half = 11_000 // 2
    assert street.last().total == 2 * half
    assert street.lines(street.last()) == [("saving", half, "credited", None)] * 2
    worth = half * MILLIGRAMS_A_KWH // 1_000
    assert [street.carbon(each.citizen_id) for each in (left, stayed)] == [worth] * 2
    # More is not credited to who gave the number back.
    street.took(reading(APRIL, 201_240, source_event_id="once more", corrects=f"m-1-{APRIL}-201440"))
    street.judge()
    assert street.lines(street.last()) == [
        ("saving", 15_500, "rejected", "unbound_card"),
        ("saving", 15_500, "credited", None),
    ]
    assert street.carbon(left.citizen_id) == worth
    before = street.marks()
    assert (street.judge(), street.marks(), broken(street.call)) == (0, before, [])


@pytest.mark.parametrize(
    ("tiers", "told"),
    [
        (["self_check_in", "device_verified"], ("credited", None)),
        (["self_check_in"], ("rejected", "evidence_unknown")),
        (["self_check_in", "photo"], ("rejected", "evidence_missing")),
    ],
)
def test_a_meter_is_a_device_where_the_contract_has_that_tier(
    street: Street, tiers: list[str], told: tuple[str, str | None]
) -> None:
    whole_march(street)
    partner = find_partner(street.call, street.city.partner_id)
    grant_evidence(street.call, partner.id, tiers=tiers, reason="demo city")
    street.call.db.refresh(partner)
    street.judge()
    assert street.lines(street.last()) == [("saving", 15_500, *told)] * 2
    assert street.claims() == ([(MARCH, APRIL)] if told[1] is None else [])


def test_a_month_is_judged_when_it_has_settled(street: Street) -> None:
    whole_march(street)
    assert street.judge(now=IN_APRIL.replace(day=2)) == 0
    assert street.judge(now=IN_APRIL.replace(day=3)) == 1


def test_a_region_without_a_rule_judges_nothing(call: Call) -> None:
    street = Street(call, plant_street(call))
    street.register(home_order(meters=[meter_order(kind="water")]))
    street.took(*(reading(day, register, kind="water") for day, register in LAST_YEAR))
    assert (street.judge(), street.savings()) == (0, [])


def test_nothing_is_credited_for_months_before_the_registration(street: Street) -> None:
    whole_march(street)
    street.register(home_order("home-2", meters=[meter_order("m-7")]), now=IN_APRIL)
    assert (street.judge("home-2", now=IN_APRIL), street.savings("home-2")) == (0, [])


def test_every_home_waits_its_turn_once_a_day(street: Street) -> None:
    whole_march(street)
    street.register(home_order("home-2", meters=[meter_order("m-7")]))
    call = at(street.call, IN_APRIL)
    assert [assess_due(call, secret=SECRET, most=1) for _ in range(3)] == [1, 1, 0]
    assert (street.last().total, street.last("home-2").figures["reasons"]) == (31_000, ["reading_missing"])
    street.took(reading(MAY, 202_000))
    assert assess_due(call, secret=SECRET, most=1) == 0
    tomorrow = at(street.call, IN_APRIL + timedelta(days=1))
    assert [assess_due(tomorrow, secret=SECRET, most=1) for _ in range(2)] == [1, 0]
    assert [assess_due(at(street.call, IN_MAY), secret=SECRET, most=1) for _ in range(3)] == [1, 1, 0]
    assert [each.first_day for each in street.savings()] == [MARCH, APRIL]


def test_a_level_that_is_held_has_a_line_of_its_own(call: Call) -> None:
    street = Street(call, plant_street(call, maintenance_periods=1, maintenance_permille=500))
    street.register()
    days = [date(2025, 3, 1), APRIL.replace(year=2025), MAY.replace(year=2025), MARCH, APRIL, MAY]
    shown = [0, 1_550, 3_050, 60_000, 61_240, 62_730]  # 5, 5, then 4 and 4.97 kWh a day
    street.took(*(reading(day, register) for day, register in zip(days, shown, strict=True)))
    street.judge(now=IN_MAY)
    march, april = street.savings()
    assert march.figures["lines"].keys() == {"saving"}
    lines = {name: line["amount"] for name, line in april.figures["lines"].items()}
    assert lines == {"saving": 1_000, "maintenance": 31_000 * 30 // 31 // 2 - 1_000}
    assert len(activities(call)) == 6
    assert broken(call) == []


def test_somebody_who_comes_shares_from_then_on(street: Street) -> None:
    street.city.bind(street.call, ["acc-3"])
    home = find_household(street.call, street.city.partner_id, street.homes["home-1"].household.id)
    add_member(at(street.call, IN_APRIL), home, member_order("acc-3", since=date(2026, 3, 17)), secret=SECRET)
    whole_march(street)
    street.judge()
    parts = [amount for _, amount, *_ in street.lines(street.last())]
    # 16 days of a half, 15 of a third, of 31 kWh: 1 kWh a day.
    assert parts == [13_000, 13_000, 5_000]


def a_row_of_homes(street: Street, count: int = 5) -> None:
    """Homes beside the first, whose people are shared in pairs, so that one citizen is in several."""
    street.city.bind(street.call, [f"acc-{number}" for number in range(3, 3 + count)])
    whole_march(street)
    for number in range(2, 2 + count):
        people = [member_order("acc-1"), member_order(f"acc-{number + 1}", share=number)]
        meter = f"m-{number + 10}"
        street.register(home_order(f"home-{number}", meters=[meter_order(meter)], members=people))
        months = (*LAST_YEAR, (MARCH, 200_000), (APRIL, 201_240 - 70 * number))
        street.took(*(reading(day, shown, meter) for day, shown in months))


def what_stands(street: Street) -> dict[str, list[Any]]:
    """All that judging writes, without ids and places."""
    queries = {
        "savings": "SELECT household_id, kind, first_day, revision, total, figures FROM household_saving",
        "lines": "SELECT household_id, line, member_id, amount, result, code FROM household_saving_line",
        "activities": "SELECT citizen_id, source_event_id, revision, carbon_mg, coin_milli, coin_cut_milli,"
        " inputs, facts FROM activity",
        "claims": "SELECT source_event_id, days, ended_at FROM meter_claim",
        "balances": "SELECT a.holder_id, a.unit, a.validity_class, b.posted, b.held FROM ledger_balance b"
        " JOIN ledger_account a ON a.holder_id = b.holder_id AND a.id = b.account_id",
        "homes": "SELECT id, assessed_no, assessed_to, assessed_on FROM household",
    }
    found = {name: street.call.db.execute(text(query)).all() for name, query in queries.items()}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


@pytest.mark.parametrize("most", [2, 3, 50])
def test_homes_judged_at_once_come_to_what_they_come_to_one_by_one(street: Street, most: int) -> None:
    a_row_of_homes(street)
    nights = [at(street.call, now) for now in (IN_APRIL, IN_APRIL + timedelta(days=1), IN_MAY)]
    stood = []
    for size in (1, most):
        world = street.call.db.begin_nested()
        for number, night in enumerate(nights):
            while assess_due(night, secret=SECRET, most=size):
                pass
            if number == 0:  # a late reading corrects one home of the row, and another has a new month
                street.took(reading(APRIL, 201_000, "m-13", corrects="m-13-2026-04-01-201030"))
            street.took(reading(MAY, 203_000 + number, f"m-{12 + number}"))
        stood.append(what_stands(street))
        assert broken(street.call) == []
        world.rollback()
        street.call.db.expire_all()
    assert stood[0] == stood[1]
    assert len(stood[0]["activities"]) > 12


def test_a_home_that_fails_loses_no_other_and_waits_for_the_next_night(street: Street) -> None:
    a_row_of_homes(street)
    broken_one = street.homes["home-3"].household
    rule = street.call.db.execute(text("SELECT id FROM publication WHERE kind = 'household_saving'"))
    former = HouseholdSaving(
        id=new_id(),
        household_id=broken_one.id,
        region_id=broken_one.region_id,
        kind="electricity",
        first_day=date(2026, 2, 1),
        end_day=MARCH,
        revision=1,
        rule_id=rule.scalar_one(),
        total=0,
        figures={"nothing": "that a judgement writes"},
        digest=bytes(32),
        recorded_at=IN_APRIL,
    )
    street.call.db.add(former)
    street.call.db.flush()
    night = at(street.call, IN_APRIL)
    with structlog.testing.capture_logs() as said:
        assert assess_due(night, secret=SECRET) == 6
    assert [(each["event"], each["household"], each["failure"]) for each in said] == [
        ("home_not_judged", public_id(HOUSEHOLD, broken_one.id), "KeyError")
    ]
    assert assess_due(night, secret=SECRET) == 0
    totals = {name: [each.total for each in street.savings(name)] for name in street.homes}
    assert totals.pop("home-3") == [0]
    assert all(total == [0] or total[0] > 0 for total in totals.values())
    assert sum(bool(total[0]) for total in totals.values()) == 5
    assert broken(street.call) == []
    tomorrow = at(street.call, IN_APRIL + timedelta(days=1))
    with structlog.testing.capture_logs() as said:
        assert assess_due(tomorrow, secret=SECRET) == 1
    assert [each["event"] for each in said] == ["home_not_judged"]
