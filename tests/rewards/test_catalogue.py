"""The catalogue: a reward's life, its prices, its counters, and for whom and when it is."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.identity.tables import Citizen as Person
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound, Refusal
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from kernel.publications.errors import NoRuleInForce
from kernel.tenancy import Region
from ledger.reconciliation import reconcile
from merchants.onboarding import add_merchant, add_store
from rewards.catalogue.errors import (
    MemberUnknown,
    OutOfStockAtStore,
    OutOfStockToday,
    PeriodLimitReached,
    PriceBackdated,
    PriceChanged,
    RewardAlreadyWithdrawn,
    RewardClosedNow,
    RewardForGroup,
    RewardForOtherRegions,
    RewardNeedsAnother,
    RewardNotDraft,
    RewardNotPublished,
    StoreWanted,
    UnitTaken,
    UnitUnknown,
)
from rewards.catalogue.groups import GroupTerms, add_group, admit, dismiss
from rewards.catalogue.hours import Opening, open_at, opens_next, plain
from rewards.catalogue.lives import publish_reward, steps_of, withdraw_reward
from rewards.catalogue.offering import Offer, Share, StoreShare, UnitName, add_funder, draft_reward
from rewards.catalogue.periods import periods_of
from rewards.catalogue.prices import change_price, price_history
from rewards.catalogue.reward_states import TRANSITIONS, RewardState
from rewards.catalogue.shelf import Asked, one_reward, operators_shelf, units_of
from rewards.catalogue.shelf import shelf as shelved
from rewards.errors import OutOfStock, RewardLimitReached, RewardNotOnSale
from rewards.exchange import Wanted, exchange
from rewards.reconciliation import CHECKS
from rewards.voucher_states import State
from rewards.vouchers import Key, cancel, deactivate, expire_due, owned, take
from tests.conftest import NOW, REGION, at
from tests.ledger.world import Citizen
from tests.rewards.world import acting, as_citizen, operator_of, publish_rules, rich_citizen, shelf, sound

LUNCHTIME = [Opening(weekday=5, from_minute=11 * 60, until_minute=13 * 60)]
"""Fridays from 11 to 13; the tests' day is a Friday at noon."""


@pytest.fixture
def ruled(call: Call) -> Call:
    publish_rules(call)
    return call


def offer(call: Call, **change: Any) -> Offer:
    funder = add_funder(call, name_zh="公共资金", name_en="Public fund")
    plain_offer = Offer(
        title_zh="面包一份",
        title_en="A loaf of bread",
        price_coin_milli=3000,
        cost_fen=500,
        funding=[Share(funder_id=funder, parts=1)],
        valid_days=30,
        limit_per_person=1000,
        stock=100,
        sells_from=NOW - timedelta(days=1),
        sells_until=NOW + timedelta(days=400),
    )
    return replace(plain_offer, **change)


def refused(call: Call, why: type[Refusal], who: Citizen, reward: UUID, **wanted: Any) -> Refusal:
    with pytest.raises(why) as told, call.db.begin_nested():
        exchange(as_citizen(call, who), reward, Wanted(**wanted))
    return told.value


def left(call: Call, reward: UUID) -> dict[str, int]:
    rows = call.db.execute(
        text("SELECT part, sum(remaining) FROM reward_stock WHERE reward_id = :reward GROUP BY 1"),
        {"reward": reward},
    )
    return {row[0]: int(row[1]) for row in rows}


def test_a_draft_is_sold_to_nobody_and_seen_by_operators_only(ruled: Call) -> None:
    editor, me = acting(ruled, ActorKind.OPERATOR), rich_citizen(ruled)
    reward = draft_reward(editor, offer(ruled))
    refused(ruled, NotFound, me, reward)
    assert shelved(ruled, Asked(region_id=REGION), PageRequest()).items == []
    with pytest.raises(NotFound):
        one_reward(ruled, reward)
    assert [item.id for item in operators_shelf(editor, "draft", PageRequest()).items] == [reward]
    publish_reward(acting(ruled, ActorKind.OPERATOR), reward, picture_seen=None, reason="checked")
    assert [item.id for item in shelved(ruled, Asked(region_id=REGION), PageRequest()).items] == [reward]
    assert exchange(as_citizen(ruled, me), reward)


