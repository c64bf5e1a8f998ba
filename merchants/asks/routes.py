"""URLs of what owners of dear vouchers are asked, and of the tills that wait; no logic."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import fields

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import Gives, Instant, PageQuery, PublicId, Takes, Text, Whole
from kernel.http.problems import refused
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from merchants.asks.asking import ASK, Ask, Standing, answer, asks, override, standing
from merchants.clerks.schemas import NUMBER, PIN
from merchants.redemption import REDEMPTION
from merchants.schemas import SESSION
from rewards.vouchers import VOUCHER

routes = Routes(
    "redemption asks", __name__, description="What owners are asked before a till uses a voucher."
)
ANSWERS = ("confirm", "decline")


@dataclass(frozen=True, kw_only=True)
class Override:
    """A manager's yes in the owner's place."""

    number: str
    pin: str
    reason: str


class TakesOwnersAnswer(Takes):
    """An owner's answer."""

    examples = MappingProxyType({"Yes": {"answer": "confirm"}, "No": {"answer": "decline"}})
    answer = fields.String(required=True, validate=ma.validate.OneOf(ANSWERS))


class TakesOverride(Takes):
    """A manager's number and PIN, and why the owner cannot answer."""

    into = Override
    examples = MappingProxyType(
        {"A dead phone": {"number": "01", "pin": "618240", "reason": "the phone has no power"}}
    )
    number = Text(required=True, most=12, pattern=NUMBER)
    pin = Text(required=True, least=6, most=6, pattern=PIN, metadata={"writeOnly": True})
    reason = Text(required=True, least=2, most=300)


class GivesAsk(Gives):
    """A store wants to use a voucher; of a manager's yes the number and the reason."""

    id = PublicId(ASK)
    voucher_id = PublicId(VOUCHER)
    title_zh = Text()
    title_en = Text()
    coin_milli = Whole()
    merchant_zh = Text()
    merchant_en = Text()
    store_zh = Text()
    store_en = Text()
    state = Text()
    asked_at = Instant()
    answer_by = Instant()
    answered_at = Instant(allow_none=True)
    manager_number = Text(allow_none=True)
    reason = Text(allow_none=True)
    redemption_id = PublicId(REDEMPTION, allow_none=True)


class GivesAsks(Gives):
    """A page of questions."""

    items = fields.List(fields.Nested(GivesAsk))
    next = fields.String(allow_none=True)


class GivesAskStanding(Gives):
    """`asked`, `confirmed`, `declined`, `overridden` or `lapsed`, and until when a till may confirm."""

    state = Text()
    answer_by = Instant()
    confirm_before = Instant()


@endpoint(
    routes,
    "GET",
    "/v1/me/redemption-asks",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesAsks,
    no_store=True,
    summary="Which store wants to use which of my vouchers, newest first",
)
def my_asks(call: Call, page: dict[str, Any]) -> Page[Ask]:
    """Give what the caller is asked."""
    return asks(call, PageRequest(**page))


@endpoint(
    routes,
    "POST",
    "/v1/me/redemption-asks/<ask>/answer",
    needs=Permission.REDEMPTION_ANSWER,
    takes=TakesOwnersAnswer,
    gives=GivesAsk,
    status=201,
    idempotent=True,
    summary="Say yes or no to a store that wants to use my voucher",
)
def answer_ask(call: Call, given: dict[str, Any], *, ask: str) -> Ask:
    """Answer."""
    return answer(call, parse_public_id(ASK, ask), yes=given["answer"] == ANSWERS[0])


@endpoint(
    routes,
    "GET",
    "/v1/terminal/redemption-asks/<session>",
    needs=Permission.TERMINAL_REDEEM,
    gives=GivesAskStanding,
    no_store=True,
    summary="Whether the owner of what this till reserved has answered",
)
def ask_standing(call: Call, *, session: str) -> Standing:
    """Say how a question stands."""
    return standing(call, parse_public_id(SESSION, session))


@endpoint(
    routes,
    "POST",
    "/v1/terminal/redemption-asks/<session>/override",
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesOverride,
    status=204,
    summary="Say yes in the owner's place, with a manager's PIN and a reason that the owner reads",
)
def override_ask(call: Call, given: Override, *, session: str) -> Response | None:
    """Override; a wrong PIN is answered, not raised, so that its count is kept."""
    outcome = override(
        call,
        parse_public_id(SESSION, session),
        number=given.number,
        pin=given.pin,
        reason=given.reason,
    )
    return None if outcome is None else refused(outcome)
