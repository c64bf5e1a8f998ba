"""Inputs become milligrams: one lookup for each scenario and day, one expression for each factor.

Adds `factor_id`, `found_by`, `carbon_mg`, `inputs` (canonical JSON) and `digest`. The digest is that of
the scalar method, worked out once for each distinct pair of inputs and factor.
"""

from datetime import date

import polars as pl

from carbon.activities.adapters.frames import inputs_json, row_inputs
from carbon.activities.errors import ScenarioUnknown
from carbon.activities.recognition import GOOD, refuse
from carbon.factors.errors import NoFactorInForce
from carbon.factors.lookup import FoundFactor, factor_in_force, is_known_scenario
from carbon.methodologies.inputs import INPUTS
from kernel.call import Call

SHIPPED_SCENARIOS = frozenset(
    {"metro_ride", "bus_ride", "household_electricity_saving", "household_water_saving"}
)
"""What our own adapters bring: known, with or without a table in force."""


def assess_frame(call: Call, frame: pl.DataFrame, *, region_id: str) -> pl.DataFrame:
    """Refuse scenario_unknown, no_factor_in_force and what the method refuses; assess the rest."""
    found, unknown, none = _look_up(call, frame, region_id)
    frame = refuse(frame, pl.col("scenario").is_in(list(unknown)), ScenarioUnknown.code, "/scenario")
    named = pl.concat_str("scenario", pl.lit("|"), "business_day")
    frame = refuse(frame, named.is_in(none), NoFactorInForce.code, "/occurred_at")
    frame = frame.with_columns(inputs=inputs_json(frame)).with_row_index("row")
    parts = [frame.filter(~GOOD).with_columns(*_BLANK)]
    for (scenario, day), part in frame.filter(GOOD).group_by("scenario", "business_day", maintain_order=True):
        parts.append(_assess_part(part, found[str(scenario), day]))
    return pl.concat(parts, how="vertical").sort("row").drop("row")


def _look_up(
    call: Call, frame: pl.DataFrame, region_id: str
) -> tuple[dict[tuple[str, date], FoundFactor], set[str], list[str]]:
    found: dict[tuple[str, date], FoundFactor] = {}
    unknown: set[str] = set()
    none: list[str] = []
    pairs = frame.filter(GOOD).select("scenario", "business_day").unique(maintain_order=True)
    for scenario, day in pairs.iter_rows():
        try:
            found[scenario, day] = factor_in_force(call, scenario=scenario, region_id=region_id, day=day)
        except NoFactorInForce:
            if scenario in SHIPPED_SCENARIOS or is_known_scenario(call, scenario):
                none.append(f"{scenario}|{day}")
            else:
                unknown.add(scenario)
    return found, unknown, none


def _assess_part(part: pl.DataFrame, found: FoundFactor) -> pl.DataFrame:
    method, factor = found.in_use.method, found.in_use.factor
    code = method.refusal_expression(
        quantity_min=pl.lit(factor.quantity_min), quantity_max=pl.lit(factor.quantity_max)
    )
    part = part.with_columns(outcome=pl.coalesce(code, "outcome"))
    carbon = method.carbon_mg_expression(pl.lit(factor.value_ng, pl.Int64))
    distinct = part.filter(GOOD).unique("inputs", maintain_order=True).select("inputs", *INPUTS)
    digests = [method.assess(row_inputs(row), factor).digest() for row in distinct.iter_rows(named=True)]
    table = distinct.select("inputs", pl.Series("digest", digests, dtype=pl.Binary))
    part = part.join(table, on="inputs", how="left", maintain_order="left")
    return part.with_columns(
        pl.lit(str(found.row.id)).alias("factor_id"),
        pl.lit(found.found_by).alias("found_by"),
        pl.when(GOOD).then(carbon).cast(pl.Int64).alias("carbon_mg"),
    ).select(*part.drop("digest").columns, "factor_id", "found_by", "carbon_mg", "digest")


_BLANK = (
    pl.lit(None, pl.String).alias("factor_id"),
    pl.lit(None, pl.String).alias("found_by"),
    pl.lit(None, pl.Int64).alias("carbon_mg"),
    pl.lit(None, pl.Binary).alias("digest"),
)
