"""A file's lines cut into chunks, and a chunk into parts: transactions, some of which run side by side.

Chunks keep the file's order, and one is done before the next begins. Parts cut a chunk by whose lines they
are: each meets few people, whose rows lie together, and hardly ever waits for another's rows. The lines of
one subject, and those of one fact, stay in one part, in their order.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.steps import STEPS_MOST, depend, steps_of

Item = TypeVar("Item")
Order = Callable[[pl.Series], pl.Series]
LONG_CHUNK_LINES = 200_000
"""Enough that a part of a few thousand lines meets each of its people several times."""
CORRECTIONS_MOST = 500
"""Each is taken back by itself, in 2 ms, while balances are locked: who spends coins waits for a second."""
PART_LINES_LEAST = 500
"""A transaction of fewer lines costs more than it gains."""


@dataclass(frozen=True)
class Chunk:
    """Neighbouring lines of a file, in parts; a part's pieces, mostly one, are taken one after another."""

    parts: list[list[pl.DataFrame]]
    lines: int
    last_line: int


def chunks_of(
    frames: Iterable[pl.DataFrame], *, size: Callable[[], int], claims_trips: bool = False
) -> Generator[pl.DataFrame]:
    """Chunks of the lines, wherever the frames end; the last one is shorter.

    `size` says for each how many lines may be at work at once. Where they may be taken in any order, a chunk
    is as long as it gains by that, and else has as many.
    """
    rest: pl.DataFrame | None = None
    most = size()
    for frame in frames:
        rest = frame if rest is None else pl.concat([rest, frame])
        while rest.height >= _longest(most):
            chunk = _first_of(rest, most, claims_trips=claims_trips)
            rest = rest.slice(chunk.height)
            yield chunk
            most = size()
    while rest is not None and not rest.is_empty():
        chunk = _first_of(rest, most, claims_trips=claims_trips)
        rest = rest.slice(chunk.height)
        yield chunk
        most = size()


def _longest(most: int) -> int:
    return most if most < PART_LINES_LEAST else max(most, LONG_CHUNK_LINES)


def _first_of(lines: pl.DataFrame, most: int, *, claims_trips: bool) -> pl.DataFrame:
    chunk = lines.head(_longest(most))
    if _keeps_its_order(chunk):
        chunk = chunk.head(most)
    return _of_few_steps(chunk, claims_trips=claims_trips)


def _keeps_its_order(chunk: pl.DataFrame) -> bool:
    """Whether it may claim meters: two subjects may claim days of one, and the first line shall have them.

    A correction does not name its meter.
    """
    return any(chunk[name].null_count() < chunk.height for name in ("meter", "corrects_revision"))


def _of_few_steps(chunk: pl.DataFrame, *, claims_trips: bool) -> pl.DataFrame:
    """The chunk up to the line that would be one step, or one correction, too many for a transaction."""
    if not depend(chunk, claims_trips=claims_trips):
        return chunk
    corrects = (pl.col("outcome") == ACTIVITY) & pl.col("corrects_revision").is_not_null()
    too_many = chunk.select((corrects & (corrects.cum_sum() > CORRECTIONS_MOST)).arg_true()).to_series()
    chunk = chunk.head(too_many[0]) if len(too_many) else chunk
    return chunk.head(len(steps_of(chunk, person="subject", most=STEPS_MOST)))


def cut(chunk: pl.DataFrame, *, at_once: int, lanes: int, order: Order = lambda subjects: subjects) -> Chunk:
    """The chunk in parts, of which `lanes` are taken side by side and have `at_once` lines together.

    `order` gives for each subject by what people are told from their neighbours. Parts are as many as their
    lines want, and more for as many lanes; one where the chunk is small or keeps its order.
    """
    count = min(-(-chunk.height // at_once) * lanes, chunk.height // PART_LINES_LEAST)
    if count <= 1 or _keeps_its_order(chunk):
        parts = [[chunk]]
    else:
        most = max(1, 2 * at_once // lanes)
        parts = [list(part.iter_slices(most)) for part in _by_whose(chunk, order(chunk["subject"]), count)]
    return Chunk(parts, lines=chunk.height, last_line=chunk["line_no"][-1])


def _by_whose(chunk: pl.DataFrame, who: pl.Series, parts: int) -> list[pl.DataFrame]:
    """So many parts at most, of about as many lines where nobody has many; nobody's lines go anywhere."""
    place = (who.rank("min").cast(pl.Int64) - 1) * parts // max(1, who.len() - who.null_count())
    anywhere = pl.int_range(chunk.height, eager=True) * parts // chunk.height
    chunk = chunk.with_columns(part=place.fill_null(anywhere))
    if chunk["source_event_id"].n_unique() < chunk.height:
        chunk = chunk.with_columns(pl.col("part").first().over("source_event_id"))
    found = chunk.partition_by("part", maintain_order=True, include_key=False)
    return [part.rechunk() for part in found]


def read_ahead(chunks: Iterator[Item]) -> Generator[Item]:
    """The same items; each is made while the one before it is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = deque([reader.submit(next, chunks, None)])
        while (chunk := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, chunks, None))
            yield chunk
