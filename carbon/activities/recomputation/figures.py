"""What a correcting table makes of earlier activities: milligrams and milli-coins before and after.

The arithmetic is that of a simulation (`anew`, `replay`): caps as they were, gone through again in the order
of arrival. Nothing here reads a balance or writes. A dry run and the posting compute the same figures, the
one for many citizens at once, the other for a few, and a digest says whether they are the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

import polars as pl

from carbon.activities.recomputation.judge import CorrectingTable
from carbon.activities.simulation.anew import judged_anew
from carbon.activities.simulation.past import Past, Span, bases_of
from carbon.activities.simulation.replay import PERIOD
from kernel.call import Call
from kernel.canonical import digest
from kernel.publications.tables import Publication

PART_ROWS = 2_000
"""Corrections that are posted at once, and those of the last of these citizens: a second of work."""


@dataclass(frozen=True)
class Scope:
    """A correcting table, and the activities of a region and of those below it that it bears on."""

    judge: CorrectingTable
    past: Past


@dataclass(frozen=True, kw_only=True)
class Part:
    """Citizens whose corrections are posted together, and what those come to."""

    after: UUID
    until: UUID
    activities: int
    carbon_mg_difference: int
    coin_milli_difference: int
    digest: bytes


def scope_of(call: Call, table: Publication, region_id: str) -> Scope:
    """What a table corrects in a region, and what shares a cap with it; refuses NotACorrection."""
    judge = CorrectingTable(call, table)
    bases = bases_of(call, region_id)
    concerned = bases.filter(pl.col("table_id").is_in(list(judge.corrected)))
    caps = concerned.select(_CAP).drop_nulls().unique()
    shared = bases.join(caps, on=_CAP, how="semi")
    both = pl.concat([concerned, shared]).unique("basis_id", maintain_order=True)
    last = date.max if table.ends_on is None else table.ends_on - timedelta(days=1)
    return Scope(judge, Past(both, Span(first_day=table.effective_from, last_day=last)))


def figures_between(call: Call, scope: Scope, after: UUID, until: UUID) -> pl.DataFrame:
    """The activities of these citizens that stand, with `carbon_after`, `coin_after` and `judged`."""
    piece = scope.past.between(call, after, until)
    return _within_bounds(judged_anew(piece, scope.judge)) if not piece.is_empty() else piece


def corrected(figures: pl.DataFrame) -> pl.DataFrame:
    """Those of them that come to something else, in the order of citizens and activities."""
    if figures.is_empty():
        return figures
    differs = (pl.col("carbon_mg") != pl.col("carbon_after")) | (pl.col("coin_milli") != pl.col("coin_after"))
    return figures.filter(differs).sort("citizen_id", "id")


def digest_of(rows: pl.DataFrame) -> bytes:
    """SHA-256 over what `corrected` gives: every activity with its figures before and after."""
    if rows.is_empty():
        return digest(b"")
    lines = rows.select(pl.concat_str(_FROZEN, separator=",").str.join("\n")).item()
    return digest(lines.encode())


def parts_of(rows: pl.DataFrame, after: UUID) -> Iterator[Part]:
    """Cut corrected rows into parts of whole citizens; the first begins behind `after`."""
    if rows.is_empty():
        return
    counts = rows.group_by("citizen_id", maintain_order=True).len().with_columns(pl.col("len").cast(pl.Int64))
    number = (pl.col("len").cum_sum() - pl.col("len")) // PART_ROWS
    numbered = rows.join(counts.select("citizen_id", part=number), on="citizen_id", maintain_order="left")
    for part in numbered.partition_by("part", maintain_order=True):
        until = UUID(part["citizen_id"][-1])
        yield Part(
            after=after,
            until=until,
            activities=part.height,
            carbon_mg_difference=int((part["carbon_after"] - part["carbon_mg"]).sum()),
            coin_milli_difference=int((part["coin_after"] - part["coin_milli"]).sum()),
            digest=digest_of(part),
        )
        after = until


def _within_bounds(rows: pl.DataFrame) -> pl.DataFrame:
    """No activity below zero, none above what it earns: what is over goes to others of the same cap.

    Only where the order in a cap is not known any more does the difference of two replays leave the bounds
    of a single activity; the sum of the period is right, and stays.
    """
    coins, most = pl.col("coin_after"), pl.col("earned_after")
    if not rows.select(((coins < 0) | (coins > most)).any()).item():
        return rows
    rows = rows.sort("citizen_id", "id").with_columns(kept=pl.min_horizontal(coins.clip(lower_bound=0), most))
    over = (coins - pl.col("kept")).sum().over(PERIOD)
    return rows.with_columns(
        coin_after=pl.col("kept")
        + _shared_out(over.clip(lower_bound=0), most - pl.col("kept"))
        - _shared_out((-over).clip(lower_bound=0), pl.col("kept"))
    ).drop("kept")


def _shared_out(amount: pl.Expr, room: pl.Expr) -> pl.Expr:
    """`amount` of each period, to one row after the other as far as each has room."""
    until = room.cum_sum().over(PERIOD)
    return pl.min_horizontal(until, amount) - pl.min_horizontal(until - room, amount)


_CAP = ("region_id", "cap_subject", "cap_period")
_FROZEN = (
    *("citizen_id", "id", "corrections", "carbon_mg", "carbon_after"),
    *("coin_milli", "coin_after", "borne_milli"),
)