def test_whoever_drafted_a_reward_does_not_publish_it(ruled: Call) -> None:
    editor = acting(ruled, ActorKind.OPERATOR)
    reward = draft_reward(editor, offer(ruled))
    with pytest.raises(RewardNeedsAnother):
        publish_reward(editor, reward, picture_seen=None, reason="mine")
    with pytest.raises(NotFound):
        publish_reward(acting(ruled, ActorKind.OPERATOR), new_id(), picture_seen=None, reason="whose?")
    publish_reward(acting(ruled, ActorKind.OPERATOR), reward, picture_seen=None, reason="checked")
    with pytest.raises(RewardNotDraft):
        publish_reward(acting(ruled, ActorKind.OPERATOR), reward, picture_seen=None, reason="again")


def test_a_withdrawn_reward_is_sold_no_more_and_leaves_vouchers_as_they_are(ruled: Call) -> None:
    me, operator = rich_citizen(ruled), acting(ruled, ActorKind.OPERATOR)
    reward = shelf(ruled).reward_id
    key = exchange(as_citizen(ruled, me), reward)
    before = take(ruled, key)
    withdraw_reward(operator, reward, reason="the shop has closed")
    with pytest.raises(RewardAlreadyWithdrawn):
        withdraw_reward(operator, reward, reason="again")
    with pytest.raises(RewardNotPublished):
        change_price(operator, reward, price_coin_milli=1, applies_from=None, reason="late")
    refused(ruled, RewardNotOnSale, me, reward)
    assert take(ruled, key) == before
    assert [step["state"] for step in steps_of(ruled, reward)] == ["draft", "published", "withdrawn"]
    assert one_reward(ruled, reward).state == "withdrawn"
    cancel(as_citizen(ruled, me), key.voucher_id)
    sound(ruled)


def test_a_draft_that_was_dropped_was_never_on_a_shelf(ruled: Call) -> None:
    reward = draft_reward(acting(ruled, ActorKind.OPERATOR), offer(ruled))
    withdraw_reward(acting(ruled, ActorKind.OPERATOR), reward, reason="a mistake")
    with pytest.raises(NotFound):
        one_reward(ruled, reward)


def test_the_life_of_a_reward_has_no_way_back() -> None:
    assert set(TRANSITIONS) == set(RewardState)
    assert {state for state, onward in TRANSITIONS.items() if not onward} == {RewardState.WITHDRAWN}
    assert RewardState.DRAFT not in {after for onward in TRANSITIONS.values() for after in onward}


@pytest.mark.parametrize("table", ["reward_step", "reward_price", "reward_picture", "reward_group"])
def test_the_application_may_not_change_a_rewards_history(ruled: Call, table: str) -> None:
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET region_id = 'CN'"):  # noqa: S608 - a fixed list
        with pytest.raises(DBAPIError, match="permission denied"), ruled.db.begin_nested():
            ruled.db.execute(text(statement))


def test_a_new_price_is_paid_from_its_instant_on_and_a_voucher_keeps_the_old_one(ruled: Call) -> None:
    me, operator = rich_citizen(ruled), acting(ruled, ActorKind.OPERATOR)
    reward = shelf(ruled, price=3000).reward_id
    old = exchange(as_citizen(ruled, me), reward)
    later = NOW + timedelta(days=2)
    change_price(operator, reward, price_coin_milli=5000, applies_from=later, reason="dearer")
    assert exchange(as_citizen(ruled, me), reward, Wanted(price_coin_milli=3000))
    told = refused(ruled, PriceChanged, me, reward, price_coin_milli=5000)
    assert told.facts == {"price_coin_milli": 3000}
    after = at(ruled, later)
    told = refused(after, PriceChanged, me, reward, price_coin_milli=3000)
    assert told.facts == {"price_coin_milli": 5000}
    refused(after, Refusal, me, reward, price_coin_milli=5000)  # 4,000 are left
    assert one_reward(after, reward).price_coin_milli == 5000
    assert owned(as_citizen(after, me), old.voucher_id).price_coin_milli == 3000
    assert cancel(as_citizen(after, me), old.voucher_id).amount == 3000
    exchange(as_citizen(after, me), reward)
    history = [(each.no, each.price_coin_milli, each.applies_from) for each in price_history(ruled, reward)]
    assert history == [(2, 5000, later), (1, 3000, NOW)]
    sound(after)


