"""What the activities of some days would have come to under another factor table. Nothing is written.

Their kilograms are computed by the methods of today from the inputs that were kept; coins at the rate and
under the cap that each activity was credited with, whose use is gone through again (see `replay`). Only what
was taken is known: what was refused at its time (for the days of a meter too) is not among the activities,
and one that the table would refuse comes to nothing, also where it corrected another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
from sqlalchemy import text

from carbon.activities.errors import SpanBackwards, SpanTooLong, TooManyToSimulate
from carbon.activities.evidence import WHOLE
from carbon.activities.simulation.past import Span, bases_of, pieces
from carbon.activities.simulation.proposed import AS_CREDITED, NO_ROW, Judged, ProposedTable
from carbon.activities.simulation.replay import with_coins
from carbon.activities.simulation.tally import Tally
from carbon.factors.catalogue import standing
from carbon.factors.errors import NoFactorInForce
from carbon.methodologies.inputs import INPUTS
from kernel.bulk_text import savepoint
from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.tables import Publication
from kernel.units import INT64_MAX


@dataclass(frozen=True, kw_only=True)
class Question:
    """Which business days (both included), and from which day on the table's first rows are taken to hold.

    Without `starting_on` they hold from their own first days.
    """

    first_day: date
    last_day: date
    starting_on: date | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that one request computes: some ten to twenty seconds of work."""

    days: int = 366
    activities: int = 500_000


REQUEST = Limits()


def simulate(
    call: Call, table: Publication, question: Question, *, limits: Limits | None = None
) -> dict[str, Any]:
    """Milligrams and milli-coins before and after, as `GivesSimulation` names them.

    The activities are those of the table's region and the regions below it that stand. Taken as it was
    published, a table changes nothing that was recorded while it was in force.

    Refuses, in this order: SpanBackwards, SpanTooLong, what `ProposedTable` refuses, TooManyToSimulate.
    """
    span = Span(first_day=question.first_day, last_day=question.last_day)
    require(span.days > 0, SpanBackwards(pointer="/body/last_day"))
    if limits is not None and span.days > limits.days:
        raise SpanTooLong(f"{span.days} days", pointer="/body/last_day", most=limits.days)
    tally = Tally()
    with _read_only(call):
        proposed = ProposedTable(call, table, starting_on=question.starting_on)
        bases = bases_of(call, table.region_id)
        for piece in pieces(call, bases, span):
            tally.add(_simulated(piece, proposed))
            if limits is not None and tally.activities > limits.activities:
                raise TooManyToSimulate(pointer="/body/last_day", most=limits.activities)
    return {
        "table_id": public_id(PREFIX, table.id),
        "standing": standing(table, today=call.today),
        "first_day": question.first_day,
        "last_day": question.last_day,
        "starting_on": question.starting_on,
        **tally.told(proposed),
    }


@contextmanager
def _read_only(call: Call) -> Iterator[None]:
    """PostgreSQL itself refuses to write inside; after the savepoint the transaction is as it was."""
    with savepoint(call):
        call.db.execute(text("SET TRANSACTION READ ONLY"))
        yield


def _simulated(piece: pl.DataFrame, proposed: ProposedTable) -> pl.DataFrame:
    """The activities of a piece that are asked for, with what they would have come to."""
    rows = _assessed(_judged(piece, proposed), proposed)
    _refuse_to_wrap(rows)
    before = pl.col("coin_milli") + pl.col("coin_cut_milli")
    anew = pl.col("carbon_after") * pl.col("rate_coins") // pl.col("rate_per")
    rows = rows.with_columns(
        earned_before=before,
        earned_after=pl.when(pl.col("judged") == AS_CREDITED).then(before).otherwise(anew),
    )
    month = pl.col("business_day").dt.strftime("%Y-%m").alias("month")
    return with_coins(rows).filter("counts").with_columns(month)


def _judged(piece: pl.DataFrame, proposed: ProposedTable) -> pl.DataFrame:
    """Add `judged`, which is asked once for all that agree in what it depends on."""
    known = piece.select(*_JUDGED, "business_day").unique()
    judged = [
        proposed.judge(Judged(**{name: row[name] for name in _JUDGED}), row["business_day"])
        for row in known.iter_rows(named=True)
    ]
    answers = known.with_columns(pl.Series("judged", judged, dtype=pl.Int64))
    return piece.join(answers, on=[*_JUDGED, "business_day"], how="left", maintain_order="left")


def _assessed(rows: pl.DataFrame, proposed: ProposedTable) -> pl.DataFrame:
    """Add `carbon_after` and `refusal`: a code where nothing would have been credited."""
    parts = [
        _assess_part(part, proposed, place) for (place,), part in rows.group_by("judged", maintain_order=True)
    ]
    return pl.concat(parts, how="vertical")


def _assess_part(part: pl.DataFrame, proposed: ProposedTable, place: Any) -> pl.DataFrame:
    if place == AS_CREDITED:
        return part.with_columns(pl.col("carbon_mg").alias("carbon_after"), _code(None))
    if place == NO_ROW:
        return part.with_columns(pl.lit(0, pl.Int64).alias("carbon_after"), _code(NoFactorInForce.code))
    used = proposed.rows[place].in_use
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
