"""A batch is cancelled or it is posted, never both, however the partner and the workers meet."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.identity.roles import Role
from app.identity.sign_in import SignedIn, add_staff, sign_in_staff
from app.identity.tokens import issue
from carbon.activities.batch_records import cancel_batch
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.tables import ActivityBatch
from carbon.partners.registry import register_partner, resume, suspend
from kernel.call import Call
from kernel.errors import Refusal
from tests.carbon.city import SECRET, City
from tests.carbon.partner_client import Partner, ndjson, rides
from tests.conftest import NOW, REGION, migrate

LINES, CHUNK = 15, 5
PASSWORD = "correct horse battery 017"


def steps(partner: Partner) -> list[tuple[Any, ...]]:
    rows = partner.database.rows(
        "SELECT from_state, to_state, principal, reason FROM activity_batch_step ORDER BY id"
    )
    return [tuple(row) for row in rows]


def nothing_is_posted(partner: Partner) -> bool:
    tables = ("activity", "activity_reference", "activity_batch_line", "ledger_transfer")
    return not any(partner.count(table) for table in tables)


def editor(partner: Partner) -> str:
    """The token of an operator who may suspend partners."""

    def hired(call: Call) -> str:
        add_staff(
            call,
            username="demo-editor",
            password=PASSWORD,
            role=Role.OPERATOR_EDITOR,
            region_id=REGION,
            organisation_id=None,
        )
        found = sign_in_staff(call, username="demo-editor", password=PASSWORD)
        assert isinstance(found, SignedIn)
        made = issue(
            session_id=found.session_id, refresh_id=found.refresh_id, subject=found.subject, now=call.now
        )
        return made.access_token

    with partner.product.flask.app_context():
        return partner.database.run(hired)


@pytest.mark.parametrize("uploaded", [False, True], ids=["created", "uploaded"])
def test_a_batch_that_waits_is_cancelled_and_says_so_whoever_asks_again(
    partner: Partner, *, uploaded: bool
) -> None:
    batch = partner.open().json["id"]
    if uploaded:
        assert partner.upload(batch, rides(3)).status_code == 200
        assert len(partner.files()) == 1
    first = partner.cancel(batch, reason="the wrong month was exported")
    assert (first.status_code, first.json["state"]) == (201, "cancelled")
    assert first.json["cancelled_because"] == "the wrong month was exported"
    assert first.json["finished_at"] is not None
    again = partner.cancel(batch, reason="another reason")
    assert (again.status_code, again.json) == (201, first.json)
    assert partner.open().json == first.json, "the reference stays taken"
    assert partner.get(f"/{batch}").json == first.json
    assert partner.get(f"/{batch}/lines").json["items"] == []
    assert partner.files() == []
    assert partner.work() == 0
    assert nothing_is_posted(partner)
    before = "uploaded" if uploaded else "created"
    who = f"partner:{partner.city.partner_id}"
    assert steps(partner)[-1] == (before, "cancelled", who, "the wrong month was exported")
    assert [step[1] for step in steps(partner)].count("cancelled") == 1


def test_a_reason_may_be_left_out_and_has_its_bounds(partner: Partner) -> None:
    batch = partner.open().json["id"]
    for bad in ("", " ", "a" * 301, "a\u0000b", 7):
        refused = partner.cancel(batch, reason=bad)
        assert (refused.status_code, refused.json["errors"][0]["pointer"]) == (422, "/body/reason")
    assert partner.get(f"/{batch}").json["state"] == "created"
    assert partner.cancel(batch).json["cancelled_because"] is None
    assert steps(partner)[-1][-1] == "cancelled"


def test_nothing_more_is_sent_to_a_cancelled_batch(partner: Partner) -> None:
    sent = partner.open("sent").json["id"]
    partner.upload(sent, rides(3))
    transit = partner.open("transit", "shenzhen_tong").json["id"]
    partner.upload(transit, b"line,station\n", part="stations")
    for batch in (sent, transit):
        assert partner.cancel(batch).status_code == 201
    assert partner.files() == []
    late = (
        partner.upload(sent, rides(3)),
        partner.upload(sent, rides(4)),
        partner.upload(transit, b"x\n"),
        partner.upload(transit, b"line,station\n", part="stations"),
    )
    assert {(answer.status_code, answer.json["code"]) for answer in late} == {(409, "batch_cancelled")}
    assert partner.files() == []
    order = ImportOrder(
        partner_id=partner.city.partner_id, adapter="ndjson", reference="sent", card_secret=SECRET
    )
    with pytest.raises(Refusal) as refused:
        import_file(partner.database.run, BytesIO(rides(3)), order)
    assert refused.value.code == "batch_cancelled"


def test_what_has_lines_or_an_end_is_not_cancelled(partner: Partner) -> None:
    done = partner.send(rides(2) + ndjson({"source_event_id": "x"}))
    refused = partner.cancel(done["id"])
    assert (refused.status_code, refused.json["code"]) == (409, "batch_begun")
    assert refused.json["facts"] == {"state": "done", "lines_done": 3, "lines_posted": 2}
    assert refused.json["detail"] == "3 lines are taken, 2 of them posted"
    assert partner.get(f"/{done['id']}").json == done
    failed = partner.send(b"who,what\na,b\n", "csv", "failed")
    refused = partner.cancel(failed["id"])
    assert (refused.status_code, refused.json["code"], refused.json["facts"]) == (
        409,
        "batch_ended",
        {"state": "failed"},
    )
    assert partner.get(f"/{failed['id']}").json == failed


def test_a_batch_of_another_is_not_found(partner: Partner) -> None:
    batch = partner.open().json["id"]
    other = partner.database.run(lambda call: register_partner(call, name="demo water", region_id=REGION))
    stranger = Partner(
        partner.product, partner.database, City(other.partner.id, other.api_key), partner.uploads
    )
    assert stranger.cancel(batch).status_code == 404
    assert stranger.cancel("bat_00000000000000000000000000").status_code == 404
    assert partner.get(f"/{batch}").json["state"] == "created"


def test_what_a_suspended_partner_left_waiting_is_cancelled_by_an_operator(partner: Partner) -> None:
    """Its own key opens nothing meanwhile, and let in again its batches would be taken at once."""
    batch = partner.open().json["id"]
    partner.upload(batch, rides(3))
    partner.database.run(lambda call: suspend(call, partner.city.partner_id, reason="wrong data"))
    assert partner.cancel(batch).status_code == 401
    answer = partner.cancel(batch, editor(partner), reason="the rides were made up")
    assert (answer.status_code, answer.json["state"]) == (201, "cancelled")
    assert steps(partner)[-1][2].startswith("operator:")
    partner.database.run(lambda call: resume(call, partner.city.partner_id, reason="settled"))
    assert partner.work() == 0
    assert partner.get(f"/{batch}").json["cancelled_because"] == "the rides were made up"
    assert nothing_is_posted(partner)


@pytest.mark.parametrize("before", range(7))
def test_wherever_a_worker_is_a_batch_is_cancelled_or_posted(partner: Partner, before: int) -> None:
    """The partner calls before each of the worker's units of work: taking up, three chunks, the end."""
    batch = partner.open().json["id"]
    partner.upload(batch, rides(LINES))
    answers: list[Any] = []
    count = iter(range(100))
    chunks = 0

    def run(work: Callable[[Call], Any]) -> Any:
        nonlocal chunks
        if next(count) == before:
            answers.append((chunks, partner.cancel(batch)))
        done = partner.database.run(work)
        chunks += "_piece_work" in work.__qualname__
        return done

    worked = partner.work(run, chunk_lines=CHUNK)
    shown = partner.get(f"/{batch}").json
    ((begun, answer),) = answers
    assert partner.files() == []
    if begun:
        assert (answer.status_code, answer.json["code"]) == (409, "batch_begun")
        assert answer.json["facts"]["lines_posted"] == begun * CHUNK
        assert (worked, shown["state"], partner.count("activity")) == (1, "done", LINES)
    else:
        assert answer.status_code == 201
        assert (worked, shown["state"], shown["lines_done"]) == (0, "cancelled", 0)
        assert nothing_is_posted(partner)
    assert partner.broken() == []


