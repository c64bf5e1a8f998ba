"""`make bench-cost`: what a redemption costs in processor time, beside an endpoint that updates one row.

Both go through the same door of the same server in the same minutes, in rounds that take turns: a till's
secret, the schema of a scan, an idempotency row, a transaction, a commit. Processor time is what the system
charged to all processes of the web server, and to all of PostgreSQL's, so it hardly depends on what else the
machine does.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from app.factory import Product
from app.parts import Child
from bench.city import found_city
from bench.codes import code_figures
from bench.figures import Figure, Measured, paced
from bench.ground import load, run_bench, say, surroundings_of
from bench.scans import Street, exchange, phones, redeem
from bench.served import serving
from bench.wsgi import ONE_ROW, ROWS, make_rows
from kernel.errors import BrokenInvariant

THREADS = 4
SECONDS_MOST = 60
"""Of one round."""
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """How many rounds of each, and of how many requests."""

    rounds: int = 5
    requests: int = 400
    codes: int = 5_000


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Processor milliseconds of one request of a round, in the web server and in PostgreSQL."""

    web_ms: float
    database_ms: float

    @property
    def total_ms(self) -> float:
        """Both."""
        return self.web_ms + self.database_ms


def main() -> int:
    """Measure, print and keep; returns the exit status."""
    return run_bench(lambda product, data: measure_cost(product, data=data, cost=Cost()), kept="cost.json")


def measure_cost(product: Product, *, data: Path, cost: Cost) -> Measured:
    """All rounds, on an empty schema, and what a code costs."""
    surroundings = surroundings_of(product)
    make_rows(product.settings.database_url)
    say("a city is founded …")
    city = found_city(product, citizens=200, tills=8)
    with serving(product.settings, data) as (server, clients):
        street = Street(product=product, city=city, clients=clients)
        say("vouchers are bought …")
        played = list(_rounds(street, cost, server))
    say("codes …")
    codes = [each for each in code_figures(product, codes=cost.codes) if each.name.startswith("code_")]
    details = [{"of": of, "web_ms": spent.web_ms, "database_ms": spent.database_ms} for of, spent in played]
    return Measured(
        [*_figures(played), *codes], {**surroundings, "load_after": load()}, {"cost_rounds": details}
    )


def _rounds(street: Street, cost: Cost, server: Child) -> Iterator[tuple[str, Spent]]:
    people, count = street.city.people, cost.rounds * cost.requests
    vouchers = [
        exchange(street, people[number % len(people)], key=f"bench-cost-{number:06}")
        for number in range(count)
    ]
    shown, numbers, updates = phones(street, vouchers), itertools.count(), itertools.count()
    tills = street.city.till_tokens

    def redeemed(_: int) -> None:
        number = next(numbers)
        redeem(street, shown(number), number, key=f"bench-redeem-{number:06}")

    def updated(_: int) -> None:
        number = next(updates)
        street.clients.post(
            ONE_ROW,
            {"code": f"{number % ROWS:0147}"},
            token=tills[number % len(tills)],
            key=f"bench-update-{number:06}",
        )

    for deed, times in ((updated, 40), (redeemed, 0)):  # the first requests of a server import and connect
        paced(deed, count=max(times, 8 * THREADS), threads=THREADS)
    for number in range(cost.rounds):
        say(f"round {number + 1} of {cost.rounds} …")
        yield "one_row", _spent(street.product, server, updated, cost.requests)
        yield "redemption", _spent(street.product, server, redeemed, cost.requests - 8 * THREADS)


def _spent(product: Product, server: Child, deed: Callable[[int], None], count: int) -> Spent:
    web, database = _web(server), _database(product)
    done = paced(deed, count=count, threads=THREADS, seconds_max=SECONDS_MOST).count
    return Spent(
        web_ms=_since(web, _web(server)) / done, database_ms=_since(database, _database(product)) / done
    )


def _web(server: Child) -> dict[int, int]:
    """The server and its children: all of the session that it leads."""
    if server.process is None:
        raise BrokenInvariant("the server runs")
    leader = server.process.pid
    return {stat.pid: stat.ticks for stat in _stats() if stat.session == leader}


def _database(product: Product) -> dict[int, int]:
    """What serves this database, and the helpers of the whole server; not what serves others beside it."""
    with product.engine.connect() as connection:
        serving_it = set(connection.execute(_SERVING).scalars())
    return {stat.pid: stat.ticks for stat in _stats() if stat.pid in serving_it}


def _since(before: dict[int, int], after: dict[int, int]) -> float:
    """Milliseconds used meanwhile; of a process that has ended, nothing is known any more."""
    return sum(ticks - before.get(pid, 0) for pid, ticks in after.items()) * TICK_MS


@dataclass(frozen=True)
class _Stat:
    """A line of /proc: who, of which session, and its ticks of processor time."""

    pid: int
    session: int
    ticks: int


def _stats() -> Iterator[_Stat]:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        yield _Stat(int(folder.name), int(words[3]), int(words[11]) + int(words[12]))


def _figures(played: list[tuple[str, Spent]]) -> list[Figure]:
    figures = []
    for part in ("web_ms", "database_ms", "total_ms"):
        control, ours = (_mean(played, of, part) for of in ("one_row", "redemption"))
        name = part.removesuffix("_ms")
        figures += [
            Figure(name=f"one_row_cpu_{name}", value=control, unit="ms"),
            Figure(
                name=f"redemption_cpu_{name}",
                value=ours,
                unit="ms",
                control=f"one_row_cpu_{name}",
                ratio=ours / control,
            ),
        ]
    return figures


def _mean(played: list[tuple[str, Spent]], of: str, part: str) -> float:
    found: list[Any] = [getattr(spent, part) for name, spent in played if name == of]
    return float(sum(found) / len(found))


_SERVING = text("SELECT pid FROM pg_stat_activity WHERE datname = current_database() OR datname IS NULL")

if __name__ == "__main__":
    sys.exit(main())
