"""Worked examples: published or independently computed figures that our arithmetic must give back.

An example passes when our exact result before the floor, rounded half up to the decimals printed,
equals the printed figure. What is stored is the floor. Anyone can bring a file of more:

    id, region, on, method, inputs, expected, unit

`on` is the business day; `inputs` is JSON in our unit names with the scenario beside them, such as
`{"scenario": "metro_ride", "distance_m": 10000}`, or a list of such objects whose results add up;
`method` is the method that the lookup must lead to, for a list one for all or one each, separated by
`;`; `expected` is the printed decimal in `unit` (mg, g, kg or t, with CO2 or CO2e where printed).

An object may name a `region` of its own. Among footprints `"less": true` takes its result away, as a
reduction is what would have been given off less what was; below zero it is nothing. The methods
`standard_coal` and `trees` are published comparisons, of no region, in `kgce` and `trees`; `price` is what
was paid (`paid_fen`) for `carbon_mg`, in `CNY/kg` or `CNY/t`, and `worth` what `carbon_mg` come to at a
published price, in `CNY`. Results that a source prints side by side stand in `expected` with ` | ` between
them and are compared one by one.

Of a home's saving an object may name the `price_tier`, and `"has_solar": true`: then the region's published
rule about that saving is asked first, and a home that it leaves out saves nothing.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from fractions import Fraction
from typing import Any

from carbon.activities.adapters.csv_cells import read_header, split_cells
from carbon.activities.adapters.text_lines import split_lines
from carbon.equivalences.figures import RESULT_UNITS, shipped_equivalences
from carbon.equivalences.prices import PRICE, PRICE_UNITS, WORTH, WORTH_UNIT, price_of, shipped_prices
from carbon.households.baselines import SavingRule
from carbon.households.judgement import Standing, left_out
from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.method import Method
from carbon.methodologies.unit_algebra import parse_plain_decimal
from kernel.clock import parse_day
from kernel.errors import Kind, Refusal, require
from kernel.units import MilligramsCO2e, floor_to_milligrams

_COLUMNS = ("id", "region", "on", "method", "inputs", "expected", "unit")
_RESULT_UNIT = re.compile(r"(mg|g|kg|t)(?:CO2e?)?")
_BESIDE = " | "
"""Between results that are printed side by side."""
TIERS = range(1, 10)
_NANOGRAMS = {"mg": 10**6, "g": 10**9, "kg": 10**12, "t": 10**15}


class ExampleNotReadable(Refusal):
    """A worked example is not in its form."""

    kind = Kind.INVALID
    title_zh = "算例格式不符"


class ExampleSidesMixed(Refusal):
    """Footprints, reductions and comparisons do not add up, and only a footprint is taken from others."""

    kind = Kind.INVALID
    title_zh = "排放量、减排量与折算值不能相加,且只有排放量可以相减"


class ExampleMethodDiffers(Refusal):
    """The factor in force belongs to another method than the example names."""

    kind = Kind.INVALID
    title_zh = "生效因子的方法学与算例不符"


@dataclass(frozen=True)
class FactorInUse:
    """What a lookup gives: the method and its factor for one scenario, region and day."""

    method: Method
    factor: MethodFactor


FindFactor = Callable[[str, str, date], FactorInUse]
"""(scenario, region, day) -> the one factor in force; raises a Refusal such as no_factor_in_force."""
FindSavingRule = Callable[[str, str, date], SavingRule]
"""(scenario, region, day) -> the rule about such savings; raises a Refusal such as no_rule_in_force."""


@dataclass(frozen=True)
class ExamplePart:
    """One activity of an example: a scenario and the inputs of its method."""

    scenario: str
    method: str
    inputs: dict[str, int]
    region: str | None = None
    less: bool = False
    price_tier: int | None = None
    has_solar: bool = False


@dataclass(frozen=True)
class ExampleRow:
    """One example; `problem` says why the row could not be read, and then the rest is as printed."""

    id: str
    region: str
    on: date | None
    parts: tuple[ExamplePart, ...]
    expected: str
    unit: str
    problem: str | None = None


@dataclass(frozen=True)
class ExampleResult:
    """What an example gave: `got` rounded as printed, `exact` before any rounding, the stored floor.

    `detail` says why it was refused, or by which rule it came to nothing.
    """

    id: str
    expected: str
    got: str | None
    exact: str | None
    unit: str
    carbon_mg: MilligramsCO2e | None
    passed: bool
    code: str | None = None
    detail: str = ""


def check_examples(
    rows: Iterable[ExampleRow], find_factor: FindFactor, find_rule: FindSavingRule
) -> list[ExampleResult]:
    """Compute every example; a refusal is a failed example with its code, never an exception."""
    return [_check(row, find_factor, find_rule) for row in rows]


def compare(id_: str, *, nanograms: int, carbon_mg: int, expected: str, unit: str) -> ExampleResult:
    """Judge one result against a printed figure. Refuses ExampleNotReadable and NumberNotPlain."""
    match = _RESULT_UNIT.fullmatch(unit)
    if match is None:
        raise ExampleNotReadable(f"{unit!r:.20} is not a mass of CO2", pointer="/unit")
    exact = Fraction(nanograms, _NANOGRAMS[match[1]])
    judged = _judged(id_, exact, expected=expected, unit=unit)
    return replace(judged, carbon_mg=MilligramsCO2e(carbon_mg))


def _judged(id_: str, exact: Fraction, *, expected: str, unit: str) -> ExampleResult:
    """A result beside a printed figure. Refuses NumberNotPlain."""
    printed = Fraction(parse_plain_decimal(expected))
    rounded = round_half_up(exact, len(expected.partition(".")[2]))
    return ExampleResult(
        id=id_,
        expected=expected,
        got=rounded,
        exact=exact_decimal(exact),
        unit=unit,
        carbon_mg=None,
        passed=Fraction(rounded) == printed,
    )


def round_half_up(value: Fraction, decimals: int) -> str:
    """A fraction >= 0 rounded half up, written with exactly `decimals` decimals."""
    scaled = (2 * value * 10**decimals + 1) // 2
    whole, rest = divmod(scaled, 10**decimals)
    return f"{whole}.{rest:0{decimals}d}" if decimals else str(whole)


def exact_decimal(value: Fraction) -> str:
    """A fraction as a decimal without trailing zeros, or as a fraction where that has no end."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return str(value)
    decimals = 0
    while (value * 10**decimals).denominator != 1:
        decimals += 1
    return round_half_up(value, decimals)


