"""The queue for what is sold out: the first is offered what comes back, and nobody else buys it meanwhile."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.outgoing import News, take_news
from kernel.paging import PageRequest
from kernel.publications.errors import NoRuleInForce
from kernel.publications.rules import rule_in_force, waiting_hold
from kernel.publications.withdrawal import withdraw
from ledger.reconciliation import reconcile
from rewards.catalogue.errors import AlreadyQueued, NoQueue, OthersWait, PlaceOver, StillInStock
from rewards.catalogue.hours import Opening
from rewards.catalogue.lives import withdraw_reward
from rewards.catalogue.shelf import Asked
from rewards.catalogue.shelf import shelf as shelved
from rewards.catalogue.waiting import (
    HELD,
    LAPSED,
    PLACE,
    PlaceShown,
    join_queue,
    lapse_due,
    leave_queue,
    my_place,
    my_places,
    offer_next,
)
from rewards.errors import OutOfStock, RewardNotOnSale
from rewards.exchange import exchange
from rewards.reconciliation import CHECKS
from rewards.vouchers import Key, cancel, deactivate, expire_due
from tests.conftest import NOW, REGION, Database, at
from tests.ledger.world import Citizen
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen, shelf, sound

HOLD = timedelta(minutes=120)


@pytest.fixture
def ruled(call: Call) -> Call:
    publish_rules(call)
    return call


def sold_out(call: Call, **more: object) -> tuple[UUID, Citizen, Key]:
    """A reward of one item with a queue, and who has the item."""
    reward = shelf(call, **{"stock": 1, "waits": True, **more}).reward_id  # type: ignore[arg-type]  # whatever a shelf takes
    owner = rich_citizen(call)
    return reward, owner, exchange(as_citizen(call, owner), reward)


def join(call: Call, who: Citizen, reward: UUID) -> PlaceShown:
    return join_queue(as_citizen(call, who), reward)


def state(call: Call, who: Citizen, place: PlaceShown) -> str:
    return my_place(as_citizen(call, who), place.id).state


def test_what_comes_back_is_held_for_who_waited_longest(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    first, second, other = (rich_citizen(ruled) for _ in range(3))
    places = [join(ruled, who, reward) for who in (first, second)]
    assert [place.ahead for place in places] == [0, 1]
    assert offer_next(ruled) == 0
    cancel(as_citizen(ruled, owner), key.voucher_id)
    with pytest.raises(OthersWait), ruled.db.begin_nested():
        exchange(as_citizen(ruled, other), reward)
    with pytest.raises(OthersWait), ruled.db.begin_nested():  # not even the first, before it is offered
        exchange(as_citizen(ruled, first), reward)
    assert [offer_next(ruled), offer_next(ruled)] == [1, 0]
    sound(ruled)
    offered = my_place(as_citizen(ruled, first), places[0].id)
    assert (offered.state, offered.held_until) == ("offered", NOW + HOLD)
    for who in (second, other):
        with pytest.raises(OutOfStock), ruled.db.begin_nested():
            exchange(as_citizen(ruled, who), reward)
    exchange(as_citizen(ruled, first), reward)
    assert [state(ruled, who, place) for who, place in zip((first, second), places, strict=True)] == [
        "taken",
        "waiting",
    ]
    sound(ruled)


def test_a_rule_that_was_withdrawn_leaves_no_queue_to_itself(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    me = rich_citizen(ruled)
    place = join(ruled, me, reward)
    rule = rule_in_force(ruled, REGION, kind="waiting_list", subject="standard", day=ruled.today)
    operator = acting(ruled, ActorKind.OPERATOR)
    withdraw(operator, rule.id, from_day=ruled.today + timedelta(days=1), reason="no more")
    later = at(ruled, NOW + timedelta(days=2))
    with pytest.raises(NoRuleInForce):
        waiting_hold(later, REGION, day=later.today)
    cancel(as_citizen(later, owner), key.voucher_id)
    assert offer_next(later) == 1
    offered = my_place(as_citizen(later, me), place.id)
    assert offered.held_until == later.now + HOLD  # as on the day on which the queue was promised
    exchange(as_citizen(later, me), reward)
    sound(later)


@pytest.mark.parametrize("way", ["cancel", "deactivate", "expire"])
def test_an_item_comes_back_every_way_a_voucher_ends_unused(ruled: Call, way: str) -> None:
    reward, owner, key = sold_out(ruled, valid_days=1)
    me = rich_citizen(ruled)
    place = join(ruled, me, reward)
    late = at(ruled, NOW + timedelta(days=3))
    if way == "cancel":
        cancel(as_citizen(ruled, owner), key.voucher_id)
    elif way == "deactivate":
        deactivate(acting(ruled, ActorKind.OPERATOR), key, reason="test")
    else:
        assert expire_due(late) == 1
    assert offer_next(late) == 1
    assert state(ruled, me, place) == "offered"
    sound(late)


def test_an_offer_that_is_not_used_lapses_and_passes_on(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    first, second = rich_citizen(ruled), rich_citizen(ruled)
    places = [join(ruled, who, reward) for who in (first, second)]
    cancel(as_citizen(ruled, owner), key.voucher_id)
    assert offer_next(ruled) == 1
    in_time, over = at(ruled, NOW + HOLD - timedelta(seconds=1)), at(ruled, NOW + HOLD)
    assert lapse_due(in_time) == 0
    with pytest.raises(OutOfStock), ruled.db.begin_nested():  # refused at once, before the job has seen it
        exchange(as_citizen(over, first), reward)
    assert [lapse_due(over), lapse_due(over)] == [1, 0]
    assert state(ruled, first, places[0]) == "lapsed"
    assert offer_next(over) == 1
    exchange(as_citizen(over, second), reward)
    again = join(over, first, reward)
    assert (again.ahead, again.id == places[0].id) == (0, False)
    sound(over)


def test_who_leaves_with_an_offer_passes_it_on(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    first, second = rich_citizen(ruled), rich_citizen(ruled)
    places = [join(ruled, who, reward) for who in (first, second)]
    cancel(as_citizen(ruled, owner), key.voucher_id)
    assert offer_next(ruled) == 1
    left = leave_queue(as_citizen(ruled, first), places[0].id)
    assert left.state == "left"
    with pytest.raises(PlaceOver):
        leave_queue(as_citizen(ruled, first), places[0].id)
    assert offer_next(ruled) == 1
    assert state(ruled, second, places[1]) == "offered"
    sound(ruled)
    assert leave_queue(as_citizen(ruled, second), places[1].id).state == "left"
    exchange(as_citizen(ruled, first), reward)  # nobody waits any more
    sound(ruled)


def test_a_citizen_joins_once_and_only_a_queue_that_is(ruled: Call) -> None:
    reward, _, _ = sold_out(ruled)
    me = rich_citizen(ruled)
    join(ruled, me, reward)
    with pytest.raises(AlreadyQueued):
        join(ruled, me, reward)
    with pytest.raises(StillInStock):
        join(ruled, me, shelf(ruled, stock=1, waits=True).reward_id)
    with pytest.raises(NoQueue):
        join(ruled, me, shelf(ruled, stock=0).reward_id)
    with pytest.raises(NotFound):
        join(ruled, me, new_id())
    withdraw_reward(acting(ruled, ActorKind.OPERATOR), reward, reason="over")
    with pytest.raises(RewardNotOnSale):
        join(ruled, rich_citizen(ruled), reward)


def test_anothers_place_is_not_found_and_ones_own_are_paged(ruled: Call) -> None:
    me, other = rich_citizen(ruled), rich_citizen(ruled)
    places = [join(ruled, me, sold_out(ruled)[0]) for _ in range(3)]
    for ask in (my_place, leave_queue):
        with pytest.raises(NotFound):
            ask(as_citizen(ruled, other), places[0].id)
    first = my_places(as_citizen(ruled, me), PageRequest(limit=2))
    rest = my_places(as_citizen(ruled, me), PageRequest(limit=2, after=first.next))
    assert [each.id for each in (*first.items, *rest.items)] == [place.id for place in reversed(places)]


def test_who_is_told_at_night_has_their_time_from_the_next_opening(ruled: Call) -> None:
    morning = [Opening(weekday=6, from_minute=540, until_minute=1260)]
    reward = shelf(ruled, stock=0, waits=True, exchange_hours=morning).reward_id
    me = rich_citizen(ruled)
    place = join(ruled, me, reward)
    ruled.db.execute(text("SET LOCAL ROLE NONE"))
    ruled.db.execute(text("UPDATE reward_stock SET remaining = 1 WHERE slot = 0"))
    assert offer_next(ruled) == 1
    saturday_nine = NOW.replace(day=21, hour=1)
    assert my_place(as_citizen(ruled, me), place.id).held_until == saturday_nine + HOLD


def test_minutes_that_are_left_when_the_hours_end_are_carried_to_the_next_opening(ruled: Call) -> None:
    """Back at 20:59, closed from 21:00 to 9:00: one minute today, 119 tomorrow, and it is exchanged then."""
    daily = [Opening(weekday=day, from_minute=540, until_minute=1260) for day in range(1, 8)]
    reward, owner, key = sold_out(ruled, exchange_hours=daily)
    me, other = rich_citizen(ruled), rich_citizen(ruled)
    place = join(ruled, me, reward)
    join(ruled, other, reward)
    evening = at(ruled, NOW.replace(hour=12, minute=59))
    cancel(as_citizen(evening, owner), key.voucher_id)
    assert offer_next(evening) == 1
    until = NOW.replace(day=21, hour=2, minute=59)
    assert my_place(as_citizen(evening, me), place.id).held_until == until
    last = at(ruled, until - timedelta(seconds=1))
    assert lapse_due(last) == 0
    with pytest.raises(OutOfStock), ruled.db.begin_nested():
        exchange(as_citizen(last, other), reward)
    exchange(as_citizen(last, me), reward)
    sound(last)


def test_nothing_is_offered_of_what_is_no_longer_sold(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    join(ruled, rich_citizen(ruled), reward)
    cancel(as_citizen(ruled, owner), key.voucher_id)
    assert offer_next(at(ruled, NOW + timedelta(days=500))) == 0
    withdraw_reward(acting(ruled, ActorKind.OPERATOR), reward, reason="over")
    assert offer_next(ruled) == 0


def test_the_shelf_says_that_others_wait_and_that_something_is_held(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    first, other = rich_citizen(ruled), rich_citizen(ruled)
    join(ruled, first, reward)

    def told(who: Citizen) -> str | None:
        items = shelved(as_citizen(ruled, who), Asked(region_id=REGION), PageRequest()).items
        return next(item.cannot for item in items if item.id == reward)

    assert (told(first), told(other)) == ("out_of_stock", "out_of_stock")
    cancel(as_citizen(ruled, owner), key.voucher_id)
    assert (told(first), told(other)) == ("others_wait", "others_wait")
    assert offer_next(ruled) == 1
    assert (told(first), told(other)) == (None, "out_of_stock")


def test_holding_and_lapsing_are_news_that_name_no_person(database: Database) -> None:
    def held(call: Call) -> tuple[Citizen, PlaceShown, UUID]:
        publish_rules(call)
        reward, owner, key = sold_out(call)
        me = rich_citizen(call)
        place = join(call, me, reward)
        cancel(as_citizen(call, owner), key.voucher_id)
        assert offer_next(call) == 1
        return me, place, reward

    me, place, reward = database.run(held)
    database.run(lapse_due, now=NOW + HOLD)
    news: list[News] = []
    while len(news) < 2:  # the watermark is the whole cluster's: others' transactions hold it
        news += [each for each in database.run(take_news) if each.event in {HELD, LAPSED}]
    assert [(each.event, each.subject) for each in news] == [
        (HELD, public_id(PLACE, place.id)),
        (LAPSED, public_id(PLACE, place.id)),
    ]
    assert all(each.facts["reward"] == public_id("rwd", reward) for each in news)
    assert not any(str(me.id) in str(each) for each in news)


def test_an_offer_that_nobody_counts_is_named(ruled: Call) -> None:
    reward, owner, key = sold_out(ruled)
    join(ruled, rich_citizen(ruled), reward)
    cancel(as_citizen(ruled, owner), key.voucher_id)
    assert offer_next(ruled) == 1
    ruled.db.execute(text("SET LOCAL ROLE NONE"))
    ruled.db.execute(text("UPDATE reward_place SET state = 'left'"))
    assert [outcome.check.name for outcome in reconcile(ruled, CHECKS) if not outcome.holds] == ["stock"]
