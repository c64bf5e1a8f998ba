"""A record that stands already, word for word, is a duplicate before anything else is asked of it.

So who sends a file again hears the same whatever became of the card, the consent or the factor since then,
and a file of duplicates costs hardly more than reading it. What stands is never taken away: who finds a
record here need not look again in the transaction that would have claimed it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import UUID

import polars as pl

from carbon.activities.recognition import GOOD
from carbon.activities.references import DUPLICATE, claim_hashes, revision_of
from carbon.activities.subjects import SubjectHashes
from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call

SAMPLE_LINES = 64
SEGMENT_LINES = 1_000_000
"""So many lines are compared at once: in memory about 600 MB with what stands beside them."""
FEW_LINES = 1_000
WIDE = 3
"""Reading this many standing records in a row takes as long as looking for one of them by its key."""
_LINE = ("file_no", "line_no")


def refuse_standing(call: Call, frame: pl.DataFrame, subjects: SubjectHashes) -> pl.DataFrame:
    """Call those lines duplicates that were `arrived`, were refused since, and stand; drops `arrived`."""
    asked = frame.filter(pl.col("arrived") & ~GOOD)
    frame = frame.drop("arrived")
    if asked.is_empty():
        return frame
    found = standing_lines(call, claims_of(asked, subjects), partner_id=subjects.partner_id)
    found = found.with_columns(stands=pl.lit(value=True))
    frame = frame.join(found, on=_LINE, how="left", maintain_order="left")
    stands = pl.col("stands").is_not_null()
    return frame.with_columns(
        outcome=pl.when(stands).then(pl.lit(DUPLICATE)).otherwise("outcome"),
        pointer=pl.when(~stands).then("pointer"),
        detail=pl.when(~stands).then("detail"),
    ).drop("stands")


def claims_of(lines: pl.DataFrame, subjects: SubjectHashes) -> pl.DataFrame:
    """What `standing_lines` looks for: each line's place, event and revision, and the hash of its claim."""
    return lines.select(
        *_LINE,
        "source_event_id",
        revision_of("corrects_revision"),
        claim_hash=claim_hashes(lines["payload_hash"], subjects.of(lines["subject"])),
    )


def standing_lines(call: Call, asked: pl.DataFrame, *, partner_id: UUID) -> pl.DataFrame:
    """`file_no` and `line_no` of those claims whose record and subject were taken before, word for word."""
    partner = {"partner": partner_id}
    first = pl.col("revision") == 1
    ordinary = asked.filter(first)
    if ordinary.height < FEW_LINES or not _is_dense(call, ordinary, partner):
        return asked.join(_by_key(call, asked, partner), on=_RECORD, how="semi").select(_LINE)
    corrections = asked.filter(~first)
    parts = [
        ordinary.join(_in_a_row(call, ordinary, partner), on=_RECORD, how="semi"),
        corrections.join(_by_key(call, corrections, partner), on=_RECORD, how="semi"),
    ]
    return pl.concat(parts).select(_LINE)


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
    return frame.join(lines, on=_LINE, how="anti", maintain_order="left")


def sifted(
    frames: Iterable[pl.DataFrame],
    *,
    subjects: SubjectHashes,
    stand: Callable[[pl.DataFrame], bool],
    leave_out: Callable[[pl.DataFrame], pl.DataFrame],
) -> Iterator[pl.DataFrame]:
    """The frames in their order; neighbours that hold standing records are gathered, and come without them.

    `stand` says whether some of these claims stand. `leave_out` gives the lines that do.
    """
    gathered: list[pl.DataFrame] = []
    claims: list[pl.DataFrame] = []

    def rest() -> Iterator[pl.DataFrame]:
        if gathered:
            standing = leave_out(pl.concat(claims))
            yield from (without(each, standing) for each in gathered)
            gathered.clear()
            claims.clear()

    for frame in frames:
        lines = frame.filter(GOOD)
        if stand(claims_of(lines.gather_every(max(1, lines.height // SAMPLE_LINES)), subjects)):
            gathered.append(frame)
            claims.append(claims_of(lines, subjects))  # now, while the next frames are read
            if sum(each.height for each in gathered) >= SEGMENT_LINES:
                yield from rest()
        else:
            yield from rest()
            yield frame
    yield from rest()


def _by_key(call: Call, asked: pl.DataFrame, partner: dict[str, Any]) -> pl.DataFrame:
    values = {**partner, "events": array_of(asked["source_event_id"])}
    schema = {"source_event_id": pl.String, "revision": pl.Int64, "claim_hash": pl.String}
    found = select_frame(call, _BY_KEY, values, schema=schema)
    return found.with_columns(pl.col("claim_hash").str.decode("hex"))


def _is_dense(call: Call, asked: pl.DataFrame, partner: dict[str, Any]) -> bool:
    """Whether hardly more stands between the first and the last of these events than is asked for."""
    most = WIDE * asked.height
    values = {**partner, **_range(asked), "most": most + 1}
    return int(execute_text(call, _COUNT, values).scalar_one()) <= most


def _in_a_row(call: Call, asked: pl.DataFrame, partner: dict[str, Any]) -> pl.DataFrame:
    """Everything of first revision that stands between the first and the last of these events."""
    row: Any = execute_text(call, _IN_A_ROW, {**partner, **_range(asked)}).one()
    events, hashes = row
    if events is None:
        return asked.clear()
    return pl.DataFrame(
        {
            "source_event_id": events.split("\n"),
            "revision": pl.repeat(1, len(hashes) // _HASH, eager=True, dtype=pl.Int64),
            "claim_hash": [hashes[at : at + _HASH] for at in range(0, len(hashes), _HASH)],
        }
    )


def _range(asked: pl.DataFrame) -> dict[str, str]:
    events = asked["source_event_id"]
    return {"first": str(events.min()), "last": str(events.max())}


_RECORD = ("source_event_id", "revision", "claim_hash")
_HASH = 32
_BY_KEY = (
    "SELECT source_event_id, revision, encode(payload_hash, 'hex') FROM activity_reference"
    " WHERE partner_id = %(partner)s AND source_event_id = ANY (CAST(%(events)s AS text[]))"
)
# The column sorts by bytes, as Polars does.
_BETWEEN = (
    "FROM activity_reference WHERE partner_id = %(partner)s"
    " AND source_event_id BETWEEN %(first)s AND %(last)s"
)
_COUNT = f"SELECT count(*) FROM (SELECT {_BETWEEN} LIMIT %(most)s) b"  # noqa: S608 - our own text
# An event's id is printable ASCII: no line end stands in it. Both lists come in one order, that of the scan.
_IN_A_ROW = (
    "SELECT string_agg(source_event_id, E'\\n'), string_agg(payload_hash, ''::bytea)"
    f" {_BETWEEN} AND revision = 1"
)
