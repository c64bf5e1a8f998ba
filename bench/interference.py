"""Redemptions over HTTP while a worker, a process of its own as in production, imports a long file.

They come at an even rate, and rounds with and without an import take turns, so that what else the machine
does meets both. Half of those who redeem ride in the files: the coins of those in a chunk are locked by it
for a moment.
"""

import itertools
import math
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import text

from app.parts import Child
from app.product_calls import run
from bench.arrivals import Arrival, arrivals
from bench.city import Person
from bench.delivery import Intake, hand_in
from bench.disk import syncs_beside
from bench.figures import Figure, paced
from bench.processes import wait_until, worker
from bench.records import as_csv, rides
from bench.scans import THREADS, Street, exchange, phones, redeem
from bench.served import asked_again
from carbon.activities.chunks import LONG_CHUNK_LINES
from carbon.activities.turns import CHUNK_LINES, LANES

ALONE = "redemption_alone"
NOTHING = "nothing"
CARDS = 100_000
"""Of a city, as its partner's files have them: few of them ride in any one chunk of 5,000 lines."""
FEW_CARDS = 2_000
"""Of a town in which most of those who ride do so in every chunk: far worse than any city is."""
ARRIVALS_MOST = 25.0
OF_THE_CAPACITY = 3
"""They come at a third of the rate that eight busy clients reach, or at ARRIVALS_MOST where that is less."""
LEAST = 2
"""Requests of a round: one who stays and one who rides."""
SECONDS_MOST = 170
"""Of all rounds, once vouchers are bought: where the machine is slow, later ones are left out."""
BUYING_SECONDS = 15
LARGER = 1.15
"""A file is so much larger than the pace lets expect: a round should rather be too long than too short."""
LOOK_SECONDS = 0.2
PERCENTILES = (*range(1, 100), 99.5, 100)


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a worker imports, in chunks of so many lines, so many transactions side by side, and what.

    Files are of so many cards; the first are those of the citizens who ride and redeem.
    """

    name: str
    chunk_lines: int
    lanes: int
    cards: int = CARDS


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often each pair of rounds is played, how long one is, and the manners of importing.

    A round beside an import ends with the import, or after `longer` times its seconds.
    """

    count: int = 2
    seconds: float = 7
    longer: float = 1.3
    manners: tuple[Manner, ...] = (
        Manner(name="import_5k", chunk_lines=5_000, lanes=1),
        Manner(name="import_5k_of_few", chunk_lines=5_000, lanes=1, cards=FEW_CARDS),
        Manner(name="import_by_day", chunk_lines=CHUNK_LINES, lanes=LANES),
        Manner(name="import_50k", chunk_lines=50_000, lanes=2),
    )

    @property
    def pair_seconds(self) -> float:
        """How long a round without and one with an import take at most."""
        return self.seconds * (1 + self.longer)


@dataclass(frozen=True, kw_only=True)
class Played:
    """One round: what went on beside, how the requests fared, and the lines a second of the import."""

    beside: str
    answered: list[Arrival]
    put_off: int
    syncs_ms: list[float]
    """How long the disk took to make a page durable, again and again meanwhile."""
    lines_per_second: float | None = None

    def row(self) -> dict[str, Any]:
        """The round in a table."""
        waits = sorted(each.wait_ms for each in self.answered)
        return {
            "beside": self.beside,
            "requests": len(waits),
            "put_off": self.put_off,
            "p50_ms": percentile(waits, 50),
            "p99_ms": percentile(waits, 99),
            "sync_p99_ms": percentile(sorted(self.syncs_ms), 99),
            "sync_most_ms": max(self.syncs_ms),
            "lines_per_second": self.lines_per_second,
        }


@dataclass
class _Stage:
    """The street with vouchers to redeem, in turns of those who stay and those who ride."""

    street: Street
    intake: Intake
    rounds: Rounds
    ends: float
    """When, of the monotonic clock, the last round should be over."""
    per_second: float
    shown: Callable[[int], str]
    numbers: Iterator[int]
    files: Iterator[int] = field(default_factory=itertools.count)
    pace: dict[str, float] = field(default_factory=dict)
    """Lines a second of each manner, as last seen: what sizes the next file."""
    in_a_part: dict[str, float] = field(default_factory=dict)
    """Of those who redeem, how many ride in a part of a chunk, in each manner."""
    put_off: list[float] = field(default_factory=list)

    @property
    def half(self) -> int:
        """How many stay; as many ride."""
        return len(self.street.city.people) // 2

    def redeem(self, number: int) -> None:
        """Redeem one voucher; who is put off comes again."""
        asked_again(
            lambda: redeem(self.street, self.shown(number), number, key=f"bench-beside-{number:06}"),
            put_off=self.put_off.append,
        )


