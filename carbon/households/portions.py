"""A whole amount in parts that sum up to it exactly: by largest remainder, ties to whoever comes first."""

from collections.abc import Sequence
from fractions import Fraction


def portions(amount: int, weights: Sequence[int | Fraction]) -> list[int]:
    """Divide `amount` (not negative) by weights (not negative, not all zero)."""
    total = sum(weights, Fraction(0))
    shares = [Fraction(amount) * weight / total for weight in weights]
    floors = [share.numerator // share.denominator for share in shares]
    left = amount - sum(floors)
    by_remainder = sorted(range(len(shares)), key=lambda place: (floors[place] - shares[place], place))
    for place in by_remainder[:left]:
        floors[place] += 1
    return floors


def evenly(amount: int, days: int) -> list[int]:
    """The same by equal weights: what of an amount falls on each of `days`, the first ones having more."""
    each, left = divmod(amount, days)
    return [each + (place < left) for place in range(days)]
