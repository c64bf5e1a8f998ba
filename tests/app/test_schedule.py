"""Each line of the schedule does what is due, once, however often and late it runs."""

import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from croniter import croniter  # type: ignore[import-untyped]  # it ships no types
from procrastinate.schema import SchemaManager
from psycopg import Connection
from sqlalchemy import text

from app.commands import add_commands
from app.factory import Product
from app.identity.sign_in import sign_in_staff
from app.schedule import SCHEDULE, Scheduled, Stop, Turn
from app.worker import standings
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.database import create_engine
from kernel.errors import BrokenInvariant, Busy
from kernel.idempotency import forget_old
from kernel.identifiers import new_id
from kernel.outgoing import announce, forget_taken, take_news
from ledger.accounts import institution, open_account
from ledger.chart import Code, Kind, Unit
from ledger.posting import Movement, Transfer, move, post
from ledger.statements import balances
from tests.carbon.partner_client import make_partner, rides
from tests.conftest import NOW, REGION, Database, patient
from tests.ledger.world import citizen
from tests.merchants.world import bought, customer, market, sound
from tests.plans import fill, reads_of, rows_read
from tests.rewards.world import rich_citizen

AN_HOUR = 3600


def line(name: str) -> Scheduled:
    return next(item for item in SCHEDULE if item.name == name)


def run(product: Product, name: str) -> int:
    return line(name).run(product, Stop())


def voucher_states(database: Database) -> list[str]:
    return [row.state for row in database.rows("SELECT state FROM voucher")]


def give_to_pool(call: Call, amount: int) -> None:
    donor = open_account(call, new_id(), kind=Kind.DONOR, unit=Unit.CARBON, region_id=REGION)
    source = institution(call, REGION, kind=Kind.SOURCE, unit=Unit.CARBON)
    post(
        call,
        Transfer(
            account=donor,
            contra=source,
            amount=amount,
            code=Code.CREDIT_CARBON,
            source="project",
            reference=str(new_id()),
            occurred_at=call.now,
        ),
    )
    pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
    gift = Movement(
        giver=donor,
        taker=pool,
        amount=amount,
        code=Code.DONATE,
        source="donation",
        reference=str(new_id()),
        occurred_at=call.now,
    )
    move(call, gift, region_id=REGION)


def pool_balance(call: Call) -> int:
    pool = institution(call, REGION, kind=Kind.POOL, unit=Unit.CARBON)
    return sum(balance.posted for balance in balances(call, pool.holder_id) if balance.account_id == pool.id)


def tell(subject: str, call: Call) -> None:
    announce(call, "test.told", region_id=REGION, subject=subject)


def take(database: Database) -> list[str]:
    return [news.subject for news in database.run(take_news)]


def test_every_line_has_a_name_a_sentence_a_time_and_an_end() -> None:
    assert len({item.name for item in SCHEDULE}) == len(SCHEDULE)
    for item in SCHEDULE:
        assert croniter.is_valid(item.cron), item.name
        assert item.says[0].islower(), item.name
        assert 0 < item.seconds <= AN_HOUR, item.name


@pytest.mark.parametrize("name", [item.name for item in SCHEDULE])
def test_on_an_idle_product_a_run_finds_nothing_to_do(name: str, product: Product) -> None:
    assert [run(product, name), run(product, name)] == [0, 0]


def test_an_uploaded_file_is_imported_once_even_by_two_workers(
    product: Product, database: Database, tmp_path: Path
) -> None:
    partner = make_partner(product, database, tmp_path / "uploads")
    batch = partner.open().json["id"]
    partner.upload(batch, rides(3))
    stopped = Stop()
    stopped.asked.set()
    assert line("take_batches").run(product, stopped) == 0
    with ThreadPoolExecutor(2) as workers:
        assert sum(workers.map(partial(run, product), ["take_batches"] * 2)) == 1
    assert partner.get(f"/{batch}").json["state"] == "done"
    assert partner.count("activity") == 3
    assert partner.broken() == []


