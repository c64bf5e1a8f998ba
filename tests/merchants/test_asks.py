"""Dear vouchers ask their owner: no yes, no use; a no is final; a manager's yes is read by the owner."""

from datetime import date, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import NotFound
from kernel.paging import PageRequest
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.rules import asks_owner
from merchants.asks.asking import Ask, answer, asks, override, standing
from merchants.asks.errors import AskOver, CitizenNotConfirmed, OwnerAskedFirst
from merchants.clerks.roster import link
from merchants.errors import SessionOver
from merchants.redemption import Prepared, confirm, prepare, redeem
from merchants.redemption_batches import redeem_together
from rewards.errors import VoucherLocked
from rewards.exchange import exchange
from rewards.live_codes import live_codes
from rewards.voucher_codes import ONLINE_ONLY, read
from rewards.vouchers import Key, cancel
from tests.conftest import NOW, REGION, at
from tests.ledger.world import Citizen
from tests.merchants.clerk_world import OTHER_PIN, PIN, WRONG_PIN, refused_as, staff_of
from tests.merchants.offline_world import publish_offline_rule
from tests.merchants.world import Market, bought, code_of, customer, market, refused_rows, sound
from tests.rewards.world import acting, as_citizen, shelf

ASKED_S = 60


def publish_ask_rule(call: Call, *, from_cost_fen: int = 500, subject: str = "standard") -> None:
    """Vouchers of so much ask their owner for a minute."""
    proposal = Draft(
        region_id=REGION,
        kind="owner_confirmation",
        subject=subject,
        title="asked first",
        content={"from_cost_fen": from_cost_fen, "seconds": ASKED_S},
        source="rules of the test",
        effective_from=date(2026, 1, 1),
    )
    made = draft(acting(call, ActorKind.OPERATOR), proposal)
    publish(acting(call, ActorKind.OPERATOR), made.id, reason="test")


@pytest.fixture
def place(call: Call) -> Market:
    made = market(call)
    publish_ask_rule(call)
    return made


def asked(call: Call, place: Market, me: Citizen) -> tuple[Key, Prepared, Ask]:
    """A voucher that a till prepared, and what its owner is asked."""
    key = bought(call, place, me)
    prepared = prepare(place.at_till(call), code_of(call, me, key))
    return key, prepared, asks(as_citizen(call, me), PageRequest()).items[0]


def test_a_dear_voucher_is_used_once_its_owner_said_yes(call: Call, place: Market) -> None:
    me = customer(call)
    key, prepared, question = asked(call, place, me)
    assert (question.voucher_id, question.state, question.coin_milli) == (key.voucher_id, "asked", 3000)
    assert (question.merchant_en, question.store_en, question.title_zh) == (
        "Example bakery",
        "First",
        "面包一份",
    )
    assert (prepared.answer_by, prepared.confirm_before) == (
        NOW + timedelta(seconds=ASKED_S),
        NOW + timedelta(seconds=ASKED_S + 60),
    )
    with pytest.raises(CitizenNotConfirmed) as early:
        confirm(place.at_till(call), prepared.session)
    assert early.value.facts == {"state": "asked"}
    said = answer(as_citizen(call, me), question.id, yes=True)
    assert answer(as_citizen(call, me), question.id, yes=True) == said
    late = at(call, NOW + timedelta(seconds=ASKED_S + 59))
    assert standing(place.at_till(late), prepared.session).state == "confirmed"
    done = confirm(place.at_till(late), prepared.session)
    used = asks(as_citizen(call, me), PageRequest()).items[0]
    assert (used.state, used.redemption_id) == ("confirmed", done.id)
    news = call.db.execute(text("SELECT subject, facts FROM outgoing WHERE event = 'redemption.asked'")).one()
    assert (news.subject, set(news.facts)) == (key.public, {"ask", "answer_by"})
    sound(late)


