"""A correction is of the citizen whom its fact was credited to, also when that one has given the card back.

A credit would otherwise be right for ever once its card is bound to nobody or to somebody else. Whose card it
is today does not matter then, and nothing about that citizen is told (decision 0034).
"""

from uuid import UUID

import polars as pl

from kernel.bulk_text import array_of, select_frame
from kernel.call import Call

_NAME = ["source_event_id", "subject_hash"]


def with_former_owners(call: Call, frame: pl.DataFrame, corrects: pl.Expr, partner_id: UUID) -> pl.DataFrame:
    """Add `given_back`, true where a line that `corrects` belongs to somebody who gave its card back since.

    Such a line has that citizen, with the consent of that citizen. Nothing is asked where nothing corrects.
    """
    corrections = frame.filter(corrects)
    if corrections.is_empty():
        return frame.with_columns(given_back=pl.lit(value=False))
    facts = _owners_of(call, corrections.select(_NAME).unique(), partner_id)
    frame = frame.join(facts, on=_NAME, how="left", maintain_order="left")
    owner, today = pl.col("fact_citizen"), pl.col("citizen_id")
    # Who has it again after another is a former owner of what came before that.
    changed = today.ne_missing(owner) | (pl.col("occurred_at") < pl.col("anothers_until"))
    former = corrects & owner.is_not_null() & changed.fill_null(value=False)
    given = pl.col("given_back")
    return (
        frame.with_columns(given_back=former.fill_null(value=False))
        .with_columns(
            citizen_id=pl.when(given).then(owner).otherwise(today),
            consent=pl.when(given).then("fact_consent").otherwise("consent"),
            has_gaps=pl.when(given).then("fact_has_gaps").otherwise("has_gaps"),
            anothers_until=pl.when(~given).then("anothers_until"),
        )
        .drop("fact_citizen", "fact_consent", "fact_has_gaps")
    )


def _owners_of(call: Call, names: pl.DataFrame, partner_id: UUID) -> pl.DataFrame:
    """Whom each fact was credited to, where this card was once theirs; a fact has one citizen for ever."""
    values = {
        "partner": partner_id,
        "events": array_of(names["source_event_id"]),
        "hashes": array_of(names["subject_hash"]),
    }
    schema = {
        "source_event_id": pl.String,
        "subject_hash": pl.String,
        "fact_citizen": pl.String,
        "fact_consent": pl.String,
        "fact_has_gaps": pl.Boolean,
    }
    found = select_frame(call, _OWNERS, values, schema=schema)
    return found.with_columns(pl.col("subject_hash").str.decode("hex"))


CONSENT = (
    "(SELECT min(CASE WHEN withdrawn_at IS NULL THEN 'open' ELSE 'withdrawn' END) AS consent,"
    " coalesce(bool_or(withdrawn_at IS NOT NULL), false) AS has_gaps FROM consent"
    " WHERE citizen_id = {}.citizen_id AND partner_id = {}.partner_id) c"
)
"""Whether a citizen's consent is open, and whether one was ever withdrawn."""
_HAD = (
    "EXISTS (SELECT FROM binding b WHERE b.partner_id = r.partner_id AND b.subject_hash = k.hash"
    " AND b.citizen_id = r.citizen_id AND b.ended_at IS {})"
)
# Two looks, because there are two indexes: of cards in use, and of those that were given back.
_OWNERS = (
    "SELECT k.event, encode(k.hash, 'hex'), r.citizen_id, c.consent, c.has_gaps"  # noqa: S608 - our own text
    " FROM unnest(CAST(%(events)s AS text[]), CAST(%(hashes)s AS bytea[])) AS k (event, hash)"
    " JOIN activity_reference r ON r.partner_id = %(partner)s AND r.source_event_id = k.event"
    f" AND r.revision = 1 CROSS JOIN LATERAL {CONSENT.format('r', 'r')}"
    f" WHERE {_HAD.format('NULL')} OR {_HAD.format('NOT NULL')}"
)
