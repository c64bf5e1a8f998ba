"""News becomes deliveries once, each in one sender's hands, and what fails comes again as published."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import text

from app.factory import Product
from app.notifications.webhooks import history
from app.notifications.webhooks.addresses import Address
from app.notifications.webhooks.deliveries import (
    AT_ONCE_EACH,
    KEPT,
    LEASE,
    MOST_DOUBTED,
    MOST_TRIES,
    WAITS,
    Claimed,
    claim,
    forget_deliveries,
    note,
    ping,
    prepare_deliveries,
    wait_before,
)
from app.notifications.webhooks.dispatch import AT_ONCE, attempt, send_due
from app.notifications.webhooks.endpoints import PAUSED_AFTER, delete, pause, resume
from app.notifications.webhooks.history import ALL, UNDELIVERED, Replayed, redeliver, replay
from app.notifications.webhooks.kit.webhook_verifier import verify
from app.notifications.webhooks.sending import Reach, Result
from app.notifications.webhooks.tables import WebhookDelivery, WebhookEndpoint
from app.schedule import SCHEDULE, Stop
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import new_id, public_id
from kernel.outgoing import News, announce
from kernel.paging import WrongCursor
from tests.app.notifications.webhooks.receiver import TAKEN, Receiver, receiver
from tests.app.notifications.webhooks.world import (
    a_partner,
    an_endpoint,
    as_partner,
    batches_done,
    states,
    switched_on,
)
from tests.conftest import NOW, REGION, Database

REFUSES = b"HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nno\n"


def waiting_news(call: Call) -> list[News]:
    """Everything announced, as `take_news` gives it, but whatever other transactions are open."""
    rows = call.db.execute(
        text("SELECT id, region_id, event, subject, facts, recorded_at FROM outgoing ORDER BY id")
    )
    return [News(**row) for row in rows.mappings()]


def handed_on(database: Database) -> int:
    return database.run(lambda call: prepare_deliveries(call, waiting_news(call)))


def runs(database: Database, now: datetime) -> Any:
    return partial(database.run, now=now)


def told(database: Database, server: Receiver, count: int = 1) -> UUID:
    """A partner's endpoint, switched on, with so many deliveries that wait."""

    def work(call: Call) -> UUID:
        endpoint, _ = switched_on(call, url=server.url)
        batches_done(call, endpoint.owner_id, count)
        return endpoint.id

    made = database.run(work)
    assert handed_on(database) == count
    return made


def send(database: Database, server: Receiver, *, now: datetime = NOW) -> int:
    return send_due(runs(database, now), server.reach)


def one(database: Database, columns: str = "*") -> Any:
    return database.rows(f"SELECT {columns} FROM webhook_delivery")[0]  # noqa: S608 - a test's own words


def test_news_is_delivered_signed_once_and_kept_with_its_attempt(database: Database) -> None:
    with receiver() as server:

        def work(call: Call) -> tuple[str, str]:
            endpoint, secret = switched_on(call, url=server.url)
            return batches_done(call, endpoint.owner_id)[0], secret

        batch, secret = database.run(work)
        assert handed_on(database) == 1
        assert handed_on(database) == 0
        assert [send(database, server), send(database, server)] == [1, 0]
        (got,) = server.got
    event = verify(got.headers, got.body, secrets=[secret], now_s=int(NOW.timestamp()))
    news = database.rows("SELECT id FROM outgoing")[0].id
    assert event == {
        "id": public_id("msg", news),
        "type": "batch.done.v1",
        "timestamp": "2026-11-20T04:00:00Z",
        "data": {"batch_id": batch, "state": "done", "lines_done": 0, "failure": None},
    }
    assert states(database) == ["delivered"]
    (tried,) = database.rows("SELECT number, result, status, answer FROM webhook_attempt")
    assert tuple(tried) == (1, "delivered", 204, "")


