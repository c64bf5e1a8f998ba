"""The amounts that a comparison is asked of: whole numbers, none missing, none that it has no use for."""

from collections.abc import Mapping

from carbon.methodologies.errors import (
    InputMissing,
    InputNegative,
    InputNotWhole,
    InputTooLarge,
    InputUnknown,
)
from kernel.errors import require


def check_amounts(inputs: Mapping[str, int], *, of: str, most: Mapping[str, int]) -> None:
    """Check that exactly the inputs of `most` are here, each from zero to what it says.

    Refuses InputUnknown, InputMissing, InputNotWhole, InputNegative, InputTooLarge.
    """
    for name in inputs:
        require(name in most, InputUnknown(f"{of} does not use {name}", pointer=f"/{name}"))
    for name, limit in most.items():
        pointer = f"/{name}"
        require(name in inputs, InputMissing(f"{of} needs {name}", pointer=pointer))
        amount = inputs[name]
        whole = isinstance(amount, int) and not isinstance(amount, bool)
        require(whole, InputNotWhole(f"{name} is not a whole number", pointer=pointer))
        require(amount >= 0, InputNegative(f"{name} is below zero", pointer=pointer))
        require(amount <= limit, InputTooLarge(f"{name} is above {limit}", pointer=pointer))
