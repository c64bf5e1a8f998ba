"""Shenzhen Tong files as a frame of taps: one row a line, read as text and checked cell by cell.

The identity of a tap is its card, second, kind and device; the file has no event id of its own.
"""

from collections.abc import Sequence

import polars as pl

from carbon.activities.adapters import cell_checks as check
from carbon.activities.adapters.csv_cells import read_header, split_cells
from carbon.activities.adapters.errors import FileTooLarge
from carbon.activities.adapters.frames import refuse_repetitions, sha256, sha256_hex
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.text_lines import split_lines
from kernel.clock import SHANGHAI
from kernel.errors import require

BYTES_MAX = 512 << 20
_LINE_BYTES_MAX = 2_048
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

ENTRY, EXIT, BUS = "metro_entry", "metro_exit", "bus"
_KINDS = {"地铁入站": ENTRY, "地铁出站": EXIT, "巴士": BUS}
_SECOND = r"^(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2} (?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]$"


def read_taps(files: Sequence[bytes]) -> pl.DataFrame:
    """The taps of one or more files, in the order of the files.

    Columns: `file_no`, `line_no`, `outcome` (`activity` so far, or a code), `pointer`, `detail`,
    `source_event_id`, `payload_hash`, `card_no`, `tap`, `tapped_at` (aware UTC), `fare_fen`, `line`,
    `station_text`, `device`. A repeated tap is refused across all files; the first one stays.
    Refusals of a whole file: FileTooLarge, FileEmpty, HeaderDiffers.
    """
    require(sum(map(len, files)) <= BYTES_MAX, FileTooLarge(limit_bytes=BYTES_MAX))
    frames = [_read_file(data, file_no) for file_no, data in enumerate(files, start=1)]
    taps = pl.concat(frames)
    taps = taps.with_columns(
        source_event_id=sha256_hex(taps["identity"]), payload_hash=sha256(taps["content"])
    ).drop("identity", "content")
    return refuse_repetitions(taps, unrefused=pl.col("outcome") == ACTIVITY)


def _read_file(data: bytes, file_no: int) -> pl.DataFrame:
    lines = split_lines(data, file_no=file_no, line_bytes_max=_LINE_BYTES_MAX)
    names, lines = read_header(lines, required=_REQUIRED, optional=_OPTIONAL)
    cells = split_cells(lines, names)
    cells = cells.with_columns(
        pl.lit(None, dtype=pl.String).alias(name) for name in _OPTIONAL if name not in names
    )
    local = pl.when(pl.col("deal_date").str.contains(_SECOND)).then(pl.col("deal_date"))
    cells = cells.with_columns(
        tapped_at=local.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
        .dt.replace_time_zone(SHANGHAI.key, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
    )
    code, pointer = check.first_failure(
        [
            *((f"/{name}", check.missing(name)) for name in ("card_no", "deal_date", "deal_type", "equ_no")),
            ("/card_no", check.not_plain_text("card_no", "[0-9A-Za-z]{1,32}")),
            ("/equ_no", check.not_plain_text("equ_no", "[0-9A-Za-z]{1,32}")),
            ("/deal_date", pl.when(pl.col("tapped_at").is_null()).then(pl.lit("time_not_readable"))),
            (
                "/deal_type",
                pl.when(~pl.col("deal_type").is_in(list(_KINDS))).then(pl.lit("tap_type_unknown")),
            ),
            ("/deal_value", check.missing("deal_value")),
            ("/deal_value", check.not_whole_number("deal_value")),
        ]
    )
    untouched = pl.col("line_code").is_null()
    cells = cells.with_columns(
        outcome=pl.coalesce("line_code", code, pl.lit(ACTIVITY)), pointer=pl.when(untouched).then(pointer)
    )
    good = pl.col("outcome") == ACTIVITY
    content = ("deal_value", "deal_money", "company_name", "station", "car_no", "conn_mark")
    return cells.select(
        "file_no",
        "line_no",
        "outcome",
        "pointer",
        pl.lit(None, dtype=pl.String).alias("detail"),
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
