"""Whose record it is and when it happened; what is not known is refused by name, never guessed.

`citizen_id` (text), `subject_hash` and `business_day` are added; bindings and consent are read once
for the chunk.
"""

from datetime import UTC, datetime
from uuid import UUID

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.errors import (
    ConsentMissing,
    ConsentWithdrawn,
    OccurredInFuture,
    OccurredTooLongAgo,
    UnboundCard,
)
from carbon.partners.bindings import hash_subject
from kernel.bulk_text import array_of, select_frame
from kernel.call import Call
from kernel.clock import SHANGHAI

EARLIEST = datetime(2014, 12, 31, 16, 0, tzinfo=UTC)
"""The start of 2015 in Shanghai."""
GOOD = pl.col("outcome") == ACTIVITY


def recognise(call: Call, frame: pl.DataFrame, *, partner_id: UUID, card_secret: bytes) -> pl.DataFrame:
    """Refuse, in this order: times outside, unbound_card, consent_missing, consent_withdrawn."""
    frame = frame.with_columns(
        business_day=pl.col("occurred_at").dt.convert_time_zone(SHANGHAI.key).dt.date()
    )
    frame = refuse(frame, pl.col("occurred_at") > call.now, OccurredInFuture.code, "/occurred_at")
    frame = refuse(frame, pl.col("occurred_at") < EARLIEST, OccurredTooLongAgo.code, "/occurred_at")
    subjects = frame.filter(GOOD)["subject"].unique().to_list()
    hashes = [hash_subject(card_secret, partner_id=partner_id, subject=subject) for subject in subjects]
    known = pl.DataFrame(
        {"subject": subjects, "subject_hash": hashes},
        schema={"subject": pl.String, "subject_hash": pl.Binary},
    ).join(_bound(call, partner_id, hashes), on="subject_hash", how="left")
    frame = frame.join(known, on="subject", how="left", maintain_order="left")
    frame = refuse(frame, pl.col("citizen_id").is_null(), UnboundCard.code, "/subject")
    silent = pl.col("consent").is_null()
    frame = refuse(frame, silent, ConsentMissing.code, "/subject")
    return refuse(frame, pl.col("consent") == "withdrawn", ConsentWithdrawn.code, "/subject").drop("consent")


def refuse(frame: pl.DataFrame, where: pl.Expr, code: str, pointer: str | None = None) -> pl.DataFrame:
    """Give the lines that are still good and meet `where` this code."""
    hit = GOOD & where.fill_null(value=False)
    return frame.with_columns(
        outcome=pl.when(hit).then(pl.lit(code)).otherwise("outcome"),
        pointer=pl.when(hit).then(pl.lit(pointer, pl.String)).otherwise("pointer"),
    )


def _bound(call: Call, partner_id: UUID, hashes: list[bytes]) -> pl.DataFrame:
    values = {"partner": partner_id, "hashes": array_of(pl.Series(hashes, dtype=pl.Binary))}
    schema = {"subject_hash": pl.String, "citizen_id": pl.String, "consent": pl.String}
    call.db.flush()  # bindings that the unit of work holds back
    found = select_frame(call, _BOUND, values, schema=schema)
    return found.with_columns(pl.col("subject_hash").str.decode("hex"))


_BOUND = (
    "SELECT encode(b.subject_hash, 'hex'), b.citizen_id, (SELECT min(CASE WHEN c.withdrawn_at IS NULL"
    " THEN 'open' ELSE 'withdrawn' END) FROM consent c WHERE c.citizen_id = b.citizen_id"
    " AND c.partner_id = b.partner_id) AS consent FROM binding b WHERE b.partner_id = %(partner)s"
    " AND b.ended_at IS NULL AND b.subject_hash = ANY (CAST(%(hashes)s AS bytea[]))"
)
