"""`make bench`: a throw-away database on a durable PostgreSQL of its own, a minute of work, figures.

Bounded: it stops by itself. Compare figures of one run with each other, never across machines.
"""

import os
import sys
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import make_url, text

from app.embedded import start_postgres, start_valkey
from app.factory import Product, create_product
from app.settings import Settings
from bench.codes import code_figures
from bench.figures import Figure, keep, paced
from bench.ledger import City, bulk_figures, ledger_figures
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


def main() -> int:
    """Measure, print and keep; returns the exit status."""
    data = Path(os.environ.get("TANPUHUI_DATA", "var")).resolve() / "bench"
    postgres, valkey = start_postgres(data, database="bench"), start_valkey(data)
    try:
        figures, settings = measure(postgres.url, valkey.url)
    finally:
        valkey.stop()
        postgres.stop()
    print("PostgreSQL:", ", ".join(f"{name} {value}" for name, value in settings.items()))
    for figure in figures:
        print(figure.line())
    keep(figures, settings, data / "latest.json")
    return 0


def measure(database_url: str, cache_url: str) -> tuple[list[Figure], dict[str, str]]:
    """All figures on a fresh schema, and the settings that they depend on."""
    fresh_schema(database_url)
    product = create_product(
        Settings(
            environment="development",
            database_url=database_url,
            redis_url=cache_url,
            jwt_secret="b" * 32,
            key_ring_secret="0b" * 32,
            card_hash_secret="b" * 32,
            log_level="error",
            pool_size=16,
        )
    )
    try:
        city = City.found(product, citizens=2_000)
        figures = [
            *_door_figures(product),
            *bulk_figures(product, rows=200_000, citizens=20_000),
            *ledger_figures(product, city),
            *code_figures(product),
        ]
        return figures, _settings(product)
    finally:
        product.close()


def _door_figures(product: Product) -> list[Figure]:
    """An empty endpoint through the whole door: what any request costs at least."""
    client = product.flask.test_client()
    run = paced(lambda _: client.get("/v1/public/keys"), count=1_000, threads=1)
    return run.figures("door_public_keys_in_process")


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


def _settings(product: Product) -> dict[str, str]:
    rows = in_transaction(
        product.door.sessions,
        lambda session: session.execute(
            text("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY (:names)"),
            {"names": list(SHOWN)},
        ).all(),
    )
    return {row.name: row.value for row in rows}


if __name__ == "__main__":
    sys.exit(main())
