"""Chunks keep the file's order wherever frames end; lanes keep together what belongs together."""

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.activities.chunks import LANE_LINES_LEAST, chunks_of, lanes_of, read_ahead
from carbon.activities.steps import STEPS_MOST
from tests.carbon.city import lines, ride

MANY = 4 * LANE_LINES_LEAST


def many(count: int = MANY, *, cards: int = 90) -> pl.DataFrame:
    return lines(*(ride(f"e{number}", f"card-{number % cards}", metres=1_000) for number in range(count)))


def cut(frame: pl.DataFrame, borders: list[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for border in sorted({*borders, frame.height}):
        yield frame.slice(start, border - start)
        start = border


SMALL = many(40)


@given(st.lists(st.integers(0, 40)), st.integers(1, 45))
def test_chunks_are_full_wherever_frames_end(borders: list[int], size: int) -> None:
    chunks = list(chunks_of(cut(SMALL, borders), size=lambda: size))
    assert pl.concat(chunks).equals(SMALL)
    assert [chunk.height for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert 0 < chunks[-1].height <= size


def test_each_chunk_is_as_large_as_its_moment_allows() -> None:
    sizes = iter((3, 20, 5))
    chunks = chunks_of(cut(SMALL, [7, 9]), size=lambda: next(sizes, 10))
    assert [chunk.height for chunk in chunks] == [3, 20, 5, 10, 2]


def test_a_chunk_ends_before_the_line_that_corrects_one_fact_too_often() -> None:
    corrected = lines(
        *(ride("e", metres=1_000, corrects_revision=each or None) for each in range(STEPS_MOST + 3))
    )
    assert [chunk.height for chunk in chunks_of([corrected], size=lambda: 100)] == [STEPS_MOST, 3]


def test_lanes_hold_every_line_once_and_a_subject_in_one_of_them() -> None:
    chunk = many()
    lanes = lanes_of(chunk, most=2)
    assert len(lanes) == 2
    assert min(lane.height for lane in lanes) > MANY // 4
    assert pl.concat(lanes).sort("line_no").equals(chunk)
    assert not set(lanes[0]["subject"]) & set(lanes[1]["subject"])
    assert all(lane["line_no"].is_sorted() for lane in lanes)


def test_lines_of_one_fact_stay_in_one_lane_in_their_order_whoever_they_name() -> None:
    twice = pl.concat([many(), many(cards=77)])
    chunk = twice.with_columns(line_no=pl.int_range(2, 2 * MANY + 2))
    lanes = lanes_of(chunk, most=2)
    assert len(lanes) == 2
    assert not set(lanes[0]["source_event_id"]) & set(lanes[1]["source_event_id"])
    assert all(lane["line_no"].is_sorted() for lane in lanes)
    assert sum(lane.height for lane in lanes) == 2 * MANY


@pytest.mark.parametrize(
    ("chunk", "most"),
    [
        (many(2 * LANE_LINES_LEAST - 1), 2),
        (many(), 1),
        (many().with_columns(meter=pl.when(pl.col("line_no") == 9).then(pl.lit("m1"))), 2),
        (many().with_columns(corrects_revision=pl.when(pl.col("line_no") == 9).then(pl.lit(1))), 2),
    ],
    ids=["few lines", "one lane", "a meter", "a correction, which may be of a meter's days"],
)
def test_what_gains_nothing_or_must_keep_its_order_stays_whole(chunk: pl.DataFrame, most: int) -> None:
    (only,) = lanes_of(chunk, most=most)
    assert only.equals(chunk)


def test_reading_ahead_gives_the_same_chunks_and_the_readers_error_in_its_place() -> None:
    def failing() -> Iterator[pl.DataFrame]:
        yield SMALL
        raise OSError("the disk is gone")

    chunks = list(chunks_of([SMALL], size=lambda: 7))
    assert [chunk["line_no"][0] for chunk in read_ahead(iter(chunks))] == [c["line_no"][0] for c in chunks]
    ahead = read_ahead(failing())
    assert next(ahead).equals(SMALL)
    with pytest.raises(OSError, match="disk"):
        next(ahead)


def test_reading_ahead_stops_with_whoever_stops_listening() -> None:
    read: list[int] = []

    def counted() -> Iterator[pl.DataFrame]:
        for number in range(10):
            read.append(number)
            yield SMALL

    ahead = read_ahead(counted())
    next(ahead)
    ahead.close()
    assert len(read) == 2
