"""Coins for kilograms at the published rate, and no more than the published caps; kilograms are never cut.

A chunk takes the locks of its `cap_usage` rows in key order, allots in the order of its lines, and
writes what was used. Allotment is by arrival and is never redone.
"""

from datetime import date
from uuid import UUID

import polars as pl
from sqlalchemy import text

from kernel.bulk_text import WORTH_A_SAVEPOINT, array_of, copy_in, execute_text, select_frame, unless_taken
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.publications.rules import Cap, CoinRate
from kernel.units import INT64_MAX

_KEY = ("citizen_id", "account_id", "cap_subject", "cap_period", "period_start")
"""What a row of `cap_usage` is found by, beside the region."""
_PERIOD = ("account_id", "cap_no", "period_start")
"""The same in a chunk, in numbers."""


def allot_coins(
    call: Call, rows: pl.DataFrame, *, region_id: str, rate: CoinRate, found_caps: list[Cap]
) -> pl.DataFrame:
    """Add `coin_milli`, `coin_cut_milli` and `cap_rule_id` to assessed rows, which have `account_id`.

    The cap is that of the fact's own day, out of `found_caps`; what it counts belongs to its subject and
    is not begun anew by a successor. A row with a `coin_most` gets no more than that.
    """
    _refuse_to_wrap(rows, rate.in_lowest_terms())
    rows = with_caps(rows.with_columns(earned=earned_coins(rate)), found_caps)
    if "coin_most" in rows.columns:
        rows = rows.with_columns(
            earned=pl.min_horizontal("earned", "coin_most"),
            beyond=(pl.col("earned") - pl.col("coin_most")).clip(lower_bound=0).fill_null(0),
        )
    capped = rows.filter(pl.col("cap_rule_id").is_not_null() & (pl.col("earned") > 0))
    periods = (
        capped.group_by(_PERIOD)
        .agg(
            pl.col("citizen_id", "cap_subject", "cap_period", "cap_milli").first(),
            pl.col("earned").sum(),
            has_one_cap=pl.col("cap_milli").n_unique() == 1,
        )
        .sort(_KEY)
    )
    at_once = periods.height >= WORTH_A_SAVEPOINT and bool(periods["has_one_cap"].all())
    allotted = _allotted_at_once(call, rows, periods, region_id) if at_once else None
    if allotted is None:
        locked = select_frame(call, _LOCK, _arrays(periods, region_id), schema=_LOCKED)
        used = periods.join(locked, on=_KEY[1:], how="left", maintain_order="left")
        allotted = _allotted(rows, used)
        _raise_usage(call, periods, allotted, region_id)
    if "coin_most" in rows.columns:
        allotted = allotted.with_columns(coin_cut_milli=pl.col("coin_cut_milli") + pl.col("beyond"))
    return allotted.drop("earned", "cap_no", "cap_subject", "cap_period", "period_start", "cap_milli", "used")


def earned_coins(rate: CoinRate) -> pl.Expr:
    """Milli-coins for `carbon_mg` before any cap."""
    rate = rate.in_lowest_terms()
    return pl.col("carbon_mg") * rate.coins_milli // rate.per_mg


def _refuse_to_wrap(rows: pl.DataFrame, rate: CoinRate) -> None:
    """Polars wraps silently: no product and no sum of the chunk may leave 64 bits, nor may its kilograms."""
    most = int(rows.select(pl.col("carbon_mg").max()).item() or 0)
    sums = max(most, int(rate.coins_for(most))) * rows.height
    if most * rate.coins_milli > INT64_MAX or sums > INT64_MAX:
        raise BrokenInvariant(f"{rows.height} lines of up to {most} mg do not fit into 64 bits at this rate")


def with_caps(rows: pl.DataFrame, found_caps: list[Cap]) -> pl.DataFrame:
    """The cap that ruled each row's scenario on its day, and the period it falls into."""
    numbers: dict[tuple[str, str], int] = {}
    ruling = pl.DataFrame(
        [
            (
                name,
                str(cap.rule_id),
                numbers.setdefault((cap.subject, cap.period), len(numbers)),
                cap.subject,
                cap.period,
                cap.coins_milli,
                cap.since,
                cap.until,
            )
            for cap in found_caps
            for name in sorted(cap.scenarios)
        ],
        schema=_RULING,
        orient="row",
    )
    day = pl.col("business_day")
    on_day = (day >= pl.col("since")) & (pl.col("until").is_null() | (day < pl.col("until")))
    found = rows.select("scenario", "business_day").unique().join(ruling, on="scenario").filter(on_day)
    if found.select("scenario", "business_day").is_duplicated().any():
        raise BrokenInvariant("two caps limit one scenario on one day")
    start = pl.when(pl.col("cap_period") == "month").then(day.dt.month_start()).otherwise(day)
    return rows.join(
        found.drop("since", "until"), on=["scenario", "business_day"], how="left", maintain_order="left"
    ).with_columns(period_start=start)