def test_only_whoever_it_concerns_is_told_and_only_what_they_want(database: Database) -> None:
    def work(call: Call) -> UUID:
        mine, theirs = a_partner(call), a_partner(call)
        switched_on(call, partner_id=mine)
        switched_on(call, partner_id=mine)
        switched_on(call, partner_id=theirs)
        an_endpoint(call, partner_id=mine)  # waits for its ping
        unwanted, _ = an_endpoint(call, partner_id=mine, events=["consent.withdrawn.v1"])
        unwanted.state, unwanted.verified_at = "on", call.now
        batches_done(call, mine)
        announce(call, "test.told", region_id=REGION, subject="nobody's")
        return mine

    mine = database.run(work)
    assert handed_on(database) == 2
    owners = database.rows(
        "SELECT DISTINCT e.owner_id FROM webhook_delivery d JOIN webhook_endpoint e ON e.id = d.endpoint_id"
    )
    assert [row.owner_id for row in owners] == [mine]


def test_what_is_handed_on_by_two_at_once_is_one_delivery(database: Database) -> None:
    database.run(lambda call: batches_done(call, switched_on(call)[0].owner_id, 20))
    start = threading.Barrier(4)

    def hand(_: int) -> int:
        start.wait(30)
        return handed_on(database)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(hand, range(4))) == 20
    assert states(database) == ["waiting"] * 20


def test_two_senders_at_once_send_each_delivery_once(database: Database) -> None:
    with receiver() as server:
        for _ in range(4):
            told(database, server, 6)
            database.run(lambda call: call.db.execute(text("DELETE FROM outgoing")))
        start = threading.Barrier(3)

        def sender(_: int) -> int:
            start.wait(30)
            return send(database, server)

        with ThreadPoolExecutor(3) as threads:
            sent = sum(threads.map(sender, range(3)))
        while send(database, server):
            sent += 1
        assert len(server.got) == len(set(server.ids())) == 24
    assert states(database) == ["delivered"] * 24
    assert database.rows("SELECT max(tries) AS most, min(tries) AS least FROM webhook_delivery") == [(1, 1)]


def test_a_claim_is_one_senders_until_its_lease_is_over(database: Database) -> None:
    with receiver() as server:
        told(database, server)
        first = database.run(lambda call: claim(call, most=5))
        again = database.run(lambda call: claim(call, most=5), now=NOW + LEASE - timedelta(seconds=1))
        late = database.run(lambda call: claim(call, most=5), now=NOW + LEASE)
    assert [len(first), len(again), len(late)] == [1, 0, 1]
    assert [first[0].number, late[0].number] == [1, 2]
    assert first[0].lease != late[0].lease


def test_a_worker_that_dies_after_sending_is_followed_by_the_same_id(database: Database) -> None:
    with receiver() as server:
        told(database, server)
        (claimed,) = database.run(lambda call: claim(call, most=1))
        assert attempt(claimed, server.reach).outcome == "delivered"
        # Here it dies: nothing was noted. Nobody sends while the lease runs, then somebody does.
        assert send(database, server) == 0
        assert send(database, server, now=NOW + LEASE) == 1
        assert len(server.got) == 2
        assert len(set(server.ids())) == 1
        assert server.got[0].body == server.got[1].body
    assert states(database) == ["delivered"]
    assert [row.number for row in database.rows("SELECT number FROM webhook_attempt")] == [2]


def test_a_slow_worker_that_comes_back_changes_nothing_that_another_noted(database: Database) -> None:
    with receiver() as server:
        told(database, server)
        (slow,) = database.run(lambda call: claim(call, most=1))
        assert send(database, server, now=NOW + LEASE) == 1
    failed = Result(outcome="refused", took_ms=1, status=500)
    database.run(partial(note, claimed=slow, result=failed), now=NOW + LEASE)
    assert states(database) == ["delivered"]
    assert database.rows("SELECT failing_since FROM webhook_endpoint")[0].failing_since is None
    assert database.rows("SELECT count(*) AS n FROM webhook_attempt")[0].n == 2


def test_one_endpoint_never_has_more_than_two_attempts_under_way(database: Database) -> None:
    with receiver() as server:
        told(database, server, 5)
        hands = [database.run(lambda call: claim(call, most=10)) for _ in range(3)]
        assert [len(each) for each in hands] == [AT_ONCE_EACH, 0, 0]
        for each in hands[0]:
            database.run(partial(note, claimed=each, result=attempt(each, server.reach)))
        assert len(database.run(lambda call: claim(call, most=10))) == AT_ONCE_EACH


