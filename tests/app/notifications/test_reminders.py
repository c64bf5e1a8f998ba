"""Who is reminded of what, when, and how often; and what becomes of it when the jobs sleep for weeks."""

from datetime import date, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import text

from app.factory import Product
from app.notifications.reminders import Round, go_on, open_rounds
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import FixedClock, business_day, day_bounds
from kernel.errors import Busy
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from kernel.publications.publishing import Draft
from ledger.endings import endings
from ledger.holds import release
from merchants.redemption import redeem
from merchants.redemption_reversal import reverse
from rewards.endings import VoucherEnding, voucher_endings
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.vouchers import Key, cancel, deactivate, lock, take
from tests.app.notifications.world import (
    JOBS,
    ahead,
    earned,
    hand_on_all,
    live_through,
    noon,
    remind_ahead,
    run,
    told,
)
from tests.conftest import NOW, REGION, Database, patient
from tests.ledger.world import Citizen, citizen
from tests.merchants.world import Market, bought, customer, market, sound
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen, shelf

TODAY = business_day(NOW)


def days_after(number: int) -> date:
    return TODAY + timedelta(days=number)


@pytest.fixture
def reminded(database: Database) -> Database:
    database.run(lambda call: remind_ahead(call, 30, 7, 1))
    return database


@pytest.fixture
def place(reminded: Database) -> Market:
    return reminded.run(partial(market, valid_days=40))


