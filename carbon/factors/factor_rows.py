"""What a factor table says before it is published: rows, their sources and their worked examples.

Texts stand as printed. Days are inclusive: a row holds from the start of `valid_from` to the end of
`valid_to`, in business days; a day that is not known is None and never invented.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from carbon.examples import FactorInUse
from carbon.factors.bundle_fields import Normalised
from carbon.methodologies.registry import find_method
from carbon.methodologies.unit_algebra import GasSet


@dataclass(frozen=True)
class Source:
    """The document behind a figure. `seen_in` names the text it was read in when not in the original."""

    title: str
    publisher: str | None = None
    document_number: str | None = None
    published_on: date | None = None
    published_year: int | None = None
    page: str | None = None
    url: str | None = None
    quotation: str | None = None
    seen_in: str | None = None
    last_checked_on: date | None = None

    @property
    def seen_in_original(self) -> bool:
        """Whether the figure was read in the document itself."""
        return self.seen_in is None and self.url is not None


@dataclass(frozen=True)
class WorkedExample:
    """Inputs in our unit names, the printed result and its unit, and where the result comes from."""

    inputs: tuple[tuple[str, int], ...]
    expected: str
    unit: str
    source: str


@dataclass(frozen=True)
class FactorRow:
    """One factor: for which scenario, region and days, by which method, and exactly as printed.

    `value` and `unit` are in plain signs and the algebra's words; `value_printed` and `unit_printed` keep
    the file's and the document's where they differ. Where a document prints another value elsewhere, in its
    body and its annex say, both are kept with their places, and `value` counts. An `assumption` is the
    operator's sentence shown wherever the figure is; such a row is never verified.
    """

    code: str
    name_zh: str | None
    name_en: str | None
    scenario: str
    region: str
    method: str
    method_version: int
    value: str
    unit: str
    unit_printed: str | None
    gas_set: GasSet
    variant: str
    baseline: str | None
    data_year: int | None
    valid_from: date | None
    valid_to: date | None
    valid_from_kind: str
    quantity_min: int
    quantity_max: int | None
    verified: bool
    assumption: str | None
    note: str | None
    source: Source
    examples: tuple[WorkedExample, ...]
    value_printed: str | None = None
    value_place: str | None = None
    other_value: str | None = None
    other_place: str | None = None

    def in_use(self) -> FactorInUse:
        """The method and the converted factor; refuses what `Method.factor` refuses."""
        method = find_method(self.method, self.method_version)
        factor = method.factor(
            value=self.value,
            unit=self.unit,
            gas_set=self.gas_set,
            quantity_min=self.quantity_min,
            quantity_max=self.quantity_max,
        )
        return FactorInUse(method, factor)

    @property
    def ends_on(self) -> date | None:
        """The first day on which the row no longer holds: `valid_to` as an open end."""
        return None if self.valid_to is None else self.valid_to + timedelta(days=1)

    def holds_on(self, day: date) -> bool:
        """Whether the row is valid on a business day; a row without a first day never is."""
        return (
            self.valid_from is not None
            and self.valid_from <= day
            and (self.valid_to is None or day <= self.valid_to)
        )


@dataclass(frozen=True)
class Bundle:
    """A factor table as a file. `subject` is what it rules in its region: one table a subject and day.

    `normalised` are the cells that were read otherwise than they are printed.
    """

    name: str
    subject: str
    region: str
    title_zh: str
    title_en: str
    note: str | None
    assumption: str | None
    rows: tuple[FactorRow, ...]
    normalised: tuple[Normalised, ...] = ()
    corrects: str | None = None
    """The public id of the published table that this one puts right."""
    correction_reason: str | None = None
    """Why, as the citizens read it whose credits are corrected."""

    @property
    def valid_from(self) -> date | None:
        """The first day of the earliest row; None where a row has none, so that an operator decides."""
        days = [row.valid_from for row in self.rows]
        return None if None in days else min(day for day in days if day is not None)

    @property
    def valid_to(self) -> date | None:
        """The last day of the latest row; None where one is open."""
        days = [row.valid_to for row in self.rows]
        return None if None in days else max(day for day in days if day is not None)

    @property
    def ends_on(self) -> date | None:
        """The first day on which no row holds any more: `valid_to` as an open end."""
        return None if self.valid_to is None else self.valid_to + timedelta(days=1)
