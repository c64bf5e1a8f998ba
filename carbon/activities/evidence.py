"""How much of what was assessed counts: evidence of a published tier brings its share of the kilograms.

The share cuts the kilograms, and the coins follow from those (decision 0021): a kilogram that nobody saw in
full may be given away or retired, and a reduction is never overstated. Who states no tier has the one of the
partner's contract. A tier without a published share is refused; `device_verified` alone counts in full
without a rule.
"""

from collections.abc import Sequence

import polars as pl

from carbon.activities.errors import EvidenceMissing, EvidenceNotGranted, EvidenceUnknown
from carbon.activities.recognition import GOOD, refuse, refuse_by_first
from carbon.methodologies.assessment import Step
from carbon.partners.tables import DEVICE_VERIFIED
from kernel.errors import BrokenInvariant
from kernel.publications.rules import EvidenceTier
from kernel.units import floor_to_share

WHOLE = 1000
_POINTER = "/evidence"


def weigh(frame: pl.DataFrame, granted: Sequence[str], tiers: Sequence[EvidenceTier]) -> pl.DataFrame:
    """Cut the assessed `carbon_mg` of good lines to their share; adds `evidence_rule_id`.

    `granted` are the tiers of the partner's contract, `tiers` those that are published for the days. Refuses
    evidence_missing (several are granted, none is stated), evidence_not_granted, evidence_unknown.
    """
    only = granted[0] if len(granted) == 1 else None
    frame = frame.with_columns(pl.coalesce("evidence", pl.lit(only, pl.String)).alias("evidence"))
    frame = refuse_by_first(
        frame,
        (pl.col("evidence").is_null(), EvidenceMissing.code, _POINTER),
        (~pl.col("evidence").is_in(list(granted)), EvidenceNotGranted.code, _POINTER),
    )
    shares = _shares(frame, tiers)
    frame = frame.join(shares, on=["evidence", "business_day"], how="left", maintain_order="left")
    frame = refuse(frame, pl.col("share").is_null(), EvidenceUnknown.code, _POINTER)
    if shares.filter(pl.col("share") < WHOLE).is_empty():
        return frame.drop("share")
    # Milligrams are nanograms by a million: a thousand of them still fit into 64 bits.
    counted = pl.col("carbon_mg") * pl.col("share") // WHOLE
    return frame.with_columns(carbon_mg=pl.when(GOOD).then(counted).otherwise("carbon_mg")).drop("share")


def share_step(carbon_mg: int, *, share_permille: int) -> Step:
    """The step of an explanation in which evidence counts for a part of what was assessed."""
    whole, rest = divmod(carbon_mg * share_permille, WHOLE)
    return Step(
        title_en="share of this evidence tier",
        title_zh="按证据等级计入的份额",
        expression=f"{carbon_mg} mg × {share_permille} ÷ {WHOLE}",
        value_before_rounding=f"{whole}" + (f".{rest:03d}".rstrip("0") if rest else ""),
        value_after=str(floor_to_share(carbon_mg, share_permille=share_permille)),
        unit="mg",
    )


def _shares(frame: pl.DataFrame, tiers: Sequence[EvidenceTier]) -> pl.DataFrame:
    """The share of each tier on each day that good lines have, and the rule that says so."""
    rows = [(each.tier, each.share_permille, str(each.rule_id), each.since, each.until) for each in tiers]
    ruling = pl.DataFrame(rows, schema=_RULING, orient="row")
    pairs = frame.filter(GOOD).select("evidence", "business_day").unique()
    day = pl.col("business_day")
    ruled = pairs.join(ruling, on="evidence").filter(
        (day >= pl.col("since")) & (pl.col("until").is_null() | (day < pl.col("until")))
    )
    if ruled.select("evidence", "business_day").is_duplicated().any():
        raise BrokenInvariant("two rules share out one tier on one day")
    found = pairs.join(ruled, on=["evidence", "business_day"], how="left").select(*_FOUND)
    in_full = pl.when(pl.col("evidence") == DEVICE_VERIFIED).then(pl.lit(WHOLE, pl.Int64))
    return found.with_columns(pl.coalesce("share", in_full).alias("share"))


_RULING = {
    "evidence": pl.String,
    "share": pl.Int64,
    "evidence_rule_id": pl.String,
    "since": pl.Date,
    "until": pl.Date,
}
_FOUND = ("evidence", "business_day", "share", "evidence_rule_id")
