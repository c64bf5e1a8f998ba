"""Every credit that stands, gone through once more in the order of its citizens, some at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, tuple_

from carbon.activities.replay import Replayer
from carbon.activities.tables import Activity
from carbon.donations.allocation import explain_share
from carbon.donations.tables import PoolShare
from kernel.call import Call
from kernel.identifiers import public_id

Place = tuple[UUID, UUID]


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """One credit: what it is, the digest that came out (None where nothing did), and what differs."""

    name: str
    place: Place
    digest: bytes | None
    transfers: tuple[int, ...]
    differs: tuple[str, ...]


def replay_activities(call: Call, *, after: Place | None, most: int) -> list[Replayed]:
    """Up to `most` activities behind a place, those that brought nothing too."""
    replayer, found = Replayer(call), _after(call, Activity, Activity.id, after, most)
    told = []
    for activity in found:
        again = replayer.replay(activity)
        told.append(
            Replayed(
                name=public_id("act", activity.id),
                place=(activity.citizen_id, activity.id),
                digest=again.digest,
                transfers=_posted(activity.coin_transfer_id, activity.carbon_transfer_id),
                differs=again.differs,
            )
        )
    return told


def replay_shares(call: Call, *, after: Place | None, most: int) -> list[Replayed]:
    """Up to `most` shares of pools behind a place."""
    told = []
    for share in _after(call, PoolShare, PoolShare.allocation_id, after, most):
        again = explain_share(call, share.citizen_id, coin_transfer_id=share.coin_transfer_id)
        told.append(
            Replayed(
                name=f"a share of {again['allocation_id']}",
                place=(share.citizen_id, share.allocation_id),
                digest=bytes.fromhex(again["digest"]),
                transfers=_posted(share.coin_transfer_id, share.carbon_transfer_id),
                differs=() if again["replays"] else ("share",),
            )
        )
    return told


def _after(call: Call, table: Any, second: Any, after: Place | None, most: int) -> Sequence[Any]:
    query: Select[Any] = select(table).order_by(table.citizen_id, second).limit(most)
    if after is not None:
        query = query.where(tuple_(table.citizen_id, second) > tuple_(*after))
    return call.db.scalars(query).all()


def _posted(*transfers: int | None) -> tuple[int, ...]:
    return tuple(each for each in transfers if each is not None)
