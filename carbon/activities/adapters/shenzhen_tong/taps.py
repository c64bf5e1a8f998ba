"""Shenzhen Tong files as frames of taps: one row a line, read as text and checked cell by cell.

The identity of a tap is its card, second, kind and device; the file has no event id of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, TypeVar

import polars as pl

from carbon.activities.adapters import cell_checks as check
from carbon.activities.adapters.csv_pieces import CsvForm, read_pieces
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.text_lines import WHOLE, Reading
from kernel.clock import SHANGHAI

Result = TypeVar("Result")
_REQUIRED = (
    "card_no",
    "deal_date",
    "deal_type",
    "deal_value",
    "equ_no",
    "company_name",
    "station",
)
_OPTIONAL = ("deal_money", "car_no", "conn_mark", "close_date")
_FORM = CsvForm(required=_REQUIRED, optional=_OPTIONAL)
_LINE_BYTES_MAX = 2_048

ENTRY, EXIT, BUS = "metro_entry", "metro_exit", "bus"
_KINDS = {"地铁入站": ENTRY, "地铁出站": EXIT, "巴士": BUS}
_SECOND = r"^(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"


def read_taps(
    files: Sequence[BinaryIO],
    understand: Callable[[pl.DataFrame], Result],
    reading: Reading = WHOLE,
) -> Iterator[Result]:
    """What `understand` makes of each piece of the taps of one or more files, in the order of the files.

    Every file is read from its beginning; of the first one, `reading` may leave out lines. Columns:
    `file_no`, `line_no`, `outcome` (`activity` so far, or a code), `pointer`, `card_no`, `tap`, `tapped_at`
    (aware UTC), `fare_fen`, `line`, `station_text`, `device`, and as texts what a tap is told from others by
    (`identity`) and what it says (`content`), both null on refused lines. Refusals of a whole file:
    FileEmpty, HeaderDiffers. See `read_pieces` for the rest.
    """
    for file_no, file in enumerate(files, start=1):
        file.seek(0)
        this = replace(
            reading,
            file_no=file_no,
            after_line=reading.after_line if file_no == 1 else 0,
            line_bytes_max=_LINE_BYTES_MAX,
        )
        yield from read_pieces(file, lambda cells: understand(_taps(cells)), _FORM, this)


def _taps(cells: pl.DataFrame) -> pl.DataFrame:
    cells = cells.with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in _OPTIONAL if name not in cells.columns
    )
    local = pl.when(pl.col("deal_date").str.contains(_SECOND)).then(pl.col("deal_date"))
    cells = cells.with_columns(
        tapped_at=local.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        .dt.replace_time_zone(SHANGHAI.key, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    cells = check.with_failures(cells.with_columns(pointer=pl.lit(None, dtype=pl.String)), _checks())
    cells = cells.with_columns(outcome=pl.coalesce("line_code", pl.lit(ACTIVITY)))
    good = pl.col("outcome") == ACTIVITY
    content = ("deal_value", "deal_money", "company_name", "station", "car_no", "conn_mark")
    return cells.select(
        "file_no",
        "line_no",
        "outcome",
        "pointer",
        "card_no",
        pl.when(good).then(pl.col("deal_type").replace_strict(_KINDS, default=None)).alias("tap"),
        "tapped_at",
        check.whole_number("deal_value").alias("fare_fen"),
        pl.col("company_name").alias("line"),
        pl.col("station").alias("station_text"),
        pl.col("equ_no").alias("device"),
        identity=pl.when(good).then(
            pl.concat_str("card_no", "deal_date", "deal_type", "equ_no", separator="|")
        ),
        content=pl.when(good).then(
            pl.concat_str([pl.col(name).fill_null("") for name in content], separator="\x1f")
        ),
    )


def _checks() -> list[tuple[str, pl.Expr]]:
    """The checks of a tap in the order in which they are reported."""
    return [
        *((f"/{name}", check.missing(name)) for name in ("card_no", "deal_date", "deal_type", "equ_no")),
        ("/card_no", check.not_plain_text("card_no", "[0-9A-Za-z]{1,32}")),
        ("/equ_no", check.not_plain_text("equ_no", "[0-9A-Za-z]{1,32}")),
        ("/deal_date", pl.when(pl.col("tapped_at").is_null()).then(pl.lit("time_not_readable"))),
        ("/deal_type", pl.when(~pl.col("deal_type").is_in(list(_KINDS))).then(pl.lit("tap_type_unknown"))),
        ("/deal_value", check.missing("deal_value")),
        ("/deal_value", check.not_whole_number("deal_value")),
    ]
