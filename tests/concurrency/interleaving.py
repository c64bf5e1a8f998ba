"""Two units of work, the first stopped at one point for the other: every schedule with one preemption.

The first stops before one of its statements, before a commit or a rollback, or before a write that a
function of the database does inside one statement. There the second begins; if it asks for what the first
holds, the database says so, and the first goes on. Nothing here waits for a time to pass and no time limit
of the product's connections counts: who waits, waits until the other is done, and who is stopped may be
stopped for long. A deadlock is an error.

Nothing of the product is replaced. Its statements are heard on the connection; writes inside functions are
met by triggers that a test's own database has.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from time import sleep
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.orm import Session

from kernel.call import Call
from kernel.database import create_engine
from kernel.errors import Refusal
from tests.conftest import make_call

Work = Callable[[Call], str]
"""A unit of work as the door would run it; what it came to, in a word."""
REFUSED = "refused: "
GATE = 7331
"""The advisory lock at which a function waits."""
PATIENCE_SECONDS = 120
"""A schedule that takes so long hangs, and fails; no result depends on it."""


@dataclass(frozen=True)
class Stop:
    """Where the first unit of work stops: before its n-th statement, or its n-th write inside functions."""

    inside: bool
    number: int


@dataclass
class _Heard:
    """The statements of one connection, counted; the one with the number `stop_at` waits for `go`."""

    count: int = 0
    stop_at: int | None = None
    reached: Event = field(default_factory=Event)
    go: Event = field(default_factory=Event)

    def __call__(self, *_: Any) -> None:
        number, self.count = self.count, self.count + 1
        if number == self.stop_at:
            self.reached.set()
            assert self.go.wait(PATIENCE_SECONDS)


class Side:
    """One of the two: a connection of its own, with the application's role and no time limits."""

    def __init__(self, engine: Engine) -> None:
        self.connection = engine.connect()
        self._plain("SET lock_timeout = 0")
        self._plain("SET statement_timeout = 0")
        self.pid = int(self._plain("SELECT pg_backend_pid()") or 0)
        self.heard = _Heard()
        for name in ("before_cursor_execute", "commit", "rollback"):
            event.listen(self.connection, name, self._listen)

    def _listen(self, *_: Any) -> None:
        self.heard()

    def _plain(self, statement: str) -> str | None:
        """One statement that nobody hears, committed."""
        raw = self.connection.connection.driver_connection
        assert raw is not None
        row = raw.execute(statement).fetchone() if statement.startswith("SELECT") else raw.execute(statement)
        raw.commit()
        return str(row[0]) if statement.startswith("SELECT") else None

    def run(self, work: Work, call_at: Any, stop: Stop | None) -> str:
        """Run `work` in one transaction; a refusal is rolled back and its trace kept, as the door does it."""
        inside = stop.number if stop is not None and stop.inside else -1
        self._plain(f"SELECT set_config('interleaving.stop', '{inside}', false)")
        self._plain("SELECT set_config('interleaving.count', '0', false)")
        self.heard.count = 0
        self.heard.stop_at = None if stop is None or stop.inside else stop.number
        with Session(self.connection, expire_on_commit=False) as session:
            call = make_call(session, now=call_at)
            try:
                told = work(call)
                session.flush()
            except Refusal as refusal:
                session.rollback()
                for record in call.aftermath:
                    record(call)
                told = f"{REFUSED}{refusal.code}"
            session.commit()
        return told

    def points(self) -> Iterator[Stop]:
        """Where the last run could have been stopped."""
        yield from (Stop(inside=False, number=number) for number in range(self.heard.count))
        inside = int(self._plain("SELECT current_setting('interleaving.count')") or 0)
        yield from (Stop(inside=True, number=number) for number in range(inside))


