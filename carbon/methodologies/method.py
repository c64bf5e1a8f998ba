"""A method is a quantity of one measure, times a factor, floored once to milligrams.

What differs between methods is only how the quantity comes out of the inputs. Each method says it
twice, for one activity (exact integers, refusals) and for a frame of millions (a Polars
expression); property tests hold the two together. Nothing here reads a database or a clock.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from carbon.methodologies.assessment import Assessment, MethodFactor, Step, exact_milligrams
from carbon.methodologies.errors import (
    ConversionNotExact,
    FactorNegative,
    FactorTooLarge,
    FactorUnitAmbiguous,
    FactorUnitDoesNotFit,
    FactorUnitUnknown,
    GasSetDiffers,
    InputMissing,
    InputNegative,
    InputNotWhole,
    InputTooLarge,
    InputUnknown,
    NumberNotPlain,
    QuantityAboveLimit,
    QuantityBelowLimit,
)
from carbon.methodologies.inputs import INPUTS, KNOWN_INPUTS, Input
from carbon.methodologies.unit_algebra import GasSet, Measure, convert_factor
from kernel.errors import Refusal, require
from kernel.units import INT64_MAX, NANOGRAMS_PER_MILLIGRAM, floor_to_milligrams

FACTOR_REFUSALS: tuple[type[Refusal], ...] = (
    NumberNotPlain,
    FactorNegative,
    FactorUnitUnknown,
    FactorUnitAmbiguous,
    GasSetDiffers,
    ConversionNotExact,
    FactorUnitDoesNotFit,
    FactorTooLarge,
)
"""How a method refuses a printed factor, in the order in which it looks."""
INPUT_REFUSALS: tuple[type[Refusal], ...] = (
    InputUnknown,
    InputMissing,
    InputNotWhole,
    InputNegative,
    InputTooLarge,
    QuantityBelowLimit,
    QuantityAboveLimit,
)
"""How a method refuses an activity, in the order in which it looks."""


@dataclass(frozen=True)
class InputSet:
    """One way to state the quantity: the inputs needed, and both forms of the arithmetic."""

    inputs: tuple[Input, ...]
    quantity: Callable[[Mapping[str, int]], int]
    quantity_expression: Callable[[], pl.Expr]
    expression: str
    """How the quantity is written for a reader, with the input names in braces."""

    @property
    def names(self) -> frozenset[str]:
        """The names of the inputs."""
        return frozenset(item.name for item in self.inputs)


def stated(item: Input) -> InputSet:
    """The quantity is the input itself."""
    return InputSet(
        inputs=(item,),
        quantity=lambda inputs: inputs[item.name],
        quantity_expression=lambda: pl.col(item.name),
        expression=f"{{{item.name}}}",
    )


@dataclass(frozen=True)
class Method:
    """A method by its stable name and version, both stored with every assessment.

    `input_sets` are alternatives: an activity gives exactly one of them. `source` says where the formula is
    written, or that it is our own; figures have sources of their own, in the rows of factor tables.
    """

    name: str
    version: int
    title_en: str
    title_zh: str
    measure: Measure
    source: str
    input_sets: tuple[InputSet, ...]
    credits: bool = True
    """Whether it says what was reduced; a footprint says what was given off, and no activity is its."""

    def factor(
        self,
        *,
        value: str,
        unit: str,
        gas_set: GasSet | None = None,
        quantity_min: int = 0,
        quantity_max: int | None = None,
    ) -> MethodFactor:
        """Make a printed factor usable here, with the largest quantity whose product is below 2^63.

        Limits are quantities in the unit that the measure is `counted_in`.

        Refusals: those of `convert_factor`, FactorUnitDoesNotFit (another measure), FactorTooLarge.
        """
        converted = convert_factor(value, unit, gas_set=gas_set)
        if converted.measure is not self.measure:
            raise FactorUnitDoesNotFit(f"{self.name} counts {self.measure}, {unit} is a {converted.measure}")
        require(converted.value_ng <= INT64_MAX, FactorTooLarge(f"{value} {unit}"))
        bound = INT64_MAX // converted.value_ng if converted.value_ng else INT64_MAX
        return MethodFactor(
            value=value,
            unit=unit,
            value_ng=converted.value_ng,
            measure=converted.measure,
            quantity_min=quantity_min,
            quantity_max=bound if quantity_max is None else min(bound, quantity_max),
        )

    def quantity(self, inputs: Mapping[str, int]) -> int:
        """The quantity in base units.

        Refusals, in order: InputUnknown, InputMissing, InputNotWhole, InputNegative, InputTooLarge.
        """
        chosen = self._input_set(inputs)
        for name, value in inputs.items():
            whole = isinstance(value, int) and not isinstance(value, bool)
            require(whole, InputNotWhole(f"{name} is not a whole number", pointer=f"/{name}"))
        for name, value in inputs.items():
            require(value >= 0, InputNegative(f"{name} is below zero", pointer=f"/{name}"))
        for item in chosen.inputs:
            fits = inputs[item.name] <= item.most
            require(fits, InputTooLarge(f"{item.name} is above {item.most}", pointer=f"/{item.name}"))
        return chosen.quantity(inputs)

    def assess(self, inputs: Mapping[str, int], factor: MethodFactor) -> Assessment:
        """Kilograms for one activity, with the steps that explain them.

        Refusals, in order: FactorUnitDoesNotFit, those of `quantity`, QuantityBelowLimit,
        QuantityAboveLimit.
        """
        fits = factor.measure is self.measure
        require(fits, FactorUnitDoesNotFit(f"{self.name} counts {self.measure}, not {factor.measure}"))
        quantity = self.quantity(inputs)
        least, most = factor.quantity_min, factor.quantity_max
        require(quantity >= least, QuantityBelowLimit(f"{quantity} is below {least}", limit=least))
        require(quantity <= most, QuantityAboveLimit(f"{quantity} is above {most}", limit=most))
        # The floor of a floor is the floor of the whole: towards zero, once.
        nanograms = quantity * factor.value_ng // self.measure.parts
        return Assessment(
            method=self.name,
            method_version=self.version,
            inputs=tuple(sorted(inputs.items())),
            factor=factor,
            quantity=quantity,
            nanograms=nanograms,
            carbon_mg=floor_to_milligrams(nanograms),
            steps=self._steps(inputs, factor, quantity),
        )

    def _input_set(self, inputs: Mapping[str, int]) -> InputSet:
        given = frozenset(inputs)
        for candidate in self.input_sets:
            if candidate.names == given:
                return candidate
        needed: frozenset[str] = frozenset().union(*(candidate.names for candidate in self.input_sets))
        unused = sorted(given - needed) or sorted(
            name for each in self.input_sets if each.names < given for name in given - each.names
        )
        if unused:
            raise InputUnknown(f"{self.name} does not use {unused[0]}", pointer=f"/{unused[0]}")
        missing = sorted(self.input_sets[0].names - given)
        closest = next((each for each in self.input_sets if each.names & given), None)
        if closest is not None:
            missing = sorted(closest.names - given)
        raise InputMissing(f"{self.name} needs {', '.join(missing)}", pointer=f"/{missing[0]}")

    def _steps(self, inputs: Mapping[str, int], factor: MethodFactor, quantity: int) -> tuple[Step, ...]:
        chosen, product, measure = self._input_set(inputs), quantity * factor.value_ng, self.measure
        nanograms = product // measure.parts
        written = {item.name: f"{inputs[item.name]} {item.unit}" for item in chosen.inputs}
        return (
            Step(
                title_en="quantity",
                title_zh="数量",
                expression=chosen.expression.format(**written),
                value_before_rounding=str(quantity),
                value_after=str(quantity),
                unit=measure.counted_in,
            ),
            Step(
                title_en="factor in base units",
                title_zh="因子换算为基本单位",
                expression=f"{factor.value} {factor.unit}",
                value_before_rounding=str(factor.value_ng),
                value_after=str(factor.value_ng),
                unit=f"ng/{measure}",
            ),
            Step(
                title_en="quantity times factor",
                title_zh="数量乘以因子",
                expression=f"{quantity} {measure.counted_in} × {factor.value_ng} ng/{measure}",
                value_before_rounding=str(product),
                value_after=str(product),
                unit="ng" if measure.parts == 1 else f"ng/{measure.parts}",
            ),
            *self._division(product),
            Step(
                title_en="rounded down to whole milligrams",
                title_zh="向下取整到毫克",
                expression=f"{nanograms} ng ÷ {NANOGRAMS_PER_MILLIGRAM}",
                value_before_rounding=exact_milligrams(nanograms),
                value_after=str(floor_to_milligrams(nanograms)),
                unit="mg",
            ),
        )

    def _division(self, product: int) -> tuple[Step, ...]:
        """The step that divides by the parts of the factor's unit, where there are several."""
        parts = self.measure.parts
        if parts == 1:
            return ()
        whole, rest = divmod(product, parts)
        return (
            Step(
                title_en=f"divided by {parts}",
                title_zh=f"除以{parts}",
                expression=f"{product} ng ÷ {parts}",
                value_before_rounding=f"{product}/{parts}" if rest else str(whole),
                value_after=str(whole),
                unit="ng",
            ),
        )

    # The same definition over a frame with one nullable Int64 column for each name in INPUTS, of a footprint
    # for each in KNOWN_INPUTS.

    def quantity_expression(self) -> pl.Expr:
        """The quantity in base units of each row; null where no set of inputs is whole."""
        return pl.coalesce(each.quantity_expression() for each in self.input_sets)

    def refusal_expression(self, *, quantity_min: pl.Expr, quantity_max: pl.Expr) -> pl.Expr:
        """The code with which `assess` would refuse the row, or null."""
        used = {name for each in self.input_sets for name in each.names}
        there = INPUTS if self.credits else KNOWN_INPUTS
        unused = [pl.col(name).is_not_null() for name in there if name not in used]
        whole = [
            pl.all_horizontal(pl.col(name).is_not_null() for name in sorted(each.names))
            for each in self.input_sets
        ]
        beyond = [
            pl.all_horizontal(each, pl.any_horizontal(pl.col(name).is_not_null() for name in others))
            for each, others in zip(whole, self._others(used), strict=True)
            if others
        ]
        quantity = self.quantity_expression()
        return (
            pl.when(pl.any_horizontal(*unused, *beyond))
            .then(pl.lit(InputUnknown.code))
            .when(~pl.any_horizontal(whole))
            .then(pl.lit(InputMissing.code))
            .when(pl.any_horizontal(pl.col(name) < 0 for name in sorted(used)))
            .then(pl.lit(InputNegative.code))
            .when(pl.any_horizontal(pl.lit(value=False), *_above_most(used)))
            .then(pl.lit(InputTooLarge.code))
            .when(quantity < quantity_min)
            .then(pl.lit(QuantityBelowLimit.code))
            .when(quantity > quantity_max)
            .then(pl.lit(QuantityAboveLimit.code))
        )

    def _others(self, used: set[str]) -> list[list[str]]:
        return [sorted(used - each.names) for each in self.input_sets]

    def nanograms_expression(self, value_ng: pl.Expr) -> pl.Expr:
        """Whole nanograms of each row; only rows that `refusal_expression` passes may be used.

        Polars wraps silently beyond 2^63, which is what `quantity_max` keeps out.
        """
        product = self.quantity_expression() * value_ng
        return product if self.measure.parts == 1 else product // self.measure.parts

    def carbon_mg_expression(self, value_ng: pl.Expr) -> pl.Expr:
        """Milligrams of each row, floored; only rows that `refusal_expression` passes may be used."""
        return self.nanograms_expression(value_ng) // NANOGRAMS_PER_MILLIGRAM


def _above_most(names: Iterable[str]) -> Iterator[pl.Expr]:
    """Whether an input is above its own most; a column holds nothing above 2^63-1."""
    for name in sorted(names):
        if KNOWN_INPUTS[name].most < INT64_MAX:
            yield pl.col(name) > KNOWN_INPUTS[name].most
