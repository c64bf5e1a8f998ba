"""The one list of what runs when.

Each piece of work goes in small transactions, ends within its time, and may run twice at once, late or
never: what it finds undone it does, and what it leaves the next run finds.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

import structlog
from psycopg import Connection
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.commands import recompute
from app.factory import Product
from app.identity.sign_in import forget_attempts
from app.notifications.inbox import forget_messages
from app.notifications.news import tell_news
from app.notifications.reminders import go_on, open_rounds
from app.notifications.webhooks.deliveries import forget_deliveries, prepare_deliveries
from app.notifications.webhooks.dispatch import send_due
from app.notifications.webhooks.reach import reach_of
from app.product_calls import command_call
from carbon.activities.batches import take_waiting_batches
from carbon.activities.byte_bodies import UPLOADS
from carbon.activities.recomputation.work import PutAside, do_waiting
from carbon.households.assessment import assess_due
from kernel.actor import Actor, system_actor
from kernel.audit import audit
from kernel.call import Call
from kernel.database import in_transaction
from kernel.errors import BrokenInvariant, Refusal
from kernel.idempotency import forget_old
from kernel.key_rotation import rotate_due
from kernel.outgoing import forget_taken, take_news
from kernel.signing import Purpose
from ledger.accounts import Account
from ledger.chart import Code, Kind, Unit
from ledger.expiry import expire_due as expire_coins_due
from ledger.folds import roll_checkpoints
from ledger.posting import roll_pending_legs
from merchants.settlement.agreement import confirm_silent
from merchants.settlement.closing import Due, close_next, merchants_to_settle
from merchants.settlement.periods import rule_regions
from rewards.catalogue.waiting import lapse_due as lapse_offers_due
from rewards.catalogue.waiting import offer_next
from rewards.vouchers import close_due as close_vouchers_due
from rewards.vouchers import expire_due as expire_vouchers_due

Result = TypeVar("Result")
FAILURES_KEPT = timedelta(days=30)
DRY_RUNS = PutAside()
"""Of recomputations, longer than one run: put down at its end, the next one of this process goes on."""
CHECKPOINT_LIMIT = "120s"


@dataclass
class Stop:
    """Whether the worker was asked to stop, and what must be interrupted when it cannot wait."""

    asked: threading.Event = field(default_factory=threading.Event)
    _busy: set[Connection[Any]] = field(default_factory=set)

    def interrupt(self) -> None:
        """Cancel the statements that run now: their transactions roll back, the next run does them."""
        for connection in tuple(self._busy):
            connection.cancel_safe(timeout=2)

    def watch(self, connection: Connection[Any]) -> None:
        """Note a connection that works."""
        self._busy.add(connection)

    def release(self, connection: Connection[Any]) -> None:
        """Forget a connection whose work is done."""
        self._busy.discard(connection)


@dataclass(frozen=True)
class Turn:
    """One run of one piece of work: its product, and until when it may begin another transaction."""

    product: Product
    stop: Stop
    ends: float

    def once(self, work: Callable[[Call], Result]) -> Result:
        """One transaction; a stop may interrupt it."""

        def watched(session: Session) -> Result:
            connection = session.connection().connection.driver_connection
            if not isinstance(connection, Connection):
                raise BrokenInvariant("the product speaks to PostgreSQL through psycopg")
            self.stop.watch(connection)
            try:
                return work(command_call(self.product, session))
            finally:
                self.stop.release(connection)

        return in_transaction(self.product.door.sessions, watched)

    def may_go_on(self) -> bool:
        """Whether there is time for another transaction and nobody asked to stop."""
        return not self.stop.asked.is_set() and time.monotonic() < self.ends

    def repeat(self, work: Callable[[Call], int]) -> int:
        """Transaction after transaction while there is something to do and time; the sum of their counts."""
        total = 0
        while self.may_go_on():
            done = self.once(work)
            total += done
            if not done:
                break
        return total


class Queue(StrEnum):
    """Where a piece of work waits for a place: each queue has places of its own (`app/worker.py`)."""

    PROMPT = "schedule"
    """What somebody waits for, or what is over in seconds. The name is that of the one queue of before."""
    LONG = "long"
    """What may go on for long and can wait: it never takes a place that the prompt ones need."""


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A piece of work: when (cron in UTC; a sixth field counts seconds), for how long, and what."""

    name: str
    says: str
    cron: str
    seconds: int
    queue: Queue = Queue.PROMPT
    priority: int = 0
    """Who goes first of those that wait in its queue."""
    work: Callable[[Turn], int]
    """Returns how many things it did, for the log."""

    def run(self, product: Product, stop: Stop) -> int:
        """Do it now, within its time."""
        return self.work(Turn(product, stop, time.monotonic() + self.seconds))


def hand_on_news(turn: Turn) -> int:
    """Take what was announced, tell holders what concerns them, and prepare what webhooks deliver."""
    return turn.repeat(_hand_on_some)


def _hand_on_some(call: Call) -> int:
    news = take_news(call)
    if news:
        prepare_deliveries(call, news)
        tell_news(call, news)
        log.info("news", counts=dict(Counter(each.event for each in news)))
    return len(news)


