"""Who waits for what is sold out, in the order of joining; what comes back is held for the first.

While somebody waits, an item that comes back is sold to nobody else: an exchange that drew it looks for
waiting places afterwards and gives it up. A job draws it from the stock for the first in the queue, who
has it for a published time; an offer that is not used lapses and passes on. Locks go place, stock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, text

from kernel.call import Call
from kernel.clock import business_day
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from kernel.publications.errors import NoRuleInForce
from kernel.publications.rules import waiting_hold
from rewards.catalogue.eligibility import eligibility, require_eligible
from rewards.catalogue.errors import AlreadyQueued, NoQueue, PlaceOver, StillInStock
from rewards.catalogue.hours import open_for
from rewards.catalogue.reward_states import PlaceState, RewardState
from rewards.catalogue.tables import RewardPlace
from rewards.errors import RewardNotOnSale
from rewards.stock import PLENTY, chance_of, put_back
from rewards.tables import WHOLE, Reward

PLACE = "wtp"
HELD, LAPSED = "reward.held", "reward.hold_lapsed"
"""News: an item is held for the owner of a place; the time in which it was held is over."""


@dataclass(frozen=True)
class PlaceShown:
    """A place in a queue as its owner sees it; `ahead` counts who waits before them."""

    id: UUID
    reward_id: UUID
    title_zh: str
    title_en: str
    state: str
    ahead: int
    joined_at: datetime
    held_until: datetime | None


def join_queue(call: Call, reward_id: UUID) -> PlaceShown:
    """Wait for a reward that is sold out; once at a time.

    Refuses, in this order: `NotFound`, `RewardNotOnSale`, `RewardForOtherRegions`, `RewardForGroup`,
    `NoQueue`, `StillInStock`, `AlreadyQueued`.
    """
    asked = eligibility(call, reward_id)
    require(asked.state == RewardState.PUBLISHED and asked.sells_until > call.now, RewardNotOnSale())
    require_eligible(asked)
    require(asked.waits, NoQueue())
    left = call.db.execute(_LEFT, {"reward": reward_id}).scalar_one()
    require(not left, StillInStock())
    place = new_id()
    values = {"holder": call.actor.known_id, "place": place, "reward": reward_id}
    done = call.db.execute(_JOIN, {**values, "region": asked.region_id, "now": call.now})
    require(done.rowcount == 1, AlreadyQueued())  # type: ignore[attr-defined]  # cursor results have it
    return my_place(call, place)


def leave_queue(call: Call, place_id: UUID) -> PlaceShown:
    """Give a place up; what was held goes to the next. Refuses `NotFound`, `PlaceOver`."""
    shown = my_place(call, place_id)
    values = {"holder": call.actor.known_id, "place": place_id, "now": call.now}
    before = call.db.execute(_LEAVE, values).scalar_one_or_none()
    require(before, PlaceOver(state=shown.state))
    if before == PlaceState.OFFERED:
        put_back(call, [(shown.reward_id, WHOLE, place_id)])
    return my_place(call, place_id)


def my_place(call: Call, place_id: UUID) -> PlaceShown:
    """One place of the calling citizen; refuses `NotFound`."""
    holder = call.actor.known_id
    row = call.db.execute(
        _PLACES.where(RewardPlace.holder_id == holder, RewardPlace.id == place_id)
    ).one_or_none()
    if row is None:
        raise NotFound("no such place")
    return PlaceShown(*row)


def my_places(call: Call, page: PageRequest) -> Page[PlaceShown]:
    """The calling citizen's places, newest first."""
    holder = call.actor.known_id
    binding = f"places/{holder}"
    position = page.position(binding, UUID)
    query = _PLACES.where(RewardPlace.holder_id == holder).order_by(RewardPlace.id.desc())
    if position is not None:
        query = query.where(RewardPlace.id < position[0])
    found = [PlaceShown(*row) for row in call.db.execute(query.limit(page.limit + 1))]
    return page.page(found, binding, lambda each: [str(each.id)])


def offer_next(call: Call) -> int:
    """Hold one item that came back for who has waited for it longest; returns how many, 0 or 1.

    Call it again until it returns 0, each call is a transaction of its own: whoever holds two slots of a
    stock could wait in a ring. Two at once offer one item once: the place is held before the draw, and the
    draw is conditional.
    """
    found = call.db.execute(_RETURNED, {"now": call.now}).scalar_one_or_none()
    first = None if found is None else call.db.execute(_FIRST, {"reward": found}).one_or_none()
    if found is None or first is None or not _drawn(call, found, first.id):
        return 0
    reward = call.db.get_one(Reward, found)
    hold = _published_hold(call, reward)
    # The published time is time in which it can be exchanged: while it is closed none of it is used up.
    until = open_for(reward.exchange_hours, call.now, hold)
    values = {"holder": first.holder_id, "place": first.id, "until": until}
    call.db.execute(_OFFER, values).scalar_one()
    announce(
        call,
        HELD,
        region_id=reward.region_id,
        subject=public_id(PLACE, first.id),
        reward=public_id("rwd", found),
        held_until=until.isoformat(),
    )
    return 1


