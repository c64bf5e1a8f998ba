"""Threads on real PostgreSQL: days, stores, periods, units, prices and queues count right, whoever comes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.call import Call
from rewards.catalogue.errors import RewardPictureOther
from rewards.catalogue.lives import publish_reward, withdraw_reward
from rewards.catalogue.offering import StoreShare, UnitName, draft_reward
from rewards.catalogue.pictures import Drawn, picture_reward
from rewards.catalogue.prices import change_price
from rewards.catalogue.waiting import join_queue, lapse_due, leave_queue, offer_next
from rewards.exchange import Wanted, exchange
from rewards.vouchers import Key, cancel
from tests.concurrency.test_ledger_races import together
from tests.conftest import NOW, Database, at, make_call
from tests.ledger.world import Citizen
from tests.merchants.world import customer, market, sound
from tests.rewards.test_catalogue import offer
from tests.rewards.world import acting, as_citizen, shelf

HOLD = timedelta(minutes=120)
_WAITS = "SELECT 1 FROM pg_stat_activity WHERE :pid = ANY (pg_blocking_pids(pid))"


def _reward(database: Database, **more: Any) -> UUID:
    return database.run(lambda call: shelf(call, **more)).reward_id


def _buy(who: Citizen, reward_id: UUID, call: Call, **wanted: Any) -> Key:
    return exchange(as_citizen(call, who), reward_id, Wanted(**wanted))


def _cancel(who: Citizen, key: Key, call: Call) -> str:
    cancel(as_citizen(call, who), key.voucher_id)
    return "cancelled"


def _join(who: Citizen, reward_id: UUID, call: Call) -> UUID:
    return join_queue(as_citizen(call, who), reward_id).id


def _leave(who: Citizen, place: UUID, call: Call) -> str:
    return leave_queue(as_citizen(call, who), place).state


def bought(results: list[Any]) -> int:
    return sum(isinstance(result, Key) for result in results)


def people(database: Database, many: int, coins: int = 30_000) -> list[Citizen]:
    return database.run(lambda call: [customer(call, coins) for _ in range(many)])


def test_of_a_days_share_that_nobody_has_touched_exactly_as_many_go_as_there_are(database: Database) -> None:
    """All of them find the day's counter missing; one of them fills it."""
    database.run(market)
    reward = _reward(database, stock=1000, stock_per_day=20)
    results = together(database, [partial(_buy, who, reward) for who in people(database, 40)])
    assert (bought(results), results.count("out_of_stock_today")) == (20, 20)
    database.run(sound)


def test_the_second_who_finds_a_days_share_untouched_waits_for_the_first_and_draws_behind_it(
    database: Database,
) -> None:
    database.run(market)
    reward = _reward(database, stock=1000, stock_per_day=2)
    first, second = people(database, 2)
    with database.sessions() as open_still, ThreadPoolExecutor(1) as pool:
        _buy(first, reward, make_call(open_still, now=NOW))
        behind = pool.submit(database.run, partial(_buy, second, reward))
        while not database.rows(_WAITS, pid=open_still.scalar(text("SELECT pg_backend_pid()"))):
            assert not behind.done(), behind.result()
        open_still.commit()
        assert isinstance(behind.result(), Key)
    (left,) = database.rows("SELECT sum(remaining) AS n FROM reward_stock WHERE part LIKE 'day/%'")
    assert left.n == 0
    database.run(sound)


def test_of_a_stores_share_exactly_as_many_go_as_there_are(database: Database) -> None:
    place = database.run(market)
    scopes = [row.scope_no for row in database.rows("SELECT scope_no FROM store ORDER BY scope_no")]
    shares = [StoreShare(scope_no=scope, stock=5) for scope in scopes]
    reward = _reward(database, stock=8, merchant_id=place.merchant_id, stores=shares)
    crowd = people(database, 32)
    orders = [
        partial(_buy, who, reward, scope_no=scopes[number % len(scopes)]) for number, who in enumerate(crowd)
    ]
    results = together(database, orders)
    assert bought(results) == 8
    by_store = database.rows("SELECT scope_no, count(*) AS n FROM voucher GROUP BY 1")
    assert all(row.n <= 5 for row in by_store)
    database.run(sound)


def test_one_person_at_many_windows_gets_no_more_than_the_periods_limit(database: Database) -> None:
    database.run(market)
    reward = _reward(database, limit_period="week", limit_in_period=3)
    me = people(database, 1, coins=100_000)[0]
    results = together(database, [partial(_buy, me, reward)] * 16)
    assert (bought(results), results.count("period_limit_reached")) == (3, 13)
    database.run(sound)


def test_buying_and_cancelling_with_every_counter_never_deadlocks(database: Database) -> None:
    place = database.run(market)
    scope = database.rows("SELECT min(scope_no) AS scope FROM store")[0].scope
    shares = [StoreShare(scope_no=scope, stock=40)]
    counted = {"stock": 40, "stock_per_day": 40, "limit_period": "day", "limit_in_period": 100}
    reward = _reward(database, merchant_id=place.merchant_id, stores=shares, **counted)
    crowd = people(database, 4, coins=100_000)
    for _ in range(4):
        keys = [(who, database.run(partial(_buy, who, reward, scope_no=scope))) for who in crowd * 2]
        works: list[Any] = [partial(_cancel, who, key) for who, key in keys]
        works += [partial(_buy, who, reward, scope_no=scope) for who in crowd]
        assert "busy" not in together(database, works)
    database.run(sound)


@pytest.mark.parametrize("wanted", [None, 7], ids=["any seat", "one seat"])
def test_each_seat_goes_once(database: Database, wanted: int | None) -> None:
    database.run(market)
    seats = [UnitName(name_zh=f"{seat}座", name_en=f"Seat {seat}") for seat in range(1, 11)]
    reward = _reward(database, kind="unique_item", stock=10, units=seats)
    crowd = people(database, 24)
    results = together(database, [partial(_buy, who, reward, unit_no=wanted) for who in crowd])
    expected = 10 if wanted is None else 1
    assert bought(results) == expected
    refusal = "out_of_stock" if wanted is None else "unit_taken"
    assert results.count(refusal) == 24 - expected
    sold = database.rows("SELECT unit_no FROM voucher ORDER BY 1")
    assert [row.unit_no for row in sold] == (list(range(1, 11)) if wanted is None else [wanted])
    database.run(sound)


def test_seats_that_come_back_while_others_buy_are_each_with_one_voucher(database: Database) -> None:
    database.run(market)
    seats = [UnitName(name_zh=f"{seat}座", name_en=f"Seat {seat}") for seat in range(1, 7)]
    reward = _reward(database, kind="unique_item", stock=6, units=seats)
    crowd = people(database, 12, coins=100_000)
    for _ in range(4):
        holding = [
            (who, key)
            for who, key in zip(
                crowd, together(database, [partial(_buy, who, reward) for who in crowd]), strict=True
            )
            if isinstance(key, Key)
        ]
        assert len(holding) == 6
        works: list[Any] = [partial(_cancel, who, key) for who, key in holding]
        works += [partial(_buy, who, reward, unit_no=1 + number % 6) for number, who in enumerate(crowd)]
        results = together(database, works)
        assert "busy" not in results
        database.run(sound)
        mine = zip(crowd, results[6:], strict=True)
        for who, key in mine:
            if isinstance(key, Key):
                database.run(partial(_cancel, who, key))
    database.run(sound)


def test_of_two_who_change_a_price_at_once_each_writes_a_version_of_its_own(database: Database) -> None:
    database.run(market)
    reward = _reward(database)

    def change(price: int, call: Call) -> int:
        operator = acting(call, ActorKind.OPERATOR)
        made = change_price(operator, reward, price_coin_milli=price, applies_from=None, reason="test")
        call.db.flush()
        return made.no

    numbers = together(database, [partial(change, 1000 + price) for price in range(8)])
    assert sorted(numbers) == list(range(2, 10))


def test_whoever_buys_while_the_price_changes_pays_what_they_were_shown_or_is_refused(
    database: Database,
) -> None:
    database.run(market)
    reward = _reward(database, price=3000)
    crowd = people(database, 12)

    def change(call: Call) -> str:
        operator = acting(call, ActorKind.OPERATOR)
        change_price(operator, reward, price_coin_milli=4000, applies_from=None, reason="test")
        return "changed"

    works: list[Any] = [partial(_buy, who, reward, price_coin_milli=3000) for who in crowd[:6]]
    works += [change]
    works += [partial(_buy, who, reward, price_coin_milli=4000) for who in crowd[6:]]
    results = together(database, works)
    assert set(map(type, results)) <= {Key, str}
    assert {result for result in results if isinstance(result, str)} <= {"changed", "price_changed"}
    paid = {row.holder_id: row for row in database.rows("SELECT holder_id, price_coin_milli FROM voucher")}
    for number, who in enumerate(crowd):
        if who.id in paid:
            assert paid[who.id].price_coin_milli == (3000 if number < 6 else 4000)
    database.run(sound)


def test_many_publish_and_withdraw_a_reward_at_once_and_each_step_is_taken_once(database: Database) -> None:
    database.run(market)
    reward = database.run(lambda call: draft_reward(acting(call, ActorKind.OPERATOR), offer(call)))

    def publish(call: Call) -> str:
        publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=None, reason="test")
        return "published"

    def withdraw(call: Call) -> str:
        withdraw_reward(acting(call, ActorKind.OPERATOR), reward, reason="test")
        return "withdrawn"

    results = Counter(together(database, [publish] * 6))
    assert results == {"published": 1, "reward_not_draft": 5}
    buyers = people(database, 6)
    works: list[Any] = [withdraw] * 4 + [partial(_buy, who, reward) for who in buyers]
    after = together(database, works)
    assert after.count("withdrawn") == 1
    assert after.count("reward_already_withdrawn") == 3
    assert set(after[4:]) - {key for key in after[4:] if isinstance(key, Key)} <= {"reward_not_on_sale"}
    steps = database.rows("SELECT to_state FROM reward_step ORDER BY id")
    assert [row.to_state for row in steps][-3:] == ["draft", "published", "withdrawn"]
    database.run(sound)


ONE, OTHER = (
    Drawn(content=b"one", width_px=64, height_px=64),
    Drawn(content=b"other", width_px=64, height_px=64),
)
"""Bytes are bytes here: what is drawn has tests of its own."""


def _pictured(database: Database) -> UUID:
    def made(call: Call) -> UUID:
        editor = acting(call, ActorKind.OPERATOR)
        reward = draft_reward(editor, offer(call))
        picture_reward(editor, reward, ONE)
        return reward

    return database.run(made)


def _replace_picture(reward: UUID, call: Call) -> str:
    picture_reward(acting(call, ActorKind.OPERATOR), reward, OTHER)
    return "replaced"


def _publish_seen(reward: UUID, call: Call) -> str:
    publish_reward(acting(call, ActorKind.OPERATOR), reward, picture_seen=ONE.digest, reason="test")
    return "published"


def test_a_picture_replaced_while_somebody_publishes_is_never_published_unseen(database: Database) -> None:
    """The replacement is written and not yet committed: who publishes waits for it and then says no."""
    database.run(market)
    reward = _pictured(database)
    with database.sessions() as open_still, ThreadPoolExecutor(1) as pool:
        _replace_picture(reward, make_call(open_still, now=NOW))
        behind = pool.submit(database.run, partial(_publish_seen, reward))
        while not database.rows(_WAITS, pid=open_still.scalar(text("SELECT pg_backend_pid()"))):
            assert not behind.done(), behind.result()
        open_still.commit()
        with pytest.raises(RewardPictureOther):
            behind.result()
    (row,) = database.rows("SELECT state, picture_digest FROM reward WHERE id = :id", id=reward)
    assert (row.state, bytes(row.picture_digest)) == ("draft", OTHER.digest)


def test_of_a_replacement_and_a_publication_at_once_one_is_refused(database: Database) -> None:
    database.run(market)
    for _ in range(6):
        reward = _pictured(database)
        works = [partial(_replace_picture, reward), partial(_publish_seen, reward)]
        told = tuple(together(database, works))
        (row,) = database.rows("SELECT state, picture_digest FROM reward WHERE id = :id", id=reward)
        ended = (row.state, bytes(row.picture_digest))
        assert (told, ended) in (
            (("replaced", "reward_picture_other"), ("draft", OTHER.digest)),
            (("reward_not_draft", "published"), ("published", ONE.digest)),
        )


def test_a_citizen_who_joins_at_many_windows_stands_in_the_queue_once(database: Database) -> None:
    database.run(market)
    reward = _reward(database, stock=0, waits=True)
    me = people(database, 1)[0]
    results = together(database, [partial(_join, me, reward)] * 12)
    assert (results.count("already_queued"), len([each for each in results if isinstance(each, UUID)])) == (
        11,
        1,
    )


def test_while_somebody_waits_nobody_jumps_the_queue(database: Database) -> None:
    """Three items come back while a crowd tries to buy and two jobs offer: those who waited get them."""
    database.run(market)
    reward = _reward(database, stock=3, waits=True)
    owners, waiting, crowd = (people(database, many) for many in (3, 3, 20))
    keys = [database.run(partial(_buy, who, reward)) for who in owners]
    for who in waiting:
        database.run(partial(_join, who, reward))
    works: list[Any] = [partial(_cancel, who, key) for who, key in zip(owners, keys, strict=True)]
    works += [partial(_buy, who, reward) for who in crowd]
    works += [offer_next] * 4
    results = together(database, works)
    assert bought(results) == 0
    assert "busy" not in results
    while any(together(database, [offer_next] * 2)):
        pass
    database.run(sound)
    results = together(database, [partial(_buy, who, reward) for who in (*waiting, *crowd)])
    assert all(isinstance(result, Key) for result in results[:3])
    assert bought(results) == 3
    database.run(sound)


def test_an_offer_is_taken_or_lapses_or_is_left_and_never_two_of_them(database: Database) -> None:
    database.run(market)
    reward = _reward(database, stock=1, waits=True)
    owner, me = people(database, 2, coins=100_000)
    for _ in range(8):
        key = database.run(partial(_buy, owner, reward))
        place = database.run(partial(_join, me, reward))
        database.run(partial(_cancel, owner, key))
        assert database.run(offer_next) == 1
        works: list[Any] = [partial(_buy, me, reward), _lapse, partial(_leave, me, place)]
        results = together(database, works)
        ended = database.rows("SELECT state FROM reward_place WHERE id = :place", place=place)[0].state
        assert (results[1] == 1, results[2] == "left") == (ended == "lapsed", ended == "left"), results
        assert ended in {"lapsed", "left"} or isinstance(results[0], Key)  # else it was bought from the stock
        database.run(sound)
        if isinstance(results[0], Key):
            database.run(partial(_cancel, me, results[0]))


def _lapse(call: Call) -> int:
    return lapse_due(at(call, NOW + HOLD))