def send_webhooks(turn: Turn) -> int:
    """Post what is due to the servers of merchants and partners."""
    return send_due(turn.once, reach_of(turn.product.settings), keep_on=turn.may_go_on)


def take_batches(turn: Turn) -> int:
    """Import the files that partners uploaded; a batch that takes longer is put down and taken up again."""
    product = turn.product
    return take_waiting_batches(
        turn.once,
        card_secret=product.settings.card_hash_secret.encode(),
        uploads=product.flask.config[UPLOADS],
        keep_on=turn.may_go_on,
        chunk_lines=product.settings.import_chunk_lines,
        lanes=product.settings.import_lanes,
    )


def correct_credits(turn: Turn) -> int:
    """Do the dry runs of recomputations that were proposed, and post the parts of those approved."""
    return do_waiting(turn.once, keep_on=turn.may_go_on, aside=DRY_RUNS)


def roll_legs(turn: Turn) -> int:
    """Post the credit legs that wait in clearing, one account after the other, summed."""
    total = 0
    for row in turn.once(lambda call: call.db.execute(_WAITING_LEGS).all()):
        kind, unit, code = Kind(row.kind), Unit(row.unit), Code(row.code)
        account = Account(holder_id=row.holder_id, id=row.account_id, kind=kind, unit=unit)
        total += turn.repeat(partial(roll_pending_legs, account=account, region_id=row.region_id, code=code))
    return total


def expire_coins(turn: Turn) -> int:
    """Post what has ended, account by account."""
    return turn.repeat(lambda call: expire_coins_due(call)[0])


def remind(turn: Turn) -> int:
    """Post what has ended, then remind of what ends soon and tell what has ended, round after round.

    Where some coins cannot be posted, the round of their day waits and all others go on.
    """
    rounds = turn.once(open_rounds)

    def post_ended() -> int:
        expire_coins(turn)
        return 0  # its own line of the schedule counts them

    parts: dict[str, Callable[[], int]] = {"post_ended": post_ended}
    for each in rounds:
        name = f"{each.region_id} {each.what} {each.ends_on} {each.days_ahead}"
        parts[name] = partial(turn.repeat, partial(go_on, each=each))
    return _each_alone(parts)


def expire_vouchers(turn: Turn) -> int:
    """End vouchers whose last day is over, and those that waited for offline scans long enough."""
    return turn.repeat(expire_vouchers_due) + turn.repeat(close_vouchers_due)


def offer_what_came_back(turn: Turn) -> int:
    """Let offers lapse whose time is over, and hold what came back for who waits for it."""
    return turn.repeat(lapse_offers_due) + turn.repeat(offer_next)


def assess_households(turn: Turn) -> int:
    """Judge the months of homes of which something is new, home after home."""
    secret = turn.product.settings.card_hash_secret.encode()
    return turn.repeat(partial(assess_due, secret=secret))


def settle_merchants(turn: Turn) -> int:
    """Close what is due, merchant by merchant; confirm what nobody disputed. One merchant stops no other."""
    total = 0
    for due in turn.once(merchants_to_settle):
        who = system_actor(due.region_id)

        def part(call: Call, due: Due = due, who: Actor = who) -> int:
            call.db.execute(
                text(f"SET LOCAL statement_timeout = '{CHECKPOINT_LIMIT}'")
            )  # a long one is summed
            return close_next(replace(call, actor=who), due.merchant_id)

        try:
            total += turn.repeat(part)
        except Refusal as refusal:
            log.warning("settlement", merchant=str(due.merchant_id), refusal=refusal.code)
    return total + sum(turn.repeat(partial(_silence, region)) for region in turn.once(rule_regions))


def _silence(region: str, call: Call) -> int:
    return confirm_silent(replace(call, actor=system_actor(region)))


def add_checkpoints(turn: Turn) -> int:
    """Sum what folded accounts moved since their last checkpoint."""

    def work(call: Call) -> int:
        # After a large import there is much to read once; requests keep their own five seconds.
        call.db.execute(text(f"SET LOCAL statement_timeout = '{CHECKPOINT_LIMIT}'"))
        return roll_checkpoints(call).accounts

    return turn.once(work)


def forget(turn: Turn) -> int:
    """Delete answers, news, deliveries and failed jobs older than 30 days, old messages, attempts over."""
    old = (_forget_answers, forget_taken, forget_attempts, forget_deliveries, forget_messages, _forget_jobs)
    return _each_alone({part.__name__.lstrip("_"): partial(turn.repeat, part) for part in old})


def _each_alone(parts: Mapping[str, Callable[[], int]]) -> int:
    """Do every part, whatever becomes of the others; the sum of their counts, or what failed, at the end."""
    total, failed = 0, list[Exception]()
    for name, part in parts.items():
        try:
            total += part()
        except Exception as error:  # noqa: BLE001 - raised below
            log.warning("part_failed", part=name, error=type(error).__name__)
            failed.append(error)
    if len(failed) == 1:
        raise failed[0]
    if failed:
        raise ExceptionGroup("parts of a run failed", failed)
    return total