def test_a_worker_and_a_cancellation_that_race_leave_one_of_the_two(partner: Partner) -> None:
    """Each batch is cancelled later when the one before was, and else sooner: close to the first commit."""
    won: Counter[str] = Counter()
    posted, delay_s = 0, 0.1
    for number in range(60):
        batch = partner.open(f"r{number}").json["id"]
        events = [{"source_event_id": f"r{number}-{line}"} for line in range(2 * CHUNK)]
        partner.upload(batch, b"".join(rides(1, **event) for event in events))
        gate = threading.Barrier(2)

        def cancel(batch: str = batch, delay_s: float = delay_s, gate: Any = gate) -> Any:
            gate.wait()
            time.sleep(delay_s)
            return partner.cancel(batch)

        def work(gate: Any = gate) -> int:
            gate.wait()
            return partner.work(chunk_lines=CHUNK)

        with ThreadPoolExecutor(2) as pool:
            cancelling, working = pool.submit(cancel), pool.submit(work)
            answer, worked = cancelling.result(), working.result()
        shown = partner.get(f"/{batch}").json
        rows = partner.count("activity") - posted
        posted += rows
        found = (answer.status_code, shown["state"], shown["lines_done"], rows, worked)
        assert found in {(201, "cancelled", 0, 0, 0), (409, "done", 2 * CHUNK, 2 * CHUNK, 1)}
        won[shown["state"]] += 1
        delay_s *= 1.1 if worked == 0 else 0.9
        assert partner.files() == []
    assert min(won["cancelled"], won["done"]) >= 10, f"the race shows nothing: {won}"
    assert partner.count("activity_reference") == posted
    assert partner.broken() == []


