"""A town with one store and as many tills as wanted, each a simulated terminal on the served product."""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text

from app.factory import Product
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.publications.publishing import Draft, draft, publish
from merchants.onboarding import add_merchant, add_store
from merchants.simulated_terminal import Clocks, SimulatedTerminal, Unreachable
from merchants.terminals import new_terminal
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.vouchers import Key, owned
from tests.conftest import REGION, Database
from tests.ledger.world import Citizen
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen, shelf

Result = TypeVar("Result")
COST_FEN = 500
RULE: dict[str, Any] = {
    "face_fen": 500,
    "redemptions": 20,
    "total_fen": 10_000,
    "sync_hours": 24,
    "liable": "funders",
}


def publish_offline_rule(call: Call, *, since: date = date(2026, 1, 1), **changes: Any) -> None:
    """The rule of the town, in force since long ago; a later one takes its place on its day."""
    proposal = Draft(
        region_id=REGION,
        kind="offline",
        subject="standard",
        title="offline",
        content={**RULE, **changes},
        source="rules of the test",
        effective_from=since,
    )
    made = draft(acting(call, ActorKind.OPERATOR), proposal)
    publish(acting(call, ActorKind.OPERATOR), made.id, reason="test")


@dataclass
class Drawer:
    """A memory that survives a power cut."""

    kept: dict[str, Any] = field(default_factory=dict)

    def load(self) -> dict[str, Any]:
        return dict(self.kept)

    def keep(self, state: dict[str, Any]) -> None:
        self.kept = dict(state)


@dataclass
class Town:
    """A served product, its clock, one store, and what happens there."""

    product: Product
    database: Database
    clock: FixedClock
    merchant_id: UUID
    store_id: UUID
    reward_id: UUID

    def run(self, work: Any, *, now: datetime | None = None) -> Any:
        return self.database.run(work, now=now or self.clock.now())

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        """One request of a till to the served product."""
        headers = {"Idempotency-Key": key, **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = self.product.flask.test_client().open(path, method=method, json=body, headers=headers)
        return answer.status_code, answer.get_json(silent=True) or {}

    def till(self, *, store_id: UUID | None = None) -> SimulatedTerminal:
        """A new till with its key, which has seen the server once."""
        made = SimulatedTerminal(self.ask, Drawer(), Clocks(wall=self.seconds, monotonic=self.seconds))
        code = self.run(lambda call: new_terminal(call, store_id or self.store_id, label="till")).code
        assert made.pair(code).startswith("trm_")
        with suppress(Unreachable):  # a town without a rule gives no kit
            made.refresh()
        return made

    def offline_till(self) -> SimulatedTerminal:
        """A till that has just lost its network."""
        made = self.till()
        made.connected = False
        return made

    def seconds(self) -> int:
        """What a clock in this town says."""
        return int(self.clock.now().timestamp())

    def citizen(self, coins: int = 1_000_000) -> Citizen:
        return self.run(lambda call: rich_citizen(call, coins))  # type: ignore[no-any-return]

    def buy(self, who: Citizen, reward_id: UUID | None = None) -> Key:
        wanted = reward_id or self.reward_id
        return self.run(lambda call: exchange(as_citizen(call, who), wanted))  # type: ignore[no-any-return]

    def codes(self, who: Citizen, key: Key) -> list[str]:
        """The twenty codes that the phone takes along."""
        shown = self.run(lambda call: live_codes(as_citizen(call, who), key.voucher_id))
        return [each.text for each in shown]

    def state(self, who: Citizen, key: Key) -> str:
        return str(self.run(lambda call: owned(as_citizen(call, who), key.voucher_id)).state)

    def later(self, **step: int) -> None:
        self.clock.advance(timedelta(**step))

    def rows(self, table: str) -> list[Any]:
        return self.database.rows(f"SELECT * FROM {table} ORDER BY 1, 2")  # noqa: S608 - our own tables


def found_town(
    product: Product, database: Database, clock: FixedClock, *, offline: bool = True, **rule: Any
) -> Town:
    """Rules, a merchant with a store, and a reward that only this store honours."""

    def work(call: Call) -> tuple[UUID, UUID, UUID]:
        publish_rules(call)
        if offline:
            publish_offline_rule(call, **rule)
        merchant = add_merchant(call, name_zh="示例面包店", name_en="Example bakery")
        store = add_store(call, merchant, name_zh="一店", name_en="First")
        reward = shelf(
            call, stock=5000, limit=5000, merchant_id=merchant, scope_no=store.scope_no, cost_fen=COST_FEN
        )
        return merchant, store.id, reward.reward_id

    merchant, store, reward = database.run(work)
    return Town(product, database, clock, merchant, store, reward)


def balance_of(town: Town, who: Citizen) -> tuple[int, int]:
    """What a citizen has in milli-coins, free and held."""
    with town.database.sessions() as session:
        row = session.execute(
            text(
                "SELECT coalesce(sum(b.posted - b.held), 0) AS free, coalesce(sum(b.held), 0) AS held"
                " FROM ledger_account a JOIN ledger_balance b ON b.account_id = a.id"
                " WHERE a.holder_id = :who AND a.unit = 'coin'"
            ),
            {"who": who.id},
        ).one()
    return int(row.free), int(row.held)
