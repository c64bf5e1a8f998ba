"""The worker as a process: it begins by itself, ends when told, and outlives its database's restarts."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from app.embedded import PostgresServer, start_postgres
from kernel.call import Call
from kernel.database import create_engine, sessions_on
from kernel.outgoing import announce
from tests.conftest import REGION, ROOT, Database, migrate, plant_region

SECRETS = {"JWT_SECRET": "j" * 32, "KEY_RING_SECRET": bytes(range(32)).hex(), "CARD_HASH_SECRET": "c" * 32}


@contextmanager
def working(url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker on `url`, killed at the end if it still runs."""
    environment = {
        **os.environ,
        **SECRETS,
        "ENVIRONMENT": "test",
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(log: Path) -> list[dict[str, object]]:
    """Each line of the log, which must be JSON."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def until(condition: Callable[[], bool], *, seconds: float = 180) -> None:
    """Wait for it; news is taken once every older transaction of the server is over, other tests' too."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def tell(subject: str, call: Call) -> None:
    announce(call, "test.told", region_id=REGION, subject=subject)


def taken(database: Database, subject: str) -> bool:
    rows = database.rows("SELECT taken_at FROM outgoing WHERE subject = :subject", subject=subject)
    return rows[0].taken_at is not None


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="tanpuhui-worker-"))
    made.chmod(0o755)  # as a checkout is
    yield made
    shutil.rmtree(made)


@pytest.fixture
def own_cluster(folder: Path) -> Iterator[tuple[PostgresServer, Database]]:
    """A cluster that a test may stop and start."""
    server = start_postgres(folder, durable=False)
    migrate(server.url, "head")
    engine = create_engine(server.url)
    database = Database(server.url, engine, sessions_on(engine))
    database.run(plant_region)
    yield server, database
    engine.dispose()
    server.stop()
    if server.folder.parent != folder:
        shutil.rmtree(server.folder, ignore_errors=True)


def test_a_worker_does_what_is_due_within_seconds_and_ends_cleanly_when_told(
    database: Database, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    with working(database.url, log) as worker:
        until(lambda: bool(told(log)))
        database.run(partial(tell, "told while it works"))
        began = time.monotonic()
        until(partial(taken, database, "told while it works"))
        assert time.monotonic() - began < 40  # a second and the machine's load
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    lines = told(log)
    assert [lines[0]["event"], lines[-1]["event"]] == ["working", "stopped"]
    assert {"test.told": 1} in [line.get("counts") for line in lines]
    assert not [line for line in lines if line["level"] in {"warning", "error"}]
    assert not any(secret in log.read_text() for secret in ("told while", *SECRETS.values()))
    assert database.rows("SELECT count(*) AS n FROM jobs.procrastinate_workers")[0].n == 0


def test_a_worker_outlives_a_restart_of_its_database(
    own_cluster: tuple[PostgresServer, Database], folder: Path
) -> None:
    server, database = own_cluster
    log = folder / "worker.log"
    with working(server.url, log) as worker:
        database.run(partial(tell, "before"))
        until(partial(taken, database, "before"))
        for number in range(2):
            server.stop()
            time.sleep(1.5 * number)
            start_postgres(folder, durable=False)
            database.engine.dispose()
            database.run(partial(tell, f"after {number}"))
            until(partial(taken, database, f"after {number}"))
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    # Who listens to the database may have the last word.
    assert "stopped" in {line["event"] for line in told(log)}


def test_a_worker_whose_database_is_gone_still_ends_when_told(
    own_cluster: tuple[PostgresServer, Database], folder: Path
) -> None:
    server, database = own_cluster
    log = folder / "worker.log"
    with working(server.url, log) as worker:
        database.run(partial(tell, "before"))
        until(partial(taken, database, "before"))
        server.stop()
        until(lambda: any(line["event"] in {"queue_lost", "end_not_written"} for line in told(log)))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(40) == 0
    start_postgres(folder, durable=False)


def test_two_workers_share_the_work_and_one_goes_on_when_the_other_is_killed(
    database: Database, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.log", tmp_path / "other.log"

    def said() -> int:
        counted = [line["counts"] for log in (one, other) for line in told(log) if "counts" in line]
        return sum(counts["test.told"] for counts in counted if isinstance(counts, dict))

    with working(database.url, one) as killed, working(database.url, other):
        until(lambda: bool(told(one) and told(other)))
        for number in range(10):
            database.run(partial(tell, f"news {number}"))
            time.sleep(0.2)
        until(partial(taken, database, "news 9"))
        until(lambda: said() == 10)  # who is killed says nothing more
        killed.kill()
        database.run(partial(tell, "last"))
        until(partial(taken, database, "last"))
    assert said() == 11
