"""What activities were judged by, written once for all that share it."""

from uuid import UUID

import polars as pl

from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call

_JUDGED_BY = ("scenario", "factor_id", "found_by", "cap_rule_id", "evidence", "evidence_rule_id")
"""What may differ within a chunk; region, partner and coin rule do not."""


def with_basis(
    call: Call, rows: pl.DataFrame, *, region_id: str, partner_id: UUID, coin_rule_id: UUID
) -> pl.DataFrame:
    """Add `basis_id` to assessed rows that have their cap.

    Rows of a basis are never changed, so whoever finds one uses it. Two who miss the same at one moment both
    write it: neither waits for the other, and a row too many does no harm.
    """
    chunk = {"region": region_id, "partner": partner_id, "coin_rule": coin_rule_id}
    wanted = rows.select(_JUDGED_BY).unique()
    found = select_frame(call, _STANDING, chunk, schema=_FOUND)
    missing = wanted.join(found, on=_JUDGED_BY, how="anti", nulls_equal=True)
    if not missing.is_empty():
        columns = {name: array_of(missing[name]) for name in _JUDGED_BY}
        execute_text(call, _WRITE, {**chunk, **columns})
        found = select_frame(call, _STANDING, chunk, schema=_FOUND)
    return rows.join(found, on=_JUDGED_BY, how="left", nulls_equal=True, maintain_order="left")


_FOUND = {**dict.fromkeys(_JUDGED_BY, pl.String), "basis_id": pl.Int64}
_STANDING = (
    f"SELECT {', '.join(_JUDGED_BY)}, min(id) FROM activity_basis"  # noqa: S608 - our own text
    " WHERE partner_id = %(partner)s AND coin_rule_id = %(coin_rule)s AND region_id = %(region)s"
    " GROUP BY 1, 2, 3, 4, 5, 6"
)
_WRITE = (
    "INSERT INTO activity_basis"
    " (region_id, partner_id, coin_rule_id, scenario, factor_id, found_by, cap_rule_id,"
    " evidence, evidence_rule_id)"
    " SELECT %(region)s, %(partner)s, %(coin_rule)s, k.* FROM unnest("
    "CAST(%(scenario)s AS text[]), CAST(%(factor_id)s AS uuid[]),"
    " CAST(%(found_by)s AS text[]), CAST(%(cap_rule_id)s AS uuid[]),"
    " CAST(%(evidence)s AS text[]), CAST(%(evidence_rule_id)s AS uuid[])) AS k"
)
