"""Gifts, shares, caps and take-backs, broken by hand in a copy of the database, are named in words."""

from dataclasses import dataclass, replace
from datetime import date

import pytest
from sqlalchemy import text

from app.commands import ALL_CHECKS
from carbon.donations.allocation import allocate
from carbon.donations.claims import Claims, Record
from carbon.donations.giving import approve, declare, donate, fill_pool
from carbon.donations.plan import plan
from carbon.donations.withdrawal import withdraw
from kernel.call import Call
from kernel.database import create_engine
from kernel.identifiers import new_id
from ledger.reconciliation import reconcile
from tests.carbon.city import plant_city
from tests.carbon.donations.test_donations import KILOGRAM, LED, approved, person
from tests.carbon.donations.test_plan import COMMUTE
from tests.carbon.test_corrections import Rider
from tests.conftest import REGION, Database


def history(call: Call) -> None:
    """Two gifts of a project, one withdrawn, one that waits, shares, and a ride corrected and paid back."""
    city = plant_city(call)
    rider = Rider(call, city)
    rider.send(4_000)
    rider.spend()
    rider.send(3_000, corrects=1)
    rider.send(5_000, corrects=2)
    rider.send(1_000, event="e2")
    project = approved(call)
    gifts = [donate(person(call), project.id, carbon_mg=kilograms * KILOGRAM) for kilograms in (60, 40)]
    shuttle = Claims(records=(Record(partner_id=city.partner_id, source_event_id="shuttle-1"),))
    approve(
        person(call), declare(person(call), replace(LED, project_key="bus"), shuttle).id, reason="complete"
    )
    declare(person(call), replace(LED, project_key="another", period_end=date(2025, 6, 1)))
    fill_pool(call, REGION)
    line = plan(person(call), COMMUTE).id
    people = [new_id(), new_id()]
    allocate(person(call), people, carbon_mg_each=KILOGRAM, reason="public welfare day", campaign_id=line)
    withdraw(person(call), gifts[1].id, cause="donor_asked", reason="a mistake in the dossier")


PROJECT = "an approved project and the kilograms admitted for it differ"
DONATION = "a donation and the kilograms that left its enterprise differ"
TOO_MUCH = "more was given of a project than was approved"
SHARED_CARBON = "a share of the pool and the kilograms its citizen got differ"
SHARED_COINS = "a share of the pool and the coins its citizen got differ"
SHARE = "a share of the pool is not what its allocation gave each"
SERIALS = "a donation and its serials differ"
BOOK = "serials of a region have a gap, or its book counts others"
LOT = "what became of a lot differs from how far it was given out"
SHARED_SERIALS = "a share of the pool and its serials differ"
WAITING = "a pool and the serials that wait in it differ"
WITHDRAWN = "a withdrawal and the kilograms that left the pool differ"
PLAN = "a line of the spending plan counts other than what was shared out under it"
RECORD = "a record counts for an approved project and for somebody else"
RATE = "coins and what a cap cut are not the kilograms at the published rate"
REVERSAL = "a reversal says other figures than its activity"
TAKEN = "coins taken back differ from what a reversal took"
PAID_BACK = "a fund was paid back more than it bore"
CAP = "what a cap counts differs from what it gave the activities that stand"
BELOW_ZERO = "available is below the floor, or further below zero than take-backs took"


@dataclass(frozen=True)
class Break:
    """A wrong deed at the owner's hand, the checks that must speak, and what one of them says."""

    deed: str
    named: set[str]
    says: set[str]


