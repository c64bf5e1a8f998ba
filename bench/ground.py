"""Where is measured: servers of the bench's own, a schema built anew by the migrations, their settings."""

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
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
from bench.figures import Measured, keep
from kernel.database import create_engine, in_transaction

ROOT = Path(__file__).parents[1]
SHOWN = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "checkpoint_timeout",
    "wal_compression",
)


@dataclass(frozen=True, kw_only=True)
class Servers:
    """A durable PostgreSQL and a Valkey."""

    database_url: str
    cache_url: str
    folder: Path
    """Where the rows lie."""


def run_bench(measure: Callable[[Product, Path], Measured], *, kept: str) -> int:
    """Measure on an empty schema, print, and keep it under that name; returns the exit status."""
    data = data_folder()
    try:
        with servers(database="bench") as own:
            fresh_schema(own.database_url)
            with product_on(own.database_url, own.cache_url, data=data) as product:
                measured = measure(product, data)
    except KeyboardInterrupt:
        print("Stopped; nothing was kept.")
        return 130
    measured.show()
    keep(measured, data / kept)
    return 0


@contextlib.contextmanager
def servers(*, database: str) -> Iterator[Servers]:
    """The bench's own servers below the folder of the settings, stopped at the end, also on Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does, in order
    data = data_folder()
    with contextlib.ExitStack() as stack:
        postgres = start_postgres(data, database=database)
        stack.callback(postgres.stop)
        valkey = start_valkey(data)
        stack.callback(valkey.stop)
        stack.callback(_deaf)
        yield Servers(database_url=postgres.url, cache_url=valkey.url, folder=postgres.folder)


def data_folder() -> Path:
    """Where figures are kept, and the servers' files."""
    return Path(os.environ.get("TANPUHUI_DATA", "var")).resolve() / "bench"


def _deaf() -> None:
    """A second Ctrl-C must not tear the stopping of what was started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def product_on(
    database_url: str, cache_url: str, *, data: Path, environment: str = "development"
) -> Iterator[Product]:
    """The product on an empty schema; only in "test" on a database that does not survive a crash."""
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
        yield product
    finally:
        product.close()


def throw_away(url: str, *, make: bool) -> None:
    """Drop the database of `url`, and make it anew where that is wanted."""
    made = make_url(url)
    name = sql.Identifier(made.database or "")
    server = made.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        if make:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))


def fresh_schema(url: str) -> None:
    """Throw the database of `url` away and build it anew by the migrations."""
    throw_away(url, make=True)
    engine = create_engine(url, as_owner=True)
    config = Config(ROOT / "alembic.ini")
    with engine.connect() as opened:
        config.attributes["connection"] = opened
        command.upgrade(config, "head")
    engine.dispose()


def surroundings_of(product: Product) -> dict[str, str]:
    """What figures depend on: PostgreSQL's settings, the cores, the disk, and what else they do."""
    rows = in_transaction(
        product.door.sessions,
        lambda session: session.execute(
            text("SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY (:names)"),
            {"names": list(SHOWN)},
        ).all(),
    )
    known = {row.name: row.value for row in rows}
    return {
        **{name: known[name] for name in SHOWN},
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "disk": file_system(product.settings.tanpuhui_data),
        "load_before": load(),
    }


def file_system(folder: Path) -> str:
    """What a folder lies on, such as ext4, or tmpfs, which is memory: a page is durable there at once."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return max((len(place), kind) for place, kind in mounts if folder.is_relative_to(place))[1]


def load() -> str:
    """How many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def free_bytes(folder: Path) -> int:
    """What the disk of `folder` has left."""
    return shutil.disk_usage(folder).free


def say(text: str) -> None:
    """What is being done, for who waits."""
    print(f"… {text}", flush=True)
