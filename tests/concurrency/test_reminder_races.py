"""Two jobs, two readers and a spender at once: everybody is told once and every coin is accounted for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from app.factory import Product
from app.notifications.inbox import inbox, read, read_all, tell
from app.notifications.reminders import go_on, open_rounds
from kernel.clock import FixedClock, business_day
from kernel.errors import Refusal
from kernel.paging import PageRequest
from ledger.reconciliation import CHECKS, reconcile
from tests.app.notifications.test_inbox import telling
from tests.app.notifications.world import JOBS, earned, noon, remind_ahead, run, told
from tests.conftest import NOW, Database
from tests.ledger.world import Citizen, citizen
from tests.rewards.world import as_citizen, rich_citizen

TODAY = business_day(NOW)
ENDS = TODAY + timedelta(days=30)


def in_rounds(database: Database, most: int) -> int:
    """A job of its own that goes in small steps."""
    rounds = database.run(open_rounds)
    done = 0
    for each in rounds:
        while step := database.run(partial(go_on, each=each, most=most)):
            done += step
    return done


def test_several_jobs_at_once_remind_everybody_once_and_leave_nobody_out(database: Database) -> None:
    database.run(lambda call: remind_ahead(call, 30, 7, 1))
    people = [database.run(partial(rich_citizen, ends=ENDS)) for _ in range(40)]
    with ThreadPoolExecutor(4) as jobs:
        looked_at = list(jobs.map(lambda _: in_rounds(database, 3), range(4)))
    assert sum(looked_at) == len(people)
    assert [len(told(database, who)) for who in people] == [1] * len(people)
    assert database.rows("SELECT count(*) AS open FROM reminder_round WHERE done_at IS NULL")[0].open == 0
    assert database.rows("SELECT sum(told) AS told FROM reminder_round")[0].told == len(people)


def test_what_two_tell_at_once_stands_once(database: Database) -> None:
    people = [database.run(citizen) for _ in range(6)]
    tellings = [telling(who, str(number)) for who in people for number in range(5)]
    with ThreadPoolExecutor(4) as tellers:
        orders = (tellings, tellings[::-1], tellings, tellings[::-1])
        new = list(tellers.map(lambda some: database.run(partial(tell, tellings=some)), orders))
    assert sum(new) == len(tellings)
    assert [len(told(database, who)) for who in people] == [5] * len(people)


def test_of_many_who_read_at_once_each_message_is_read_once(database: Database) -> None:
    me = database.run(citizen)
    database.run(lambda call: tell(call, [telling(me, str(number)) for number in range(10)]))
    ids = [each.id for each in told(database, me)]

    def all_of_them(number: int) -> int:
        now = NOW + timedelta(minutes=number)
        return database.run(lambda call: read_all(as_citizen(call, me), until=NOW), now=now)

    def one(number: int) -> object:
        now = NOW + timedelta(minutes=number)
        return database.run(lambda call: read(as_citizen(call, me), ids[number % 10]), now=now).read_at

    with ThreadPoolExecutor(8) as readers:
        singles = [readers.submit(one, number) for number in range(20)]
        sums = list(readers.map(all_of_them, range(4)))
        seen = [each.result() for each in singles]
    final = {each.id: each.read_at for each in told(database, me)}
    assert [final[ids[number % 10]] for number in range(20)] == seen
    assert sum(sums) <= 10
    assert database.run(lambda call: inbox(as_citizen(call, me), PageRequest())).unread == 0


def test_coins_end_once_while_people_spend_and_are_told(
    database: Database, product: Product, clock: FixedClock
) -> None:
    database.run(lambda call: remind_ahead(call, 30, 7, 1))
    people = [database.run(citizen) for _ in range(12)]
    for who in people:
        earned(database, who, 100, ends=TODAY + timedelta(days=5))
        earned(database, who, 50, ends=TODAY + timedelta(days=35))
    run(product, *JOBS)
    clock.at = noon(TODAY + timedelta(days=6))

    def spend(who: Citizen, number: int) -> int:
        try:
            database.run(lambda call: who.hold(call, 20, f"{who.id}/{number}"), now=clock.at)
        except Refusal:
            return 0
        return 20

    with ThreadPoolExecutor(8) as workers:
        jobs = [workers.submit(run, product, "expire_coins", "remind") for _ in range(2)]
        spent = list(workers.map(lambda pair: spend(*pair), [(who, n) for n in range(3) for who in people]))
        for job in jobs:
            job.result()
    run(product, "remind")
    assert sum(spent) == 2 * 20 * len(people)  # of the 50 that are left
    for who in people:
        [ended] = told(database, who, kind="coins_expired")
        assert ended.facts["coin_milli"] == 100
        assert database.run(who.available, now=clock.at)["standard"] == 10
    outcomes = database.run(lambda call: reconcile(call, CHECKS), now=clock.at)
    assert {o.check.name: o.findings for o in outcomes if not o.holds} == {}
