"""Chunks keep the file's order wherever frames end; parts keep together what belongs together."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbon.activities import chunks
from carbon.activities.chunks import PART_LINES_LEAST, chunks_of, cut, read_ahead
from carbon.activities.steps import STEPS_MOST
from tests.carbon.city import lines, ride

MANY = 4 * PART_LINES_LEAST


def many(count: int = MANY, *, cards: int = 90) -> pl.DataFrame:
    return lines(*(ride(f"e{number}", f"card-{number % cards}", metres=1_000) for number in range(count)))


def pieces(frame: pl.DataFrame, borders: list[int]) -> Iterator[pl.DataFrame]:
    start = 0
    for border in sorted({*borders, frame.height}):
        yield frame.slice(start, border - start)
        start = border


def parts_of(chunk: pl.DataFrame, **more: Any) -> list[pl.DataFrame]:
    """The parts, of which each is one piece."""
    parts = cut(chunk, **more).parts
    assert all(len(part) == 1 for part in parts)
    return [piece for (piece,) in parts]


SMALL = many(40)


@given(st.lists(st.integers(0, 40)), st.integers(1, 45))
def test_chunks_are_full_wherever_frames_end(borders: list[int], size: int) -> None:
    found = list(chunks_of(pieces(SMALL, borders), size=lambda: size))
    assert pl.concat(found).equals(SMALL)
    assert [chunk.height for chunk in found[:-1]] == [size] * (len(found) - 1)
    assert 0 < found[-1].height <= size


def test_each_chunk_is_as_large_as_its_moment_allows() -> None:
    sizes = iter((3, 20, 5))
    chunks = chunks_of(pieces(SMALL, [7, 9]), size=lambda: next(sizes, 10))
    assert [chunk.height for chunk in chunks] == [3, 20, 5, 10, 2]


def test_a_chunk_ends_before_the_line_that_corrects_one_fact_too_often() -> None:
    corrected = lines(
        *(ride("e", metres=1_000, corrects_revision=each or None) for each in range(STEPS_MOST + 3))
    )
    assert [chunk.height for chunk in chunks_of([corrected], size=lambda: 100)] == [STEPS_MOST, 3]


def test_lines_of_any_order_come_in_long_chunks_and_others_as_many_as_are_at_work_at_once() -> None:
    free, bound = many(), many().with_columns(meter=pl.when(pl.col("line_no") == 900).then(pl.lit("m1")))
    assert [chunk.height for chunk in chunks_of([free], size=lambda: 600)] == [MANY]
    assert [chunk.height for chunk in chunks_of([bound], size=lambda: 600)] == [600, 600, 800]
    assert [chunk.height for chunk in chunks_of([bound, free], size=lambda: 600)] == [600, 600, 800 + MANY]


def test_no_chunk_is_longer_than_it_gains_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LONG_CHUNK_LINES", 1_500)
    assert [chunk.height for chunk in chunks_of(pieces(many(), [7, 1_999]), size=lambda: 600)] == [1_500, 500]
    assert [chunk.height for chunk in chunks_of([many()], size=lambda: 1_900)] == [1_900, 100]


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_parts_hold_every_line_once_and_a_subject_in_one_of_them(lanes: int) -> None:
    chunk = many()
    parts = parts_of(chunk, at_once=1_000, lanes=lanes)
    assert len(parts) == min(2 * lanes, MANY // PART_LINES_LEAST)
    assert min(part.height for part in parts) > MANY // len(parts) // 2
    assert pl.concat(parts).sort("line_no").equals(chunk)
    people = [set(part["subject"]) for part in parts]
    assert sum(len(each) for each in people) == len(set().union(*people)) == 90
    assert all(part["line_no"].is_sorted() for part in parts)


def test_parts_are_of_neighbours_in_the_order_that_is_given() -> None:
    backwards = [f"card-{number}" for number in range(90)][::-1]
    places = pl.DataFrame({"who": backwards, "place": [f"{place:02}" for place in range(90)]})

    def order(subjects: pl.Series) -> pl.Series:
        return subjects.replace_strict(places["who"], places["place"])

    parts = parts_of(many(), at_once=1_000, lanes=2, order=order)
    found = [sorted(backwards.index(who) for who in part["subject"].unique()) for part in parts]
    assert sorted(found) == [list(range(each[0], each[-1] + 1)) for each in sorted(found)]
    assert len(found) == 4


def test_who_has_more_lines_than_are_at_work_at_once_has_pieces_that_follow_each_other() -> None:
    chunk = many(cards=1)
    (part,) = cut(chunk, at_once=800, lanes=2).parts
    assert [piece.height for piece in part] == [800, 800, 400]
    assert pl.concat(part).equals(chunk)


def test_lines_of_nobody_are_taken_like_others() -> None:
    nobody = many().with_columns(subject=pl.when(pl.col("line_no") % 3 > 0).then("subject"))
    assert pl.concat(parts_of(nobody, at_once=1_000, lanes=2)).sort("line_no").equals(nobody)


def test_lines_of_one_fact_stay_in_one_part_in_their_order_whoever_they_name() -> None:
    twice = pl.concat([many(), many(cards=77)])
    chunk = twice.with_columns(line_no=pl.int_range(2, 2 * MANY + 2))
    parts = parts_of(chunk, at_once=2 * MANY, lanes=2)
    assert len(parts) == 2
    assert not set(parts[0]["source_event_id"]) & set(parts[1]["source_event_id"])
    assert all(part["line_no"].is_sorted() for part in parts)
    assert sum(part.height for part in parts) == 2 * MANY


@pytest.mark.parametrize(
    ("chunk", "lanes"),
    [
        (many(2 * PART_LINES_LEAST - 1), 2),
        (many(), 1),
        (many().with_columns(meter=pl.when(pl.col("line_no") == 9).then(pl.lit("m1"))), 2),
        (many().with_columns(corrects_revision=pl.when(pl.col("line_no") == 9).then(pl.lit(1))), 2),
    ],
    ids=["few lines", "one lane", "a meter", "a correction, which may be of a meter's days"],
)
def test_what_gains_nothing_or_must_keep_its_order_stays_whole(chunk: pl.DataFrame, lanes: int) -> None:
    whole = cut(chunk, at_once=MANY, lanes=lanes)
    ((only,),) = whole.parts
    assert only.equals(chunk)
    assert (whole.lines, whole.last_line) == (chunk.height, chunk["line_no"][-1])


def test_reading_ahead_gives_the_same_chunks_and_the_readers_error_in_its_place() -> None:
    def failing() -> Iterator[pl.DataFrame]:
        yield SMALL
        raise OSError("the disk is gone")

    found = list(chunks_of([SMALL], size=lambda: 7))
    assert [chunk["line_no"][0] for chunk in read_ahead(iter(found))] == [c["line_no"][0] for c in found]
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
