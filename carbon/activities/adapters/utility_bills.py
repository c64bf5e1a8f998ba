"""Utility bills: two readings of one meter and a baseline become a saving, exactly and in integers.

A period is half-open: it starts on the day of the first reading and ends on the day of the second,
which is the first day of the next bill. The fact happens when the period ends, at midnight in
Shanghai. Which baseline is fair is not decided here; the partner states it in the meter's own unit.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import BinaryIO

import polars as pl

from carbon.activities.adapters import cell_checks as check
from carbon.activities.adapters.csv_pieces import CsvForm, read_pieces
from carbon.activities.adapters.frames import conform, facts_json, sha256_hex
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.text_lines import WHOLE, Reading
from kernel.clock import SHANGHAI

ELECTRICITY_SAVING, WATER_SAVING = "household_electricity_saving", "household_water_saving"
PERIOD_MAX = timedelta(days=400)
COLUMNS = (
    "account",
    "meter",
    "period_start",
    "period_end",
    "reading_start",
    "reading_end",
    "unit",
    "baseline",
)
_FORM = CsvForm(required=COLUMNS)
_LINE_BYTES_MAX = 1_024
_ENERGY, _VOLUME = "kWh", ("m3", "m³")
_WH_PLACES, _ML_PLACES = 3, 6
"""A kWh has 10^3 Wh, a cubic metre 10^6 ml."""


def read_bills(stream: BinaryIO, reading: Reading = WHOLE) -> Iterator[pl.DataFrame]:
    """Frames of the common shape, a row for each bill; see `read_pieces` for how they are read.

    Outcomes besides `activity`: the codes of unreadable lines and cells, `unit_unknown`,
    `period_empty`, `period_too_long`, `meter_runs_backwards`. Which of two bills has the days that they
    share is not known here: the first one may be refused. Refusals of a whole file: FileEmpty, HeaderDiffers.
    """
    return read_pieces(stream, _understand, _FORM, replace(reading, line_bytes_max=_LINE_BYTES_MAX))


def _understand(cells: pl.DataFrame) -> pl.DataFrame:
    """From cells of text to activities and refused lines."""
    cells = cells.with_columns(
        first_day=check.days(cells["period_start"]),
        end_day=check.days(cells["period_end"]),
        is_energy=pl.col("unit") == _ENERGY,
    )
    cells = cells.with_columns(
        pl.when("is_energy")
        .then(check.scaled_decimal(name, _WH_PLACES))
        .otherwise(check.scaled_decimal(name, _ML_PLACES))
        .alias(f"{name}_scaled")
        for name in ("reading_start", "reading_end", "baseline")
    )
    cells = check.with_failures(cells.with_columns(pointer=pl.lit(None, dtype=pl.String)), _checks())
    cells = cells.with_columns(outcome=pl.coalesce("line_code", pl.lit(ACTIVITY)))
    good = pl.col("outcome") == ACTIVITY
    energy, used = pl.col("is_energy"), pl.col("reading_end_scaled") - pl.col("reading_start_scaled")
    content = ("reading_start", "reading_end", "unit", "baseline")
    identity = ("account", "meter", "period_start", "period_end")
    bills = cells.with_columns(
        detail=pl.lit(None, dtype=pl.String),
        subject=pl.col("account"),
        scenario=pl.when(energy).then(pl.lit(ELECTRICITY_SAVING)).otherwise(pl.lit(WATER_SAVING)),
        started_at=_midnight("first_day"),
        occurred_at=_midnight("end_day"),
        baseline_wh=pl.when(energy).then("baseline_scaled"),
        actual_wh=pl.when(energy).then(used),
        baseline_ml=pl.when(~energy).then("baseline_scaled"),
        actual_ml=pl.when(~energy).then(used),
        identity=pl.when(good).then(pl.concat_str(identity, separator="|")),
        payload=pl.when(good).then(pl.concat_str(content, separator="|")),
    )
    bills = bills.with_columns(source_event_id=sha256_hex(bills["identity"]))
    return conform(bills.with_columns(facts=_facts(bills)))


def _checks() -> list[tuple[str, pl.Expr]]:
    """The checks of a bill in the order in which they are reported."""
    name = "[0-9A-Za-z-]{1,32}"
    first, end = pl.col("first_day"), pl.col("end_day")
    places = pl.when(pl.col("unit") == _ENERGY).then(_WH_PLACES).otherwise(_ML_PLACES)
    backwards = pl.col("reading_end_scaled") < pl.col("reading_start_scaled")
    return [
        *((f"/{column}", check.missing(column)) for column in COLUMNS),
        ("/account", check.not_plain_text("account", name)),
        ("/meter", check.not_plain_text("meter", name)),
        ("/period_start", pl.when(first.is_null()).then(pl.lit("day_not_readable"))),
        ("/period_end", pl.when(end.is_null()).then(pl.lit("day_not_readable"))),
        ("/period_end", pl.when(end <= first).then(pl.lit("period_empty"))),
        ("/period_end", pl.when(end - first > PERIOD_MAX).then(pl.lit("period_too_long"))),
        ("/unit", pl.when(~pl.col("unit").is_in([_ENERGY, *_VOLUME])).then(pl.lit("unit_unknown"))),
        *(
            (f"/{column}", check.not_decimal(column, places))
            for column in ("reading_start", "reading_end", "baseline")
        ),
        ("/reading_end", pl.when(backwards).then(pl.lit("meter_runs_backwards"))),
    ]


def _midnight(day: str) -> pl.Expr:
    """The first instant of a day in Shanghai, in UTC."""
    local = pl.col(day).cast(pl.Datetime("us"))
    zoned = local.dt.replace_time_zone(SHANGHAI.key, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC")


def _facts(bills: pl.DataFrame) -> pl.Series:
    """What an explanation shows of a bill: the period and the readings as printed, not the account."""
    columns = ("period_start", "period_end", "reading_start", "reading_end", "unit", "baseline")
    written = facts_json(bills, columns)
    shown = bills.select("outcome").with_columns(written)
    return shown.select(facts=pl.when(pl.col("outcome") == ACTIVITY).then(pl.col("facts")))["facts"]
