"""A fact is taken once: its reference is claimed in the transaction that credits it.

Two senders of one event meet at the primary key: the second waits, then finds the first's content and
is a duplicate, or differs and is refused. Adds `activity_id` and `claim_hash`.
"""

from typing import Any
from uuid import UUID

import polars as pl

from carbon.activities.adapters.frames import refuse_repetitions, sha256
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.errors import RecordDiffers, RevisionUnknown
from carbon.activities.recognition import GOOD, refuse, refuse_by_first
from kernel.bulk_text import (
    WORTH_A_SAVEPOINT,
    array_of,
    copied_whole,
    execute_text,
    new_ids,
    select_frame,
    written_bytes,
)
from kernel.call import Call
from kernel.errors import Busy

DUPLICATE = "duplicate"


def number_revisions(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `revision`; refuse numbers that no fact reaches."""
    frame = frame.with_columns(revision_of("corrects_revision"))
    return refuse(frame, pl.col("revision") > _REVISION_MOST, RevisionUnknown.code, _CORRECTS)


def revision_of(name: str) -> pl.Expr:
    """The revision that a record is, by the one that it corrects; of those that no fact reaches the least."""
    return (pl.col(name).fill_null(0).clip(upper_bound=_REVISION_MOST) + 1).alias("revision")


def refuse_repeated(frame: pl.DataFrame) -> pl.DataFrame:
    """Add `claim_hash`, null for refused lines; refuse a line whose revision an earlier one names."""
    content = frame.select("source_event_id", pl.when(GOOD).then("payload").alias("payload"))
    frame = frame.with_columns(claim_hash=claim_hashes(content, frame["subject_hash"]))
    return refuse_repetitions(frame, unrefused=GOOD, identity=_NAME, content="claim_hash")


def note_orphans(call: Call, frame: pl.DataFrame, *, partner_id: UUID) -> pl.DataFrame:
    """Add `was_orphan` where lines correct something: whether that does not stand before the claims."""
    newer = frame.filter(GOOD & (pl.col("revision") > 1))
    if newer.is_empty():
        return frame
    orphans = _orphans(call, names_of(partner_id, newer)).unique().with_columns(was_orphan=pl.lit(value=True))
    return frame.join(orphans, on=_NAME, how="left", maintain_order="left")


def claim_references(call: Call, frame: pl.DataFrame, *, partner_id: UUID) -> pl.DataFrame:
    """Claim every good line's reference; refuse revision_unknown, duplicate, record_differs.

    Lines that have an `activity_id` already keep it. Raises Busy when what a line corrects came to stand
    after `note_orphans` looked: its meter and trip were not moved.
    """
    good = frame.filter(GOOD)
    if "activity_id" not in frame.columns:
        good = good.with_columns(activity_id=new_ids(good.height))
    frame = frame.drop("activity_id", strict=False)
    claims = good.select("file_no", "line_no", *_NAME, "citizen_id", "claim_hash", "activity_id")
    claims = claims.sort(_NAME)
    orphans, table = _claimed(call, claims, partner_id)
    claims = claims.select("file_no", "line_no", "activity_id")
    frame = frame.join(claims, on=["file_no", "line_no"], how="left", maintain_order="left")
    frame = frame.join(table, on=_NAME, how="left", maintain_order="left")
    frame = _compare_repeated(frame, claims["activity_id"])
    frame = frame.join(
        orphans.with_columns(orphan=pl.lit(value=True)),
        on=_NAME,
        how="left",
        maintain_order="left",
    )
    theirs = pl.col("standing_id").is_not_null() & pl.col("standing_id").ne_missing(pl.col("activity_id"))
    same = pl.col("standing_hash") == pl.col("claim_hash")
    frame = refuse_by_first(
        frame,
        (pl.col("orphan") & pl.col("standing_id").is_null(), RevisionUnknown.code, _CORRECTS),
        (theirs & same, DUPLICATE, None),
        (theirs, RecordDiffers.code, "/source_event_id"),
    )
    if "was_orphan" in frame.columns:
        if not frame.filter(GOOD & pl.col("was_orphan")).is_empty():
            raise Busy("what one of these corrects arrived at this moment", retry_after_s=1)
        frame = frame.drop("was_orphan")
    return frame.drop("standing_id", "standing_hash", "orphan")


def _compare_repeated(frame: pl.DataFrame, ours: pl.Series) -> pl.DataFrame:
    """Where an earlier record has the name, lines that repeat the first are compared with that record too."""
    repeated = pl.col("outcome").is_in(_REPEATED) & pl.col("claim_hash").is_not_null()
    if frame.filter(repeated).is_empty():
        return frame
    lost = repeated & ~pl.col("standing_id").is_in(ours.implode())
    return frame.with_columns(
        outcome=pl.when(lost).then(pl.lit(ACTIVITY)).otherwise("outcome"),
        detail=pl.when(lost).then(pl.lit(None, pl.String)).otherwise("detail"),
    )


def _claimed(call: Call, claims: pl.DataFrame, partner_id: UUID) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the claims; those whose former revision does not stand, and what stands of them all.

    Most chunks bring nothing that stands, and COPY takes them in a third of the time; it knows no ON
    CONFLICT, so a chunk that meets a standing row is undone to here and claims row by row.
    """
    none = claims.select("source_event_id", "revision").clear()
    corrected = bool((claims["revision"] > 1).any())
    if not corrected and claims.height >= WORTH_A_SAVEPOINT and _copied(call, claims, partner_id):
        return none, pl.DataFrame(schema={**_FOUND, "standing_hash": pl.Binary})
    values = {
        **names_of(partner_id, claims),
        "activities": array_of(claims["activity_id"]),
        "hashes": array_of(claims["claim_hash"]),
    }
    orphans = _orphans(call, values) if corrected else none
    execute_text(call, _CLAIM_AFTER_FIRST if corrected else _CLAIM, values)
    table = select_frame(call, _STANDING, values, schema=_FOUND)
    return orphans, table.with_columns(pl.col("standing_hash").str.decode("hex"))


def _copied(call: Call, claims: pl.DataFrame, partner_id: UUID) -> bool:
    """Copy the claims; False, and nothing copied, when one of them stands already."""
    rows = claims.select(
        pl.lit(str(partner_id)).alias("partner_id"),
        "source_event_id",
        "revision",
        "citizen_id",
        "activity_id",
        written_bytes("claim_hash").alias("payload_hash"),
    )
    return copied_whole(call, "activity_reference", rows)


def names_of(partner_id: UUID, lines: pl.DataFrame) -> dict[str, Any]:
    """By what queries find the facts of lines: the arrays `events`, `revisions`, `citizens` of `partner`."""
    return {
        "partner": partner_id,
        "events": array_of(lines["source_event_id"]),
        "revisions": array_of(lines["revision"]),
        "citizens": array_of(lines["citizen_id"]),
    }


def claim_hashes(lines: pl.DataFrame, subjects: pl.Series) -> pl.Series:
    """SHA-256 of each record's subject (hashed, 32 bytes), event and `payload`; null where one of them is.

    No event has a line end in its name, so two records of one hash are the same.
    """
    texts = lines.select(pl.concat_str("source_event_id", "payload", separator="\n").cast(pl.Binary))
    return sha256(subjects + texts.to_series())


def _orphans(call: Call, values: dict[str, Any]) -> pl.DataFrame:
    return select_frame(call, _ORPHANS, values, schema={"source_event_id": pl.String, "revision": pl.Int64})


_CORRECTS = "/corrects_revision"
_REPEATED = ("duplicate_in_file", "content_differs_in_file")
_NAME = ("source_event_id", "revision")
_REVISION_MOST = 10_000
_KEYS = (
    "unnest(CAST(%(events)s AS text[]), CAST(%(revisions)s AS int[]), CAST(%(citizens)s AS uuid[]),"
    " CAST(%(activities)s AS uuid[]), CAST(%(hashes)s AS bytea[]))"
    " AS k (event, revision, citizen, activity, hash)"
)
_INSERT = (
    "INSERT INTO activity_reference"  # noqa: S608 - our own text
    " (partner_id, source_event_id, revision, citizen_id, activity_id, payload_hash)"
    f" SELECT %(partner)s, k.event, k.revision, k.citizen, k.activity, k.hash FROM {_KEYS}"
)
_FIRST_STANDS = (
    "(k.revision = 1 OR EXISTS (SELECT 1 FROM activity_reference r JOIN activity a"
    " ON a.citizen_id = r.citizen_id AND a.id = r.activity_id WHERE r.partner_id = %(partner)s"
    " AND r.source_event_id = k.event AND r.revision = k.revision - 1 AND r.citizen_id = k.citizen))"
)
_CLAIM = f"{_INSERT} ORDER BY k.event, k.revision ON CONFLICT DO NOTHING"
_CLAIM_AFTER_FIRST = f"{_INSERT} WHERE {_FIRST_STANDS} ORDER BY k.event, k.revision ON CONFLICT DO NOTHING"
_ORPHANS = (
    "SELECT k.event, k.revision FROM unnest(CAST(%(events)s AS text[]), CAST(%(revisions)s AS int[]),"  # noqa: S608 - ours
    f" CAST(%(citizens)s AS uuid[])) AS k (event, revision, citizen) WHERE NOT {_FIRST_STANDS}"
)
# By a list of keys, not by a join: without statistics a join was planned over the whole partner.
_STANDING = (
    "SELECT source_event_id, revision, activity_id, encode(payload_hash, 'hex') FROM activity_reference"
    " WHERE partner_id = %(partner)s AND source_event_id = ANY (CAST(%(events)s AS text[]))"
)
_FOUND = {
    "source_event_id": pl.String,
    "revision": pl.Int64,
    "standing_id": pl.String,
    "standing_hash": pl.String,
}
