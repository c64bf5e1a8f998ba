"""A day of a merchant adds up however long it is, and its lines can be read to the last."""

import tracemalloc
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.paging import PageRequest, WrongCursor
from merchants.redemption import redeem
from merchants.redemption_reversal import reverse
from merchants.statements import StatementLine, in_ledger, more_lines, statement, statement_digest
from tests.conftest import NOW, at
from tests.merchants.world import Market, bought, code_of, customer, market


@pytest.fixture
def place(call: Call) -> Market:
    return market(call)


def test_a_statement_longer_than_its_first_lines_adds_up_and_the_other_lines_follow(
    call: Call, place: Market
) -> None:
    me = customer(call, 50_000)
    for number in range(5):
        now = at(call, NOW + timedelta(seconds=number // 2))  # also two lines of one instant
        done = redeem(place.at_till(now), code_of(now, me, bought(now, place, me)))
        if number == 3:
            reverse(place.at_till(now), done.id, reason="wrong item")
    whole = statement(call, place.merchant_id, call.today)
    assert (len(whole.lines), whole.next) == (6, None)
    told = statement(call, place.merchant_id, call.today, first=2)
    assert (list(told.lines), told.line_count) == (whole.lines[:2], 6)
    assert replace(told, lines=whole.lines, next=None) == whole
    assert (told.coin_milli, told.payable_fen) == in_ledger(call, place.merchant_id, call.today)
    assert sum(share.payable_fen for share in told.by_funder) == told.payable_fen == 2000
    for first, after in ((list(told.lines), told.next), (list[StatementLine](), None)):
        lines, cursor = first, after
        while cursor is not None or not lines:
            page = more_lines(call, place.merchant_id, call.today, PageRequest(limit=2, after=cursor))
            lines, cursor = [*lines, *page.items], page.next
        assert lines == whole.lines
        assert statement_digest(place.merchant_id, call.today, lines).hex() == told.digest


def test_a_days_cursor_is_refused_for_another_day_and_finds_nothing_when_it_was_made_up(
    call: Call, place: Market
) -> None:
    me = customer(call, 50_000)
    for _ in range(2):
        redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    told = statement(call, place.merchant_id, call.today, first=1)
    with pytest.raises(WrongCursor):
        more_lines(call, place.merchant_id, date(2026, 1, 1), PageRequest(after=told.next))
    nobody = StatementLine(**{**vars(told.lines[0]), "redemption_id": me.id})
    binding = f"statement/{place.merchant_id}/{call.today}"
    made_up = PageRequest(limit=1).page([nobody] * 2, binding, lambda line: [str(line.redemption_id), 7]).next
    assert more_lines(call, place.merchant_id, call.today, PageRequest(after=made_up)).items == []


def test_ten_thousand_lines_are_summed_and_hashed_in_bounded_memory(call: Call, place: Market) -> None:
    me = customer(call)
    redeem(place.at_till(call), code_of(call, me, bought(call, place, me)))
    call.db.execute(
        text(
            "INSERT INTO redemption SELECT gen_random_uuid(), region_id, holder_id, gen_random_uuid(), cycle,"
            " reward_id, merchant_id, store_id, terminal_id, coin_milli, cost_fen, payables, business_day,"
            " redeemed_at, reversible_until FROM redemption, generate_series(1, 9999)"
        )
    )
    tracemalloc.start()
    told = statement(call, place.merchant_id, call.today, first=10)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (told.line_count, told.payable_fen, len(told.lines)) == (10_000, 10_000 * 500, 10)
    assert sum(share.payable_fen for share in told.by_funder) == told.payable_fen
    assert most < 8_000_000
