"""The inbox: told once, read once, page by page, in both languages, nobody else's."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.factory import Product
from app.notifications.inbox import (
    KEPT,
    MOST_COUNTED,
    Inbox,
    Telling,
    forget_messages,
    inbox,
    read,
    read_all,
    tell,
)
from app.notifications.kinds import KINDS
from app.notifications.news import LISTENERS, tell_news
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.errors import BrokenInvariant, NotFound
from kernel.identifiers import new_id
from kernel.outgoing import announce, take_news
from kernel.paging import PageRequest, WrongCursor
from rewards.vouchers import deactivate
from tests.app.notifications.world import run, told
from tests.conftest import NOW, REGION, Database, at
from tests.ledger.world import Citizen, citizen
from tests.merchants.world import bought, customer, market
from tests.rewards.world import acting, as_citizen

FACTS = {"validity_class": "standard", "coin_milli": 1500, "expires_on": "2026-12-01"}
EXAMPLES = {
    "title_zh": "面包",
    "title_en": "Bread {0}",
    "reason": "{closed}",
    "reason_zh": "重复",
    "reason_en": "twice",
    "expires_on": "2027-03-01",
    "lives_again": True,
    "activity_id": "act_x",
    "ask": "ask_x",
    "answer_by": "2026-12-01T02:03:04+00:00",
    "held_until": "2026-12-01T02:03:04+00:00",
}


def telling(who: Citizen, occasion: str = "", **more: object) -> Telling:
    return Telling(
        holder_id=who.id,
        region_id=REGION,
        kind="coins_expired",
        subject="standard",
        occasion=occasion,
        facts={**FACTS, **more},
    )


def mine(call: Call, who: Citizen, limit: int = 50, after: str | None = None) -> Inbox:
    return inbox(as_citizen(call, who), PageRequest(limit=limit, after=after))


def test_the_same_is_told_once_whatever_its_facts(call: Call) -> None:
    me, other = citizen(call), citizen(call)
    assert tell(call, [telling(me, "a"), telling(me, "b"), telling(other, "a")]) == 3
    assert tell(call, [telling(me, "a", coin_milli=9), telling(me, "c"), telling(me, "c")]) == 1
    assert tell(call, []) == 0
    assert len(mine(call, me).items) == 3
    assert {each.facts["coin_milli"] for each in mine(call, me).items} == {1500}


def test_a_kind_that_nobody_entered_or_other_facts_are_a_bug(call: Call) -> None:
    me = citizen(call)
    for wrong in (
        Telling(holder_id=me.id, region_id=REGION, kind="nothing", subject="x", facts=FACTS),
        telling(me, name="a person"),
    ):
        with pytest.raises(BrokenInvariant):
            tell(call, [wrong])


def test_pages_are_newest_first_and_count_what_is_unread_to_a_bound(call: Call) -> None:
    me = citizen(call)
    tell(call, [telling(me, f"{number:03}") for number in range(MOST_COUNTED + 5)])
    first = mine(call, me, limit=60)
    rest = mine(call, me, limit=60, after=first.next)
    assert [len(first.items), len(rest.items), rest.next] == [60, 45, None]
    ids = [each.id for each in (*first.items, *rest.items)]
    assert ids == sorted(ids, reverse=True)
    assert first.unread == rest.unread == MOST_COUNTED
    with pytest.raises(WrongCursor):
        mine(call, citizen(call), after=first.next)


def test_what_is_read_stays_as_it_was_first_read_and_nobody_reads_anothers(call: Call) -> None:
    me, other = citizen(call), citizen(call)
    tell(call, [telling(me, name) for name in "abc"])
    own = mine(call, me).items[0].id
    later = at(call, NOW + timedelta(hours=1))
    assert read(as_citizen(call, me), own).read_at == NOW
    assert read(as_citizen(later, me), own).read_at == NOW
    with pytest.raises(NotFound):
        read(as_citizen(call, other), own)
    with pytest.raises(NotFound):
        read(as_citizen(call, me), new_id())
    tell(later, [telling(me, "d")])
    assert read_all(as_citizen(later, other), until=later.now) == 0
    assert read_all(as_citizen(later, me), until=NOW) == 2
    assert read_all(as_citizen(later, me), until=NOW) == 0
    found = mine(later, me)
    assert (found.unread, [each.read_at for each in found.items]) == (1, [None, NOW, later.now, later.now])
    assert read_all(as_citizen(call, me), until=NOW + timedelta(days=9)) == 1
    # The machine that reads may be behind the one that told.
    assert mine(later, me).items[0].read_at == later.now


def test_messages_are_forgotten_after_four_hundred_days_some_at_a_time(call: Call) -> None:
    me = citizen(call)
    tell(call, [telling(me, name) for name in "abc"])
    tell(at(call, NOW + timedelta(days=1)), [telling(me, "d")])
    assert forget_messages(at(call, NOW + KEPT)) == 0
    then = at(call, NOW + KEPT + timedelta(seconds=1))
    assert [forget_messages(then, most=2) for _ in range(3)] == [2, 1, 0]
    assert len(mine(call, me).items) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_sentences_from_its_facts_alone(kind: str) -> None:
    facts = {name: EXAMPLES.get(name, 2500) for name in KINDS[kind].facts}
    for changed in (facts, {**facts, "lives_again": False}, {name: facts[name] or 0 for name in facts}):
        said = KINDS[kind].says({name: changed[name] for name in KINDS[kind].facts})
        assert set(said) == {"zh", "en"}
        assert said["en"].endswith((".", "}", "twice. You may appeal once.", "y", "0"))
        assert any("\u4e00" <= letter <= "\u9fff" for letter in said["zh"])
        assert "_milli" not in said["en"]
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in said["en"])
    for name in ("ended_coin_milli", "graced_coin_milli"):
        if name in facts:
            assert KINDS[kind].says({**facts, name: 0}) != KINDS[kind].says(facts)


@pytest.mark.parametrize(("kind", "name"), [("voucher_asked", "answer_by"), ("reward_held", "held_until")])
def test_instants_are_said_in_shanghai_time(kind: str, name: str) -> None:
    said = KINDS[kind].says({each: EXAMPLES[each] for each in KINDS[kind].facts})
    assert all("2026-12-01 10:03:04" in text_ for text_ in said.values()), name


def test_a_leap_days_last_day_is_said() -> None:
    assert "2028-02-29" in KINDS["coins_expired"].says({**FACTS, "expires_on": "2028-03-01"})["en"]


def test_news_is_told_in_the_transaction_that_takes_it_or_not_at_all(
    database: Database, product: Product, clock: FixedClock
) -> None:
    place, me = database.run(market), database.run(customer)
    key = database.run(lambda call: bought(call, place, me))
    database.run(lambda call: deactivate(acting(call, ActorKind.OPERATOR), key, reason="示例 {x} closed"))

    class Cut(Exception):  # noqa: N818 - what happens to the process
        pass

    def cut_off(call: Call) -> None:
        tell_news(call, take_news(call))
        raise Cut

    with pytest.raises(Cut):
        database.run(cut_off)
    assert told(database, me) == []
    while not told(database, me):  # the watermark is the whole cluster's: others' transactions hold it
        run(product, "hand_on_news")
    run(product, "hand_on_news")
    [message] = told(database, me)
    assert (message.kind, message.subject) == ("voucher_deactivated", key.public)
    assert message.facts == {
        "title_zh": "面包一份",
        "title_en": "A loaf of bread",
        "coin_milli": 3000,
        "graced_coin_milli": 0,
        "reason": "示例 {x} closed",
    }
    assert message.says["en"].endswith("3.00 coins came back. The reason: 示例 {x} closed")


def test_news_that_concerns_no_holder_is_passed_over(call: Call) -> None:
    announce(call, "test.told", region_id=REGION, subject="x")
    call.db.flush()
    news = call.db.execute(text("SELECT event FROM outgoing")).scalars().all()
    assert news == ["test.told"]
    assert "test.told" not in LISTENERS


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE message SET facts = '{}'",
        "UPDATE message SET holder_id = gen_random_uuid()",
        "DELETE FROM reminder_round",
        "UPDATE reminder_round SET days_ahead = 1",
    ],
)
def test_what_was_told_is_never_changed(call: Call, statement: str) -> None:
    tell(call, [telling(citizen(call))])
    with pytest.raises(DBAPIError, match="permission denied"), call.db.begin_nested():
        call.db.execute(text(statement))
