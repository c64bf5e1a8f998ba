"""How a figure is taken, printed and kept: a value, its unit, its control, their ratio."""

import json
import statistics
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

SECONDS_MAX = 10
"""Of one run of equal deeds: a busy machine gives fewer of them, not a longer bench."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value; `control` names the raw limit of the same run that `ratio` compares it to."""

    name: str
    value: float
    unit: str
    control: str | None = None
    ratio: float | None = None

    def line(self) -> str:
        """The figure for a reader."""
        beside = "" if self.ratio is None else f"   {self.ratio:.2f} of {self.control}"
        return f"{self.name:<46}{self.value:>14,.1f} {self.unit:<8}{beside}"


@dataclass(frozen=True)
class Measured:
    """Everything that a run found."""

    figures: list[Figure]
    surroundings: dict[str, str]
    details: dict[str, Any]
    """What plots are drawn of, behind the figures: curves as pairs of x and y, and tables of rounds."""

    def show(self) -> None:
        """Print it for a reader."""
        print(", ".join(f"{name} {value}" for name, value in self.surroundings.items()))
        for figure in self.figures:
            print(figure.line())


@dataclass(frozen=True)
class Paced:
    """What a run of equal deeds gave: deeds a second and the waiting of one, in milliseconds."""

    per_second: float
    p50_ms: float
    p99_ms: float
    count: int
    """How many deeds were done."""

    def figures(self, name: str, *, control: str | None = None, beside: float | None = None) -> list[Figure]:
        """The three figures of a run; the rate is compared to `beside` deeds a second."""
        ratio = None if beside is None else self.per_second / beside
        return [
            Figure(name=name, value=self.per_second, unit="/s", control=control, ratio=ratio),
            Figure(name=f"{name}_p50", value=self.p50_ms, unit="ms"),
            Figure(name=f"{name}_p99", value=self.p99_ms, unit="ms"),
        ]


def paced(
    deed: Callable[[int], object], *, count: int, threads: int, seconds_max: int = SECONDS_MAX
) -> Paced:
    """Do `deed(0) … deed(count - 1)` with so many at once, and begin none after `seconds_max`."""
    waits: list[float] = []
    begin = perf_counter()

    def timed(number: int) -> None:
        start = perf_counter()
        if start - begin > seconds_max:
            return
        deed(number)
        waits.append((perf_counter() - start) * 1000)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(timed, range(count)))
    took = perf_counter() - begin
    cuts = statistics.quantiles(waits, n=100)
    return Paced(len(waits) / took, cuts[49], cuts[98], len(waits))


def seconds(deed: Callable[[], object]) -> float:
    """How long `deed` takes."""
    start = perf_counter()
    deed()
    return perf_counter() - start


def core_rate(deed: Callable[[], object], *, count: int) -> float:
    """How many `count` are in a second of one core's time, whatever else the machine does."""
    start = thread_time()
    deed()
    return count / (thread_time() - start)


def compared(figure: Figure, control: Figure, *, short: str) -> Figure:
    """The same value beside another control, which `short` names."""
    return Figure(
        name=f"{figure.name}_beside_{short}",
        value=figure.value,
        unit=figure.unit,
        control=control.name,
        ratio=figure.value / control.value,
    )


def named(figures: list[Figure], name: str) -> Figure:
    """The figure of that name."""
    (found,) = (figure for figure in figures if figure.name == name)
    return found


def keep(measured: Measured, path: Path) -> None:
    """Write `{name: {value, unit, control, ratio}}` with the surroundings and the details beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept: dict[str, object] = {}
    for figure in measured.figures:
        row = asdict(figure)
        kept[row.pop("name")] = row
    kept |= {"surroundings": measured.surroundings, "details": measured.details}
    path.write_text(json.dumps(kept, indent=2) + "\n")
