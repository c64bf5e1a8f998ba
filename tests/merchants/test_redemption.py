"""At the till: used once, undone once, paid exactly, and every no leaves its reason."""

from collections import Counter
from datetime import date, timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.clock import business_day
from kernel.errors import NotFound
from ledger.accounts import freeze
from ledger.errors import AccountFrozen, AlreadyReversed
from ledger.reconciliation import reconcile
from ledger.statements import balances
from merchants.errors import ReversalWindowOver, SessionOver, TerminalNotPaired
from merchants.reconciliation import CHECKS
from merchants.redemption import confirm, prepare, redeem
from merchants.redemption_reversal import reverse
from merchants.statements import in_ledger, statement, statement_digest
from merchants.terminals import revoke
from rewards.errors import (
    CodeForAnotherStore,
    CodeSeen,
    VoucherForAnotherMerchant,
    VoucherLocked,
    VoucherRedeemed,
)
from rewards.exchange import exchange
from rewards.live_codes import check_digit, live_codes, new_alias
from rewards.voucher_states import LAST_CYCLE, State
from rewards.vouchers import cancel, owned, take
from tests.conftest import NOW, at
from tests.merchants.world import Market, bought, code_of, customer, market, refused_rows, sound
from tests.rewards.world import acting, as_citizen, rich_citizen, shelf

REVERSED_BY_HAND = """INSERT INTO redemption_reversal
    SELECT id, region_id, merchant_id, 'issued', '-', '-', business_day, redeemed_at FROM redemption"""


@pytest.fixture
def place(call: Call) -> Market:
    return market(call)


def _redeem(shown: str, call: Call) -> object:
    return redeem(call, shown)


def _refusals(call: Call) -> list[str]:
    return [row.refusal for row in call.db.execute(text("SELECT refusal FROM scan_refusal ORDER BY id"))]


