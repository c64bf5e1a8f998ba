"""What a settlement costs and brings: pure arithmetic over the uses that stand, floored in one place.

A use that was reversed brings neither fee nor subsidy, nor does a case or an adjustment. Each funder's part
is floored by itself (`floor_to_part`), so the public purse never pays more than the rule says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kernel.units import floor_to_part
from merchants.settlement.periods import Terms

POINTS = 10_000
"""Basis points of the whole."""


@dataclass(frozen=True, kw_only=True)
class Extra:
    """A fee or subsidy: to the merchant, to the operation centre, and what each funder owes for it."""

    payable_fen: int
    centre_fen: int
    shares: Mapping[str, int]


NOTHING = Extra(payable_fen=0, centre_fen=0, shares={})


def fee(terms: Terms, *, uses: int, cost: Mapping[str, int]) -> Extra:
    """What the operation centre takes for `uses` that stand, of which each funder pays its part of `cost`.

    A merchant pays at most what it gets.
    """
    whole = sum(cost.values())
    if terms.fee_bearer == "merchant":
        asked = int(floor_to_part(whole, part=terms.fee_basis_points, whole=POINTS))
        taken = min(asked + uses * terms.fee_fen_each, whole)
        return Extra(payable_fen=-taken, centre_fen=taken, shares={})
    shares = _shares(points=terms.fee_basis_points, each=uses * terms.fee_fen_each, cost=cost)
    return Extra(payable_fen=0, centre_fen=sum(shares.values()), shares=shares)


def subsidy(terms: Terms, *, uses: int, cost: Mapping[str, int]) -> Extra:
    """What the merchant gets on top for uses that stand."""
    if terms.subsidy_bearer == "centre":
        whole = sum(cost.values())
        given = int(floor_to_part(whole, part=terms.subsidy_basis_points, whole=POINTS))
        given += uses * terms.subsidy_fen_each
        return Extra(payable_fen=given, centre_fen=-given, shares={})
    shares = _shares(points=terms.subsidy_basis_points, each=uses * terms.subsidy_fen_each, cost=cost)
    return Extra(payable_fen=sum(shares.values()), centre_fen=0, shares=shares)


def _shares(*, points: int, each: int, cost: Mapping[str, int]) -> dict[str, int]:
    """Each funder's part, by what it pays; nobody bears what nobody pays for."""
    whole = sum(cost.values())
    if whole == 0:
        return {}
    parts = {
        funder: floor_to_part(fen, part=points, whole=POINTS) + floor_to_part(each, part=fen, whole=whole)
        for funder, fen in cost.items()
    }
    return {funder: fen for funder, fen in sorted(parts.items()) if fen}
