"""What one assessment says: the factor used, the kilograms, and the steps a citizen can follow.

The steps are not stored; they come out of the stored inputs again, and the digest over the numbers
proves that they are the same.
"""

from dataclasses import dataclass

from carbon.methodologies.unit_algebra import Measure
from kernel.canonical import canonical_bytes, digest
from kernel.units import NANOGRAMS_PER_MILLIGRAM, MilligramsCO2e


@dataclass(frozen=True)
class MethodFactor:
    """A factor made usable for one method.

    `value` and `unit` are as published; `value_ng` is whole nanograms a base unit of `measure`;
    the limits are quantities in what `measure` is counted in, `quantity_max` never more than the product
    allows.
    """

    value: str
    unit: str
    value_ng: int
    measure: Measure
    quantity_min: int
    quantity_max: int


@dataclass(frozen=True)
class Step:
    """One line of an explanation; the values are exact, before and after rounding.

    They are decimals; a fraction (`98000000000000/12`) stands where a decimal would have no end.
    """

    title_en: str
    title_zh: str
    expression: str
    value_before_rounding: str
    value_after: str
    unit: str


@dataclass(frozen=True)
class Assessment:
    """The result for one activity: equal inputs and factor always give an equal one."""

    method: str
    method_version: int
    inputs: tuple[tuple[str, int], ...]
    factor: MethodFactor
    quantity: int
    nanograms: int
    carbon_mg: MilligramsCO2e
    steps: tuple[Step, ...]

    def digest(self) -> bytes:
        """SHA-256 (32 bytes) over every number of the assessment; wording may change, numbers not."""
        return digest(
            canonical_bytes(
                "assessment/1",
                self.method,
                self.method_version,
                self.inputs,
                self.factor.value,
                self.factor.unit,
                self.factor.value_ng,
                self.quantity,
                self.nanograms,
                self.carbon_mg,
            )
        )


def exact_milligrams(nanograms: int) -> str:
    """Nanograms as milligrams, an exact decimal without trailing zeros (`576511500000` -> `576511.5`)."""
    whole, rest = divmod(nanograms, NANOGRAMS_PER_MILLIGRAM)
    decimals = f"{rest:06d}".rstrip("0")
    return f"{whole}.{decimals}" if decimals else str(whole)
