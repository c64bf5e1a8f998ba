"""What a coin rate may be, so that coins never leave 64 bits: not of one activity, nor of a chunk of them.

Bulk arithmetic wraps silently, so it is bounded before: a rate counts in lowest terms, and times the most
that one activity can hold it must fit; and a milligram brings few milli-coins, so that sums fit as well.
"""

from collections.abc import Mapping
from math import gcd
from typing import Any

from kernel.units import INT64_MAX, NANOGRAMS_PER_MILLIGRAM

CARBON_MG_MOST = INT64_MAX // NANOGRAMS_PER_MILLIGRAM
"""Of one activity: methods keep quantity times factor, in nanograms, within 64 bits (9,223 tonnes)."""
COINS_MILLI_MOST = INT64_MAX // CARBON_MG_MOST
"""Of a rate in lowest terms (1,000,000)."""
PER_MILLIGRAM_MOST = 10
"""Milli-coins; with `LINES_MOST` the sum of a chunk fits into 64 bits."""
LINES_MOST = INT64_MAX // (CARBON_MG_MOST * PER_MILLIGRAM_MOST)
"""Of a chunk (100,000)."""


def lowest_terms(content: Mapping[str, Any]) -> tuple[int, int]:
    """The rate's `coins_milli` and `per_mg` without common divisors."""
    divisor = gcd(content["coins_milli"], content["per_mg"])
    return content["coins_milli"] // divisor, content["per_mg"] // divisor


def beyond_limits(content: Mapping[str, Any]) -> str | None:
    """What is too much about a rate, or None."""
    coins, per_mg = lowest_terms(content)
    if coins > COINS_MILLI_MOST:
        return f"coins_milli is at most {COINS_MILLI_MOST} in lowest terms, and is {coins} for {per_mg}"
    if coins > PER_MILLIGRAM_MOST * per_mg:
        return f"a milligram brings at most {PER_MILLIGRAM_MOST} milli-coins"
    return None
