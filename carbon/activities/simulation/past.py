"""The activities of a region and of those below it, read in pieces of whole citizens.

A piece is what some citizens did in the days that are asked for, and in the rest of a month whose cap they
share. Activities that a correction took back are read too: they used room under caps at their time.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import polars as pl

from carbon.activities.errors import TooManyToSimulate
from carbon.activities.simulation.replay import PERIOD
from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call
from kernel.publications.rates import lowest_terms

PIECE_ROWS = 50_000
"""Activities that are looked at together, and those of the last of these citizens: some 40 MB."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """Business days, both included."""

    first_day: date
    last_day: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last_day - self.first_day) // timedelta(days=1) + 1


def bases_of(call: Call, region_id: str) -> pl.DataFrame:
    """What activities of the region and of those below it were judged by, a row each."""
    found = select_frame(call, _BASES, {"region": region_id}, schema=_BASIS)
    rates = [
        lowest_terms({"coins_milli": coins, "per_mg": per_mg})
        for coins, per_mg in found.select("rate_coins", "rate_per").iter_rows()
    ]
    return found.with_columns(
        pl.Series("rate_coins", [coins for coins, _ in rates], dtype=pl.Int64),
        pl.Series("rate_per", [per_mg for _, per_mg in rates], dtype=pl.Int64),
    )


@dataclass(frozen=True)
class Stretch:
    """A piece: its last citizen, and how many activities have to be looked through for it."""

    until: UUID
    rows: int


@dataclass
class LookedThrough:
    """Activities of all regions that were read so far to find those that are asked for."""

    most: int | None = None
    rows: int = 0

    def add(self, stretch: Stretch) -> None:
        """Count a piece before it is read; refuses TooManyToSimulate."""
        self.rows += stretch.rows
        if self.most is not None and self.rows > self.most:
            said = "activities of all regions are looked through; the command and a proposal take any number"
            raise TooManyToSimulate(f"more than {self.most:,} {said}", most=self.most)


@dataclass(frozen=True)
class Past:
    """The activities of these bases and days, with what a month's cap needs of the rest of its month."""

    bases: pl.DataFrame
    span: Span

    def stretch_after(self, call: Call, after: UUID) -> Stretch | None:
        """The piece that begins behind `after`; None behind the last citizen of all.

        It is cut from the activities of all regions and bases: no index finds those that are asked for.
        """
        bounds = {"after": after, "most": PIECE_ROWS}
        found = execute_text(call, _UNTIL, bounds).one_or_none()
        return None if found is None else Stretch(found.citizen_id, found.looked_through)

    def between(self, call: Call, after: UUID, until: UUID) -> pl.DataFrame:
        """What the citizens behind `after` up to `until` did, in one statement: of one moment.

        Figures are those that stand: where a table corrected an activity, what it came to then.
        """
        span, monthly = self.span, self.bases.filter(pl.col("cap_period") == "month")["basis_id"]
        values = {
            "first": span.first_day,
            "last": span.last_day,
            "month_first": span.first_day.replace(day=1),
            "month_last": _month_end(span.last_day),
            "bases": array_of(self.bases["basis_id"]),
            "monthly": array_of(monthly),
            "after": after,
            "until": until,
        }
        return _with_basis(select_frame(call, _READ, values, schema=_ACTIVITY), self.bases, span)


def pieces(
    call: Call, bases: pl.DataFrame, span: Span, *, looked_through: LookedThrough
) -> Iterator[pl.DataFrame]:
    """Activities with the columns of their basis; `counts` marks those of the span that stand.

    Refuses TooManyToSimulate.
    """
    if bases.is_empty():
        return
    past, after = Past(bases, span), FIRST
    while (stretch := past.stretch_after(call, after)) is not None:
        looked_through.add(stretch)
        piece = past.between(call, after, stretch.until)
        if not piece.is_empty():
            yield piece
        after = stretch.until


def _month_end(day: date) -> date:
    # Not by the first day of the next month: behind December 9999 there is none.
    return day.replace(day=monthrange(day.year, day.month)[1])


def _with_basis(read: pl.DataFrame, bases: pl.DataFrame, span: Span) -> pl.DataFrame:
    day, in_span = pl.col("business_day"), pl.col("business_day").is_between(span.first_day, span.last_day)
    start = pl.when(pl.col("cap_period") == "month").then(day.dt.month_start()).otherwise(day)
    return read.join(bases, on="basis_id", how="left", maintain_order="left").with_columns(
        start.alias(PERIOD[-1]),
        moment=pl.col("id").str.slice(0, _MOMENT),
        back_moment=pl.col("back_id").str.slice(0, _MOMENT),
        counts=in_span & pl.col("back_id").is_null(),
    )