def _waiting(database: Database, host: str, count: int, *, at: datetime, **changes: Any) -> UUID:
    """An endpoint with so many deliveries due since then."""

    def work(call: Call) -> UUID:
        endpoint, _ = switched_on(call, url=f"https://{host}.example.com/")
        for name, value in changes.items():
            setattr(endpoint, name, value)
        batches_done(call, endpoint.owner_id, count)
        return endpoint.id

    made = database.run(work, now=at)
    database.run(lambda call: prepare_deliveries(call, waiting_news(call)), now=at)
    database.run(lambda call: call.db.execute(text("DELETE FROM outgoing")))
    return made


HOUR = timedelta(hours=1)
SOUND = AT_ONCE - MOST_DOUBTED + 2
"""Endpoints that answer: more than are claimed at first beside those that hang."""


def test_endpoints_that_hang_keep_nobody_elses_news_waiting(database: Database) -> None:
    """Their backlog is due the longest, always: behind it a sound endpoint would wait for all of it."""
    for number in range(4):
        _waiting(database, f"hangs-{number}", 20, at=NOW - HOUR, failing_since=NOW - HOUR)
    sound = _waiting(database, "sound", 1, at=NOW)
    alone = database.run(lambda call: claim(call, most=1))
    assert [(each.endpoint_id, each.doubted) for each in alone] == [(sound, False)]
    rest = database.run(lambda call: claim(call, most=AT_ONCE - 1, sound=1))
    assert [each.doubted for each in rest] == [True] * MOST_DOUBTED
    assert database.run(lambda call: claim(call, most=AT_ONCE, doubted=MOST_DOUBTED)) == []


def test_endpoints_that_fail_get_some_while_many_sound_ones_are_told(database: Database) -> None:
    for number in range(3):
        _waiting(database, f"fails-{number}", 5, at=NOW, failing_since=NOW)
        for each in range(3):
            _waiting(database, f"sound-{number}-{each}", 5, at=NOW - HOUR)
    first = database.run(lambda call: claim(call, most=AT_ONCE))
    assert [each.doubted for each in first] == [False, True] * MOST_DOUBTED
    freed = database.run(lambda call: claim(call, most=1, sound=5, doubted=2))
    assert [each.doubted for each in freed] == [True]
    freed = database.run(lambda call: claim(call, most=1, sound=3, doubted=4))
    assert [each.doubted for each in freed] == [False]


def test_sound_endpoints_have_all_slots_where_none_fails(database: Database) -> None:
    for number in range(AT_ONCE):
        _waiting(database, f"sound-{number}", 2, at=NOW)
    taken = database.run(lambda call: claim(call, most=AT_ONCE))
    assert [each.doubted for each in taken] == [False] * AT_ONCE


def test_pings_of_endpoints_that_never_answered_are_doubted(database: Database) -> None:
    def asked(call: Call) -> None:
        for _ in range(AT_ONCE):
            ping(call, an_endpoint(call)[0])

    database.run(asked, now=NOW - HOUR)
    known = _waiting(database, "sound", 1, at=NOW)
    taken = database.run(lambda call: claim(call, most=AT_ONCE))
    assert [each.doubted for each in taken] == [False] + [True] * MOST_DOUBTED
    assert taken[0].endpoint_id == known
    database.run(lambda call: ping(call, call.db.get_one(WebhookEndpoint, known)))
    (tried,) = database.run(lambda call: claim(call, most=1, sound=1, doubted=MOST_DOUBTED))
    assert (tried.endpoint_id, tried.doubted) == (known, False)


def test_a_sender_gives_at_most_half_to_endpoints_that_fail(database: Database) -> None:
    """Those that hang are let go when the last sound one was told beside them; a fifth would be counted."""
    busy, most, sounds, lock = 0, 0, 0, threading.Lock()
    full, told_one = threading.Event(), threading.Event()

    def resolve(host: str, _port: int) -> list[Address]:
        nonlocal busy, most, sounds
        if host.startswith("sound"):
            full.wait(20)
            with lock:
                sounds += 1
                if sounds == SOUND:  # others were claimed meanwhile, while those that hang still did
                    told_one.set()
            return []
        with lock:
            busy += 1
            most = max(most, busy)
            if busy == MOST_DOUBTED:
                full.set()
        told_one.wait(20)
        with lock:
            busy -= 1
        return []

    for number in range(5):
        _waiting(database, f"hangs-{number}", 2, at=NOW - HOUR, failing_since=NOW - HOUR)
    for number in range(SOUND):
        _waiting(database, f"sound-{number}", 1, at=NOW)
    assert send_due(runs(database, NOW), Reach(resolve=resolve, deadline_s=60)) == 10 + SOUND
    assert told_one.is_set()
    assert most == MOST_DOUBTED


