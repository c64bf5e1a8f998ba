"""The last whole month of the demo city's merchants: settled, by one confirmed and paid, by one disputed."""

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial

from app.demo.market import Market, plan_month
from app.demo.people import Employee, Resident
from app.demo.stage import Stage, month_start, shanghai
from kernel.call import Call
from kernel.paging import PageRequest
from merchants.settlement.agreement import Named, confirm, dispute
from merchants.settlement.closing import close_next
from merchants.settlement.lines import more_lines
from merchants.settlement.payment import pay
from merchants.settlement.records import Told, settlements

CLOSE_DAYS = 3
CONFIRMS, DISPUTES = "bakery", "coffee"


def settling(
    stage: Stage,
    market: Market,
    buyers: Sequence[Resident],
    *,
    today: date,
    staff: tuple[Employee, Employee],
) -> list[tuple[datetime, Callable[[], object]]]:
    """The shopping of the last month that is closed by now, its closing, and what merchants say to it."""
    closed_this_month = today.day > CLOSE_DAYS + 1
    first = month_start(today, -1 if closed_this_month else -2)
    after = month_start(first, 1)
    days = [shanghai(first + timedelta(days=day), "12:00") for day in range((after - first).days)]
    _, publisher = staff
    closing = shanghai(after + timedelta(days=CLOSE_DAYS - 1), "02:25")
    shopping = plan_month(stage, market, buyers, days=days, publisher=publisher.actor)
    return [
        *((plan.at, plan.work) for plan in shopping),
        (closing, partial(_close, stage, market, closing)),
        (closing + timedelta(hours=7), partial(_confirm, stage, market, closing + timedelta(hours=7))),
        (closing + timedelta(hours=8), partial(_dispute, stage, market, closing + timedelta(hours=8))),
        (closing + timedelta(hours=9), partial(_pay, stage, market, publisher, closing + timedelta(hours=9))),
    ]


def _close(stage: Stage, market: Market, at: datetime) -> None:
    for shop in market.shops.values():
        while stage.play(partial(close_next, merchant_id=shop.id), at=at):
            pass


def _confirm(stage: Stage, market: Market, at: datetime) -> None:
    told = _latest(stage, market, CONFIRMS, at)
    clerk = market.shops[CONFIRMS].clerk.actor
    stage.play(lambda call: confirm(call, told.id), at=at, actor=clerk)


def _dispute(stage: Stage, market: Market, at: datetime) -> None:
    """The coffee shop misses a scan."""
    told = _latest(stage, market, DISPUTES, at)
    clerk = market.shops[DISPUTES].clerk.actor

    def work(call: Call) -> None:
        line = more_lines(call, told.id, PageRequest(limit=1)).items[0]
        named = [Named(what=line.what, subject_id=line.subject_id)]
        dispute(call, told.id, lines=named, reason="当日另有一笔未计入 / another scan of that day is missing")

    stage.play(work, at=at, actor=clerk)


def _pay(stage: Stage, market: Market, publisher: Employee, at: datetime) -> None:
    told = _latest(stage, market, CONFIRMS, at)
    bank = f"DEMO-{told.last_day:%Y%m}-0001"
    stage.play(lambda call: pay(call, told.id, bank_statement_id=bank), at=at, actor=publisher.actor)


def _latest(stage: Stage, market: Market, shop: str, at: datetime) -> Told:
    merchant = market.shops[shop].id
    return stage.play(
        lambda call: settlements(call, PageRequest(limit=1), merchant_id=merchant).items[0], at=at
    )
