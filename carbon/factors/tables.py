"""The rows of published factor tables, as lookups and arithmetic use them; never changed.

They are written when a table is published, from its frozen content, whose digest covers them.
"""

from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from kernel.database import Base


class Factor(Base):
    """One factor: as printed, and as whole nanograms a base unit. `valid_to` is the first invalid day."""

    __tablename__ = "factor"
    __table_args__ = (
        CheckConstraint("value_ng >= 0", name="value_is_not_negative"),
        CheckConstraint("quantity_min >= 0 AND quantity_max >= quantity_min", name="limits_are_in_order"),
        CheckConstraint("gas_set IN ('CO2', 'CO2e')", name="gas_set_is_known"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="ends_after_it_starts"),
        Index("ix_factor_lookup", "region_id", "scenario", "valid_from"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    publication_id: Mapped[UUID] = mapped_column(ForeignKey("publication.id"), index=True)
    region_id: Mapped[str] = mapped_column(ForeignKey("region.id"))
    code: Mapped[str]
    scenario: Mapped[str]
    method: Mapped[str]
    method_version: Mapped[int] = mapped_column(SmallInteger)
    value: Mapped[str]
    unit: Mapped[str]
    value_ng: Mapped[int]
    gas_set: Mapped[str]
    data_year: Mapped[int | None] = mapped_column(SmallInteger)
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    quantity_min: Mapped[int]
    quantity_max: Mapped[int]
    verified: Mapped[bool]
    assumption: Mapped[str | None]
    notes: Mapped[dict[str, Any]]
    """Names, kind of start, source with title, publisher, year, url and quotation; empty is not seen."""
