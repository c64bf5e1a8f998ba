"""Ten codes at once: all of them or none, the first at fault is named, whoever's they are."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.errors import Refusal
from ledger.accounts import freeze
from ledger.errors import AccountFrozen
from merchants.redemption import prepare, redeem
from merchants.redemption_batches import redeem_together
from merchants.redemption_reversal import reverse
from merchants.terminals import revoke
from rewards.errors import CodeTwice
from rewards.exchange import exchange
from rewards.live_codes import check_digit, live_codes, new_alias
from rewards.voucher_states import State
from rewards.vouchers import Key, cancel, owned
from tests.conftest import NOW, at
from tests.ledger.world import Citizen
from tests.merchants.clerk_world import ask, signed_in, staff_of
from tests.merchants.world import Market, bought, code_of, customer, market, refused_rows, sound
from tests.rewards.world import as_citizen, shelf


@pytest.fixture
def place(call: Call) -> Market:
    return market(call)


def _state(call: Call, who: Citizen, key: Key) -> State:
    return owned(as_citizen(call, who), key.voucher_id).state


def _refused(call: Call, codes: list[str]) -> tuple[str, str | None]:
    """Code and pointer; nothing of it stands."""
    with pytest.raises(Refusal) as refusal, call.db.begin_nested():
        redeem_together(call, codes)
    return refusal.value.code, refusal.value.pointer


def test_vouchers_of_several_citizens_are_used_together_in_the_order_of_their_codes(
    call: Call, place: Market
) -> None:
    people = [customer(call), customer(call)]
    shown = [(who, bought(call, place, who)) for who in (people[1], people[0], people[1], people[0])]
    codes = [code_of(call, who, key) for who, key in shown[:3]]
    codes.append(new_alias(as_citizen(call, shown[3][0]), shown[3][1].voucher_id).digits)
    done = redeem_together(place.at_till(call), codes)
    assert [each.voucher_id for each in done] == [key.voucher_id for _, key in shown]
    assert {_state(call, who, key) for who, key in shown} == {State.REDEEMED}
    assert call.db.execute(text("SELECT count(*) FROM redemption")).scalar_one() == 4
    sound(call)


@pytest.mark.parametrize("at_fault", range(4))
def test_one_code_at_fault_is_named_and_nothing_happens(call: Call, place: Market, at_fault: int) -> None:
    me = customer(call, 50_000)
    keys = [bought(call, place, me) for _ in range(4)]
    codes = [code_of(call, me, key) for key in keys]
    redeem(place.at_till(call), codes[at_fault])
    held = me.available(call)
    assert _refused(place.at_till(call), codes) == ("voucher_redeemed", f"/body/codes/{at_fault}")
    states = [_state(call, me, key) for key in keys]
    assert states.count(State.REDEEMED) == 1
    assert me.available(call) == held
    sound(call)


def test_of_several_at_fault_the_first_in_the_body_is_named(call: Call, place: Market) -> None:
    people = sorted((customer(call) for _ in range(3)), key=lambda who: who.id, reverse=True)
    shown = [(who, bought(call, place, who)) for who in people]
    codes = [code_of(call, who, key) for who, key in shown]
    redeem(place.at_till(call), codes[2])
    cancel(as_citizen(call, people[1]), shown[1][1].voucher_id)
    # The lock order is the citizens' order, which begins with the last code.
    assert _refused(place.at_till(call), codes) == ("voucher_ended", "/body/codes/1")
    assert _refused(place.at_till(call), [codes[0], codes[2], codes[1]]) == (
        "voucher_redeemed",
        "/body/codes/1",
    )
    forged = codes[0][:-1] + ("A" if codes[0][-1] != "A" else "B")
    assert _refused(place.at_till(call), [codes[1], forged]) == ("code_signature_wrong", "/body/codes/1")


def test_a_voucher_stands_in_a_batch_once_whatever_shows_it(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    now, later = (each.text for each in live_codes(as_citizen(call, me), key.voucher_id)[:2])
    digits = new_alias(as_citizen(call, me), key.voucher_id).digits
    for twice in ((now, now), (now, later), (now, digits), (digits, digits)):
        assert _refused(place.at_till(call), list(twice)) == (CodeTwice.code, "/body/codes/1")
    assert _state(call, me, key) is State.ISSUED
    assert redeem_together(place.at_till(call), [digits])[0].voucher_id == key.voucher_id


def test_every_no_of_a_scan_is_a_no_of_a_batch(call: Call, place: Market) -> None:
    me = customer(call, 50_000)
    fresh = code_of(call, me, bought(call, place, me))
    photographed = code_of(call, me, key := bought(call, place, me))
    reverse(place.at_till(call), redeem(place.at_till(call), photographed).id, reason="wrong item")
    assert key
    locked = code_of(call, me, bought(call, place, me))
    prepare(place.at_till(call, place.second_till), locked)
    mistyped = "880000000000000000"
    unknown = "88" + "0" * 15 + check_digit("88" + "0" * 15)
    mistyped = mistyped if check_digit(mistyped[:-1]) != mistyped[-1] else "880000000000000001"
    here = shelf(call, merchant_id=place.merchant_id, scope_no=place.scope_no)
    scoped = code_of(call, me, exchange(as_citizen(call, me), here.reward_id))
    for shown, refusal in (
        (photographed, "code_seen"),
        (locked, "voucher_locked"),
        (mistyped, "alias_mistyped"),
        (unknown, "alias_unknown"),
        (fresh[:-1], "code_wrong_length"),
    ):
        assert _refused(place.at_till(call), [fresh, shown]) == (refusal, "/body/codes/1")
    far = place.at_till(call, place.far_till)
    assert _refused(far, [scoped]) == ("code_for_another_store", "/body/codes/0")
    old = at(place.at_till(call), NOW + timedelta(seconds=90))
    assert _refused(old, [fresh]) == ("code_too_old", "/body/codes/0")
    revoke(call, place.far_till, reason="lost")
    assert _refused(far, [fresh])[0] == "terminal_not_paired"
    assert redeem_together(place.at_till(call), [fresh, scoped])


def test_a_frozen_account_in_a_batch_is_named_and_the_others_keep_their_coins(
    call: Call, place: Market
) -> None:
    people = sorted((customer(call) for _ in range(2)), key=lambda who: who.id)
    keys = [bought(call, place, who) for who in people]
    codes = [code_of(call, who, key) for who, key in zip(people, keys, strict=True)]
    freeze(call, people[1].accounts.coins["standard"], frozen=True)
    assert _refused(place.at_till(call), codes) == (AccountFrozen.code, "/body/codes/1")
    assert _state(call, people[0], keys[0]) is State.ISSUED
    sound(call)


def test_a_refused_batch_leaves_one_row_that_says_why(call: Call, place: Market) -> None:
    me = customer(call, 50_000)
    keys = [bought(call, place, me) for _ in range(2)]
    codes = [code_of(call, me, key) for key in keys]
    redeem(place.at_till(call), codes[1])
    together = partial(_together, codes)
    assert refused_rows(place.at_till(call), together) == "voucher_redeemed"
    rows = call.db.execute(text("SELECT refusal, voucher_id, terminal_id FROM scan_refusal")).all()
    assert [tuple(row) for row in rows] == [("voucher_redeemed", keys[1].voucher_id, place.till)]


def _together(codes: list[str], call: Call) -> object:
    return redeem_together(call, codes)


def test_wrong_numbers_in_batches_make_a_till_wait_too(call: Call, place: Market) -> None:
    wrong = "88" + "0" * 15 + check_digit("88" + "0" * 15)
    guess = partial(refused_rows, work=partial(_together, [wrong]))
    told = [guess(place.at_till(call)) for _ in range(6)]
    assert told == ["alias_unknown"] * 5 + ["too_many_wrong_numbers"]


def test_a_batch_asks_for_a_clerk_where_the_store_does(call: Call, place: Market) -> None:
    me = customer(call)
    staff = staff_of(call, place)
    ask(call, place, clerk_required=True)
    code = code_of(call, me, bought(call, place, me))
    assert _refused(place.at_till(call), [code]) == ("clerk_needed", "/body/codes/0")
    redeem_together(signed_in(call, place), [code])
    assert call.db.execute(text("SELECT clerk_id FROM redemption")).scalar_one() == staff.cashier
