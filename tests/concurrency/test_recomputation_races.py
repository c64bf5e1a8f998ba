"""Recomputations at once: each activity is corrected once, whatever its source and its owner do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from carbon.activities.allotment import lock_usage
from carbon.activities.recomputation import posting
from carbon.activities.recomputation.errors import RecomputationOpen
from carbon.activities.recomputation.jobs import Proposal, approve, find_recomputation, propose
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.work import work_on
from kernel.call import Call
from kernel.errors import Refusal
from ledger.errors import NotEnough
from tests.carbon.city import as_operator, ride
from tests.carbon.correcting_tables import Corrected, in_force, publish_correction, with_rides
from tests.conftest import Database

A_KILOMETRE = 46_700


def together(*deeds: Callable[[], Any]) -> list[Any]:
    """All of them at one moment; what each gave, or the refusal's code."""
    start = Barrier(len(deeds))

    def do(deed: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return deed()
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(do, deeds))


def approved(city: Corrected, grams: str, policy: Policy = Policy.UNSPENT) -> UUID:
    job_id = city.propose(city.publish(grams), policy)
    city.approve(job_id)
    return job_id


@pytest.mark.parametrize("grams", ["93.4", "23.3"])
def test_of_four_runners_each_activity_is_corrected_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, grams: str
) -> None:
    monkeypatch.setattr("carbon.activities.recomputation.figures.PART_ROWS", 1)
    city = with_rides(database, [1_000] * 8)
    job_id = approved(city, grams)
    together(*[lambda: work_on(database.run, job_id) for _ in range(4)])
    assert city.job(job_id).state == "done"
    assert city.count("activity_correction") == 8
    assert city.balances("carbon") == [int(grams.replace(".", "")) * 100] * 8
    city.everything_holds()


def test_of_four_proposals_one_is_kept(database: Database) -> None:
    city = with_rides(database, [1_000])
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.FUND, reason="a misprint")
    kept = together(
        *[lambda: database.run(lambda call: propose(as_operator(call), proposal).state) for _ in range(4)]
    )
    assert sorted(kept) == ["draft", *[RecomputationOpen.code] * 3]
    assert city.count("recomputation") == 1


def test_of_four_approvals_one_counts(database: Database) -> None:
    city = with_rides(database, [1_000])
    job_id = city.propose(city.publish("93.4"))
    figures = bytes(city.job(job_id).digest or b"")

    def work(call: Call) -> str:
        return approve(as_operator(call), job_id, figures=figures, reason="as simulated").state

    told = together(*[lambda: database.run(work) for _ in range(4)])
    assert sorted(told) == ["approved", *["recomputation_not_waiting"] * 3]
    steps = database.rows("SELECT to_state FROM recomputation_step ORDER BY id")
    assert [row.to_state for row in steps] == ["draft", "dry_run_done", "approved"]


def test_of_four_dry_runs_one_is_kept(database: Database) -> None:
    city = with_rides(database, [1_000, 2_000])
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.FUND, reason="a misprint")
    job_id = database.run(lambda call: propose(as_operator(call), proposal).id)
    kept = together(*[lambda: work_on(database.run, job_id) for _ in range(4)])
    assert sorted(kept) == [False, False, False, True]
    assert city.count("recomputation_part") == 1


@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.parametrize("grams", ["93.4", "23.3"])
def test_a_source_that_corrects_while_a_table_does_leaves_what_either_order_would(
    database: Database, grams: str, attempt: int
) -> None:
    city = with_rides(database, [1_000, 2_000])
    job_id = approved(city, grams)
    metres = [0, 500, 3_000][attempt]
    correction = ride("e1", "card-001", metres=metres, corrects_revision=1)
    _, taken = together(lambda: work_on(database.run, job_id), lambda: city.rode(correction))
    if taken == "busy":  # a partner sends it again
        city.rode(correction)
    job = database.run(lambda call: find_recomputation(as_operator(call), job_id))
    # Who came second found the figures moved; either way the ride comes to what its new revision says.
    assert (job.state, job.cancelled_because) in {("done", None), ("cancelled", "figures_moved")}
    per_km = int(grams.replace(".", "")) * 100
    assert city.balances("carbon")[1] == metres * per_km // 1_000
    city.everything_holds()


def test_coins_that_are_spent_while_they_are_taken_are_spent_or_taken(database: Database) -> None:
    city = with_rides(database, [1_000] * 6)
    job_id = approved(city, "23.3")
    deeds = [lambda who=who: _spend(city, who) for who in city.owners]
    spent = together(lambda: work_on(database.run, job_id), *deeds)[1:]
    assert set(spent) <= {4_670, NotEnough.code}
    assert all(each >= 0 for each in city.balances("coin"))
    borne = sum(2_340 for each in spent if each == 4_670)
    assert city.borne() == borne
    assert city.job(job_id).state == "done"
    city.everything_holds()


def _spend(city: Corrected, who: str) -> int:
    return city.spend(city.hold(who, 4_670))


@pytest.mark.parametrize("attempt", range(3))
def test_rides_that_come_in_meanwhile_stay_under_the_cap(database: Database, attempt: int) -> None:
    city = with_rides(database, [4_000])
    job_id = approved(city, "56.7")
    metres = 1_000 * (attempt + 1)
    together(
        lambda: work_on(database.run, job_id),
        lambda: city.rode(ride("late", "card-000", metres=metres)),
        lambda: city.rode(ride("later", "card-000", metres=metres)),
    )
    assert city.job(job_id).state in {"done", "cancelled"}
    assert city.balances("coin")[0] <= 30_000
    assert city.balances("carbon")[0] >= 4 * A_KILOMETRE
    city.everything_holds()


def test_who_is_judged_by_a_row_that_nobody_had_used_is_seen_behind_the_locks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = with_rides(database, [4_000])
    job_id = approved(city, "56.7")

    def late(call: Call, citizens: pl.Series, **days: Any) -> None:
        city.rode(ride("late", "card-000", metres=2_000))
        lock_usage(call, citizens, **days)

    monkeypatch.setattr(posting, "lock_usage", late)
    work_on(database.run, job_id)
    assert city.job(job_id).state == "cancelled"
    assert city.balances("coin") == [30_000]
    city.everything_holds()


def test_of_two_corrections_published_at_once_one_takes_the_place(database: Database) -> None:

    city = with_rides(database, [1_000])
    official = database.run(in_force)
    told = together(
        lambda: database.run(lambda call: bool(publish_correction(call, official, "93.4"))),
        lambda: database.run(lambda call: bool(publish_correction(call, official, "23.3"))),
    )
    assert sorted(map(str, told)) == ["True", "not_correctable"]
    states = database.rows("SELECT state FROM publication WHERE kind = 'factor_table' ORDER BY state")
    assert [row.state for row in states if row.state != "draft"] == ["corrected", "published"]
    assert city.count("factor") > 0
