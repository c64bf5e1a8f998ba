"""Earlier credits corrected by a table: what is posted, what a fund bears, twice, both ways, and by parts."""

from dataclasses import replace
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from carbon.activities.errors import TooManyToSimulate
from carbon.activities.recomputation import work
from carbon.activities.recomputation.dry_run import Computing, dry_run
from carbon.activities.recomputation.jobs import Proposal, approve, cancel, find_recomputation, propose
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.work import do_waiting, work_on
from carbon.activities.simulation import past
from carbon.activities.simulation.simulation import Limits, Question, simulate
from carbon.factors.bundle_files import read_bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import BrokenInvariant, Busy
from kernel.identifiers import new_id, public_id
from kernel.publications.tables import Publication
from tests.carbon.city import as_operator, publish_rule, ride
from tests.carbon.correcting_tables import (
    TEXT,
    Corrected,
    corrected_text,
    in_force,
    publish_correction,
    set_floor,
    with_rides,
)
from tests.conftest import NOW, REGION, Database

Result = TypeVar("Result")
A_KILOMETRE = 46_700
EVERYTHING = (
    *("activity", "activity_correction", "ledger_transfer", "ledger_reference", "cap_usage", "coin_bucket"),
    *("recomputation", "recomputation_part", "recomputation_step"),
)


@pytest.fixture
def city(database: Database) -> Corrected:
    """Two citizens, of one and of two kilometres."""
    return with_rides(database, [1_000, 2_000])


def of_the_province(call: Call) -> Call:
    """An operator of the region above, whose recomputations are of the city's activities too."""
    return replace(call, actor=Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id="CN-GD"))


def everything(city: Corrected) -> dict[str, list[Any]]:
    return {
        table: sorted(map(repr, city.database.rows(f"SELECT * FROM {table}")))  # noqa: S608 - our own text
        for table in EVERYTHING
    }


def test_upward_is_credited_in_full(city: Corrected) -> None:
    done = city.correct("93.4")
    assert done.state == "done"
    assert city.balances("carbon") == [2 * A_KILOMETRE, 4 * A_KILOMETRE]
    assert city.balances("coin") == [9_340, 18_680]
    assert city.borne() == 0
    city.everything_holds()


@pytest.mark.parametrize("policy", Policy)
def test_downward_takes_what_the_policy_says_and_the_fund_bears_the_rest(
    city: Corrected, policy: Policy
) -> None:
    assert city.correct("23.3", policy).state == "done"
    assert city.balances("carbon") == [23_300, 46_600]
    kept, borne = ([4_670, 9_340], 7_020) if policy is Policy.FUND else ([2_330, 4_660], 0)
    assert (city.balances("coin"), city.borne()) == (kept, borne)
    city.everything_holds()


@pytest.mark.parametrize(
    ("policy", "left", "borne"),
    [(Policy.FUND, 670, 7_020), (Policy.UNSPENT, 0, 1_670), (Policy.FLOOR, -500, 1_170)],
)
def test_what_is_spent_is_taken_down_to_zero_or_the_floor_and_no_further(
    city: Corrected, policy: Policy, left: int, borne: int
) -> None:
    set_floor(city.database, -500)
    city.spend(city.hold("card-000", 4_000))
    city.correct("23.3", policy)
    assert city.balances("coin")[0] == left
    assert city.borne() == borne
    rows = city.database.rows("SELECT sum(borne_milli_after) AS borne FROM activity_correction")
    assert rows[0].borne == borne
    city.everything_holds()


def test_trap_20_a_voucher_that_was_issued_keeps_its_coins(city: Corrected) -> None:
    held = city.hold("card-000", 4_670)
    city.correct("23.3", Policy.FLOOR)
    holds = city.database.rows("SELECT amount FROM ledger_hold")
    assert [row.amount for row in holds] == [4_670]
    assert (city.balances("coin")[0], city.borne()) == (4_670, 2_340)
    assert city.spend(held) == 4_670
    city.everything_holds()


