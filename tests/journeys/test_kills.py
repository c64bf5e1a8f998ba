"""L8: what was acknowledged is there after kill -9, and what was not may be sent again with the same key.

Clients credit, exchange and redeem without pause while the web server and PostgreSQL are killed in turn.
Afterwards every 201 is in the ledger, every request that got no answer has exactly one effect when it is
sent again, and every invariant holds. A file whose import is killed again and again is
taken once, line by line.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app import embedded
from app.commands import ALL_CHECKS
from app.embedded import PostgresServer, start_postgres
from bench.records import as_ndjson, cards, rides
from carbon.activities.batch_records import BATCH
from kernel.call import Call
from kernel.clock import SystemClock
from kernel.database import create_engine, sessions_on
from kernel.identifiers import parse_public_id
from ledger.reconciliation import reconcile
from tests.carbon.partner_client import content_digest
from tests.conftest import ROOT, Database, migrate, plant_region
from tests.journeys.served import Resident, Served, Town, bearer, plant_town

CLIENTS = 6
KILLS = ("postgres", "web", "postgres", "postgres", "web", "postgres")
KILLING_SECONDS = 40
"""No kill begins later, on however slow a machine; the first two are never left out."""
DEEDS_BETWEEN = 24
"""So many requests are acknowledged before the next kill: it hits a server at work."""
QUIET_SECONDS = 20
LAST_WORD_SECONDS = 30
SEED = 20_261_121
LINES, IMPORT_KILLS = (
    int(os.environ.get(name, usual)) for name, usual in (("KILL_LINES", 60_000), ("KILLS", 4))
)
"""`make kills` has them larger."""
IMPORT_VICTIMS = ("worker", "postgres", "web", "worker", "postgres")
CHUNK_LINES = 5_000
"""Many chunks, whatever the hour."""
IMPORT_SECONDS = 120
FILES_MOST = 20


@dataclass
class Deed:
    """A request that moves something, and the answer that settled it; none while nobody knows."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    sends: int = 0
    status: int | None = None
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.status == 201


@dataclass
class Customer:
    """A citizen at a till: rides, buys and redeems until told to stop, and keeps every deed.

    What gets no answer is sent again, with the same key, until it is answered, as a client should.
    """

    number: int
    town: Town
    url: str
    stop: threading.Event
    deeds: list[Deed] = field(default_factory=list)

    @property
    def me(self) -> Resident:
        return self.town.residents[self.number]

    def live(self) -> None:
        turns = count()
        with httpx.Client(base_url=self.url, timeout=8) as client:
            while not self.stop.is_set():
                self._turn(client, next(turns))

    def _turn(self, client: httpx.Client, turn: int) -> None:
        if turn % 3 == 0:
            record = self.town.ride(self.me, f"ride-{self.number}-{turn}", SystemClock().now())
            self._send(client, Deed("/v1/partner/activities", record, bearer(self.town.city.api_key)))
        key = {"Idempotency-Key": f"exchange-{self.number}-{turn}"}
        order = Deed("/v1/me/vouchers", {"reward_id": self.town.reward}, bearer(self.me.token, **key))
        self._send(client, order)
        if order.done and turn % 2 == 0:
            self._redeem(client, str(order.answer["id"]), turn)

    def _redeem(self, client: httpx.Client, voucher: str, turn: int) -> None:
        with suppress(httpx.HTTPError):  # a look that fails is a customer who does not redeem
            shown = client.get(f"/v1/me/vouchers/{voucher}/codes", headers=bearer(self.me.token))
            if shown.status_code == 200:
                till = self.town.tills[self.number % len(self.town.tills)]
                key = {"Idempotency-Key": f"scan-{self.number}-{turn}"}
                code = {"code": shown.json()["items"][0]["text"]}
                self._send(client, Deed("/v1/terminal/redemptions", code, bearer(till, **key)))

    def _send(self, client: httpx.Client, deed: Deed) -> None:
        self.deeds.append(deed)
        while deed.status is None and not self.stop.is_set():
            with suppress(httpx.HTTPError):
                send(client, deed)
            if deed.status is None:
                self.stop.wait(0.1)  # somebody was killed


