"""Threads: an owner's yes and no, a manager's yes and the till's confirmation; never two outcomes."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from kernel.call import Call
from merchants.asks.asking import Ask, answer, override
from merchants.redemption import Prepared, Redeemed, confirm
from tests.concurrency.test_ledger_races import together
from tests.conftest import Database
from tests.ledger.world import Citizen
from tests.merchants.clerk_world import OTHER_PIN, staff_of
from tests.merchants.test_asks import asked, publish_ask_rule
from tests.merchants.world import Market, customer, market, sound
from tests.rewards.world import as_citizen

Work = Callable[[Call], Any]


def _answer(me: Citizen, ask: UUID, yes: bool, call: Call) -> str:  # noqa: FBT001 - one of two answers
    return answer(as_citizen(call, me), ask, yes=yes).state


def _override(place: Market, session: UUID, call: Call) -> str:
    told = override(place.at_till(call), session, number="01", pin=OTHER_PIN, reason="the phone is dead")
    return "overridden" if told is None else told.code


def _confirm(place: Market, session: UUID, call: Call) -> Redeemed:
    return confirm(place.at_till(call), session)


def _asked(place: Market, me: Citizen, call: Call) -> tuple[Prepared, Ask]:
    _, prepared, question = asked(call, place, me)
    return prepared, question


def _town(database: Database) -> Market:
    place = database.run(market)
    database.run(publish_ask_rule)
    database.run(lambda call: staff_of(call, place))
    return place


def test_yes_no_and_a_managers_yes_at_once_are_one_answer(database: Database) -> None:
    place = _town(database)
    me = database.run(lambda call: customer(call, 100_000))
    for _ in range(10):
        prepared, question = database.run(partial(_asked, place, me))
        works: list[Work] = [partial(_answer, me, question.id, yes) for yes in (True, False)]
        works += [partial(_override, place, prepared.session)]
        told = together(database, works)
        row = database.rows("SELECT state FROM redemption_ask WHERE id = :id", id=question.id)[0]
        assert told.count("ask_over") == 2
        assert [each for each in told if each != "ask_over"] == [row.state]
        late = together(database, [partial(_confirm, place, prepared.session)] * 4)
        used = sum(isinstance(each, Redeemed) for each in late)
        assert used == (0 if row.state == "declined" else 1)
    database.run(sound)


def test_a_confirmation_at_the_till_beside_an_answer_never_uses_what_was_declined(database: Database) -> None:
    place = _town(database)
    me = database.run(lambda call: customer(call, 100_000))
    for number in range(16):
        prepared, question = database.run(partial(_asked, place, me))
        yes = number % 2 == 0
        works: list[Work] = [partial(_answer, me, question.id, yes)]
        works += [partial(_confirm, place, prepared.session)] * 3
        said, *told = together(database, works)
        assert said == ("confirmed" if yes else "declined")
        used = sum(isinstance(each, Redeemed) for each in told)
        assert used <= (1 if yes else 0)
        refused = {each for each in told if isinstance(each, str)}
        assert refused <= {"citizen_not_confirmed", "session_over"}
        if yes and not used:
            assert isinstance(database.run(partial(_confirm, place, prepared.session)), Redeemed)
    assert database.rows("SELECT count(*) AS n FROM redemption")[0].n == 8
    database.run(sound)