def _check(row: ExampleRow, find_factor: FindFactor, find_rule: FindSavingRule) -> ExampleResult:
    try:
        if row.problem is not None or row.on is None:
            raise ExampleNotReadable(row.problem or "")
        assessed = [_assessed(part, row.region, row.on, find_factor, find_rule) for part in row.parts]
        require(len({each.of for each in assessed}) == 1, ExampleSidesMixed())
        takes_away = any(part.less for part in row.parts)
        require(not takes_away or assessed[0].of is _Kind.FOOTPRINT, ExampleSidesMixed())
        printed = row.expected.split(_BESIDE)
        if len(printed) == 1:
            adds_up = len(assessed) == 1 or assessed[0].of is not _Kind.PRICE
            require(adds_up, ExampleSidesMixed("prices do not add up"))
            return _result(row, _sum(row.parts, assessed), row.expected, assessed)
        alike = len(printed) == len(assessed) and not takes_away
        require(alike, ExampleNotReadable("as many results as objects of inputs, none taken away"))
        return _beside(
            row,
            [_result(row, each.exact, text, [each]) for each, text in zip(assessed, printed, strict=True)],
        )
    except Refusal as refusal:
        return ExampleResult(
            id=row.id,
            expected=row.expected,
            got=None,
            exact=None,
            unit=row.unit,
            carbon_mg=None,
            passed=False,
            code=refusal.code,
            detail=str(refusal),
        )


class _Kind(Enum):
    REDUCTION = "reduction"
    FOOTPRINT = "footprint"
    COMPARISON = "comparison"
    PRICE = "price"


@dataclass(frozen=True)
class _Assessed:
    """What one part comes to: nanograms of carbon dioxide, or how many of what it is compared with.

    `units` are those that a comparison may be printed in, each as so many of what `exact` counts.
    """

    of: _Kind
    exact: Fraction
    units: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def _assessed(
    part: ExamplePart, region: str, on: date, find_factor: FindFactor, find_rule: FindSavingRule
) -> _Assessed:
    asks_rule = part.price_tier is not None
    require(asks_rule or not part.has_solar, ExampleNotReadable("has_solar stands beside a price_tier"))
    compared = _compared(part)
    if compared is not None:
        require(not asks_rule, ExampleNotReadable(f"{part.method} knows no price_tier"))
        return compared
    found = find_factor(part.scenario, part.region or region, on)
    fits = found.method.name == part.method
    require(fits, ExampleMethodDiffers(f"{part.scenario}: {found.method.name}, not {part.method}"))
    kind = _Kind.REDUCTION if found.method.credits else _Kind.FOOTPRINT
    exact = Fraction(found.method.assess(part.inputs, found.factor).nanograms)
    if part.price_tier is None:
        return _Assessed(kind, exact)
    standing = Standing(since=on, price_tier=part.price_tier, has_solar=part.has_solar)
    reasons = left_out(find_rule(part.scenario, part.region or region, on), [standing])
    return _Assessed(kind, Fraction(0) if reasons else exact, left_out=tuple(reasons))