def send(client: httpx.Client, deed: Deed) -> httpx.Response:
    """Send a deed; an answer below 500 settles it, but for a twin that still runs."""
    deed.sends += 1
    answer = client.post(deed.path, json=deed.body, headers=deed.headers)
    if answer.status_code < 500:
        told = answer.json()
        if told.get("code") != "idempotency_key_in_use":
            deed.status, deed.answer = answer.status_code, told
    return answer


@dataclass
class Stage:
    """Everything that can be killed."""

    data: Path
    postgres: PostgresServer
    served: Served
    town: Town

    def kill(self, what: str) -> None:
        """Kill it in the middle of its work and start it again."""
        if what == "web":
            self.served.kill()
            self.served.start()
            return
        kill_cluster(self.postgres)
        start_postgres(self.data)
        self.served.wait_until_ready()


def kill_cluster(server: PostgresServer) -> None:
    """SIGKILL the postmaster and all its children at once; each child leads a session of its own."""
    postmaster = embedded._postmaster(server.folder)
    assert postmaster is not None
    family = [postmaster, *_children(postmaster)]
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while embedded._works_in(server.folder, server.user):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children(pid: int) -> Iterator[int]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[1]) == pid:
            yield int(folder.name)


@pytest.fixture
def stage(cache_url: str, tmp_path: Path) -> Iterator[Stage]:
    data = Path(tempfile.mkdtemp(prefix="tanpuhui-kills-"))
    data.chmod(0o755)  # as a checkout is
    postgres = start_postgres(data, durable=True)
    served = Served(postgres.url, cache_url, tmp_path / "web.log", environment="development", workers=1)
    try:
        migrate(postgres.url, "head")
        with opened(postgres) as store:
            store.run(plant_region)
        town = plant_town(database_url=postgres.url, cache_url=cache_url, residents=CLIENTS, tills=3)
        served.start()
        yield Stage(data, postgres, served, town)
    finally:
        served.kill()
        postgres.stop()
        if postgres.folder.parent != data:
            shutil.rmtree(postgres.folder, ignore_errors=True)
        shutil.rmtree(data)


@contextmanager
def opened(server: PostgresServer) -> Iterator[Database]:
    """The database for a look or a step of preparation; no connection outlives it."""
    engine = create_engine(server.url, pool_size=1)
    try:
        yield Database(server.url, engine, sessions_on(engine))
    finally:
        engine.dispose()


def test_what_was_acknowledged_is_there_after_kill_9_and_the_rest_may_be_sent_again(stage: Stage) -> None:
    deeds = live_through_kills(stage)
    in_doubt = [deed for deed in deeds if deed.sends > 1 or deed.status is None]
    assert in_doubt, "no kill hit a request in flight: the test shows nothing"
    with httpx.Client(base_url=stage.served.url, timeout=20) as client:
        for deed in in_doubt:
            settle(client, deed)
            if deed.done and "Idempotency-Key" in deed.headers:
                first, again = deed.answer, send(client, deed)
                assert (again.json(), again.headers.get("Idempotent-Replayed")) == (first, "true")
    assert {deed.status for deed in deeds} == {201}
    check(stage, deeds)