def test_an_announced_price_is_taken_back_by_another_and_none_is_backdated(ruled: Call) -> None:
    operator, reward = acting(ruled, ActorKind.OPERATOR), shelf(ruled, price=3000).reward_id
    dearer, cheaper = NOW + timedelta(days=10), NOW + timedelta(days=5)
    change_price(operator, reward, price_coin_milli=9000, applies_from=dearer, reason="dearer")
    change_price(operator, reward, price_coin_milli=2000, applies_from=cheaper, reason="rather cheaper")
    early = NOW - timedelta(seconds=1)
    with pytest.raises(PriceBackdated):
        change_price(operator, reward, price_coin_milli=1, applies_from=early, reason="yesterday")
    days = (NOW, cheaper, dearer, dearer + timedelta(days=100))
    assert [one_reward(at(ruled, day), reward).price_coin_milli for day in days] == [3000, 2000, 2000, 2000]


@pytest.mark.parametrize(
    ("period", "day", "first"),
    [
        ("day", date(2026, 11, 22), "day/2026-11-22"),
        ("week", date(2026, 11, 22), "week/2026-11-16"),
        ("week", date(2026, 11, 23), "week/2026-11-23"),
        ("month", date(2026, 11, 30), "month/2026-11-01"),
    ],
)
def test_periods_are_those_of_the_calendar(period: str, day: date, first: str) -> None:
    assert periods_of(period, day) == [first, "whole"]
    assert periods_of(None, day) == ["whole"]


def test_one_person_gets_as_many_in_a_week_as_the_limit_says_and_again_in_the_next(ruled: Call) -> None:
    me = rich_citizen(ruled, 100_000)
    reward = shelf(ruled, limit=3, limit_period="week", limit_in_period=2).reward_id
    first = exchange(as_citizen(ruled, me), reward)
    exchange(as_citizen(ruled, me), reward)
    told = refused(ruled, PeriodLimitReached, me, reward)
    assert told.facts == {"limit": 2, "period": "week"}
    cancel(as_citizen(ruled, me), first.voucher_id)
    exchange(as_citizen(ruled, me), reward)
    refused(at(ruled, NOW + timedelta(days=2)), PeriodLimitReached, me, reward)
    monday = at(ruled, NOW + timedelta(days=3))
    exchange(as_citizen(monday, me), reward)
    refused(monday, RewardLimitReached, me, reward)
    sound(monday)


def test_a_voucher_of_last_week_frees_last_weeks_place(ruled: Call) -> None:
    me = rich_citizen(ruled, 100_000)
    reward = shelf(ruled, limit_period="week", limit_in_period=1).reward_id
    old = exchange(as_citizen(ruled, me), reward)
    monday = at(ruled, NOW + timedelta(days=3))
    exchange(as_citizen(monday, me), reward)
    cancel(as_citizen(monday, me), old.voucher_id)
    refused(monday, PeriodLimitReached, me, reward)
    sound(monday)


