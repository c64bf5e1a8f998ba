"""`flask carbon recompute`, run against a whole product: what a table comes to, and the work that waits."""

from typing import Any

import pytest

from app.commands import add_commands
from app.factory import Product
from app.schedule import SCHEDULE, Stop
from carbon.activities.recomputation.jobs import Proposal, propose
from carbon.activities.recomputation.states import Policy
from kernel.identifiers import new_id, public_id
from tests.carbon.city import as_operator
from tests.carbon.correcting_tables import Corrected, in_force, with_rides
from tests.conftest import Database


@pytest.fixture
def city(product: Product, database: Database) -> Corrected:
    add_commands(product)
    return with_rides(database, [1_000, 2_000])


def said(product: Product, named: str) -> Any:
    runner = product.flask.test_cli_runner(env={"COLUMNS": "200"})
    return runner.invoke(args=["carbon", "recompute", named])


def test_a_table_is_computed_and_printed_and_nothing_is_written(product: Product, city: Corrected) -> None:
    table = public_id("pub", city.publish("23.3"))
    done = said(product, table)
    assert done.exit_code == 0, done.output
    words = " ".join(done.output.split())
    for part in (
        "2 activities of 2 citizens, 2 change: 0 upward, 2 downward",
        "unspent",
        "7.02",
        "metro_ride",
    ):
        assert part in words, done.output
    assert (city.count("recomputation"), city.count("activity_correction")) == (0, 0)


def test_a_recomputation_is_computed_then_posted_and_twice_is_once(product: Product, city: Corrected) -> None:
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.FUND, reason="a misprint")
    job_id = city.database.run(lambda call: propose(as_operator(call), proposal).id)
    named = public_id("rec", job_id)
    computed = said(product, named)
    assert computed.exit_code == 0, computed.output
    assert "is dry_run_done, policy fund" in computed.output
    assert (city.job(job_id).digest or b"").hex() in computed.output.replace("\n", "")
    assert "is dry_run_done" in said(product, named).output  # nobody has approved it
    city.approve(job_id)
    for _ in range(2):
        posted = said(product, named)
        assert posted.exit_code == 0, posted.output
        assert "is done, policy fund" in posted.output
        assert city.balances("coin") == [9_340, 18_680]
    city.everything_holds()


def test_what_is_no_correction_is_refused_with_its_code(product: Product, city: Corrected) -> None:
    official = public_id("pub", city.database.run(in_force))
    for named, code in (
        (official, "not_a_correction"),
        (public_id("pub", new_id()), "not_found"),
        (public_id("rec", new_id()), "not_found"),
        ("ptn_" + "0" * 26, "wrong_identifier"),
    ):
        refused = said(product, named)
        assert refused.exit_code == 1
        assert code in refused.output


def test_the_schedule_does_what_waits(product: Product, city: Corrected) -> None:
    proposal = Proposal(table_id=city.publish("93.4"), policy=Policy.FUND, reason="a misprint")
    job_id = city.database.run(lambda call: propose(as_operator(call), proposal).id)
    (task,) = (item for item in SCHEDULE if item.name == "correct_credits")
    assert task.run(product, Stop()) == 1
    city.approve(job_id)
    assert task.run(product, Stop()) == 1
    assert task.run(product, Stop()) == 0
    assert city.job(job_id).state == "done"