def live_through_kills(stage: Stage) -> list[Deed]:
    """Let the customers live while one thing after the other is killed; everything they did."""
    stop = threading.Event()
    customers = [Customer(number, stage.town, stage.served.url, stop) for number in range(CLIENTS)]
    chance = random.Random(SEED)  # noqa: S311 - a repeatable order of pauses, not a secret
    deadline = time.monotonic() + KILLING_SECONDS
    with ThreadPoolExecutor(CLIENTS) as threads:
        lives = [threads.submit(customer.live) for customer in customers]
        try:
            for number, what in enumerate(KILLS):
                if number < 2 or time.monotonic() < deadline:
                    wait_for_deeds(customers)
                    time.sleep(chance.uniform(0, 0.1))
                    stage.kill(what)
            wait_for_deeds(customers)
        finally:
            stop.set()
        for life in lives:
            life.result()
    return [deed for customer in customers for deed in customer.deeds]


def wait_for_deeds(customers: list[Customer]) -> None:
    """Until the customers have done some more; fails when they can not."""
    begun = _acknowledged(customers)
    deadline = time.monotonic() + QUIET_SECONDS
    while _acknowledged(customers) < begun + DEEDS_BETWEEN:
        assert time.monotonic() < deadline, "the customers get no answers"
        time.sleep(0.01)


def _acknowledged(customers: list[Customer]) -> int:
    return sum(deed.status is not None for customer in customers for deed in list(customer.deeds))


def settle(client: httpx.Client, deed: Deed) -> None:
    """Send it again, with the same key, until it is answered."""
    deadline = time.monotonic() + LAST_WORD_SECONDS
    while deed.status is None:
        send(client, deed)
        assert time.monotonic() < deadline, deed.path


def check(stage: Stage, deeds: list[Deed]) -> None:
    """The database holds the effects of the deeds that were done, once each, and nothing else."""
    with opened(stage.postgres) as store:
        for path, statement in _EFFECTS.items():
            done = sorted(_effect(deed) for deed in deeds if deed.path == path and deed.done)
            there = sorted(str(row.effect) for row in store.rows(statement))
            assert there == done, path
        assert store.rows(_KEYS_APART)[0].n == 0, "an answer was remembered in another transaction"
        assert broken(store) == {}


def broken(store: Database) -> dict[str, Any]:
    """The invariants that do not hold."""
    return {each.check.name: each.findings for each in store.run(_reconcile) if not each.holds}


