"""Inputs become milligrams: one lookup for each scenario and day, one expression for each factor.

Adds `factor_id`, `found_by`, `carbon_mg`, `inputs` (canonical JSON) and `digest`, which is that of the
scalar method: a property test holds the two together.
"""

from datetime import date

import polars as pl

from carbon.activities.adapters.frames import inputs_json, sha256
from carbon.activities.errors import ScenarioUnknown
from carbon.activities.recognition import GOOD, refuse_by_first
from carbon.factors.errors import NoFactorInForce
from carbon.factors.lookup import OWN_REGION, FoundFactor, factor_in_force, is_known_scenario
from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.method import Method
from kernel.call import Call

SHIPPED_SCENARIOS = frozenset(
    {"metro_ride", "bus_ride", "household_electricity_saving", "household_water_saving"}
)
"""What our own adapters bring: known, with or without a table in force."""


def assess_frame(call: Call, frame: pl.DataFrame, *, region_id: str) -> pl.DataFrame:
    """Refuse scenario_unknown, no_factor_in_force and what the method refuses; assess the rest."""
    found, unknown, none = _look_up(call, frame, region_id)
    named = pl.concat_str("scenario", pl.lit("|"), "business_day")
    frame = refuse_by_first(
        frame,
        (pl.col("scenario").is_in(list(unknown)), ScenarioUnknown.code, "/scenario"),
        (named.is_in(none), NoFactorInForce.code, "/occurred_at"),
    )
    frame = frame.with_columns(inputs=inputs_json(frame)).with_row_index("row")
    factors = _by_factor(found)
    numbered = frame.join(factors, on=["scenario", "business_day"], how="left", maintain_order="left")
    parts = [numbered.filter(~GOOD).with_columns(*_BLANK)]
    for (place,), part in numbered.filter(GOOD).group_by("factor", maintain_order=True):
        pair = factors.row(factors["factor"].index_of(place) or 0, named=True)
        parts.append(_assess_part(part, found[pair["scenario"], pair["business_day"]]))
    return pl.concat(parts, how="vertical").sort("row").drop("row", "factor")


def _by_factor(found: dict[tuple[str, date], FoundFactor]) -> pl.DataFrame:
    """Which pairs of scenario and day share a factor found in one way; `factor` numbers these."""
    places: dict[tuple[object, str], int] = {}
    rows = [
        (scenario, day, places.setdefault((each.row.id, each.found_by), len(places)))
        for (scenario, day), each in found.items()
    ]
    return pl.DataFrame(
        rows, schema={"scenario": pl.String, "business_day": pl.Date, "factor": pl.Int64}, orient="row"
    )


def _look_up(
    call: Call, frame: pl.DataFrame, region_id: str
) -> tuple[dict[tuple[str, date], FoundFactor], set[str], list[str]]:
    found: dict[tuple[str, date], FoundFactor] = {}
    unknown: set[str] = set()
    none: list[str] = []
    pairs = frame.filter(GOOD).group_by("scenario", maintain_order=True).agg(pl.col("business_day").unique())
    for scenario, days in pairs.iter_rows():
        by_day = _found_on(call, scenario, sorted(days), region_id)
        found |= {(scenario, day): each for day, each in by_day.items() if each is not None}
        missing = [day for day, each in by_day.items() if each is None]
        if missing and (scenario in SHIPPED_SCENARIOS or is_known_scenario(call, scenario)):
            none += [f"{scenario}|{day}" for day in missing]
        elif missing:
            unknown.add(scenario)
    return found, unknown, none


def _found_on(call: Call, scenario: str, days: list[date], region_id: str) -> dict[date, FoundFactor | None]:
    """The factor of each of the sorted days, or None.

    A region's own row rules from one day to another without a gap and alone: publication refuses an
    overlap. So a row found at both ends rules all days between, and only where the ends differ is looked on.
    """
    ends = {day: _find(call, scenario, day, region_id) for day in {days[0], days[-1]}}
    first, last = ends[days[0]], ends[days[-1]]
    one = first is not None and last is not None and first.row.id == last.row.id
    if one and first is not None and first.found_by == OWN_REGION:
        return dict.fromkeys(days, first)
    middle = days[1:-1]
    half = len(middle) // 2
    for part in (middle[:half], middle[half:]):
        if part:
            ends |= _found_on(call, scenario, part, region_id)
    return ends


def _find(call: Call, scenario: str, day: date, region_id: str) -> FoundFactor | None:
    try:
        return factor_in_force(call, scenario=scenario, region_id=region_id, day=day)
    except NoFactorInForce:
        return None


def _assess_part(part: pl.DataFrame, found: FoundFactor) -> pl.DataFrame:
    method, factor = found.in_use.method, found.in_use.factor
    code = method.refusal_expression(
        quantity_min=pl.lit(factor.quantity_min), quantity_max=pl.lit(factor.quantity_max)
    )
    part = part.with_columns(outcome=pl.coalesce(code, "outcome"))
    value = pl.lit(factor.value_ng, pl.Int64)
    part = part.with_columns(carbon_mg=pl.when(GOOD).then(method.carbon_mg_expression(value)).cast(pl.Int64))
    return part.with_columns(
        pl.lit(str(found.row.id)).alias("factor_id"),
        pl.lit(found.found_by).alias("found_by"),
        "carbon_mg",
        digests(part, method, factor).alias("digest"),
    ).select(*_columns(part), "factor_id", "found_by", "carbon_mg", "digest")


def _columns(part: pl.DataFrame) -> list[str]:
    return [name for name in part.columns if name != "carbon_mg"]


def digests(part: pl.DataFrame, method: Method, factor: MethodFactor) -> pl.Series:
    """What `Assessment.digest` gives for each good row: the same bytes, put together as text.

    Every field is shorter than 128 bytes, so its length too is a character.
    """
    value_ng = pl.lit(factor.value_ng, pl.Int64)
    fields = [
        *(pl.lit(_fixed(value)) for value in ("assessment/1", method.name, method.version)),
        pl.coalesce(_written_inputs(sorted(each.names)) for each in method.input_sets),
        *(pl.lit(_fixed(value)) for value in (factor.value, factor.unit, factor.value_ng)),
        _field("i", method.quantity_expression().cast(pl.String)),
        _field("i", method.nanograms_expression(value_ng).cast(pl.String)),
        _field("i", pl.col("carbon_mg").cast(pl.String)),
    ]
    return sha256(part.select(text=pl.when(GOOD).then(pl.concat_str(fields)))["text"])


def _fixed(value: str | int) -> str:
    letter, text = ("s", value) if isinstance(value, str) else ("i", str(value))
    return f"{letter}\0\0\0{chr(len(text.encode()))}{text}"


def _written_inputs(names: list[str]) -> pl.Expr:
    pairs = [
        _field("l", pl.concat_str(pl.lit(_fixed(name)), _field("i", pl.col(name).cast(pl.String))))
        for name in names
    ]
    return _field("l", pl.concat_str(pairs))


def _field(letter: str, text: pl.Expr) -> pl.Expr:
    size = text.str.len_bytes().replace_strict(_CHARACTER, return_dtype=pl.String)
    return pl.concat_str(pl.lit(f"{letter}\0\0\0"), size, text)


_CHARACTER = {size: chr(size) for size in range(128)}
_BLANK = (
    pl.lit(None, pl.String).alias("factor_id"),
    pl.lit(None, pl.String).alias("found_by"),
    pl.lit(None, pl.Int64).alias("carbon_mg"),
    pl.lit(None, pl.Binary).alias("digest"),
)
