"""What somebody paid for a kilogram: published prices of schemes and markets, each with its source.

    price [CNY/kg] = paid [fen] × 10 000 ÷ kilograms [mg]
    worth [fen]    = ⌊kilograms [mg] × paid [fen] ÷ kilograms it was paid for [mg]⌋

A price is a comparison, as standard coal and trees are. It says what was paid once, by whom and for how much,
and promises nobody anything: coins are not made of it, and nothing here buys or sells. A price is kept as the
two whole numbers that it comes from, because a rounded one does not give back what was paid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import polars as pl

from carbon.equivalences.amounts import check_amounts
from carbon.equivalences.figures import CARBON
from carbon.equivalences.shipped import by_scenario, shown
from carbon.methodologies.errors import QuantityBelowLimit
from kernel.errors import BrokenInvariant, require
from kernel.units import INT64_MAX, Fen

PRICE, WORTH = "price", "worth"
PAID = "paid_fen"
PRICE_UNITS: Mapping[str, int] = {"CNY/kg": 1, "CNY/t": 1000}
"""Units of a price, and for how many kilograms each is."""
WORTH_UNIT = "CNY"
_MG_PER_KG, _FEN_PER_CNY = 10**6, 100
_MOST = {PAID: INT64_MAX, CARBON: INT64_MAX}


def price_of(inputs: Mapping[str, int]) -> Fraction:
    """CNY for a kilogram, exactly, of what was paid and for how much.

    Refuses InputUnknown, InputMissing, InputNotWhole, InputNegative, InputTooLarge, QuantityBelowLimit.
    """
    check_amounts(inputs, of=PRICE, most=_MOST)
    require(inputs[CARBON] > 0, QuantityBelowLimit("nothing has no price", pointer=f"/{CARBON}"))
    return Fraction(inputs[PAID] * _MG_PER_KG, inputs[CARBON] * _FEN_PER_CNY)


@dataclass(frozen=True, kw_only=True)
class Price:
    """One published price: what was paid for how much, and both as printed."""

    scenario: str
    code: str
    name_zh: str
    name_en: str
    value: str
    unit: str
    basis: str
    verified: bool
    source: Mapping[str, str]
    paid_fen: Fen
    carbon_mg: int

    @property
    def fen_per_tonne(self) -> Fen:
        """Whole fen for a tonne, rounded down."""
        return Fen(self.paid_fen * 10**9 // self.carbon_mg)

    @property
    def most(self) -> int:
        """The most milligrams: what many rows at once compute stays below 2^63."""
        return INT64_MAX // self.paid_fen

    def worth(self, inputs: Mapping[str, int]) -> Fraction:
        """CNY for some kilograms at this price, exactly; refuses as `price_of` does, but for the limit."""
        check_amounts(inputs, of=self.code, most={CARBON: self.most})
        return Fraction(inputs[CARBON] * self.paid_fen, self.carbon_mg * _FEN_PER_CNY)

    def worth_fen(self, carbon_mg: int) -> Fen:
        """Whole fen for milligrams from zero to `most`, rounded down."""
        return Fen(int(self.worth({CARBON: carbon_mg}) * _FEN_PER_CNY))

    def worth_expression(self) -> pl.Expr:
        """The same for many rows."""
        return pl.col(CARBON) * self.paid_fen // self.carbon_mg


@cache
def shipped_prices() -> Mapping[str, Price]:
    """The shipped prices by what they are asked as."""
    return by_scenario("prices", read_price)


def read_price(row: Mapping[str, Any]) -> Price:
    """A shipped row; one whose printed price is not what was paid is a bug."""
    paid = {PAID: Fen(int(row[PAID])), CARBON: int(row[CARBON])}
    if Fraction(row["value"]) != price_of(paid) * PRICE_UNITS[row["unit"]]:
        raise BrokenInvariant(f"{row['code']}: {row['value']} {row['unit']} is not what was paid")
    return Price(**{**row, **paid, "verified": row["verified"] == "yes"})


def priced(carbon_mg: int | None) -> list[dict[str, Any]]:
    """Every price, with what some milligrams come to at it; null where that is beyond the arithmetic."""
    return [
        {
            **shown(each),
            "fen_per_tonne": each.fen_per_tonne,
            "worth_fen": None if carbon_mg is None or carbon_mg > each.most else each.worth_fen(carbon_mg),
        }
        for each in shipped_prices().values()
    ]
