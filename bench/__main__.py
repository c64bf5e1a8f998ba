"""`make bench`: a throw-away database on a durable PostgreSQL of its own, a few minutes of work, figures.

Bounded: it stops by itself. Compare figures of one run with each other, never across machines.
"""

import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import make_url, text

from app.embedded import start_postgres, start_valkey
from app.factory import Product, create_product
from app.settings import Settings
from bench.activities import Intake, activity_figures
from bench.city import bind_cards, found_city
from bench.codes import code_figures
from bench.figures import Figure, keep
from bench.ledger import CONTROL, bulk_figures, ledger_figures
from bench.records import cards
from bench.scans import Street, scan_figures
from bench.served import served
from kernel.database import create_engine, in_transaction

ROOT = Path(__file__).parents[1]
SHOWN = (
    "shared_buffers",
    "max_wal_size",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "server_version",
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much of each is done; the whole takes less than four minutes, for it does less where it is slow."""

    citizens: int = 200
    tills: int = 8
    records: int = 300_000
    cards: int = 30_000
    credits: int = 200_000
    postings: int = 4_000
    requests: int = 2_000
    codes: int = 5_000


def main() -> int:
    """Measure, print and keep; returns the exit status."""
    data = Path(os.environ.get("TANPUHUI_DATA", "var")).resolve() / "bench"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does, in order
    try:
        with contextlib.ExitStack() as stack:
            postgres = start_postgres(data, database="bench")
            stack.callback(postgres.stop)
            valkey = start_valkey(data)
            stack.callback(valkey.stop)
            stack.callback(_deaf)
            figures, surroundings = measure(postgres.url, valkey.url, data=data, size=Size())
    except KeyboardInterrupt:
        print("Stopped; nothing was kept.")
        return 130
    print(", ".join(f"{name} {value}" for name, value in surroundings.items()))
    for figure in figures:
        print(figure.line())
    keep(figures, surroundings, data / "latest.json")
    return 0


def _deaf() -> None:
    """A second Ctrl-C must not tear the stopping of what was started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def measure(
    database_url: str, cache_url: str, *, data: Path, size: Size, environment: str = "development"
) -> tuple[list[Figure], dict[str, str]]:
    """All figures on a fresh schema, and the surroundings that they depend on.

    Only `environment` "test" may run on a database that does not survive a crash.
    """
    fresh_schema(database_url)
    settings = Settings(
        environment=environment,
        tanpuhui_data=data,
        database_url=database_url,
        redis_url=cache_url,
        jwt_secret="b" * 32,
        key_ring_secret="0b" * 32,
        card_hash_secret="b" * 32,
        log_level="error",
        pool_size=16,
    )
    product = create_product(settings)
    try:
        surroundings = _surroundings(product)
        return _figures(product, data, size), {**surroundings, "load_after": _load()}
    finally:
        product.close()


def _figures(product: Product, data: Path, size: Size) -> list[Figure]:
    say("a city is founded …")
    city = found_city(product, citizens=size.citizens, tills=size.tills)
    say("codes and images …")
    figures = code_figures(product, codes=size.codes)
    say("postings, one by one …")
    figures += ledger_figures(product, city, count=size.postings)
    beside = next(figure.value for figure in figures if figure.name == CONTROL)
    say("exchanges and redemptions over HTTP …")
    with served(product.settings, data) as clients:
        street = Street(product=product, city=city, clients=clients)
        figures += scan_figures(street, count=size.requests, row_updates=beside)
    say("postings in bulk …")
    figures += bulk_figures(product, rows=size.credits, citizens=max(1, size.credits // 10))
    say("partners' files …")
    bind_cards(product, city.partner_id, cards(size.cards))
    intake = Intake(product=product, partner_id=city.partner_id, uploads=data / "uploads")
    return figures + activity_figures(intake, records=size.records, cards=size.cards)


def say(text: str) -> None:
    """What is being done, for who waits."""
    print(f"… {text}", flush=True)


def fresh_schema(url: str) -> None:
    """Throw the database of `url` away and build it anew by the migrations."""
    made = make_url(url)
    name = sql.Identifier(made.database or "")
    server = made.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    engine = create_engine(url, as_owner=True)
    config = Config(ROOT / "alembic.ini")
    with engine.connect() as opened:
        config.attributes["connection"] = opened
        command.upgrade(config, "head")
    engine.dispose()


def _surroundings(product: Product) -> dict[str, str]:
    rows = in_transaction(
        product.door.sessions,
        lambda session: session.execute(
            text("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY (:names)"),
            {"names": list(SHOWN)},
        ).all(),
    )
    return {**{row.name: row.value for row in rows}, "cores": str(os.cpu_count()), "load_before": _load()}


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


if __name__ == "__main__":
    sys.exit(main())
