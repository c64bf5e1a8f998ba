"""Lists, newest first: ids are made in the order of time, so the id is the key a page continues after."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

from kernel.call import Call
from kernel.paging import Page, PageRequest

Row = TypeVar("Row")


def newest_first(
    call: Call,
    query: Select[Row],
    id_column: InstrumentedAttribute[UUID],
    page: PageRequest,
    *,
    binding: str,
) -> Page[Row]:
    """A page of `query`, whose rows have their key in `id`; refuses WrongCursor.

    `binding` names the list and its filter.
    """
    position = page.position(binding, UUID)
    if position is not None:
        query = query.where(id_column < position[0])
    rows: Sequence[Row] = call.db.scalars(query.order_by(id_column.desc()).limit(page.limit + 1)).all()
    return page.page(rows, binding, lambda row: [str(_id_of(row))])


def _id_of(row: Any) -> UUID:
    found: UUID = row.id
    return found