def test_many_cancellations_at_once_are_one(partner: Partner) -> None:
    batch = partner.open().json["id"]
    partner.upload(batch, rides(3))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: partner.cancel(batch, reason=f"{number}"), range(16)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json["cancelled_because"] for answer in answers}) == 1
    assert [step[1] for step in steps(partner)] == ["created", "uploaded", "cancelled"]


def test_an_upload_and_a_cancellation_that_race_leave_no_file(partner: Partner) -> None:
    for number in range(12):
        batch = partner.open(f"r{number}").json["id"]
        gate = threading.Barrier(2)

        def upload(batch: str = batch, gate: Any = gate) -> Any:
            gate.wait()
            return partner.upload(batch, rides(200))

        def cancel(batch: str = batch, gate: Any = gate) -> Any:
            gate.wait()
            return partner.cancel(batch)

        with ThreadPoolExecutor(2) as pool:
            uploading, cancelling = pool.submit(upload), pool.submit(cancel)
            assert cancelling.result().status_code == 201
            assert uploading.result().status_code in {200, 409}
        assert partner.get(f"/{batch}").json["state"] == "cancelled"
        assert partner.files() == []


def test_a_process_that_died_before_it_deleted_the_file_leaves_it_to_the_sweep(partner: Partner) -> None:
    partner.upload(partner.open().json["id"], rides(3))
    partner.database.run(_cancelled)
    (name,) = partner.files()
    assert partner.work() == 0
    assert partner.files() == [name], "a day has not passed"
    at = (NOW - timedelta(days=2)).timestamp()
    os.utime(partner.uploads / name, (at, at))
    assert partner.work() == 0
    assert partner.files() == []


def _cancelled(call: Call) -> None:
    (batch,) = call.db.query(ActivityBatch).all()
    cancel_batch(call, batch.id, reason=None)


def test_an_import_from_the_command_line_stops_when_its_batch_is_cancelled(partner: Partner) -> None:
    order = ImportOrder(
        partner_id=partner.city.partner_id, adapter="ndjson", reference="r", card_secret=SECRET, chunk_lines=2
    )

    def run(work: Callable[[Call], Any]) -> Any:
        if "_piece_work" in work.__qualname__:
            partner.database.run(_cancelled)
        return partner.database.run(work)

    with pytest.raises(Refusal) as refused:
        import_file(run, BytesIO(rides(6)), order)
    assert refused.value.code == "batch_taken"
    assert partner.open("r").json["state"] == "cancelled"
    assert nothing_is_posted(partner)
    assert partner.broken() == []


@pytest.mark.parametrize("change", ["lines_done = 1", "spool = 'x'", "lease = id, leased_until = now()"])
def test_the_database_itself_keeps_a_cancelled_batch_empty(partner: Partner, change: str) -> None:
    partner.cancel(partner.open().json["id"])
    statement = text(f"UPDATE activity_batch SET {change}")  # noqa: S608 - the test's own text
    with pytest.raises(IntegrityError, match="nothing_of_a_cancelled_batch_was_taken"):
        partner.database.run(lambda call: call.db.execute(statement))


def test_the_former_form_of_the_tables_takes_cancelled_batches_back(partner: Partner) -> None:
    for reference, body in (("empty", None), ("full", rides(1))):
        batch = partner.open(reference).json["id"]
        if body is not None:
            partner.upload(batch, body)
        partner.cancel(batch, reason="a mistake")
    partner.database.engine.dispose()
    partner.product.close()
    migrate(partner.database.url, "0021", down=True)
    rows = partner.database.rows(
        "SELECT reference, state, failure, failure_detail FROM activity_batch ORDER BY 1"
    )
    assert rows == [("empty", "created", None, None), ("full", "failed", "batch_cancelled", "a mistake")]
    migrate(partner.database.url, "head")
