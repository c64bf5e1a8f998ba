"""Activities judged by other rows: milligrams computed again by the methods, coins under their caps.

Kilograms are computed by the methods of today from the inputs that were kept; coins at the rate and under
the cap that each activity was credited with, whose use is gone through again (see `replay`).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import polars as pl

from carbon.activities.evidence import WHOLE
from carbon.activities.simulation.proposed import AS_CREDITED, NO_ROW, Judged, Row
from carbon.activities.simulation.replay import with_coins
from carbon.factors.errors import NoFactorInForce
from carbon.methodologies.inputs import INPUTS
from kernel.errors import BrokenInvariant
from kernel.units import INT64_MAX


class Judge(Protocol):
    """Says which row an activity comes under."""

    @property
    def rows(self) -> Sequence[Row]:
        """The rows that it names by their places."""

    def judge(self, judged: Judged, day: Any) -> int:
        """A place in `rows`, AS_CREDITED or NO_ROW."""


def judged_anew(piece: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """The activities of a piece that are asked for, with what they would come to by this judge."""
    rows = _assessed(_judged(piece, judge), judge)
    _refuse_to_wrap(rows)
    before = pl.col("coin_milli") + pl.col("coin_cut_milli")
    anew = pl.col("carbon_after") * pl.col("rate_coins") // pl.col("rate_per")
    rows = rows.with_columns(
        earned_before=before,
        earned_after=pl.when(pl.col("judged") == AS_CREDITED).then(before).otherwise(anew),
    )
    month = pl.col("business_day").dt.strftime("%Y-%m").alias("month")
    return with_coins(rows).filter("counts").with_columns(month)


def _judged(piece: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """Add `judged`, which is asked once for all that agree in what it depends on."""
    known = piece.select(*_JUDGED, "business_day").unique()
    judged = [
        judge.judge(Judged(**{name: row[name] for name in _JUDGED}), row["business_day"])
        for row in known.iter_rows(named=True)
    ]
    answers = known.with_columns(pl.Series("judged", judged, dtype=pl.Int64))
    return piece.join(answers, on=[*_JUDGED, "business_day"], how="left", maintain_order="left")


def _assessed(rows: pl.DataFrame, judge: Judge) -> pl.DataFrame:
    """Add `carbon_after` and `refusal`: a code where nothing would have been credited."""
    parts = [
        _assess_part(part, judge, place) for (place,), part in rows.group_by("judged", maintain_order=True)
    ]
    return pl.concat(parts, how="vertical")


def _assess_part(part: pl.DataFrame, judge: Judge, place: Any) -> pl.DataFrame:
    if place == AS_CREDITED:
        return part.with_columns(pl.col("carbon_mg").alias("carbon_after"), _code(None))
    if place == NO_ROW:
        return part.with_columns(pl.lit(0, pl.Int64).alias("carbon_after"), _code(NoFactorInForce.code))
    used = judge.rows[place].in_use
    inputs = part.select(pl.col("inputs").str.json_decode(_INPUTS)).unnest("inputs")
    refusal = used.method.refusal_expression(
        quantity_min=pl.lit(used.factor.quantity_min), quantity_max=pl.lit(used.factor.quantity_max)
    )
    carbon = used.method.carbon_mg_expression(pl.lit(used.factor.value_ng, pl.Int64))
    assessed = inputs.with_columns(refusal.alias("refusal")).select(
        pl.when(pl.col("refusal").is_null()).then(carbon).otherwise(0).cast(pl.Int64).alias("carbon_after"),
        "refusal",
    )
    counted = pl.col("carbon_after") * pl.col("share") // WHOLE
    return pl.concat([part, assessed], how="horizontal").with_columns(carbon_after=counted)


def _code(code: str | None) -> pl.Expr:
    return pl.lit(code, pl.String).alias("refusal")


def _refuse_to_wrap(rows: pl.DataFrame) -> None:
    """Polars wraps silently: no product and no sum of the piece may leave 64 bits."""
    most = max(int(rows[name].max() or 0) for name in ("carbon_mg", "carbon_after"))  # type: ignore[arg-type]  # whole numbers
    coins, per_mg = pl.col("rate_coins"), pl.col("rate_per")
    worst = rows.select((coins // per_mg + 1).max().alias("a_milligram"), coins.max())
    coins_a_mg, coins_most = worst.row(0)
    if most * max(coins_most, coins_a_mg * rows.height) > INT64_MAX:
        raise BrokenInvariant(f"{rows.height} activities of up to {most} mg do not fit into 64 bits")


_JUDGED = (
    "region_id",
    "scenario",
    "found_by",
    "factor_region",
    "table_id",
    "table_region",
    "table_subject",
)
_INPUTS = pl.Struct(dict.fromkeys(INPUTS, pl.Int64))
