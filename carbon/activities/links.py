"""A page of one activity for whoever has its link: made by the citizen, for some days, ended at will.

The link is a secret of its own and names nobody; only its digest stands here. An activity has at most one:
a new one ends the one before. What it opens is the arithmetic: no name, no place, no hour (decision 0023).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from carbon.activities.explanation import explain_activity, own_activity
from carbon.activities.explanation_tree import tree_of
from carbon.activities.tables import Activity, ActivityLink
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import NotFound
from kernel.identifiers import public_id

LINK_LIFE = timedelta(days=7)
LINK_BYTES = 24
LONGEST_LINK = 64
ACTIVITY = "act"
PRIVATE = ("id", "occurred_at", "facts", "entries", "hold")
"""What of an explanation is the citizen's own: never behind a link."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link, told once, and when it ends."""

    secret: str
    ends_at: datetime


def make_link(call: Call, activity_id: UUID) -> Link:
    """Let whoever gets the link read how an own activity was counted; an earlier link of it ends.

    Refuses `NotFound`, for another's activity too.
    """
    activity = own_activity(call, call.actor.known_id, activity_id)
    link = Link(secret=secrets.token_urlsafe(LINK_BYTES), ends_at=call.now + LINK_LIFE)
    fresh = {"secret_digest": _digest(link.secret), "made_at": call.now, "ends_at": link.ends_at}
    row = insert(ActivityLink).values(citizen_id=activity.citizen_id, activity_id=activity.id, **fresh)
    call.db.execute(row.on_conflict_do_update(constraint="pk_activity_link", set_=fresh))
    audit(call, "activity.share", subject=public_id(ACTIVITY, activity.id))
    return link


def end_link(call: Call, activity_id: UUID) -> None:
    """End an own activity's link; ending what has ended changes nothing. Refuses `NotFound`."""
    activity = own_activity(call, call.actor.known_id, activity_id)
    ended = call.db.execute(
        update(ActivityLink)
        .where(
            ActivityLink.citizen_id == activity.citizen_id,
            ActivityLink.activity_id == activity.id,
            ActivityLink.ends_at > call.now,
        )
        .values(ends_at=call.now)
    )
    if ended.rowcount:  # type: ignore[attr-defined]  # cursor results have it
        audit(call, "activity.unshare", subject=public_id(ACTIVITY, activity.id))


def linked(call: Call, secret: str) -> dict[str, Any]:
    """What a link opens: an explained activity without what is the citizen's own, and when the link ends.

    Refuses `NotFound` for whatever opens nothing: unknown, ended and malformed look the same.
    """
    if len(secret) > LONGEST_LINK or not secret.isascii():
        raise NotFound("no such link")
    found = call.db.execute(
        select(Activity, ActivityLink.ends_at)
        .join(
            ActivityLink,
            (ActivityLink.citizen_id == Activity.citizen_id) & (ActivityLink.activity_id == Activity.id),
        )
        .where(ActivityLink.secret_digest == _digest(secret), ActivityLink.ends_at > call.now)
    ).one_or_none()
    if found is None:
        raise NotFound("no such link")
    activity, ends_at = found
    explained = explain_activity(call, activity)
    explained["tree"] = tree_of({**explained, "hold": None})
    return {name: value for name, value in explained.items() if name not in PRIVATE} | {
        "link_ends_at": ends_at.isoformat()
    }


def _digest(secret: str) -> bytes:
    return digest(canonical_bytes("activity-link/1", secret))
