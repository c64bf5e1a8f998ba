"""Whose record it is and when it happened; what is not known is refused by name, never guessed.

`citizen_id` (text), `subject_hash` and `business_day` are added; bindings and consent are read once
for the chunk. Who has a card today is credited for what it did before, unless somebody else had it since;
and for what happened before the consent, unless it was withdrawn at the time. Who has it today is not asked
about a correction of what a former owner was credited: that is the former owner's (see `former_owners`).
"""

from datetime import UTC, datetime
from uuid import UUID

import polars as pl

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.errors import (
    CardWasAnothers,
    ConsentMissing,
    ConsentWasWithdrawn,
    ConsentWithdrawn,
    OccurredInFuture,
    OccurredTooLongAgo,
    UnboundCard,
)
from carbon.activities.former_owners import CONSENT, with_former_owners
from carbon.activities.subjects import SubjectHashes
from kernel.bulk_text import array_of, select_frame
from kernel.call import Call
from kernel.clock import SHANGHAI

EARLIEST = datetime(2014, 12, 31, 16, 0, tzinfo=UTC)
"""The start of 2015 in Shanghai."""
GOOD = pl.col("outcome") == ACTIVITY


def recognise(call: Call, frame: pl.DataFrame, subjects: SubjectHashes) -> pl.DataFrame:
    """Refuse, in this order: times outside, a card or a consent that is not there or was not then."""
    frame = frame.with_columns(
        business_day=pl.col("occurred_at").dt.convert_time_zone(SHANGHAI.key).dt.date()
    )
    frame = refuse_by_first(
        frame,
        (pl.col("occurred_at") > call.now, OccurredInFuture.code, "/occurred_at"),
        (pl.col("occurred_at") < EARLIEST, OccurredTooLongAgo.code, "/occurred_at"),
    )
    numbers = frame.filter(GOOD)["subject"].unique()
    hashes, partner_id = subjects.of(numbers), subjects.partner_id
    known = pl.DataFrame({"subject": numbers, "subject_hash": hashes}).join(
        _bound(call, partner_id, hashes), on="subject_hash", how="left"
    )
    frame = frame.join(known, on="subject", how="left", maintain_order="left")
    frame = with_former_owners(call, frame, GOOD & (pl.col("corrects_revision") > 0), partner_id)
    frame = refuse_by_first(
        frame,
        (pl.col("citizen_id").is_null(), UnboundCard.code, "/subject"),
        (pl.col("consent").is_null(), ConsentMissing.code, "/subject"),
        (pl.col("consent") == "withdrawn", ConsentWithdrawn.code, "/subject"),
        (pl.col("occurred_at") < pl.col("anothers_until"), CardWasAnothers.code, "/subject"),
    )
    frame = _refuse_in_gaps(call, frame, partner_id)
    return frame.drop("consent", "anothers_until", "has_gaps")


def _refuse_in_gaps(call: Call, frame: pl.DataFrame, partner_id: UUID) -> pl.DataFrame:
    """Refuse what happened between a withdrawal and the consent given after it."""
    asked = frame.filter(GOOD & pl.col("has_gaps"))
    if asked.is_empty():
        return frame
    values = {"partner": partner_id, "citizens": array_of(asked["citizen_id"].unique())}
    gaps = select_frame(call, _GAPS, values, schema=dict.fromkeys(("citizen_id", "left", "came"), pl.String))
    gaps = gaps.with_columns(pl.col("left", "came").str.to_datetime(_INSTANT, time_zone="UTC"))
    lines = asked.select("file_no", "line_no", "citizen_id", "occurred_at").join(gaps, on="citizen_id")
    hit = lines.filter((pl.col("occurred_at") >= pl.col("left")) & (pl.col("occurred_at") < pl.col("came")))
    hit = hit.select("file_no", "line_no", in_gap=pl.lit(value=True)).unique()
    frame = frame.join(hit, on=["file_no", "line_no"], how="left", maintain_order="left")
    return refuse(frame, pl.col("in_gap"), ConsentWasWithdrawn.code, "/subject").drop("in_gap")


def refuse(frame: pl.DataFrame, where: pl.Expr, code: str, pointer: str | None = None) -> pl.DataFrame:
    """Give the lines that are still good and meet `where` this code."""
    return refuse_by_first(frame, (where, code, pointer))


def refuse_by_first(frame: pl.DataFrame, *reasons: tuple[pl.Expr, str, str | None]) -> pl.DataFrame:
    """Give the lines that are still good code and pointer of the first reason whose expression they meet."""
    outcome, pointer = pl.col("outcome"), pl.col("pointer")
    for where, code, at in reversed(reasons):
        outcome = pl.when(GOOD & where).then(pl.lit(code)).otherwise(outcome)
        pointer = pl.when(GOOD & where).then(pl.lit(at, pl.String)).otherwise(pointer)
    return frame.with_columns(outcome=outcome, pointer=pointer)


def _bound(call: Call, partner_id: UUID, hashes: pl.Series) -> pl.DataFrame:
    values = {"partner": partner_id, "hashes": array_of(hashes)}
    schema = {
        "subject_hash": pl.String,
        "citizen_id": pl.String,
        "consent": pl.String,
        "anothers_until": pl.String,
        "has_gaps": pl.Boolean,
    }
    call.db.flush()  # bindings that the unit of work holds back
    found = select_frame(call, _BOUND, values, schema=schema)
    return found.with_columns(
        pl.col("subject_hash").str.decode("hex"),
        pl.col("anothers_until").str.to_datetime(_INSTANT, time_zone="UTC"),
    )


_INSTANT = "%Y-%m-%dT%H:%M:%S%.6fZ"
_WRITTEN = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
# By index only: who had a card before is looked for by the card, and hardly any had another owner.
_BOUND = (
    "SELECT encode(b.subject_hash, 'hex'), b.citizen_id, c.consent,"  # noqa: S608 - our own text
    f" (SELECT {_WRITTEN.format('max(o.ended_at)')} FROM binding o WHERE o.partner_id = b.partner_id"
    " AND o.subject_hash = b.subject_hash"
    " AND o.ended_at IS NOT NULL AND o.citizen_id <> b.citizen_id) AS anothers_until, c.has_gaps"
    f" FROM binding b CROSS JOIN LATERAL {CONSENT.format('b', 'b')}"
    " WHERE b.partner_id = %(partner)s"
    " AND b.ended_at IS NULL AND b.subject_hash = ANY (CAST(%(hashes)s AS bytea[]))"
)
_GAPS = (
    f"SELECT citizen_id, {_WRITTEN.format('withdrawn_at')}, {_WRITTEN.format('came')}"  # noqa: S608 - our own text
    " FROM (SELECT c.citizen_id, c.withdrawn_at,"
    " lead(c.given_at) OVER (PARTITION BY c.citizen_id ORDER BY c.given_at, c.id) AS came"
    " FROM consent c WHERE c.partner_id = %(partner)s"
    " AND c.citizen_id = ANY (CAST(%(citizens)s AS uuid[]))) g WHERE withdrawn_at < came"
)
