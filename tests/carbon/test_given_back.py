"""A wrong credit is put right also after its card was given back, and never by crediting more."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from carbon.activities import given_back
from carbon.activities.intake import take_activity, take_chunk
from carbon.partners.bindings import withdraw_consent
from carbon.partners.tables import Binding
from kernel.call import Call
from kernel.errors import Busy, Refusal
from kernel.identifiers import new_id
from tests.carbon.city import City, lines, plant_city, ride
from tests.carbon.test_caps import TODAY, succeed
from tests.carbon.test_corrections import WORTH, Rider
from tests.carbon.test_intake import activities, broken
from tests.conftest import NOW

DAY = timedelta(days=1)


class Leaver(Rider):
    """A rider whose card goes on to somebody else, or to nobody."""

    def give_back(self, *, on: datetime = NOW) -> None:
        """Unbind the card."""
        self.call.db.flush()
        for binding in self.call.db.query(Binding).filter(Binding.ended_at.is_(None)):
            binding.ended_at = on
        self.call.db.flush()

    def goes_to_another(self) -> None:
        """Somebody else binds the card now."""
        self.city.bind(self.call, ["card-017"])

    def comes_back(self) -> None:
        """The rider binds it again."""
        former = self.call.db.query(Binding).filter_by(citizen_id=self.id).first()
        assert former is not None
        self.call.db.add(
            Binding(
                id=new_id(),
                partner_id=former.partner_id,
                subject_hash=former.subject_hash,
                citizen_id=self.id,
                region_id=former.region_id,
                bound_at=NOW,
            )
        )

    def told(self, metres: int, **more: Any) -> str:
        """What a line that corrects the ride is told, alone and in a file alike."""
        fields = {"corrects_revision": 1, "occurred_at": NOW - 2 * DAY, **more}
        line = ride(**{"event": "e1", "card": "card-017", "metres": metres, **fields})
        with self.call.db.begin_nested() as point:
            row = take_chunk(self.call, self.city.intake(), lines(line)).row(0, named=True)
            point.rollback()
        if row["outcome"] != "rejected":
            alone = take_activity(self.call, self.city.intake(), lines(line))
            assert (row["outcome"], row["code"]) == (alone["outcome"], alone["code"])
            return str(alone["outcome"])
        with pytest.raises(Refusal) as refused:
            take_activity(self.call, self.city.intake(), lines(line))
        assert (row["code"], row["pointer"]) == (refused.value.code, refused.value.pointer)
        return refused.value.code


@pytest.fixture
def city(call: Call) -> City:
    return plant_city(call)


@pytest.fixture
def rider(call: Call, city: City) -> Leaver:
    made = Leaver(call, city)
    outcome = take_chunk(call, city.intake(), lines(ride("e1", metres=4_000, occurred_at=NOW - 2 * DAY)))
    assert outcome["outcome"].item() == "credited"
    return made


def nobodys(rider: Leaver) -> None:
    rider.give_back()


def anothers(rider: Leaver) -> None:
    rider.give_back()
    rider.goes_to_another()


def anothers_long_ago(rider: Leaver) -> None:
    """Of what happened since, the card is not known to have been the former owner's."""
    rider.give_back(on=NOW - 3 * DAY)
    rider.goes_to_another()


def mine_again(rider: Leaver) -> None:
    anothers(rider)
    rider.give_back()
    rider.comes_back()


WHOSE = pytest.mark.parametrize("whose", [nobodys, anothers, anothers_long_ago, mine_again])


@WHOSE
def test_a_ride_of_a_card_given_back_is_withdrawn(call: Call, rider: Leaver, whose: Any) -> None:
    whose(rider)
    assert rider.told(0) == "assessed"
    assert (rider.available(), rider.borne()) == (0, [0])
    assert [each.carbon_mg for each in activities(call)] == [WORTH * 10, 0]
    assert {each.citizen_id for each in activities(call)} == {rider.id}
    assert broken(call) == []


@WHOSE
def test_it_is_lowered_and_never_raised(call: Call, rider: Leaver, whose: Any) -> None:
    whose(rider)
    assert rider.told(4_001) == "card_given_back"
    assert (rider.available(), len(activities(call))) == (WORTH, 1)
    assert rider.told(3_000) == "credited"
    assert rider.available() == 14_010
    # What was lowered is not raised again, and a later one is unknown.
    assert rider.told(4_000, corrects_revision=2) == "card_given_back"
    assert rider.told(0, corrects_revision=3) == "revision_unknown"
    assert rider.told(3_000) == "duplicate"
    assert rider.told(2_000) == "record_differs"
    assert broken(call) == []


