"""A source that corrects itself leaves a citizen no more than the fact is worth and the fund bears."""

from typing import Any

import pytest

from carbon.activities.intake import take_chunk
from carbon.activities.tables import ActivityReversal
from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import find_account
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.holds import HoldSet, hold, release, spend
from ledger.statements import balances
from tests.carbon.city import City, lines, plant_city, ride
from tests.carbon.test_intake import activities, broken
from tests.ledger.world import shop

WORTH = 18_680
"""Milli-coins of four kilometres."""


class Rider:
    """A citizen with one card, and what becomes of one ride as its source changes its mind."""

    def __init__(self, call: Call, city: City) -> None:
        self.call, self.city = call, city
        self.id = city.bind(call, ["card-017"])["card-017"]
        self.till = shop(call)
        self.spent = 0

    def send(self, metres: int, *, corrects: int | None = None, event: str = "e1") -> str:
        """Send the ride, or a correction of it."""
        more: dict[str, Any] = {} if corrects is None else {"corrects_revision": corrects}
        intake = self.city.intake()
        outcome = take_chunk(self.call, intake, lines(ride(event, metres=metres, **more)))["outcome"]
        return str(outcome.item())

    def available(self) -> int:
        """Milli-coins that can be spent."""
        return sum(each.available for each in balances(self.call, self.id) if each.unit is Unit.COIN)

    def hold(self) -> HoldSet:
        """Set everything aside for a voucher."""
        held = HoldSet(holder_id=self.id, purpose="voucher", reference=f"{new_id()}/0")
        account = find_account(self.call, self.id, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
        hold(self.call, held, [account], amount=self.available(), until=None)
        return held

    def spend(self) -> None:
        """Spend everything."""
        if self.available():
            now, held = self.call.now, self.hold()
            done = spend(
                self.call, held, self.till, code=Code.REDEEM, reference=held.reference, occurred_at=now
            )
            self.spent += done.amount

    def borne(self) -> list[int]:
        """What the fund bore at each take-back, in milli-coins."""
        found = self.call.db.query(ActivityReversal).order_by(ActivityReversal.activity_id)
        return [each.coin_absorbed_milli for each in found]


@pytest.fixture
def rider(call: Call) -> Rider:
    return Rider(call, plant_city(call))


def test_a_ride_spent_and_corrected_again_and_again_is_paid_once(call: Call, rider: Rider) -> None:
    assert rider.send(4_000) == "credited"
    for revision in range(1, 5):
        rider.spend()
        assert rider.send(4_000 - revision, corrects=revision) == "credited"
    justified = activities(call)[-1].coin_milli
    assert justified == 18_661
    assert rider.spent + rider.available() == WORTH == justified + sum(rider.borne())
    assert broken(call) == []


def test_only_the_difference_of_what_was_spent_is_borne_by_the_fund(call: Call, rider: Rider) -> None:
    rider.send(4_000)
    rider.spend()
    rider.send(3_000, corrects=1)
    assert (rider.available(), rider.borne()) == (0, [4_670])
    rider.send(5_000, corrects=2)
    assert rider.spent + rider.available() == 23_350  # the fund was paid back out of the third revision
    assert broken(call) == []


def test_a_ride_withdrawn_and_sent_again_is_not_paid_twice(call: Call, rider: Rider) -> None:
    rider.send(4_000)
    for revision in range(1, 7):
        rider.spend()
        rider.send(0 if revision % 2 else 4_000, corrects=revision)
    assert (rider.spent, rider.available()) == (WORTH, 0)
    assert rider.borne()[0] == WORTH
    assert broken(call) == []


def test_held_coins_keep_their_value_and_the_fund_bears_them_once(call: Call, rider: Rider) -> None:
    rider.send(4_000)
    held = rider.hold()
    rider.send(0, corrects=1)
    assert rider.borne() == [WORTH]
    release(call, held, cause="cancelled", grace_on=None)
    assert rider.available() == WORTH  # of the fund, by name: see decision 0009
    rider.send(4_000, corrects=2)
    assert rider.available() == WORTH
    held = rider.hold()
    rider.send(0, corrects=3)
    release(call, held, cause="cancelled", grace_on=None)
    rider.send(0, corrects=4)
    assert rider.available() == 0
    assert broken(call) == []
