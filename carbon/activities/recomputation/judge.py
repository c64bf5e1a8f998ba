"""A correcting table as a judge: what the corrected one judged comes under its rows, all else stays.

An activity keeps the region whose row judged it: one that was found by a fallback comes under the correcting
row of that region.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import select

from carbon.activities.recomputation.errors import NotACorrection
from carbon.activities.simulation.proposed import AS_CREDITED, Judged, Row, laid_out_row
from carbon.factors.correcting import chain_of
from carbon.factors.tables import Factor
from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.publications.shapes import FACTOR_TABLE
from kernel.publications.tables import Publication


class CorrectingTable:
    """A published table that corrects another, and through it those that that one corrected."""

    def __init__(self, call: Call, table: Publication) -> None:
        """Refuses NotACorrection."""
        corrects = table.kind == FACTOR_TABLE and table.corrects_id is not None
        require(corrects and table.state == "published", NotACorrection())
        laid_out = call.db.scalars(
            select(Factor).where(Factor.publication_id == table.id).order_by(Factor.id)
        ).all()
        self.corrected = frozenset(str(each) for each in chain_of(call, table))
        """The tables whose judgements it takes over."""
        self._first_day, self._ends_on = table.effective_from, table.ends_on
        self.rows: list[Row] = [laid_out_row(factor, table) for factor in laid_out]
        self.factor_ids: list[UUID] = [factor.id for factor in laid_out]
        self.size = len(self.rows)

    def judge(self, judged: Judged, day: date) -> int:
        """The place in `rows` of the row that judges now, or AS_CREDITED.

        A table that ended before it was corrected has judged days on which neither holds any more: those of
        a month are read with the days that its cap rules, and stay.
        """
        if judged.table_id not in self.corrected or not self._holds_on(day):
            return AS_CREDITED
        for place, row in enumerate(self.rows):
            if (row.region_id, row.scenario) == (judged.factor_region, judged.scenario) and row.holds_on(day):
                return place
        raise BrokenInvariant(f"a correcting table leaves {judged.scenario} of {day} without a row")

    def _holds_on(self, day: date) -> bool:
        return self._first_day <= day and (self._ends_on is None or day < self._ends_on)
