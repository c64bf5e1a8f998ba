"""The one way a reward's state changes: its row held, the change conditional, a step written.

Publishing is done by another person than drafting or picturing, as it spends a fund's money, and names the
picture that this person looked at, which may be replaced until then. Withdrawing ends the sale: an exchange
looks at the state once more when it writes. Vouchers bought before keep what they were promised.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, update

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.publications.rules import waiting_hold
from rewards.catalogue.errors import (
    RewardAlreadyWithdrawn,
    RewardNeedsAnother,
    RewardNotDraft,
    RewardPictureOther,
)
from rewards.catalogue.reward_states import TRANSITIONS, RewardState
from rewards.catalogue.tables import RewardStep
from rewards.tables import Reward

_PREFIX = "rwd"


def held(call: Call, reward_id: UUID) -> Reward:
    """A reward of the caller's region, its row held against others who change it; refuses `NotFound`.

    Buyers do not wait for it: they share the key only.
    """
    found = call.db.scalars(
        select(Reward)
        .where(Reward.id == reward_id, Reward.region_id == call.region)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise NotFound("no such reward")
    return found


def publish_reward(call: Call, reward_id: UUID, *, picture_seen: bytes | None, reason: str) -> None:
    """Put a draft on the shelf, from `sells_from` on, with the picture whose digest is `picture_seen`.

    Refuses, in this order: `NotFound`, `RewardNotDraft`, `RewardNeedsAnother`, `RewardPictureOther`,
    `NoRuleInForce` (a queue is promised and no rule says for how long something is held).
    """
    reward = held(call, reward_id)
    require(reward.state == RewardState.DRAFT, RewardNotDraft(state=reward.state))
    require(reward.drafted_by != call.actor.principal, RewardNeedsAnother())
    has = reward.picture_digest
    require(has is None or not _pictured_it(call, reward_id, has), RewardNeedsAnother())
    require(has == picture_seen, RewardPictureOther(picture_sha256=has and has.hex()))
    if reward.waits:
        waiting_hold(call, reward.region_id, day=call.today)
    _move(call, reward, RewardState.PUBLISHED, reason=reason)
    audit(call, "reward.published", subject=public_id(_PREFIX, reward_id), reason=reason)


def withdraw_reward(call: Call, reward_id: UUID, *, reason: str) -> None:
    """End a reward's sale, or drop a draft; refuses `NotFound`, `RewardAlreadyWithdrawn`."""
    reward = held(call, reward_id)
    require(reward.state != RewardState.WITHDRAWN, RewardAlreadyWithdrawn())
    _move(call, reward, RewardState.WITHDRAWN, reason=reason)
    audit(call, "reward.withdrawn", subject=public_id(_PREFIX, reward_id), reason=reason)


def note_picture(call: Call, reward_id: UUID, digest: bytes) -> None:
    """Write who gave a draft which picture."""
    draft = RewardState.DRAFT
    note_step(call, reward_id, to=draft, reason=_pictured(digest), came_from=draft)


def _pictured_it(call: Call, reward_id: UUID, digest: bytes) -> bool:
    """Whether the caller ever gave the draft the picture that it has, last or before somebody else."""
    mine = exists().where(
        RewardStep.reward_id == reward_id,
        RewardStep.principal == call.actor.principal,
        RewardStep.from_state == RewardState.DRAFT.value,
        RewardStep.reason == _pictured(digest),
    )
    return bool(call.db.scalar(select(mine)))


def _pictured(digest: bytes) -> str:
    return f"picture {digest.hex()}"


def _move(call: Call, reward: Reward, to: RewardState, *, reason: str) -> None:
    before = RewardState(reward.state)
    if to not in TRANSITIONS[before]:
        raise BrokenInvariant(f"a reward never goes from {before} to {to}")
    done = call.db.execute(
        update(Reward)
        .where(Reward.id == reward.id, Reward.state == before.value)
        .values(state=to.value)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a held reward changed under us")
    call.db.expire(reward)
    note_step(call, reward.id, to=to, reason=reason, came_from=before)


def note_step(
    call: Call, reward_id: UUID, *, to: RewardState, reason: str, came_from: RewardState | None = None
) -> None:
    """Write one line of a reward's life."""
    call.db.add(
        RewardStep(
            reward_id=reward_id,
            id=new_id(),
            region_id=call.region,
            from_state=came_from,
            to_state=to.value,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )


def steps_of(call: Call, reward_id: UUID) -> list[dict[str, Any]]:
    """A reward's life, oldest first; at most three steps, without the pictures that a draft was given."""
    rows = call.db.scalars(
        select(RewardStep)
        .where(RewardStep.reward_id == reward_id, RewardStep.from_state.is_distinct_from(RewardStep.to_state))
        .order_by(RewardStep.id)
    )
    return [
        {"state": row.to_state, "reason": row.reason, "recorded_at": row.recorded_at, "by": row.principal}
        for row in rows
    ]