def test_vouchers_end_with_their_last_day_and_only_once_even_with_two_workers(
    product: Product, database: Database, clock: FixedClock
) -> None:
    place, me = database.run(partial(market, valid_days=3)), database.run(customer)
    for _ in range(3):
        database.run(lambda call: bought(call, place, me))
    assert run(product, "expire_vouchers") == 0
    clock.advance(timedelta(days=5))
    with ThreadPoolExecutor(2) as workers:
        ended = list(workers.map(partial(run, product), ["expire_vouchers"] * 2))
    assert sum(ended) == 3
    assert voucher_states(database) == ["expired"] * 3
    assert run(product, "expire_vouchers") == 0
    database.run(sound, now=clock.now())


def test_coins_end_though_the_run_comes_a_week_late(
    product: Product, database: Database, clock: FixedClock
) -> None:
    me = database.run(partial(rich_citizen, coins=700, ends=date(2026, 12, 1)))
    assert run(product, "expire_coins") == 0
    clock.advance(timedelta(days=18))
    assert [run(product, "expire_coins"), run(product, "expire_coins")] == [1, 0]
    assert database.run(me.available)["standard"] == 0
    database.run(sound, now=clock.now())


def test_gifts_reach_the_pool_as_one_transfer_and_once(product: Product, database: Database) -> None:
    for amount in (700, 300):
        database.run(partial(give_to_pool, amount=amount))
    with ThreadPoolExecutor(2) as workers:
        assert sum(workers.map(partial(run, product), ["roll_legs"] * 2)) == 1000
    assert database.run(pool_balance) == 1000
    assert run(product, "roll_legs") == 0
    database.run(sound)


