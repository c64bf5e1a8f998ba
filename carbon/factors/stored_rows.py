"""Rows as the content of a publication keeps them: JSON without floats, days as ISO text."""

from datetime import date
from typing import Any

from carbon.factors.factor_rows import FactorRow, Source, WorkedExample
from carbon.methodologies.unit_algebra import GasSet


def read_row(stored: dict[str, Any]) -> FactorRow:
    """The row as it stands in a publication's content."""
    source: dict[str, Any] = {
        name: _day(value) if name in {"published_on", "last_checked_on"} else value
        for name, value in stored["source"].items()
    }
    examples = tuple(
        WorkedExample(
            inputs=tuple((name, value) for name, value in example["inputs"]),
            expected=example["expected"],
            unit=example["unit"],
            source=example["source"],
        )
        for example in stored["examples"]
    )
    return FactorRow(
        **{
            **stored,
            "gas_set": GasSet(stored["gas_set"]),
            "valid_from": _day(stored["valid_from"]),
            "valid_to": _day(stored["valid_to"]),
            "source": Source(**source),
            "examples": examples,
        }
    )


def as_json(value: Any) -> Any:
    """Days as ISO text, tuples as lists, at any depth."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
