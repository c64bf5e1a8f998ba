"""Fields of a data file, read one by one; every fault is collected with the place where it stands.

A number, a day or a unit is read as `printed_cells` says, and each cell that was printed otherwise is noted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from carbon.factors.printed_cells import read_mass, read_number, read_signs, read_unit
from kernel.clock import parse_day
from kernel.errors import Refusal

TEXT_MAX = 2_000
YEARS = range(1900, 2201)


@dataclass(frozen=True)
class RowError:
    """One fault: its code, a JSON pointer into the file, and a sentence."""

    code: str
    pointer: str
    detail: str


@dataclass(frozen=True)
class CellError(RowError):
    """A fault of a sheet: its row, and its column where it has one, as a spreadsheet names them."""

    row: int
    column: str | None


Place = tuple[int, str | None]
"""The number of a line, and the name of a column where one is meant."""


@dataclass(frozen=True)
class Normalised:
    """A cell that was read otherwise than it is printed: its line, its place, and both texts."""

    line: int | None
    pointer: str
    field: str
    printed: str
    read_as: str


class Faults:
    """The faults of one file in its order, and the cells that were read otherwise than printed."""

    def __init__(self) -> None:
        self.errors: list[RowError] = []
        self.normalised: list[Normalised] = []
        self._settled: list[str] = []
        self._place_of: Callable[[str], Place | None] | None = None
        self._letters: Mapping[str, str] = {}

    def locate(self, place_of: Callable[[str], Place | None], letters: Mapping[str, str]) -> None:
        """From here on faults are those of a sheet: where a pointer stands in it, its columns by name."""
        self._place_of, self._letters = place_of, letters

    def settle(self, pointer: str) -> None:
        """Nothing more is said of what stands there, or of its parts."""
        self._settled.append(pointer)

    def add(self, code: str, pointer: str, detail: str, *, place: Place | None = None) -> None:
        """Note a fault; `place` says where in a sheet it stands, else its pointer does."""
        if any(pointer == each or pointer.startswith(f"{each}/") for each in self._settled):
            return
        if self._place_of is not None:
            place = place or self._place_of(pointer)
        if self._place_of is None or place is None:
            self.errors.append(RowError(code, pointer, detail))
            return
        row, column = place[0], self._letters.get(place[1] or "")
        where = f"row {row}" if column is None else f"{column}{row}"
        self.errors.append(CellError(code, pointer, f"{where}: {detail}", row, column))

    def add_refusal(self, refusal: Refusal, pointer: str) -> None:
        """Note what arithmetic or the unit algebra refused."""
        self.add(refusal.code, pointer, str(refusal))


class Fields:
    """The fields of one mapping: asked for by name and kind; a fault gives a placeholder of that kind."""

    def __init__(self, value: Any, *, pointer: str, faults: Faults, known: Iterable[str]) -> None:
        self.pointer = pointer
        self._faults = faults
        self._values: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        if not isinstance(value, Mapping):
            faults.add("field_wrong_type", pointer, "a mapping is expected")
        known = set(known)
        for name in self._values:
            if name not in known:
                faults.add("field_unknown", f"{pointer}/{name}", "the format has no such field")

    def maybe_text(self, name: str) -> str | None:
        """The text, or None where the field is absent or empty."""
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > TEXT_MAX or not value.replace("\n", "").isprintable():
            self.fault("text_not_plain", name, f"a text of at most {TEXT_MAX} printable characters")
            return None
        return value.strip()

    def text(self, name: str) -> str:
        """The text; absent is a fault."""
        value = self.maybe_text(name)
        if value is None:
            self.fault("field_missing", name, "the field is required")
        return value or ""

    def choice(self, name: str, options: Iterable[str], *, default: str | None = None) -> str:
        """One of `options`."""
        options = tuple(options)
        value = self.maybe_text(name) or default or self.text(name)
        if value and value not in options:
            self.fault("choice_unknown", name, f"one of {', '.join(options)}")
        return value if value in options else options[0]

    def maybe_day(self, name: str) -> date | None:
        """The day, or None."""
        value = self._plain(name, read_signs)
        try:
            return None if value is None else parse_day(value)
        except ValueError:
            self.fault(
                "day_not_readable", name, "a day is written YYYY-MM-DD; what has no last day leaves it out"
            )
            return None

    def maybe_whole(self, name: str) -> int | None:
        """The whole number >= 0, or None."""
        value = self._plain(name, read_number)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            self.fault("number_not_plain", name, "a whole number in plain digits")
            return None
        return int(value)

    def maybe_year(self, name: str) -> int | None:
        """The year, or None."""
        year = self.maybe_whole(name)
        if year is not None and year not in YEARS:
            self.fault("number_out_of_range", name, f"a year from {YEARS.start} to {YEARS.stop - 1}")
            return None
        return year

    def number(self, name: str) -> str:
        """The number in plain signs, for arithmetic to judge; absent is a fault."""
        return self._needed(name, read_number)

    def maybe_number(self, name: str) -> str | None:
        """The number in plain signs, or None where the field is absent or empty."""
        return self._plain(name, read_number)

    def unit(self, name: str) -> str:
        """The unit of a factor in the algebra's words; absent or of two meanings is a fault."""
        return self._needed(name, read_unit)

    def mass(self, name: str) -> str:
        """The unit of a mass; absent is a fault."""
        return self._needed(name, read_mass)

    def printed(self, name: str, *, read_as: str) -> str | None:
        """The text of the file where it is not what was read."""
        value = self._values.get(name)
        return value.strip() if isinstance(value, str) and value.strip() != read_as else None

    def raw(self, name: str) -> Any:
        """The value as it stands, for nested parts."""
        return self._values.get(name)

    def fault(self, code: str, name: str, detail: str) -> None:
        """Note a fault of one field."""
        self._faults.add(code, f"{self.pointer}/{name}", detail)

    def _needed(self, name: str, read: Callable[[str], str]) -> str:
        value = self._plain(name, read)
        if value is None:
            self.fault("field_missing", name, "the field is required")
        return value or ""

    def _plain(self, name: str, read: Callable[[str], str]) -> str | None:
        """The cell as `read` reads it; what it refuses is a fault and an empty text."""
        printed = self.maybe_text(name)
        if printed is None:
            return None
        pointer = f"{self.pointer}/{name}"
        try:
            plain = read(printed)
        except Refusal as refusal:
            self._faults.add_refusal(refusal, pointer)
            return ""
        if plain != printed:
            line = getattr(self._values[name], "line", None)
            self._faults.normalised.append(Normalised(line, pointer, name, printed, plain))
        return plain
