"""Groups of citizens for whom something is set aside: who is in one is known to the operator alone.

A row says that a citizen belongs to a group, not why; it goes when the membership ends. The public reads what
a group is and who vouches for it. A citizen reads of themselves only whether something is for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from kernel.tenancy import BELOW
from rewards.catalogue.errors import MemberUnknown
from rewards.catalogue.tables import RewardGroup, RewardGroupMember

GROUP = "grp"
MEMBERS_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class GroupTerms:
    """What a group is called, and who belongs to it."""

    name_zh: str
    name_en: str
    terms_zh: str
    terms_en: str


@dataclass(frozen=True)
class GroupShown:
    """A group and how many belong to it."""

    id: UUID
    name_zh: str
    name_en: str
    terms_zh: str
    terms_en: str
    members: int


def add_group(call: Call, terms: GroupTerms) -> UUID:
    """Enter a group of the caller's region; returns its id."""
    group = new_id()
    call.db.add(
        RewardGroup(
            id=group,
            region_id=call.region,
            name_zh=terms.name_zh,
            name_en=terms.name_en,
            terms_zh=terms.terms_zh,
            terms_en=terms.terms_en,
            recorded_at=call.now,
        )
    )
    audit(call, "group.added", subject=public_id(GROUP, group))
    return group


def groups(call: Call, page: PageRequest) -> Page[GroupShown]:
    """The groups of the caller's region, newest first."""
    binding = f"groups/{call.region}"
    position = page.position(binding, UUID)
    members = (
        select(func.count())
        .where(RewardGroupMember.group_id == RewardGroup.id)
        .correlate(RewardGroup)
        .scalar_subquery()
    )
    query = (
        select(RewardGroup, members)
        .where(RewardGroup.region_id == call.region)
        .order_by(RewardGroup.id.desc())
        .limit(page.limit + 1)
    )
    if position is not None:
        query = query.where(RewardGroup.id < position[0])
    found = [
        GroupShown(row.id, row.name_zh, row.name_en, row.terms_zh, row.terms_en, count)
        for row, count in call.db.execute(query)
    ]
    return page.page(found, binding, lambda each: [str(each.id)])


def admit(call: Call, group_id: UUID, citizens: Sequence[UUID]) -> int:
    """Take citizens of the group's region and of those below it in; returns how many are new.

    Refuses `NotFound`, `MemberUnknown`.
    """
    _require_ours(call, group_id)
    named = sorted(set(citizens))
    known = call.db.execute(_CITIZENS, {"citizens": named, "region": call.region}).scalar_one()
    require(known == len(named), MemberUnknown(pointer="/body/citizen_ids"))
    return _noted(call, "group.admitted", group_id, call.db.execute(_ADMIT, _values(call, group_id, named)))


def dismiss(call: Call, group_id: UUID, citizens: Sequence[UUID]) -> int:
    """End memberships; returns how many there were. Refuses `NotFound`."""
    _require_ours(call, group_id)
    done = call.db.execute(_DISMISS, _values(call, group_id, sorted(set(citizens))))
    return _noted(call, "group.dismissed", group_id, done)


def _noted(call: Call, action: str, group_id: UUID, done: Any) -> int:
    """Say in the audit trail how many, never who."""
    audit(call, action, subject=public_id(GROUP, group_id), members=done.rowcount)
    return int(done.rowcount)


def _values(call: Call, group_id: UUID, citizens: list[UUID]) -> dict[str, Any]:
    return {"group": group_id, "citizens": citizens, "region": call.region, "now": call.now}


def _require_ours(call: Call, group_id: UUID) -> None:
    group = call.db.get(RewardGroup, group_id)
    require(group is not None and group.region_id == call.region, NotFound("no such group"))


# By name: people stand above this folder and are not imported from here.
_CITIZENS = text(
    f"{BELOW} SELECT count(*) FROM citizen WHERE id = ANY (CAST(:citizens AS uuid[]))"  # noqa: S608 - our own text
    " AND region_id IN (SELECT id FROM below)"
)
_ADMIT = text(
    "INSERT INTO reward_group_member (holder_id, group_id, region_id, recorded_at)"
    " SELECT citizen, :group, :region, :now FROM unnest(CAST(:citizens AS uuid[])) citizen"
    " ON CONFLICT (holder_id, group_id) DO NOTHING"
)
_DISMISS = text(
    "DELETE FROM reward_group_member WHERE group_id = :group AND region_id = :region"
    " AND holder_id = ANY (CAST(:citizens AS uuid[]))"
)
