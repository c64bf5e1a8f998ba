"""A file's lines cut into chunks, and a chunk into lanes: transactions that run side by side.

Chunks keep the file's order, and one is done before the next begins. Lanes cut a chunk by its subjects, so
they hardly ever wait for each other's rows; the lines of one fact stay in one lane, in their order.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.steps import STEPS_MOST, depend, steps_of

CORRECTIONS_MOST = 500
"""Each is taken back by itself, in 2 ms, while balances are locked: who spends coins waits for a second."""
LANE_LINES_LEAST = 500
"""A transaction of fewer lines costs more than it gains."""


def chunks_of(
    frames: Iterable[pl.DataFrame], *, size: Callable[[], int], claims_trips: bool = False
) -> Generator[pl.DataFrame]:
    """Chunks of as many lines as `size` says for each, wherever the frames end; the last one is shorter."""
    rest: pl.DataFrame | None = None
    most = size()
    for frame in frames:
        rest = frame if rest is None else pl.concat([rest, frame])
        while rest.height >= most:
            chunk = _of_few_steps(rest.head(most), claims_trips=claims_trips)
            rest = rest.slice(chunk.height)
            yield chunk
            most = size()
    while rest is not None and not rest.is_empty():
        chunk = _of_few_steps(rest.head(most), claims_trips=claims_trips)
        rest = rest.slice(chunk.height)
        yield chunk
        most = size()


def _of_few_steps(chunk: pl.DataFrame, *, claims_trips: bool) -> pl.DataFrame:
    """The chunk up to the line that would be one step, or one correction, too many for a transaction."""
    if not depend(chunk, claims_trips=claims_trips):
        return chunk
    corrects = (pl.col("outcome") == ACTIVITY) & pl.col("corrects_revision").is_not_null()
    too_many = chunk.select((corrects & (corrects.cum_sum() > CORRECTIONS_MOST)).arg_true()).to_series()
    chunk = chunk.head(too_many[0]) if len(too_many) else chunk
    return chunk.head(len(steps_of(chunk, person="subject", most=STEPS_MOST)))


def lanes_of(chunk: pl.DataFrame, *, most: int) -> list[pl.DataFrame]:
    """The chunk's lines in at most so many parts; one where it is small, or may claim meters.

    Two subjects may claim days of one meter, and the first line of the file shall have them. A correction
    does not name its meter.
    """
    lanes = min(most, chunk.height // LANE_LINES_LEAST)
    may_claim = any(chunk[name].null_count() < chunk.height for name in ("meter", "corrects_revision"))
    if lanes <= 1 or may_claim:
        return [chunk]
    lane = pl.col("subject").hash() % lanes
    if chunk["source_event_id"].n_unique() < chunk.height:
        lane = lane.first().over("source_event_id")
    parts = chunk.with_columns(lane=lane).partition_by("lane", maintain_order=True, include_key=False)
    return [part.rechunk() for part in parts]


def read_ahead(chunks: Iterator[pl.DataFrame]) -> Generator[pl.DataFrame]:
    """The same chunks; each is read and cut while the one before it is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = deque([reader.submit(next, chunks, None)])
        while (chunk := coming.popleft().result()) is not None:
            coming.append(reader.submit(next, chunks, None))
            yield chunk
