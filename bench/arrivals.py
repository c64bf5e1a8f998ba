"""Requests that come when they come, whether the ones before were answered or not (an open loop).

How long one waited is measured from the moment at which it was to begin: a server that stalls is not
spared the requests that would have come meanwhile.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

THREADS = 32
"""So many at once; should more be waiting, the next begins late, and that counts as its waiting too."""


@dataclass(frozen=True)
class Arrival:
    """One request: its number, and the milliseconds from when it was to begin to its answer."""

    number: int
    wait_ms: float


def arrivals(
    deed: Callable[[int], object],
    *,
    numbers: Iterator[int],
    per_second: float,
    least: int,
    while_: Callable[[], bool],
    threads: int = THREADS,
) -> list[Arrival]:
    """Begin `deed` with the next number at even distances while there are numbers and `while_` holds.

    At least so many begin.
    """
    begin = time.perf_counter()
    answered = []

    def timed(number: int, intended: float) -> Arrival:
        deed(number)
        return Arrival(number, (time.perf_counter() - intended) * 1000)

    with ThreadPoolExecutor(threads) as pool:
        place = 0
        while (place < least or while_()) and (number := next(numbers, None)) is not None:
            intended = begin + place / per_second
            time.sleep(max(0.0, intended - time.perf_counter()))
            answered.append(pool.submit(timed, number, intended))
            place += 1
    return [each.result() for each in answered]
