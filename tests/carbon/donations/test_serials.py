"""Every milligram given has a serial; it is shared out once or withdrawn once, whoever comes at once."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from carbon.donations.allocation import allocate, explain_share
from carbon.donations.errors import AlreadyWithdrawn, NothingLeftToWithdraw, SerialUnknown
from carbon.donations.giving import fill_pool, find_certificate
from carbon.donations.pool import pool_state
from carbon.donations.serials import find_serial
from carbon.donations.standing import certificate_standing
from carbon.donations.tables import DonationWithdrawal
from carbon.donations.withdrawal import withdraw
from kernel.call import Call
from kernel.database import create_engine
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from tests.carbon.donations.test_donations import plant_rules
from tests.carbon.donations.world import KILOGRAM, at_once, findings, gift, person
from tests.conftest import REGION, Database, migrate


def shared(call: Call, kilograms: int, *, people: int = 1) -> list[UUID]:
    citizens = [new_id() for _ in range(people)]
    allocate(person(call), citizens, carbon_mg_each=kilograms * KILOGRAM, reason="public welfare day")
    return citizens


def taken_back(call: Call, donation: UUID) -> DonationWithdrawal:
    return withdraw(person(call), donation, cause="claimed_elsewhere", reason="found in CCER")


def test_gifts_are_numbered_without_a_gap_and_shares_take_the_oldest_first(call: Call) -> None:
    plant_rules(call)
    first, second = gift(call, "a", 3).id, gift(call, "b", 5).id
    for donation, ends in ((first, (1, 3)), (second, (4, 8))):
        said = find_certificate(call, donation)
        assert said["holds"]
        kilograms = (said["certificate"]["first_serial"] - 1) / KILOGRAM + 1
        assert (kilograms, said["certificate"]["last_serial"] / KILOGRAM) == ends
    citizen = new_id()
    share = allocate(person(call), [citizen], carbon_mg_each=4 * KILOGRAM, reason="day").shares[0]
    told = explain_share(call, citizen, coin_transfer_id=share.coin_transfer_id)
    assert told["replays"]
    assert [(each["certificate_id"], each["share_mg"], each["last_serial"]) for each in told["given_by"]] == [
        (public_id("don", first), 3 * KILOGRAM, 3 * KILOGRAM),
        (public_id("don", second), KILOGRAM, 4 * KILOGRAM),
    ]
    assert findings(call) == {}


def test_anybody_can_look_a_serial_up_and_learns_of_no_citizen(call: Call) -> None:
    plant_rules(call)
    donation = gift(call, "a", 5).id
    shared(call, 1, people=2)
    taken_back(call, donation)
    found = {each: find_serial(call, REGION, each * KILOGRAM) for each in (1, 2, 3, 5)}
    assert [each.state for each in found.values()] == ["shared", "shared", "withdrawn", "withdrawn"]
    assert found[1].piece.last_serial == KILOGRAM
    assert found[2].piece.first_serial == KILOGRAM + 1
    assert found[3].piece == found[5].piece
    assert {each.piece.donation_id for each in found.values()} == {donation}
    with pytest.raises(SerialUnknown):
        find_serial(call, REGION, 5 * KILOGRAM + 1)
    with pytest.raises(NotFound):
        find_serial(call, "CN-XX", 1)


def test_a_withdrawal_takes_exactly_what_nobody_got_and_leaves_citizens_theirs(call: Call) -> None:
    plant_rules(call)
    first, second = gift(call, "a", 10).id, gift(call, "b", 10).id
    citizen = shared(call, 4)[0]
    withdrawal = taken_back(call, first)
    assert withdrawal.carbon_mg == 6 * KILOGRAM
    pool = pool_state(call, REGION)
    figures = (pool.donated_mg, pool.available_mg, pool.allocated_mg, pool.withdrawn_mg)
    assert [each // KILOGRAM for each in figures] == [20, 10, 4, 6]
    told = certificate_standing(call, first)
    assert (told["holds"], told["state"]) == (True, "partly_withdrawn")
    assert (told["withdrawal"]["holds"], told["withdrawal"]["notice"]["carbon_shown"]) == (True, "6 kg")
    assert told["withdrawal"]["notice"]["first_serial"] == 4 * KILOGRAM + 1
    assert certificate_standing(call, second)["state"] == "issued"
    kept = call.db.execute(
        text("SELECT sum(carbon_mg) FROM pool_share WHERE citizen_id = :c"), {"c": citizen}
    ).scalar_one()
    assert kept == 4 * KILOGRAM
    # What comes next is of the second gift: what was withdrawn is never given again.
    shared(call, 10)
    assert certificate_standing(call, second)["serials"]["shared_mg"] == 10 * KILOGRAM
    assert findings(call) == {}


def test_what_still_waits_in_clearing_is_withdrawn_whole(call: Call) -> None:
    donation = gift(call, "a", 10).id
    assert taken_back(call, donation).carbon_mg == 10 * KILOGRAM
    assert certificate_standing(call, donation)["state"] == "withdrawn"
    assert findings(call) == {}


def test_nothing_is_withdrawn_twice_or_from_citizens_or_by_another_region(call: Call) -> None:
    plant_rules(call)
    spent, other = gift(call, "a", 5).id, gift(call, "b", 5).id
    shared(call, 5)
    with pytest.raises(NothingLeftToWithdraw):
        taken_back(call, spent)
    taken_back(call, other)
    with pytest.raises(AlreadyWithdrawn):
        taken_back(call, other)
    with pytest.raises(NotFound):
        taken_back(call, new_id())
    assert certificate_standing(call, spent)["withdrawal"] is None
    assert findings(call) == {}


def test_a_notice_holds_until_a_letter_changes(database: Database) -> None:
    donation = database.run(lambda call: gift(call, "a").id)
    database.run(lambda call: taken_back(call, donation).carbon_mg)

    def notice_holds(call: Call) -> tuple[bool, bool]:
        told = certificate_standing(call, donation)
        return told["holds"], told["withdrawal"]["holds"]

    assert database.run(notice_holds) == (True, True)
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE donation_withdrawal SET reason = 'another'"))
    owner.dispose()
    assert database.run(notice_holds) == (True, False)


def test_gifts_at_once_share_no_serial_and_leave_no_gap(database: Database) -> None:
    gifts = at_once(database, [partial(_given, f"key-{number}", number + 1) for number in range(8)])
    assert len(set(gifts)) == 8
    lots = database.rows("SELECT first_serial, last_serial FROM pool_lot ORDER BY 1")
    assert [lot.first_serial for lot in lots] == [1, *(lot.last_serial + 1 for lot in lots[:-1])]
    assert lots[-1].last_serial == sum(range(1, 9)) * KILOGRAM
    assert database.run(findings) == {}


def _given(key: str, kilograms: int, call: Call) -> UUID:
    return gift(call, key, kilograms).id


def _shared_out(kilograms: int, call: Call) -> int:
    shared(call, kilograms, people=3)
    return 3 * kilograms


def _withdrawn(donation: UUID, call: Call) -> str:
    return f"took {taken_back(call, donation).carbon_mg // KILOGRAM}"


def test_sharing_and_withdrawing_at_once_never_use_a_milligram_twice(database: Database) -> None:
    """Whoever comes first, what is shared out and what is withdrawn are the gift, each once."""
    database.run(plant_rules)
    gifts = [database.run(partial(_given, key, 10)) for key in ("a", "b", "c")]
    works: list[Callable[[Call], Any]] = [
        *(partial(_shared_out, 2) for _ in range(6)),
        *(partial(_withdrawn, donation) for donation in gifts for _ in range(2)),
    ]
    results = at_once(database, works)
    pool = database.run(lambda call: pool_state(call, REGION))
    assert pool.donated_mg == pool.available_mg + pool.on_the_way_mg + pool.allocated_mg + pool.withdrawn_mg
    assert pool.allocated_mg == KILOGRAM * sum(each for each in results if isinstance(each, int))
    took = [int(each.split()[1]) for each in results if str(each).startswith("took")]
    assert pool.withdrawn_mg == KILOGRAM * sum(took)
    assert pool.available_mg == 0
    refused = {each for each in results if isinstance(each, str) and not each.startswith("took")}
    assert refused <= {"balance_insufficient", "already_withdrawn", "nothing_left_to_withdraw"}
    assert database.run(findings) == {}


def test_a_gift_is_withdrawn_once_by_eight_at_once(database: Database) -> None:
    donation = database.run(partial(_given, "a", 10))
    results = at_once(database, [partial(_withdrawn, donation) for _ in range(8)])
    assert sorted(results) == ["already_withdrawn"] * 7 + ["took 10"]
    assert database.run(findings) == {}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("pool_lot", "first_serial = 1, next_serial = 1"),
        ("pool_serial_use", "last_serial = last_serial + 1"),
    ],
)
def test_the_database_itself_keeps_serials_apart(database: Database, table: str, change: str) -> None:
    def make(call: Call) -> None:
        plant_rules(call)
        gift(call, "a", 5)
        shared(call, 1, people=2)
        gift(call, "b", 5)

    database.run(make)
    owner = create_engine(database.url, as_owner=True)
    with pytest.raises(IntegrityError, match="exclusion"), owner.begin() as connection:
        connection.execute(text(f"UPDATE {table} SET {change}"))  # noqa: S608 - ours
    owner.dispose()
    with pytest.raises(DBAPIError, match="permission denied"), database.sessions() as session:
        session.execute(text(f"UPDATE {table} SET first_serial = 1"))  # noqa: S608 - as above


def test_what_was_given_before_there_were_serials_is_numbered_the_oldest_first(database: Database) -> None:
    def make(call: Call) -> None:
        plant_rules(call)
        for key in ("a", "b", "c"):
            gift(call, key, 4)
        fill_pool(call, REGION)
        shared(call, 3, people=2)
        shared(call, 1)

    database.run(make)
    uses = "SELECT first_serial, last_serial, donation_id, citizen_id FROM pool_serial_use ORDER BY 1"
    lots = "SELECT donation_id, first_serial, last_serial, next_serial FROM pool_lot ORDER BY 2"
    before = database.rows(uses), database.rows(lots)
    database.engine.dispose()
    migrate(database.url, "0026", down=True)
    migrate(database.url, "head")
    assert (database.rows(uses), database.rows(lots)) == before
    assert database.rows("SELECT numbered FROM pool_book")[0].numbered == 12 * KILOGRAM
    assert database.run(findings) == {}
    database.run(lambda call: gift(call, "d", 1).id)
    assert database.run(findings) == {}
