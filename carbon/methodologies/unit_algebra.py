"""From a printed factor to a whole number of nanograms in one base unit, exactly or not at all.

A factor unit is `mass/thing`, as in `gCO2/person-km`. The mass gives nanograms, the thing gives a
*measure* (what is counted) and how many base units it holds. Two measures never mix: a vehicle's
kilometre is not a person's, a tonne of water is a volume by its own name, a trip is not a piece. A figure
printed for a dozen that does not divide keeps the dozen as its base unit; quantities count its parts.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from carbon.methodologies.errors import (
    ConversionNotExact,
    FactorNegative,
    FactorUnitAmbiguous,
    FactorUnitUnknown,
    GasSetDiffers,
    NumberNotPlain,
)
from kernel.errors import require


class GasSet(StrEnum):
    """Which gases a figure contains; the two are never added up or exchanged."""

    CO2 = "CO2"
    CO2E = "CO2e"


class Measure(StrEnum):
    """What a factor is counted in; the value is the symbol of one base unit."""

    PERSON_METRE = "person-m"
    VEHICLE_METRE = "vehicle-m"
    TRIP = "trip"
    PIECE = "piece"
    GRAM = "g"
    WATT_HOUR = "Wh"
    MILLILITRE = "ml"
    KILOJOULE = "kJ"
    VERIFIED_MILLIGRAM = "verified-mg"
    TWELVE_DAYS = "12days"
    HOUR = "hour"
    MONTH = "month"
    STEP = "step"
    SQUARE_METRE = "m2"
    TREE_YEAR = "tree-year"

    @property
    def parts(self) -> int:
        """How many units of a quantity make one base unit: 12 where quantities are days of twelve, else 1."""
        return 12 if self is Measure.TWELVE_DAYS else 1

    @property
    def counted_in(self) -> str:
        """The symbol of the unit in which quantities are counted: one of the parts."""
        return "day" if self is Measure.TWELVE_DAYS else self.value


_NANOGRAMS = {"mg": 10**6, "g": 10**9, "kg": 10**12, "t": 10**15}
_THINGS: dict[str, tuple[Measure, int | Fraction]] = {
    "person-m": (Measure.PERSON_METRE, 1),
    "person-km": (Measure.PERSON_METRE, 1_000),
    "vehicle-km": (Measure.VEHICLE_METRE, 1_000),
    "trip": (Measure.TRIP, 1),
    "piece": (Measure.PIECE, 1),
    "time": (Measure.PIECE, 1),
    "box": (Measure.PIECE, 1),
    "floor": (Measure.PIECE, 1),
    "pair": (Measure.PIECE, 1),
    "10pairs": (Measure.PIECE, 10),
    "g": (Measure.GRAM, 1),
    "0.5kg": (Measure.GRAM, 500),
    "kg": (Measure.GRAM, 1_000),
    "t": (Measure.GRAM, 10**6),
    "Wh": (Measure.WATT_HOUR, 1),
    "kWh": (Measure.WATT_HOUR, 1_000),
    "MWh": (Measure.WATT_HOUR, 10**6),
    "10MWh": (Measure.WATT_HOUR, 10**7),
    "ml": (Measure.MILLILITRE, 1),
    "L": (Measure.MILLILITRE, 1_000),
    "m3": (Measure.MILLILITRE, 10**6),
    "1000m3": (Measure.MILLILITRE, 10**9),
    "10000m3": (Measure.MILLILITRE, 10**10),
    "t-water": (Measure.MILLILITRE, 10**6),
    "kJ": (Measure.KILOJOULE, 1),
    "MJ": (Measure.KILOJOULE, 1_000),
    "GJ": (Measure.KILOJOULE, 10**6),
    "verified-kg": (Measure.VERIFIED_MILLIGRAM, 10**6),
    "day": (Measure.TWELVE_DAYS, Fraction(1, 12)),
    "12days": (Measure.TWELVE_DAYS, 1),
    "hour": (Measure.HOUR, 1),
    "month": (Measure.MONTH, 1),
    "step": (Measure.STEP, 1),
    "m2": (Measure.SQUARE_METRE, 1),
    "km2": (Measure.SQUARE_METRE, 10**6),
    "tree-year": (Measure.TREE_YEAR, 1),
}
"""`10MWh` and `10000m3` are what 万千瓦时 and 万立方米 hold.

`t-water` is the tonne in which water is billed: one cubic metre, as the utilities count it."""

_UNIT = re.compile(r"(mg|g|kg|t)(CO2e|CO2)?/([0-9A-Za-z.-]{1,20})")
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,15})?")


def things_of(measure: Measure) -> tuple[str, ...]:
    """What a unit of this measure may name after the slash, as in `kWh`; any mass may stand before it."""
    return tuple(thing for thing, (each, _) in _THINGS.items() if each is measure)


@dataclass(frozen=True)
class FactorUnit:
    """A factor unit taken apart: nanograms in its mass, and base units of `measure` in its thing."""

    text: str
    nanograms: int
    gas_set: GasSet | None
    measure: Measure
    base_units: int | Fraction


@dataclass(frozen=True)
class ConvertedFactor:
    """A factor as arithmetic uses it: whole nanograms for each base unit of its measure."""

    value_ng: int
    measure: Measure
    gas_set: GasSet | None


def parse_plain_decimal(text: str) -> Decimal:
    """The exact decimal behind ASCII digits with at most one point.

    Refuses exponents, plus signs, spaces, full-width digits, NaN, and more than 12 digits before or
    15 after the point (NumberNotPlain); a figure below zero is FactorNegative.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise NumberNotPlain(f"{text!r:.40} is not a plain decimal")
    require(not text.startswith("-"), FactorNegative(f"{text} is below zero"))
    return Decimal(text)


def parse_factor_unit(text: str) -> FactorUnit:
    """Take `gCO2/person-km` apart; refuses FactorUnitAmbiguous (a bare km) and FactorUnitUnknown."""
    match = _UNIT.fullmatch(text)
    if match is None:
        raise FactorUnitUnknown(f"{text!r:.40} is not mass/thing")
    mass, gas_set, thing = match.groups()
    if thing == "km":
        raise FactorUnitAmbiguous("write person-km or vehicle-km")
    if thing not in _THINGS:
        raise FactorUnitUnknown(f"{thing} is not a known thing to count")
    measure, base_units = _THINGS[thing]
    return FactorUnit(text, _NANOGRAMS[mass], GasSet(gas_set) if gas_set else None, measure, base_units)


def convert_factor(value: str, unit: str, *, gas_set: GasSet | None = None) -> ConvertedFactor:
    """`("26.9", "gCO2/person-km")` -> 26,900,000 ng a person-metre; never rounded.

    Refusals, in order: NumberNotPlain, FactorNegative, FactorUnitUnknown, FactorUnitAmbiguous,
    GasSetDiffers (the unit names another gas set than `gas_set`), ConversionNotExact.
    """
    number = Fraction(parse_plain_decimal(value))
    parsed = parse_factor_unit(unit)
    if gas_set and parsed.gas_set and gas_set is not parsed.gas_set:
        raise GasSetDiffers(f"the unit is {unit}, the row says {gas_set}")
    exact = number * parsed.nanograms / parsed.base_units
    if exact.denominator != 1:
        raise ConversionNotExact(f"{value} {unit} is {exact} ng a {parsed.measure}")
    return ConvertedFactor(exact.numerator, parsed.measure, gas_set or parsed.gas_set)
