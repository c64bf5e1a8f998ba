"""Processes of the product beside the one that measures, with the settings and the databases of the bench."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text

from app.factory import Product
from app.parts import PARTS, Child
from app.product_calls import run
from app.schedule import SCHEDULE
from app.settings import Settings
from kernel.call import Call
from kernel.errors import BrokenInvariant

HANDED_ON = ("environment", "database_url", "redis_url", "jwt_secret", "key_ring_secret", "card_hash_secret")
WAIT_SECONDS = 60


def environment(settings: Settings, folder: Path, **more: str) -> dict[str, str]:
    """The environment of a process that finds what we find, set up as by `wsgi.py`, and `more` of its own."""
    given = {name.upper(): str(getattr(settings, name)) for name in HANDED_ON}
    ours = {"LOG_LEVEL": "error", "POLARS_MAX_THREADS": "1", "TANPUHUI_DATA": str(folder)}
    return {**os.environ, **given, **ours, **more}


@contextlib.contextmanager
def standing(name: str, command: list[str], env: dict[str, str], folder: Path) -> Iterator[Child]:
    """`python -m command` as a process that is ended at the end; what it says goes to `folder`/`name`.log."""
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    child = Child(name, command, env, log)
    child.start()
    try:
        yield child
    finally:
        child.stop()


@contextlib.contextmanager
def worker(product: Product, folder: Path, *, chunk_lines: int, lanes: int) -> Iterator[Child]:
    """The product's own worker, at work and idle, importing in such chunks."""
    (part,) = (part for part in PARTS if part.name == "worker")
    env = environment(product.settings, folder, IMPORT_CHUNK_LINES=str(chunk_lines), IMPORT_LANES=str(lanes))
    since = product.door.clock.now()
    with standing("worker", part.command(product.settings, 0, 0), env, folder) as child:
        wait_until(lambda: run(product, lambda call: _is_idle(call, since)), child)
        yield child


def wait_until(holds: Callable[[], bool], child: Child, *, pause: float = 0.05) -> None:
    """Wait for what a process brings about; raises with its last words when it ends or takes too long."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and child.status() is None:
        if holds():
            return
        time.sleep(pause)
    raise BrokenInvariant(f"it was waited for in vain: {child.obituary(child.status())}")


def _is_idle(call: Call, since: object) -> bool:
    """Whether it lives, and has made up for the rare runs that a first start finds missed."""
    rare = [item.name for item in SCHEDULE if len(item.cron.split()) == 5]
    row = call.db.execute(_IDLE, {"since": since, "rare": rare}).one()
    return bool(row.lives) and row.deferred == len(rare) and not row.waiting


_IDLE = text(
    "SELECT EXISTS (SELECT FROM jobs.procrastinate_workers WHERE last_heartbeat >= :since) AS lives,"
    " (SELECT count(DISTINCT task_name) FROM jobs.procrastinate_periodic_defers"
    "  WHERE task_name = ANY (:rare)) AS deferred,"
    " (SELECT count(*) FROM jobs.procrastinate_jobs"
    "  WHERE task_name = ANY (:rare) AND status IN ('todo', 'doing')) AS waiting"
)
