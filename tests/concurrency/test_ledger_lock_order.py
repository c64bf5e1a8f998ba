"""Everybody who touches a hold set locks its balances first, so nobody deadlocks; no retry helps here."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from kernel.call import Call
from kernel.errors import Refusal
from ledger.expiry import expire_due
from ledger.holds import release
from tests.conftest import Database, make_call
from tests.ledger.world import citizen, redeem, shop

ROUNDS = 40


def test_spending_releasing_and_expiring_one_holder_never_deadlock(database: Database) -> None:
    me, till = database.run(citizen), database.run(shop)
    database.run(lambda call: me.earn(call, 10_000, reference="gift", validity="promotional"))
    database.run(lambda call: me.earn(call, 150 * ROUNDS, reference="ride"))
    start = Barrier(4)

    def once(work: Callable[[Call], object]) -> str:
        start.wait()
        with database.sessions() as session:
            try:
                work(make_call(session))
                session.commit()
            except Refusal as refusal:
                return refusal.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        for number in range(ROUNDS):
            reference = f"v{number}"
            database.run(lambda call, name=reference: me.hold(call, 150, name))  # type: ignore[misc]  # a default argument
            works: list[Callable[[Call], object]] = [
                lambda call, name=reference: redeem(call, me, till, name),  # type: ignore[misc]  # a default argument
                lambda call, name=reference: release(call, me.set_of(name), cause="x", grace_on=None),  # type: ignore[misc]  # a default argument
                lambda call, name=reference: me.hold(call, 1, f"{name}/more"),  # type: ignore[misc]  # a default argument
                expire_due,
            ]
            spent, back, more, ended = pool.map(once, works)
            assert sorted((spent, back)) == ["done", "hold_ended"]
            assert (more, ended) == ("done", "done")
