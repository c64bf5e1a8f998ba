"""Merchant and operation centre agree, or not: confirmed, disputed, answered, paid once, adjusted by two."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from marshmallow import ValidationError
from sqlalchemy import text

from kernel.actor import Actor
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id, public_id
from kernel.paging import PageRequest
from merchants.settlement import figures, settlement_verifier
from merchants.settlement.adjustments import Correction, adjustments, decide, propose
from merchants.settlement.agreement import (
    REJECTED,
    UPHELD,
    Named,
    answer,
    confirm,
    confirm_silent,
    dispute,
)
from merchants.settlement.bundle import bundle
from merchants.settlement.errors import (
    AdjustmentDecided,
    AnswerWrong,
    BankStatementUsed,
    DisputeWindowOver,
    LineUnknown,
    NotSettled,
    PayerClosedIt,
    ProposerCannotDecide,
    SettlementElsewhere,
    SettlementPaid,
    TakenBackBefore,
)
from merchants.settlement.files import sheet_of
from merchants.settlement.payment import pay
from merchants.settlement.records import Told, settlement_of, settlements
from merchants.settlement.rederiving import rederive
from merchants.settlement.schemas import TakesSettlementPayment
from merchants.settlement.states import TRANSITIONS, Standing, State, What
from tests.conftest import NOW, at
from tests.merchants.settlement_world import (
    CLOSING,
    Work,
    clerk,
    closed,
    lines_of,
    merchant_has,
    operator,
    publish_terms,
    sound,
    undone,
    used,
)
from tests.merchants.world import Market, customer, market

A_DAY = timedelta(days=1)
LATER = CLOSING + A_DAY


@pytest.fixture
def place(call: Call) -> Market:
    made = market(call)
    publish_terms(call)
    return made


@pytest.fixture
def told(call: Call, place: Market) -> Told:
    """A closed settlement of three uses, one of them reversed."""
    me = customer(call, 100_000)
    done = [used(call, place, me) for _ in range(3)]
    undone(call, place, done[1].id, now=NOW + timedelta(minutes=1))
    return closed(call, place)[0]


def _as(call: Call, who: Actor, *, now: object = CLOSING) -> Call:
    return replace(at(call, CLOSING), actor=who) if now is CLOSING else replace(call, actor=who, now=now)  # type: ignore[arg-type]  # an instant


def test_a_merchant_confirms_and_the_bank_pays_once(call: Call, place: Market, told: Told) -> None:
    confirmed = confirm(_as(call, clerk(place)), told.id)
    assert confirmed.state is State.CONFIRMED
    paid = pay(_as(call, operator()), told.id, bank_statement_id="ICBC-1")
    assert paid.state is State.PAID
    assert paid.payment is not None
    assert (paid.payment["bank_statement_id"], paid.payment["paid_fen"]) == ("ICBC-1", 1000)
    again = pay(_as(call, operator()), told.id, bank_statement_id="ICBC-1")
    assert again == paid
    with pytest.raises(SettlementPaid):
        pay(_as(call, operator()), told.id, bank_statement_id="ICBC-2")
    booked = call.db.execute(text("SELECT code, amount FROM ledger_transfer WHERE code IN ('SETTLE','PAID')"))
    assert sorted((row.code, row.amount) for row in booked) == [
        ("PAID", -1000),
        ("SETTLE", -6000),
        ("SETTLE", -1000),
    ]
    sound(call)


def test_a_bank_statement_pays_one_settlement(call: Call, place: Market, told: Told) -> None:
    used(call, place, customer(call), now=NOW + A_DAY)
    (other,) = closed(call, place, now=LATER)
    for each in (told, other):
        confirm(_as(call, clerk(place)), each.id)
    pay(_as(call, operator()), told.id, bank_statement_id="ICBC-1")
    with pytest.raises(BankStatementUsed):
        pay(_as(call, operator()), other.id, bank_statement_id="ICBC-1")
    assert settlement_of(call, other.id).state is State.CONFIRMED


def test_who_closed_does_not_pay_and_nothing_is_paid_that_nobody_confirmed(
    call: Call, place: Market, told: Told
) -> None:
    with pytest.raises(SettlementElsewhere):
        pay(_as(call, operator()), told.id, bank_statement_id="ICBC-1")
    confirm(_as(call, clerk(place)), told.id)
    with pytest.raises(PayerClosedIt):
        pay(at(call, CLOSING), told.id, bank_statement_id="ICBC-1")


def test_silence_confirms_once_the_window_is_over_where_the_rule_says_so(
    call: Call, place: Market, told: Told
) -> None:
    assert told.dispute_until is not None
    assert confirm_silent(at(call, told.dispute_until - timedelta(seconds=1))) == 0
    assert confirm_silent(at(call, told.dispute_until)) == 1
    assert confirm_silent(at(call, told.dispute_until)) == 0
    assert settlement_of(call, told.id).state is State.CONFIRMED


def test_silence_waits_where_the_rule_says_so(call: Call) -> None:
    place = market(call)
    publish_terms(call, silence="waits")
    used(call, place, customer(call))
    (told,) = closed(call, place)
    assert confirm_silent(at(call, CLOSING + 90 * A_DAY)) == 0
    with pytest.raises(DisputeWindowOver):
        dispute(_as(call, clerk(place), now=CLOSING + 90 * A_DAY), told.id, lines=[], reason="too late")
    assert confirm(_as(call, clerk(place), now=CLOSING + 90 * A_DAY), told.id).state is State.CONFIRMED


def test_a_dispute_names_lines_of_its_settlement_once(call: Call, place: Market, told: Told) -> None:
    line = lines_of(call, told)[0]
    with pytest.raises(LineUnknown) as refused:
        dispute(
            _as(call, clerk(place)),
            told.id,
            lines=[
                Named(what=line.what, subject_id=line.subject_id),
                Named(what=What.CONFLICT, subject_id=line.subject_id),
            ],
            reason="one is wrong",
        )
    assert refused.value.pointer == "/body/lines/1"
    named = [Named(what=line.what, subject_id=line.subject_id)]
    disputed = dispute(_as(call, clerk(place)), told.id, lines=named, reason="one is wrong")
    assert disputed.state is State.DISPUTED
    assert disputed.dispute is not None
    assert disputed.dispute["lines"] == [{"what": "redemption", "id": line.public}]
    tried: tuple[Work, ...] = (
        lambda call: dispute(call, told.id, lines=[], reason="all is wrong"),
        lambda call: confirm(call, told.id),
    )
    for again in tried:
        with pytest.raises(SettlementElsewhere):
            again(_as(call, clerk(place)))


def test_a_rejected_dispute_leaves_the_settlement_to_be_paid(call: Call, place: Market, told: Told) -> None:
    dispute(_as(call, clerk(place)), told.id, lines=[], reason="all is wrong")
    with pytest.raises(AnswerWrong):
        answer(_as(call, operator()), told.id, ruling=UPHELD, reason="so it is", corrections=[])
    done = answer(_as(call, operator()), told.id, ruling=REJECTED, reason="it is right", corrections=[])
    assert (done.state, done.payable_fen) == (State.CONFIRMED, told.payable_fen)
    assert pay(_as(call, operator()), told.id, bank_statement_id="B-7").state is State.PAID
    sound(call)


def test_what_is_upheld_is_adjusted_by_a_further_person_in_the_next_settlement(
    call: Call, place: Market, told: Told
) -> None:
    dispute(_as(call, clerk(place)), told.id, lines=[], reason="one is missing")
    answering, approving = operator(), operator()
    more = Correction(reason="a scan got lost", funder_id=place.funders[0], payable_fen=500)
    answer(_as(call, answering), told.id, ruling=UPHELD, reason="one is missing", corrections=[more])
    (proposed,) = adjustments(call, PageRequest(), state="proposed").items
    assert (proposed.payable_fen, proposed.settlement_id) == (500, told.id)
    with pytest.raises(ProposerCannotDecide):
        decide(_as(call, answering), proposed.id, decision=Standing.APPROVED, reason="by myself")
    approved = decide(_as(call, approving), proposed.id, decision=Standing.APPROVED, reason="seen")
    assert approved.state is Standing.APPROVED
    for decision in (Standing.APPROVED, Standing.REJECTED):
        with pytest.raises(AdjustmentDecided):
            decide(_as(call, operator()), proposed.id, decision=decision, reason="again")
    assert merchant_has(call, place) == (0, 500)
    (next_one,) = closed(call, place, now=CLOSING + 2 * A_DAY)
    (line,) = lines_of(call, next_one)
    assert (line.what, line.payable_fen, line.subject_id) == (What.ADJUSTMENT, 500, proposed.id)
    assert merchant_has(call, place) == (0, 0)
    assert adjustments(call, PageRequest()).items[0].settled_in == next_one.id
    sound(call, now=CLOSING + 2 * A_DAY)


def test_a_settled_use_is_taken_back_whole_once_and_its_coins_go_home(call: Call, place: Market) -> None:
    me = customer(call, 9000)
    done = used(call, place, me)
    (told,) = closed(call, place)
    before = me.available(call)["standard"]
    back = Correction(reason="the bread was bad", redemption_id=done.id)
    made = propose(_as(call, operator()), told.id, back)
    with pytest.raises(TakenBackBefore):
        propose(_as(call, operator()), told.id, back)
    decide(_as(call, operator()), made.id, decision=Standing.APPROVED, reason="seen")
    assert me.available(call)["standard"] == before + 3000
    assert merchant_has(call, place) == (-3000, -500)
    # Alone it would leave the merchant owing: it waits for a settlement that can bear it.
    assert closed(call, place, now=CLOSING + 3 * A_DAY) == []
    for _ in range(2):
        used(call, place, customer(call), now=CLOSING + 3 * A_DAY)
    (later,) = closed(call, place, now=CLOSING + 5 * A_DAY)
    assert (later.payable_fen, later.coin_milli, later.line_count) == (500, 3000, 3)
    assert merchant_has(call, place) == (0, 0)
    sound(call, now=CLOSING + 5 * A_DAY)


def _adjusted(call: Call, place: Market, told: Told, *amounts: int) -> None:
    """Amounts of one funder, approved one second after the other."""
    for number, fen in enumerate(amounts):
        then = replace(call, now=CLOSING + timedelta(seconds=number))
        more = Correction(reason="by hand", funder_id=place.funders[0], payable_fen=fen)
        made = propose(replace(then, actor=operator()), told.id, more)
        decide(replace(then, actor=operator()), made.id, decision=Standing.APPROVED, reason="seen")


def _bundled(call: Call, told: Told) -> dict[str, Any]:
    return dict(json.loads(b"".join(bundle(sheet_of(call, told.id, lambda work: work(call))))))


def _waiting(call: Call) -> list[int]:
    found = adjustments(call, PageRequest(), state="approved").items
    return [each.payable_fen for each in found if each.settled_in is None]


@pytest.mark.parametrize(
    ("uses", "amounts", "payable"), [(0, (-800, 1000), 200), (1, (-800, 400), 100), (0, (-800, 500, 300), 0)]
)
def test_what_brings_something_bears_what_takes_something_in_the_same_settlement(
    call: Call, place: Market, told: Told, uses: int, amounts: tuple[int, ...], payable: int
) -> None:
    """Whichever was approved first: a merchant is not paid what it is asked for by the next settlement."""
    _adjusted(call, place, told, *amounts)
    for _ in range(uses):
        used(call, place, customer(call), now=CLOSING)
    (later,) = closed(call, place, now=CLOSING + 2 * A_DAY)
    assert (later.payable_fen, later.line_count) == (payable, uses + len(amounts))
    assert _waiting(call) == []
    assert rederive(call, later.id).equal
    assert settlement_verifier.faults(_bundled(call, later)) == []
    assert merchant_has(call, place) == (0, 0)
    sound(call, now=CLOSING + 2 * A_DAY)


def test_what_nothing_can_bear_keeps_nothing_else_waiting(
    call: Call, place: Market, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much of it waits: a closing reads only so many adjustments."""
    monkeypatch.setattr(figures, "MOST_ADJUSTMENTS", 2)
    _adjusted(call, place, told, -9000, -9001, -9002, 700, -200)
    (later,) = closed(call, place, now=CLOSING + 2 * A_DAY)
    assert (later.payable_fen, later.line_count) == (500, 2)
    assert sorted(_waiting(call)) == [-9002, -9001, -9000]
    sound(call, now=CLOSING + 2 * A_DAY)


