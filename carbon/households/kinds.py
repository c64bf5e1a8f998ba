"""What household meters count: one name a kind in addresses, inputs, scenarios and claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from carbon.methodologies.inputs import SAVED_ENERGY, SAVED_GAS, SAVED_HEAT, SAVED_WATER, Input


@dataclass(frozen=True)
class Kind:
    """A kind of meter: the claim's word for it, the method's input, and the scenario of its savings."""

    counts: str
    saved: Input
    scenario: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "electricity": Kind("wh", SAVED_ENERGY, "household_electricity_saving"),
        "water": Kind("ml", SAVED_WATER, "household_water_saving"),
        "gas": Kind("gas_ml", SAVED_GAS, "household_gas_saving"),
        "heat": Kind("kj", SAVED_HEAT, "household_heat_saving"),
    }
)
"""By the name that partners send; `counts` is that of the claims of bills (`carbon.activities.meters`)."""