def test_a_sender_has_at_most_its_share_under_way(database: Database) -> None:
    """Six endpoints that wait until all threads are busy; a ninth attempt would break the barrier's count."""
    busy, most, lock, full = 0, 0, threading.Lock(), threading.Event()

    def says(spoken: Any) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
            if busy == AT_ONCE:
                full.set()
        full.wait(20)
        with lock:
            busy -= 1
        spoken.sendall(TAKEN)

    with receiver(says) as server:
        for _ in range(6):
            database.run(lambda call: call.db.execute(text("DELETE FROM outgoing")))
            told(database, server, 3)
        assert send(database, server) == 18
    assert most == AT_ONCE


def test_what_fails_comes_again_by_the_published_schedule_and_then_is_dead(database: Database) -> None:
    at = NOW
    with receiver(REFUSES) as server:
        told(database, server)
        for place, planned in enumerate(WAITS):
            assert send(database, server, now=at) == 1
            row = one(database)
            waited = row.next_at - at
            assert planned <= waited <= planned * 1.1 + timedelta(seconds=1), place
            assert send(database, server, now=row.next_at - timedelta(microseconds=1)) == 0
            at = row.next_at
        # Five days of failures pause it, and a schedule ends after three.
        assert database.rows("SELECT state FROM webhook_endpoint")[0].state == "on"
        assert send(database, server, now=at) == 1
        assert (one(database).state, one(database).tries) == ("dead", MOST_TRIES)
        assert send(database, server, now=at + timedelta(days=20)) == 0
        assert len(set(server.ids())) == 1
        assert len(server.got) == MOST_TRIES
        assert len({each.headers["webhook-timestamp"] for each in server.got}) == MOST_TRIES
    answers = {(row.result, row.status, row.answer) for row in database.rows("SELECT * FROM webhook_attempt")}
    assert answers == {("refused", 500, "no")}
    assert timedelta(days=3) < sum(WAITS, timedelta()) < timedelta(days=3, hours=12)


def test_waits_are_spread_by_the_delivery_and_stretched_when_asked() -> None:
    def claimed(delivery: UUID, left: int) -> Claimed:
        return Claimed(
            endpoint_id=delivery,
            news_id=delivery,
            lease=delivery,
            doubted=False,
            region_id=REGION,
            event="batch.done.v1",
            url="",
            delivery_id=delivery,
            number=MOST_TRIES - left,
            tries_left=left,
            claimed_at=NOW,
            body=b"",
            keys=(),
        )

    spread = {wait_before(claimed(new_id(), 5), None) for _ in range(50)}
    assert len(spread) > 40
    same = new_id()
    assert wait_before(claimed(same, 5), None) == wait_before(claimed(same, 5), None)
    assert wait_before(claimed(same, 9), 3600) == timedelta(hours=1)
    assert wait_before(claimed(same, 1), 60) >= WAITS[-1]


def test_retry_after_is_waited_for(database: Database) -> None:
    with receiver(b"HTTP/1.1 503 Later\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n") as server:
        told(database, server)
        assert send(database, server) == 1
    assert one(database).next_at == NOW + timedelta(hours=2)