def test_a_cheaper_voucher_asks_nobody(call: Call) -> None:
    place = market(call)
    publish_ask_rule(call, from_cost_fen=501)
    me = customer(call)
    assert redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    prepared = prepare(place.at_till(call), code_of(call, me, bought(call, place, me)))
    assert prepared.answer_by is None
    assert confirm(place.at_till(call), prepared.session)
    assert asks(as_citizen(call, me), PageRequest()).items == []


def test_a_no_frees_the_voucher_and_is_final(call: Call, place: Market) -> None:
    me = customer(call)
    staff_of(call, place)
    key, prepared, question = asked(call, place, me)
    with pytest.raises(VoucherLocked):
        cancel(as_citizen(call, me), key.voucher_id)
    assert answer(as_citizen(call, me), question.id, yes=False).state == "declined"
    with pytest.raises(AskOver):
        answer(as_citizen(call, me), question.id, yes=True)
    manager = override(
        place.at_till(call), prepared.session, number="01", pin=OTHER_PIN, reason="he said yes to me"
    )
    assert refused_as(manager) == "ask_over"
    with pytest.raises(SessionOver):
        confirm(place.at_till(call), prepared.session)
    assert standing(place.at_till(call), prepared.session).state == "declined"
    cancel(as_citizen(call, me), key.voucher_id)
    assert me.available(call)["standard"] == 10_000
    sound(call)


def test_scanning_the_same_code_again_is_no_way_round_a_no(call: Call, place: Market) -> None:
    me = customer(call)
    staff_of(call, place)
    key, till = bought(call, place, me), place.at_till(call)
    code = code_of(call, me, key)
    prepare(till, code)
    answer(as_citizen(call, me), asks(as_citizen(call, me), PageRequest()).items[0].id, yes=False)
    again = prepare(till, code)
    said = override(till, again.session, number="01", pin=OTHER_PIN, reason="he said yes to me")
    assert refused_as(said) == "ask_over"
    with pytest.raises(CitizenNotConfirmed):
        confirm(till, again.session)
    second = asks(as_citizen(call, me), PageRequest()).items[0]
    assert answer(as_citizen(call, me), second.id, yes=True).state == "confirmed"  # the owner may think again
    assert confirm(till, again.session)
    sound(call)


def test_a_second_rule_under_another_subject_changes_nothing(call: Call, place: Market) -> None:
    publish_ask_rule(call, from_cost_fen=100, subject="cheap")
    me = customer(call)
    _, prepared, _ = asked(call, place, me)
    assert prepared.answer_by == NOW + timedelta(seconds=ASKED_S)
    for cost, asks_first in ((499, False), (500, True)):
        assert asks_owner(call, REGION, cost_fen=cost, days=[call.today]) is asks_first


def test_who_does_not_answer_in_time_has_not_said_yes(call: Call, place: Market) -> None:
    me = customer(call)
    key, prepared, question = asked(call, place, me)
    lapsed = at(call, NOW + timedelta(seconds=ASKED_S))
    for yes in (True, False):
        with pytest.raises(AskOver):
            answer(as_citizen(lapsed, me), question.id, yes=yes)
    with pytest.raises(CitizenNotConfirmed) as late:
        confirm(place.at_till(lapsed), prepared.session)
    assert late.value.facts == {"state": "lapsed"}
    assert asks(as_citizen(lapsed, me), PageRequest()).items[0].state == "lapsed"
    over = at(call, NOW + timedelta(seconds=ASKED_S + 60))
    again = prepare(place.at_till(over, place.far_till), code_of(over, me, key))
    second = asks(as_citizen(over, me), PageRequest()).items[0]
    answer(as_citizen(over, me), second.id, yes=True)
    with pytest.raises(SessionOver):
        confirm(place.at_till(over), prepared.session)
    assert confirm(place.at_till(over, place.far_till), again.session)
    sound(over)