def test_a_file_whose_import_is_killed_again_and_again_is_taken_once(stage: Stage) -> None:
    """Worker, web server and PostgreSQL in turn, each at a random moment of the import.

    A machine may go through a file while a victim comes back: the next kill meets another file then.
    """
    batches = [upload(stage, LINES, month=1)]
    chance = random.Random(SEED)  # noqa: S311 - a repeatable order of pauses, not a secret
    taken, worker = 0, Worker(stage)
    try:
        for _, what in zip(range(IMPORT_KILLS), cycle(IMPORT_VICTIMS), strict=False):
            more_than = min(taken + chance.randrange(LINES // (IMPORT_KILLS + 1)), LINES - 1)
            while (taken := wait_for_lines(stage, batches[-1], more_than=more_than)) == LINES:
                assert len(batches) <= FILES_MOST, "each file is over before it is looked at"
                batches.append(upload(stage, LINES, month=1 + len(batches)))
                more_than = 0
            time.sleep(chance.uniform(0, 0.2))
            (worker if what == "worker" else stage).kill(what)
            with opened(stage.postgres) as store:
                let_time_pass(store)
        for batch in batches:
            wait_for_end(stage, batch)
    finally:
        worker.end()
    for batch in batches:
        assert [(row["outcome"], row["lines"]) for row in shown(stage, batch)["outcomes"]] == [
            ("credited", LINES)
        ]
    all_lines = LINES * len(batches)
    with opened(stage.postgres) as store:
        (once,) = store.rows(
            "SELECT count(*) AS n, count(DISTINCT source_event_id) AS events FROM activity_reference"
        )
        assert (once.n, once.events) == (all_lines, all_lines)
        (lines,) = store.rows(
            "SELECT count(*) AS n, count(DISTINCT (batch_id, line_no)) AS lines FROM activity"
        )
        assert (lines.n, lines.lines) == (all_lines, all_lines)
        assert broken(store) == {}


def upload(stage: Stage, lines: int, *, month: int) -> str:
    """A partner's file of rides of many cards, as one request; the batch's id."""
    city = stage.town.city
    numbers = cards(lines // 50)
    if month == 1:
        with opened(stage.postgres) as store:
            store.run(lambda call: city.bind(call, numbers))
    body = as_ndjson(rides(lines, citizens=len(numbers), month=month))
    with httpx.Client(base_url=stage.served.url, timeout=60, headers=bearer(city.api_key)) as client:
        opening = {"reference": f"kills-{month}", "adapter": "ndjson"}
        batch = str(client.post("/v1/partner/batches", json=opening).json()["id"])
        digest = {"Content-Digest": content_digest(body), "Content-Type": "application/octet-stream"}
        taken = client.put(f"/v1/partner/batches/{batch}/content", content=body, headers=digest)
        assert taken.status_code == 200, taken.text
    return batch


class Worker:
    """A worker process; who kills it starts the next."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.start()

    def start(self) -> None:
        with self.stage.served.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
                cwd=ROOT,
                env={**self.stage.served.surroundings, "IMPORT_CHUNK_LINES": str(CHUNK_LINES)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, _what: str) -> None:
        self.end()
        self.start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def wait_for_lines(stage: Stage, batch: str, *, more_than: int) -> int:
    """Until so many lines of a batch are taken; how many they are."""
    deadline = time.monotonic() + IMPORT_SECONDS
    with opened(stage.postgres) as store:
        while (done := int(_row(store, batch).lines_done)) <= more_than:
            assert time.monotonic() < deadline, "nobody takes the file"
            time.sleep(0.01)
    return done


def wait_for_end(stage: Stage, batch: str) -> None:
    """Until a batch is done."""
    deadline = time.monotonic() + IMPORT_SECONDS
    with opened(stage.postgres) as store:
        while _row(store, batch).state != "done":
            assert time.monotonic() < deadline, "nobody takes the file"
            time.sleep(0.05)


def _row(store: Database, batch: str) -> Any:
    (row,) = store.rows(
        "SELECT lines_done, state FROM activity_batch WHERE id = :id", id=parse_public_id(BATCH, batch)
    )
    return row


def shown(stage: Stage, batch: str) -> Any:
    """A batch as its partner is told of it."""
    url = f"{stage.served.url}/v1/partner/batches/{batch}"
    return httpx.get(url, headers=bearer(stage.town.city.api_key)).json()


def let_time_pass(store: Database) -> None:
    """The five minutes after which a turn is over, and the seconds after which a worker counts as dead."""
    for statement in (
        "UPDATE activity_batch SET leased_until = leased_until - interval '1 hour'",
        "UPDATE jobs.procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 hour'",
    ):
        with store.engine.begin() as connection:
            connection.execute(text(statement))


def _effect(deed: Deed) -> str:
    """What a deed leaves behind, by the name the client knows."""
    if deed.path == "/v1/partner/activities":
        return str(deed.body["record"]["source_event_id"])
    public = str(deed.answer["id"])
    return str(parse_public_id(public.partition("_")[0], public))


def _reconcile(call: Call) -> Any:
    return reconcile(call, ALL_CHECKS)


_EFFECTS = {
    "/v1/partner/activities": "SELECT source_event_id AS effect FROM activity_reference",
    "/v1/me/vouchers": "SELECT id AS effect FROM voucher",
    "/v1/terminal/redemptions": "SELECT id AS effect FROM redemption",
}
_KEYS_APART = (
    "SELECT count(*) AS n FROM idempotency i WHERE route = 'POST /v1/me/vouchers'"
    " AND NOT EXISTS (SELECT FROM voucher_step s WHERE s.xmin = i.xmin)"
)
"""Kills hit the moment between two commits only now and then; this sees that there is none."""
