"""A batch that cannot go on waits: for rows that others hold, and for a partner to be let in again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from carbon.activities.batch_records import find_batch
from carbon.activities.batch_results import shown
from carbon.activities.batches import BUSY_PAUSE, TRIES_MAX
from carbon.activities.intake import take_activity
from carbon.activities.tables import ActivityBatch
from carbon.partners.errors import PartnerSuspended
from carbon.partners.registry import resume, suspend
from kernel.call import Call
from kernel.errors import Busy
from tests.carbon.city import lines, ride
from tests.carbon.partner_client import Partner, rides
from tests.carbon.test_lanes import takes_a_chunk
from tests.conftest import NOW

STATE = "SELECT state, tries, failure, chunks_done FROM activity_batch WHERE reference = '2026-11-20'"
REASONS = "SELECT reason FROM activity_batch_step ORDER BY recorded_at, id"


def state(partner: Partner) -> tuple[Any, ...]:
    return tuple(partner.database.rows(STATE)[0])


def suspended(partner: Partner, call: Call) -> None:
    suspend(call, partner.city.partner_id, reason="under investigation")


def test_a_suspended_partners_upload_waits_until_it_is_let_in_again(partner: Partner, batch: str) -> None:
    partner.database.run(lambda call: suspended(partner, call))
    assert partner.work() == 0
    assert partner.count("activity") == 0
    assert state(partner) == ("uploaded", 0, None, 0)
    assert len(partner.files()) == 1
    partner.database.run(lambda call: resume(call, partner.city.partner_id, reason="settled"))
    assert partner.get(f"/{batch}").json["waits_for"] is None
    assert partner.work() == 1
    assert partner.count("activity") == 6


def test_whoever_may_look_sees_what_a_batch_waits_for(partner: Partner, batch: str) -> None:
    def told(call: Call) -> str | None:
        (only,) = call.db.query(ActivityBatch).all()
        return shown(call, find_batch(call, only.id)).waits_for

    assert partner.database.run(told) is None
    partner.database.run(lambda call: suspended(partner, call))
    assert partner.database.run(told) == "partner_suspended"


def test_a_suspension_in_the_middle_stops_the_next_chunk_and_costs_no_try(
    partner: Partner, batch: str
) -> None:
    chunks = 0

    def run(work: Callable[[Call], Any]) -> Any:
        nonlocal chunks
        done = partner.database.run(work)
        chunks += takes_a_chunk(work)
        if chunks == 1:
            chunks += 1
            partner.database.run(lambda call: suspended(partner, call))
        return done

    assert partner.work(run, chunk_lines=2) == 0
    assert state(partner) == ("running", 0, None, 1)
    assert partner.count("activity") == 2
    assert "partner_suspended" in [row.reason for row in partner.database.rows(REASONS)]
    partner.database.run(lambda call: resume(call, partner.city.partner_id, reason="settled"))
    assert partner.get(f"/{batch}").json["waits_for"] is None
    later = NOW + BUSY_PAUSE + timedelta(seconds=1)
    assert partner.work(lambda work: partner.database.run(work, now=later), chunk_lines=2) == 1
    assert partner.count("activity") == 6
    assert partner.broken() == []


def test_a_suspended_partners_record_is_refused(partner: Partner) -> None:
    partner.database.run(lambda call: suspended(partner, call))
    with pytest.raises(PartnerSuspended):
        partner.database.run(
            lambda call: take_activity(call, partner.city.intake(), lines(ride("e1", metres=1_000)))
        )


def test_busy_moments_never_fail_a_batch_and_cost_seconds_not_minutes(partner: Partner, batch: str) -> None:
    at = NOW
    for _ in range(TRIES_MAX + 2):

        def run(work: Callable[[Call], Any], now: Any = at) -> Any:
            if work.__qualname__.startswith("_piece_work"):
                raise Busy("another request holds this row", retry_after_s=1)
            return partner.database.run(work, now=now)

        assert partner.work(run) == 0
        assert state(partner) == ("running", 0, None, 0)
        at += BUSY_PAUSE + timedelta(seconds=1)
    assert len(partner.files()) == 1
    assert partner.work(lambda work: partner.database.run(work, now=at)) == 1
    assert partner.count("activity") == 6


def test_a_row_held_for_long_puts_the_batch_down_for_a_moment(partner: Partner, batch: str) -> None:
    partner.send(rides(1), reference="first")  # it came first, and the accounts are open
    partner.upload(partner.open("second").json["id"], rides(9))
    with partner.database.sessions() as holder:
        holder.execute(text("SELECT 1 FROM ledger_balance FOR UPDATE"))
        assert partner.work() == 0
    assert partner.database.rows("SELECT tries, failure FROM activity_batch WHERE reference = 'second'") == [
        (0, None)
    ]
    later = NOW + BUSY_PAUSE + timedelta(seconds=1)
    assert partner.work(lambda work: partner.database.run(work, now=later)) == 1
    assert partner.count("activity") == 9