def test_the_dry_run_says_what_each_policy_then_does(city: Corrected) -> None:
    set_floor(city.database, -500)
    city.spend(city.hold("card-000", 4_000))
    table_id = city.publish("23.3")
    told = city.job(city.propose(table_id)).told or {}
    assert {
        row["policy"]: (row["coin_milli_taken"], row["coin_milli_borne"]) for row in told["policies"]
    } == {
        "fund": (0, 7_020),
        "unspent": (670 + 4_680, 1_670),
        "floor": (1_170 + 4_680, 1_170),
    }
    assert (told["activities_up"], told["activities_down"]) == (0, 2)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("grams", ["93.4", "23.3"])
def test_a_second_run_adds_nothing(city: Corrected, grams: str, policy: Policy) -> None:
    table_id = city.publish(grams)
    first = city.recompute(table_id, policy)
    before = {name: rows for name, rows in everything(city).items() if not name.startswith("recomputation")}
    second = city.recompute(table_id, policy)
    assert (first.told or {})["totals"]["activities_changed"] == 2
    assert (second.told or {})["totals"]["activities_changed"] == 0
    assert second.state == "done"
    after = everything(city)
    assert {name: after[name] for name in before} == before
    assert not work_on(city.database.run, second.id)
    city.everything_holds()


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("grams", ["93.4", "23.3", "0.0"])
def test_there_and_back_leaves_what_was_there(city: Corrected, grams: str, policy: Policy) -> None:
    before = city.balances("carbon"), city.balances("coin")
    usage = city.database.rows("SELECT holder_id, used FROM cap_usage ORDER BY holder_id")
    city.correct(grams, policy)
    city.correct("46.7", Policy.FLOOR)
    assert (city.balances("carbon"), city.balances("coin")) == before
    assert city.borne() == 0
    assert city.database.rows("SELECT holder_id, used FROM cap_usage ORDER BY holder_id") == usage
    city.everything_holds()


def test_what_a_fund_bears_is_paid_back_before_anything_is_credited(city: Corrected) -> None:
    city.correct("23.3", Policy.FUND)
    assert city.borne() == 7_020
    city.correct("40.0")
    assert (city.balances("coin"), city.borne()) == ([4_670, 9_340], 2_010)
    city.correct("56.7")
    assert (city.balances("coin"), city.borne()) == ([5_670, 11_340], 0)
    city.everything_holds()


def test_the_cap_is_gone_through_again_in_the_order_of_arrival(database: Database) -> None:
    city = with_rides(database, [5_000])
    assert (
        city.rode(ride("e1", "card-000", metres=1_000), ride("e2", "card-000", metres=1_000))
        == ["credited"] * 2
    )
    assert city.balances("coin") == [30_000]
    city.correct("23.3")
    assert city.balances("coin") == [16_310]
    rows = city.database.rows("SELECT coin_milli_after, coin_cut_milli_after FROM activity_correction")
    assert sorted(tuple(row) for row in rows) == [(2_330, 0), (2_330, 0), (11_650, 0)]
    used = database.rows("SELECT used FROM cap_usage")
    assert [row.used for row in used] == [16_310]
    city.everything_holds()


def test_a_ride_whose_kilograms_stay_may_lose_the_room_that_another_fills_now(database: Database) -> None:
    city = with_rides(database, [4_000])
    bus = ride("b1", "card-000", metres=None, scenario="bus_ride", trips=1)
    assert city.rode(bus) == ["credited"]
    assert city.balances("coin") == [18_680 + 10_760]
    city.correct("60.0")
    assert city.balances("coin") == [30_000]
    kept = database.rows("SELECT * FROM activity_correction WHERE carbon_mg_before = carbon_mg_after")
    assert [(row.carbon_mg_after, row.coin_milli_after) for row in kept] == [(107_600, 6_000)]
    city.everything_holds()


def test_a_dry_run_writes_nothing_and_says_what_the_simulation_of_the_draft_said(city: Corrected) -> None:
    def drafted(call: Call) -> UUID:
        bundle = read_bundle(corrected_text(in_force(call), "93.4").encode(), form="yaml")
        return draft_factor_table(as_operator(call), bundle).id

    table_id = city.database.run(drafted)
    question = Question(first_day=NOW.date().replace(month=1, day=1), last_day=NOW.date())
    simulated = city.database.run(
        lambda call: simulate(call, call.db.get_one(Publication, table_id), question)
    )
    other = city.publish("93.4")
    before = everything(city)
    job_id = city.propose(other)
    after = everything(city)
    written = {name for name in before if before[name] != after[name]}
    assert written == {"recomputation", "recomputation_part", "recomputation_step"}
    told = city.job(job_id).told or {}
    assert told["totals"] == simulated["totals"]
    assert told["by_month"] == simulated["by_month"]