def test_a_days_share_goes_that_day_and_what_comes_back_goes_to_its_own_day(ruled: Call) -> None:
    me = rich_citizen(ruled, 100_000)
    reward = shelf(ruled, stock=5, stock_per_day=2).reward_id
    today = [exchange(as_citizen(ruled, me), reward) for _ in range(2)]
    refused(ruled, OutOfStockToday, me, reward)
    assert left(ruled, reward) == {"day/2026-11-20": 0, "whole": 3}
    cancel(as_citizen(ruled, me), today[0].voucher_id)
    exchange(as_citizen(ruled, me), reward)
    tomorrow = at(ruled, NOW + timedelta(days=1))
    assert one_reward(tomorrow, reward).remaining_today == 2
    exchange(as_citizen(tomorrow, me), reward)
    cancel(as_citizen(tomorrow, me), today[1].voucher_id)
    assert left(ruled, reward) == {"day/2026-11-20": 1, "day/2026-11-21": 1, "whole": 3}
    exchange(as_citizen(tomorrow, me), reward)
    refused(tomorrow, OutOfStockToday, me, reward)
    after = at(ruled, NOW + timedelta(days=2))
    for _ in range(2):
        exchange(as_citizen(after, me), reward)
    refused(at(ruled, NOW + timedelta(days=3)), OutOfStock, me, reward)
    sound(after)


def test_each_store_has_its_share_and_honours_what_was_taken_from_it(ruled: Call) -> None:
    merchant = add_merchant(ruled, name_zh="面包坊", name_en="Bakery")
    near, far = (add_store(ruled, merchant, name_zh=name, name_en=name).scope_no for name in ("A", "B"))
    shares = [StoreShare(scope_no=near, stock=1), StoreShare(scope_no=far, stock=5)]
    me = rich_citizen(ruled, 100_000)
    reward = shelf(ruled, stock=3, merchant_id=merchant, stores=shares).reward_id
    for scope in (None, 999):
        told = refused(ruled, StoreWanted, me, reward, scope_no=scope)
        assert told.facts == {"scopes": [near, far]}
    first = exchange(as_citizen(ruled, me), reward, Wanted(scope_no=near))
    assert take(ruled, first).scope_no == near
    refused(ruled, OutOfStockAtStore, me, reward, scope_no=near)
    for _ in range(2):
        exchange(as_citizen(ruled, me), reward, Wanted(scope_no=far))
    refused(ruled, OutOfStock, me, reward, scope_no=far)
    deactivate(acting(ruled, ActorKind.OPERATOR), first, reason="the oven is broken")
    assert left(ruled, reward) == {"whole": 1, f"store/{near}": 1, f"store/{far}": 3}
    stores = one_reward(ruled, reward).stores
    assert [(store["name_en"], store["remaining"]) for store in stores] == [("A", 1), ("B", 3)]
    sound(ruled)


def test_a_store_is_named_only_where_stores_have_shares(ruled: Call) -> None:
    refused(ruled, StoreWanted, rich_citizen(ruled), shelf(ruled).reward_id, scope_no=1)


def test_a_reward_names_stores_groups_and_regions_of_its_own(ruled: Call) -> None:
    merchant = add_merchant(ruled, name_zh="面包坊", name_en="Bakery")
    for change in (
        {"merchant_id": merchant, "stores": [StoreShare(scope_no=999, stock=1)]},
        {"group_id": new_id()},
        {"regions": ["CN"]},
        {"regions": [REGION, "CN-GD"]},
    ):
        with pytest.raises(NotFound):
            draft_reward(acting(ruled, ActorKind.OPERATOR), offer(ruled, **change))


def test_it_is_exchanged_at_its_hours_and_a_refusal_says_when_they_begin(ruled: Call) -> None:
    me = rich_citizen(ruled, 100_000)
    reward = shelf(ruled, exchange_hours=LUNCHTIME).reward_id
    exchange(as_citizen(ruled, me), reward)
    over = at(ruled, NOW + timedelta(hours=1))
    told = refused(over, RewardClosedNow, me, reward)
    assert told.facts == {"opens_at": "2026-11-27T03:00:00+00:00"}
    exchange(as_citizen(at(ruled, NOW + timedelta(minutes=59)), me), reward)


