"""URLs of rules: drafted and put in force by operators, read by everybody; no logic."""

from typing import Any

from flask import current_app

from app.identity.routes import CITIZENS_REGION
from app.publications.rule_desk import (
    Proposal,
    own_rule,
    own_rules,
    propose,
    put_in_force,
    rules_of_day,
)
from app.publications.schemas import (
    GivesRules,
    GivesRulesInForce,
    GivesWholeRule,
    PublicRulesQuery,
    RulesQuery,
    TakesRule,
    TakesRulePublication,
)
from carbon.factors.catalogue import standing
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from kernel.publications.publishing import PREFIX
from kernel.publications.review import steps_of
from kernel.publications.tables import Publication

routes = Routes("publications", __name__, description="Rules of coins and vouchers: dated, cited, signed.")


@endpoint(
    routes,
    "POST",
    "/v1/operator/rules",
    needs=Permission.PUBLICATION_DRAFT,
    takes=TakesRule,
    gives=GivesWholeRule,
    status=201,
    summary="Draft a rule: a coin rate, a cap, a validity, a lock, a window, a grace, a fallback, an order,"
    " a calendar, a procedure",
)
def draft_rule(call: Call, proposal: Proposal) -> dict[str, Any]:
    """Keep a rule as a draft."""
    return _whole(call, propose(call, proposal))


@endpoint(
    routes,
    "GET",
    "/v1/operator/rules",
    needs=Permission.PUBLICATION_READ,
    query=RulesQuery,
    gives=GivesRules,
    summary="The region's rules, drafts too, newest first",
)
def list_rules(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """List rules."""
    page = PageRequest(asked["limit"], asked["after"])
    found = own_rules(call, page, kind=asked["kind"], state=asked["state"])
    return Page([_shown(call, rule) for rule in found.items], found.next)


@endpoint(
    routes,
    "GET",
    "/v1/operator/rules/<rule>",
    needs=Permission.PUBLICATION_READ,
    gives=GivesWholeRule,
    summary="One rule of the region, as a draft or published",
)
def show_rule(call: Call, *, rule: str) -> dict[str, Any]:
    """Show a rule."""
    return _whole(call, own_rule(call, parse_public_id(PREFIX, rule)))


@endpoint(
    routes,
    "POST",
    "/v1/operator/rules/<rule>/publication",
    needs=Permission.PUBLICATION_PUBLISH,
    takes=TakesRulePublication,
    gives=GivesWholeRule,
    status=201,
    summary="Put another person's draft in force from its day; its predecessor ends on that day",
)
def publish_rule(call: Call, why: dict[str, Any], *, rule: str) -> dict[str, Any]:
    """Put a rule in force."""
    return _whole(call, put_in_force(call, parse_public_id(PREFIX, rule), reason=why["reason"]))


@endpoint(
    routes,
    "GET",
    "/v1/public/rules",
    needs=PUBLIC,
    query=PublicRulesQuery,
    gives=GivesRulesInForce,
    summary="Every rule in force today, with its source",
)
def list_rules_in_force(call: Call, asked: dict[str, Any]) -> dict[str, Any]:
    """List what rules today."""
    region = asked["region"] or current_app.extensions[CITIZENS_REGION]
    rules = [_shown(call, rule) for rule in rules_of_day(call, region)]
    return {"region": region, "day": call.today, "items": rules}


def _shown(call: Call, rule: Publication) -> dict[str, Any]:
    columns = {column.key: getattr(rule, column.key) for column in Publication.__table__.columns}
    return {**columns, "standing": standing(rule, today=call.today)}


def _whole(call: Call, rule: Publication) -> dict[str, Any]:
    return {**_shown(call, rule), "steps": steps_of(call, rule)}
