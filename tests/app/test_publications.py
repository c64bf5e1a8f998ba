"""Rules over HTTP: one person drafts, another puts in force, everybody reads; no scenario has two caps."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from threading import Barrier
from typing import Any

import pytest

from app.identity.roles import Role
from app.publications.rule_desk import ONE_OF_A_REGION
from kernel.clock import FixedClock
from kernel.identifiers import new_id, parse_public_id, public_id
from kernel.permission import Permission
from kernel.publications.publishing import PREFIX, signature_holds
from kernel.publications.rules import cap_of, caps, coin_rate
from kernel.publications.shapes import SHAPES
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.city import OFFICIAL, publish_rules, publish_tables
from tests.conftest import REGION

__all__ = ["desk"]
RULES, PUBLIC_RULES = "/v1/operator/rules", "/v1/public/rules"
TODAY, TOMORROW = "2026-11-20", "2026-11-21"
WHY = {"reason": "the council decided so"}
RATE: dict[str, Any] = {
    "kind": "coin_rate",
    "title": "10 克 = 2 碳币 / 2 coins for 10 g",
    "content": {"coins_milli": 2000, "per_mg": 10_000},
    "source": "示例城市运营规则 2026 年第 9 号",
    "effective_from": TOMORROW,
}
WALKS: dict[str, Any] = {
    "kind": "cap",
    "subject": "walking",
    "title": "walking",
    "content": {"scenarios": ["walk", "bike_ride"], "period": "day", "coins_milli": 5000},
    "source": "rule no. 10",
    "effective_from": TOMORROW,
}


def drafted(desk: Desk, rule: dict[str, Any], who: str = "editor") -> str:
    answer = desk.ask(who, "POST", RULES, rule)
    assert answer.status_code == 201, answer.json
    assert answer.json["standing"] == "draft"
    return str(answer.json["id"])


def publish(desk: Desk, rule: str, who: str = "publisher") -> Any:
    return desk.ask(who, "POST", f"{RULES}/{rule}/publication", WHY)


def in_force(desk: Desk, region: str = REGION) -> dict[str, Any]:
    answer = desk.ask("", "GET", f"{PUBLIC_RULES}?region={region}")
    assert answer.status_code == 200
    return {f"{rule['kind']}/{rule['subject']}": rule for rule in answer.json["items"]}


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json["errors"]]


def test_a_rule_is_drafted_by_one_put_in_force_by_another_and_read_by_all(desk: Desk) -> None:
    rule = drafted(desk, {**RATE, "effective_from": TODAY})
    assert in_force(desk) == {}
    published = publish(desk, rule)
    assert published.status_code == 201
    told = published.json
    assert (told["standing"], told["kid"], len(told["signature"])) == ("in_force", 1, 128)
    assert [(step["state"], step["reason"]) for step in told["steps"]] == [
        ("draft", RATE["source"]),
        ("published", WHY["reason"]),
    ]
    (shown,) = in_force(desk).values()
    assert (shown["id"], shown["content"], shown["source"]) == (rule, RATE["content"], RATE["source"])
    assert "author_id" not in shown
    number = parse_public_id(PREFIX, rule)
    assert desk.database.run(lambda call: signature_holds(call, call.db.get_one(Publication, number)))
    assert desk.database.run(lambda call: coin_rate(call, REGION, day=call.today)).coins_milli == 2000
    actions = "SELECT action FROM audit_entry WHERE subject = :rule ORDER BY action"
    audits = desk.database.rows(actions, rule=rule)
    assert [row.action for row in audits] == ["draft", "publish"]


def test_a_successor_takes_over_on_its_day_and_its_predecessor_says_so(desk: Desk) -> None:
    desk.database.run(publish_rules)
    assert publish(desk, drafted(desk, RATE)).json["standing"] == "coming"
    today = in_force(desk)["coin_rate/standard"]
    assert (today["content"]["coins_milli"], today["ends_on"]) == (1000, TOMORROW)
    first, second = date(2026, 11, 20), date(2026, 11, 21)
    rates = desk.database.run(
        lambda call: [coin_rate(call, REGION, day=day).coins_milli for day in (first, second)]
    )
    assert rates == [1000, 2000]


def test_nobody_publishes_the_own_draft(desk: Desk) -> None:
    for who, role in (("first", Role.OPERATOR_EDITOR), ("second", Role.OPERATOR_EDITOR)):
        desk.callers[who] = replace(desk.hire(who, role), permissions=frozenset(Permission))
    rule = drafted(desk, RATE, "first")
    assert code(publish(desk, rule, "first")) == (403, "author_cannot_publish")
    assert publish(desk, rule, "second").status_code == 201
    assert code(publish(desk, rule, "second")) == (409, "not_a_draft")


def test_no_scenario_gets_a_second_cap_while_another_stands(desk: Desk) -> None:
    desk.database.run(publish_rules)
    second = {**WALKS, "content": {**WALKS["content"], "scenarios": ["walk", "metro_ride"]}}
    refused = publish(desk, drafted(desk, second))
    assert code(refused) == (409, "scenario_capped")
    assert refused.json["facts"]["scenarios"] == ["metro_ride"]
    assert refused.json["facts"]["other"] == in_force(desk)["cap/transit"]["id"]
    assert set(in_force(desk)) >= {"cap/transit", "cap/household"}
    assert "cap/walking" not in in_force(desk)
    assert publish(desk, drafted(desk, WALKS)).status_code == 201


def test_the_cap_of_the_same_subject_is_succeeded_not_doubled(desk: Desk) -> None:
    desk.database.run(publish_rules)
    lower = {
        **WALKS,
        "subject": "transit",
        "content": {"scenarios": ["metro_ride", "bus_ride", "walk"], "period": "day", "coins_milli": 1000},
    }
    assert publish(desk, drafted(desk, lower)).status_code == 201
    found = desk.database.run(lambda call: caps(call, REGION, day=date(2026, 11, 21)))
    cap = cap_of(found, "metro_ride")
    assert cap is not None
    assert cap.coins_milli == 1000


def test_a_cap_that_comes_later_counts_as_standing(desk: Desk) -> None:
    later = {**WALKS, "subject": "evenings", "effective_from": "2027-06-01"}
    assert publish(desk, drafted(desk, later)).status_code == 201
    assert code(publish(desk, drafted(desk, WALKS))) == (409, "scenario_capped")


def test_of_two_operators_who_cap_one_scenario_at_once_one_is_refused(desk: Desk) -> None:
    for turn in range(5):
        scenario = f"scenario_{turn}"
        proposals = [
            {
                **WALKS,
                "subject": f"{side}_{turn}",
                "content": {**WALKS["content"], "scenarios": [scenario, side]},
            }
            for side in (f"left_{turn}", f"right_{turn}")
        ]
        rules = [drafted(desk, each) for each in proposals]
        for who in ("publisher", "colleague"):
            desk.hire(who, Role.OPERATOR_PUBLISHER)
        gate = Barrier(2)

        def attempt(pair: tuple[str, str], gate: Barrier = gate) -> int:
            gate.wait()
            return int(publish(desk, *pair).status_code)

        with ThreadPoolExecutor(2) as crowd:
            outcomes = sorted(crowd.map(attempt, zip(rules, ("publisher", "colleague"), strict=True)))
        assert outcomes == [201, 409]
        found = desk.database.run(lambda call: caps(call, REGION, day=date(2026, 11, 21)))
        assert cap_of(found, scenario) is not None


def test_a_day_that_has_passed_or_is_too_far_off_is_refused(desk: Desk) -> None:
    for day, refusal in (
        ("2026-11-19", (409, "rule_starts_in_past")),
        ("2028-11-21", (422, "rule_starts_too_far")),
        ("9999-12-30", (422, "rule_starts_too_far")),
    ):
        answer = desk.ask("editor", "POST", RULES, {**RATE, "effective_from": day})
        assert code(answer) == refusal
        assert pointers(answer) == ["/body/effective_from"]


def test_a_draft_whose_day_has_passed_in_the_drawer_is_not_published(desk: Desk, clock: FixedClock) -> None:
    rule = drafted(desk, {**RATE, "effective_from": TODAY})
    clock.advance(timedelta(days=1))
    assert code(publish(desk, rule)) == (409, "rule_starts_in_past")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"content": {"coins_milli": 0, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": 1}}, "/body/content/per_mg"),
        ({"content": {"coins_milli": 1, "per_mg": -5}}, "/body/content/per_mg"),
        ({"content": {"coins_milli": 2**63, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": 2**64 - 1, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": 2**70, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": 0.5, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": True, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": "１２", "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": None, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": {"a": {}}, "per_mg": 1}}, "/body/content/coins_milli"),
        ({"content": {"coins_milli": 1, "per_mg": 1, "bonus": 1}}, "/body/content"),
        ({"content": {}}, "/body/content"),
        ({"content": []}, "/body/content"),
        ({"content": {"\u0000": 1}}, "/body/content/\u0000/key"),
        ({"subject": "mine"}, "/body/subject"),
        ({"subject": "UPPER case"}, "/body/subject"),
        ({"kind": "validity", "subject": "gold", "content": {"months": 1}}, "/body/subject"),
        ({"kind": "validity", "content": {"months": 120}}, "/body/content/months"),
        ({"kind": "factor_table", "content": {"rows": []}}, "/body/kind"),
        ({"kind": "lottery"}, "/body/kind"),
        ({"title": "a\u0000b"}, "/body/title"),
        ({"source": ""}, "/body/source"),
        ({"effective_from": "2026-02-30"}, "/body/effective_from"),
        ({"effective_from": "２０２７-01-01"}, "/body/effective_from"),
        ({"corrects": "don_" + "0" * 26}, "/body/corrects"),
        ({"reason": "unknown field"}, "/body/reason"),
    ],
)
def test_a_rule_that_is_not_one_is_refused_with_the_field_at_fault(
    desk: Desk, change: dict[str, Any], pointer: str
) -> None:
    answer = desk.ask("editor", "POST", RULES, {**RATE, **change})
    assert answer.status_code == 422
    assert pointer in pointers(answer)
    assert desk.ask("editor", "GET", RULES).json["items"] == []


@pytest.mark.parametrize(
    ("scenarios", "pointer"),
    [
        (["walk\u0000"], "/body/content/scenarios"),
        ([], "/body/content/scenarios"),
        (["walk", "walk"], "/body/content/scenarios"),
        (["x" * 65], "/body/content/scenarios"),
        ([f"s{number}" for number in range(65)], "/body/content/scenarios"),
        ([["walk"]], "/body/content/scenarios"),
        ("walk", "/body/content/scenarios"),
    ],
    ids=["nul", "none", "twice", "long", "many", "nested", "text"],
)
def test_a_cap_of_nothing_nameable_is_refused(desk: Desk, scenarios: Any, pointer: str) -> None:
    answer = desk.ask(
        "editor", "POST", RULES, {**WALKS, "content": {**WALKS["content"], "scenarios": scenarios}}
    )
    assert answer.status_code == 422
    assert pointers(answer) == [pointer]


@pytest.mark.parametrize(
    "raw",
    [
        b'{"kind": "coin_rate", "content": {"coins_milli": NaN, "per_mg": 1}}',
        b'{"kind": "coin_rate", "content": {"coins_milli": Infinity, "per_mg": 1}}',
        b'{"kind": "cap", "content": {"scenarios": ["\\ud800"]}}',
        b'{"kind": "cap", "content": {"scenarios": ["\xff"]}}',
        b'{"kind": "cap", "content": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"kind": "cap", "content": {',
        b"",
    ],
    ids=["nan", "infinity", "surrogate", "not-utf8", "deep", "half", "empty"],
)
def test_what_is_not_json_is_no_rule(desk: Desk, raw: bytes) -> None:
    answer = desk.client.post(RULES, data=raw, content_type="application/json", headers={"X-Who": "editor"})
    assert answer.status_code in {400, 422}
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("kind", sorted(ONE_OF_A_REGION))
def test_of_what_a_region_has_one_a_second_is_not_drafted_under_another_name(desk: Desk, kind: str) -> None:
    """It would be published, and never rule."""
    asked = {**RATE, "kind": kind, "subject": "another", "content": dict(SHAPES[kind].example)}
    answer = desk.ask("editor", "POST", RULES, asked)
    assert (code(answer), pointers(answer)) == ((422, "rule_content_wrong"), ["/body/subject"])
    assert drafted(desk, {**asked, "subject": "standard"})


def test_a_fallback_and_an_order_speak_of_what_is_there(desk: Desk) -> None:
    fallback = {**RATE, "kind": "factor_fallback", "subject": "walk"}
    for region in ("CN-XX", REGION):
        answer = desk.ask("editor", "POST", RULES, {**fallback, "content": {"region_id": region}})
        assert (code(answer), pointers(answer)) == (
            (422, "rule_content_wrong"),
            ["/body/content/region_id"],
        )
    assert drafted(desk, {**fallback, "content": {"region_id": "CN-GD"}})
    order = {**RATE, "kind": "spending_order"}
    for classes in (["standard"], ["standard", "standard"], ["standard", "promotional", "gold"]):
        answer = desk.ask("editor", "POST", RULES, {**order, "content": {"classes": classes}})
        assert pointers(answer) == ["/body/content/classes"]
    assert drafted(desk, {**order, "content": {"classes": ["standard", "promotional"]}})


def test_a_correction_names_a_published_rule_of_its_kind(desk: Desk) -> None:
    desk.database.run(publish_rules)
    first = in_force(desk)["coin_rate/standard"]["id"]
    assert drafted(desk, {**RATE, "corrects": first})
    other = in_force(desk)["cap/transit"]["id"]
    for wrong in (other, drafted(desk, RATE)):
        answer = desk.ask("editor", "POST", RULES, {**RATE, "corrects": wrong})
        assert pointers(answer) == ["/body/corrects"]
    answer = desk.ask("editor", "POST", RULES, {**RATE, "corrects": public_id(PREFIX, new_id())})
    assert code(answer) == (404, "not_found")


def test_a_rule_of_another_region_is_not_there(desk: Desk) -> None:
    desk.hire("elsewhere", Role.OPERATOR_PUBLISHER, region="CN-GD")
    rule = drafted(desk, RATE)
    for answer in (
        desk.ask("elsewhere", "GET", f"{RULES}/{rule}"),
        publish(desk, rule, "elsewhere"),
        desk.ask("editor", "GET", f"{RULES}/{PREFIX}_" + "0" * 26),
        desk.ask("", "GET", f"{PUBLIC_RULES}?region=CN-XX"),
    ):
        assert code(answer) == (404, "not_found")
    assert desk.ask("elsewhere", "GET", RULES).json["items"] == []
    assert code(desk.ask("editor", "GET", f"{RULES}/don_" + "0" * 26)) == (422, "wrong_identifier")
    publish(desk, rule)
    assert in_force(desk, "CN-GD") == {}


def test_a_factor_table_is_no_rule(desk: Desk) -> None:
    desk.database.run(lambda call: publish_tables(call, OFFICIAL))
    table = desk.ask("", "GET", "/v1/public/factor-tables").json["items"][0]["id"]
    for answer in (desk.ask("editor", "GET", f"{RULES}/{table}"), publish(desk, table)):
        assert code(answer) == (409, "not_a_rule")
    assert desk.ask("editor", "GET", RULES).json["items"] == []


def test_rules_are_listed_by_kind_and_state_page_by_page(desk: Desk) -> None:
    desk.database.run(publish_rules)
    draft = drafted(desk, RATE)
    assert [each["id"] for each in desk.ask("auditor", "GET", f"{RULES}?state=draft").json["items"]] == [
        draft
    ]
    page = desk.ask("auditor", "GET", f"{RULES}?kind=cap&limit=1").json
    rest = desk.ask("auditor", "GET", f"{RULES}?kind=cap&limit=1&after={page['next']}").json
    assert {each["subject"] for each in page["items"] + rest["items"]} == {"transit", "household"}
    assert rest["next"] is None
    assert code(desk.ask("auditor", "GET", f"{RULES}?limit=1&after={page['next']}")) == (422, "wrong_cursor")
    assert desk.ask("auditor", "GET", f"{RULES}?kind=lottery").status_code == 422


def test_who_may_not_write_rules_writes_none(desk: Desk) -> None:
    rule = drafted(desk, RATE)
    assert desk.ask("", "POST", RULES, RATE).status_code == 401
    for who in ("citizen", "publisher", "auditor", "donor", "clerk"):
        assert code(desk.ask(who, "POST", RULES, RATE)) == (403, "not_permitted")
    for who in ("citizen", "editor", "auditor", "donor", "clerk"):
        assert code(publish(desk, rule, who)) == (403, "not_permitted")
    assert desk.ask("editor", "POST", f"{RULES}/{rule}/publication", {}).status_code == 403
    assert desk.ask("publisher", "POST", f"{RULES}/{rule}/publication", {"reason": ""}).status_code == 422


def test_rules_that_others_published_by_hand_are_read_the_same_way(desk: Desk) -> None:
    desk.database.run(publish_rules)
    told = desk.ask("", "GET", PUBLIC_RULES).json
    assert (told["region"], told["day"]) == (REGION, TODAY)
    assert [(rule["kind"], rule["subject"]) for rule in told["items"]] == sorted(
        (rule["kind"], rule["subject"]) for rule in told["items"]
    )
