"""What differs between the rows of two factor tables, row by row and field by field.

Rows meet by scenario, region, variant and code. A row that meets none, and is the only one that its table
has for a scenario, region and variant, meets the only one of the other table: the same figure of another
year has another code. What meets nothing was added or removed. The rule knows no before and after, so the
comparison the other way round is its mirror.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Any

from carbon.examples import round_half_up
from carbon.factors.factor_rows import FactorRow, Source, WorkedExample
from carbon.methodologies.unit_algebra import convert_factor
from kernel.errors import BrokenInvariant

CITED = tuple(f"source_{field.name}" for field in fields(Source))
"""The fields of a row that say where it is from and nothing of what it is."""
_OWN = tuple(field.name for field in fields(FactorRow) if field.name not in {"source", "examples"})


class What(StrEnum):
    """What became of a row; `recited` is one of which only the source reads otherwise."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RECITED = "recited"


@dataclass(frozen=True)
class FieldChange:
    """One field, as printed before and after; None is not known."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RowChange:
    """One row in both tables, or in one of them; `fields` are those that differ, where it is in both."""

    before: FactorRow | None
    after: FactorRow | None
    fields: tuple[FieldChange, ...] = ()

    @property
    def what(self) -> What:
        """What became of the row."""
        if self.before is None:
            return What.ADDED
        if self.after is None:
            return What.REMOVED
        return What.RECITED if all(each.field in CITED for each in self.fields) else What.CHANGED

    @property
    def row(self) -> FactorRow:
        """The row as it is now, or as it last was."""
        row = self.after or self.before
        if row is None:
            raise BrokenInvariant("a change of no row")
        return row

    @property
    def percent(self) -> Fraction | None:
        """By how much the value moved, exactly; None where there is nothing to compare it with."""
        if self.before is None or self.after is None:
            return None
        return percent_moved(self.before, self.after)


def compare_rows(before: Sequence[FactorRow], after: Sequence[FactorRow]) -> tuple[RowChange, ...]:
    """What became of each row: in the order of `after`, then what was removed in the order of `before`.

    Rows that differ in nothing are left out. A table has a code once in a region, as drafting sees to.
    """
    found = []
    for old, new in _met(before, after):
        differing = () if old is None or new is None else _differing(old, new)
        if old is None or new is None or differing:
            found.append(RowChange(old, new, differing))
    return tuple(found)


def percent_moved(before: FactorRow, after: FactorRow) -> Fraction | None:
    """By how many percent the value of `after` is above that of `before`, in what arithmetic uses.

    None where they are of two measures or gas sets, or the first is zero. g and kg of one thing agree.
    """
    old = convert_factor(before.value, before.unit, gas_set=before.gas_set)
    new = convert_factor(after.value, after.unit, gas_set=after.gas_set)
    if (old.measure, before.gas_set) != (new.measure, after.gas_set) or old.value_ng == 0:
        return None
    return Fraction(100 * (new.value_ng - old.value_ng), old.value_ng)


def percent_in_words(percent: Fraction) -> str:
    """With its sign and two decimals, rounded half away from zero: `-1.12`; none for no change: `0.00`."""
    sign = "+" if percent > 0 else "-" if percent < 0 else ""
    return f"{sign}{round_half_up(abs(percent), 2)}"


def _met(
    before: Sequence[FactorRow], after: Sequence[FactorRow]
) -> list[tuple[FactorRow | None, FactorRow | None]]:
    named = {_key(row): row for row in before}
    lone_before, lone_after = _alone(before), _alone(after)
    pairs: list[tuple[FactorRow | None, FactorRow | None]] = []
    for row in after:
        other = named.get(_key(row))
        if other is None and _place(row) in lone_after:
            other = lone_before.get(_place(row))
        pairs.append((other, row))
    met = {_key(old) for old, _ in pairs if old is not None}
    return [*pairs, *((row, None) for row in before if _key(row) not in met)]


def _place(row: FactorRow) -> tuple[str, str, str]:
    return row.scenario, row.region, row.variant


def _key(row: FactorRow) -> tuple[str, str, str, str]:
    return *_place(row), row.code


def _alone(rows: Sequence[FactorRow]) -> dict[tuple[str, str, str], FactorRow]:
    """The rows that share their place with no other of their table."""
    counted = Counter(_place(row) for row in rows)
    return {_place(row): row for row in rows if counted[_place(row)] == 1}


def _differing(before: FactorRow, after: FactorRow) -> tuple[FieldChange, ...]:
    old, new = _stated(before), _stated(after)
    return tuple(FieldChange(name, old[name], new[name]) for name in old if old[name] != new[name])


def _stated(row: FactorRow) -> dict[str, str | None]:
    """Every field of a row as it is printed, the source's and the examples beside the others."""
    return {
        **{name: as_printed(getattr(row, name)) for name in _OWN},
        "examples": "\n".join(_example(each) for each in row.examples),
        **{name: as_printed(getattr(row.source, name.removeprefix("source_"))) for name in CITED},
    }


def _example(example: WorkedExample) -> str:
    inputs = json.dumps(dict(example.inputs), sort_keys=True)
    return f"{inputs} = {example.expected} {example.unit} ({example.source})"


def as_printed(value: Any) -> str | None:
    """A field's value as a reader sees it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.isoformat() if isinstance(value, date) else str(value)