@dataclass
class Stage:
    """A database with its triggers, the two sides, and a steering connection that opens the gate."""

    first: Side
    second: Side
    steering: Connection
    threads: ThreadPoolExecutor

    def alone(self, work: Work, *, now: Any) -> str:
        """Run on the first side without stopping."""
        return self.first.run(work, now, None)

    def interleaved(self, first: Work, second: Work, *, at: tuple[Any, Any], stop: Stop) -> tuple[str, str]:
        """Stop `first` there, run `second` until it ends or waits for the first, and let both end."""
        self.first.heard = _Heard()
        self._gate("lock")
        opened = False
        try:
            one = self.threads.submit(self.first.run, first, at[0], stop)
            self._until(lambda: self._stopped(one))
            assert not one.done(), f"the first never came to {stop}: {one.result()}"
            other = self.threads.submit(self.second.run, second, at[1], None)
            self._until(lambda: other.done() or self._waits(self.second, self.first.pid))
            opened = self._open()
        finally:
            if not opened:
                self._open()
        wait([one, other], timeout=PATIENCE_SECONDS)
        assert one.done()
        assert other.done()
        return one.result(), other.result()

    def _stopped(self, one: Future[str]) -> bool:
        return one.done() or self.first.heard.reached.is_set() or self._waits(self.first, self._own_pid)

    @property
    def _own_pid(self) -> int:
        return int(self.steering.info["pid"])

    def _waits(self, side: Side, for_: int) -> bool:
        asked = text("SELECT :other = ANY (pg_blocking_pids(:pid))")
        return bool(self.steering.execute(asked, {"other": for_, "pid": side.pid}).scalar_one())

    def _gate(self, how: str) -> None:
        self.steering.execute(text(f"SELECT pg_advisory_{how}({GATE})"))

    def _open(self) -> bool:
        self._gate("unlock")
        self.first.heard.go.set()
        return True

    @staticmethod
    def _until(holds: Callable[[], bool]) -> None:
        """Ask until it is so; how long that takes changes nothing."""
        for _ in range(PATIENCE_SECONDS * 1000):
            if holds():
                return
            sleep(0.001)
        raise AssertionError("neither side moves")


@contextmanager
def stage(url: str) -> Iterator[Stage]:
    """Two sides on the database at `url`, which gets the triggers."""
    owner = create_engine(url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text(_PAUSE))
        for (table,) in connection.execute(text(_TABLES)).all():
            connection.execute(text(_TRIGGER.format(table=table)))
    engine = create_engine(url, pool_size=2)
    steering = owner.connect().execution_options(isolation_level="AUTOCOMMIT")
    steering.info["pid"] = steering.execute(text("SELECT pg_backend_pid()")).scalar_one()
    first, second = Side(engine), Side(engine)
    try:
        with ThreadPoolExecutor(2) as threads:
            yield Stage(first, second, steering, threads)
    finally:
        for connection in (first.connection, second.connection, steering):
            connection.close()
        engine.dispose()
        owner.dispose()


_TABLES = (
    "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
)
_TRIGGER = (
    'CREATE TRIGGER interleaving BEFORE INSERT OR UPDATE OR DELETE ON "{table}"'
    " FOR EACH STATEMENT EXECUTE FUNCTION interleaving_pause()"
)
# What a client writes itself is a statement that is heard; only what a function writes is counted here. A
# failed run takes its counting back with everything else, which is why it is begun anew each time.
_PAUSE = f"""
CREATE FUNCTION interleaving_pause() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_stack text;
    v_count integer := coalesce(nullif(current_setting('interleaving.count', true), ''), '0')::integer;
BEGIN
    GET DIAGNOSTICS v_stack = PG_CONTEXT;
    IF v_stack NOT LIKE E'%\\n%PL/pgSQL function%' THEN RETURN NULL; END IF;
    PERFORM set_config('interleaving.count', (v_count + 1)::text, false);
    IF v_count::text = current_setting('interleaving.stop', true) THEN
        PERFORM pg_advisory_lock({GATE});
        PERFORM pg_advisory_unlock({GATE});
    END IF;
    RETURN NULL;
END $$"""