def test_a_rejected_adjustment_moves_nothing_and_may_be_proposed_again(call: Call, place: Market) -> None:
    done = used(call, place, customer(call))
    (told,) = closed(call, place)
    back = Correction(reason="the bread was bad", redemption_id=done.id)
    made = propose(_as(call, operator()), told.id, back)
    decide(_as(call, operator()), made.id, decision=Standing.REJECTED, reason="it was good")
    assert merchant_has(call, place) == (0, 0)
    propose(_as(call, operator()), told.id, back)
    sound(call)


def test_only_a_settled_use_that_stood_is_taken_back(call: Call, place: Market, told: Told) -> None:
    reversed_one = next(line for line in lines_of(call, told) if line.what is What.REVERSAL)
    for redemption in (reversed_one.subject_id, new_id()):
        with pytest.raises(NotSettled):
            propose(_as(call, operator()), told.id, Correction(reason="why", redemption_id=redemption))
    with pytest.raises(NotFound):
        propose(_as(call, operator()), told.id, Correction(reason="w", funder_id=new_id(), payable_fen=5))


def test_another_merchant_and_another_region_find_nothing(call: Call, place: Market, told: Told) -> None:
    stranger = replace(clerk(place), organisation_id=new_id())
    elsewhere = replace(operator(), region_id="CN-GD")
    works: tuple[Work, ...] = (
        lambda call: settlement_of(call, told.id),
        lambda call: confirm(call, told.id),
        lambda call: dispute(call, told.id, lines=[], reason="mine"),
        lambda call: pay(call, told.id, bank_statement_id="X"),
    )
    for who in (stranger, elsewhere):
        for work in works:
            with pytest.raises(NotFound):
                work(_as(call, who))
    assert settlements(_as(call, elsewhere), PageRequest()).items == []