def test_folded_accounts_get_their_checkpoints(product: Product, database: Database) -> None:
    database.run(rich_citizen)
    deadline = time.monotonic() + 120  # the watermark is the whole cluster's: others' transactions hold it
    while not run(product, "add_checkpoints"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert database.rows("SELECT sum(amount) AS issued FROM ledger_checkpoint")[0].issued == -10_000


def test_news_is_taken_once_in_order_and_never_past_an_open_transaction(database: Database) -> None:
    database.run(partial(tell, "first"))
    with database.sessions() as late:
        late.execute(text("SELECT pg_current_xact_id()"))
        database.run(partial(tell, "second"))
        deadline = time.monotonic() + 120
        taken: list[str] = []
        while not taken:
            assert time.monotonic() < deadline
            taken = take(database)
        assert taken == ["first"]
        assert take(database) == []
        late.rollback()
    while taken == ["first"]:
        assert time.monotonic() < deadline
        taken += take(database)
    assert taken == ["first", "second"]


def test_two_takers_never_take_one_piece_of_news_twice(database: Database) -> None:
    subjects = [f"subject {number:03}" for number in range(60)]
    for subject in subjects:
        database.run(partial(tell, subject))
    taken: list[str] = []
    deadline = time.monotonic() + 120
    with ThreadPoolExecutor(4) as takers:
        while len(taken) < len(subjects) and time.monotonic() < deadline:
            work = partial(take_news, most=7)
            for some in takers.map(lambda _: database.run(work), range(4)):  # noqa: B023 - run at once
                taken += [news.subject for news in some]
    assert sorted(taken) == subjects


def test_what_is_older_than_thirty_days_is_forgotten_and_nothing_younger(
    product: Product, database: Database, clock: FixedClock
) -> None:
    for days in (29, 31):
        then = clock.now() - timedelta(days=days)
        database.run(partial(tell, f"{days} days"), now=then)
        with database.sessions.begin() as session:
            session.execute(
                text("UPDATE outgoing SET taken_at = :then WHERE taken_at IS NULL"), {"then": then}
            )
            session.execute(
                text("INSERT INTO idempotency VALUES ('p', 'r', :key, '', 201, '', :then)"),
                {"key": f"key of {days}", "then": then},
            )
    assert run(product, "forget") == 2
    assert [row.subject for row in database.rows("SELECT subject FROM outgoing")] == ["29 days"]
    assert [row.key for row in database.rows("SELECT key FROM idempotency")] == ["key of 29"]


def put_old_answers_and_news(database: Database, count: int) -> None:
    """So many of each that are older than thirty days, lying behind as many of today: space is used again."""
    for name, days in (("new", 0), ("old", 40)):
        begin = f"CREATE TEMP TABLE n AS SELECT n, '{name}' AS name, CAST('{NOW.isoformat()}' AS timestamptz)"
        fill(
            database,
            f"{begin} - {days} * interval '1 day' - n * interval '1 second' AS at"
            f" FROM generate_series(1, {count}) n",
            "INSERT INTO idempotency (principal, route, key, payload_hash, status, body, recorded_at)"
            " SELECT 'p', 'r', name || '-' || n, '', 201, '', at FROM n ORDER BY at",
            "INSERT INTO outgoing (id, region_id, event, subject, facts, recorded_at, taken_at)"
            " SELECT gen_random_uuid(), 'CN-GD-SZ', 'test.told', name, '{}', at, at FROM n ORDER BY at",
            "DROP TABLE n",
        )


def left(database: Database, of: str) -> int:
    return int(database.rows(f"SELECT count(*) FROM {of}")[0].count)  # noqa: S608 - a name of ours


def test_forgetting_reads_as_much_as_it_deletes(database: Database) -> None:
    put_old_answers_and_news(database, 10_000)
    answers = reads_of(database, lambda call: forget_old(call.db, now=call.now, most=100))
    news = reads_of(database, partial(forget_taken, most=100))
    # Each is found by its time, and once more by its key.
    assert rows_read(answers, "idempotency") == rows_read(news, "outgoing") == 200, (answers, news)
    assert database.run(lambda call: forget_old(call.db, now=call.now, most=100)) == 100
    assert database.rows("SELECT FROM idempotency WHERE key = 'old-10000'") == []  # the oldest
    assert database.rows("SELECT FROM idempotency WHERE key = 'old-1'") != []


@contextmanager
def locked(database: Database, *rows: str) -> Iterator[None]:
    """Somebody else holds these rows."""
    with database.sessions() as other:
        for row in rows:
            assert other.execute(text(f"SELECT FROM {row} FOR UPDATE")).one() is not None
        yield
        other.rollback()


def test_what_cannot_be_forgotten_keeps_nothing_else(product: Product, database: Database) -> None:
    patient(product.engine, seconds=3)
    put_old_answers_and_news(database, 10)
    database.run(partial(sign_in_staff, username="nobody", password="wrong"), now=NOW - timedelta(days=1))
    answer, news = "idempotency WHERE key = 'old-1'", "outgoing WHERE subject = 'old' LIMIT 1"
    with locked(database, answer), pytest.raises(Busy):
        run(product, "forget")
    assert [left(database, name) for name in ("idempotency", "outgoing", "sign_in_attempts")] == [20, 10, 0]
    database.run(partial(tell, "taken"), now=NOW - timedelta(days=40))
    fill(database, "UPDATE outgoing SET taken_at = recorded_at, subject = 'old' WHERE subject = 'taken'")
    with locked(database, answer, news), pytest.raises(ExceptionGroup) as failed:
        run(product, "forget")
    assert [type(error) for error in failed.value.exceptions] == [Busy, Busy]
    assert run(product, "forget") == 11
    assert (left(database, "idempotency"), left(database, "outgoing")) == (10, 10)


def test_attempts_to_sign_in_are_forgotten_when_their_window_is_over_and_not_before(
    product: Product, database: Database, clock: FixedClock
) -> None:
    for number in range(4):  # names that nobody has, as an attacker sends them
        database.run(partial(sign_in_staff, username=f"nobody-{number}", password="wrong"), now=clock.now())
        clock.advance(timedelta(minutes=5))
    assert [run(product, "forget"), run(product, "forget")] == [2, 0]
    assert len(database.rows("SELECT FROM sign_in_attempts")) == 2
    clock.advance(timedelta(minutes=10))
    assert run(product, "forget") == 2


def test_a_broken_invariant_fails_the_run_and_stays_in_the_audit_trail(
    product: Product, database: Database
) -> None:
    database.run(citizen)
    assert run(product, "reconcile") == 0
    with database.sessions.begin() as session:
        session.execute(text("UPDATE ledger_balance SET posted = posted + 1"))
    with pytest.raises(BrokenInvariant, match="L1, L2, L4 do not hold"):
        run(product, "reconcile")
    found = database.rows("SELECT facts FROM audit_entry WHERE action = 'reconciliation.broken'")
    assert [row.facts for row in found] == [{"checks": ["L1", "L2", "L4"]}]


def test_a_stop_interrupts_what_cannot_wait_and_begins_nothing_new(
    product: Product, database: Database
) -> None:
    stop = Stop()
    turn = Turn(product, stop, time.monotonic() + 60)

    def sleep(call: Call) -> int:
        call.db.execute(text("SET LOCAL statement_timeout = 0"))
        call.db.execute(text("SELECT pg_sleep(60)"))
        return 1

    def asleep() -> bool:
        with database.sessions() as session:
            session.execute(text("SET LOCAL ROLE NONE"))  # others' waits are seen by the owner only
            return session.execute(text(sleepers)).first() is not None

    sleepers = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    with ThreadPoolExecutor(1) as worker:
        began = time.monotonic()
        sleeping = worker.submit(turn.repeat, sleep)
        while not asleep():
            assert time.monotonic() < began + 30
        stop.asked.set()
        stop.interrupt()
        with pytest.raises(Busy):
            sleeping.result()
    assert time.monotonic() - began < 60
    assert turn.repeat(sleep) == 0


def test_a_run_begins_nothing_after_its_time(product: Product) -> None:
    counted = threading.Event()

    def work(_: Call) -> int:
        counted.set()
        return 1

    assert Turn(product, Stop(), time.monotonic() - 1).repeat(work) == 0
    assert not counted.is_set()


def test_the_schedule_is_shown_with_its_last_and_next_runs(product: Product, database: Database) -> None:
    with database.sessions.begin() as session:
        session.execute(text("SET LOCAL search_path TO jobs"))
        for name, status in (("reconcile", "failed"), ("expire_coins", None)):
            session.execute(
                text(
                    "WITH j AS (INSERT INTO procrastinate_jobs (queue_name, task_name, status)"
                    " SELECT 'schedule', :name, 'failed' WHERE :status = 'failed' RETURNING id)"
                    " INSERT INTO procrastinate_periodic_defers (task_name, defer_timestamp, job_id)"
                    " VALUES (:name, :at, (SELECT id FROM j))"
                ),
                {"name": name, "status": status, "at": int(NOW.timestamp()) - 600},
            )
    with database.sessions() as session:
        found = {row.item.name: row for row in standings(session, NOW)}
    assert (found["reconcile"].outcome, found["reconcile"].failures) == ("failed", 1)
    assert (found["expire_coins"].outcome, found["expire_coins"].last) == (
        "done",
        NOW - timedelta(minutes=10),
    )
    assert found["expire_coins"].next == datetime(2026, 11, 20, 4, 5, tzinfo=UTC)
    assert (found["forget"].outcome, found["forget"].last) == ("never ran", None)
    add_commands(product)
    shown = product.flask.test_cli_runner().invoke(args=["schedule"])
    assert shown.exit_code == 0, shown.output
    assert "0 workers at work" in shown.output
    assert "11-20 12:05:00" in shown.output


def test_the_queues_tables_are_those_its_own_version_makes(database: Database) -> None:
    engine = create_engine(database.url, as_owner=True)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA fresh"))
        connection.execute(text("SET LOCAL search_path TO fresh"))
        driver = connection.connection.driver_connection
        assert isinstance(driver, Connection)
        driver.execute(SchemaManager.get_schema())
        seen = {}
        for schema in ("jobs", "fresh"):
            rows = connection.execute(_SHAPE, {"schema": schema}).all()
            seen[schema] = {(row.kind, row.name, _without(schema, row)) for row in rows}
    engine.dispose()
    assert seen["jobs"] ^ seen["fresh"] == set()
    assert len(seen["jobs"]) > 50


def _without(schema: str, row: Any) -> str:
    """What it says without its schema; functions name none, and use `jobs` as another name."""
    return str(row.text) if row.kind == "function" else re.sub(rf"\b{schema}\.", "", row.text)


_SHAPE = text(
    """
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
        udt_name || ' ' || is_nullable || ' ' || coalesce(column_default, '') AS text
        FROM information_schema.columns WHERE table_schema = :schema
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = :schema
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = to_regnamespace(:schema)
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = to_regnamespace(:schema)
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c
        ON c.oid = tgrelid WHERE relnamespace = to_regnamespace(:schema) AND NOT tgisinternal
    """
)
