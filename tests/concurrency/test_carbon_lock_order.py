"""All who credit, refuse, correct and expire lock balances in one order: kilograms, then coins, by key.

One of two is stopped at every point of its way for the other, and both are done: nothing is tried again
here, and a deadlock is an error.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import count
from uuid import UUID

from carbon.activities.holds import APPEAL_TIME, HoldOrder, decide, put_on_hold
from carbon.activities.intake import take_activity, take_chunk
from carbon.reconciliation import CHECKS
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import citizen_accounts, institution
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.expiry import expire_due
from ledger.posting import Transfer, post
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import City, lines, plant_city, publish_rule, ride
from tests.concurrency.interleaving import Work, stage
from tests.conftest import NOW, REGION, Database

HOLDER, DECIDER = (Actor(kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION) for _ in range(2))
LATER, TOMORROW = NOW + APPEAL_TIME, NOW + timedelta(days=1)
Pair = tuple[Work, Work]


def chunk(city: City, *rows: dict[str, object]) -> Work:
    def work(call: Call) -> str:
        outcomes = take_chunk(call, city.intake(), lines(*rows))["outcome"]
        return " ".join(outcomes)

    return work


def give(call: Call, owner: UUID, *, ends: date) -> None:
    """Coins that no activity brought."""
    gift = Transfer(
        account=citizen_accounts(call, owner, region_id=REGION).coins[STANDARD],
        contra=institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN),
        amount=1_000,
        code=Code.CREDIT,
        source="gift",
        reference="gift",
        occurred_at=call.now,
        expires_on=ends,
    )
    post(call, gift)


def refusing_and_crediting(call: Call, city: City, name: str) -> Pair:
    """A held ride is refused; one of another day, which another count of its cap has, is credited."""
    citizen = city.bind(call, [name])[name]
    activity = take_activity(call, city.intake(), lines(ride(f"{name}/1", name)))["activity_id"]
    order = HoldOrder(
        citizen_id=citizen, activity_id=UUID(str(activity)), reason_zh="车速异常", reason_en="too fast"
    )
    held = put_on_hold(replace(call, actor=HOLDER), order).id

    def refuse(call: Call) -> str:
        return decide(replace(call, actor=DECIDER), held, into="refused", reason="no such train").state

    return refuse, chunk(city, ride(f"{name}/2", name, occurred_at=NOW - timedelta(days=1)))


def correcting_and_expiring(call: Call, city: City, name: str) -> Pair:
    """Two corrections that bring no coins and a third citizen's ride are a chunk; all have coins that end."""
    cards = [f"{name}/{number}" for number in range(3)]
    owners = city.bind(call, cards)
    for owner in owners.values():
        give(call, owner, ends=TOMORROW.date())
    # The one's coins are cut by his cap, the other's ride was none; the third has the greatest key.
    capped, withdrawn, rides = sorted(cards, key=lambda card: owners[card])
    stand = [
        ride(f"{name}/full", capped),
        ride(f"{name}/capped", capped, metres=1_000),
        ride(f"{name}/none", withdrawn),
    ]
    chunk(city, *stand)(call)
    rows = [
        ride(f"{name}/capped", capped, metres=2_000, corrects_revision=1),
        ride(f"{name}/none", withdrawn, metres=0, corrects_revision=1),
        ride(f"{name}/ride", rides),
    ]

    def expire(call: Call) -> str:
        expire_due(call)
        return "expired"

    return chunk(city, *rows), expire


def stopped_everywhere(
    database: Database, pairs: Callable[[Call, City, str], Pair], *, at: datetime
) -> Iterator[tuple[str, str]]:
    """What both came to, for every point at which the first of a new pair was stopped for the second."""
    city = database.run(plant_city)
    database.run(lambda call: publish_rule(call, "grace", "standard", {"days": 30}))
    names = (f"p{number}" for number in count())
    with stage(database.url) as on:
        first, _ = database.run(lambda call: pairs(call, city, next(names)))
        on.alone(first, now=at)
        for stop in list(on.first.points()):
            one, other = database.run(lambda call: pairs(call, city, next(names)))
            yield on.interleaved(one, other, at=(at, at), stop=stop)
    outcomes = database.run(lambda call: reconcile(call, (*LEDGER_CHECKS, *CHECKS)), now=LATER)
    assert [(o.check.name, o.findings) for o in outcomes if not o.holds] == []


def test_a_refusal_and_a_chunk_of_one_citizen_never_deadlock(database: Database) -> None:
    told = list(stopped_everywhere(database, refusing_and_crediting, at=LATER))
    assert len(told) > 1
    assert set(told) == {("refused", "credited")}


def test_corrections_that_bring_no_coins_and_expiry_never_deadlock(database: Database) -> None:
    told = list(stopped_everywhere(database, correcting_and_expiring, at=TOMORROW))
    assert len(told) > 1
    assert set(told) == {("credited assessed credited", "expired")}
