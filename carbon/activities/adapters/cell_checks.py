"""Whether a cell is a plain number, name, day or instant: expressions that give a code or null.

Every check passes null (an absent cell is `field_missing`'s business) and looks at ASCII only: digits
of other alphabets, spaces and signs are not numbers here.
"""

from datetime import datetime

import polars as pl

from kernel.clock import parse_day, parse_instant

_WHOLE = r"^(?:0|[1-9][0-9]*)$"
_NEGATIVE = r"^-[0-9]+(?:\.[0-9]+)?$"
_SECOND = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_DAY = r"^(?:19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_USUAL_INSTANT = rf"{_DAY}T{_SECOND}(?:Z|\+08:00)$"
_COMMON_INSTANT = rf"{_DAY}[T ]{_SECOND}(?:\.[0-9]{{1,6}})?(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])$"
_WALL_CLOCK = len("2026-11-01T08:30:00")


def missing(name: str) -> pl.Expr:
    """`field_missing` where the cell is null."""
    return pl.when(pl.col(name).is_null()).then(pl.lit("field_missing"))


def not_plain_text(name: str, pattern: str) -> pl.Expr:
    """`text_not_plain` where the cell is not wholly `pattern`."""
    return pl.when(~pl.col(name).str.contains(rf"\A(?:{pattern})\z")).then(pl.lit("text_not_plain"))


def not_whole_number(name: str) -> pl.Expr:
    """`number_negative`, `number_not_plain` or `number_too_large` where the cell is no Int64 >= 0."""
    cell = pl.col(name)
    return (
        pl.when(cell.str.contains(_NEGATIVE))
        .then(pl.lit("number_negative"))
        .when(~cell.str.contains(_WHOLE))
        .then(pl.lit("number_not_plain"))
        .when(cell.is_not_null() & whole_number(name).is_null())
        .then(pl.lit("number_too_large"))
    )


def whole_number(name: str) -> pl.Expr:
    """The cell as Int64; null where it is none, or beyond 2^63-1."""
    cell = pl.col(name)
    return (
        pl.when(cell.str.contains(_WHOLE) & (cell.str.len_bytes() <= 19))
        .then(cell)
        .cast(pl.Int64, strict=False)
    )


def not_decimal(name: str, places: pl.Expr) -> pl.Expr:
    """A code where the cell is no plain decimal of at most 12 digits and `places` decimals."""
    cell = pl.col(name)
    decimals = cell.str.extract(r"\.([0-9]+)$").str.strip_chars_end("0").str.len_bytes().fill_null(0)
    return (
        pl.when(cell.str.contains(_NEGATIVE))
        .then(pl.lit("number_negative"))
        .when(~cell.str.contains(r"^[0-9]+(?:\.[0-9]+)?$"))
        .then(pl.lit("number_not_plain"))
        .when(~cell.str.contains(r"^0*[0-9]{1,12}(?:\.|$)"))
        .then(pl.lit("number_too_large"))
        .when(decimals > places)
        .then(pl.lit("number_not_exact"))
    )


def scaled_decimal(name: str, places: int) -> pl.Expr:
    """A cell that `not_decimal` passes, times 10^places, as Int64; digits only, no floating point."""
    whole = pl.col(name).str.extract(r"^([0-9]+)")
    decimals = pl.col(name).str.extract(r"\.([0-9]+)$").fill_null("")
    padded = (decimals + pl.lit("0" * places)).str.slice(0, places)
    return (whole + padded).cast(pl.Int64, strict=False)


def instants(texts: pl.Series) -> pl.Series:
    """Aware UTC instants, exactly as `kernel.clock.parse_instant` reads them; null where it raises.

    Times of the usual form in 1900 to 2199 are read in bulk, quickest without a zone; the rest one by one.
    """
    text = pl.col("text")
    wall = pl.when(text.str.contains(_USUAL_INSTANT)).then(text.str.head(_WALL_CLOCK))
    ahead = pl.duration(hours=pl.when(text.str.ends_with("Z")).then(0).otherwise(8))
    local = wall.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False)
    read = pl.DataFrame({"text": texts}).with_columns(at=(local - ahead).dt.replace_time_zone("UTC"))
    rest = read.filter(pl.col("at").is_null() & text.is_not_null())["text"].unique()
    if not rest.len():
        return read["at"]
    slow = _instants_with_zone(rest)
    return read.join(slow, on="text", how="left", maintain_order="left").select(at=pl.coalesce("at", "slow"))[
        "at"
    ]


def _instants_with_zone(texts: pl.Series) -> pl.DataFrame:
    """`text` and `slow`, its instant, of distinct texts."""
    text = pl.col("text")
    common = pl.when(text.str.contains(_COMMON_INSTANT)).then(text.str.replace(" ", "T", literal=True))
    bulk = common.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    read = pl.DataFrame({"text": texts}).with_columns(slow=bulk.cast(pl.Datetime("us", "UTC")))
    odd = read.filter(pl.col("slow").is_null())["text"]
    one_by_one = pl.Series("slow", [_instant(each) for each in odd], dtype=pl.Datetime("us", "UTC"))
    return pl.concat([read.drop_nulls(), pl.DataFrame([odd, one_by_one])])


def _instant(text: str) -> datetime | None:
    try:
        return parse_instant(text)
    except ValueError:
        return None


def days(texts: pl.Series) -> pl.Series:
    """Calendar days, exactly as `kernel.clock.parse_day` reads them; null where it raises."""
    distinct = texts.drop_nulls().unique()
    read = [_day(text) for text in distinct]
    return texts.replace_strict(distinct, pl.Series(read, dtype=pl.Date), default=None, return_dtype=pl.Date)


def _day(text: str) -> object:
    try:
        return parse_day(text)
    except ValueError:
        return None


def with_failures(frame: pl.DataFrame, checks: list[tuple[str, pl.Expr]]) -> pl.DataFrame:
    """Give lines without a `line_code` that of the first failing check, and its pointer.

    `checks` are (pointer, code or null). Nearly every piece of a file passes, so where a check failed is
    asked for only when one did.
    """
    codes = frame.select(code=pl.coalesce(check for _, check in checks))["code"]
    if codes.null_count() == len(codes):
        return frame
    untouched = pl.col("line_code").is_null()
    pointer = pl.coalesce(pl.when(check.is_not_null()).then(pl.lit(where)) for where, check in checks)
    return frame.with_columns(
        line_code=pl.coalesce("line_code", codes),
        pointer=pl.when(untouched).then(pointer).otherwise("pointer"),
    )