def interference_figures(
    street: Street, intake: Intake, rounds: Rounds, *, capacity: float
) -> tuple[list[Figure], dict[str, Any]]:
    """How long redemptions take with and without an import beside; `capacity` of them a second is the most.

    The details are the rounds, and for each kind the milliseconds at each percentile.
    """
    stage = _set(street, intake, rounds, capacity=capacity)
    played = [each for manner in rounds.manners for each in _rounds_of(stage, manner)]
    return _figures(stage, played), {
        "redemption_rounds": [each.row() for each in played],
        "redemption_percentiles": {
            kind: [[most, round(percentile(_waits(played, kind), most), 2)] for most in PERCENTILES]
            for kind in (NOTHING, *(manner.name for manner in rounds.manners))
        },
    }


def percentile(waits: list[float], most: float) -> float:
    """What `most` percent of the sorted waits do not exceed (nearest rank)."""
    return waits[math.ceil(most / 100 * len(waits)) - 1]


def _set(street: Street, intake: Intake, rounds: Rounds, *, capacity: float) -> _Stage:
    """Buy as many vouchers as will be redeemed; where that takes too long, fewer, which then come slower."""
    pairs = len(rounds.manners) * rounds.count
    seconds = pairs * rounds.pair_seconds
    per_second = min(ARRIVALS_MOST, capacity / OF_THE_CAPACITY)
    bought: dict[int, str] = {}

    def buy(number: int) -> None:
        def ask() -> None:
            bought[number] = exchange(street, _who(street, number), key=f"bench-buy-{number:06}")

        asked_again(ask)

    count = int(per_second * seconds) + 2 * LEAST * pairs
    paced(buy, count=count, threads=THREADS, seconds_max=BUYING_SECONDS)
    unbroken = itertools.takewhile(bought.__contains__, itertools.count())
    vouchers = [bought[number] for number in unbroken]
    return _Stage(
        street=street,
        intake=intake,
        rounds=rounds,
        ends=time.monotonic() + SECONDS_MOST,
        per_second=min(per_second, len(vouchers) / seconds),
        shown=phones(street, vouchers),
        numbers=iter(range(len(vouchers))),
    )


