"""What a fare says about the length of a ride: never more than the lower end of its band."""

import polars as pl

from carbon.activities.adapters.shenzhen_tong.rules import FareRules


def above_m(fare_fen: pl.Expr, fares: FareRules) -> pl.Expr:
    """The lower end of the fare's band in metres; null where the fare is not in the table."""
    return fare_fen.replace_strict(
        {band.fare_fen: band.above_m for band in fares.bands}, default=None, return_dtype=pl.Int64
    )


def up_to_m(fare_fen: pl.Expr, fares: FareRules) -> pl.Expr:
    """The upper end of the fare's band in metres; null where the fare is not in the table."""
    return fare_fen.replace_strict(
        {band.fare_fen: band.up_to_m for band in fares.bands}, default=None, return_dtype=pl.Int64
    )


def is_business_fare(fare_fen: pl.Expr, *, line: pl.Expr, fares: FareRules) -> pl.Expr:
    """Whether a fare at a gate of the business line can be one of the dearer class.

    The class cannot be seen in the file. A fare that can be either is read as the dearer class, whose
    ride is the shorter one.
    """
    whole_yuan = 100 * fares.business_fare_times
    return (
        (line == fares.business_line)
        & (fare_fen % whole_yuan == 0)
        & (fare_fen >= fares.business_fare_fen_min)
    )
