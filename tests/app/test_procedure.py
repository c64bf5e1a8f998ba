"""A publication goes its region's way: reviewed by a third person, on notice for working days, published."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from app.identity.roles import Role
from kernel.clock import FixedClock
from kernel.identifiers import new_id
from kernel.permission import Permission
from kernel.publications.rules import coin_rate
from tests.app.desk import Desk, desk
from tests.app.procedure import (
    LAST_DAY,
    NOTICES,
    PUBLICATIONS,
    RATE,
    RULES,
    WHY,
    answer_to,
    code,
    done,
    drafted,
    objection,
    on_notice,
    plant_procedure,
    step,
    verdict,
)
from tests.carbon.city import OFFICIAL, publish_rule, publish_tables
from tests.carbon.test_factor_routes import TABLES, TEXT, YES
from tests.conftest import REGION

__all__ = ["desk"]
SMALL = {"coins_milli": 1, "per_mg": 1}


def pass_days(clock: FixedClock, days: int) -> None:
    clock.advance(timedelta(days=days))


def test_a_rule_goes_from_draft_to_force_by_three_people_and_the_public(
    desk: Desk, clock: FixedClock
) -> None:
    rule_of_procedure = desk.database.run(plant_procedure)
    assert rule_of_procedure
    rule = drafted(desk)
    assert code(step(desk, "publisher", rule, "publication")) == (409, "review_missing")
    submitted = done(step(desk, "editor", rule, "submission"))
    assert (submitted["standing"], submitted["approved"]) == ("in_review", False)
    assert submitted["procedure"] == {
        "rule": submitted["procedure"]["rule"],
        "reviewed": True,
        "notice_days": 7,
        "answered": True,
    }
    said = done(step(desk, "reviewer", rule, "comments", {"text": "which document?", "about": "source"}))
    said = done(step(desk, "editor", rule, "comments", {"text": "number 9, page 2"}))
    assert [(each["about"], each["text"], each["round"]) for each in said["comments"]] == [
        ("source", "which document?", 1),
        (None, "number 9, page 2", 1),
    ]
    assert code(step(desk, "publisher", rule, "notice")) == (409, "review_missing")
    assert done(verdict(desk, rule))["approved"]
    assert code(step(desk, "publisher", rule, "publication")) == (409, "notice_missing")
    noticed = done(step(desk, "publisher", rule, "notice"))
    assert (noticed["notice_from"], noticed["notice_until"]) == ("2026-11-20", LAST_DAY)
    raised = done(objection(desk, rule))
    clock.at = clock.at.replace(month=12, day=1)
    assert code(step(desk, "publisher", rule, "publication")) == (409, "notice_not_over")
    pass_days(clock, 1)
    refused = step(desk, "publisher", rule, "publication")
    assert (code(refused), refused.json["facts"]) == ((409, "objections_unanswered"), {"unanswered": 1})
    done(answer_to(desk, rule, raised["id"]))
    published = done(step(desk, "publisher", rule, "publication"))
    assert published["standing"] == "coming"
    assert [each["state"] for each in published["steps"]] == [
        "draft",
        "in_review",
        "approved",
        "public_notice",
        "published",
    ]
    rate = desk.database.run(lambda call: coin_rate(call, REGION, day=date(2027, 1, 1)))
    assert rate.coins_milli == 2000
    deeds = desk.database.rows("SELECT action FROM audit_entry ORDER BY recorded_at, id")
    assert {"submit", "approve", "notify", "object", "answer", "publish"} <= {row.action for row in deeds}


def test_the_last_day_of_a_notice_is_whole_in_shanghai(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    rule = on_notice(desk)
    clock.at = clock.at.replace(month=12, day=1, hour=15, minute=59)
    assert done(objection(desk, rule))["raised_on"] == LAST_DAY
    assert code(step(desk, "publisher", rule, "publication")) == (409, "notice_not_over")
    clock.advance(timedelta(minutes=1))
    refused = objection(desk, rule, "neighbour")
    assert (code(refused), refused.json["facts"]) == ((409, "notice_over"), {"until": LAST_DAY})
    assert code(step(desk, "publisher", rule, "publication")) == (409, "objections_unanswered")


def test_what_is_under_review_or_on_notice_rules_nothing_and_is_in_no_catalogue(
    desk: Desk, clock: FixedClock
) -> None:
    desk.database.run(lambda call: publish_rule(call, "coin_rate", "standard", SMALL))
    desk.database.run(plant_procedure)
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    rule = drafted(desk, effective_from="2026-12-10")
    public = "/v1/public/factor-tables"

    def seen(pages: Any) -> None:
        for path in (public, f"{public}/changelog", f"{public}/rows"):
            assert desk.ask("", "GET", path).json["items"] == []
        assert (
            TEXT[:0] == desk.ask("", "GET", f"{public}/rows.csv").get_data(as_text=True).partition("\r\n")[2]
        )
        for path in (f"{public}/{table}", f"{public}/{table}/changes", f"{public}/{table}/rows.csv"):
            assert desk.ask("", "GET", path).status_code == 404
        assert desk.ask("", "GET", f"/factors/{table}").status_code == 404
        assert rule not in [each["id"] for each in desk.ask("", "GET", "/v1/public/rules").json["items"]]
        later = desk.database.run(lambda call: coin_rate(call, REGION, day=date(2027, 2, 1)))
        assert later.coins_milli == 1
        assert [each["id"] for each in desk.ask("", "GET", NOTICES).json["items"]] == pages

    seen([])
    for each in (table, rule):
        done(step(desk, "editor", each, "submission"))
    seen([])
    assert desk.ask("", "GET", f"{NOTICES}/{table}").status_code == 404
    for each in (table, rule):
        done(verdict(desk, each))
        done(step(desk, "publisher", each, "notice"))
    seen([rule, table])
    shown = desk.ask("", "GET", f"{NOTICES}/{table}").json
    assert (shown["content"], len(shown["table"]["rows"]), shown["changes"]["counts"]["added"]) == (
        None,
        3,
        3,
    )
    assert shown["table"]["proof"] is None
    assert desk.ask("", "GET", f"{NOTICES}/{rule}").json["content"] == RATE["content"]
    correction = desk.ask("editor", "POST", RULES, {**RATE, "corrects": rule})
    assert (correction.status_code, correction.json["errors"][0]["pointer"]) == (422, "/body/corrects")
    clock.at = clock.at.replace(month=12, day=2)
    told = done(step(desk, "publisher", table, "publication", YES))
    assert told["standing"] == "in_force"
    assert [each["id"] for each in desk.ask("", "GET", public).json["items"]] == [table]
    assert [each["id"] for each in desk.ask("", "GET", NOTICES).json["items"]] == [rule]
    nominal = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    assert code(step(desk, "publisher", nominal, "publication")) == (409, "nominal_start_undecided")


def test_nobody_plays_two_parts(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    for who in ("ann", "bo", "cy"):
        desk.callers[who] = replace(desk.hire(who, Role.OPERATOR_EDITOR), permissions=frozenset(Permission))
    rule = drafted(desk, "ann")
    done(step(desk, "ann", rule, "submission"))
    assert code(verdict(desk, rule, who="ann")) == (403, "author_cannot_review")
    assert code(verdict(desk, rule, "return", who="ann")) == (403, "author_cannot_review")
    done(verdict(desk, rule, who="bo"))
    assert code(verdict(desk, rule, who="cy")) == (409, "already_approved")
    assert code(step(desk, "ann", rule, "notice")) == (403, "author_cannot_publish")
    assert code(step(desk, "bo", rule, "notice")) == (403, "reviewer_cannot_publish")
    done(step(desk, "cy", rule, "notice"))
    raised = done(objection(desk, rule))["id"]
    assert code(answer_to(desk, rule, raised, who="ann")) == (403, "author_cannot_review")
    done(answer_to(desk, rule, raised, who="bo"))
    clock.at = clock.at.replace(month=12, day=2)
    assert code(step(desk, "ann", rule, "publication")) == (403, "author_cannot_publish")
    assert code(step(desk, "bo", rule, "publication")) == (403, "reviewer_cannot_publish")
    assert done(step(desk, "cy", rule, "publication"))["standing"] == "coming"
    assert code(step(desk, "cy", rule, "publication")) == (409, "not_a_draft")


def test_a_returned_proposal_begins_again_with_a_reviewer_of_its_own(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    rule = on_notice(desk)
    upheld = done(objection(desk, rule))["id"]
    done(answer_to(desk, rule, upheld, "upheld"))
    clock.at = clock.at.replace(month=12, day=2)
    assert code(step(desk, "publisher", rule, "publication")) == (409, "objection_upheld")
    returned = done(verdict(desk, rule, "return"))
    assert (returned["standing"], returned["approved"], returned["notice_until"]) == ("draft", False, None)
    assert desk.ask("", "GET", f"{NOTICES}/{rule}").status_code == 404
    assert code(objection(desk, rule, "neighbour")) == (404, "not_found")
    assert code(step(desk, "publisher", rule, "publication")) == (409, "review_missing")
    done(step(desk, "editor", rule, "submission"))
    assert code(step(desk, "publisher", rule, "notice")) == (409, "review_missing")
    done(verdict(desk, rule))
    again = done(step(desk, "publisher", rule, "notice"))
    assert (again["notice_until"], again["objections"]) == ("2026-12-11", [])
    assert done(objection(desk, rule))["by"] == "citizen"


def test_objections_are_one_a_notice_of_a_person_or_an_enterprise(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    rule, enterprise = on_notice(desk), new_id()
    desk.hire("accountant", Role.DONOR, organisation=enterprise)
    desk.hire("director", Role.DONOR, organisation=enterprise)
    assert done(objection(desk, rule, "citizen"))["by"] == "citizen"
    assert code(objection(desk, rule, "citizen", "and another thing")) == (409, "already_objected")
    assert done(objection(desk, rule, "accountant"))["by"] == "donor"
    assert code(objection(desk, rule, "director")) == (409, "already_objected")
    assert done(objection(desk, rule, "clerk"))["by"] == "merchant"
    shown = desk.ask("", "GET", f"{NOTICES}/{rule}").json
    assert (shown["open"], shown["objections_raised"], shown["objections_unanswered"]) == (True, 3, 3)
    assert shown["objections"] == []
    told = desk.ask("reviewer", "GET", f"{PUBLICATIONS}/{rule}").json["objections"]
    done(answer_to(desk, rule, told[0]["id"]))
    assert code(answer_to(desk, rule, told[0]["id"], "upheld")) == (409, "already_answered")
    (answered,) = desk.ask("", "GET", NOTICES).json["items"][0]["objections"]
    assert (answered["text"], answered["ruling"]) == ("too low", "dismissed")
    assert set(answered) == {"id", "by", "text", "raised_on", "ruling", "answer", "answered_on"}


def test_objections_that_are_only_noted_stop_nothing_unless_upheld(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(lambda call: plant_procedure(call, objections="are_noted"))
    rule = on_notice(desk)
    first, second = done(objection(desk, rule))["id"], done(objection(desk, rule, "neighbour"))["id"]
    assert first != second
    clock.at = clock.at.replace(month=12, day=2)
    done(answer_to(desk, rule, second, "upheld"))
    assert code(step(desk, "publisher", rule, "publication")) == (409, "objection_upheld")
    other = on_notice(desk, kind="grace", content={"days": 3})
    done(objection(desk, other))
    clock.at = clock.at.replace(month=12, day=20)
    assert done(step(desk, "publisher", other, "publication"))["standing"] == "coming"


def test_a_region_without_a_procedure_publishes_as_two_persons(desk: Desk) -> None:
    rule = drafted(desk)
    for who, name in (("editor", "submission"), ("publisher", "notice")):
        assert code(step(desk, who, rule, name)) == (409, "no_procedure")
    assert code(verdict(desk, rule)) == (409, "not_under_review")
    told = desk.ask("auditor", "GET", f"{PUBLICATIONS}/{rule}").json
    assert (told["procedure"], told["comments"], told["objections"]) == (None, [], [])
    assert done(step(desk, "publisher", rule, "publication"))["standing"] == "coming"


def test_a_kind_may_have_a_procedure_of_its_own(desk: Desk) -> None:
    desk.database.run(lambda call: plant_procedure(call, subject="grace", review="nobody"))
    rate, grace = drafted(desk), drafted(desk, kind="grace", content={"days": 3})
    assert done(step(desk, "publisher", rate, "publication"))["standing"] == "coming"
    assert code(step(desk, "editor", grace, "submission")) == (409, "no_procedure")
    assert code(step(desk, "publisher", grace, "publication")) == (409, "notice_missing")
    assert done(step(desk, "publisher", grace, "notice"))["notice_until"] == LAST_DAY
    calm = {"review": "third_person", "notice_days": 0, "objections": "are_noted"}
    desk.database.run(lambda call: publish_rule(call, "publication_procedure", "standard", calm))
    lock = drafted(desk, kind="prepare_lock", content={"seconds": 30})
    done(step(desk, "editor", lock, "submission"))
    assert code(step(desk, "publisher", lock, "publication")) == (409, "review_missing")
    done(verdict(desk, lock))
    assert code(step(desk, "publisher", lock, "notice")) == (409, "no_procedure")
    assert done(step(desk, "publisher", lock, "publication"))["standing"] == "coming"


def test_a_procedure_is_changed_by_itself_and_not_under_way(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    lax = {
        **RATE,
        "kind": "publication_procedure",
        "content": {"review": "nobody", "notice_days": 0, "objections": "are_noted"},
    }
    for subject in ("standard", "coin_rate", "publication_procedure"):
        rule = drafted(desk, **{**lax, "subject": subject})
        assert code(step(desk, "publisher", rule, "publication")) == (409, "review_missing")
    change = on_notice(desk, **{**lax, "effective_from": "2026-12-03"})
    pending = on_notice(desk)
    clock.at = clock.at.replace(month=12, day=2)
    done(step(desk, "publisher", change, "publication"))
    pass_days(clock, 2)
    raised = desk.ask("", "GET", f"{NOTICES}/{pending}").json
    assert raised["open"] is False
    told = desk.ask("auditor", "GET", f"{PUBLICATIONS}/{pending}").json
    assert told["procedure"]["notice_days"] == 7
    assert done(step(desk, "publisher", drafted(desk), "publication"))["standing"] == "coming"


def test_a_calendar_is_reviewed_and_needs_no_notice_to_make_notices_possible(desk: Desk) -> None:
    strict = {"review": "third_person", "notice_days": 7, "objections": "must_be_answered"}
    desk.database.run(lambda call: publish_rule(call, "publication_procedure", "standard", strict))
    rule = drafted(desk)
    done(step(desk, "editor", rule, "submission"))
    done(verdict(desk, rule))
    refused = step(desk, "publisher", rule, "notice")
    assert (code(refused), refused.json["facts"]) == (
        (409, "calendar_missing"),
        {"year": 2026, "region": REGION},
    )
    year = {"year": 2026, "holidays": ["2026-11-23"], "workdays": ["2026-11-22"]}
    calendar = drafted(
        desk, kind="working_calendar", subject="year_2026", content=year, effective_from="2026-11-20"
    )
    assert code(step(desk, "publisher", calendar, "publication")) == (409, "review_missing")
    done(step(desk, "editor", calendar, "submission"))
    done(verdict(desk, calendar))
    done(step(desk, "publisher", calendar, "publication"))
    # Sunday 22 is worked, Monday 23 is not: made up for this test.
    assert done(step(desk, "publisher", rule, "notice"))["notice_until"] == LAST_DAY
    wrong = {**RATE, "kind": "working_calendar", "subject": "year_2027", "content": year}
    answer = desk.ask("editor", "POST", RULES, wrong)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/body/subject")


def test_a_rule_that_would_start_while_one_may_object_is_not_put_on_notice(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    rule = drafted(desk, effective_from=LAST_DAY)
    done(step(desk, "editor", rule, "submission"))
    done(verdict(desk, rule))
    assert code(step(desk, "publisher", rule, "notice")) == (409, "starts_during_notice")
    assert desk.ask("auditor", "GET", f"{PUBLICATIONS}/{rule}").json["standing"] == "in_review"


def test_odd_figures_are_looked_for_anew_while_others_judge(desk: Desk) -> None:
    tenfold = (
        TEXT.replace("2021-12-01", "2027-12-01")
        .replace('"46.7"', '"467"')
        .replace('expected: "0.467"', 'expected: "4.67"')
        .replace('expected: "576.6049"', 'expected: "5766.049"')
    )
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": tenfold}))
    path = f"{TABLES}/{table['id']}"
    desk.database.run(lambda call: publish_tables(call, OFFICIAL))
    desk.database.run(plant_procedure)
    assert table["warnings"] == desk.ask("auditor", "GET", path).json["warnings"] == []
    done(step(desk, "editor", table["id"], "submission"))
    (under_review,) = desk.ask("auditor", "GET", path).json["warnings"]
    assert (under_review["code"], under_review["row"]) == ("value_moved_much", "SZ-METRO-2021")
    done(verdict(desk, table["id"]))
    done(step(desk, "publisher", table["id"], "notice"))
    assert desk.ask("", "GET", f"{NOTICES}/{table['id']}").json["table"]["warnings"] == [under_review]


def test_a_published_table_is_withdrawn_from_a_day_to_come_and_keeps_what_it_ruled(
    desk: Desk, clock: FixedClock
) -> None:
    desk.database.run(lambda call: publish_rule(call, "coin_rate", "standard", SMALL))
    rate = desk.ask("", "GET", "/v1/public/rules").json["items"][0]["id"]
    for day in ("2026-11-20", "2026-11-19"):
        refused = step(desk, "publisher", rate, "withdrawal", {"from_day": day, **WHY})
        assert (code(refused), refused.json["errors"][0]["pointer"]) == (
            (422, "withdrawal_not_ahead"),
            "/body/from_day",
        )
    ended = done(step(desk, "publisher", rate, "withdrawal", {"from_day": "2026-11-23", **WHY}))
    assert (ended["standing"], ended["ends_on"], ended["withdrawn_from"]) == (
        "in_force",
        "2026-11-23",
        "2026-11-23",
    )
    again = step(desk, "publisher", rate, "withdrawal", {"from_day": "2026-12-23", **WHY})
    assert code(again) == (409, "already_withdrawn")
    clock.at = clock.at.replace(day=23)
    assert desk.ask("", "GET", "/v1/public/rules").json["items"] == []
    told = desk.ask("auditor", "GET", f"{PUBLICATIONS}/{rate}").json
    assert (told["standing"], told["steps"][-1]["reason"]) == ("withdrawn", WHY["reason"])
    before = desk.database.run(lambda call: coin_rate(call, REGION, day=date(2026, 11, 22)))
    assert before.coins_milli == 1


def test_what_never_came_into_force_is_withdrawn_whole_and_its_days_are_free_again(desk: Desk) -> None:
    first = drafted(desk)
    assert code(step(desk, "publisher", first, "withdrawal", {"from_day": "2026-12-01", **WHY})) == (
        409,
        "not_published",
    )
    done(step(desk, "publisher", first, "publication"))
    gone = done(step(desk, "publisher", first, "withdrawal", {"from_day": "2027-01-01", **WHY}))
    assert (gone["standing"], gone["state"], gone["ends_on"]) == ("withdrawn", "withdrawn", None)
    second = drafted(desk, content={"coins_milli": 3000, "per_mg": 10_000})
    assert done(step(desk, "publisher", second, "publication"))["standing"] == "coming"
    third = drafted(desk, effective_from="2027-03-01")
    done(step(desk, "publisher", third, "publication"))
    late = step(desk, "publisher", second, "withdrawal", {"from_day": "2027-03-01", **WHY})
    assert code(late) == (409, "ends_before")


def test_a_withdrawn_table_is_public_history(desk: Desk) -> None:
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    done(step(desk, "publisher", table, "publication", YES))
    done(step(desk, "publisher", table, "withdrawal", {"from_day": "2026-11-30", **WHY}))
    shown = desk.ask("", "GET", f"/v1/public/factor-tables/{table}").json
    assert (shown["withdrawn_from"], shown["ends_on"]) == ("2026-11-30", "2026-11-30")
    assert shown["steps"][-1] == {**shown["steps"][-1], "state": "withdrawn", "reason": WHY["reason"]}
    assert shown["proof"]["holds"] is True


def test_a_procedure_is_not_withdrawn_by_one_alone(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    items = desk.ask("auditor", "GET", f"{PUBLICATIONS}?kind=publication_procedure").json["items"]
    withdrawal = {"from_day": "2026-11-30", **WHY}
    assert code(step(desk, "publisher", items[0]["id"], "withdrawal", withdrawal)) == (409, "procedure_stays")


def test_another_regions_publications_are_not_there_until_they_are_on_notice(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    for who, role in (
        ("their editor", Role.OPERATOR_EDITOR),
        ("their reviewer", Role.OPERATOR_REVIEWER),
        ("their publisher", Role.OPERATOR_PUBLISHER),
    ):
        desk.hire(who, role, region="CN-GD")
    rule = on_notice(desk)
    raised = done(objection(desk, rule))["id"]
    body = {"from_day": "2026-11-30", **WHY}
    for answer in (
        desk.ask("their editor", "GET", f"{PUBLICATIONS}/{rule}"),
        step(desk, "their editor", rule, "submission"),
        step(desk, "their reviewer", rule, "comments", {"text": "hello"}),
        verdict(desk, rule, who="their reviewer"),
        verdict(desk, rule, "return", who="their reviewer"),
        step(desk, "their publisher", rule, "notice"),
        answer_to(desk, rule, raised, who="their reviewer"),
        step(desk, "their publisher", rule, "publication"),
        step(desk, "their publisher", rule, "withdrawal", body),
    ):
        assert code(answer) == (404, "not_found")
    assert desk.ask("their editor", "GET", PUBLICATIONS).json["items"] == []
    assert desk.ask("their editor", "GET", f"{NOTICES}/{rule}").status_code == 200
    assert desk.ask("", "GET", f"{NOTICES}?region=CN-GD").json["items"] == []
    other = on_notice(desk, kind="grace", content={"days": 3})
    assert code(answer_to(desk, other, raised)) == (404, "not_found")


@pytest.mark.parametrize(
    ("who", "name", "body"),
    [
        ("reviewer", "submission", WHY),
        ("auditor", "comments", {"text": "hello"}),
        ("editor", "verdict", {"verdict": "approve", **WHY}),
        ("publisher", "verdict", {"verdict": "approve", **WHY}),
        ("editor", "notice", WHY),
        ("reviewer", "notice", WHY),
        ("reviewer", "publication", WHY),
        ("editor", "withdrawal", {"from_day": "2026-11-30", **WHY}),
        ("citizen", "comments", {"text": "hello"}),
    ],
)
def test_each_step_has_its_role(desk: Desk, who: str, name: str, body: dict[str, Any]) -> None:
    desk.database.run(plant_procedure)
    rule = drafted(desk)
    assert code(step(desk, who, rule, name, body)) == (403, "not_permitted")
    for staff in ("editor", "reviewer", "publisher", "auditor"):
        assert code(objection(desk, rule, staff)) == (403, "not_permitted")
    assert desk.ask("", "POST", f"{NOTICES}/{rule}/objections", {"text": "hello"}).status_code == 401


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"review": "somebody"}, "/body/content/review"),
        ({"notice_days": -1}, "/body/content/notice_days"),
        ({"notice_days": 61}, "/body/content/notice_days"),
        ({"notice_days": "7"}, "/body/content/notice_days"),
        ({"objections": ["must_be_answered"]}, "/body/content/objections"),
    ],
)
def test_a_procedure_that_is_none_is_refused(desk: Desk, change: dict[str, Any], pointer: str) -> None:
    content = {"review": "nobody", "notice_days": 0, "objections": "are_noted", **change}
    sent = {**RATE, "kind": "publication_procedure", "content": content}
    answer = desk.ask("editor", "POST", RULES, sent)
    assert (answer.status_code, [each["pointer"] for each in answer.json["errors"]]) == (422, [pointer])
    named = {**sent, "subject": "everything", "content": {**content, "notice_days": 0}}
    assert desk.ask("editor", "POST", RULES, named).json["errors"][0]["pointer"] == "/body/subject"


def test_a_review_takes_so_many_comments(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.database.run(plant_procedure)
    rule = drafted(desk)
    assert code(step(desk, "reviewer", rule, "comments", {"text": "early"})) == (409, "not_under_review")
    done(step(desk, "editor", rule, "submission"))
    monkeypatch.setattr("kernel.publications.review.MOST_COMMENTS", 2)
    for _ in range(2):
        done(step(desk, "reviewer", rule, "comments", {"text": "hello"}))
    assert code(step(desk, "reviewer", rule, "comments", {"text": "hello"})) == (409, "too_many_comments")
