"""The methods that are built, by the name that rows of factors carry."""

from carbon.methodologies import (
    charging,
    day_block,
    deemed_monthly,
    footprint,
    generation,
    growth,
    per_count,
    per_mass,
    per_person_km,
    per_step,
    per_trip,
    project,
    saving,
)
from carbon.methodologies.errors import MethodUnknown
from carbon.methodologies.method import Method

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        per_person_km.METHOD,
        per_trip.METHOD,
        per_count.METHOD,
        per_mass.METHOD,
        saving.ELECTRICITY,
        saving.WATER,
        saving.GAS,
        saving.HEAT,
        generation.METHOD,
        charging.METHOD,
        day_block.METHOD,
        deemed_monthly.METHOD,
        growth.METHOD,
        per_step.METHOD,
        project.METHOD,
        footprint.ELECTRICITY,
        footprint.HEAT,
        footprint.FUEL_BY_VOLUME,
        footprint.FUEL_BY_MASS,
        footprint.PASSENGER,
        footprint.VEHICLE,
        footprint.AREA_HEATED,
    )
}
FOOTPRINTS = tuple(name for name, method in METHODS.items() if not method.credits)
"""The methods by which no activity is assessed."""


def find_method(name: str, version: int = 1) -> Method:
    """The method of this name and version; refuses MethodUnknown. A new version gets its own entry."""
    method = METHODS.get(name)
    if method is None or method.version != version:
        raise MethodUnknown(f"{name!r:.40} version {version}")
    return method
