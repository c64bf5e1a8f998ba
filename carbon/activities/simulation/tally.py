"""What a simulation comes to: sums by scenario, region, month and citizen, and nothing that names a person.

Sums of a piece fit into 64 bits; those of all pieces are Python's own numbers, which have no end.
"""

from collections import Counter
from typing import Any, Protocol

import polars as pl

from carbon.activities.simulation.proposed import AS_CREDITED, NO_ROW, Row

FEWEST_CITIZENS = 10
"""Of fewer persons together no group is told: no decile, and no list of who gains or loses most."""
LISTED_MOST = 20
DECILES = 10
_BEFORE_AND_AFTER = ("carbon_mg", "carbon_after", "coin_milli", "coin_after")
_SUMS = dict.fromkeys(_BEFORE_AND_AFTER, pl.Int64)
MILLIGRAMS_PER_KILOGRAM, MILLI_PER_COIN = 1_000_000, 1_000


class Table(Protocol):
    """Rows that judged: its own first, `size` of them, then those of other tables."""

    rows: list[Row]
    size: int


class Tally:
    """Sums of the pieces that were added."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.activities = 0
        self._by: dict[str, dict[str, Counter[str]]] = {"scenario": {}, "region_id": {}, "month": {}}
        self._changed: Counter[str] = Counter()
        self._used: set[int] = set()
        self._refused: dict[tuple[str, str], Counter[str]] = {}
        self._without_row: dict[tuple[str, str], Counter[str]] = {}
        self._citizens: list[pl.DataFrame] = []

    def add(self, rows: pl.DataFrame) -> None:
        """Add the activities of citizens that no other piece has."""
        self.activities += rows.height
        self._used |= set(rows["judged"].unique())
        for key, sums in self._by.items():
            _add_up(sums, rows, key)
        _add_up(self._without_row, rows.filter(pl.col("judged") == NO_ROW), "scenario", "factor_code")
        of_method = pl.col("judged").is_not_null() & (pl.col("judged") >= 0) & pl.col("refusal").is_not_null()
        _add_up(self._refused, rows.filter(of_method), "scenario", "refusal")
        counted = rows.select(
            judged_anew=pl.col("judged") != AS_CREDITED,
            changed=(pl.col("carbon_mg") != pl.col("carbon_after"))
            | (pl.col("coin_milli") != pl.col("coin_after")),
            order_unknown=pl.col("coin_milli") != pl.col("coin_replayed"),
        ).sum()
        self._changed.update({name: int(value) for name, value in counted.row(0, named=True).items()})
        self._citizens.append(_citizens(rows))

    def told(self, table: Table) -> dict[str, Any]:
        """The result, as the schema gives it."""
        citizens = pl.concat([_citizens(pl.DataFrame(schema=_ROWS)), *self._citizens])
        totals: Counter[str] = Counter()
        for sums in self._by["region_id"].values():
            totals.update(sums)
        return {
            "totals": {
                "activities": self.activities,
                "activities_judged_anew": self._changed["judged_anew"],
                "activities_changed": self._changed["changed"],
                "activities_order_unknown": self._changed["order_unknown"],
                "citizens": citizens.height,
                **_change(totals),
            },
            "by_scenario": _groups(self._by["scenario"], "scenario"),
            "by_region": _groups(self._by["region_id"], "region"),
            "by_month": _groups(self._by["month"], "month"),
            "by_decile": _deciles(citizens),
            "rises": _listed(citizens, descending=True),
            "falls": _listed(citizens, descending=False),
            "citizens_capped_before": int(citizens["capped_before"].sum()),
            "citizens_capped_after": int(citizens["capped_after"].sum()),
            "rows_unused": [
                {"code": row.code, "scenario": row.scenario, "region": row.region_id}
                for place, row in enumerate(table.rows[: table.size])
                if place not in self._used
            ],
            "without_row": _lost(self._without_row),
            "refused": _lost(self._refused),
        }


def _add_up(sums: dict[Any, Counter[str]], rows: pl.DataFrame, *keys: str) -> None:
    named = ("activities", *_BEFORE_AND_AFTER)
    for row in (
        rows.group_by(*keys).agg(pl.len().alias("activities"), pl.col(*_BEFORE_AND_AFTER).sum()).rows()
    ):
        key = row[0] if len(keys) == 1 else row[: len(keys)]
        sums.setdefault(key, Counter()).update(dict(zip(named, row[len(keys) :], strict=True)))


def _change(sums: Counter[str]) -> dict[str, int]:
    return {
        "carbon_mg_before": sums["carbon_mg"],
        "carbon_mg_after": sums["carbon_after"],
        "carbon_mg_difference": sums["carbon_after"] - sums["carbon_mg"],
        "coin_milli_before": sums["coin_milli"],
        "coin_milli_after": sums["coin_after"],
        "coin_milli_difference": sums["coin_after"] - sums["coin_milli"],
    }


def _groups(found: dict[str, Counter[str]], name: str) -> list[dict[str, Any]]:
    return [
        {name: key, "activities": sums["activities"], **_change(sums)} for key, sums in sorted(found.items())
    ]


def _lost(found: dict[tuple[str, str], Counter[str]]) -> list[dict[str, Any]]:
    return [
        {
            "scenario": scenario,
            "code": code,
            "activities": sums["activities"],
            "carbon_mg_before": sums["carbon_mg"],
            "coin_milli_before": sums["coin_milli"],
        }
        for (scenario, code), sums in sorted(found.items())
    ]


def _citizens(rows: pl.DataFrame) -> pl.DataFrame:
    """The sums of each citizen, without a name, in the order of the ids."""
    capped_after = pl.col("earned_after") > pl.col("coin_after")
    return (
        rows.group_by("citizen_id")
        .agg(
            pl.col(*_BEFORE_AND_AFTER).sum(),
            capped_before=(pl.col("coin_cut_milli") > 0).any(),
            capped_after=capped_after.any(),
        )
        .sort("citizen_id")
        .drop("citizen_id")
    )


def _deciles(citizens: pl.DataFrame) -> list[dict[str, Any]]:
    """Tenths of the citizens by kilograms before, least first."""
    if citizens.height < DECILES * FEWEST_CITIZENS:
        return []
    ranked = citizens.sort("carbon_mg", maintain_order=True).with_row_index("rank")
    decile = (pl.col("rank").cast(pl.Int64) * DECILES // citizens.height + 1).alias("decile")
    parts = ranked.with_columns(decile).partition_by("decile", maintain_order=True, as_dict=True)
    return [
        {"decile": decile, "citizens": part.height, **_change(_sum(part))}
        for (decile,), part in parts.items()
    ]


def _sum(part: pl.DataFrame) -> Counter[str]:
    """Of many citizens: beyond 64 bits where it must be."""
    return Counter({name: sum(part[name].to_list()) for name in _BEFORE_AND_AFTER})


def _listed(citizens: pl.DataFrame, *, descending: bool) -> list[dict[str, int]]:
    """Whose coins, then kilograms, rise (or fall) most: a running number and whole coins and kilograms."""
    if citizens.height < FEWEST_CITIZENS:
        return []
    carbon, coins = pl.col("carbon_after") - pl.col("carbon_mg"), pl.col("coin_after") - pl.col("coin_milli")
    told = citizens.with_columns(coins=coins, carbon=carbon)
    signed = pl.when(pl.col("coins") != 0).then(pl.col("coins")).otherwise("carbon")
    moved = told.filter(signed > 0 if descending else signed < 0)
    ranked = moved.sort("coins", "carbon", descending=descending, maintain_order=True).head(LISTED_MOST)
    return [
        {
            "number": number,
            "carbon_kg_before": row["carbon_mg"] // MILLIGRAMS_PER_KILOGRAM,
            "carbon_kg_after": row["carbon_after"] // MILLIGRAMS_PER_KILOGRAM,
            "coins_before": row["coin_milli"] // MILLI_PER_COIN,
            "coins_after": row["coin_after"] // MILLI_PER_COIN,
        }
        for number, row in enumerate(ranked.iter_rows(named=True), start=1)
    ]


_ROWS = {"citizen_id": pl.String, **_SUMS, "coin_cut_milli": pl.Int64, "earned_after": pl.Int64}
