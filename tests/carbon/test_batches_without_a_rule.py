"""What an operator left out is no fault of a file: its batch waits, says for what, and loses nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from carbon.activities.adapters.errors import FileRefused
from carbon.activities.batch_records import find_batch
from carbon.activities.batch_results import shown
from carbon.activities.batches import BUSY_PAUSE, ENDS_THE_BATCH, OPERATOR_PAUSE, TRIES_MAX
from carbon.activities.errors import TripTooLong
from carbon.activities.tables import ActivityBatch
from carbon.partners.registry import resume, suspend
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.errors import Refusal
from kernel.publications.tables import Publication
from kernel.publications.withdrawal import withdraw
from tests.carbon.city import RULES, as_operator, publish_rule
from tests.carbon.partner_client import RECORD, Partner
from tests.carbon.test_lanes import takes_a_chunk
from tests.conftest import NOW

STATE = "SELECT state, tries, failure, lines_done, spool IS NOT NULL FROM activity_batch"
CREDITS = "SELECT source_event_id, count(*) FROM activity GROUP BY 1 ORDER BY 1"
TOMORROW = NOW + timedelta(days=1)
NEEDED = {"coin_rate": "coin_rate/standard on 2026-11-21", "validity": "validity/standard on 2026-11-21"}
CONTENTS = {kind: content for kind, subject, content in RULES if subject == "standard"}


def end_rule(partner: Partner, kind: str) -> None:
    """From tomorrow no rule of this kind rules."""

    def end(call: Call) -> None:
        rule = select(Publication.id).where(Publication.kind == kind, Publication.subject == "standard")
        day = TOMORROW.date()
        withdraw(as_operator(call), call.db.scalars(rule).one(), from_day=day, reason="another will follow")

    partner.database.run(end)


def publish_again(partner: Partner, kind: str, clock: FixedClock) -> None:
    def publish(call: Call) -> None:
        publish_rule(call, kind, "standard", CONTENTS[kind], since=TOMORROW.date())

    partner.database.run(publish, now=clock.now())


@pytest.fixture
def work(partner: Partner, clock: FixedClock) -> Callable[..., int]:
    """One worker's call by the product's clock."""

    def run(work: Callable[[Call], Any]) -> Any:
        return partner.database.run(work, now=clock.now())

    return lambda **more: partner.work(run, **more)


def state(partner: Partner) -> tuple[Any, ...]:
    (found,) = partner.database.rows(STATE)
    return tuple(found)


@pytest.mark.parametrize("kind", NEEDED)
def test_a_batch_waits_for_the_rule_of_its_day_and_then_takes_every_line_once(
    partner: Partner, batch: str, clock: FixedClock, work: Callable[..., int], kind: str
) -> None:
    end_rule(partner, kind)
    clock.advance(timedelta(days=1))
    for _ in range(TRIES_MAX + 2):
        assert work() == 0
        assert state(partner) == ("running", 0, None, 0, True)
        assert len(partner.files()) == 1
        told = partner.get(f"/{batch}").json
        assert (told["waits_for"], told["waits_detail"]) == ("no_rule_in_force", NEEDED[kind])
        assert (told["failure"], told["lines_done"]) == (None, 0)
        clock.advance(OPERATOR_PAUSE + timedelta(seconds=1))
    assert work() == 0
    publish_again(partner, kind, clock)
    clock.advance(OPERATOR_PAUSE - timedelta(seconds=1))
    assert work() == 0
    clock.advance(timedelta(seconds=2))
    assert work() == 1
    told = partner.get(f"/{batch}").json
    assert (told["state"], told["accepted"]) == ("done", 6)
    assert (told["waits_for"], told["waits_detail"]) == (None, None)
    assert partner.database.rows(CREDITS) == [(f"e{number}", 1) for number in range(6)]
    assert partner.files() == []
    assert partner.broken() == []


def test_what_was_taken_before_the_rule_ended_is_not_taken_again_after_it(
    partner: Partner, batch: str, clock: FixedClock
) -> None:
    end_rule(partner, "coin_rate")

    def run(work: Callable[[Call], Any]) -> Any:
        done = partner.database.run(work, now=clock.now())
        if takes_a_chunk(work) and clock.now() < TOMORROW:
            clock.advance(timedelta(days=1))  # midnight passes between two chunks
        return done

    assert partner.work(run, chunk_lines=2) == 0
    assert state(partner) == ("running", 0, None, 2, True)
    assert partner.get(f"/{batch}").json["waits_for"] == "no_rule_in_force"
    assert partner.cancel(batch).json["code"] == "batch_begun"
    publish_again(partner, "coin_rate", clock)
    clock.advance(OPERATOR_PAUSE + timedelta(seconds=1))
    assert partner.work(run, chunk_lines=2) == 1
    assert partner.database.rows(CREDITS) == [(f"e{number}", 1) for number in range(6)]
    assert partner.broken() == []


def test_an_operator_reads_it_too_and_the_partner_may_call_the_batch_off(
    partner: Partner, batch: str, clock: FixedClock, work: Callable[..., int]
) -> None:
    end_rule(partner, "coin_rate")
    clock.advance(timedelta(days=1))
    assert work() == 0

    def told(call: Call) -> str | None:
        (only,) = call.db.query(ActivityBatch).all()
        return shown(call, find_batch(as_operator(call), only.id)).waits_for

    assert partner.database.run(told) == "no_rule_in_force"
    (listed,) = partner.get().json["items"]
    assert listed["waits_for"] == "no_rule_in_force"
    cancelled = partner.cancel(batch).json
    assert (cancelled["state"], cancelled["waits_for"]) == ("cancelled", None)
    assert partner.files() == []


def test_a_suspension_is_told_first_and_what_it_waited_for_before_afterwards(
    partner: Partner, batch: str, clock: FixedClock, work: Callable[..., int]
) -> None:
    end_rule(partner, "coin_rate")
    clock.advance(timedelta(days=1))
    assert work() == 0
    partner.database.run(lambda call: suspend(call, partner.city.partner_id, reason="under investigation"))

    def told(call: Call) -> tuple[str | None, str | None]:
        (only,) = call.db.query(ActivityBatch).all()
        batch = shown(call, only)
        return batch.waits_for, batch.waits_detail

    assert partner.database.run(told) == ("partner_suspended", None)
    partner.database.run(lambda call: resume(call, partner.city.partner_id, reason="settled"))
    assert partner.database.run(told) == ("no_rule_in_force", NEEDED["coin_rate"])


def test_one_that_is_in_hand_or_was_put_down_for_no_refusal_waits_for_nothing(
    partner: Partner, batch: str
) -> None:
    while_in_hand: list[Any] = []

    def run(work: Callable[[Call], Any]) -> Any:
        if takes_a_chunk(work):
            while_in_hand.append(partner.get(f"/{batch}").json["waits_for"])
        return partner.database.run(work)

    asked = iter([True, False, False])  # before the batch, between two chunks, before the next batch
    assert partner.work(run, chunk_lines=2, keep_on=lambda: next(asked)) == 0
    assert while_in_hand == [None]
    told = partner.get(f"/{batch}").json
    assert (told["state"], told["lines_done"], told["waits_for"]) == ("running", 2, None)


def test_a_refusal_that_nobody_thought_of_lets_the_batch_wait(
    partner: Partner,
    batch: str,
    clock: FixedClock,
    work: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("carbon.activities.turns.take_chunk", _refuses)
        assert work() == 0
    assert state(partner) == ("running", 0, None, 0, True)
    told = partner.get(f"/{batch}").json
    assert (told["waits_for"], told["waits_detail"]) == ("trip_too_long", "as if: by a bug")
    clock.advance(BUSY_PAUSE + timedelta(seconds=1))
    assert work() == 0
    clock.advance(OPERATOR_PAUSE)
    assert work() == 1
    assert partner.count("activity") == 6


def _refuses(*_: Any) -> Any:
    raise TripTooLong("as if: by a bug")


def test_every_refusal_of_an_adapter_ends_the_batch() -> None:
    adapters = "carbon.activities.adapters."
    theirs = [each for each in below(Refusal) if each.__module__.startswith(adapters)]
    assert len(theirs) > 6
    assert all(issubclass(each, FileRefused) for each in theirs)
    assert FileRefused in ENDS_THE_BATCH


def below(kind: type[Refusal]) -> list[type[Refusal]]:
    return [found for each in kind.__subclasses__() for found in (each, *below(each))]


def test_a_single_record_without_a_rule_is_a_problem_and_is_taken_once_the_rule_is_there(
    partner: Partner, clock: FixedClock
) -> None:
    end_rule(partner, "coin_rate")
    clock.advance(timedelta(days=1))
    answer = partner.push(RECORD)
    assert answer.mimetype == "application/problem+json"
    assert (answer.status_code, answer.json["code"]) == (409, "no_rule_in_force")
    assert answer.json["detail"] == NEEDED["coin_rate"]
    assert partner.count("activity") == 0
    publish_again(partner, "coin_rate", clock)
    assert partner.push(RECORD).json["outcome"] == "credited"
    assert partner.count("activity") == 1
