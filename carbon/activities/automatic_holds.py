"""Published rules put activities on hold as they come in: too many of a kind in a day, or faster than can be.

The hold is an operator's in all but its author: what was credited stands, its coins are set aside, the
citizen reads why and may appeal, a person decides (`holds`). Records are counted as they arrive, corrections
are not; a row of `activity_count` for a citizen, rule and day is raised by whoever takes some, so of two
chunks at once one waits and goes on from there. Speed is the record's own: metres by the time between its
start and its end, and a record without a start has none. Without a rule nothing is read, counted or written.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import polars as pl

from carbon.activities.hold_words import reason
from carbon.activities.holds import HELD, HOLD, PURPOSE
from carbon.activities.tables import Activity
from kernel.audit import audit
from kernel.bulk_text import array_of, copy_in, new_ids, select_frame
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.rules import HoldRule
from kernel.publications.shapes import METRES_AN_HOUR, RECORDS_A_DAY
from ledger.bulk_holds import available_of, hold_many

BY_RULE = "rule"
"""Who holds, where no person does."""
METRES_MOST = 2_400_000_000
"""Beyond it metres by the microseconds of an hour leave 64 bits: what is farther counts as this far."""
HOUR_MICROSECONDS = 3_600_000_000
_DAY = ("citizen_id", "subject", "business_day")


def mark_held(call: Call, rows: pl.DataFrame, rules: Sequence[HoldRule], *, region_id: str) -> pl.DataFrame:
    """Count new records where a rule counts; add `hold_rule` (a place in `rules`) and `measured`.

    Both are null for what no rule holds; the first of several rules is named. What came to nothing is
    counted, and never held. Without rules the rows come back as they are.
    """
    if not rules:
        return rows
    rows = rows.with_row_index("row")
    ruled = _ruled(rows, rules)
    new = ruled.filter((pl.col("measure") == RECORDS_A_DAY) & (pl.col("revision") == 1))
    measured = pl.concat([_numbered(call, new, region_id), _at_speed(ruled)])
    held = (
        measured.filter((pl.col("measured") > pl.col("most")) & (pl.col("carbon_mg") > 0))
        .sort("row", "hold_rule")
        .unique("row", keep="first", maintain_order=True)
    )
    found = held.select("row", "hold_rule", "measured")
    return rows.join(found, on="row", how="left", maintain_order="left").drop("row")


def hold_marked(call: Call, rows: pl.DataFrame, rules: Sequence[HoldRule], *, region_id: str) -> None:
    """Set the coins of marked rows aside and keep their holds; the rows are credited, with `account_id`."""
    if not rules or rows["hold_rule"].null_count() == rows.height:
        return
    later = pl.col("coin_milli").cum_sum(reverse=True).over("citizen_id") - pl.col("coin_milli")
    marked = rows.with_columns(later=later).filter(pl.col("hold_rule").is_not_null())
    marked = _set_aside(call, marked)
    said = [reason(rules[place], measured) for place, measured in marked["hold_rule", "measured"].iter_rows()]
    kept = marked.select(
        "citizen_id",
        "activity_id",
        new_ids(marked.height).alias("id"),
        pl.lit(region_id).alias("region_id"),
        pl.lit(HELD).alias("state"),
        pl.Series("reason_zh", [each.zh for each in said], dtype=pl.String),
        pl.Series("reason_en", [each.en for each in said], dtype=pl.String),
        pl.col("set_aside").alias("coin_milli"),
        pl.lit(BY_RULE).alias("held_by"),
        pl.lit(call.now.isoformat()).alias("held_at"),
        pl.Series("rule_id", [str(rules[place].rule_id) for place in marked["hold_rule"]], dtype=pl.String),
        "measured",
    )
    copy_in(call, "activity_hold", kept)
    for hold_id, coins in kept.select("id", "coin_milli").iter_rows():
        audit(call, "activity.hold", subject=public_id(HOLD, UUID(hold_id)), coin_milli=coins)


def speed(distance_m: pl.Expr, began: pl.Expr, ended: pl.Expr) -> pl.Expr:
    """Metres an hour, rounded up: above a limit exactly where the true speed is; `ended` is after `began`."""
    took = (ended - began).dt.total_microseconds()
    return (pl.min_horizontal(distance_m, METRES_MOST) * HOUR_MICROSECONDS + took - 1) // took


def speed_of(activity: Activity) -> int | None:
    """The same of one activity; None where it has no start or no distance."""
    began, ended = activity.started_at, activity.occurred_at
    distance_m = activity.inputs.get("distance_m") if isinstance(activity.inputs, dict) else None
    if began is None or began >= ended or not isinstance(distance_m, int):
        return None
    took = (ended - began) // timedelta(microseconds=1)
    return (min(distance_m, METRES_MOST) * HOUR_MICROSECONDS + took - 1) // took


def _ruled(rows: pl.DataFrame, rules: Sequence[HoldRule]) -> pl.DataFrame:
    """A row for each line and rule of its scenario and day, in the order of the lines."""
    ruling = pl.DataFrame(
        [
            (scenario, place, rule.subject, rule.measure, rule.most, rule.since, rule.until)
            for place, rule in enumerate(rules)
            for scenario in sorted(rule.scenarios)
        ],
        schema=_RULING,
        orient="row",
    )
    day = pl.col("business_day")
    return rows.join(ruling, on="scenario", maintain_order="left").filter(
        (day >= pl.col("since")) & (pl.col("until").is_null() | (day < pl.col("until")))
    )


def _numbered(call: Call, new: pl.DataFrame, region_id: str) -> pl.DataFrame:
    """Which record of its citizen and day each line is, as `measured`."""
    days = new.group_by(_DAY).agg(new=pl.len().cast(pl.Int64)).sort(_DAY)
    if days.is_empty():
        return new.select(*_MARKED, measured=pl.lit(0, pl.Int64))
    values = {"region": region_id, "new": array_of(days["new"])} | {
        f"c{place}": array_of(days[name]) for place, name in enumerate(_DAY)
    }
    counted = select_frame(call, _COUNT, values, schema=_COUNTED).join(days, on=_DAY)
    before = counted.select(*_DAY, before=pl.col("records") - pl.col("new"))
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(_DAY)
    return new.join(before, on=_DAY, maintain_order="left").select(
        *_MARKED, measured=pl.col("before") + place
    )


def _at_speed(ruled: pl.DataFrame) -> pl.DataFrame:
    """How fast each line was that says so."""
    known = (pl.col("started_at") < pl.col("occurred_at")) & pl.col("distance_m").is_not_null()
    asked = ruled.filter((pl.col("measure") == METRES_AN_HOUR) & known)
    own = speed(pl.col("distance_m"), pl.col("started_at"), pl.col("occurred_at"))
    return asked.select(*_MARKED, measured=own.cast(pl.Int64))


def _set_aside(call: Call, marked: pl.DataFrame) -> pl.DataFrame:
    """Hold what is there of each row's coins, as if each had come alone; adds `set_aside`."""
    having = marked.filter(pl.col("coin_milli") > 0).select("citizen_id", "account_id").unique()
    left = available_of(call, having.rename({"citizen_id": "holder_id"}))
    amounts = []
    for citizen, coins, later in marked.select("citizen_id", "coin_milli", "later").iter_rows():
        amount = min(coins, max(left.get(citizen, 0) - later, 0))
        left[citizen] = left.get(citizen, 0) - amount
        amounts.append(amount)
    marked = marked.with_columns(set_aside=pl.Series(amounts, dtype=pl.Int64))
    wanted = marked.filter(pl.col("set_aside") > 0).select(
        pl.col("citizen_id").alias("holder_id"),
        "account_id",
        pl.col("set_aside").alias("amount"),
        pl.col("activity_id").alias("reference"),
    )
    hold_many(call, wanted, purpose=PURPOSE)
    return marked


_MARKED = ("row", "hold_rule", "most", "carbon_mg")
_RULING = {
    "scenario": pl.String,
    "hold_rule": pl.Int64,
    "subject": pl.String,
    "measure": pl.String,
    "most": pl.Int64,
    "since": pl.Date,
    "until": pl.Date,
}
_COUNTED = {"citizen_id": pl.String, "subject": pl.String, "business_day": pl.Date, "records": pl.Int64}
_COUNT = (
    "INSERT INTO activity_count AS n (citizen_id, region_id, subject, business_day, records)"
    " SELECT k.c, %(region)s, k.s, k.d, k.new FROM unnest(CAST(%(c0)s AS uuid[]), CAST(%(c1)s AS text[]),"
    " CAST(%(c2)s AS date[]), CAST(%(new)s AS int[])) AS k (c, s, d, new) ORDER BY k.c, k.s, k.d"
    " ON CONFLICT (citizen_id, region_id, subject, business_day)"
    " DO UPDATE SET records = n.records + excluded.records"
    " RETURNING citizen_id, subject, business_day, records"
)
