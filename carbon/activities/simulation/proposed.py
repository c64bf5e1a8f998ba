"""A factor table as if it were in force: which row would judge an activity of some scenario and day.

Only what the table changes is decided anew. An activity that none of its rows would judge, and whose own
row it does not displace, stays as it was credited, by whatever row that was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any

from sqlalchemy import select

from carbon.examples import FactorInUse
from carbon.factors.errors import FactorsOverlap, FirstDayUnknown
from carbon.factors.lookup import CREDITING, OWN_REGION, in_use
from carbon.factors.stored_rows import read_row
from carbon.factors.tables import Factor
from kernel.call import Call
from kernel.publications.tables import Publication

AS_CREDITED, NO_ROW = -1, -2
"""What `judge` says where it names no row."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table, and the days on which it would hold: `until` is the first on which it does not."""

    code: str
    region_id: str
    scenario: str
    since: date
    until: date | None
    in_use: FactorInUse

    def holds_on(self, day: date) -> bool:
        """Whether it would judge what was done on a business day."""
        return self.since <= day and (self.until is None or day < self.until)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an activity was judged by: where it was done, and the row that was found, of which table."""

    region_id: str
    scenario: str
    found_by: str
    factor_region: str
    table_id: str
    table_region: str
    table_subject: str


class ProposedTable:
    """A table in the place of every other one of its region and subject, from its first day on.

    A row of it is taken before one of any other table, which publication would refuse (`factors_overlap`).
    """

    def __init__(self, call: Call, table: Publication, *, starting_on: date | None = None) -> None:
        """With `starting_on` the first row of each scenario and region holds from that day on, if not before.

        Refuses FirstDayUnknown, FactorsOverlap (two of its own rows), and what the rows' methods refuse.
        """
        self._call, self._table = call, table
        self._since = table.effective_from if starting_on is None else min(starting_on, table.effective_from)
        # A footprint judges no activity, in force or not.
        stored = [row for row in table.content["rows"] if row["method"] in CREDITING]
        own = [_own_row(table, row) for row in stored]
        self.rows: list[Row] = _apart(own if starting_on is None else _brought_forward(own, starting_on))
        """Its own, then those of other tables that `judge` came upon."""
        self.size = len(self.rows)
        """How many are its own."""
        self._elsewhere: dict[tuple[str, str], list[tuple[Publication, int]]] = {}
        self._fallbacks: dict[tuple[str, str], list[Publication]] = {}

    def judge(self, judged: Judged, day: date) -> int:
        """The place in `rows` of what would judge, or AS_CREDITED, or NO_ROW."""
        own = self._own(judged.region_id, judged.scenario, day)
        if own is not None:
            return own
        if not self._displaces(judged.table_id, judged.table_region, judged.table_subject, day):
            by_fallback = judged.found_by != OWN_REGION
            found = self._own(judged.factor_region, judged.scenario, day) if by_fallback else None
            return AS_CREDITED if found is None else found
        for region in (judged.region_id, self._falls_back_to(judged, day)):
            found = None if region is None else self._any(region, judged.scenario, day)
            if found is not None:
                return found
        return NO_ROW

    def _own(self, region_id: str, scenario: str, day: date) -> int | None:
        for place, row in enumerate(self.rows[: self.size]):
            if (row.region_id, row.scenario) == (region_id, scenario) and row.holds_on(day):
                return place
        return None

    def _any(self, region_id: str, scenario: str, day: date) -> int | None:
        """Of the table, else of another one that would be in force beside it."""
        own = self._own(region_id, scenario, day)
        if own is not None:
            return own
        for table, place in self._of_others(region_id, scenario):
            displaced = self._displaces(str(table.id), table.region_id, table.subject, day)
            if self.rows[place].holds_on(day) and not displaced:
                return place
        return None

    def _displaces(self, table_id: str, region_id: str, subject: str, day: date) -> bool:
        table = self._table
        same = (region_id, subject) == (table.region_id, table.subject) and table_id != str(table.id)
        return same and self._since <= day and (table.ends_on is None or day < table.ends_on)

    def _of_others(self, region_id: str, scenario: str) -> list[tuple[Publication, int]]:
        key = (region_id, scenario)
        if key not in self._elsewhere:
            found = self._call.db.execute(
                select(Factor, Publication)
                .join(Publication, Publication.id == Factor.publication_id)
                .where(
                    Factor.region_id == region_id,
                    Factor.scenario == scenario,
                    Factor.method.in_(CREDITING),
                    Publication.state == "published",
                    Publication.id != self._table.id,
                )
            ).all()
            first = len(self.rows)
            self.rows += [laid_out_row(factor, table) for factor, table in found]
            self._elsewhere[key] = [(table, first + place) for place, (_, table) in enumerate(found)]
        return self._elsewhere[key]

    def _falls_back_to(self, judged: Judged, day: date) -> str | None:
        key = (judged.region_id, judged.scenario)
        if key not in self._fallbacks:
            rules = select(Publication).where(
                Publication.kind == "factor_fallback",
                Publication.region_id == judged.region_id,
                Publication.subject == judged.scenario,
                Publication.state == "published",
            )
            self._fallbacks[key] = list(self._call.db.scalars(rules))
        for rule in self._fallbacks[key]:
            if rule.effective_from <= day and (rule.ends_on is None or day < rule.ends_on):
                return str(rule.content["region_id"])
        return None


def _own_row(table: Publication, stored: Mapping[str, Any]) -> Row:
    row = read_row(dict(stored))
    if row.valid_from is None:
        raise FirstDayUnknown(row.code)
    return Row(
        code=row.code,
        region_id=row.region,
        scenario=row.scenario,
        since=max(row.valid_from, table.effective_from),
        until=_earlier(row.ends_on, table.ends_on),
        in_use=row.in_use(),
    )


def laid_out_row(factor: Factor, table: Publication) -> Row:
    """A row of a published table, with the days on which it holds."""
    return Row(
        code=factor.code,
        region_id=factor.region_id,
        scenario=factor.scenario,
        since=max(factor.valid_from, table.effective_from),
        until=_earlier(factor.valid_to, table.ends_on),
        in_use=in_use(factor),
    )


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def _brought_forward(rows: list[Row], day: date) -> list[Row]:
    first: dict[tuple[str, str], date] = {}
    for row in rows:
        key = (row.region_id, row.scenario)
        first[key] = min(row.since, first.get(key, row.since))
    return [
        replace(row, since=min(row.since, day)) if row.since == first[row.region_id, row.scenario] else row
        for row in rows
    ]


def _apart(rows: list[Row]) -> list[Row]:
    """The rows as they stand; refuses FactorsOverlap where two of them would judge one day."""
    in_order = sorted(rows, key=lambda row: (row.region_id, row.scenario, row.since))
    for one, other in pairwise(in_order):
        same = (one.region_id, one.scenario) == (other.region_id, other.scenario)
        if same and (one.until is None or other.since < one.until):
            raise FactorsOverlap(f"{one.code} and {other.code}", scenario=one.scenario)
    return rows
