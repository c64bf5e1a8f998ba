"""How the rows of the collected factor list are to be read: scenario, method, gas set and unit of each.

The list itself stays outside the product. What a row of it means is decided here, by us, once and row
by row: an empty scenario is a figure that no built method credits, an empty emission scenario one that no
shipped table counts as given off, an empty gas set is one that the sources leave open, and a kilometre is
a person's or a vehicle's by name.
"""

from dataclasses import dataclass

from carbon.activities.adapters.csv_cells import read_header, split_cells
from carbon.activities.adapters.text_lines import split_lines
from carbon.factors.bundles import read_shipped
from carbon.methodologies.unit_algebra import GasSet

_COLUMNS = ("code", "scenario", "method", "emission_scenario", "gas_set", "unit")


@dataclass(frozen=True)
class MappedFactor:
    """What one row of the list means; `unit` is in the algebra's words."""

    code: str
    scenario: str | None
    method: str | None
    emission_scenario: str | None
    gas_set: GasSet | None
    unit: str


def read_shipped_mapping() -> dict[str, MappedFactor]:
    """The shipped mapping by the code of the row."""
    names, lines = read_header(split_lines(read_shipped("mapping.csv")), required=_COLUMNS)
    return {
        cells["code"]: MappedFactor(
            code=cells["code"],
            scenario=cells["scenario"],
            method=cells["method"],
            emission_scenario=cells["emission_scenario"],
            gas_set=GasSet(cells["gas_set"]) if cells["gas_set"] else None,
            unit=cells["unit"],
        )
        for cells in split_cells(lines, names).iter_rows(named=True)
    }
