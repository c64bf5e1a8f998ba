"""The fields of the platform's own format, by the names that every form of it uses."""

from carbon.methodologies.inputs import COUNT, DISTANCE, INPUTS, MASS, SAVED_ENERGY, SAVED_WATER, TRIPS

REQUIRED = ("source_event_id", "subject", "scenario", "occurred_at")
OPTIONAL = ("started_at", "corrects_revision", "quantity", "unit", "evidence")
CELLS = (*REQUIRED, *OPTIONAL, *INPUTS)
UNITS: dict[str, str] = {
    item.unit: item.name for item in (DISTANCE, TRIPS, COUNT, MASS, SAVED_ENERGY, SAVED_WATER)
}
"""What a bare `quantity` is, by its `unit`: m, trip, piece, g, Wh (saved) or ml (saved)."""