def test_410_ends_the_delivery_and_pauses_the_endpoint_and_its_owner_hears_of_it(database: Database) -> None:
    with receiver(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n") as server, receiver() as other:
        endpoint_id = told(database, server, 3)

        def second(call: Call) -> None:
            switched_on(
                call, url=other.url, partner_id=call.db.get_one(WebhookEndpoint, endpoint_id).owner_id
            )

        database.run(second)
        # Two were under way when the first said so; the third waits until the owner resumes.
        assert send(database, server) == 2
        endpoint = database.rows("SELECT * FROM webhook_endpoint WHERE id = :id", id=endpoint_id)[0]
        assert (endpoint.state, endpoint.paused_because) == ("paused", "gone")
        assert sorted(states(database)) == ["dead", "dead", "waiting"]
        assert handed_on(database) == 4  # three batches and one pause, for the other endpoint
        assert send(database, other) == 4
        pauses = [each for each in other.got if b"endpoint.paused.v1" in each.body]
        assert [orjson.loads(each.body)["data"] for each in pauses] == [
            {"endpoint_id": public_id("whk", endpoint_id), "paused_because": "gone"}
        ]
    actions = [row.action for row in database.rows("SELECT action FROM audit_entry ORDER BY id")]
    assert actions.count("webhook.paused") == 1


def test_days_of_failures_pause_an_endpoint_and_one_success_begins_the_count_anew(database: Database) -> None:
    with receiver(REFUSES) as server:
        endpoint_id = told(database, server)
        assert send(database, server) == 1
        assert endpoint_of(database).failing_since == NOW

        def more(at: datetime) -> None:
            database.run(lambda call: call.db.execute(text("DELETE FROM outgoing")))
            owner = endpoint_of(database).owner_id
            database.run(lambda call: batches_done(call, owner, at=at))
            database.run(lambda call: prepare_deliveries(call, waiting_news(call)), now=at)

        server.says = TAKEN
        later = NOW + PAUSED_AFTER - timedelta(seconds=1)
        assert send(database, server, now=later) == 1
        assert endpoint_of(database).failing_since is None
        server.says = REFUSES
        more(later)
        assert send(database, server, now=later) == 1
        assert endpoint_of(database).state == "on"
        assert endpoint_of(database).failing_since == later
        assert send(database, server, now=later + PAUSED_AFTER) == 1
        assert (endpoint_of(database).state, endpoint_of(database).paused_because) == ("paused", "failures")
        # What comes while it is paused waits, and goes out when it is resumed.
        more(later + PAUSED_AFTER)
        end = later + PAUSED_AFTER + timedelta(days=1)
        assert send(database, server, now=end) == 0
        server.says = TAKEN
        actor = as_partner(endpoint_of(database).owner_id)
        database.run(lambda call: resume(call, endpoint_id), now=end, actor=actor)
        assert send(database, server, now=end) == 2
        assert set(states(database)) == {"delivered"}


def endpoint_of(database: Database) -> Any:
    return database.rows("SELECT * FROM webhook_endpoint")[0]


def test_a_ping_that_is_answered_switches_on_and_one_that_is_not_does_not(database: Database) -> None:
    with receiver(REFUSES) as server:
        endpoint, secret = database.run(lambda call: an_endpoint(call, url=server.url))
        endpoint_id = endpoint.id

        def pinged(call: Call) -> UUID:
            return ping(call, call.db.get_one(WebhookEndpoint, endpoint_id)).id

        first = database.run(pinged)
        assert database.run(pinged) == first
        assert send(database, server) == 1
        assert (endpoint_of(database).state, states(database)) == ("waiting", ["dead"])
        assert endpoint_of(database).failing_since is None
        server.says = TAKEN
        assert database.run(pinged) != first
        assert send(database, server) == 1
        event = verify(
            server.got[-1].headers, server.got[-1].body, secrets=[secret], now_s=int(NOW.timestamp())
        )
        assert (event["type"], event["data"]) == (
            "endpoint.ping.v1",
            {"endpoint_id": public_id("whk", endpoint_id)},
        )
        assert (endpoint_of(database).state, endpoint_of(database).verified_at) == ("on", NOW)


def test_pings_asked_for_at_once_are_one(database: Database) -> None:
    endpoint_id = database.run(lambda call: an_endpoint(call)[0].id)
    start = threading.Barrier(6)

    def pinged(_: int) -> UUID:
        start.wait(30)
        return database.run(lambda call: ping(call, call.db.get_one(WebhookEndpoint, endpoint_id)).id)

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(pinged, range(6)))) == 1


def test_nothing_is_sent_to_an_endpoint_that_is_paused_or_deleted(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 2)
        actor = as_partner(endpoint_of(database).owner_id)
        database.run(lambda call: pause(call, endpoint_id), actor=actor)
        assert send(database, server) == 0
        database.run(lambda call: resume(call, endpoint_id), actor=actor)
        database.run(lambda call: delete(call, endpoint_id), actor=actor)
        assert send(database, server) == 0
        assert server.connections == 0