def _published_hold(call: Call, reward: Reward) -> timedelta:
    """How long an item is held: by today's rule, else by that of the day on which the queue was promised.

    A rule that was withdrawn must not leave a queue to itself, nor stop those of other regions.
    """
    try:
        return waiting_hold(call, reward.region_id, day=call.today)
    except NoRuleInForce:
        promised = call.db.execute(_PROMISED, {"reward": reward.id}).scalar_one()
        return waiting_hold(call, reward.region_id, day=business_day(promised))


def lapse_due(call: Call, *, most: int = 50) -> int:
    """End up to `most` offers whose time is over; returns how many. What was held is offered on."""
    lapsed = call.db.execute(_LAPSE, {"now": call.now, "most": most}).all()
    for row in lapsed:
        announce(
            call,
            LAPSED,
            region_id=row.region_id,
            subject=public_id(PLACE, row.id),
            reward=public_id("rwd", row.reward_id),
        )
    call.db.flush()  # the news stand before the stock is held, which the city draws from
    put_back(call, ((row.reward_id, WHOLE, row.id) for row in lapsed))
    return len(lapsed)


def _drawn(call: Call, reward_id: UUID, place_id: UUID) -> bool:
    values = {"reward": reward_id, "part": WHOLE, "chance": chance_of(place_id), "plenty": PLENTY}
    return bool(call.db.execute(_DRAW, values).scalar_one())


_AHEAD = text(
    "(SELECT count(*) FROM reward_place o WHERE o.reward_id = reward_place.reward_id"
    " AND o.state = 'waiting' AND o.id < reward_place.id AND reward_place.state = 'waiting')"
)
_PLACES = select(
    RewardPlace.id,
    RewardPlace.reward_id,
    Reward.title_zh,
    Reward.title_en,
    RewardPlace.state,
    _AHEAD,
    RewardPlace.joined_at,
    RewardPlace.held_until,
).join(Reward, Reward.id == RewardPlace.reward_id)
_LEFT = text(
    "SELECT EXISTS (SELECT FROM reward_stock WHERE reward_id = :reward AND part = 'whole' AND remaining > 0)"
    " AND NOT EXISTS (SELECT FROM reward_place WHERE reward_id = :reward AND state = 'waiting')"
)
_JOIN = text(
    "INSERT INTO reward_place (holder_id, id, region_id, reward_id, state, joined_at)"
    " VALUES (:holder, :place, :region, :reward, 'waiting', :now)"
    " ON CONFLICT (holder_id, reward_id) WHERE state IN ('waiting', 'offered') DO NOTHING"
)
_LEAVE = text(
    "UPDATE reward_place SET state = 'left', ended_at = :now WHERE holder_id = :holder AND id = :place"
    " AND state IN ('waiting', 'offered') RETURNING old.state"
)
_RETURNED = text(
    "SELECT r.id FROM reward r WHERE r.waits AND r.state = 'published' AND r.sells_from <= :now"
    " AND r.sells_until > :now"
    " AND EXISTS (SELECT FROM reward_place p WHERE p.reward_id = r.id AND p.state = 'waiting')"
    " AND EXISTS (SELECT FROM reward_stock s WHERE s.reward_id = r.id AND s.part = 'whole'"
    "  AND s.remaining > 0)"
    " ORDER BY r.id LIMIT 1"
)
_PROMISED = text(
    "SELECT recorded_at FROM reward_step WHERE reward_id = :reward AND to_state = 'published'"
    " ORDER BY id DESC LIMIT 1"
)
_FIRST = text(
    "SELECT holder_id, id FROM reward_place WHERE reward_id = :reward AND state = 'waiting'"
    " ORDER BY id LIMIT 1 FOR UPDATE"
)
_OFFER = text(
    "UPDATE reward_place SET state = 'offered', held_until = :until"
    " WHERE holder_id = :holder AND id = :place AND state = 'waiting' RETURNING 1"
)
_LAPSE = text(
    "UPDATE reward_place p SET state = 'lapsed', ended_at = :now FROM (SELECT holder_id, id FROM reward_place"
    " WHERE state = 'offered' AND held_until <= :now ORDER BY held_until LIMIT :most"
    " FOR UPDATE SKIP LOCKED) due"
    " WHERE p.holder_id = due.holder_id AND p.id = due.id AND p.state = 'offered'"
    " RETURNING p.id, p.reward_id, p.region_id"
)
_DRAW = text("SELECT reward_draw(:reward, :part, :chance, :plenty)")
