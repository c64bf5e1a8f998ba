"""A city whose official table is corrected, and recomputations led through their life in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import select, text

from carbon.activities.holds import APPEAL_TIME, HoldOrder, decide, put_on_hold
from carbon.activities.intake import take_chunk
from carbon.activities.recomputation.jobs import Proposal, approve, find_recomputation, propose
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.tables import Recomputation
from carbon.activities.recomputation.work import work_on
from carbon.activities.tables import Activity
from carbon.factors.bundle_files import read_bundle
from carbon.factors.bundles import read_shipped
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.reconciliation import CHECKS as CARBON_CHECKS
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.tables import Publication
from ledger.accounts import find_account
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.holds import HoldSet, hold, spend
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import OFFICIAL, City, as_operator, lines, plant_city, publish_rule, ride
from tests.conftest import Database
from tests.ledger.world import shop

TEXT = read_shipped(OFFICIAL).decode()
REASON = "misprint in the guide's table 3"


def corrected_text(corrects: UUID, grams: str, *, text_: str = TEXT) -> str:
    """The official table with another figure for a kilometre by metro: grams with one decimal."""
    tenths = int(grams.replace(".", ""))
    head = f"corrects: {public_id('pub', corrects)}\ncorrection_reason: {REASON}\n"
    changed = (
        text_.replace('value: "46.7"', f'value: "{grams}"')
        .replace('expected: "0.467"', f'expected: "{tenths // 1_000}.{tenths % 1_000:03}"')
        .replace(
            'expected: "576.6049"',
            f'expected: "{tenths * 12_347 // 10_000}.{tenths * 12_347 % 10_000:04}"',
        )
    )
    return changed.replace("kind: factor_table\n", f"kind: factor_table\n{head}", 1)


def in_force(call: Call, subject: str = "transport") -> UUID:
    """The factor table that is in force."""
    found = select(Publication.id).where(
        Publication.kind == "factor_table",
        Publication.state == "published",
        Publication.subject == subject,
    )
    return call.db.scalars(found).one()


def publish_correction(call: Call, corrects: UUID, grams: str) -> UUID:
    """Draft and publish a correction by two persons; the table that corrects."""
    bundle = read_bundle(corrected_text(corrects, grams).encode(), form="yaml")
    drafted = draft_factor_table(as_operator(call), bundle)
    return publish_factor_table(as_operator(call), drafted.id, reason="checked").id


@dataclass(frozen=True)
class Corrected:
    """A city with people in it."""

    database: Database
    city: City
    owners: dict[str, UUID]

    def rode(self, *rides: dict[str, Any]) -> list[str]:
        """Take rides in one chunk; their outcomes."""
        taken = self.database.run(lambda call: take_chunk(call, self.city.intake(), lines(*rides)))
        return list(taken["outcome"])

    def publish(self, grams: str) -> UUID:
        """Correct the table in force."""
        return self.database.run(lambda call: publish_correction(call, in_force(call), grams))

    def propose(self, table_id: UUID, policy: Policy = Policy.UNSPENT) -> UUID:
        """A recomputation whose dry run is done."""
        proposal = Proposal(table_id=table_id, policy=policy, reason=REASON)
        job_id: UUID = self.database.run(lambda call: propose(as_operator(call), proposal).id)
        assert work_on(self.database.run, job_id)
        return job_id

    def approve(self, job_id: UUID) -> None:
        """Another person approves what the dry run found."""

        def work(call: Call) -> None:
            other = as_operator(call)
            found = find_recomputation(other, job_id)
            approve(other, job_id, figures=bytes(found.digest or b""), reason="as simulated")

        self.database.run(work)

    def job(self, job_id: UUID) -> Recomputation:
        """How it stands."""
        return self.database.run(lambda call: find_recomputation(as_operator(call), job_id))

    def recompute(self, table_id: UUID, policy: Policy = Policy.UNSPENT) -> Recomputation:
        """Propose, compute, approve and post; the recomputation as it ended."""
        job_id = self.propose(table_id, policy)
        self.approve(job_id)
        assert work_on(self.database.run, job_id)
        return self.job(job_id)

    def correct(self, grams: str, policy: Policy = Policy.UNSPENT) -> Recomputation:
        """Correct the table in force, and recompute by it."""
        return self.recompute(self.publish(grams), policy)

    def hold(self, who: str, amount: int, *, name: str = "v") -> HoldSet:
        """A voucher's coins."""
        held = HoldSet(holder_id=self.owners[who], purpose="voucher", reference=f"{name}-{who}/0")

        def work(call: Call) -> None:
            own = find_account(
                call, held.holder_id, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD
            )
            hold(call, held, [own], amount=amount, until=None)

        self.database.run(work)
        return held

    def spend(self, held: HoldSet) -> int:
        """A merchant scans the voucher."""

        def work(call: Call) -> int:
            till = shop(call)
            return spend(
                call, held, till, code=Code.REDEEM, reference=held.reference, occurred_at=call.now
            ).amount

        return self.database.run(work)

    def put_on_hold(self, who: str) -> UUID:
        """An operator puts somebody's first ride on hold; the hold."""

        def put(call: Call) -> UUID:
            publish_rule(call, "grace", "standard", {"days": 30})
            ridden = select(Activity).where(Activity.citizen_id == self.owners[who]).order_by(Activity.id)
            activity_id = call.db.scalars(ridden.limit(1)).one().id
            why = {"reason_zh": "车速异常", "reason_en": "too fast"}
            order = HoldOrder(citizen_id=self.owners[who], activity_id=activity_id, **why)
            return put_on_hold(as_operator(call), order).id

        return self.database.run(put)

    def refuse(self, hold_id: UUID) -> None:
        """Another operator refuses it, once there was time for an appeal."""

        def work(call: Call) -> None:
            later = replace(as_operator(call), now=call.now + APPEAL_TIME)
            decide(later, hold_id, into="refused", reason="no such train ran")

        self.database.run(work)

    def balances(self, unit: str) -> list[int]:
        """What stands on the accounts of the people, in the order of their cards."""
        rows = self.database.rows(
            "SELECT a.holder_id, sum(b.posted) AS posted FROM ledger_balance b JOIN ledger_account a"
            " ON a.holder_id = b.holder_id AND a.id = b.account_id WHERE a.unit = :unit GROUP BY 1",
            unit=unit,
        )
        found = {row.holder_id: int(row.posted) for row in rows}
        return [found.get(owner, 0) for owner in self.owners.values()]

    def borne(self) -> int:
        """What the fund bears, by the ledger."""
        rows = self.database.rows(
            "SELECT coalesce(-sum(t.amount), 0) AS borne FROM ledger_transfer t JOIN ledger_account a"
            " ON a.holder_id = t.holder_id AND a.id = t.account_id WHERE a.kind = 'funder'"
        )
        return int(rows[0].borne)

    def count(self, table: str) -> int:
        """Rows of a table."""
        return int(self.database.rows(f"SELECT count(*) AS n FROM {table}")[0].n)  # noqa: S608 - our own text

    def everything_holds(self) -> None:
        """Every invariant of the ledger and of kilograms; the vouchers of these tests are only holds."""

        def work(call: Call) -> list[str]:
            outcomes = reconcile(call, (*LEDGER_CHECKS, *CARBON_CHECKS))
            return [f"{each.check.name}: {each.findings}" for each in outcomes if not each.holds]

        assert self.database.run(work) == []


def with_rides(database: Database, metres: Sequence[int]) -> Corrected:
    """Each of some citizens rode once, so far."""
    city = database.run(lambda call: plant_city(call, OFFICIAL))
    cards = [f"card-{number:03}" for number in range(len(metres))]
    made = Corrected(database, city, database.run(lambda call: city.bind(call, cards)))
    made.rode(
        *(
            ride(f"e{place}", card, metres=far)
            for place, (card, far) in enumerate(zip(cards, metres, strict=True))
        )
    )
    return made


def set_floor(database: Database, floor: int) -> None:
    """What only a migration may do: how far take-backs may go."""
    from kernel.database import create_engine  # noqa: PLC0415 - only here

    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE ledger_balance SET floor = :floor"), {"floor": floor})
    owner.dispose()