def test_figures_that_moved_since_the_approval_stop_it_before_anything_is_posted(city: Corrected) -> None:
    job_id = city.propose(city.publish("93.4"))
    city.rode(ride("e1", "card-001", metres=3_000, corrects_revision=1))
    city.approve(job_id)
    before = city.count("ledger_transfer")
    assert work_on(city.database.run, job_id)
    ended = city.job(job_id)
    assert (ended.state, ended.cancelled_because) == ("cancelled", "figures_moved")
    assert (city.count("ledger_transfer"), city.count("activity_correction")) == (before, 0)
    city.everything_holds()


def test_a_table_that_is_corrected_meanwhile_corrects_nothing_more(city: Corrected) -> None:
    job_id = city.propose(city.publish("93.4"))
    city.approve(job_id)
    city.publish("50.0")
    assert work_on(city.database.run, job_id)
    assert city.job(job_id).cancelled_because == "not_a_correction"
    assert city.count("activity_correction") == 0


class Cut(Exception):  # noqa: N818 - an accident of the test's own
    """The process dies here."""


def test_a_run_that_is_cut_off_between_parts_goes_on_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.activities.recomputation.figures.PART_ROWS", 1)
    city = with_rides(database, [1_000, 2_000, 3_000])
    job_id = city.propose(city.publish("93.4"))
    city.approve(job_id)

    def die(done: int) -> None:
        if done == 2:
            raise Cut

    with pytest.raises(Cut):
        work_on(database.run, job_id, progress=die)
    assert city.count("activity_correction") == 2
    city.everything_holds()
    assert do_waiting(database.run) == 1
    assert city.job(job_id).state == "done"
    assert city.balances("carbon") == [2 * A_KILOMETRE, 4 * A_KILOMETRE, 6 * A_KILOMETRE]
    city.everything_holds()


def test_a_part_whose_transaction_dies_leaves_nothing(city: Corrected) -> None:
    job_id = city.propose(city.publish("93.4"))
    city.approve(job_id)
    left = everything(city)

    def dying(work: Any) -> Any:
        def doomed(call: Call) -> Any:
            result = work(call)
            if call.db.query(Publication).count() and result == 2:
                raise Cut
            return result

        return city.database.run(doomed)

    with pytest.raises(Cut):
        work_on(dying, job_id)
    after = everything(city)
    moved = {name for name in left if left[name] != after[name]}
    assert moved == {"recomputation", "recomputation_step"}  # it was begun
    assert work_on(city.database.run, job_id)
    assert city.balances("carbon") == [2 * A_KILOMETRE, 4 * A_KILOMETRE]


