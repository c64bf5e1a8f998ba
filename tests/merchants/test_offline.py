"""Tills that honour without asking: what they hand in is used once, and every second use has two parties."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.factory import Product
from kernel.clock import SHANGHAI, FixedClock, business_day
from kernel.identifiers import parse_public_id
from kernel.paging import PageRequest
from merchants.offline_conflicts import conflicts
from merchants.onboarding import add_store
from merchants.redemption_reversal import reverse
from merchants.simulated_terminal import CAP_REACHED, DRIFTED, NO_KIT, QUEUED, REDEEMED, RESTARTED
from merchants.statements import in_ledger, statement
from merchants.terminals import TERMINAL, new_terminal, pair
from rewards.errors import VoucherClosing
from rewards.live_codes import live_codes
from rewards.voucher_states import HELD, LIVE, TRANSITIONS, State
from rewards.vouchers import cancel, close_due, deactivate, expire_due, key_of
from tests.app.notifications.test_news import hear, read_by
from tests.conftest import NOW, Database
from tests.merchants.offline_world import COST_FEN, Town, balance_of, found_town
from tests.merchants.world import sound
from tests.rewards.world import as_citizen, rich_citizen, shelf

KIT = "/v1/terminal/offline-kit"
BATCHES = "/v1/terminal/offline-batches"


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return found_town(product, database, clock)


def cases(town: Town) -> list[tuple[str, str]]:
    return [(row.cause, row.liable) for row in town.rows("offline_conflict")]


def owed(town: Town) -> int:
    """What all funders owe all merchants."""
    (row,) = town.database.rows("SELECT sum(amount) AS fen FROM ledger_transfer WHERE code = 'PAYABLE'")
    return int(row.fen)


def test_a_voucher_is_honoured_without_the_network_and_used_when_it_is_back(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    key = town.buy(me)
    code = town.codes(me, key)[0]
    assert till.scan(code) == QUEUED
    assert till.scan(code) == "code_seen"
    assert town.state(me, key) == "issued"
    till.connected = True
    (done,) = till.sync()
    assert (done["outcome"], done["counter"]) == ("redeemed", 1)
    assert town.state(me, key) == "redeemed"
    assert (till.queue, cases(town)) == ([], [])
    (used,) = town.rows("redemption")
    assert (used.coin_milli, used.cost_fen) == (3000, COST_FEN)
    town.run(sound)


def test_a_code_names_the_store_only_where_the_rule_lets_it_be_honoured_offline(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    row = town.rows("reward")[0]

    def dearer(call: Any) -> Any:
        made = shelf(call, merchant_id=town.merchant_id, scope_no=row.scope_no, cost_fen=COST_FEN + 1)
        return made.reward_id

    key = town.buy(me, town.run(dearer))
    code = town.codes(me, key)[0]
    assert till.scan(code) == "code_online_only"
    assert town.rows("voucher")[0].offline_until is None
    till.connected = True
    assert till.scan(code) == REDEEMED


def test_without_a_rule_no_code_names_a_store_and_no_till_gets_a_kit(
    product: Product, database: Database, clock: FixedClock
) -> None:
    town = found_town(product, database, clock, offline=False)
    me, till = town.citizen(), town.till()
    code = town.codes(me, town.buy(me))[0]
    assert town.rows("voucher")[0].offline_until is None
    refused = town.ask("GET", KIT, None, token=till.state["token"], key="kit-0001")
    assert (refused[0], refused[1]["code"]) == (409, "offline_not_allowed")
    till.connected = False
    assert till.scan(code) == NO_KIT


def test_the_same_voucher_at_two_tills_is_one_redemption_and_one_case_with_both_parties(town: Town) -> None:
    me = town.citizen()
    key, first, second = town.buy(me), town.offline_till(), town.offline_till()
    codes = town.codes(me, key)
    assert [first.scan(codes[0]), second.scan(codes[0])] == [QUEUED, QUEUED]
    for till in (second, first):
        till.connected = True
    assert second.sync()[0]["outcome"] == "redeemed"
    (told,) = first.sync()
    assert told["outcome"] == "conflict"
    (case,) = town.rows("offline_conflict")
    (used,) = town.rows("redemption")
    assert case.terminal_id == parse_public_id(TERMINAL, first.state["terminal_id"])
    assert case.other_terminal_id == parse_public_id(TERMINAL, second.state["terminal_id"])
    assert (case.other_redemption_id, case.cause) == (used.id, "redeemed")
    assert (case.liable, case.cost_fen) == ("funders", COST_FEN)
    free, held = balance_of(town, me)
    assert (free, held) == (1_000_000 - 3000, 0)
    town.run(sound)


def test_what_funders_bear_stands_in_the_statement_and_in_the_ledger(town: Town) -> None:
    me = town.citizen()
    tills = [town.offline_till() for _ in range(3)]
    code = town.codes(me, town.buy(me))[0]
    for till in tills:
        assert till.scan(code) == QUEUED
        till.connected = True
        till.sync()
    told = town.run(lambda call: statement(call, town.merchant_id, call.today))
    assert [(line.what, line.payable_fen) for line in told.lines] == [
        ("redemption", COST_FEN),
        ("conflict", COST_FEN),
        ("conflict", COST_FEN),
    ]
    owed = town.run(lambda call: in_ledger(call, town.merchant_id, call.today))
    assert owed == (told.coin_milli, told.payable_fen) == (3000, 3 * COST_FEN)
    assert sum(each.payable_fen for each in told.by_funder) == 3 * COST_FEN
    town.run(sound)


@pytest.mark.parametrize(("liable", "borne"), [("funders", 2), ("merchant", 0)])
def test_funders_bear_no_more_than_one_till_may_honour(
    product: Product, database: Database, clock: FixedClock, liable: str, borne: int
) -> None:
    town = found_town(product, database, clock, redemptions=2, liable=liable)
    me, tills = town.citizen(), []
    for _ in range(4):
        code = town.codes(me, town.buy(me))[0]
        winner, loser = town.offline_till(), town.offline_till()
        tills.append((winner, loser, code))
    cheat = tills[0][1]
    for winner, _, code in tills:
        assert winner.scan(code) == QUEUED
    assert [cheat.scan(code) for *_, code in tills] == [QUEUED, QUEUED, CAP_REACHED, CAP_REACHED]
    cheat.state["kit"]["rule"]["most"] = 100  # a till whose software was changed
    assert [cheat.scan(code) for *_, code in tills[2:]] == [QUEUED, QUEUED]
    for till in [*(winner for winner, *_ in tills), cheat]:
        till.connected = True
        till.sync()
    assert [each for _, each in cases(town)] == ["funders"] * borne + ["merchant"] * (4 - borne)
    town.run(sound)


def test_offline_at_nine_in_the_evening_the_hold_due_at_midnight_handed_in_at_nine(town: Town) -> None:
    last_day = datetime(2026, 12, 20, 21, 0, tzinfo=SHANGHAI)
    me = town.citizen()
    key = town.buy(me)
    town.clock.at = last_day
    till = town.offline_till()
    assert till.scan(town.codes(me, key)[0]) == QUEUED
    town.clock.at = last_day + timedelta(hours=3, minutes=5)
    assert town.run(expire_due) == 1
    assert (town.state(me, key), town.run(close_due)) == ("closing", 0)
    assert balance_of(town, me) == (1_000_000 - 3000, 3000)
    assert town.run(expire_due) == 0
    with pytest.raises(VoucherClosing):
        town.run(lambda call: live_codes(as_citizen(call, me), key.voucher_id))
    town.run(sound)
    town.clock.at = last_day + timedelta(hours=12)
    till.connected = True
    assert till.sync()[0]["outcome"] == "redeemed"
    assert (town.state(me, key), cases(town)) == ("redeemed", [])
    assert balance_of(town, me) == (1_000_000 - 3000, 0)
    town.run(sound)


def test_a_voucher_that_closes_gives_its_coins_back_when_no_scan_can_arrive(town: Town) -> None:
    me = town.citizen()
    key = town.buy(me)
    till = town.offline_till()
    code = town.codes(me, key)[0]
    assert till.scan(code) == QUEUED
    back = town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
    until = town.rows("voucher")[0].offline_until
    assert (back.amount, back.closes_at) == (0, until)
    assert until == NOW + timedelta(seconds=600 + 30, hours=24)
    assert town.state(me, key) == "closing"
    with pytest.raises(VoucherClosing):
        town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
    town.clock.at = until - timedelta(microseconds=1)
    assert town.run(close_due) == 0
    town.clock.at = until
    assert town.run(close_due) == 1
    assert (town.state(me, key), balance_of(town, me)) == ("cancelled", (1_000_000, 0))
    town.run(sound)
    till.connected = True
    assert till.sync()[0]["outcome"] == "conflict"
    (case,) = town.rows("offline_conflict")
    assert (case.cause, case.other_principal) == ("cancelled", f"citizen:{me.id}")
    assert case.liable == "merchant"
    assert balance_of(town, me) == (1_000_000, 0)
    town.run(sound)


@pytest.mark.parametrize(
    ("ends_after", "late", "ended", "graced"),
    [(2, 0, 0, 0), (1, 0, 3000, 0), (1, 2, 3000, 0), (2, 1, 0, 3000)],
)
def test_who_cancelled_reads_what_came_back_when_the_voucher_had_to_wait(
    town: Town, ends_after: int, late: int, ended: int, graced: int
) -> None:
    ends = business_day(NOW) + timedelta(days=ends_after)
    me = town.run(lambda call: rich_citizen(call, 3000, ends=ends))
    key = town.buy(me)
    town.codes(me, key)
    assert town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id)).amount == 0
    assert town.run(lambda call: read_by(call, me.id)) == []
    town.later(hours=25)
    assert business_day(town.clock.now()) == business_day(NOW) + timedelta(days=1)
    town.later(days=late)
    assert town.run(close_due) == 1
    assert (town.state(me, key), balance_of(town, me)) == ("cancelled", (3000 - ended, 0))
    town.run(hear)
    [message] = town.run(lambda call: read_by(call, me.id))
    assert (message.kind, message.subject) == ("voucher_cancelled", key.public)
    assert message.facts == {
        "title_zh": "面包一份",
        "title_en": "A loaf of bread",
        "coin_milli": 3000,
        "ended_coin_milli": ended,
        "graced_coin_milli": graced,
    }
    assert ("3.00 of them were past their day and have ended" in message.says["en"]) == (ended > 0)
    assert ("3.00 因系统处理延迟" in message.says["zh"]) == (graced > 0)
    assert town.run(hear) == 0
    town.run(sound)


def test_who_cancelled_and_got_the_coins_at_once_is_told_by_the_answer_alone(town: Town) -> None:
    me = town.citizen()
    key = town.buy(me)
    assert town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id)).amount == 3000
    assert (town.run(hear), town.run(lambda call: read_by(call, me.id))) == (0, [])


def test_an_offline_vouchers_end_that_comes_late_counts_from_the_day_it_could_have_closed(town: Town) -> None:
    last_day = datetime(2026, 12, 20, 23, 58, tzinfo=SHANGHAI)
    me = town.run(lambda call: rich_citizen(call, 3000, ends=date(2026, 12, 23)))
    poor = town.run(lambda call: rich_citizen(call, 3000, ends=date(2026, 12, 22)))
    keys = town.buy(me), town.buy(poor)
    town.clock.at = last_day
    for who, key in zip((me, poor), keys, strict=True):
        town.codes(who, key)  # to be handed in until half a minute into the 22nd
    town.clock.at = last_day + timedelta(days=3)
    while town.run(expire_due):
        pass
    assert [town.state(who, key) for who, key in zip((me, poor), keys, strict=True)] == ["expired"] * 2
    assert (balance_of(town, me), balance_of(town, poor)) == ((3000, 0), (0, 0))
    town.run(hear)
    [mine], [theirs] = (town.run(lambda call, who=who: read_by(call, who.id)) for who in (me, poor))
    assert (mine.facts["ended_coin_milli"], mine.facts["graced_coin_milli"]) == (0, 3000)
    assert (theirs.facts["ended_coin_milli"], theirs.facts["graced_coin_milli"]) == (3000, 0)
    town.run(sound)


def test_a_cancelled_voucher_with_prefetched_codes_is_refused_online_and_denied_to_tills(town: Town) -> None:
    me = town.citizen()
    key, online = town.buy(me), town.till()
    code = town.codes(me, key)[0]
    town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
    assert online.scan(code) == "voucher_closing"
    online.refresh()
    online.connected = False
    assert online.scan(code) == "code_seen"
    late = town.till()
    assert len(late.state["kit"]["deny"]) == 1
    town.later(minutes=11)
    late.refresh()
    assert late.state["kit"]["deny"] == []


def test_a_till_that_was_offline_before_the_cancellation_still_uses_the_closing_voucher(town: Town) -> None:
    me = town.citizen()
    key, till = town.buy(me), town.offline_till()
    codes = town.codes(me, key)
    town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
    town.later(minutes=5)
    assert till.scan(codes[10]) == QUEUED
    till.connected = True
    assert till.sync()[0]["outcome"] == "redeemed"
    assert (town.state(me, key), balance_of(town, me)) == ("redeemed", (1_000_000 - 3000, 0))
    town.run(sound)


def test_what_a_till_honoured_online_and_then_offline_is_paid_once(town: Town) -> None:
    me = town.citizen()
    key, till = town.buy(me), town.offline_till()
    code = town.codes(me, key)[0]
    till.connected = True
    assert till.scan(code) == REDEEMED
    till.connected = False  # the answer was lost, say, and the clerk scans once more
    assert till.scan(code) == QUEUED
    till.connected = True
    assert till.sync()[0]["outcome"] == "conflict"
    (case,) = town.rows("offline_conflict")
    assert (case.cause, case.other_terminal_id, case.liable) == ("redeemed", case.terminal_id, "merchant")
    town.run(sound)


@pytest.mark.parametrize("ended_by", ["owner", "operator"])
def test_a_closing_voucher_that_a_till_used_and_reversed_is_over_and_its_coins_are_back(
    town: Town, ended_by: str
) -> None:
    me = town.citizen()
    key, till = town.buy(me), town.offline_till()
    code = town.codes(me, key)[0]
    if ended_by == "owner":
        town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
    else:
        town.run(lambda call: deactivate(call, key_of(call, key.voucher_id), reason="closed for repairs"))
    assert till.scan(code) == QUEUED
    till.connected = True
    assert till.sync()[0]["outcome"] == "redeemed"
    (used,) = town.rows("redemption")
    assert not town.run(lambda call: reverse(call, used.id, reason="wrong item")).lives_again
    assert (town.state(me, key), balance_of(town, me)) == ("expired", (1_000_000, 0))
    town.run(sound)


def test_a_deactivated_voucher_closes_too_and_names_the_operator(town: Town) -> None:
    me = town.citizen()
    key, till = town.buy(me), town.offline_till()
    code = town.codes(me, key)[0]
    assert till.scan(code) == QUEUED
    town.run(lambda call: deactivate(call, key_of(call, key.voucher_id), reason="closed for repairs"))
    town.later(hours=25)
    assert town.run(close_due) == 1
    assert town.state(me, key) == "deactivated"
    till.connected = True
    till.sync()
    (case,) = town.rows("offline_conflict")
    assert (case.cause, case.other_principal, case.liable) == ("deactivated", "system:-", "merchant")


def test_a_photograph_of_a_code_that_was_reversed_is_a_case(town: Town) -> None:
    me = town.citizen()
    key, online, offline = town.buy(me), town.till(), town.offline_till()
    photographed = town.codes(me, key)[0]
    assert online.scan(photographed) == REDEEMED
    (used,) = town.rows("redemption")
    town.run(lambda call: reverse(call, used.id, reason="wrong item"))
    assert online.scan(photographed) == "code_seen"
    assert offline.scan(photographed) == QUEUED
    offline.connected = True
    assert offline.sync()[0]["outcome"] == "conflict"
    (case,) = town.rows("offline_conflict")
    assert (case.cause, case.cycle, case.other_redemption_id) == ("reversed", 0, used.id)
    assert (town.state(me, key), balance_of(town, me)) == ("issued", (1_000_000 - 3000, 3000))
    town.run(sound)
    assert online.scan(town.codes(me, key)[0]) == REDEEMED
    town.run(sound)


def test_what_arrives_too_late_is_borne_by_the_merchant_and_the_citizen_keeps_the_voucher(town: Town) -> None:
    me = town.citizen()
    key, till = town.buy(me), town.offline_till()
    assert till.scan(town.codes(me, key)[0]) == QUEUED
    town.later(hours=24, seconds=61)
    till.connected = True
    assert till.sync()[0]["outcome"] == "conflict"
    assert cases(town) == [("late", "merchant")]
    assert town.state(me, key) == "issued"
    town.run(sound)


@pytest.mark.parametrize(("late_s", "liable"), [(0, "funders"), (1, "merchant")])
def test_what_was_used_elsewhere_and_arrives_too_late_is_borne_by_the_merchant(
    town: Town, late_s: int, liable: str
) -> None:
    me, online, till = town.citizen(), town.till(), town.offline_till()
    code = town.codes(me, town.buy(me))[0]
    assert [till.scan(code), online.scan(code)] == [QUEUED, REDEEMED]
    paid = owed(town)
    town.later(hours=24, seconds=60 + late_s)
    till.connected = True
    till.sync()
    assert cases(town) == [("redeemed", liable)]
    (case,) = town.rows("offline_conflict")
    assert case.other_terminal_id == parse_public_id(TERMINAL, online.state["terminal_id"])
    assert owed(town) == paid + (0 if late_s else COST_FEN)
    town.run(sound)


def test_a_batch_that_is_sent_again_is_answered_as_before(town: Town) -> None:
    me = town.citizen()
    till, other = town.offline_till(), town.offline_till()
    vouchers = [town.buy(me) for _ in range(3)]
    codes = [town.codes(me, key)[0] for key in vouchers]
    assert other.scan(codes[1]) == QUEUED
    assert [till.scan(code) for code in codes] == [QUEUED] * 3
    records = till.queue
    other.connected = till.connected = True
    other.sync()
    first = town.ask("POST", BATCHES, {"records": records}, token=till.state["token"], key="batch-one-0001")
    again = town.ask("POST", BATCHES, {"records": records}, token=till.state["token"], key="batch-two-0001")
    grown = town.ask("POST", BATCHES, {"records": records[1:]}, token=till.state["token"], key="batch-3-0001")
    assert first == again
    assert first[0] == 201
    assert [each["outcome"] for each in first[1]["outcomes"]] == ["redeemed", "conflict", "redeemed"]
    assert grown[1]["outcomes"] == first[1]["outcomes"][1:]
    assert (len(town.rows("redemption")), len(town.rows("offline_conflict"))) == (3, 1)
    town.run(sound)


def _accepted(till: Any, code: str, at_s: int, *, times: int) -> None:
    """The same code as often as told: a till whose memory of what it accepted was taken out."""
    for _ in range(times):
        _written(till, code, at_s)


def _refusals(outcomes: list[dict[str, Any]]) -> list[str]:
    return [each["refusal"] or each["outcome"] for each in outcomes]


@pytest.mark.parametrize("batches", [[3], [1, 2], [2, 1], [1, 1, 1]])
def test_one_code_handed_in_again_by_one_till_is_paid_once(town: Town, batches: list[int]) -> None:
    me, till = town.citizen(), town.offline_till()
    code, told = town.codes(me, town.buy(me))[0], list[str]()
    for times in batches:
        till.connected = False
        _accepted(till, code, town.seconds(), times=times)
        till.connected = True
        told += _refusals(till.sync())
    assert told == ["redeemed", "code_seen", "code_seen"]
    assert cases(town) == []
    assert owed(town) == COST_FEN
    town.run(sound)


def test_what_another_till_was_first_with_is_one_case_of_this_till_however_often(town: Town) -> None:
    me, first, second = town.citizen(), town.offline_till(), town.offline_till()
    codes = town.codes(me, town.buy(me))
    assert first.scan(codes[0]) == QUEUED
    first.connected = second.connected = True
    first.sync()
    told = []
    for _ in range(2):
        _accepted(second, codes[0], town.seconds(), times=2)
        _accepted(second, codes[1], town.seconds(), times=1)
        told += _refusals(second.sync())
    assert told == ["conflict", *["code_seen"] * 5]
    assert cases(town) == [("redeemed", "funders")]
    town.run(sound)


def test_the_code_of_a_frozen_citizen_is_one_case_also_when_the_account_is_free_again(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    key = town.buy(me)
    codes = town.codes(me, key)
    _accepted(till, codes[0], town.seconds(), times=2)
    town.run(lambda call: call.db.execute(text("UPDATE ledger_balance SET frozen = true")))
    till.connected = True
    assert _refusals(till.sync()) == ["conflict", "code_seen"]
    town.run(lambda call: call.db.execute(text("UPDATE ledger_balance SET frozen = false")))
    _accepted(till, codes[1], town.seconds(), times=1)
    assert _refusals(till.sync()) == ["code_seen"]
    assert cases(town) == [("frozen", "funders")]
    assert town.state(me, key) == "issued"
    town.run(sound)


def test_a_voucher_whose_record_came_too_late_is_still_used_at_the_same_till(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    key = town.buy(me)
    stale = town.codes(me, key)[0]
    assert till.scan(stale) == QUEUED
    town.later(hours=24, seconds=61)
    till.connected = True
    till.sync()
    till.connected = False
    assert till.scan(town.codes(me, key)[0]) == QUEUED
    till.connected = True
    assert _refusals(till.sync()) == ["redeemed"]
    assert (cases(town), town.state(me, key)) == ([("late", "merchant")], "redeemed")
    town.run(sound)


def test_a_till_remembers_a_use_until_it_handed_it_in(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    codes = town.codes(me, town.buy(me))
    assert till.scan(codes[0]) == QUEUED
    town.later(minutes=5)
    till.connected = True
    till.refresh()  # it sees the server, and its records stay where they are
    till.connected = False
    assert till.scan(codes[10]) == "code_seen"
    till.connected = True
    till.sync()
    till.connected = False
    assert till.scan(codes[10]) == "code_seen"


def _broken(records: list[dict[str, Any]], how: str) -> list[dict[str, Any]]:
    other = dict(records[1])
    if how == "a changed time":
        other["scanned_at_s"] += 1
    elif how == "another code":
        other["code"] = records[2]["code"]
    elif how == "a signature of another record":
        other["signature"] = records[2]["signature"]
    elif how == "another link":
        other["previous"] = records[2]["previous"]
    elif how == "a gap":
        return [records[0], records[2]]
    elif how == "the wrong order":
        return [records[0], records[2], records[1]]
    elif how == "one twice":
        return [records[0], records[0], *records[1:]]
    return [records[0], other, records[2]]


@pytest.mark.parametrize(
    "how",
    [
        "a changed time",
        "another code",
        "a signature of another record",
        "another link",
        "a gap",
        "the wrong order",
        "one twice",
    ],
)
def test_a_chain_is_taken_up_to_its_first_broken_link(town: Town, how: str) -> None:
    me, till = town.citizen(), town.offline_till()
    for _ in range(3):
        assert till.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    sent = _broken(till.queue, how)
    status, told = town.ask("POST", BATCHES, {"records": sent}, token=till.state["token"], key="broken-0001")
    assert (status, told["counter"], told["broken_at"]) == (201, 1, sent[1]["counter"])
    assert [row.counter for row in town.rows("offline_record")] == [1]
    status, told = town.ask(
        "POST", BATCHES, {"records": sent[1:]}, token=till.state["token"], key="broken-0002"
    )
    if how == "one twice":
        assert (status, told["counter"], told["broken_at"]) == (201, 3, None)
    else:
        assert (status, told["code"], told["facts"]["counter"]) == (409, "offline_chain_broken", 1)
    till.connected = True
    assert [each["outcome"] for each in till.sync()] == ["redeemed"] * 3
    assert len(town.rows("redemption")) == 3
    town.run(sound)


def test_a_till_cannot_rewrite_what_it_handed_in(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    before = dict(till.state)
    codes = [town.codes(me, town.buy(me))[0] for _ in range(2)]
    assert till.scan(codes[0]) == QUEUED
    till.connected = True
    till.sync()
    till.connected, till.state = False, {**before, "kit": till.state["kit"]}
    assert till.scan(codes[1]) == QUEUED  # a memory put back to an older day
    status, told = town.ask(
        "POST", BATCHES, {"records": till.queue}, token=till.state["token"], key="rewrite-0001"
    )
    assert (status, told["code"]) == (409, "offline_chain_broken")
    assert len(town.rows("redemption")) == 1


def test_records_of_another_till_are_no_records_of_this_one(town: Town) -> None:
    me, mine, other = town.citizen(), town.offline_till(), town.offline_till()
    assert mine.scan(town.codes(me, town.buy(me))[0]) == QUEUED
    status, told = town.ask(
        "POST", BATCHES, {"records": mine.queue}, token=other.state["token"], key="stolen-0001"
    )
    assert (status, told["code"]) == (409, "offline_chain_broken")


def _written(till: Any, code: str, at_s: int) -> None:
    """A record that the till's own rules would not have let it write."""
    till._write(code, at_s, seen_until_s=at_s + 60, code_id=bytes(16))