def test_hours_are_shanghais_and_none_are_always() -> None:
    hours = plain([Opening(weekday=6, from_minute=0, until_minute=1440), *LUNCHTIME])
    assert [each["weekday"] for each in hours] == [5, 6]
    midnight = NOW.replace(hour=16)
    assert not open_at(hours, midnight - timedelta(seconds=1))
    assert open_at(hours, midnight)
    assert not open_at(hours, midnight + timedelta(days=1))
    assert opens_next(hours, NOW) == midnight
    assert open_at([], midnight)
    assert opens_next([], NOW) is None


def _member(call: Call, region: str = REGION) -> Citizen:
    """A citizen whom the product knows as a person."""
    who = rich_citizen(call, 100_000)
    call.db.add(Person(id=who.id, region_id=region, nickname=None, created_at=NOW, erased_at=None))
    call.db.flush()
    return who


STUDENTS = GroupTerms(name_zh="学生", name_en="Students", terms_zh="在读证明", terms_en="A school says so")


def test_what_is_for_a_group_is_for_its_members_and_says_no_more(ruled: Call) -> None:
    operator = acting(ruled, ActorKind.OPERATOR)
    member, other = _member(ruled), _member(ruled)
    group = add_group(operator, STUDENTS)
    reward = shelf(ruled, group_id=group).reward_id
    told = refused(ruled, RewardForGroup, member, reward)
    assert told.facts == {"group_zh": "学生", "group_en": "Students"}
    assert [admit(operator, group, [member.id, member.id]), admit(operator, group, [member.id])] == [1, 0]
    exchange(as_citizen(ruled, member), reward)
    refused(ruled, RewardForGroup, other, reward)
    assert [dismiss(operator, group, [member.id, other.id]), dismiss(operator, group, [member.id])] == [1, 0]
    refused(ruled, RewardForGroup, member, reward)
    assert ruled.db.execute(text("SELECT count(*) FROM reward_group_member")).scalar_one() == 0
    facts = ruled.db.execute(text("SELECT facts::text FROM audit_entry WHERE action LIKE 'group.%'"))
    assert not any(str(member.id) in fact for fact in facts.scalars())
    sound(ruled)


def test_a_provinces_group_takes_in_citizens_of_the_regions_below_and_they_exchange(ruled: Call) -> None:
    for region, parent in (("CN-GD-SZ-NS", REGION), ("CN-GD-GZ", "CN-GD"), ("CN-HI", "CN")):
        ruled.db.add(Region(id=region, parent_id=parent, name_zh=region, name_en=region, holder_id=new_id()))
        ruled.db.flush()
    publish_rules(ruled, "CN-GD")
    province = operator_of(ruled, "CN-GD")
    group = add_group(province, STUDENTS)
    fund = add_funder(province, name_zh="省级资金", name_en="The province's fund")
    lunch = offer(ruled, regions=[REGION], group_id=group, funding=[Share(funder_id=fund, parts=1)])
    reward = draft_reward(province, lunch)
    publish_reward(operator_of(ruled, "CN-GD"), reward, picture_seen=None, reason="checked")
    ruled.db.flush()
    city, district, province_itself = (_member(ruled, region) for region in (REGION, "CN-GD-SZ-NS", "CN-GD"))
    refused(ruled, RewardForGroup, city, reward)
    assert admit(province, group, [city.id, district.id, province_itself.id]) == 3
    assert take(ruled, exchange(as_citizen(ruled, city), reward)).region_id == "CN-GD"
    for region in ("CN-HI", "CN"):  # beside the province, and above it
        with pytest.raises(MemberUnknown):
            admit(province, group, [_member(ruled, region).id])
    beside = add_group(acting(ruled, ActorKind.OPERATOR), STUDENTS)
    with pytest.raises(MemberUnknown):
        admit(acting(ruled, ActorKind.OPERATOR), beside, [_member(ruled, "CN-GD-GZ").id])
    assert dismiss(province, group, [city.id]) == 1
    refused(ruled, RewardForGroup, city, reward)
    sound(ruled)