def test_who_is_asked_to_stop_stops_between_parts(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.activities.recomputation.figures.PART_ROWS", 1)
    city = with_rides(database, [1_000, 2_000])
    job_id = city.propose(city.publish("93.4"))
    city.approve(job_id)
    answers = iter([True, False])
    assert not work_on(database.run, job_id, keep_on=lambda: next(answers))
    assert (city.count("activity_correction"), city.job(job_id).state) == (1, "running")


def test_what_is_called_off_while_it_runs_keeps_what_was_posted_and_posts_no_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carbon.activities.recomputation.figures.PART_ROWS", 1)
    city = with_rides(database, [1_000, 2_000])
    table_id = city.publish("93.4")
    job_id = city.propose(table_id)
    city.approve(job_id)

    def call_off(_: int) -> None:
        if city.job(job_id).state == "running":
            database.run(lambda call: cancel(as_operator(call), job_id, reason="a fault in the table"))

    assert not work_on(database.run, job_id, progress=call_off)
    assert city.count("activity_correction") == 1
    city.everything_holds()
    rest = city.recompute(table_id)
    assert (rest.told or {})["totals"]["activities_changed"] == 1
    assert city.balances("carbon") == [2 * A_KILOMETRE, 4 * A_KILOMETRE]
    city.everything_holds()


@pytest.mark.parametrize("grams", ["93.4", "23.3"])
@pytest.mark.parametrize("metres", [0, 500, 3_000])
def test_a_source_that_corrects_a_corrected_ride_takes_back_what_it_came_to(
    city: Corrected, grams: str, metres: int
) -> None:
    city.correct(grams)
    assert city.rode(ride("e1", "card-001", metres=metres, corrects_revision=1))[0] in {
        "credited",
        "assessed",
    }
    per_km = int(grams.replace(".", "")) * 100
    assert city.balances("carbon")[1] == metres * per_km // 1_000
    assert city.balances("coin")[1] == metres * per_km // 10_000
    city.everything_holds()
    again = city.correct("46.7")
    assert again.state == "done"
    assert city.balances("carbon")[1] == metres * A_KILOMETRE // 1_000
    city.everything_holds()


def test_a_corrected_ride_that_was_spent_is_taken_back_once_and_paid_back_later(city: Corrected) -> None:
    city.correct("93.4")
    city.spend(city.hold("card-001", 18_680))
    city.rode(ride("e1", "card-001", metres=0, corrects_revision=1))
    city.everything_holds()
    city.rode(ride("e1", "card-001", metres=2_000, corrects_revision=2))
    assert city.balances("coin")[1] == 18_680 - 9_340
    city.everything_holds()


def test_only_the_own_region_and_those_below_are_corrected(city: Corrected) -> None:
    table_id = city.publish("93.4")

    def elsewhere(call: Call) -> dict[str, Any]:
        return dry_run(lambda work: work(call), table_id, "CN-GD-GZ").told

    assert city.database.run(elsewhere)["totals"]["activities"] == 0


def test_coins_that_ended_are_not_lost_twice(city: Corrected) -> None:
    """A credit whose coins ran out is corrected downward: what ended is brought back and taken."""
    late = NOW.replace(year=2029)

    def publish_again(call: Call) -> UUID:
        return publish_correction(call, in_force(call), "23.3")

    table_id = city.database.run(publish_again, now=late)
    then = Corrected(_Later(city.database, late), city.city, city.owners)  # type: ignore[arg-type]  # as much of a database as is asked of it
    assert then.recompute(table_id).state == "done"
    assert city.balances("coin") == [0, 0]
    ended = city.database.rows(
        "SELECT sum(amount) AS n FROM ledger_transfer WHERE code IN ('EXPIRE', 'EXPIRE_REVERSAL')"
    )
    assert ended[0].n == -(2_330 + 4_660)
    assert city.borne() == 0


def test_days_of_a_month_behind_the_end_of_both_tables_stay_as_they_were(database: Database) -> None:
    """A successor took days of a table that had judged rides of them: those rides stay."""
    city = with_rides(database, [])
    monthly = {"scenarios": ["metro_ride", "bus_ride"], "period": "month", "coins_milli": 100_000}
    database.run(lambda call: publish_rule(call, "cap", "transit", monthly, since=date(2026, 11, 1)))
    city.owners.update(database.run(lambda call: city.city.bind(call, ["card-000"])))
    days = [NOW.replace(day=10), NOW.replace(day=18)]
    rides = [ride(f"e{day.day}", "card-000", metres=1_000, occurred_at=day) for day in days]
    assert city.rode(*rides) == ["credited"] * 2

    def succeed_and_correct(call: Call) -> UUID:
        official = in_force(call)
        later = read_bundle(TEXT.replace("2021-12-01", "2026-11-15").encode(), form="yaml")
        drafted = draft_factor_table(as_operator(call), later)
        publish_factor_table(as_operator(call), drafted.id, reason="checked")
        return publish_correction(call, official, "93.4")

    table_id = database.run(succeed_and_correct)
    figures = database.run(lambda call: dry_run(lambda work: work(call), table_id, REGION))
    assert figures.told["totals"]["activities"] == 1
    assert city.recompute(table_id).state == "done"
    assert city.balances("carbon") == [2 * A_KILOMETRE + A_KILOMETRE]
    assert city.balances("coin") == [9_340 + 4_670]
    city.everything_holds()


def test_a_recomputation_that_fails_takes_no_other_with_it_and_is_heard_of(
    city: Corrected, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.UNSPENT, reason="a misprint")
    run = city.database.run
    broken = run(lambda call: propose(as_operator(call), proposal).id)
    behind = run(lambda call: propose(of_the_province(call), proposal).id)

    class Failing(Computing):
        def __init__(self, table_id: UUID, region_id: str) -> None:
            if region_id == REGION:
                raise BrokenInvariant("a bug in these figures")
            super().__init__(table_id, region_id)

    monkeypatch.setattr(work, "Computing", Failing)
    with capture_logs() as logged, pytest.raises(BrokenInvariant):
        do_waiting(run)
    states = {row.id: row.state for row in city.database.rows("SELECT id, state FROM recomputation")}
    assert states == {broken: "draft", behind: "dry_run_done"}
    assert [(line["event"], line["recomputation"]) for line in logged] == [
        ("recomputation_failed", public_id("rec", broken))
    ]
    monkeypatch.undo()
    assert do_waiting(run) == 1


def test_a_dry_run_that_is_put_down_keeps_its_place_and_its_sums(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [1_000, 2_000, 3_000])
    proposal = Proposal(table_id=city.publish("23.3"), policy=Policy.UNSPENT, reason="a misprint")
    job_id = database.run(lambda call: propose(as_operator(call), proposal).id)
    at_once = dry_run(database.run, proposal.table_id, REGION)
    monkeypatch.setattr(past, "PIECE_ROWS", 1)
    aside = work.PutAside()
    runs = [work_on(database.run, job_id, keep_on=lambda: False, aside=aside) for _ in range(4)]
    assert runs == [False, False, False, True]
    assert city.job(job_id).told == at_once.told
    assert city.job(job_id).state == "dry_run_done"
    city.approve(job_id)
    assert work_on(database.run, job_id)
    assert city.balances("carbon") == [23_300, 46_600, 69_900]
    city.everything_holds()


def test_a_dry_run_that_met_a_busy_database_goes_on_where_it_was(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [1_000, 2_000, 3_000])
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.UNSPENT, reason="a misprint")
    job_id = database.run(lambda call: propose(as_operator(call), proposal).id)
    monkeypatch.setattr(past, "PIECE_ROWS", 1)
    aside = work.PutAside()

    def lose(_: int) -> None:
        raise Busy("the database is not reachable", retry_after_s=3)

    with pytest.raises(Busy):
        work_on(database.run, job_id, progress=lose, aside=aside)
    heard: list[int] = []
    assert work_on(database.run, job_id, progress=heard.append, aside=aside)
    assert heard == [2, 3]
    assert (city.job(job_id).told or {})["totals"]["activities"] == 3