def test_the_fee_and_the_subsidy_are_lines_of_their_own_and_rows_of_the_ledger(call: Call) -> None:
    place = market(call)
    publish_terms(call, fee_basis_points=125, fee_fen_each=7, subsidy_basis_points=33, subsidy_fen_each=10)
    me = customer(call, 100_000)
    done = [used(call, place, me) for _ in range(4)]
    undone(call, place, done[0].id)
    (told,) = closed(call, place)
    extra = {line.what: line for line in lines_of(call, told) if line.what in {What.FEE, What.SUBSIDY}}
    # 1500 fen of three uses: 18.75 + 21; of the subsidy 999 and 501 fen: 3.29 + 19.98 and 1.65 + 10.02.
    assert (extra[What.FEE].payable_fen, extra[What.FEE].centre_fen, extra[What.FEE].shares) == (-39, 39, {})
    assert extra[What.SUBSIDY].shares == {place.funders[0]: 22, place.funders[1]: 11}
    assert told.payable_fen == 1500 - 39 + 33
    assert merchant_has(call, place) == (0, 0)
    sound(call)


def test_funders_and_the_centre_may_bear_them_instead(call: Call) -> None:
    place = market(call)
    publish_terms(
        call,
        fee_basis_points=100,
        fee_bearer="funders",
        subsidy_fen_each=10,
        subsidy_bearer="centre",
    )
    used(call, place, customer(call))
    (told,) = closed(call, place)
    extra = {line.what: line for line in lines_of(call, told)}
    assert extra[What.FEE].shares == {place.funders[0]: 3, place.funders[1]: 1}
    assert (extra[What.FEE].payable_fen, extra[What.FEE].centre_fen) == (0, 4)
    assert (extra[What.SUBSIDY].payable_fen, extra[What.SUBSIDY].centre_fen) == (10, -10)
    assert told.payable_fen == 510
    sound(call)