def rotate_keys(turn: Turn) -> int:
    """Make first keys where a purpose has none, and publish the next voucher key in time for its turn."""
    return sum(turn.once(partial(rotate_due, purpose=purpose)) for purpose in Purpose)


def _forget_answers(call: Call) -> int:
    return forget_old(call.db, now=call.now)


def _forget_jobs(call: Call) -> int:
    call.db.execute(_AMONG_JOBS)
    done = call.db.execute(_OLD_JOBS, {"before": call.now - FAILURES_KEPT})
    return int(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


def reconcile(turn: Turn) -> int:
    """Recompute every invariant; a broken one fails the job, is logged and stays in the audit trail."""
    broken = [outcome.check.name for outcome in turn.once(recompute) if not outcome.holds]
    if broken:
        turn.once(lambda call: audit(call, "reconciliation.broken", subject=call.region, checks=broken))
        raise BrokenInvariant(f"{', '.join(broken)} do not hold: see `flask reconcile`")
    return 0


log = structlog.get_logger("worker")
_WAITING_LEGS = text(
    "SELECT DISTINCT p.holder_id, p.account_id, p.code, a.kind, a.unit, a.region_id FROM ledger_pending_leg p"
    " JOIN ledger_account a ON a.holder_id = p.holder_id AND a.id = p.account_id"
    " WHERE p.rolled_into IS NULL ORDER BY p.account_id, p.code LIMIT 1000"
)
_AMONG_JOBS = text("SET LOCAL search_path TO jobs")
_OLD_JOBS = text(
    "DELETE FROM procrastinate_jobs WHERE id IN (SELECT job_id FROM procrastinate_events"
    " GROUP BY job_id HAVING max(at) < :before LIMIT 5000) AND status NOT IN ('todo', 'doing')"
)

SCHEDULE = (
    Scheduled(
        name="take_batches",
        says="import the files that partners uploaded",
        cron="* * * * * *",
        seconds=600,
        priority=5,
        work=take_batches,
    ),
    Scheduled(
        name="hand_on_news",
        says="take announced news on behind the commits",
        cron="* * * * * *",
        seconds=5,
        priority=20,
        work=hand_on_news,
    ),
    Scheduled(
        name="send_webhooks",
        says="post what is due to the servers of merchants and partners",
        cron="* * * * * *",
        seconds=30,
        priority=4,
        work=send_webhooks,
    ),
    Scheduled(
        name="correct_credits",
        says="dry runs and postings of recomputations by correcting tables",
        cron="* * * * * */5",
        seconds=600,
        priority=2,
        work=correct_credits,
    ),
    Scheduled(
        name="roll_legs",
        says="post what waits in clearing to pools",
        cron="* * * * * */5",
        seconds=10,
        priority=10,
        work=roll_legs,
    ),
    Scheduled(
        name="offer_what_came_back",
        says="hold what came back of a sold-out reward for who waits for it, and let unused offers pass on",
        cron="* * * * * */5",
        seconds=5,
        priority=8,
        work=offer_what_came_back,
    ),
    Scheduled(
        name="expire_vouchers",
        says="end vouchers whose last day is over",
        cron="*/5 * * * *",
        seconds=60,
        work=expire_vouchers,
    ),
    Scheduled(
        name="expire_coins",
        says="post coins that have ended",
        cron="5 * * * *",
        seconds=600,
        queue=Queue.LONG,
        work=expire_coins,
    ),
    Scheduled(
        name="remind",
        says="remind of coins and vouchers that end soon, and tell what has ended",
        cron="10 * * * *",
        seconds=1200,
        queue=Queue.LONG,
        work=remind,
    ),
    Scheduled(
        name="add_checkpoints",
        says="sum folded accounts up to the watermark",
        cron="*/10 * * * *",
        seconds=120,
        queue=Queue.LONG,
        work=add_checkpoints,
    ),
    Scheduled(
        name="assess_households",
        says="judge the months of households of which something is new",
        cron="20 17 * * *",
        seconds=3600,
        queue=Queue.LONG,
        priority=-5,
        work=assess_households,
    ),
    Scheduled(
        name="rotate_keys",
        says="publish signing keys seven days before their turn",
        cron="10 20 * * *",
        seconds=5,
        work=rotate_keys,
    ),
    Scheduled(
        name="settle_merchants",
        says="close merchants' periods that are due, and confirm what nobody disputed in time",
        cron="25 * * * *",
        seconds=1800,
        queue=Queue.LONG,
        priority=-5,
        work=settle_merchants,
    ),
    Scheduled(
        name="forget",
        says="delete answers, news, deliveries and failed jobs older than 30 days, old messages and attempts",
        cron="40 19 * * *",
        seconds=600,
        queue=Queue.LONG,
        work=forget,
    ),
    Scheduled(
        name="reconcile",
        says="recompute every invariant",
        cron="30 18 * * *",
        seconds=1800,
        queue=Queue.LONG,
        priority=-10,
        work=reconcile,
    ),
)
"""What runs, most often first. 16:00 UTC is midnight in Shanghai."""