def test_a_dry_run_that_is_put_down_sees_what_nobody_had_been_judged_by_before(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [4_000, 4_000])
    table_id = city.publish("60.0")
    job_id = database.run(
        lambda call: (
            propose(
                as_operator(call), Proposal(table_id=table_id, policy=Policy.UNSPENT, reason="a misprint")
            ).id
        )
    )
    monkeypatch.setattr(past, "PIECE_ROWS", 1)
    aside = work.PutAside()
    assert not work_on(database.run, job_id, keep_on=lambda: False, aside=aside)
    last = max(city.owners, key=lambda card: city.owners[card])
    bus = ride("b1", last, metres=None, scenario="bus_ride", trips=1)
    assert city.rode(bus) == ["credited"]
    assert work_on(database.run, job_id, aside=aside)
    city.approve(job_id)
    assert work_on(database.run, job_id)
    assert city.job(job_id).state == "done"
    city.everything_holds()


def test_a_long_dry_run_takes_turns_with_what_waits_behind_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [1_000, 2_000, 3_000])
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.UNSPENT, reason="a misprint")
    long = database.run(lambda call: propose(as_operator(call), proposal).id)
    behind = database.run(lambda call: propose(of_the_province(call), proposal).id)
    assert work_on(database.run, behind)

    def approved(call: Call) -> None:
        other = of_the_province(call)
        figures = bytes(find_recomputation(other, behind).digest or b"")
        approve(other, behind, figures=figures, reason="as simulated")

    database.run(approved)
    monkeypatch.setattr(past, "PIECE_ROWS", 1)
    monkeypatch.setattr(work, "STEPS_A_TURN", 1)

    def states() -> list[str]:
        found = {row.id: row.state for row in database.rows("SELECT id, state FROM recomputation")}
        return [found[long], found[behind]]

    aside = work.PutAside()
    assert do_waiting(database.run, keep_on=lambda: states()[1] != "done", aside=aside) == 1
    assert states() == ["draft", "done"]
    assert do_waiting(database.run, aside=aside) == 1
    assert states() == ["dry_run_done", "done"]


