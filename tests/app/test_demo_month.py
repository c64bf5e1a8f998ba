"""A month of the demo city with fifty reversals and with disputes: settled is what the ledger says."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.commands import run_reconciliation
from app.demo.market import Shop, plan_month
from app.demo.seed import Town, play
from app.demo.stage import Stage, shanghai
from app.factory import Product, create_product
from kernel.clock import FixedClock
from kernel.paging import PageRequest
from merchants.settlement.adjustments import Correction, adjustments, decide
from merchants.settlement.agreement import REJECTED, UPHELD, Named, answer, dispute
from merchants.settlement.closing import close_next
from merchants.settlement.lines import Line, all_lines
from merchants.settlement.records import Told, settlements
from merchants.settlement.rederiving import rederive
from merchants.settlement.states import Standing, What
from tests.conftest import NOW, cloned_database, settings_for

LATER = datetime(2027, 2, 10, 4, 0, tzinfo=UTC)
"""December is settled by then, and January, which has what the disputes came to."""
CLOSINGS = (date(2026, 12, 4), date(2027, 1, 4), date(2027, 2, 4))
REVERSALS, USES_A_DAY = 50, 3
LEDGER = text(
    "SELECT -sum(amount) FILTER (WHERE unit = 'cny') AS fen,"
    " -sum(amount) FILTER (WHERE unit = 'coin') AS coin"
    " FROM ledger_transfer WHERE code = 'SETTLE'"
)


@dataclass
class City:
    """The town on its stage, its own dice, and how often somebody did not agree."""

    stage: Stage
    town: Town
    dice: Random
    disputes: int = 0

    def shop(self) -> int:
        """December: vouchers are used, fifty uses and more are undone; how many."""
        noons = [shanghai(date(2026, 12, day), "12:00") for day in range(1, 32)]
        times = [noon + timedelta(minutes=20 * place) for noon in noons for place in range(USES_A_DAY)]
        ways = ["undo", "undo_and_redeem"] * (REVERSALS // 2)
        ways += ["redeem"] * (len(times) - len(ways))
        self.dice.shuffle(ways)
        plans = plan_month(
            self.stage,
            self.town.market,
            self.town.residents,
            days=times,
            publisher=self.town.publisher.actor,
            then=ways.__getitem__,
        )
        for plan in plans:
            plan.work()
        return REVERSALS

    def settle(self, day: date) -> None:
        """Close what is due, let each merchant doubt what was closed, answer, and decide."""
        at = shanghai(day, "02:25")
        for shop in self.town.market.shops.values():
            while self.stage.play(partial(close_next, merchant_id=shop.id), at=at):
                pass
            for told in self.told(merchant_id=shop.id, state="closed"):
                if told.line_count and told.dispute_until is not None and at < told.dispute_until:
                    self._disagree(shop, told, at + timedelta(hours=8))
        self._decide(at + timedelta(hours=10))

    def told(self, **of: Any) -> list[Told]:
        """Settlements as they stand."""
        return self.stage.play(
            lambda call: list(settlements(call, PageRequest(limit=200), **of).items), at=LATER
        )

    def lines(self, told: Told) -> list[Line]:
        """All that a settlement says."""
        return self.stage.play(lambda call: list(all_lines(call, told.id)), at=LATER)

    def _disagree(self, shop: Shop, told: Told, at: datetime) -> None:
        self.disputes += 1
        lines = self.lines(told)
        some = self.dice.sample(lines, min(2, len(lines)))
        named = [Named(what=line.what, subject_id=line.subject_id) for line in some]
        clerk = shop.clerk.actor
        self.stage.play(lambda call: dispute(call, told.id, lines=named, reason="不符"), at=at, actor=clerk)
        undone = {line.subject_id for line in lines if line.what is What.REVERSAL}
        corrections = [self._correction(line, undone) for line in some] if self.dice.random() < 0.7 else []
        ruling = UPHELD if corrections else REJECTED
        self.stage.play(
            lambda call: answer(call, told.id, ruling=ruling, reason="已核对", corrections=corrections),
            at=at + timedelta(hours=1),
            actor=self.town.editor.actor,
        )

    def _correction(self, line: Line, undone: Collection[UUID]) -> Correction:
        stands = line.what is What.REDEMPTION and line.subject_id not in undone
        if stands and self.dice.random() < 0.5:
            return Correction(reason="退回", redemption_id=line.subject_id)
        funder = self.dice.choice(list(line.shares))
        return Correction(reason="更正", funder_id=funder, payable_fen=self.dice.choice((-130, -1, 7, 260)))

    def _decide(self, at: datetime) -> None:
        def work(call: Any) -> None:
            for each in adjustments(call, PageRequest(limit=200), state="proposed").items:
                decide(call, each.id, decision=Standing.APPROVED, reason="同意")

        self.stage.play(work, at=at, actor=self.town.publisher.actor)


@pytest.fixture(scope="module")
def city(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    with cloned_database() as url:
        settings = replace(settings_for(url, cache_url), tanpuhui_data=tmp_path_factory.mktemp("data"))
        product = create_product(settings, clock=FixedClock(LATER))
        stage = Stage(product)
        yield City(stage, play(stage, now=NOW, citizens=40), Random(50))  # noqa: S311 - a test's own dice
        product.close()


def test_after_fifty_reversals_and_disputes_every_line_sums_to_the_ledger(city: City) -> None:
    city.settle(CLOSINGS[0])
    assert city.shop() == REVERSALS
    for day in CLOSINGS[1:]:
        city.settle(day)
    told = city.told()
    for each in told:
        made = city.stage.play(partial(rederive, settlement_id=each.id), at=LATER)
        assert made.equal, made.differing
    lines = [line for each in told for line in city.lines(each)]
    of_the_ledger = city.stage.play(lambda call: call.db.execute(LEDGER).one(), at=LATER)
    assert (
        sum(line.payable_fen for line in lines),
        sum(line.coin_milli for line in lines),
    ) == (of_the_ledger.fen, of_the_ledger.coin)
    assert len({(line.what, line.subject_id) for line in lines}) == len(lines)
    assert city.disputes >= 3 * len(CLOSINGS) - 3
    assert sum(line.what is What.REVERSAL for line in lines) >= REVERSALS
    assert What.ADJUSTMENT in {line.what for line in lines}
    assert _broken(city.stage.product) == {}


def _broken(product: Product) -> dict[str, Any]:
    return {each.check.name: each.findings for each in run_reconciliation(product) if not each.holds}