def test_coins_are_reminded_of_thirty_seven_and_one_day_ahead_and_then_told_to_have_ended(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    ends = days_after(33)
    me = reminded.run(partial(rich_citizen, coins=7500, ends=ends))
    live_through(product, clock, *map(days_after, (2, 3, 4, 25, 26, 27, 31, 32, 33, 34)))
    assert [(each.kind, business_day(each.created_at)) for each in told(reminded, me)] == [
        ("coins_expiring", ends - timedelta(days=30)),
        ("coins_expiring", ends - timedelta(days=7)),
        ("coins_expiring", ends - timedelta(days=1)),
        ("coins_expired", ends),
    ]
    assert ahead(reminded, me) == [30, 7, 1]
    first, last = told(reminded, me)[0], told(reminded, me)[-1]
    assert first.subject == "standard"
    assert first.facts["coin_milli"] == last.facts["coin_milli"] == 7500
    assert first.says["en"] == (
        "7.50 coins are valid to the end of 2026-12-22 and end then unless they are spent."
    )
    assert last.says["zh"] == "7.50 碳币有效期已满(2026-12-22),现已失效。"
    reminded.run(sound, now=clock.now())


def test_coins_that_cannot_be_posted_keep_nobody_else_from_being_reminded(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    patient(product.engine, seconds=3)
    stuck, other = (reminded.run(partial(rich_citizen, coins=100, ends=days_after(n))) for n in (1, 8))
    clock.at = noon(days_after(1))
    with reminded.sessions() as holding:
        holding.execute(
            text("SELECT FROM ledger_balance WHERE holder_id = :who FOR UPDATE"), {"who": stuck.id}
        )
        with pytest.raises(Busy):
            run(product, "remind")
        holding.rollback()
    assert (ahead(reminded, other), told(reminded, stuck, kind="coins_expired")) == ([7], [])
    run(product, "remind")
    assert (ahead(reminded, other), len(told(reminded, stuck, kind="coins_expired"))) == ([7], 1)


@pytest.mark.parametrize(
    ("slept_until", "expected"),
    [(32, [1]), (29, [7, 1]), (26, [7, 1]), (25, [30, 7, 1])],
)
def test_after_downtime_the_nearest_due_reminder_is_sent_and_none_that_it_overtook(
    reminded: Database, product: Product, clock: FixedClock, slept_until: int, expected: list[int]
) -> None:
    me = reminded.run(partial(rich_citizen, ends=days_after(33)))
    live_through(product, clock, *map(days_after, sorted({slept_until, 26, 29, 32} - {*range(slept_until)})))
    assert ahead(reminded, me) == expected


def test_a_sleep_between_two_reminders_leaves_out_what_was_overtaken(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    me = reminded.run(partial(rich_citizen, ends=days_after(30)))
    live_through(product, clock, TODAY, days_after(29))
    assert ahead(reminded, me) == [30, 1]


def test_after_forty_days_of_sleep_everything_has_ended_as_of_its_day_and_reads_were_right_all_along(
    reminded: Database, product: Product, clock: FixedClock, place: Market
) -> None:
    me = reminded.run(citizen)
    earned(reminded, me, 4000, ends=days_after(10))
    earned(reminded, me, 5000, ends=days_after(20))
    earned(reminded, me, 6000, ends=days_after(45))
    key = reminded.run(lambda call: bought(call, place, me))  # 3000, until day 40
    live_through(product, clock, TODAY)
    for number, free in ((9, 12_000), (10, 11_000), (19, 11_000), (20, 6000), (40, 6000)):
        then = noon(days_after(number))
        assert reminded.run(me.available, now=then)["standard"] == free, number
        assert sum(_days(reminded, me, then).values()) == free
    assert [each.id for each in _my_vouchers(reminded, me, days_after(40))] == [key.voucher_id]
    assert _my_vouchers(reminded, me, days_after(41)) == []

    live_through(product, clock, days_after(42))
    hand_on_all(reminded, product)
    found = [(each.kind, each.facts.get("expires_on")) for each in told(reminded, me)]
    assert sorted(found, key=str) == [
        ("coins_expired", days_after(10).isoformat()),
        ("coins_expired", days_after(20).isoformat()),
        ("coins_expiring", days_after(10).isoformat()),
        ("coins_expiring", days_after(20).isoformat()),
        ("coins_expiring", days_after(45).isoformat()),
        ("voucher_expired", None),
    ]
    assert ahead(reminded, me) == [30, 30, 7]
    [ended] = told(reminded, me, kind="voucher_expired")
    assert (ended.facts["coin_milli"], ended.facts["ended_coin_milli"]) == (3000, 3000)
    assert reminded.run(me.available, now=clock.now())["standard"] == 6000
    lines = reminded.rows(
        "SELECT amount, expires_on, occurred_at, recorded_at FROM ledger_transfer"
        " WHERE code = 'EXPIRE' ORDER BY id"
    )
    # A line says the day the coins ended as its fact, and when it was written down beside it. What the
    # voucher held ended when it came back.
    assert [(line.amount, line.expires_on) for line in lines] == [
        (-1000, days_after(10)),
        (-5000, days_after(20)),
        (-3000, None),
    ]
    assert [line.occurred_at for line in lines[:2]] == [
        day_bounds(days_after(number))[0] for number in (10, 20)
    ]
    assert {line.recorded_at for line in lines} == {clock.now()}
    reminded.run(sound, now=clock.now())


def _days(database: Database, me: Citizen, now: datetime) -> dict[date, int]:
    """What ends on each coming day, all classes together."""
    classes = database.run(lambda call: endings(call, me.id), now=now)
    return {day.expires_on: day.amount for each in classes for day in each.days}


def _my_vouchers(database: Database, me: Citizen, day: date) -> list[VoucherEnding]:
    """The citizen's vouchers by their end, as read at noon of a day."""

    def work(call: Call) -> list[VoucherEnding]:
        return list(voucher_endings(as_citizen(call, me), PageRequest()).items)

    return database.run(work, now=noon(day))


def test_coins_that_will_not_end_are_not_reminded_of_and_the_amount_is_that_of_the_day(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    spender, saver = reminded.run(citizen), reminded.run(citizen)
    for who in (spender, saver):
        earned(reminded, who, 800, ends=days_after(30))
        earned(reminded, who, 500, ends=days_after(60))
    reminded.run(lambda call: spender.hold(call, 800, "v/0"))
    reminded.run(lambda call: saver.hold(call, 100, "w/0"))
    live_through(product, clock, TODAY)
    assert told(reminded, spender) == []
    assert [each.facts["coin_milli"] for each in told(reminded, saver)] == [700]
    reminded.run(lambda call: release(call, spender.set_of("v/0"), cause="cancelled", grace_on=None))
    live_through(product, clock, days_after(23))
    assert [each.facts["coin_milli"] for each in told(reminded, spender)] == [800]
    assert [each.facts["coin_milli"] for each in told(reminded, saver)] == [700, 700]


def test_classes_and_days_are_reminded_of_each_on_its_own(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    me = reminded.run(citizen)
    earned(reminded, me, 10, ends=days_after(7))
    earned(reminded, me, 20, ends=days_after(30))
    earned(reminded, me, 40, ends=days_after(30), validity="promotional")
    live_through(product, clock, TODAY)
    messages = [each.facts for each in told(reminded, me)]
    found = {(each["validity_class"], each["days_ahead"]): each["coin_milli"] for each in messages}
    assert found == {("standard", 7): 10, ("standard", 30): 20, ("promotional", 30): 40}


@pytest.mark.parametrize("ends", [date(2028, 2, 29), date(2028, 3, 1), date(2027, 3, 1), date(2027, 1, 1)])
def test_a_day_begins_and_ends_at_midnight_in_shanghai_also_in_a_leap_year(
    reminded: Database, product: Product, clock: FixedClock, ends: date
) -> None:
    me = reminded.run(partial(rich_citizen, coins=900, ends=ends))
    before, midnight = day_bounds(ends)[0] - timedelta(microseconds=1), day_bounds(ends)[0]
    yesterday = day_bounds(ends - timedelta(days=1))[0]

    def left() -> int:
        return sum(_days(reminded, me, clock.at).values())

    clock.at = yesterday
    run(product, *JOBS)
    assert (ahead(reminded, me), left()) == ([1], 900)
    clock.at = before
    run(product, *JOBS)
    assert ([each.kind for each in told(reminded, me)], left()) == (["coins_expiring"], 900)
    clock.at = midnight
    assert left() == 0
    run(product, *JOBS)
    assert [each.kind for each in told(reminded, me)] == ["coins_expiring", "coins_expired"]
    assert told(reminded, me)[1].facts["expires_on"] == ends.isoformat()


def test_without_a_rule_nobody_is_reminded_but_everybody_is_told_of_the_end(
    database: Database, product: Product, clock: FixedClock
) -> None:
    me = database.run(partial(rich_citizen, ends=days_after(2)))
    database.run(lambda call: remind_ahead(call, 7, 1, region="CN-GD"))
    live_through(product, clock, *map(days_after, range(3)))
    assert [each.kind for each in told(database, me)] == ["coins_expired"]


def test_a_voucher_is_reminded_of_by_the_rule_of_its_own_region_alone(
    database: Database, product: Product, clock: FixedClock
) -> None:
    database.run(lambda call: remind_ahead(call, 2, region="CN-GD"))
    database.run(lambda call: remind_ahead(call, 1))
    place = database.run(partial(market, valid_days=5))
    me = database.run(partial(customer, coins=100_000))
    database.run(lambda call: bought(call, place, me))
    live_through(product, clock, *map(days_after, range(7)))
    assert ahead(database, me, kind="voucher_expiring") == [1]


def test_a_voucher_is_reminded_of_from_the_day_after_it_was_bought(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    me = reminded.run(partial(customer, coins=100_000))
    reminded.run(publish_rules)

    def buy(call: Call, valid_days: int) -> str:
        return exchange(as_citizen(call, me), shelf(call, valid_days=valid_days).reward_id).public

    keys = {reminded.run(partial(buy, valid_days=days)): days for days in (3, 6, 33)}
    live_through(product, clock, *map(days_after, (0, 1, 3, 4, 6, 7, 27, 33, 34)))
    messages = told(reminded, me, kind="voucher_expiring")
    found = [(keys[each.subject], each.facts["days_ahead"]) for each in messages]
    assert found == [(3, 1), (33, 30), (6, 1), (33, 7), (33, 1)]


def test_a_voucher_under_a_scan_is_reminded_of_one_that_is_closing_or_over_is_not(
    place: Market, reminded: Database, product: Product, clock: FixedClock
) -> None:
    me = reminded.run(partial(customer, coins=100_000))
    locked, closing, cancelled, used = (reminded.run(lambda call: bought(call, place, me)) for _ in range(4))
    then = noon(days_after(34))
    reminded.run(lambda call: lock(call, take(call, locked), by=new_id(), reason="scanned"), now=then)
    with reminded.sessions.begin() as session:
        offline = text("UPDATE voucher SET offline_until = :until WHERE id = :id")
        session.execute(offline, {"until": noon(days_after(36)), "id": closing.voucher_id})
    for key in (closing, cancelled):
        reminded.run(lambda call, key=key: cancel(as_citizen(call, me), key.voucher_id), now=then)  # type: ignore[misc]  # a default argument
    reminded.run(lambda call: _used(call, place, me, used), now=then)
    live_through(product, clock, days_after(34))
    assert [each.subject for each in told(reminded, me)] == [locked.public]
    states = {each.id: each.state for each in _my_vouchers(reminded, me, days_after(34))}
    assert states == {locked.voucher_id: "locked", closing.voucher_id: "closing"}


def _used(call: Call, place: Market, me: Citizen, key: Key) -> None:
    code = live_codes(as_citizen(call, me), key.voucher_id)[0].text
    redeem(place.at_till(call), code)


def test_a_voucher_that_a_reversal_brings_back_is_reminded_of_again_only_by_the_next_reminder(
    place: Market, reminded: Database, product: Product, clock: FixedClock
) -> None:
    me, ends = reminded.run(partial(customer, coins=100_000)), days_after(41)
    first, second = (reminded.run(lambda call: bought(call, place, me)) for _ in range(2))
    live_through(product, clock, ends - timedelta(days=7))
    evening = clock.at + timedelta(hours=6)
    code = reminded.run(lambda call: live_codes(as_citizen(call, me), first.voucher_id)[0].text, now=evening)
    honoured = reminded.run(lambda call: redeem(place.at_till(call), code), now=evening)
    live_through(product, clock, ends - timedelta(days=6))
    reminded.run(lambda call: reverse(place.at_till(call), honoured.id, reason="a mistake"), now=clock.at)
    live_through(product, clock, ends - timedelta(days=6), ends - timedelta(days=1))
    hand_on_all(reminded, product)
    found = [(each.kind, each.subject, each.facts.get("days_ahead")) for each in told(reminded, me)]
    assert sorted(found, key=str) == sorted(
        [
            ("voucher_expiring", first.public, 7),
            ("voucher_expiring", second.public, 7),
            ("voucher_reversed", first.public, None),
            ("voucher_expiring", first.public, 1),
            ("voucher_expiring", second.public, 1),
        ],
        key=str,
    )


def test_coins_in_grace_are_shown_with_their_cause_and_reminded_of_by_their_own_day(
    reminded: Database, product: Product, clock: FixedClock, place: Market
) -> None:
    me = reminded.run(partial(rich_citizen, coins=3000, ends=days_after(5)))
    key = reminded.run(lambda call: bought(call, place, me))
    live_through(product, clock, days_after(10))

    def withdraw(call: Call) -> None:
        deactivate(acting(call, ActorKind.OPERATOR), key, reason="the shop has closed")

    reminded.run(withdraw, now=clock.at)
    [standard] = [each for each in reminded.run(lambda call: endings(call, me.id), now=clock.at) if each.days]
    [day] = standard.days
    assert (day.expires_on, day.amount, day.held) == (days_after(40), 3000, 0)
    assert [(each.amount, each.cause) for each in day.grace] == [(3000, "deactivated")]
    live_through(product, clock, days_after(33), days_after(40))
    hand_on_all(reminded, product)
    assert sorted(each.kind for each in told(reminded, me)) == [
        "coins_expired",
        "coins_expiring",
        "voucher_deactivated",
    ]
    [withdrawn] = told(reminded, me, kind="voucher_deactivated")
    assert withdrawn.facts["reason"] == "the shop has closed"
    assert withdrawn.facts["graced_coin_milli"] == 3000


def test_a_round_that_was_cut_off_goes_on_where_it_stopped_and_an_overtaken_one_stops(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    people = sorted(
        (reminded.run(partial(rich_citizen, ends=days_after(30))) for _ in range(5)), key=lambda who: who.id
    )

    def step(most: int) -> int:
        return reminded.run(lambda call: go_on(call, _round(call, days_after(30)), most=most), now=clock.at)

    assert step(2) == 2
    assert [ahead(reminded, who) for who in people] == [[30], [30], [], [], []]
    assert (step(2), step(2)) == (2, 1)
    assert [ahead(reminded, who) for who in people] == [[30]] * 5
    later = sorted(
        (reminded.run(partial(rich_citizen, ends=days_after(50))) for _ in range(3)), key=lambda who: who.id
    )
    clock.at = noon(days_after(20))
    cut_off = reminded.run(lambda call: go_on(call, _round(call, days_after(50)), most=1), now=clock.at)
    assert cut_off == 1
    live_through(product, clock, days_after(43))
    assert [ahead(reminded, who) for who in later] == [[30, 7], [7], [7]]


def _round(call: Call, ends_on: date) -> Round:
    [found] = [each for each in open_rounds(call) if (each.what, each.ends_on) == ("coins", ends_on)]
    return found


def test_ended_coins_are_not_told_before_they_are_posted(reminded: Database, clock: FixedClock) -> None:
    me = reminded.run(partial(rich_citizen, ends=days_after(1)))
    reminded.run(open_rounds, now=clock.at)
    clock.at = noon(days_after(1))
    ended = [each for each in reminded.run(open_rounds, now=clock.at) if each.days_ahead == 0]
    for each in ended:
        assert reminded.run(partial(go_on, each=each), now=clock.at) == 0
    assert told(reminded, me) == []
    open_still = {(each.region_id, each.ends_on) for each in reminded.run(open_rounds, now=clock.at)}
    assert (REGION, days_after(1)) in open_still


def test_a_coin_spent_late_in_the_day_of_its_end_is_told_by_what_was_posted(
    reminded: Database, product: Product, clock: FixedClock
) -> None:
    """A spend posts what is due on its own account; the message has that amount, whoever posted it."""
    me = reminded.run(citizen)
    earned(reminded, me, 300, ends=days_after(5))
    earned(reminded, me, 900, ends=days_after(90))
    live_through(product, clock, days_after(4))
    clock.at = noon(days_after(6))
    reminded.run(lambda call: me.hold(call, 100, "v/0"), now=clock.at)
    run(product, *JOBS)
    [ended] = told(reminded, me, kind="coins_expired")
    assert ended.facts["coin_milli"] == 300


def test_the_rule_of_reminders_is_checked(call: Call) -> None:
    from kernel.publications.errors import RuleContentWrong  # noqa: PLC0415 - this test alone
    from kernel.publications.publishing import draft  # noqa: PLC0415 - this test alone

    def proposed(content: object) -> None:
        draft(
            acting(call, ActorKind.OPERATOR),
            Draft(
                region_id=REGION,
                kind="reminders",
                subject="standard",
                title="t",
                content=content,  # type: ignore[arg-type]  # wrong on purpose
                source="s",
                effective_from=date(2027, 1, 1),
            ),
        )

    for wrong in ([], [0], [91], [7, 7], [True], ["7"], [1.0], list(range(1, 7)), 7, None):
        with pytest.raises(RuleContentWrong) as refused:
            proposed({"days": wrong})
        assert refused.value.pointer == "/content/days"
    proposed({"days": [1]})