def test_sent_again_it_keeps_its_id_and_body_and_twice_is_once(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 2)
        assert send(database, server) == 2
        delivery = database.rows("SELECT id FROM webhook_delivery ORDER BY id")[0].id

        def again(call: Call) -> None:
            redeliver(call, call.db.get_one(WebhookEndpoint, endpoint_id), delivery)

        for _ in range(2):
            database.run(again)
        assert send(database, server) == 1
        first, last = server.got[0], server.got[-1]
        bodies = {each.headers["webhook-id"]: each.body for each in server.got[:2]}
        assert bodies[last.headers["webhook-id"]] == last.body
        assert len(server.got) == 3
        assert first.body != b""
        numbers = database.rows(
            "SELECT number FROM webhook_attempt WHERE delivery_id = :id ORDER BY number", id=delivery
        )
        assert [row.number for row in numbers] == [1, 2]


def test_what_is_being_sent_is_not_sent_beside_itself(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server)
        (claimed,) = database.run(lambda call: claim(call, most=1))

        def again(call: Call) -> None:
            endpoint = call.db.get_one(WebhookEndpoint, endpoint_id)
            redeliver(call, endpoint, claimed.delivery_id)
            assert replay(call, endpoint, since=NOW - timedelta(days=1), which=ALL).count == 0

        database.run(again)
        assert send(database, server) == 0
        database.run(partial(note, claimed=claimed, result=attempt(claimed, server.reach)))
        assert states(database) == ["delivered"]
        assert len(server.got) == 1


def test_a_replay_sends_again_what_happened_since_and_as_much_as_was_asked(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 4)
        assert send(database, server) == 4
        states_now = (
            "UPDATE webhook_delivery SET state = 'dead' WHERE id IN (SELECT id FROM webhook_delivery LIMIT 1)"
        )
        database.run(lambda call: call.db.execute(text(states_now)))

        def replayed(since: datetime, which: str) -> int:
            def work(call: Call) -> int:
                return replay(
                    call, call.db.get_one(WebhookEndpoint, endpoint_id), since=since, which=which
                ).count

            return database.run(work)

        assert replayed(NOW + timedelta(seconds=1), ALL) == 0
        assert [replayed(NOW, UNDELIVERED), replayed(NOW, UNDELIVERED)] == [1, 0]
        assert send(database, server) == 1
        assert [replayed(NOW, ALL), replayed(NOW, ALL)] == [4, 0]
        assert send(database, server) == 4
        assert len(set(server.ids())) == 4


