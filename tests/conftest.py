"""Real PostgreSQL, built by the migrations, one template a run and a clone for each worker.

The controlling process starts a cluster of its own (or uses TEST_DATABASE_URL), migrates a template
once, and stops it at the end. `call` works inside a transaction that is rolled back; `database` is a
clone of its own for tests that commit from several threads.
"""

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from hypothesis import settings
from psycopg import sql
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from app.embedded import PostgresServer, start_postgres, start_valkey
from app.factory import Product, create_product
from app.settings import Settings
from carbon.activities.byte_bodies import UPLOADS
from kernel.actor import Actor, system_actor
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.database import Sessions, create_engine, in_transaction, sessions_on
from kernel.identifiers import new_id
from kernel.signing import KeyRing, Purpose
from kernel.tenancy import Region

Result = TypeVar("Result")
ROOT = Path(__file__).parents[1]
TEMPLATE_URL = "TANPUHUI_TEST_TEMPLATE"
NOW = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
KEYS = KeyRing(bytes(range(32)))
REGION = "CN-GD-SZ"
_started: list[tuple[PostgresServer, Path]] = []
# A test does not time itself: machines are busy.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Start the cluster and build the template, once, in the controlling process."""
    if hasattr(config, "workerinput") or TEMPLATE_URL in os.environ or config.option.collectonly:
        return
    url = os.environ.get("TEST_DATABASE_URL")
    if url is None:
        # Not below pytest's own folder, which is closed to the user PostgreSQL runs as.
        folder = Path(tempfile.mkdtemp(prefix="tanpuhui-tests-"))
        folder.chmod(0o755)
        server = start_postgres(folder, durable=False)
        _started.append((server, folder))
        url = server.url
    template = f"template_{uuid.uuid4().hex[:12]}"
    _run_on(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(template)))
    os.environ[TEMPLATE_URL] = make_url(url).set(database=template).render_as_string(hide_password=False)
    migrate(os.environ[TEMPLATE_URL], "head")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started here."""
    if hasattr(config, "workerinput"):
        return
    while _started:
        server, folder = _started.pop()
        server.stop()
        if server.folder.parent != folder:
            shutil.rmtree(server.folder, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def migrate(url: str, revision: str, *, down: bool = False) -> None:
    """Bring the database at `url` up (or down) to `revision`."""
    config = Config(ROOT / "alembic.ini")
    engine = create_engine(url, as_owner=True)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if down else command.upgrade)(config, revision)
    finally:
        engine.dispose()


def _run_on(url: str, statement: sql.Composed) -> None:
    plain = make_url(url).set(drivername="postgresql", database="postgres")
    with psycopg.connect(plain.render_as_string(hide_password=False), autocommit=True) as connection:
        connection.execute(statement)


@contextmanager
def cloned_database(*, template: str | None = None) -> Iterator[str]:
    """A fresh copy of the migrated template (or of `template`, a URL), dropped afterwards."""
    source = make_url(template or os.environ[TEMPLATE_URL])
    name = f"clone_{uuid.uuid4().hex[:16]}"
    url = source.set(database=name).render_as_string(hide_password=False)
    _run_on(
        url,
        sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(
            sql.Identifier(name), sql.Identifier(source.database or "")
        ),
    )
    try:
        yield url
    finally:
        _run_on(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass
class Database:
    """A database that tests may commit to, with calls of their own."""

    url: str
    engine: Engine
    sessions: Sessions

    def run(
        self, work: Callable[[Call], Result], *, now: datetime = NOW, actor: Actor | None = None
    ) -> Result:
        """One committed unit of work."""
        return in_transaction(self.sessions, lambda session: work(make_call(session, now=now, actor=actor)))

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """What a query gives, read as the owner's role would not be needed."""
        from sqlalchemy import text  # noqa: PLC0415 - only here

        with self.sessions() as session:
            session.execute(text("SET LOCAL statement_timeout = 0"))  # a whole table takes its time
            return list(session.execute(text(statement), values).all())


def make_call(session: Session, *, now: datetime = NOW, actor: Actor | None = None) -> Call:
    """A call as the door would make it."""
    return Call(
        db=session, actor=actor or system_actor(REGION), now=now, request_id="test-request", keys=KEYS
    )


def at(call: Call, now: datetime) -> Call:
    """The same unit of work at another time."""
    return replace(call, now=now)


def plant_region(call: Call) -> None:
    """The nation, one province, one city, and one key of each purpose."""
    for code, parent, zh, en in (
        ("CN", None, "中国", "China"),
        ("CN-GD", "CN", "广东", "Guangdong"),
        (REGION, "CN-GD", "深圳", "Shenzhen"),
    ):
        call.db.add(Region(id=code, parent_id=parent, name_zh=zh, name_en=en, holder_id=new_id()))
        call.db.flush()  # the child's foreign key needs the parent's row
    for purpose in Purpose:
        call.keys.add_key(call.db, purpose, now=NOW, signs_from=NOW)


@pytest.fixture(scope="session")
def worker_engine() -> Iterator[Engine]:
    """One clone for all rolled-back tests of this worker."""
    with cloned_database() as url:
        engine = create_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def call(worker_engine: Engine) -> Iterator[Call]:
    """A call in region Shenzhen whose work is rolled back; commits inside are savepoints."""
    with worker_engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            made = make_call(session)
            plant_region(made)
            yield made
        outer.rollback()


def patient(engine: Engine, *, seconds: float = 60) -> Engine:
    """The same, waiting for rows as long as a crowd of threads on a busy machine may take."""

    def wait(connection: psycopg.Connection, _record: object) -> None:
        for limit in ("lock_timeout", "statement_timeout"):
            connection.execute(sql.SQL("SET {} = {}").format(sql.SQL(limit), sql.Literal(f"{seconds}s")))
        connection.commit()

    event.listen(engine, "connect", wait)
    engine.dispose()  # what is connected already is not
    return engine


@pytest.fixture
def database() -> Iterator[Database]:
    """A database of its own, with the region planted and committed."""
    with cloned_database() as url:
        engine = patient(create_engine(url, pool_size=80))
        made = Database(url, engine, sessions_on(engine))
        made.run(plant_region)
        yield made
        engine.dispose()


@pytest.fixture(scope="session")
def cache_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One Valkey a worker."""
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server.url
    server.stop()


def settings_for(database_url: str, cache_url: str) -> Settings:
    """The settings of a test's product; its secrets are the vectors' own."""
    return Settings(
        environment="test",
        database_url=database_url,
        redis_url=cache_url,
        jwt_secret="j" * 32,
        key_ring_secret=bytes(range(32)).hex(),
        card_hash_secret="c" * 32,
        pool_size=80,
        log_level="error",
    )


@pytest.fixture
def clock() -> FixedClock:
    """The clock of `product`, standing at NOW until a test moves it."""
    return FixedClock(NOW)


@pytest.fixture
def product(database: Database, cache_url: str, clock: FixedClock, tmp_path: Path) -> Iterator[Product]:
    """The whole application on a database of its own; a bug behind a 500 fails the test."""
    made = create_product(settings_for(database.url, cache_url), clock=clock)
    patient(made.engine)
    made.flask.config[UPLOADS] = tmp_path / "uploads"
    yield made
    made.close()
    assert not made.flask.extensions.get("bugs")
