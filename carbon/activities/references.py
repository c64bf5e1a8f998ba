"""A fact is taken once: its reference is claimed in the transaction that credits it.

Two senders of one event meet at the primary key: the second waits, then finds the first's content and
is a duplicate, or differs and is refused. Adds `activity_id` and `claim_hash`.
"""

from uuid import UUID

import polars as pl
from sqlalchemy import text

from carbon.activities.adapters.frames import refuse_repetitions
from carbon.activities.errors import RecordDiffers, RevisionUnknown
from carbon.activities.recognition import GOOD, refuse
from kernel.call import Call
from kernel.canonical import digest
from kernel.identifiers import new_id

DUPLICATE = "duplicate"


def claim_references(call: Call, frame: pl.DataFrame, *, partner_id: UUID) -> pl.DataFrame:
    """Claim every good line's reference; refuse repetitions, revision_unknown, duplicate, record_differs."""
    frame = refuse_repetitions(frame, unrefused=GOOD)
    frame = frame.with_columns(revision=pl.col("corrects_revision").fill_null(0) + 1)
    frame = refuse(frame, pl.col("revision") > _REVISION_MOST, RevisionUnknown.code, "/corrects_revision")
    good = frame.filter(GOOD)
    mixed = [
        digest(payload + subject)
        for payload, subject in good.select("payload_hash", "subject_hash").iter_rows()
    ]
    claims = good.select("file_no", "line_no", "source_event_id", "revision", "citizen_id").with_columns(
        pl.Series("claim_hash", mixed, dtype=pl.Binary),
        pl.Series("activity_id", [str(new_id()) for _ in mixed], dtype=pl.String),
    )
    claims = claims.sort("source_event_id", "revision")
    values = {
        "partner": partner_id,
        "events": claims["source_event_id"].to_list(),
        "revisions": claims["revision"].to_list(),
        "citizens": claims["citizen_id"].to_list(),
        "activities": claims["activity_id"].to_list(),
        "hashes": claims["claim_hash"].to_list(),
    }
    corrected = bool((claims["revision"] > 1).any())
    orphans = _orphans(call, values) if corrected else frame.select("source_event_id", "revision").clear()
    call.db.execute(_CLAIM_AFTER_FIRST if corrected else _CLAIM, values)
    standing = call.db.execute(_STANDING, values).all()
    table = pl.DataFrame(
        [(r.source_event_id, r.revision, str(r.activity_id), bytes(r.payload_hash)) for r in standing],
        schema={
            "source_event_id": pl.String,
            "revision": pl.Int64,
            "standing_id": pl.String,
            "standing_hash": pl.Binary,
        },
        orient="row",
    )
    claims = claims.drop("source_event_id", "revision", "citizen_id")
    frame = frame.join(claims, on=["file_no", "line_no"], how="left", maintain_order="left")
    frame = frame.join(table, on=["source_event_id", "revision"], how="left", maintain_order="left")
    frame = frame.join(
        orphans.with_columns(orphan=pl.lit(value=True)),
        on=["source_event_id", "revision"],
        how="left",
        maintain_order="left",
    )
    theirs = pl.col("standing_id") != pl.col("activity_id")
    same = pl.col("standing_hash") == pl.col("claim_hash")
    frame = refuse(frame, pl.col("orphan") & pl.col("standing_id").is_null(), RevisionUnknown.code, _CORRECTS)
    frame = refuse(frame, theirs & same, DUPLICATE)
    frame = refuse(frame, theirs, RecordDiffers.code, "/source_event_id")
    return frame.drop("standing_id", "standing_hash", "orphan")


def _orphans(call: Call, values: dict[str, object]) -> pl.DataFrame:
    rows = call.db.execute(_ORPHANS, values).all()
    return pl.DataFrame(
        [(row.event, row.revision) for row in rows],
        schema={"source_event_id": pl.String, "revision": pl.Int64},
        orient="row",
    )


_CORRECTS = "/corrects_revision"
_REVISION_MOST = 10_000
_KEYS = (
    "unnest(CAST(:events AS text[]), CAST(:revisions AS int[]), CAST(:citizens AS uuid[]),"
    " CAST(:activities AS uuid[]), CAST(:hashes AS bytea[])) AS k (event, revision, citizen, activity, hash)"
)
_INSERT = (
    "INSERT INTO activity_reference"  # noqa: S608 - our own text
    " (partner_id, source_event_id, revision, citizen_id, activity_id, payload_hash)"
    f" SELECT :partner, k.event, k.revision, k.citizen, k.activity, k.hash FROM {_KEYS}"
)
_FIRST_STANDS = (
    "(k.revision = 1 OR EXISTS (SELECT 1 FROM activity_reference r JOIN activity a"
    " ON a.citizen_id = r.citizen_id AND a.id = r.activity_id WHERE r.partner_id = :partner"
    " AND r.source_event_id = k.event AND r.revision = k.revision - 1 AND r.citizen_id = k.citizen))"
)
_CLAIM = text(f"{_INSERT} ORDER BY k.event, k.revision ON CONFLICT DO NOTHING")
_CLAIM_AFTER_FIRST = text(
    f"{_INSERT} WHERE {_FIRST_STANDS} ORDER BY k.event, k.revision ON CONFLICT DO NOTHING"
)
_ORPHANS = text(f"SELECT k.event, k.revision FROM {_KEYS} WHERE NOT {_FIRST_STANDS}")  # noqa: S608 - our own text
# By a list of keys, not by a join: without statistics a join was planned over the whole partner.
_STANDING = text(
    "SELECT source_event_id, revision, activity_id, payload_hash FROM activity_reference"
    " WHERE partner_id = :partner AND source_event_id = ANY (CAST(:events AS text[]))"
)
