"""What every step of a publication's life does: hold its row, move it on, write down who and why."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id
from kernel.publications.tables import Publication, PublicationStep


def hold(call: Call, publication_id: UUID) -> Publication:
    """The publication, locked until the end of the transaction; refuses NotFound.

    What is looked at afterwards (an approval, objections) cannot change between the look and the step.
    """
    held = call.db.scalars(
        select(Publication)
        .where(Publication.id == publication_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if held is None:
        raise NotFound("no such publication")
    return held


def move(call: Call, publication: Publication, *still: ColumnElement[bool], to: Mapping[str, Any]) -> bool:
    """Change the row if it stands in the state it was read in and `still` holds; whether it did."""
    done = call.db.execute(
        update(Publication)
        .where(Publication.id == publication.id, Publication.state == publication.state, *still)
        .values(**to)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        return False
    call.db.refresh(publication)
    return True


def write_step(call: Call, publication: Publication, state: str, *, reason: str) -> None:
    """Write down who took a step, and why."""
    call.db.add(
        PublicationStep(
            id=new_id(),
            publication_id=publication.id,
            region_id=publication.region_id,
            state=state,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )
