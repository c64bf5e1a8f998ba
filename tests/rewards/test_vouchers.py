"""From the shelf to a voucher and back: every refusal in its order, no coin and no item lost."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import business_day
from kernel.database import APP_ROLE
from kernel.errors import NotFound, Refusal
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from kernel.publications.errors import NoRuleInForce
from ledger.accounts import freeze
from ledger.errors import AccountFrozen, NotEnough
from ledger.expiry import expire_due as expire_coins_due
from ledger.reconciliation import reconcile
from rewards.catalogue.offering import split
from rewards.catalogue.shelf import Asked
from rewards.catalogue.shelf import shelf as shelved
from rewards.errors import (
    CodeSeen,
    FundingWrong,
    OutOfStock,
    RewardLimitReached,
    RewardNotOnSale,
    VoucherEnded,
    VoucherLocked,
    VoucherPastItsDay,
)
from rewards.exchange import exchange
from rewards.live_codes import check_digit, live_codes, new_alias
from rewards.presented_codes import presented
from rewards.reconciliation import CHECKS
from rewards.tables import Reward
from rewards.voucher_codes import LENGTH
from rewards.voucher_states import TRANSITIONS, State
from rewards.vouchers import Key, all_owned, cancel, deactivate, expire_due, lock, owned, take
from tests.conftest import NOW, REGION, at
from tests.ledger.world import Citizen
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen, shelf, sound


@pytest.fixture
def ruled(call: Call) -> Call:
    publish_rules(call)
    return call


def buy(call: Call, who: Citizen, *, stock: int = 1000, valid_days: int = 30) -> Key:
    return exchange(as_citizen(call, who), shelf(call, stock=stock, valid_days=valid_days).reward_id)


def remaining(call: Call) -> int:
    return int(
        call.db.execute(text("SELECT sum(remaining) FROM reward_stock WHERE part = 'whole'")).scalar_one()
    )


def test_an_exchange_holds_the_price_takes_one_item_and_issues_a_voucher(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me, stock=40)
    assert me.available(ruled) == {"standard": 7000, "promotional": 0}
    assert remaining(ruled) == 39
    mine = owned(as_citizen(ruled, me), key.voucher_id)
    assert (mine.state, mine.cycle, mine.price_coin_milli) == (State.ISSUED, 0, 3000)
    assert mine.ends_at == NOW.replace(hour=16) + timedelta(days=30)
    sound(ruled)


def test_what_speaks_against_an_exchange_is_said_in_order(ruled: Call) -> None:
    poor, me = rich_citizen(ruled, 10), rich_citizen(ruled)
    one = shelf(ruled, stock=0, limit=1)
    with pytest.raises(NotFound):
        exchange(as_citizen(ruled, me), new_id())
    with pytest.raises(RewardNotOnSale):
        exchange(at(as_citizen(ruled, me), NOW + timedelta(days=500)), one.reward_id)
    before = at(as_citizen(ruled, me), NOW - timedelta(days=1000))
    ruled.db.execute(text("SET LOCAL ROLE NONE"))  # the owner's hand: no service moves a sale's beginning
    ruled.db.get_one(Reward, one.reward_id).sells_from = before.now
    ruled.db.flush()  # while it is the owner's
    ruled.db.execute(text(f"SET LOCAL ROLE {APP_ROLE}"))
    with pytest.raises(NoRuleInForce):
        exchange(before, one.reward_id)
    with pytest.raises(NotEnough), ruled.db.begin_nested():
        exchange(as_citizen(ruled, poor), one.reward_id)
    with pytest.raises(OutOfStock), ruled.db.begin_nested():
        exchange(as_citizen(ruled, me), one.reward_id)
    freeze(ruled, me.accounts.coins["standard"], frozen=True)
    with pytest.raises(AccountFrozen), ruled.db.begin_nested():
        exchange(as_citizen(ruled, me), one.reward_id)


def test_one_person_gets_no_more_than_the_limit_and_a_cancelled_one_counts_no_more(ruled: Call) -> None:
    me, reward = rich_citizen(ruled), shelf(ruled, limit=1).reward_id
    key = exchange(as_citizen(ruled, me), reward)
    with pytest.raises(RewardLimitReached):
        exchange(as_citizen(ruled, me), reward)
    cancel(as_citizen(ruled, me), key.voucher_id)
    exchange(as_citizen(ruled, me), reward)
    assert remaining(ruled) == 999
    sound(ruled)


def test_a_cancelled_voucher_gives_coins_and_item_back_once(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    assert cancel(as_citizen(ruled, me), key.voucher_id).amount == 3000
    assert me.available(ruled)["standard"] == 10_000
    with pytest.raises(VoucherEnded):
        cancel(as_citizen(ruled, me), key.voucher_id)
    sound(ruled)


def test_another_citizens_voucher_is_not_found(ruled: Call) -> None:
    key, other = buy(ruled, rich_citizen(ruled)), rich_citizen(ruled)
    for ask in (cancel, owned, live_codes, new_alias):
        with pytest.raises(NotFound):
            ask(as_citizen(ruled, other), key.voucher_id)


def test_cancelling_renews_no_coin_that_has_ended_but_deactivation_gives_grace(ruled: Call) -> None:
    ends = date(2026, 12, 1)
    me = rich_citizen(ruled, 6000, ends=ends)
    first, second = buy(ruled, me), buy(ruled, me)
    later = at(ruled, NOW + timedelta(days=15))
    back = cancel(as_citizen(later, me), first.voucher_id)
    assert (back.amount, back.ended, back.graced) == (3000, 3000, 0)
    operator = acting(later, ActorKind.OPERATOR)
    back = deactivate(operator, second, reason="the shop has closed")
    assert (back.amount, back.ended, back.graced) == (3000, 0, 3000)
    assert me.available(later)["standard"] == 3000
    assert me.available(at(ruled, NOW + timedelta(days=46)))["standard"] == 0
    sound(later)


def test_a_voucher_that_ran_out_ends_by_the_job_and_is_refused_before_it(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me, valid_days=1)
    late = at(ruled, NOW + timedelta(days=3))
    for ask in (cancel, live_codes, new_alias):
        with pytest.raises(VoucherPastItsDay):
            ask(as_citizen(late, me), key.voucher_id)
    assert expire_due(ruled) == 0
    assert expire_due(late) == 1
    assert expire_due(late) == 0
    assert me.available(late)["standard"] == 10_000
    assert take(late, key).state is State.EXPIRED
    sound(late)


def after_its_last_day(days_late: int) -> datetime:
    """Noon of the day on which a voucher bought now for thirty days has ended, or some days later."""
    return NOW + timedelta(days=31 + days_late)


def coins_last(days: int) -> date:
    """The first day without the coins, which are valid so many days longer than that voucher."""
    return business_day(after_its_last_day(0)) + timedelta(days=days)


def regraced(call: Call) -> list[tuple[int, str, date]]:
    rows = call.db.execute(text("SELECT amount, cause, grace_on FROM coin_regrace ORDER BY hold_id"))
    return [(row.amount, row.cause, row.grace_on) for row in rows]


@pytest.mark.parametrize("first", [expire_due, expire_coins_due])
@pytest.mark.parametrize("days_late", [0, 1, 2])
def test_a_late_run_gives_grace_to_coins_that_a_run_on_the_day_gives_back_alive(
    ruled: Call, days_late: int, first: Callable[[Call], object]
) -> None:
    me = rich_citizen(ruled, 3000, ends=coins_last(1))
    key = buy(ruled, me)
    then = at(ruled, after_its_last_day(days_late))
    first(then)
    assert expire_due(then) == (first is expire_coins_due)
    assert take(then, key).state is State.EXPIRED
    assert me.available(then)["standard"] == 3000
    until = then.today + timedelta(days=30)
    assert regraced(then) == ([] if days_late == 0 else [(3000, "expired", until)])
    sound(then)
    last = coins_last(1) if days_late == 0 else until
    exchange(as_citizen(then, me), shelf(then).reward_id)
    assert me.available(then)["standard"] == 0
    sound(then)
    cancel(as_citizen(then, me), owned_by(then, me)[0])
    over = at(ruled, then.now + timedelta(days=(last - then.today).days))
    assert me.available(at(ruled, over.now - timedelta(days=1)))["standard"] == 3000
    assert me.available(over)["standard"] == 0
    expire_coins_due(over)
    sound(over)


def owned_by(call: Call, who: Citizen) -> list[UUID]:
    """The vouchers of a citizen that are live, newest first."""
    found = all_owned(as_citizen(call, who), PageRequest(limit=50)).items
    return [each.id for each in found if each.state is State.ISSUED]


@pytest.mark.parametrize("days_late", [0, 1, 2])
def test_a_late_run_renews_no_coin_that_a_run_on_the_day_would_have_ended(
    ruled: Call, days_late: int
) -> None:
    me = rich_citizen(ruled, 2000, ends=coins_last(-3))
    me.earn(ruled, 5000, reference=str(new_id()), ends=coins_last(1))
    me.earn(ruled, 700, reference=str(new_id()), ends=coins_last(40))
    buy(ruled, me)  # the 2000 that end before the voucher, and 1000 of those that end after it
    then = at(ruled, after_its_last_day(days_late))
    assert expire_due(then) == 1
    # Late, the 4000 that were free all the time have ended on their day.
    alive, graced = (5700, []) if days_late == 0 else (1700, [1000])
    assert me.available(then)["standard"] == alive
    assert [amount for amount, _, _ in regraced(then)] == graced
    sound(then)


@pytest.mark.parametrize("days_late", [0, 1, 2])
def test_two_vouchers_get_back_in_a_late_run_no_less_than_on_the_day(ruled: Call, days_late: int) -> None:
    me = rich_citizen(ruled, 2000, ends=coins_last(-3))
    me.earn(ruled, 1500, reference=str(new_id()), ends=coins_last(1))
    me.earn(ruled, 2500, reference=str(new_id()), ends=coins_last(1), validity="promotional")
    for _ in range(2):  # promotional coins are spent first: 2500 and 500 are held, and 3000
        buy(ruled, me)
    then = at(ruled, after_its_last_day(days_late))
    assert [expire_due(then) for _ in range(3)] == [1, 1, 0]
    # Of the standard coins 1500 were valid. Late, 500 of them count as the first one's and as the second's.
    standard = 1500 if days_late == 0 else 500 + 1500
    assert me.available(then) == {"standard": standard, "promotional": 2500}
    assert sum(amount for amount, _, _ in regraced(then)) == (standard + 2500 if days_late else 0)
    sound(then)


@pytest.mark.parametrize("days_late", [0, 1, 2])
def test_what_a_later_voucher_ended_in_a_late_run_takes_nothing_from_an_earlier_one(
    ruled: Call, days_late: int
) -> None:
    me = rich_citizen(ruled, 3000, ends=coins_last(-3))
    me.earn(ruled, 3000, reference=str(new_id()), ends=coins_last(1))
    buy(ruled, me, valid_days=31)  # the first of the two in the job's order
    buy(ruled, me)
    then = at(ruled, after_its_last_day(1 + days_late))
    assert [expire_due(then) for _ in range(3)] == [1, 1, 0]
    assert [amount for amount, _, _ in regraced(then)] == [3000]
    assert me.available(then)["standard"] == 3000
    sound(then)


def test_coins_whose_day_was_over_before_the_voucher_ended_end_in_a_late_run_too(ruled: Call) -> None:
    me = rich_citizen(ruled, 3000, ends=coins_last(-3))
    me.earn(ruled, 5000, reference=str(new_id()), ends=coins_last(1))
    buy(ruled, me)
    then = at(ruled, after_its_last_day(2))
    assert expire_due(then) == 1
    assert (me.available(then)["standard"], regraced(then)) == (0, [])
    sound(then)


def test_a_voucher_under_a_scan_is_not_cancelled_until_the_lock_lapses(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    lock(ruled, take(ruled, key), by=new_id(), reason="scanned")
    for ask in (cancel, live_codes):
        with pytest.raises(VoucherLocked):
            ask(as_citizen(ruled, me), key.voucher_id)
    lapsed = at(ruled, NOW + timedelta(seconds=60))
    assert len(live_codes(as_citizen(lapsed, me), key.voucher_id)) == 20
    cancel(as_citizen(lapsed, me), key.voucher_id)
    sound(ruled)


def test_codes_show_the_voucher_to_a_till_and_never_its_id(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    codes = live_codes(as_citizen(ruled, me), key.voucher_id)
    assert len({code.text for code in codes}) == 20
    assert {len(code.text) for code in codes} == {LENGTH}
    for code in codes:
        shown = at(ruled, code.shown_from)
        assert presented(shown, code.text, scope_no=5).key == key
    found = ruled.db.execute(text("SELECT code_id FROM voucher_code")).scalar_one()
    assert bytes(found) != key.voucher_id.bytes


def test_a_number_to_type_works_once_for_sixty_seconds_and_only_the_newest(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    old, new = (new_alias(as_citizen(ruled, me), key.voucher_id) for _ in range(2))
    assert len(new.digits) == 18
    wrong = new.digits[:-1] + str((int(new.digits[-1]) + 1) % 10)
    for digits, now, code in (
        (wrong, NOW, "alias_mistyped"),
        (old.digits, NOW, "alias_unknown"),
        (new.digits, NOW + timedelta(seconds=60), "alias_unknown"),
    ):
        with pytest.raises(Refusal) as refused:
            presented(at(ruled, now), digits, scope_no=5)
        assert refused.value.code == code
    assert presented(at(ruled, NOW + timedelta(seconds=59)), new.digits, scope_no=5).key == key
    with pytest.raises(Refusal, match="number belongs to no voucher"):
        presented(ruled, new.digits, scope_no=5)


def test_the_check_digit_is_luhns() -> None:
    assert check_digit("7992739871") == "3"


def test_a_code_that_we_signed_for_nothing_we_know_is_not_found(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    code = live_codes(as_citizen(ruled, me), key.voucher_id)[0]
    ruled.db.execute(text("SET LOCAL ROLE NONE"))
    ruled.db.execute(text("UPDATE voucher_code SET code_id = :other"), {"other": b"x" * 16})
    with pytest.raises(NotFound):
        presented(ruled, code.text, scope_no=5)
    ruled.db.execute(text("UPDATE voucher SET cycle = 1"))
    ruled.db.execute(text("UPDATE voucher_code SET code_id = (SELECT code_id FROM voucher_code)"))


def test_a_code_of_an_earlier_cycle_is_used_up(ruled: Call) -> None:
    me = rich_citizen(ruled)
    key = buy(ruled, me)
    code = live_codes(as_citizen(ruled, me), key.voucher_id)[0]
    ruled.db.execute(text("UPDATE voucher SET cycle = 1"))
    with pytest.raises(CodeSeen):
        presented(ruled, code.text, scope_no=5)


@pytest.mark.parametrize(
    ("cost", "parts", "expected"),
    [(500, (2, 1), [333, 167]), (100, (1, 1, 1), [34, 33, 33]), (1, (1, 1), [1, 0]), (0, (3,), [0])],
)
def test_costs_are_split_by_largest_remainder(cost: int, parts: tuple[int, ...], expected: list[int]) -> None:
    funding = [{"funder_id": str(number), "parts": part} for number, part in enumerate(parts)]
    assert [share["cost_fen"] for share in split(cost, funding)] == expected


def test_the_shelf_is_paged_and_shows_what_is_left(ruled: Call) -> None:
    for _ in range(3):
        shelf(ruled, stock=7)
    first = shelved(ruled, Asked(region_id=REGION), PageRequest(limit=2))
    rest = shelved(ruled, Asked(region_id=REGION), PageRequest(limit=2, after=first.next))
    assert [len(first.items), len(rest.items), rest.next] == [2, 1, None]
    assert {item.remaining for item in first.items} == {7}


def test_the_owners_vouchers_are_paged_newest_first(ruled: Call) -> None:
    me = rich_citizen(ruled)
    keys = [buy(ruled, me) for _ in range(3)]
    first = all_owned(as_citizen(ruled, me), PageRequest(limit=2))
    rest = all_owned(as_citizen(ruled, me), PageRequest(limit=2, after=first.next))
    assert [item.id for item in (*first.items, *rest.items)] == [key.voucher_id for key in reversed(keys)]


def test_a_reward_needs_funders_of_its_region_each_named_once(ruled: Call) -> None:
    from dataclasses import replace  # noqa: PLC0415 - this test alone alters an offer

    from rewards.catalogue.offering import Offer, Share, draft_reward  # noqa: PLC0415 - this test alone offers

    funder = shelf(ruled).funders[0]
    offer = Offer(
        title_zh="面包",
        title_en="Bread",
        price_coin_milli=1,
        cost_fen=1,
        funding=[Share(funder_id=funder, parts=1)] * 2,
        valid_days=1,
        limit_per_person=1,
        stock=1,
        sells_from=NOW,
        sells_until=NOW,
    )
    with pytest.raises(FundingWrong):
        draft_reward(ruled, offer)
    with pytest.raises(FundingWrong):
        draft_reward(ruled, replace(offer, funding=[]))
    with pytest.raises(NotFound):
        draft_reward(ruled, replace(offer, funding=[Share(funder_id=new_id(), parts=1)]))


def test_the_life_of_a_voucher_has_no_way_out_of_its_end() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for state, onward in TRANSITIONS.items() if not onward} == {
        State.EXPIRED,
        State.CANCELLED,
        State.DEACTIVATED,
        State.SETTLED,
    }


@pytest.mark.parametrize("table", ["voucher_step", "voucher_code"])
def test_the_application_may_not_change_a_vouchers_history(ruled: Call, table: str) -> None:
    buy(ruled, rich_citizen(ruled))
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET cycle = 5"):  # noqa: S608 - a fixed list
        with pytest.raises(DBAPIError, match="permission denied"), ruled.db.begin_nested():
            ruled.db.execute(text(statement))


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        ("UPDATE voucher SET price_coin_milli = price_coin_milli + 1", "L7"),
        ("UPDATE voucher SET state = 'cancelled'", "L7"),
        ("DELETE FROM voucher_step", "L7"),
        ("DELETE FROM voucher_code", "L7"),
        ("UPDATE ledger_hold SET reference = 'nobody'", "L7"),
        ("UPDATE reward_stock SET remaining = remaining + 1 WHERE slot = 3", "stock"),
        ("UPDATE reward_use SET used = used + 1", "stock"),
    ],
)
def test_what_is_broken_by_hand_is_named(ruled: Call, harm: str, named: str) -> None:
    buy(ruled, rich_citizen(ruled))
    sound(ruled)
    ruled.db.execute(text("SET LOCAL ROLE NONE"))
    ruled.db.execute(text(harm))
    assert named in {outcome.check.name for outcome in reconcile(ruled, CHECKS) if not outcome.holds}
