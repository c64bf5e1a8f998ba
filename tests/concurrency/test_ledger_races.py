"""Threads on real PostgreSQL: every place where a naive ledger pays twice."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import new_id
from ledger.accounts import Account, institution, open_account
from ledger.chart import Code, Kind, Unit
from ledger.holds import Held, release
from ledger.posting import Movement, Transfer, move, post
from ledger.reconciliation import CHECKS, reconcile
from ledger.reversal import Undo, reverse_spend
from tests.conftest import Database
from tests.ledger.world import REGION, Citizen, citizen, redeem, shop


def together(database: Database, works: Sequence[Callable[[Call], Any]]) -> list[Any]:
    """Run all works at once, each in a transaction of its own; a refusal is a result."""

    def one(work: Callable[[Call], Any]) -> Any:
        try:
            return database.run(work)
        except Refusal as refusal:
            return refusal.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def sound(database: Database) -> None:
    outcomes = database.run(lambda call: reconcile(call, CHECKS))
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}


def _hold(who: Citizen, reference: str, call: Call) -> list[Held]:
    return who.hold(call, 100, reference)


def _redeem(who: Citizen, till: Account, reference: str, call: Call) -> int:
    return redeem(call, who, till, reference)


def _cancel(who: Citizen, reference: str, call: Call) -> int:
    return release(call, who.set_of(reference), cause="citizen", grace_on=None).amount


def test_sixty_four_equal_postings_have_one_effect_and_sixty_three_replays(database: Database) -> None:
    me = database.run(citizen)
    results = together(database, [lambda call: me.earn(call, 100, reference="ride")] * 64)
    assert Counter(posted.replayed for posted in results) == {True: 63, False: 1}
    assert database.run(me.available)["standard"] == 100
    sound(database)


def test_of_n_plus_ten_spends_on_money_for_n_exactly_n_succeed(database: Database) -> None:
    me = database.run(citizen)
    database.run(lambda call: me.earn(call, 3000, reference="ride"))
    results = together(database, [partial(_hold, me, f"v{number}/0") for number in range(40)])
    assert sum(isinstance(result, list) for result in results) == 30
    assert results.count("balance_insufficient") == 10
    assert database.run(me.available)["standard"] == 0
    sound(database)


def test_sixty_four_redemptions_of_one_hold_pay_once(database: Database) -> None:
    me, till = database.run(citizen), database.run(shop)
    database.run(lambda call: me.earn(call, 100, reference="ride"))
    database.run(lambda call: me.hold(call, 100, "v/0"))
    scan = partial(_redeem, me, till, "v/0")
    results = together(database, [scan] * 64)
    # Who stood too long behind the others was told to come again, and learns then what stands.
    assert [database.run(scan) if result == "busy" else result for result in results] == [100] * 64
    paid = database.rows("SELECT count(*) AS n FROM ledger_transfer WHERE code = 'REDEEM'")[0].n
    assert paid == 1
    sound(database)


def test_a_redemption_and_a_cancellation_at_once_have_one_outcome(database: Database) -> None:
    me, till = database.run(citizen), database.run(shop)
    database.run(lambda call: me.earn(call, 2000, reference="ride"))
    for number in range(20):
        reference = f"v{number}/0"
        database.run(partial(_hold, me, reference))
        works = [partial(_redeem, me, till, reference), partial(_cancel, me, reference)]
        spent, back = together(database, works)
        assert sorted((spent, back), key=str) == [100, "hold_ended"]
    sound(database)


def test_a_reversal_races_itself_and_is_mirrored_once(database: Database) -> None:
    me, till = database.run(citizen), database.run(shop)
    database.run(lambda call: me.earn(call, 100, reference="ride"))
    database.run(lambda call: me.hold(call, 100, "v/0"))
    database.run(lambda call: redeem(call, me, till, "v/0"))

    def undo(call: Call) -> bool:
        how = Undo(reference="v/0/reversal", occurred_at=call.now, cause="merchant", held_again_as="v/1")
        return reverse_spend(call, me.set_of("v/0"), how).fresh

    assert Counter(together(database, [undo] * 32)) == {True: 1, False: 31}
    sound(database)


def test_of_two_allocations_of_sixty_from_a_pool_of_a_hundred_one_succeeds(database: Database) -> None:
    me = database.run(citizen)

    def fill(call: Call) -> None:
        donor = open_account(call, new_id(), kind=Kind.DONOR, unit=Unit.CARBON, region_id=REGION)
        source = institution(call, REGION, kind=Kind.SOURCE, unit=Unit.CARBON)
        pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
        clearing = institution(call, REGION, kind=Kind.CLEARING, unit=Unit.CARBON)
        verified = Transfer(
            account=donor,
            contra=source,
            amount=100,
            code=Code.CREDIT_CARBON,
            source="project",
            reference="p",
            occurred_at=call.now,
        )
        post(call, verified)
        move(
            call,
            Movement(
                giver=donor,
                taker=pool,
                amount=100,
                code=Code.DONATE,
                source="donation",
                reference="d",
                occurred_at=call.now,
            ),
            region_id=REGION,
        )
        assert clearing.unit is Unit.CARBON

    def allocate(number: int, call: Call) -> int:
        pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
        share = Movement(
            giver=pool,
            taker=me.accounts.carbon,
            amount=60,
            code=Code.ALLOCATE,
            source="allocation",
            reference=str(number),
            occurred_at=call.now,
        )
        move(call, share, region_id=REGION)
        return 60

    def roll(call: Call) -> int:
        from ledger.posting import roll_pending_legs  # noqa: PLC0415 - this test alone rolls

        pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
        return roll_pending_legs(call, pool, region_id=REGION, code=Code.DONATE)

    database.run(fill)
    assert sorted(together(database, [roll] * 8)) == [0] * 7 + [100]
    results = together(database, [partial(allocate, 1), partial(allocate, 2)])
    assert sorted(results, key=str) == [60, "balance_insufficient"]
    sound(database)
