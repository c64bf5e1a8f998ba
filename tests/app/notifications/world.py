"""A citizen with coins that end on a day, a region that reminds, and the jobs, in a few words."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from uuid import UUID

from app.factory import Product
from app.notifications.inbox import Told, inbox
from app.schedule import SCHEDULE, Stop
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import SHANGHAI, FixedClock
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from kernel.publications.publishing import Draft, draft, publish
from tests.conftest import REGION, Database
from tests.ledger.world import Citizen
from tests.rewards.world import acting

JOBS = ("expire_vouchers", "expire_coins", "remind")


def remind_ahead(call: Call, *days: int, region: str = REGION) -> None:
    """The region reminds so many days ahead, since long ago."""
    proposal = Draft(
        region_id=region,
        kind="reminders",
        subject="standard",
        title="reminders",
        content={"days": list(days)},
        source="rules of the test",
        effective_from=date(2026, 1, 1),
    )
    made = draft(_operator(call, region), proposal)
    publish(_operator(call, region), made.id, reason="test")


def _operator(call: Call, region: str) -> Call:
    operator = acting(call, ActorKind.OPERATOR)
    return replace(operator, actor=replace(operator.actor, region_id=region))


def noon(day: date) -> datetime:
    """Noon in Shanghai."""
    return datetime.combine(day, time(12), tzinfo=SHANGHAI).astimezone(UTC)


def run(product: Product, *names: str) -> list[int]:
    """These lines of the schedule, one after the other."""
    return [next(item for item in SCHEDULE if item.name == name).run(product, Stop()) for name in names]


def live_through(product: Product, clock: FixedClock, *days: date) -> None:
    """Run the jobs at noon of each day, the last of them twice."""
    for day in days:
        clock.at = noon(day)
        run(product, *JOBS, JOBS[-1])


def hand_on_all(database: Database, product: Product) -> None:
    """Hand on news until none waits: the watermark is the whole cluster's, others' transactions hold it."""
    while database.rows("SELECT FROM outgoing WHERE taken_at IS NULL"):
        run(product, "hand_on_news")


def told(database: Database, who: Citizen | UUID, *, kind: str = "") -> list[Told]:
    """What a citizen was told, oldest first."""
    holder = who if isinstance(who, UUID) else who.id
    page = database.run(lambda call: inbox(acting(call, ActorKind.CITIZEN, holder), PageRequest(limit=200)))
    return [each for each in reversed(page.items) if kind in {"", each.kind}]


def ahead(database: Database, who: Citizen, *, kind: str = "coins_expiring") -> list[int]:
    """How many days ahead each reminder was, oldest first."""
    return [each.facts["days_ahead"] for each in told(database, who, kind=kind)]


def earned(database: Database, who: Citizen, amount: int, *, ends: date, validity: str = "standard") -> None:
    """Coins that end on a day."""
    database.run(lambda call: who.earn(call, amount, reference=new_id().hex, ends=ends, validity=validity))