BREAKS = {
    "a gift says more than was given": Break(
        "UPDATE donation SET carbon_mg = carbon_mg * 10", {"L10"}, {DONATION, TOO_MUCH}
    ),
    "a gift says less than was given": Break("UPDATE donation SET carbon_mg = 1", {"L10"}, {DONATION}),
    "a gift names another transfer": Break("UPDATE donation SET transfer_id = 7", {"L10"}, {DONATION}),
    "a gift vanishes": Break(
        "ALTER TABLE donation_withdrawal DROP CONSTRAINT fk_donation_withdrawal_donation_id;"
        " ALTER TABLE pool_lot DROP CONSTRAINT fk_pool_lot_donation_id; DELETE FROM donation",
        {"L10"},
        {DONATION, SERIALS},
    ),
    "a lot loses a serial": Break(
        "UPDATE pool_lot SET last_serial = last_serial - 1 WHERE withdrawn_at IS NULL",
        {"L10"},
        {SERIALS, BOOK, WAITING},
    ),
    "a lot was never withdrawn": Break("UPDATE pool_lot SET withdrawn_at = NULL", {"L10"}, {LOT, WAITING}),
    "a lot is given out further": Break(
        "UPDATE pool_lot SET next_serial = next_serial + 1 WHERE withdrawn_at IS NULL",
        {"L10"},
        {LOT, WAITING},
    ),
    "a share has fewer serials": Break(
        "UPDATE pool_serial_use SET last_serial = last_serial - 1 WHERE citizen_id IS NOT NULL",
        {"L10"},
        {LOT, SHARED_SERIALS},
    ),
    "a share has serials of another gift": Break(
        "UPDATE pool_serial_use SET donation_id = (SELECT donation_id FROM pool_lot"
        " ORDER BY first_serial DESC LIMIT 1) WHERE citizen_id IS NOT NULL",
        {"L10"},
        {LOT},
    ),
    "the book forgets": Break("UPDATE pool_book SET numbered = numbered - 1", {"L10"}, {BOOK}),
    "a withdrawal says less": Break(
        "UPDATE donation_withdrawal SET carbon_mg = carbon_mg - 1", {"L10"}, {WITHDRAWN}
    ),
    "a withdrawal vanishes": Break("DELETE FROM donation_withdrawal", {"L10"}, {WITHDRAWN}),
    "a plan forgets what it spent": Break("UPDATE pool_campaign SET allocated_mg = 0", {"L10"}, {PLAN}),
    "an employer's ride is free again": Break(
        "DELETE FROM activity_reference WHERE activity_id IN (SELECT project_id FROM donation_event)",
        {"L10"},
        {RECORD},
    ),
    "an approval grows": Break("UPDATE donation_project SET carbon_mg = carbon_mg * 10", {"L10"}, {PROJECT}),
    "an approval is unsaid": Break(
        "UPDATE donation_project SET state = 'rejected' WHERE state = 'approved'",
        {"L10"},
        {PROJECT, TOO_MUCH},
    ),
    "a project is approved past the ledger": Break(
        "UPDATE donation_project SET state = 'approved', decided_by = gen_random_uuid()"
        " WHERE state = 'declared'",
        {"L10"},
        {PROJECT},
    ),
    "a share grows": Break(
        "UPDATE pool_share SET carbon_mg = carbon_mg * 7, coin_milli = coin_milli * 7",
        {"L10", "L11"},
        {SHARED_CARBON, SHARED_COINS, SHARE},
    ),
    "an allocation says more for each": Break(
        "UPDATE pool_allocation SET carbon_mg_each = carbon_mg_each + 1", {"L11"}, {SHARE}
    ),
    "a share vanishes": Break(
        "ALTER TABLE pool_serial_use DROP CONSTRAINT fk_pool_serial_use_share; DELETE FROM pool_share",
        {"L10", "L11"},
        {SHARED_CARBON, SHARED_COINS},
    ),
    "a reversal says more coins": Break(
        "UPDATE activity_reversal SET coin_milli = coin_milli + 5000, coin_absorbed_milli = 777",
        {"L11"},
        {REVERSAL, TAKEN, PAID_BACK},
    ),
    "a reversal hides what the fund bore": Break(
        "UPDATE activity_reversal SET coin_absorbed_milli = 0", {"L11"}, {TAKEN, PAID_BACK}
    ),
    "a reversal names another transfer": Break(
        "UPDATE activity_reversal SET coin_transfer_id = coin_transfer_id + 1 WHERE coin_transfer_id > 0",
        {"L11"},
        {TAKEN},
    ),
    "a cut grows": Break("UPDATE activity SET coin_cut_milli = coin_cut_milli + 1000000", {"L11"}, {RATE}),
    "a cap forgets": Break("UPDATE cap_usage SET used = 0", {"L11"}, {CAP}),
    "a cap counts what nobody got": Break(
        "UPDATE cap_usage SET period_start = period_start - 1", {"L11"}, {CAP}
    ),
    "more is held after a take-back than there is": Break(
        "ALTER TABLE ledger_balance DROP CONSTRAINT ck_ledger_balance_available_stands_on_the_floor;"
        " UPDATE ledger_balance b SET held = posted + 1 WHERE EXISTS (SELECT FROM ledger_transfer t"
        " WHERE t.account_id = b.account_id AND t.code = 'CLAW_BACK')",
        {"L3", "L4"},
        {BELOW_ZERO},
    ),
    "a floor excuses more than was taken back": Break(
        "UPDATE ledger_balance b SET held = posted + 40000, floor = -50000 WHERE EXISTS (SELECT FROM"
        " ledger_transfer t WHERE t.account_id = b.account_id AND t.code = 'CLAW_BACK')",
        {"L3", "L4"},
        {BELOW_ZERO},
    ),
}


def found(database: Database) -> dict[str, set[str]]:
    outcomes = database.run(lambda call: reconcile(call, ALL_CHECKS))
    return {
        each.check.name: {row.figures["what"] for row in each.findings} for each in outcomes if not each.holds
    }


@pytest.mark.parametrize("name", BREAKS)
def test_a_gift_a_share_or_a_take_back_that_was_tampered_with_is_named(database: Database, name: str) -> None:
    database.run(history)
    assert found(database).keys() <= {"L7"}  # the rider spends without a voucher
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        for deed in BREAKS[name].deed.split(";"):
            assert connection.execute(text(deed)).rowcount != 0
    owner.dispose()
    after = found(database)
    assert after.keys() - {"L7"} == BREAKS[name].named
    assert set.union(*(after[each] for each in BREAKS[name].named)) >= BREAKS[name].says