def _allotted_at_once(
    call: Call, rows: pl.DataFrame, periods: pl.DataFrame, region_id: str
) -> pl.DataFrame | None:
    """The same in one look: what stands is raised up to its cap, which locks it; what is new is copied in.

    None, and nothing written, when somebody else began one of the periods meanwhile.
    """
    earned, cap = array_of(periods["earned"]), array_of(periods["cap_milli"])
    values = {**_arrays(periods, region_id), "earned": earned, "caps": cap}

    def used() -> pl.DataFrame:
        standing = select_frame(call, _RAISE, values, schema={"place": pl.UInt32, "used": pl.Int64})
        found = periods.with_row_index("place", offset=1).join(
            standing, on="place", how="left", maintain_order="left"
        )
        copy_in(call, "cap_usage", _begun(found.filter(pl.col("used").is_null()), region_id))
        return found.with_columns(pl.col("used").fill_null(0))

    found = unless_taken(call, used)
    return None if found is None else _allotted(rows, found)


def _begun(periods: pl.DataFrame, region_id: str) -> pl.DataFrame:
    """Rows of `cap_usage` for new periods, as they end up."""
    return periods.select(
        pl.col("citizen_id").alias("holder_id"),
        "account_id",
        pl.lit(region_id).alias("region_id"),
        pl.col("cap_subject").alias("subject"),
        pl.col("cap_period").alias("period"),
        "period_start",
        pl.min_horizontal("earned", "cap_milli").alias("used"),
    )


def _allotted(rows: pl.DataFrame, used: pl.DataFrame) -> pl.DataFrame:
    """Coins in the order of the lines, as long as the cap of each period has room."""
    found = used.select(*_PERIOD, "used", "has_one_cap")
    rows = rows.join(found, on=_PERIOD, how="left", maintain_order="left")
    room = (pl.col("cap_milli") - pl.col("used")).clip(lower_bound=0)
    until = pl.col("earned").cum_sum().over(_PERIOD)
    given = pl.min_horizontal(until, room) - pl.min_horizontal(until - pl.col("earned"), room)
    limited = pl.col("used").is_not_null()
    rows = rows.with_columns(coin_milli=pl.when(limited).then(given).otherwise("earned"))
    if not used["has_one_cap"].all():
        rows = rows.with_columns(coin_milli=_in_turn(rows))
    return rows.with_columns(coin_cut_milli=pl.col("earned") - pl.col("coin_milli")).drop("has_one_cap")


def _in_turn(rows: pl.DataFrame) -> pl.Series:
    """The same, line after line, where a cap changed inside its period: what a line was cut by stays free."""
    used: dict[tuple[object, ...], int] = {}
    coins = rows["coin_milli"].to_list()
    several = rows.with_row_index("place").filter(~pl.col("has_one_cap"))
    for place, earned, cap, begun, *period in several.select(
        "place", "earned", "cap_milli", "used", *_PERIOD
    ).iter_rows():
        so_far = used.get(tuple(period), begun)
        coins[place] = min(earned, max(cap - so_far, 0))
        used[tuple(period)] = so_far + coins[place]
    return pl.Series(coins, dtype=pl.Int64)


def give_back_usage(
    call: Call, *, citizen_id: str, cap: Cap, region_id: str, day: date, activity_id: UUID
) -> None:
    """Lower what a cap counts when an activity is taken back; earlier cuts are not revisited.

    What it came to last is read behind the lock: a table may have corrected it a moment ago.
    """
    values = {
        "citizen": citizen_id,
        "region": region_id,
        "subject": cap.subject,
        "period": cap.period,
        "start": cap.period_start(day),
        "activity": activity_id,
    }
    if call.db.execute(_LOCK_ONE, values).first() is not None:
        call.db.execute(_GIVE_BACK, values)


def move_usage(call: Call, moves: pl.DataFrame, *, region_id: str) -> None:
    """Raise or lower what caps count: a row a period, with `difference` and its key."""
    moves = moves.filter(pl.col("difference") != 0).sort(_KEY)
    if not moves.is_empty():
        arrays = _arrays(moves, region_id)
        execute_text(call, _LOCK, arrays)
        execute_text(call, _WRITE, {**arrays, "given": array_of(moves["difference"])})