def _who(street: Street, number: int) -> Person:
    """Whose turn it is: one who stays, one who rides, and so on."""
    half = len(street.city.people) // 2
    return street.city.people[number // 2 % half + number % 2 * half]


def _rounds_of(stage: _Stage, manner: Manner) -> Iterator[Played]:
    """Without, with, without, with. The worker lives in all of them, so that only the import is beside."""
    product, rounds = stage.street.product, stage.rounds
    folder = product.settings.tanpuhui_data
    with worker(product, folder, chunk_lines=manner.chunk_lines, lanes=manner.lanes) as child:
        # It loads what it needs, and the next file is sized by its pace.
        stage.pace[manner.name] = _imported(stage, child, _file(stage, manner, manner.chunk_lines))
        for place in range(rounds.count):
            if place and time.monotonic() + rounds.pair_seconds > stage.ends:
                break
            yield _alone(stage)
            yield _beside(stage, child, manner)


def _imported(stage: _Stage, child: Child, made: pl.DataFrame) -> float:
    batch = _hand_in(stage, made)
    wait_until(lambda: _state(stage, batch) == "done", child)
    return _pace(stage, batch)


def _alone(stage: _Stage) -> Played:
    ends = time.monotonic() + stage.rounds.seconds
    return _play(stage, NOTHING, while_=lambda: time.monotonic() < ends)


def _beside(stage: _Stage, child: Child, manner: Manner) -> Played:
    """Redeem from the moment a worker takes up the file until it has done its last line."""
    wanted = int(stage.pace[manner.name] * stage.rounds.seconds * LARGER)
    made = _file(stage, manner, max(2 * manner.chunk_lines, wanted))
    stage.in_a_part[manner.name] = _share_in_a_part(stage, made, manner)
    batch = _hand_in(stage, made)
    wait_until(lambda: _state(stage, batch) != "uploaded", child)
    with _running(stage, batch) as running:
        ends = time.monotonic() + stage.rounds.longer * stage.rounds.seconds
        played = _play(stage, manner.name, while_=lambda: running() and time.monotonic() < ends)
        stage.pace[manner.name] = _pace(stage, batch)
    wait_until(lambda: _state(stage, batch) == "done", child)  # the next round is to have nothing beside
    return replace(played, lines_per_second=stage.pace[manner.name])


def _play(stage: _Stage, beside: str, *, while_: Callable[[], bool]) -> Played:
    before = len(stage.put_off)
    with syncs_beside(stage.street.product.settings.tanpuhui_data) as syncs:
        answered = arrivals(
            stage.redeem, numbers=stage.numbers, per_second=stage.per_second, least=LEAST, while_=while_
        )
    return Played(beside=beside, answered=answered, put_off=len(stage.put_off) - before, syncs_ms=syncs)


def _file(stage: _Stage, manner: Manner, lines: int) -> pl.DataFrame:
    """Rides of a month: of those who ride, and of many who redeem nothing."""
    month = next(stage.intake.months)
    return rides(lines, citizens=manner.cards - stage.half, first_card=stage.half, month=month)


def _share_in_a_part(stage: _Stage, made: pl.DataFrame, manner: Manner) -> float:
    """Of those who redeem, how many one transaction meets: who rides in a chunk is in one of its parts."""
    cards = [who.card for who in stage.street.city.people]
    shares = []
    for chunk in made.iter_slices(LONG_CHUNK_LINES):
        parts = -(-chunk.height // manner.chunk_lines) * manner.lanes
        shares.append(chunk.filter(pl.col("subject").is_in(cards))["subject"].n_unique() / parts)
    return statistics.fmean(shares) / len(cards)


def _hand_in(stage: _Stage, made: pl.DataFrame) -> UUID:
    return hand_in(stage.intake, as_csv(made), form="csv", reference=f"beside {next(stage.files)}")


def _state(stage: _Stage, batch: UUID) -> str:
    product = stage.street.product
    return str(run(product, lambda call: call.db.execute(_STATE, {"batch": batch}).scalar_one()))


@contextmanager
def _running(stage: _Stage, batch: UUID) -> Iterator[Callable[[], bool]]:
    """Whether a worker still works on the batch, looked at beside the requests and not between them."""
    over = threading.Event()

    def watch() -> None:
        while not over.is_set() and _state(stage, batch) == "running":
            over.wait(LOOK_SECONDS)
        over.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: not over.is_set()
    finally:
        over.set()
        watcher.join()


def _pace(stage: _Stage, batch: UUID) -> float:
    """Lines a second from when a worker took the batch up until its end, or until now."""
    product = stage.street.product
    row = run(product, lambda call: call.db.execute(_PACE, {"batch": batch, "now": call.now}).one())
    return float(row.lines_done / row.seconds)


def _waits(played: list[Played], beside: str, *, riders: bool = False) -> list[float]:
    """The sorted waits of all rounds of a kind; of those who ride only, where asked."""
    answered = [each for one in played if one.beside == beside for each in one.answered]
    return sorted(each.wait_ms for each in answered if not riders or each.number % 2)


def _figures(stage: _Stage, played: list[Played]) -> list[Figure]:
    alone = _waits(played, NOTHING)
    figures = [
        Figure(name="redemption_arrivals", value=stage.per_second, unit="/s"),
        *_latencies(ALONE, alone, beside=None),
        _syncs(played, NOTHING, "alone"),
    ]
    for manner in stage.rounds.manners:
        name = f"beside_{manner.name}"
        paces = [
            one.lines_per_second
            for one in played
            if one.lines_per_second is not None and one.beside == manner.name
        ]
        figures += [
            *_latencies(f"redemption_{name}", _waits(played, manner.name), beside=alone),
            *_latencies(
                f"redemption_of_riders_{name}", _waits(played, manner.name, riders=True), beside=alone
            ),
            Figure(
                name=f"redeeming_citizens_in_a_part_of_{manner.name}",
                value=100 * stage.in_a_part[manner.name],
                unit="%",
            ),
            _syncs(played, manner.name, name),
            Figure(name=f"{manner.name}_beside_redemptions", value=statistics.fmean(paces), unit="lines/s"),
        ]
    return figures


def _syncs(played: list[Played], beside: str, name: str) -> Figure:
    """How long the disk needed for a page meanwhile."""
    took = sorted(ms for one in played if one.beside == beside for ms in one.syncs_ms)
    return Figure(name=f"disk_sync_{name}_p99", value=percentile(took, 99), unit="ms")


def _latencies(name: str, waits: list[float], *, beside: list[float] | None) -> list[Figure]:
    """The p50 and p99 of sorted waits, each beside that of `beside`."""
    figures = []
    for most in (50, 99):
        value = percentile(waits, most)
        control = None if beside is None else f"{ALONE}_p{most}"
        ratio = None if beside is None else value / percentile(beside, most)
        figures.append(Figure(name=f"{name}_p{most}", value=value, unit="ms", control=control, ratio=ratio))
    return figures


_STATE = text("SELECT state FROM activity_batch WHERE id = :batch")
_PACE = text(
    "SELECT b.lines_done, extract(epoch FROM coalesce(b.finished_at, CAST(:now AS timestamptz))"
    " - (SELECT min(s.recorded_at) FROM activity_batch_step s"
    "  WHERE s.batch_id = b.id AND s.to_state = 'running')) AS seconds"
    " FROM activity_batch b WHERE b.id = :batch"
)
