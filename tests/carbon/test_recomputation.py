"""Earlier credits corrected by a table: figures, postings, twice, both ways, and what nobody may touch."""

from uuid import UUID

import pytest

from app.commands import ALL_CHECKS
from carbon.activities.intake import take_chunk
from carbon.activities.recomputation.states import Policy
from kernel.call import Call
from ledger.reconciliation import reconcile
from tests.carbon.city import OFFICIAL, City, lines, plant_city, ride
from tests.carbon.correcting_tables import correct
from tests.conftest import Database

A_KILOMETRE = 46_700


def history(database: Database, *metres: int) -> tuple[City, dict[str, UUID]]:
    """Citizens who rode so far, each once."""
    city = database.run(lambda call: plant_city(call, OFFICIAL))
    cards = [f"card-{number:03}" for number in range(len(metres))]
    owners = database.run(lambda call: city.bind(call, cards))
    rides = [
        ride(f"e{place}", card, metres=far)
        for place, (card, far) in enumerate(zip(cards, metres, strict=True))
    ]
    database.run(lambda call: take_chunk(call, city.intake(), lines(*rides)))
    return city, owners


def everything_holds(database: Database) -> None:
    def work(call: Call) -> list[str]:
        return [
            f"{each.check.name}: {each.findings}" for each in reconcile(call, ALL_CHECKS) if not each.holds
        ]

    assert database.run(work) == []


def balances(database: Database) -> dict[tuple[UUID, str], int]:
    rows = database.rows(
        "SELECT a.holder_id, a.unit, sum(b.posted) AS posted FROM ledger_balance b"
        " JOIN ledger_account a ON a.holder_id = b.holder_id AND a.id = b.account_id GROUP BY 1, 2"
    )
    return {(row.holder_id, row.unit): int(row.posted) for row in rows}


def test_upward_is_credited_to_everybody(database: Database) -> None:
    _, owners = history(database, 1_000, 2_000)
    done = correct(database, "93.4")
    assert done.state == "done"
    found = balances(database)
    assert [found[owner, "carbon"] for owner in owners.values()] == [2 * A_KILOMETRE, 4 * A_KILOMETRE]
    assert [found[owner, "coin"] for owner in owners.values()] == [9_340, 18_680]
    everything_holds(database)


@pytest.mark.parametrize("policy", Policy)
def test_downward_takes_what_the_policy_says(database: Database, policy: Policy) -> None:
    _, owners = history(database, 1_000, 2_000)
    done = correct(database, "23.3", policy)
    assert done.state == "done"
    found = balances(database)
    assert [found[owner, "carbon"] for owner in owners.values()] == [23_300, 46_600]
    kept = [4_670, 9_340] if policy is Policy.FUND else [2_330, 4_660]
    assert [found[owner, "coin"] for owner in owners.values()] == kept
    everything_holds(database)