def test_only_citizens_of_its_region_are_taken_into_a_group(ruled: Call) -> None:
    operator = acting(ruled, ActorKind.OPERATOR)
    group = add_group(operator, STUDENTS)
    with pytest.raises(MemberUnknown):
        admit(operator, group, [_member(ruled).id, new_id()])
    with pytest.raises(NotFound):
        admit(operator, new_id(), [_member(ruled).id])
    with pytest.raises(NotFound):
        dismiss(operator, new_id(), [_member(ruled).id])


def test_a_provinces_reward_is_open_to_the_cities_it_names(ruled: Call) -> None:
    district = "CN-GD-SZ-NS"
    ruled.db.add(Region(id=district, parent_id=REGION, name_zh="南山", name_en="Nanshan", holder_id=new_id()))
    ruled.db.flush()
    reward = shelf(ruled, regions=[district]).reward_id
    me = rich_citizen(ruled)
    refused(ruled, RewardForOtherRegions, me, reward)
    mine = as_citizen(ruled, me)
    there = replace(mine, actor=replace(mine.actor, region_id=district))
    key = exchange(there, reward)
    assert take(ruled, key).region_id == REGION
    elsewhere = replace(mine, actor=replace(mine.actor, region_id="CN"))
    with pytest.raises(NotFound):
        exchange(elsewhere, reward)
    assert [item.id for item in shelved(ruled, Asked(region_id=district), PageRequest()).items] == [reward]
    assert shelved(ruled, Asked(region_id=REGION), PageRequest()).items == []
    sound(ruled)


SEATS = [UnitName(name_zh=f"3排{seat}座", name_en=f"Row 3, seat {seat}") for seat in (7, 8)]


def seats(call: Call, **more: Any) -> UUID:
    return shelf(call, kind="unique_item", stock=len(SEATS), units=SEATS, **more).reward_id


def test_each_unit_is_sold_once_and_its_voucher_names_it(ruled: Call) -> None:
    me, reward = rich_citizen(ruled, 100_000), seats(ruled)
    refused(ruled, UnitUnknown, me, reward, unit_no=3)
    second = exchange(as_citizen(ruled, me), reward, Wanted(unit_no=2))
    refused(ruled, UnitTaken, me, reward, unit_no=2)
    first = exchange(as_citizen(ruled, me), reward)
    shown = [owned(as_citizen(ruled, me), key.voucher_id) for key in (first, second)]
    assert [(each.unit_no, each.unit_en) for each in shown] == [(1, "Row 3, seat 7"), (2, "Row 3, seat 8")]
    refused(ruled, OutOfStock, me, reward)
    cancel(as_citizen(ruled, me), second.voucher_id)
    assert [unit["free"] for unit in units_of(ruled, reward)] == [False, True]
    assert owned(as_citizen(ruled, me), second.voucher_id).unit_no == 2
    again = exchange(as_citizen(ruled, me), reward)
    assert owned(as_citizen(ruled, me), again.voucher_id).unit_no == 2
    sound(ruled)


def test_a_unit_whose_voucher_expired_is_free_again(ruled: Call) -> None:
    me, reward = rich_citizen(ruled, 100_000), seats(ruled, valid_days=1)
    exchange(as_citizen(ruled, me), reward, Wanted(unit_no=2))
    late = at(ruled, NOW + timedelta(days=3))
    assert expire_due(late) == 1
    assert [unit["free"] for unit in units_of(ruled, reward)] == [True, True]
    sound(late)


def test_what_has_no_units_is_sold_without_one(ruled: Call) -> None:
    refused(ruled, UnitUnknown, rich_citizen(ruled), shelf(ruled).reward_id, unit_no=1)


def test_a_queue_is_promised_only_where_a_rule_says_for_how_long_things_are_held(call: Call) -> None:
    reward = draft_reward(acting(call, ActorKind.OPERATOR), offer(call, waits=True))
    with pytest.raises(NoRuleInForce):
        publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=None, reason="checked")