def test_so_many_dry_runs_are_begun_and_what_nobody_waits_for_makes_room(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [1_000, 2_000])
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.UNSPENT, reason="a misprint")
    first = database.run(lambda call: propose(as_operator(call), proposal).id)
    second = database.run(lambda call: propose(of_the_province(call), proposal).id)
    monkeypatch.setattr(past, "PIECE_ROWS", 1)
    monkeypatch.setattr(work.PutAside, "MOST", 1)
    aside = work.PutAside()
    assert not work_on(database.run, first, keep_on=lambda: False, aside=aside)
    assert not work_on(database.run, second, aside=aside)
    database.run(lambda call: cancel(as_operator(call), first, reason="not needed"))
    assert do_waiting(database.run, aside=aside) == 1
    assert city.job(first).state == "cancelled"


def test_a_request_looks_through_so_many_activities_of_all_regions(
    city: Corrected, monkeypatch: pytest.MonkeyPatch
) -> None:
    table_id = city.publish("93.4")
    monkeypatch.setattr(past, "PIECE_ROWS", 1)

    def figures(most: int) -> int:
        found = dry_run(city.database.run, table_id, REGION, limits=Limits(looked_through=most))
        return int(found.told["totals"]["activities"])

    assert figures(2) == 2
    with pytest.raises(TooManyToSimulate) as raised:
        figures(1)
    assert raised.value.facts == {"most": 1}


@pytest.mark.parametrize("policy", Policy)
def test_refused_an_activity_brings_nothing_though_a_table_lowered_it_on_hold(
    city: Corrected, policy: Policy
) -> None:
    hold_id = city.put_on_hold("card-000")
    city.correct("23.3", policy)
    others = 4_680 if policy is Policy.FUND else 0
    assert (city.balances("coin")[0], city.borne()) == (4_670, 2_340 + others)
    city.refuse(hold_id)
    assert (city.balances("coin")[0], city.balances("carbon")[0], city.borne()) == (0, 0, others)
    city.everything_holds()


@pytest.mark.parametrize(("grams", "stood"), [("93.4", 9_340), ("23.3", 2_330)])
def test_a_hold_sets_aside_what_the_activity_came_to_last(city: Corrected, grams: str, stood: int) -> None:
    assert city.rode(ride("e9", "card-000", metres=2_000)) == ["credited"]
    city.correct(grams)
    hold_id = city.put_on_hold("card-000")
    rows = city.database.rows("SELECT coin_milli FROM activity_hold")
    assert [row.coin_milli for row in rows] == [stood]
    city.refuse(hold_id)
    assert city.balances("coin")[0] == 2 * stood
    city.everything_holds()


def test_what_a_fund_bears_of_a_refused_activity_is_paid_back_as_far_as_it_is_there(city: Corrected) -> None:
    city.spend(city.hold("card-000", 3_000))
    hold_id = city.put_on_hold("card-000")
    city.correct("23.3")
    assert (city.balances("coin")[0], city.borne()) == (1_670, 2_340)
    city.rode(ride("e9", "card-000", metres=1_000))
    assert city.balances("coin")[0] == 1_670 + 2_330
    city.refuse(hold_id)
    # Of 4,000 that are there 2,330 are of the ride, and 1,670 of what the fund bore.
    assert (city.balances("coin")[0], city.borne()) == (0, 2_340 - 1_670)
    city.everything_holds()


def test_of_an_activity_that_is_held_later_the_share_of_the_fund_is_set_aside_too(city: Corrected) -> None:
    city.correct("23.3", Policy.FUND)
    hold_id = city.put_on_hold("card-000")
    rows = city.database.rows("SELECT coin_milli FROM activity_hold")
    assert [row.coin_milli for row in rows] == [4_670]
    city.refuse(hold_id)
    assert (city.balances("coin")[0], city.borne()) == (0, 4_680)
    city.everything_holds()


class _Later:
    """The same database, at another time."""

    def __init__(self, database: Database, now: Any) -> None:
        self._database, self._now = database, now
        self.rows, self.url = database.rows, database.url

    def run(self, work: Any) -> Any:
        return self._database.run(work, now=self._now)