def test_every_way_between_states_is_gone_or_refused() -> None:
    assert {state: set(after) for state, after in TRANSITIONS.items()} == {
        State.OPEN: {State.CLOSED},
        State.CLOSED: {State.CONFIRMED, State.DISPUTED},
        State.DISPUTED: {State.CONFIRMED},
        State.CONFIRMED: {State.PAID},
        State.PAID: set(),
    }


def test_settlements_that_come_to_nothing_are_paid_under_their_own_ids(call: Call, place: Market) -> None:
    """Whatever the caller sends: no line of the bank's statement is taken for them, none is invented."""
    found = []
    for day in (NOW, NOW + A_DAY):
        done = used(call, place, customer(call), now=day)
        undone(call, place, done.id, now=day)
        found += closed(call, place, now=day + 2 * A_DAY)
    assert [told.payable_fen for told in found] == [0, 0]
    for told in found:
        confirm(_as(call, clerk(place)), told.id)
        for sent in ("NONE", "OTHER"):
            paid = pay(_as(call, operator()), told.id, bank_statement_id=sent)
            assert paid.payment is not None
            assert paid.state is State.PAID
            assert paid.payment["bank_statement_id"] == public_id("stl", told.id)
    used(call, place, customer(call), now=NOW + 4 * A_DAY)
    (other,) = closed(call, place, now=NOW + 6 * A_DAY)
    confirm(_as(call, clerk(place)), other.id)
    assert pay(_as(call, operator()), other.id, bank_statement_id="NONE").state is State.PAID
    sound(call, now=NOW + 6 * A_DAY)


ID = "bank_statement_id"


@pytest.mark.parametrize("bank", ["ICBC-1", "X", "0", "ABC/2026.12_05-7", "9" * 64])
def test_a_banks_id_has_one_way_to_be_written(bank: str) -> None:
    assert TakesSettlementPayment().load({ID: bank}) == {ID: bank}


@pytest.mark.parametrize(
    "bank",
    [
        "x-1",
        "X-1 ",
        " X-1",
        "X 1",
        "\uff38-1",
        "X\uff0d1",
        "X\u20111",
        "X-\u0661",
        "X-1\n",
        "-",
        "",
        "9" * 65,
        7,
    ],
)
def test_a_banks_id_written_otherwise_is_refused_at_its_field(bank: Any) -> None:
    with pytest.raises(ValidationError) as refused:
        TakesSettlementPayment().load({ID: bank})
    assert list(refused.value.messages_dict) == [ID]