def _compared(part: ExamplePart) -> _Assessed | None:
    """What a published comparison says; None where the method is none."""
    if part.method == PRICE:
        return _Assessed(_Kind.PRICE, price_of(part.inputs), PRICE_UNITS)
    if part.method == WORTH:
        price = shipped_prices().get(part.scenario)
        if price is None:
            raise ExampleMethodDiffers(f"no price is published of {part.scenario!r:.40}")
        return _Assessed(_Kind.COMPARISON, price.worth(part.inputs), {WORTH_UNIT: 1})
    if part.method not in RESULT_UNITS:
        return None
    figure = shipped_equivalences().get(part.scenario)
    if figure is None or figure.method != part.method:
        raise ExampleMethodDiffers(f"no {part.method} is published of {part.scenario!r:.40}")
    return _Assessed(_Kind.COMPARISON, figure.of(part.inputs), {RESULT_UNITS[part.method]: 1})


def _sum(parts: Iterable[ExamplePart], assessed: Iterable[_Assessed]) -> Fraction:
    """The results added up, those of `less` taken away; never below zero."""
    signed = (-each.exact if part.less else each.exact for part, each in zip(parts, assessed, strict=True))
    return max(sum(signed, Fraction(0)), Fraction(0))


def _result(row: ExampleRow, exact: Fraction, expected: str, of: Sequence[_Assessed]) -> ExampleResult:
    if of[0].units:
        fits = all(row.unit in each.units for each in of)
        require(fits, ExampleNotReadable(f"the unit is not {row.unit!r:.20}", pointer="/unit"))
        return _judged(row.id, exact * of[0].units[row.unit], expected=expected, unit=row.unit)
    nanograms = int(exact)
    compared = compare(
        row.id,
        nanograms=nanograms,
        carbon_mg=floor_to_milligrams(nanograms),
        expected=expected,
        unit=row.unit,
    )
    return replace(compared, detail=", ".join(reason for each in of for reason in each.left_out))


def _beside(row: ExampleRow, several: list[ExampleResult]) -> ExampleResult:
    """Results that stand side by side as one: it passes where each does."""
    return replace(
        several[0],
        expected=row.expected,
        got=_BESIDE.join(each.got or "" for each in several),
        exact=_BESIDE.join(each.exact or "" for each in several),
        carbon_mg=None,
        passed=all(each.passed for each in several),
        detail=", ".join(each.detail for each in several if each.detail),
    )


def read_examples(data: bytes) -> list[ExampleRow]:
    """The rows of a CSV file. Refuses FileEmpty and HeaderDiffers; a bad row carries its problem."""
    names, lines = read_header(split_lines(data), required=_COLUMNS)
    return [_read_row(cells) for cells in split_cells(lines, names).iter_rows(named=True)]


def _read_row(cells: dict[str, Any]) -> ExampleRow:
    printed = {name: cells[name] or "" for name in _COLUMNS}
    blank = [name for name in _COLUMNS if not printed[name]]
    on: date | None = None
    parts: tuple[ExamplePart, ...] = ()
    problem = cells["line_code"] or (f"{', '.join(blank)} is empty" if blank else None)
    if problem is None:
        try:
            on = parse_day(printed["on"])
            parts = _read_parts(printed["inputs"], methods=printed["method"].split(";"))
        except (ValueError, TypeError, RecursionError) as bad:
            problem = str(bad)
    return ExampleRow(
        id=printed["id"] or f"line {cells['line_no']}",
        region=printed["region"],
        on=on,
        parts=parts,
        expected=printed["expected"],
        unit=printed["unit"],
        problem=problem,
    )


def _read_parts(text: str, *, methods: list[str]) -> tuple[ExamplePart, ...]:
    """The activities of one example; raises ValueError or TypeError with a sentence."""
    value = json.loads(text, object_pairs_hook=_unrepeated)
    objects = value if isinstance(value, list) else [value]
    if not objects or not all(isinstance(each, dict) for each in objects):
        raise ValueError("inputs are an object or a list of objects")
    if len(methods) == 1:
        methods = methods * len(objects)
    if len(methods) != len(objects):
        raise ValueError("one method for all, or one for each object of inputs")
    parts = []
    for each, method in zip(objects, methods, strict=True):
        parts.append(_read_part(each, method))
    return tuple(parts)


def _read_part(fields: dict[str, Any], method: str) -> ExamplePart:
    scenario = fields.pop("scenario", None)
    if not isinstance(scenario, str):
        raise TypeError("every object of inputs names its scenario")
    region, less = fields.pop("region", None), fields.pop("less", False)
    if not isinstance(region, str | None) or not isinstance(less, bool):
        raise TypeError("a region is a text, less is true or false")
    tier, solar = fields.pop("price_tier", None), fields.pop("has_solar", False)
    whole = tier is None or (isinstance(tier, int) and not isinstance(tier, bool) and tier in TIERS)
    if not whole or not isinstance(solar, bool):
        raise TypeError("a price_tier is a number from 1 to 9, has_solar is true or false")
    return ExamplePart(scenario, method, fields, region, less, tier, solar)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("an input stands twice")
    return fields