def test_the_shelf_says_a_citizen_what_keeps_them_from_each(ruled: Call) -> None:
    operator, me = acting(ruled, ActorKind.OPERATOR), _member(ruled)
    poor = rich_citizen(ruled, 10)
    shops = {
        None: shelf(ruled).reward_id,
        "balance_insufficient": shelf(ruled, price=900_000).reward_id,
        "out_of_stock": shelf(ruled, stock=0).reward_id,
        "reward_for_group": shelf(ruled, group_id=add_group(operator, STUDENTS)).reward_id,
        "reward_closed_now": shelf(
            ruled, exchange_hours=[Opening(weekday=1, from_minute=0, until_minute=1)]
        ).reward_id,
        "reward_limit_reached": shelf(ruled, limit=1).reward_id,
        "period_limit_reached": shelf(ruled, limit_period="day", limit_in_period=1).reward_id,
        "out_of_stock_today": shelf(ruled, stock_per_day=1).reward_id,
    }
    for code in ("reward_limit_reached", "period_limit_reached"):
        exchange(as_citizen(ruled, me), shops[code])
    exchange(as_citizen(ruled, rich_citizen(ruled)), shops["out_of_stock_today"])
    mine = shelved(as_citizen(ruled, me), Asked(region_id=REGION), PageRequest()).items
    assert {item.cannot: item.id for item in mine} == shops
    for said, reward in shops.items():  # an exchange says the same
        if said is not None:
            assert refused(ruled, Refusal, me, reward).code == said
    assert {item.cannot for item in shelved(ruled, Asked(region_id=REGION), PageRequest()).items} == {None}
    able = shelved(as_citizen(ruled, me), Asked(region_id=REGION, show="obtainable"), PageRequest())
    assert [item.id for item in able.items] == [shops[None]]
    others = shelved(as_citizen(ruled, poor), Asked(region_id=REGION, show="obtainable"), PageRequest())
    assert others.items == []
    stocked = shelved(ruled, Asked(region_id=REGION, show="in_stock"), PageRequest())
    assert len(stocked.items) == len(shops) - 2


def test_the_shelf_is_filtered_by_kind_and_a_cursor_keeps_to_its_filter(ruled: Call) -> None:
    bread, seat = shelf(ruled).reward_id, seats(ruled)
    shelf(ruled)
    asked = Asked(region_id=REGION, kind="goods")
    first = shelved(ruled, asked, PageRequest(limit=1))
    rest = shelved(ruled, asked, PageRequest(limit=1, after=first.next))
    assert [item.id for item in rest.items] == [bread]
    kind = Asked(region_id=REGION, kind="unique_item")
    assert [item.id for item in shelved(ruled, kind, PageRequest()).items] == [seat]
    with pytest.raises(Refusal, match="cursor"):
        shelved(ruled, kind, PageRequest(limit=1, after=first.next))


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE reward_stock SET remaining = remaining + 1 WHERE part LIKE 'day/%' AND slot = 3",
        "UPDATE reward_use SET used = used + 1 WHERE period <> 'whole'",
        "UPDATE voucher SET stock_parts = '{whole}'",
        "UPDATE voucher SET use_periods = '{whole}'",
        "UPDATE voucher SET stock_parts = '{day/2026-11-01,whole}'",
        "UPDATE reward_unit SET voucher_id = NULL",
        "UPDATE voucher SET unit_no = NULL",
        "DELETE FROM reward_stock WHERE part = 'whole'",
    ],
)
def test_a_counter_that_is_broken_by_hand_is_named(ruled: Call, harm: str) -> None:
    me = rich_citizen(ruled)
    reward = seats(ruled, stock_per_day=2, limit_period="month", limit_in_period=3)
    key: Key = exchange(as_citizen(ruled, me), reward)
    assert take(ruled, key).state is State.ISSUED
    sound(ruled)
    ruled.db.execute(text("SET LOCAL ROLE NONE"))
    ruled.db.execute(text(harm))
    assert [outcome.check.name for outcome in reconcile(ruled, CHECKS) if not outcome.holds] == ["stock"]