def _parts(
    database: Database, endpoint_id: UUID, which: str, between: Callable[[], object], *, at: datetime = NOW
) -> list[int]:
    """A replay to its end, part by part; what was sent again by each."""
    counts: list[int] = []
    after: str | None = None
    while not counts or after is not None:

        def part(call: Call, after: str | None = after) -> Replayed:
            endpoint = call.db.get_one(WebhookEndpoint, endpoint_id)
            return replay(call, endpoint, since=NOW - timedelta(days=1), which=which, after=after)

        done = database.run(part, now=at)
        counts.append(done.count)
        assert done.more == (done.next is not None)
        assert len(counts) < 9, "it never ends"
        after = done.next
        between()
    return counts


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time are sent again."""
    monkeypatch.setattr(history, "MOST_REPLAYED", 2)


@pytest.mark.usefixtures("pairs")
def test_a_replay_goes_on_behind_what_was_sent_again_until_nothing_is_left(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 5)
        assert send(database, server) == 5
        assert _parts(database, endpoint_id, ALL, lambda: send(database, server)) == [2, 2, 1]
        assert sorted(Counter(server.ids()).values()) == [2] * 5
        # Oldest first, and what happened at one instant by its id: two, two and one.
        listed = database.rows("SELECT news_id FROM webhook_delivery ORDER BY happened_at, id")
        ids = [public_id("msg", row.news_id) for row in listed]
        again = server.ids()[5:]
        assert [set(again[:2]), set(again[2:4]), set(again[4:])] == [
            set(ids[:2]),
            set(ids[2:4]),
            set(ids[4:]),
        ]


@pytest.mark.usefixtures("pairs")
def test_what_fails_again_is_not_sent_again_by_the_same_replay(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 4)
        dead = "UPDATE webhook_delivery SET state = 'dead', next_at = NULL, ended_at = recorded_at"

        def fails() -> None:
            database.run(lambda call: call.db.execute(text(dead)))

        fails()
        assert _parts(database, endpoint_id, UNDELIVERED, fails) == [2, 2]


@pytest.mark.usefixtures("pairs")
def test_a_replay_ends_at_what_had_happened_when_it_began(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 3)
        assert send(database, server) == 3
        owner = endpoint_of(database).owner_id

        def meanwhile() -> None:
            later = NOW + timedelta(seconds=5)
            database.run(lambda call: call.db.execute(text("DELETE FROM outgoing")))
            database.run(lambda call: batches_done(call, owner, at=later))
            database.run(lambda call: prepare_deliveries(call, waiting_news(call)), now=later)
            send(database, server, now=later)

        assert _parts(database, endpoint_id, ALL, meanwhile) == [2, 1]
        assert sorted(Counter(server.ids()).values()) == [1, 1, 2, 2, 2]


@pytest.mark.usefixtures("pairs")
def test_a_replays_cursor_belongs_to_what_was_asked(database: Database) -> None:
    with receiver() as server:
        endpoint_id = told(database, server, 3)
        assert send(database, server) == 3

    def part(call: Call) -> str | None:
        endpoint = call.db.get_one(WebhookEndpoint, endpoint_id)
        return replay(call, endpoint, since=NOW, which=ALL).next

    after = database.run(part)
    assert after is not None
    for since, which in ((NOW, UNDELIVERED), (NOW - timedelta(microseconds=1), ALL)):

        def other(call: Call, since: datetime = since, which: str = which) -> Replayed:
            endpoint = call.db.get_one(WebhookEndpoint, endpoint_id)
            return replay(call, endpoint, since=since, which=which, after=after)

        with pytest.raises(WrongCursor) as refused:
            database.run(other)
        assert refused.value.pointer == "/body/after"


def test_deliveries_are_kept_for_thirty_days_with_their_attempts(database: Database) -> None:
    with receiver() as server:
        told(database, server, 3)
        assert send(database, server) == 3
    assert database.run(forget_deliveries, now=NOW + KEPT) == 0
    assert database.run(forget_deliveries, now=NOW + KEPT + timedelta(seconds=1)) == 3
    assert database.rows("SELECT * FROM webhook_attempt") == []


def test_a_bug_in_one_attempt_leaves_the_others_noted(database: Database) -> None:
    with receiver() as server:
        told(database, server, 2)
        first, lock = [True], threading.Lock()

        def allows(address: Any) -> bool:
            with lock:
                if first:
                    first.clear()
                    raise ZeroDivisionError
            return server.reach.allows(address)

        reach = replace(server.reach, allows=allows)
        with pytest.raises(ZeroDivisionError):
            send_due(runs(database, NOW), reach)
    assert sorted(states(database)) == ["delivered", "waiting"]


def test_the_schedule_hands_on_and_sends(product: Product, database: Database, clock: FixedClock) -> None:
    """With the product's own reach: a name that leads nowhere is a failure that is kept."""

    def line(name: str) -> int:
        return next(item for item in SCHEDULE if item.name == name).run(product, Stop())

    def work(call: Call) -> None:
        endpoint, _ = switched_on(call, url="https://hooks.nowhere.invalid/")
        batches_done(call, endpoint.owner_id)

    database.run(work)
    stopping = threading.Event()
    while not database.rows("SELECT 1 FROM webhook_delivery"):
        line("hand_on_news")  # the watermark is the whole cluster's: others' transactions hold it
        stopping.wait(0.05)
    assert [line("send_webhooks"), line("send_webhooks")] == [1, 0]
    (tried,) = database.rows("SELECT result, status FROM webhook_attempt")
    assert tried.result in {"unresolved", "slow"}
    clock.advance(timedelta(days=31))
    assert line("forget") >= 1
    assert database.rows("SELECT 1 FROM webhook_delivery") == []


def test_a_delivery_row_is_what_the_rules_let_it_be(call: Call) -> None:
    endpoint, _ = switched_on(call)
    batches_done(call, endpoint.owner_id)
    assert prepare_deliveries(call, waiting_news(call)) == 1
    (row,) = call.db.query(WebhookDelivery).all()
    assert (row.state, row.tries, row.tries_left, row.next_at) == ("waiting", 0, MOST_TRIES, call.now)