def lock_usage(call: Call, citizens: pl.Series, *, first_day: date, last_day: date) -> None:
    """Keep others from these citizens' room under caps in periods that begin in these days."""
    values = {"citizens": array_of(citizens), "first": first_day, "last": last_day}
    call.db.execute(_LOCK_OF, values)


def _raise_usage(call: Call, periods: pl.DataFrame, allotted: pl.DataFrame, region_id: str) -> None:
    given = allotted.filter(pl.col("used").is_not_null()).group_by(_PERIOD).agg(pl.col("coin_milli").sum())
    sums = periods.join(given, on=_PERIOD, how="inner", maintain_order="left").filter(
        pl.col("coin_milli") > 0
    )
    if not sums.is_empty():
        execute_text(call, _WRITE, {**_arrays(sums, region_id), "given": array_of(sums["coin_milli"])})


def _arrays(periods: pl.DataFrame, region_id: str) -> dict[str, str]:
    return {"region": region_id, **{f"c{place}": array_of(periods[name]) for place, name in enumerate(_KEY)}}


_RULING = {
    "scenario": pl.String,
    "cap_rule_id": pl.String,
    "cap_no": pl.Int64,
    "cap_subject": pl.String,
    "cap_period": pl.String,
    "cap_milli": pl.Int64,
    "since": pl.Date,
    "until": pl.Date,
}
_LOCKED = {
    "account_id": pl.Int64,
    "cap_subject": pl.String,
    "cap_period": pl.String,
    "period_start": pl.Date,
    "used": pl.Int64,
}
_ARRAYS = (
    "CAST(%(c0)s AS uuid[]), CAST(%(c1)s AS bigint[]), CAST(%(c2)s AS text[]), CAST(%(c3)s AS text[]),"
    " CAST(%(c4)s AS date[])"
)
_LOCK = (
    "INSERT INTO cap_usage AS u (holder_id, account_id, region_id, subject, period, period_start, used)"  # noqa: S608 - our own text
    f" SELECT h, a, %(region)s, s, d, p, 0 FROM unnest({_ARRAYS}) AS k (h, a, s, d, p) ORDER BY h, a, s, d, p"
    " ON CONFLICT (holder_id, account_id, region_id, subject, period, period_start)"
    " DO UPDATE SET used = u.used"
    " RETURNING account_id, subject, period, period_start, used"
)
_STANDING = (
    "u.holder_id = k.h AND u.account_id = k.a AND u.region_id = %(region)s AND u.subject = k.s"
    " AND u.period = k.d AND u.period_start = k.p"
)
_WRITE = (
    "UPDATE cap_usage u SET used = u.used + k.given FROM"  # noqa: S608 - our own text
    f" unnest({_ARRAYS}, CAST(%(given)s AS bigint[])) AS k (h, a, s, d, p, given) WHERE {_STANDING}"
)
_RAISE = (
    "UPDATE cap_usage u SET used = greatest(u.used, least(k.cap, u.used + k.earned)) FROM"  # noqa: S608 - our own text
    f" unnest({_ARRAYS}, CAST(%(earned)s AS bigint[]), CAST(%(caps)s AS bigint[])) WITH ORDINALITY"
    f" AS k (h, a, s, d, p, earned, cap, place) WHERE {_STANDING} RETURNING k.place, old.used"
)
_LOCK_OF = text(
    "SELECT 1 FROM cap_usage WHERE holder_id = ANY (CAST(:citizens AS uuid[]))"
    " AND period_start BETWEEN :first AND :last"
    " ORDER BY holder_id, account_id, region_id, subject, period, period_start FOR UPDATE"
)
_ONE = (
    "holder_id = :citizen AND region_id = :region AND subject = :subject AND period = :period"
    " AND period_start = :start"
)
_LOCK_ONE = text(f"SELECT 1 FROM cap_usage WHERE {_ONE} FOR UPDATE")  # noqa: S608 - our own text
_GIVE_BACK = text(
    "UPDATE cap_usage SET used = greatest(0, used - (SELECT coalesce((SELECT c.coin_milli_after"  # noqa: S608 - our own text
    " FROM activity_correction c WHERE c.citizen_id = a.citizen_id AND c.activity_id = a.id"
    " ORDER BY c.number DESC LIMIT 1), a.coin_milli) FROM activity a"
    f" WHERE a.citizen_id = :citizen AND a.id = :activity)) WHERE {_ONE}"
)