@pytest.mark.parametrize(
    ("offset_s", "refusal"),
    [(0, None), (-61, "code_not_yet_valid"), (30, None), (31, "offline_clock_wrong")],
)
def test_a_record_is_judged_by_the_rules_of_the_till_at_its_own_time(
    town: Town, offset_s: int, refusal: str | None
) -> None:
    me, till = town.citizen(), town.offline_till()
    code = town.codes(me, town.buy(me))[0]
    town.later(seconds=1)
    _written(till, code, town.seconds() + offset_s)
    till.connected = True
    (told,) = till.sync()
    assert told["refusal"] == refusal
    assert (told["outcome"] == "redeemed") == (refusal is None)


def test_a_clock_that_goes_back_within_the_chain_is_refused(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    first, second = (town.codes(me, town.buy(me)) for _ in range(2))
    town.later(minutes=5)
    _written(till, first[10], town.seconds())
    _written(till, second[0], town.seconds() - 290)
    till.connected = True
    assert [each["refusal"] for each in till.sync()] == [None, "offline_clock_wrong"]


def _handed_in(till: Any, records: list[tuple[str, int]], batches: list[int]) -> list[str]:
    """What becomes of records of these codes and times, handed in in batches of these sizes."""
    told, left = list[str](), iter(records)
    for size in batches:
        for _ in range(size):
            _written(till, *next(left))
        till.connected = True
        told += _refusals(till.sync())
    return told


@pytest.mark.parametrize("batches", [[3], [2, 1], [1, 2], [1, 1, 1]])
def test_a_record_that_was_refused_for_its_clock_sets_no_clock_in_any_batch(
    town: Town, batches: list[int]
) -> None:
    me, till = town.citizen(), town.offline_till()
    codes, now_s = [town.codes(me, town.buy(me))[0] for _ in range(3)], town.seconds()
    times = [now_s, now_s + 3600, now_s]
    told = _handed_in(till, list(zip(codes, times, strict=True)), batches)
    assert told == ["redeemed", "offline_clock_wrong", "redeemed"]
    (kit,) = {till.state["counter"], till.state["kit"]["counter"]}
    assert kit == 3
    town.run(sound)


@pytest.mark.parametrize("batches", [[4], [2, 2], [3, 1], [1, 1, 1, 1]])
def test_a_till_cannot_put_its_clock_back_with_a_record_that_it_throws_away(
    town: Town, batches: list[int]
) -> None:
    me, till = town.citizen(), town.offline_till()
    photographed, past_s = [town.codes(me, town.buy(me))[0] for _ in range(3)], town.seconds()
    town.later(hours=5)
    fresh = town.codes(me, town.buy(me))[0]
    records = [(fresh, town.seconds()), *((code, past_s) for code in photographed)]
    told = _handed_in(till, records, batches)
    assert told == ["redeemed", *["offline_clock_wrong"] * 3]
    town.run(sound)


def test_a_code_of_another_store_and_a_forged_one_are_refused_and_stay_refused(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    code = town.codes(me, town.buy(me))[0]
    forged = code[:-1] + ("A" if code[-1] != "A" else "B")
    far = town.run(lambda call: add_store(call, town.merchant_id, name_zh="二店", name_en="Second")).id
    elsewhere = town.till(store_id=far)
    for each in (till, elsewhere):
        each.connected = False
        _written(each, forged, town.seconds())
        _written(each, code, town.seconds())
        each.connected = True
    told = [each["refusal"] for each in elsewhere.sync()]
    assert told == ["code_signature_wrong", "code_for_another_store"]
    assert [each["refusal"] for each in till.sync()] == ["code_signature_wrong", None]
    assert [row.outcome for row in town.rows("offline_record")].count("refused") == 3


def test_a_frozen_citizen_is_not_charged_and_the_rule_says_who_bears_it(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    key = town.buy(me)
    assert till.scan(town.codes(me, key)[0]) == QUEUED
    town.run(lambda call: call.db.execute(text("UPDATE ledger_balance SET frozen = true")))
    till.connected = True
    assert till.sync()[0]["outcome"] == "conflict"
    assert cases(town) == [("frozen", "funders")]
    town.run(sound)


def test_a_till_that_prepared_the_voucher_loses_it_to_the_one_that_honoured_it(town: Town) -> None:
    me, online, offline = town.citizen(), town.till(), town.offline_till()
    key = town.buy(me)
    code = town.codes(me, key)[0]
    assert offline.scan(code) == QUEUED
    prepared = town.ask(
        "POST",
        "/v1/terminal/redemptions/prepare",
        {"code": code},
        token=online.state["token"],
        key="prepare-0001",
    )
    offline.connected = True
    assert offline.sync()[0]["outcome"] == "redeemed"
    status, told = town.ask(
        "POST",
        "/v1/terminal/redemptions/confirm",
        {"session": prepared[1]["session"]},
        token=online.state["token"],
        key="confirm-0001",
    )
    assert (status, told["code"]) == (410, "session_over")
    town.run(sound)


def test_a_till_without_a_key_of_its_own_works_online_only(town: Town) -> None:
    def paired_without(call: Any) -> str:
        return pair(call, new_terminal(call, town.store_id, label="old").code).token

    token = town.run(paired_without)
    kit = town.ask("GET", KIT, None, token=token, key="old-till-0001")
    zeros = {"code": "A" * 147, "previous": "0" * 64, "signature": "0" * 128}
    records = [{"counter": 1, "scanned_at_s": 1, **zeros}]
    batch = town.ask("POST", BATCHES, {"records": records}, token=token, key="old-till-0002")
    for status, told in (kit, batch):
        assert (status, told["code"]) == (409, "terminal_without_key")


def test_the_states_that_hold_coins_are_those_that_may_still_be_used_somewhere() -> None:
    assert {*LIVE, State.CLOSING} == set(HELD)
    assert TRANSITIONS[State.CLOSING] == {
        State.REDEEMED,
        State.EXPIRED,
        State.CANCELLED,
        State.DEACTIVATED,
    }


def test_merchants_read_their_cases_and_operators_the_regions(town: Town) -> None:
    me, tills = town.citizen(), [town.offline_till() for _ in range(3)]
    code = town.codes(me, town.buy(me))[0]
    for till in tills:
        till.scan(code)
        till.connected = True
        till.sync()
    first = town.run(lambda call: conflicts(call, PageRequest(limit=1), merchant_id=town.merchant_id))
    rest = town.run(
        lambda call: conflicts(call, PageRequest(limit=5, after=first.next), merchant_id=town.merchant_id)
    )
    everything = town.run(lambda call: conflicts(call, PageRequest()))
    assert [each.counter for each in (*first.items, *rest.items)] == [1, 1]
    assert list(everything.items) == [*first.items, *rest.items]
    assert rest.next is None
    assert {each.other_merchant_id for each in everything.items} == {town.merchant_id}
    nobody = town.run(lambda call: conflicts(call, PageRequest(), merchant_id=me.id))
    assert nobody.items == []


def test_after_a_restart_or_a_set_clock_a_till_accepts_nothing_until_it_saw_the_server(town: Town) -> None:
    me, till = town.citizen(), town.offline_till()
    code = town.codes(me, town.buy(me))[0]
    till.clocks.set_by_s = 31
    assert till.scan(code) == DRIFTED
    till.clocks.set_by_s = 0
    assert till.scan(code) == RESTARTED
    till.connected = True
    till.refresh()
    till.connected = False
    till.clocks.set_by_s = -30
    assert till.scan(code) == QUEUED
    till.lose_power()
    till.start()
    assert till.scan(town.codes(me, town.buy(me))[0]) == RESTARTED
    till.connected = True
    assert [each["outcome"] for each in till.sync()] == ["redeemed"]