def test_a_scanned_voucher_pays_the_merchant_and_names_who_owes(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    done = redeem(place.at_till(call), code_of(call, me, key))
    assert (done.coin_milli, done.payable_fen, done.cycle) == (3000, 500, 0)
    assert done.reversible_until == NOW + timedelta(hours=24)
    assert owned(as_citizen(call, me), key.voucher_id).state is State.REDEEMED
    assert in_ledger(call, place.merchant_id, call.today) == (3000, 500)
    rows = call.db.execute(text("SELECT reference, amount FROM ledger_transfer WHERE code = 'PAYABLE'")).all()
    assert sorted(row.amount for row in rows) == [167, 333]
    spent = call.db.execute(text("SELECT reference FROM ledger_transfer WHERE code = 'REDEEM'")).scalar_one()
    assert spent == f"voucher/{key.voucher_id}/0"
    sound(call)


def test_a_voucher_scanned_twice_is_redeemed_once_and_the_second_scan_says_when(
    call: Call, place: Market
) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    redeem(place.at_till(call), code)
    with pytest.raises(VoucherRedeemed) as again:
        redeem(place.at_till(call, place.far_till), code)
    assert again.value.facts == {"redeemed_at": NOW.isoformat(), "at_this_terminal": False}


def test_a_prepared_voucher_waits_for_its_till_alone_and_is_confirmed_once(call: Call, place: Market) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    prepared = prepare(place.at_till(call), code)
    assert prepared.confirm_before == NOW + timedelta(seconds=60)
    for attempt in (prepare, redeem):
        with pytest.raises(VoucherLocked):
            attempt(place.at_till(call, place.second_till), code)
    with pytest.raises(SessionOver):
        confirm(place.at_till(call, place.second_till), prepared.session)
    assert confirm(place.at_till(call), prepared.session).coin_milli == 3000
    with pytest.raises(SessionOver):
        confirm(place.at_till(call), prepared.session)
    sound(call)


def test_a_lapsed_reservation_is_over_and_another_till_may_scan(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    first = prepare(place.at_till(call), code_of(call, me, key))
    lapsed = at(call, NOW + timedelta(seconds=60))
    with pytest.raises(SessionOver):
        confirm(place.at_till(lapsed), first.session)
    second = prepare(place.at_till(lapsed, place.second_till), code_of(lapsed, me, key))
    with pytest.raises(SessionOver):
        confirm(place.at_till(lapsed), first.session)
    confirm(place.at_till(lapsed, place.second_till), second.session)
    sound(lapsed)


def test_redeem_reverse_redeem_pays_twice_and_only_twice(call: Call, place: Market) -> None:
    me = customer(call, 3000)
    key = bought(call, place, me)
    first = redeem(place.at_till(call), code_of(call, me, key))
    assert reverse(place.at_till(call), first.id, reason="wrong item").lives_again
    assert in_ledger(call, place.merchant_id, call.today) == (0, 0)
    assert me.available(call)["standard"] == 0
    second = redeem(place.at_till(call), code_of(call, me, key))
    assert second.cycle == 1
    with pytest.raises(AlreadyReversed):
        reverse(place.at_till(call), first.id, reason="again")
    paid = Counter(row.code for row in call.db.execute(text("SELECT code FROM ledger_transfer")))
    assert (paid["REDEEM"], paid["REDEEM_REVERSAL"], paid["PAYABLE"], paid["PAYABLE_REVERSAL"]) == (
        2,
        1,
        4,
        2,
    )
    assert in_ledger(call, place.merchant_id, call.today) == (3000, 500)
    sound(call)


def test_a_photographed_code_is_refused_after_a_reversal(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    photograph = code_of(call, me, key)
    done = redeem(place.at_till(call), photograph)
    reverse(place.at_till(call), done.id, reason="wrong item")
    with pytest.raises(CodeSeen):
        redeem(place.at_till(call), photograph)
    redeem(place.at_till(call), code_of(call, me, key))


def test_the_tenth_reversal_ends_the_voucher_and_the_coins_go_back(call: Call, place: Market) -> None:
    me = customer(call, 3000)
    key = bought(call, place, me)
    outcomes = []
    for _ in range(LAST_CYCLE + 1):
        done = redeem(place.at_till(call), code_of(call, me, key))
        outcomes.append(reverse(place.at_till(call), done.id, reason="again").lives_again)
    assert outcomes == [True] * 9 + [False]
    assert take(call, key).state is State.EXPIRED
    assert me.available(call)["standard"] == 3000
    sound(call)


def test_a_reversal_into_an_ended_voucher_gives_coins_past_their_day_their_grace(call: Call) -> None:
    place = market(call, valid_days=1)
    ends = business_day(NOW) + timedelta(days=2)
    me = rich_citizen(call, 3000, ends=ends)
    key = bought(call, place, me)
    late = at(call, NOW + timedelta(days=1, hours=11))
    done = redeem(place.at_till(late), code_of(late, me, key))
    ended = at(call, late.now + timedelta(hours=23))
    assert not reverse(place.at_till(ended), done.id, reason="sold out").lives_again
    assert me.available(ended)["standard"] == 3000
    assert me.available(at(call, ended.now + timedelta(days=31)))["standard"] == 0
    sound(ended)


def test_only_the_same_store_or_an_operator_reverses_and_only_in_time(call: Call, place: Market) -> None:
    me = customer(call)
    one, two = (redeem(place.at_till(call), code_of(call, me, bought(call, place, me))) for _ in range(2))
    with pytest.raises(NotFound):
        reverse(place.at_till(call, place.far_till), one.id, reason="not mine")
    with pytest.raises(NotFound):
        reverse(acting(call, ActorKind.CITIZEN, me.id), one.id, reason="not mine")
    with pytest.raises(ReversalWindowOver):
        reverse(place.at_till(at(call, NOW + timedelta(hours=24))), one.id, reason="late")
    assert reverse(place.at_till(call, place.second_till), one.id, reason="same store").lives_again
    assert reverse(acting(call, ActorKind.OPERATOR), two.id, reason="complaint").lives_again
    sound(call)


def test_a_voucher_of_one_merchant_or_store_is_not_honoured_elsewhere(call: Call, place: Market) -> None:
    me = customer(call)
    here = shelf(call, merchant_id=place.merchant_id, scope_no=place.scope_no)
    key = exchange(as_citizen(call, me), here.reward_id)
    code = code_of(call, me, key)
    with pytest.raises(CodeForAnotherStore):
        redeem(place.at_till(call, place.far_till), code)
    alias = new_alias(as_citizen(call, me), key.voucher_id)
    with pytest.raises(CodeForAnotherStore), call.db.begin_nested():
        redeem(place.at_till(call, place.far_till), alias.digits)
    other = market_of_another(call, me)
    with pytest.raises(VoucherForAnotherMerchant):
        redeem(place.at_till(call), other)
    assert redeem(place.at_till(call), alias.digits).coin_milli == 3000


def market_of_another(call: Call, me: object) -> str:
    """A code of a voucher that another merchant honours."""
    from merchants.onboarding import add_merchant  # noqa: PLC0415 - this case alone
    from tests.ledger.world import Citizen  # noqa: PLC0415 - this case alone

    assert isinstance(me, Citizen)
    merchant = add_merchant(call, name_zh="另一家", name_en="Another")
    there = shelf(call, merchant_id=merchant)
    return code_of(call, me, exchange(as_citizen(call, me), there.reward_id))


def test_a_revoked_or_unknown_till_redeems_nothing(call: Call, place: Market) -> None:
    me = customer(call)
    code = code_of(call, me, bought(call, place, me))
    revoke(call, place.till, reason="lost")
    for till in (place.till, me.id):
        with pytest.raises(TerminalNotPaired):
            redeem(place.at_till(call, till), code)
    assert redeem(place.at_till(call, place.second_till), code).coin_milli == 3000


def test_every_refused_scan_leaves_where_when_and_why_but_not_the_code(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    code = code_of(call, me, key)
    outcomes = [
        refused_rows(place.at_till(call), partial(_redeem, shown)) for shown in (code[:-1], code, code)
    ]
    assert outcomes == ["code_wrong_length", None, "voucher_redeemed"]
    assert _refusals(call) == ["code_wrong_length", "voucher_redeemed"]
    kept = call.db.execute(text("SELECT to_jsonb(s)::text AS row FROM scan_refusal s")).scalars().all()
    assert not any(code[10:40] in row for row in kept)
    assert sum(str(key.voucher_id) in row for row in kept) == 1


def test_five_wrong_numbers_within_a_minute_make_a_till_wait(call: Call, place: Market) -> None:
    me = customer(call)
    alias = new_alias(as_citizen(call, me), bought(call, place, me).voucher_id).digits
    wrong = "88" + "0" * 15 + check_digit("88" + "0" * 15)
    guess = partial(refused_rows, work=partial(_redeem, wrong))
    assert [guess(place.at_till(call)) for _ in range(6)] == ["alias_unknown"] * 5 + [
        "too_many_wrong_numbers"
    ]
    right = partial(_redeem, alias)
    assert refused_rows(place.at_till(call), right) == "too_many_wrong_numbers"
    assert refused_rows(place.at_till(call, place.second_till), right) is None


def test_a_frozen_account_redeems_nothing_and_loses_nothing(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    code = code_of(call, me, key)
    freeze(call, me.accounts.coins["standard"], frozen=True)
    with pytest.raises(AccountFrozen), call.db.begin_nested():
        redeem(place.at_till(call), code)
    freeze(call, me.accounts.coins["standard"], frozen=False)
    assert redeem(place.at_till(call), code).coin_milli == 3000
    sound(call)


def test_a_redemption_works_when_every_coin_is_held(call: Call, place: Market) -> None:
    me = customer(call, 6000)
    keys = [bought(call, place, me) for _ in range(2)]
    assert me.available(call)["standard"] == 0
    for key in keys:
        redeem(place.at_till(call), code_of(call, me, key))
    assert {b.posted for b in balances(call, me.id)} == {0}
    sound(call)


def test_a_days_statement_equals_the_ledger_and_its_digest_can_be_made_again(
    call: Call, place: Market
) -> None:
    me = customer(call, 50_000)
    today = [redeem(place.at_till(call), code_of(call, me, bought(call, place, me))) for _ in range(4)]
    tomorrow = at(call, NOW + timedelta(hours=20))
    reverse(place.at_till(tomorrow), today[0].id, reason="wrong item")
    redeem(place.at_till(tomorrow), code_of(tomorrow, me, bought(tomorrow, place, me)))
    for when, lines, coins, fen in ((call, 4, 12_000, 2000), (tomorrow, 2, 0, 0)):
        told = statement(when, place.merchant_id, when.today)
        assert len(told.lines) == lines
        assert (
            (told.coin_milli, told.payable_fen)
            == (coins, fen)
            == in_ledger(when, place.merchant_id, when.today)
        )
        assert sum(share.payable_fen for share in told.by_funder) == fen
        assert statement_digest(place.merchant_id, when.today, told.lines).hex() == told.digest
        assert statement_digest(place.merchant_id, when.today, told.lines[1:]).hex() != told.digest
    first = statement(call, place.merchant_id, call.today)
    assert {s.funder_id: s.payable_fen for s in first.by_funder} == dict(
        zip(place.funders, (1332, 668), strict=True)
    )
    assert statement(call, place.merchant_id, date(2026, 1, 1)).lines == []
    with pytest.raises(NotFound):
        statement(call, me.id, call.today)


def test_a_cancelled_voucher_is_worth_nothing_at_the_till(call: Call, place: Market) -> None:
    me = customer(call)
    key = bought(call, place, me)
    code = code_of(call, me, key)
    cancel(as_citizen(call, me), key.voucher_id)
    assert refused_rows(place.at_till(call), lambda inner: redeem(inner, code)) == "voucher_ended"
    assert (
        refused_rows(as_citizen(call, me), lambda inner: live_codes(inner, key.voucher_id)) == "voucher_ended"
    )


@pytest.mark.parametrize("table", ["redemption", "redemption_reversal", "scan_refusal"])
def test_the_application_may_not_change_what_was_honoured(call: Call, place: Market, table: str) -> None:
    for statement_ in (f"DELETE FROM {table}", f"UPDATE {table} SET region_id = region_id"):  # noqa: S608 - a fixed list
        with pytest.raises(DBAPIError, match="permission denied"), call.db.begin_nested():
            call.db.execute(text(statement_))


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE redemption SET coin_milli = coin_milli + 1",
        "UPDATE redemption SET cost_fen = cost_fen + 1",
        "DELETE FROM redemption",
        "DELETE FROM ledger_transfer WHERE code = 'PAYABLE' AND amount = 167",
        "DELETE FROM ledger_transfer WHERE code = 'REDEEM'",
        "UPDATE voucher SET state = 'issued'",
        REVERSED_BY_HAND,
    ],
)
def test_a_redemption_broken_by_hand_is_named(call: Call, place: Market, harm: str) -> None:
    me = customer(call)
    redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    sound(call)
    call.db.execute(text("SET LOCAL ROLE NONE"))
    call.db.execute(text(harm))
    assert "L7" in {outcome.check.name for outcome in reconcile(call, CHECKS) if not outcome.holds}
