"""Who may have a reward, by region, group and hour; a refusal says which condition, never who meets it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from rewards.catalogue.errors import RewardClosedNow, RewardForGroup, RewardForOtherRegions
from rewards.catalogue.hours import open_at, opens_next
from rewards.catalogue.reward_states import RewardState

ASKED = (
    "r.region_id, r.state, r.sells_from, r.sells_until, r.waits, r.exchange_hours,"
    " CAST(:region AS text) = ANY (r.regions) AS open_here, g.name_zh AS group_zh, g.name_en AS group_en,"
    " r.group_id IS NULL OR EXISTS (SELECT FROM reward_group_member m"
    "  WHERE m.holder_id = CAST(:holder AS uuid) AND m.group_id = r.group_id) AS in_group"
)
"""What is asked of a reward `r` whose group, if any, is `g`, for `:holder` of `:region`."""
ASKED_FROM = "FROM reward r LEFT JOIN reward_group g ON g.id = r.group_id"


@dataclass(frozen=True, kw_only=True)
class Eligibility:
    """What a reward asks, and what the caller brings."""

    region_id: str
    state: str
    sells_from: datetime
    sells_until: datetime
    waits: bool
    exchange_hours: Sequence[dict[str, Any]]
    open_here: bool
    in_group: bool
    group_zh: str | None
    group_en: str | None


def eligibility(call: Call, reward_id: UUID) -> Eligibility:
    """What a reward asks of the caller; `NotFound` also where it is of another region and not open here."""
    values = {"reward": reward_id, "holder": call.actor.known_id, "region": call.region}
    row = call.db.execute(_ASKED, values).one_or_none()
    return judged(call, row)


def judged(call: Call, row: Row[Any] | None) -> Eligibility:
    """The same from a row that has what `ASKED` says; refuses `NotFound`, a draft too: nobody buys one."""
    known = row is not None and row.state != RewardState.DRAFT
    if row is None or not known or not (row.region_id == call.region or row.open_here):
        raise NotFound("no such reward")
    return Eligibility(**{name: getattr(row, name) for name in _NAMES})


def require_eligible(asked: Eligibility) -> None:
    """Refuses, in this order: `RewardForOtherRegions`, `RewardForGroup`."""
    against = not_eligible(asked)
    if against is not None:
        raise against


def not_eligible(asked: Eligibility) -> Refusal | None:
    """What speaks against the person, or None."""
    if not asked.open_here:
        return RewardForOtherRegions()
    if not asked.in_group:
        return RewardForGroup(group_zh=asked.group_zh, group_en=asked.group_en)
    return None


def require_open(call: Call, asked: Eligibility) -> None:
    """Refuse `RewardClosedNow` outside of the hours, and say when they begin."""
    opens = opens_next(asked.exchange_hours, call.now)
    require(open_at(asked.exchange_hours, call.now), RewardClosedNow(opens_at=opens and opens.isoformat()))


_NAMES = tuple(field.name for field in fields(Eligibility))
_ASKED = text(f"SELECT {ASKED} {ASKED_FROM} WHERE r.id = :reward")
