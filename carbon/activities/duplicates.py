"""A record that stands already, word for word, is a duplicate before anything else is asked of it.

So who sends a file again hears the same whatever became of the card, the consent or the factor since then,
and a file of duplicates costs hardly more than reading it. What stands is never taken away: who finds a
record here need not look again in the transaction that would have claimed it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from carbon.activities.recognition import GOOD
from carbon.activities.references import DUPLICATE, claim_hashes, revision_of
from carbon.activities.standing import LINE, Standing
from carbon.activities.subjects import SubjectHashes
from kernel.call import Call
from kernel.side_by_side import in_order

SAMPLE_LINES = 64
SEGMENT_LINES = 200_000
"""So many lines are compared at once, while others are read."""
SEGMENTS_AHEAD = 2
"""So many are read while one is compared: the first of a file waits for all that stands near it."""
LOOKERS = 2
"""Pieces that are looked at side by side, while others are read."""
_ASKED = (*LINE, "source_event_id", "corrects_revision", "payload", "subject")


def refuse_standing(call: Call, frame: pl.DataFrame, subjects: SubjectHashes) -> pl.DataFrame:
    """Call those lines duplicates that were `arrived`, were refused since, and stand; drops `arrived`."""
    asked = frame.filter(pl.col("arrived") & ~GOOD)
    frame = frame.drop("arrived")
    if asked.is_empty():
        return frame
    found = Standing(subjects.partner_id).lines(call, claims_of(asked, subjects))
    found = found.with_columns(stands=pl.lit(value=True))
    frame = frame.join(found, on=LINE, how="left", maintain_order="left")
    stands = pl.col("stands").is_not_null()
    return frame.with_columns(
        outcome=pl.when(stands).then(pl.lit(DUPLICATE)).otherwise("outcome"),
        pointer=pl.when(~stands).then("pointer"),
        detail=pl.when(~stands).then("detail"),
    ).drop("stands")


def claims_of(lines: pl.DataFrame, subjects: SubjectHashes) -> pl.DataFrame:
    """What `Standing` looks for: each line's place, event and revision, and the hash of its claim."""
    return lines.select(
        *LINE,
        "source_event_id",
        revision_of("corrects_revision"),
        claim_hash=claim_hashes(lines, subjects.of(lines["subject"])),
    )


def as_duplicates(found: pl.DataFrame) -> pl.DataFrame:
    """The outcome of standing lines, as a chunk gives it."""
    nothing = pl.lit(None, pl.String)
    return found.with_columns(
        outcome=pl.lit(DUPLICATE),
        code=pl.lit(DUPLICATE),
        pointer=nothing,
        detail=nothing,
        activity_id=nothing,
        supersedes=pl.lit(value=False),
    )


def without(frame: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The frame less these lines, in its order."""
    return frame.join(lines, on=LINE, how="anti", maintain_order="left")


@dataclass
class Segment:
    """Neighbouring pieces of a file some of whose records stand, and the claims of all their good lines."""

    pieces: list[pl.DataFrame] = field(default_factory=list)
    claims_of_pieces: list[pl.DataFrame] = field(default_factory=list)
    lines_before: int = 0
    """Lines that were read ahead of it."""

    @property
    def lines(self) -> int:
        """How many it has, claims or not."""
        return sum(piece.height for piece in self.pieces)

    @property
    def last_line(self) -> int:
        """The number of its last line."""
        return int(self.pieces[-1]["line_no"][-1])

    @property
    def claims(self) -> pl.DataFrame:
        """What `Standing` looks for."""
        return pl.concat(self.claims_of_pieces)


def sifted(
    frames: Iterable[pl.DataFrame],
    *,
    subjects: SubjectHashes,
    stand: Callable[[pl.DataFrame], bool],
    leave_out: Callable[[Segment], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """The frames in their order; neighbours that hold standing records are gathered, and come without them.

    `stand` says whether some of these claims stand. `leave_out` gives the lines of a segment that do; it is
    asked by a thread of its own while the next segments are read, and never about two at once.
    """
    lines, segment, stood = 0, Segment(), False
    answers: deque[tuple[Segment, Future[pl.DataFrame]]] = deque()

    def looked_at(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame | None]:
        nonlocal stood
        good = frame.select("outcome", *_ASKED).filter(GOOD)
        nth = max(1, good.height // SAMPLE_LINES)
        # What follows standing records mostly stands as well, and its claims are made at once.
        presumed = stood
        claims = claims_of(good if presumed else good.gather_every(nth), subjects)
        stands = stood = stand(claims.gather_every(nth) if presumed else claims)
        if stands and not presumed:
            claims = claims_of(good, subjects)
        return frame, claims if stands else None

    def answered(*, but: int = 0) -> Iterator[pl.DataFrame]:
        while len(answers) > but:
            asked, standing = answers[0][0], answers.popleft()[1].result()
            if standing.height < asked.lines:  # or else all of it stands, as in a file that comes again
                yield from (without(piece, standing) for piece in asked.pieces)

    def ask() -> None:
        nonlocal segment
        if segment.pieces:
            answers.append((segment, beside.submit(leave_out, segment)))
        segment = Segment(lines_before=lines)

    looks = (partial(looked_at, frame) for frame in frames)
    with _one_thread() as beside:
        for frame, claims in in_order(looks, threads=LOOKERS):
            if claims is None:
                ask()
            lines += frame.height
            if claims is not None:
                segment.pieces.append(frame)
                segment.claims_of_pieces.append(claims)
                if segment.lines >= SEGMENT_LINES:
                    ask()
                    yield from answered(but=SEGMENTS_AHEAD)
            else:
                segment.lines_before = lines
                yield from answered()
                yield frame
        ask()
        yield from answered()


@contextmanager
def _one_thread() -> Iterator[ThreadPoolExecutor]:
    """What still waits at the end, because something refused, is not begun any more."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="duplicates")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