def test_a_manager_says_yes_with_a_pin_and_the_owner_reads_it(call: Call, place: Market) -> None:
    me = customer(call)
    staff = staff_of(call, place)
    _, prepared, question = asked(call, place, me)
    over = partial(override, place.at_till(call), prepared.session, reason="the phone is dead")
    assert refused_as(over(number="01", pin=WRONG_PIN)) == "pin_wrong"
    assert refused_as(over(number="07", pin=PIN)) == "manager_needed"
    assert refused_as(over(number="99", pin=PIN)) == "pin_wrong"
    with pytest.raises(NotFound):
        override(
            place.at_till(call, place.second_till), prepared.session, number="01", pin=OTHER_PIN, reason="x"
        )
    lapsed = at(call, NOW + timedelta(seconds=ASKED_S + 30))
    said = override(
        place.at_till(lapsed), prepared.session, number="01", pin=OTHER_PIN, reason="the phone is dead"
    )
    assert said is None
    assert confirm(place.at_till(lapsed), prepared.session)
    read_ = asks(as_citizen(lapsed, me), PageRequest()).items[0]
    assert (read_.state, read_.manager_number, read_.reason) == ("overridden", "01", "the phone is dead")
    told = call.db.execute(text("SELECT facts FROM audit_entry WHERE action = 'redemption.overridden'"))
    assert told.scalar_one()["reason"] == "the phone is dead"
    with pytest.raises(AskOver):
        answer(as_citizen(call, me), question.id, yes=False)
    link(as_citizen(call, me), staff.manager, pin=OTHER_PIN)
    _, mine, _ = asked(call, place, me)
    own = override(place.at_till(call), mine.session, number="01", pin=OTHER_PIN, reason="mine")
    assert refused_as(own) == "own_voucher"


def test_in_one_step_and_in_a_batch_a_dear_voucher_says_what_to_do(call: Call, place: Market) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    with pytest.raises(OwnerAskedFirst) as refused:
        redeem(place.at_till(call), code)
    assert refused.value.facts == {"asks_s": ASKED_S}
    with pytest.raises(OwnerAskedFirst) as in_batch:
        redeem_together(place.at_till(call), [code])
    assert in_batch.value.pointer == "/body/codes/0"
    assert refused_rows(place.at_till(call), lambda inner: redeem(inner, code)) == "owner_asked_first"
    kept = call.db.execute(text("SELECT refusal FROM scan_refusal")).scalars().all()
    assert kept == ["owner_asked_first"] * 3


def test_another_citizen_neither_reads_nor_answers(call: Call, place: Market) -> None:
    me, other = customer(call), customer(call)
    _, prepared, question = asked(call, place, me)
    assert asks(as_citizen(call, other), PageRequest()).items == []
    with pytest.raises(NotFound):
        answer(as_citizen(call, other), question.id, yes=True)
    with pytest.raises(NotFound):
        standing(place.at_till(call, place.second_till), prepared.session)


def _scope(call: Call, place: Market, me: Citizen, reward_id: UUID, when: timedelta) -> int:
    then = at(call, NOW + when)
    key = exchange(as_citizen(then, me), reward_id)
    code = live_codes(as_citizen(then, me), key.voucher_id)[0].text
    keys = call.keys
    from kernel.signing import Purpose, verification_keys  # noqa: PLC0415 - only here

    assert keys is not None
    assert place.merchant_id
    return read(code, keys=verification_keys(call.db, Purpose.VOUCHER_CODE, now=then.now)).scope_no


def test_codes_of_a_dear_voucher_name_no_store_so_no_till_honours_it_offline(call: Call) -> None:
    place = market(call)
    publish_offline_rule(call)
    me = customer(call)
    here = shelf(call, merchant_id=place.merchant_id, scope_no=place.scope_no).reward_id
    assert _scope(call, place, me, here, timedelta(0)) == place.scope_no
    publish_ask_rule(call)
    assert _scope(call, place, me, here, timedelta(0)) == ONLINE_ONLY