@WHOSE
def test_what_was_raised_before_stays_a_duplicate(rider: Leaver, whose: Any) -> None:
    assert rider.told(5_000) == "credited"
    whose(rider)
    assert rider.told(5_000) == "duplicate"
    assert rider.told(5_001) == "record_differs"


@WHOSE
def test_a_withdrawn_consent_keeps_what_was_credited_whoever_has_the_card(
    call: Call, rider: Leaver, whose: Any
) -> None:
    """The text says so: what was credited stays."""
    whose(rider)
    withdraw_consent(call, rider.id, rider.city.partner_id)
    assert rider.told(0) == "consent_withdrawn"
    assert rider.available() == WORTH


def test_only_who_was_credited_and_had_the_card_is_asked(call: Call, rider: Leaver) -> None:
    rider.give_back()
    rider.goes_to_another()
    rider.city.bind(call, ["card-9"])
    assert rider.told(0, card="card-9") == "revision_unknown"
    assert rider.told(0, card="card-10") == "unbound_card"
    assert rider.told(0, event="e2") == "card_was_anothers"


def test_a_chain_of_one_file_is_taken_as_one_by_one(call: Call, rider: Leaver) -> None:
    rider.give_back()
    chain = [
        ride("e1", metres=metres, corrects_revision=revision, occurred_at=NOW - 2 * DAY)
        for revision, metres in ((1, 3_000), (2, 3_500), (2, 2_000), (3, 0))
    ]
    outcomes = take_chunk(call, rider.city.intake(), lines(*chain))
    assert outcomes["code"].to_list() == [None, "card_given_back", None, "below_one_milligram"]
    assert rider.available() == 0
    assert broken(call) == []


def test_a_day_with_room_brings_no_coins(call: Call, rider: Leaver) -> None:
    full = [ride(f"f{number}", metres=4_000, occurred_at=NOW) for number in range(2)]
    take_chunk(call, rider.city.intake(), lines(*full))
    assert [each.coin_milli for each in activities(call)] == [WORTH, WORTH, 30_000 - WORTH]
    rider.give_back()
    moved = ride("f1", metres=3_999, occurred_at=NOW - DAY, corrects_revision=1)
    assert take_chunk(call, rider.city.intake(), lines(moved))["outcome"].item() == "credited"
    last = next(each for each in activities(call) if each.revision == 2)
    assert (last.coin_milli, last.coin_cut_milli) == (30_000 - WORTH, 18_675 - (30_000 - WORTH))
    assert broken(call) == []


def test_without_a_cap_that_explains_a_cut_more_coins_are_refused(call: Call, rider: Leaver) -> None:
    full = [ride(f"f{number}", metres=4_000, occurred_at=NOW) for number in range(2)]
    take_chunk(call, rider.city.intake(), lines(*full))
    rider.give_back()
    succeed(call, 30_000, since=TODAY, scenarios=["bus_ride"])
    moved = ride("f1", metres=3_999, occurred_at=NOW, corrects_revision=1)
    assert take_chunk(call, rider.city.intake(), lines(moved))["code"].item() == "card_given_back"
    less = ride("f1", metres=1_000, occurred_at=NOW, corrects_revision=1)
    assert take_chunk(call, rider.city.intake(), lines(less))["outcome"].item() == "credited"
    assert broken(call) == []


def test_what_a_table_lowered_after_the_look_is_looked_at_again(
    call: Call, rider: Leaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look finds more than stands, as it does when a table corrects the ride right after it."""
    rider.give_back()
    looked = given_back._STANDING.replace("a.carbon_mg)", "a.carbon_mg + 10000)")
    monkeypatch.setattr(given_back, "_STANDING", looked)
    line = ride("e1", metres=4_001, occurred_at=NOW - 2 * DAY, corrects_revision=1)
    with pytest.raises(Busy):
        take_chunk(call, rider.city.intake(), lines(line))


def test_a_chunk_without_corrections_asks_nothing_more(
    call: Call, rider: Leaver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr("carbon.activities.former_owners.select_frame", refuse)
    monkeypatch.setattr("carbon.activities.given_back.select_frame", refuse)
    outcome = take_chunk(call, rider.city.intake(), lines(ride("e9", metres=100)))["outcome"].item()
    assert outcome == "credited"
