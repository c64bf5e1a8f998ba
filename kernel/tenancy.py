"""Regions are the tenants: a tree of nation, provinces and cities, each with its own operators.

A region's id is its public code (`CN-GD-SZ`), so a row says where it belongs without a join.
A thing of another region is answered 404: its existence is nobody's business.
"""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from kernel.database import Base
from kernel.errors import NotFound


class Region(Base):
    """A node of the tree. `holder_id` holds its institutional ledger accounts (issuance, pool, …)."""

    __tablename__ = "region"
    __table_args__ = (CheckConstraint("id ~ '^[A-Z0-9]+(-[A-Z0-9]+)*$'", name="id_is_a_code"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("region.id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    holder_id: Mapped[UUID] = mapped_column(unique=True)


BELOW = (
    "WITH RECURSIVE below AS (SELECT id FROM region WHERE id = :region"
    " UNION SELECT r.id FROM region r JOIN below b ON r.parent_id = b.id)"
)
"""The region `:region` and all regions below it, as `below`, for a statement to begin with."""


def known_region(session: Session, region_id: str) -> Region:
    """The region, or `NotFound`."""
    region = session.get(Region, region_id)
    if region is None:
        raise NotFound("no such region", region=region_id)
    return region


def upward(session: Session, region_id: str) -> list[str]:
    """The region and its ancestors, nearest first."""
    parents = {row.id: row.parent_id for row in session.execute(select(Region.id, Region.parent_id))}
    path: list[str] = []
    at: str | None = region_id
    while at is not None and at not in path:
        path.append(at)
        at = parents.get(at)
    return path