FIRST = UUID(int=0)
"""Before every citizen."""
_MOMENT = 13
"""Characters of a UUIDv7 in text that hold its millisecond."""
_BASIS = {
    "basis_id": pl.Int64,
    "region_id": pl.String,
    "scenario": pl.String,
    "found_by": pl.String,
    "factor_code": pl.String,
    "factor_region": pl.String,
    "table_id": pl.String,
    "table_region": pl.String,
    "table_subject": pl.String,
    "rate_coins": pl.Int64,
    "rate_per": pl.Int64,
    "share": pl.Int64,
    "cap_subject": pl.String,
    "cap_period": pl.String,
    "cap_milli": pl.Int64,
}
_ACTIVITY = {
    "citizen_id": pl.String,
    "id": pl.String,
    "basis_id": pl.Int64,
    "business_day": pl.Date,
    "inputs": pl.String,
    "carbon_mg": pl.Int64,
    "coin_milli": pl.Int64,
    "coin_cut_milli": pl.Int64,
    "borne_milli": pl.Int64,
    "corrections": pl.Int64,
    "recorded": pl.Int64,
    "file_no": pl.Int64,
    "line_no": pl.Int64,
    "back_id": pl.String,
    "back_recorded": pl.Int64,
    "back_file_no": pl.Int64,
    "back_line_no": pl.Int64,
}
_BASES = (
    "WITH RECURSIVE below (id) AS (SELECT CAST(%(region)s AS text)"
    " UNION SELECT r.id FROM region r JOIN below b ON r.parent_id = b.id)"
    " SELECT s.id, s.region_id, s.scenario, s.found_by, f.code, f.region_id, t.id, t.region_id, t.subject,"
    " CAST(r.content ->> 'coins_milli' AS bigint), CAST(r.content ->> 'per_mg' AS bigint),"
    " coalesce(CAST(e.content ->> 'share_permille' AS bigint), 1000),"
    " c.subject, c.content ->> 'period', CAST(c.content ->> 'coins_milli' AS bigint)"
    " FROM activity_basis s JOIN below b ON b.id = s.region_id"
    " JOIN factor f ON f.id = s.factor_id JOIN publication t ON t.id = f.publication_id"
    " JOIN publication r ON r.id = s.coin_rule_id LEFT JOIN publication c ON c.id = s.cap_rule_id"
    " LEFT JOIN publication e ON e.id = s.evidence_rule_id"
)
_UNTIL = (
    "SELECT citizen_id, count(*) OVER () AS looked_through FROM"
    " (SELECT citizen_id FROM activity WHERE citizen_id > %(after)s"
    " ORDER BY citizen_id LIMIT %(most)s) p ORDER BY citizen_id DESC LIMIT 1"
)
_MICROSECONDS = "CAST(extract(epoch FROM {}) * 1000000 AS bigint)"
_STANDING = (
    "SELECT DISTINCT ON (citizen_id, activity_id) citizen_id, activity_id, number, carbon_mg_after,"
    " coin_milli_after, coin_cut_milli_after, borne_milli_after FROM activity_correction"
    " WHERE citizen_id > %(after)s AND citizen_id <= %(until)s ORDER BY citizen_id, activity_id, number DESC"
)
_READ = (
    "SELECT a.citizen_id, a.id, a.basis_id, a.business_day, a.inputs,"  # noqa: S608 - our own text
    " coalesce(k.carbon_mg_after, a.carbon_mg), coalesce(k.coin_milli_after, a.coin_milli),"
    " coalesce(k.coin_cut_milli_after, a.coin_cut_milli), coalesce(k.borne_milli_after, 0),"
    " coalesce(k.number, 0),"
    f" {_MICROSECONDS.format('a.recorded_at')}, a.file_no, a.line_no,"
    f" v.superseded_by, {_MICROSECONDS.format('v.recorded_at')}, n.file_no, n.line_no"
    " FROM activity a"
    " LEFT JOIN activity_reversal v ON v.citizen_id = a.citizen_id AND v.activity_id = a.id"
    " LEFT JOIN activity n ON n.citizen_id = v.citizen_id AND n.id = v.superseded_by"
    f" LEFT JOIN ({_STANDING}) k ON k.citizen_id = a.citizen_id AND k.activity_id = a.id"
    " WHERE a.citizen_id > %(after)s AND a.citizen_id <= %(until)s AND ("
    "a.business_day BETWEEN %(first)s AND %(last)s AND a.basis_id = ANY (CAST(%(bases)s AS bigint[]))"
    " OR a.business_day BETWEEN %(month_first)s AND %(month_last)s"
    " AND a.basis_id = ANY (CAST(%(monthly)s AS bigint[])))"
)
