"""What is published stays: the application's own role is refused by the database, whatever it sends."""

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kernel.clock import FixedClock
from kernel.database import APP_ROLE
from tests.app.desk import Desk, desk
from tests.app.procedure import (
    PUBLICATIONS,
    WHY,
    answer_to,
    done,
    drafted,
    number_of,
    objection,
    on_notice,
    plant_procedure,
    step,
    verdict,
)
from tests.carbon.test_factor_routes import TABLES, TEXT, YES

__all__ = ["desk"]
NOBODY = "00000000-0000-0000-0000-000000000001"
SIGNED = (
    "digest = '\\x00', kid = 1, signature = '\\x00', publisher_id = gen_random_uuid(),"
    " published_at = '2026-12-20 00:00+00'"
)
UNSIGNED = "digest = NULL, kid = NULL, signature = NULL, publisher_id = NULL, published_at = NULL"


def as_the_application(desk: Desk, statement: str, publication: str | None = None) -> int:
    """How many rows a statement changed for the role that the product connects as."""
    with desk.database.engine.begin() as connection:
        role = connection.execute(text("SELECT current_user")).scalar_one()
        assert role == APP_ROLE
        values = {} if publication is None else {"id": number_of(publication)}
        return connection.execute(text(statement), values).rowcount


def refused(desk: Desk, statement: str, publication: str | None = None) -> str:
    with pytest.raises(DBAPIError) as error:
        as_the_application(desk, statement, publication)
    return str(getattr(error.value.orig, "sqlstate", ""))


def setting(change: str) -> str:
    return f"UPDATE publication SET {change} WHERE id = :id"  # noqa: S608 - of this file


def row(desk: Desk, publication: str) -> dict[str, Any]:
    (found,) = desk.database.rows("SELECT * FROM publication WHERE id = :id", id=number_of(publication))
    return dict(found._mapping)


@pytest.mark.parametrize(
    "change",
    [
        f"state = 'draft', {UNSIGNED}",
        f"state = 'in_review', {UNSIGNED}",
        "digest = '\\x00'",
        "signature = '\\x00'",
        "kid = 2",
        "publisher_id = gen_random_uuid()",
        "published_at = now()",
        "reviewer_id = gen_random_uuid()",
        "procedure_id = id",
        "review_round = 9",
        "notice_from = '2026-01-01', notice_until = '2026-02-01'",
        "state = 'withdrawn'",
        "state = 'withdrawn', withdrawn_from = effective_from + 1, withdrawn_by = gen_random_uuid()",
        "withdrawn_from = '2027-06-01'",
        "state = 'corrected'",
    ],
)
def test_of_a_published_row_nothing_changes_but_its_end(desk: Desk, change: str) -> None:
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    done(step(desk, "publisher", table, "publication", YES))
    before = row(desk, table)
    assert refused(desk, setting(change), table) in {"P0001", "23514"}
    assert row(desk, table) == before
    shown = desk.ask("", "GET", f"/v1/public/factor-tables/{table}").json
    assert (shown["standing"], shown["proof"]["holds"]) == ("in_force", True)


def test_an_end_comes_nearer_and_never_goes_away(desk: Desk) -> None:
    rule = drafted(desk)
    done(step(desk, "publisher", rule, "publication"))
    ends = "UPDATE publication SET ends_on = {} WHERE id = :id"
    for day in ("'2027-06-01'", "'2027-05-01'", "'2027-05-01'"):
        assert as_the_application(desk, ends.format(day), rule) == 1
    for day in ("'2027-05-02'", "NULL"):
        assert refused(desk, ends.format(day), rule) == "P0001"
    done(step(desk, "publisher", rule, "withdrawal", {"from_day": "2027-04-01", **WHY}))
    for change in ("withdrawn_from = '2027-04-02'", f"withdrawn_by = '{NOBODY}'"):
        assert refused(desk, setting(change), rule) == "P0001"
    gone = drafted(desk, kind="grace", content={"days": 3})
    done(step(desk, "publisher", gone, "publication"))
    done(step(desk, "publisher", gone, "withdrawal", {"from_day": "2026-12-24", **WHY}))
    for change in (
        "state = 'published', withdrawn_from = NULL, withdrawn_by = NULL",
        "ends_on = '2027-02-01'",
    ):
        assert refused(desk, setting(change), gone) == "P0001"


def test_a_table_gives_its_place_to_what_corrects_it_and_stays_as_it_is(desk: Desk) -> None:
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    done(step(desk, "publisher", table, "publication", YES))
    head = f"kind: factor_table\ncorrects: {table}\ncorrection_reason: two digits were exchanged\n"
    sent = {"form": "yaml", "text": TEXT.replace("kind: factor_table\n", head)}
    newer = done(desk.ask("editor", "POST", TABLES, sent))["id"]
    before = row(desk, table)
    for change in ("title = 'another'", "digest = '\\x00'", "ends_on = '2027-06-01'"):
        assert refused(desk, setting(f"state = 'corrected', {change}"), table) in {"P0001", "42501"}
    assert refused(desk, setting("ends_on = '2027-06-01'"), newer) == "P0001"
    # A draft that would correct it is not enough: asked when the transaction ends.
    assert refused(desk, setting("state = 'corrected'"), table) == "P0001"
    assert row(desk, table) == before
    done(step(desk, "publisher", newer, "publication", YES))
    assert row(desk, table) == {**before, "state": "corrected"}
    for change in ("state = 'published'", "state = 'withdrawn'", "ends_on = '2027-06-01'", UNSIGNED):
        assert refused(desk, setting(change), table) in {"P0001", "23514"}
    assert desk.ask("", "GET", f"/v1/public/factor-tables/{table}").json["proof"]["holds"]


def test_nothing_is_inserted_as_published_or_half_way(desk: Desk) -> None:
    rule = drafted(desk)
    columns = (
        "region_id, kind, subject, title, content, source, effective_from, author_id, drafted_at,"
        " review_round"
    )
    copied = (
        f"INSERT INTO publication (id, {columns}, state{{}}) SELECT gen_random_uuid(), {columns}, {{}}"  # noqa: S608 - of this file
        " FROM publication WHERE id = :id"
    )
    assert as_the_application(desk, copied.format("", "'draft'"), rule) == 1
    signed = ", digest, kid, signature, publisher_id, published_at"
    values = "'\\x00', 1, '\\x00', gen_random_uuid(), now()"
    assert refused(desk, copied.format(signed, f"'published', {values}"), rule) == "P0001"
    assert refused(desk, copied.format("", "'in_review'"), rule) == "P0001"
    assert refused(desk, copied.format(", reviewer_id", "'draft', gen_random_uuid()"), rule) == "P0001"


def test_the_procedure_holds_against_a_statement_too(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    publish = setting(f"state = 'published', {SIGNED}")
    draft = drafted(desk)
    assert refused(desk, publish, draft) == "P0001"
    done(step(desk, "editor", draft, "submission"))
    assert refused(desk, publish, draft) == "P0001"
    own = "UPDATE publication SET reviewer_id = author_id WHERE id = :id"
    assert refused(desk, own, draft) == "23514"
    done(verdict(desk, draft))
    assert refused(desk, publish, draft) == "P0001"
    other = "UPDATE publication SET reviewer_id = gen_random_uuid() WHERE id = :id"
    assert refused(desk, other, draft) == "P0001"
    done(step(desk, "publisher", draft, "notice"))
    for change in ("notice_until = notice_until - 3", "procedure_id = id", "review_round = 0"):
        assert refused(desk, setting(change), draft) == "P0001"
    early = publish.replace("2026-12-20", "2026-12-01")
    assert refused(desk, early, draft) == "P0001"
    reviewer = publish.replace("gen_random_uuid()", "reviewer_id")
    raised = done(objection(desk, draft))["id"]
    assert refused(desk, publish, draft) == "P0001"
    done(answer_to(desk, draft, raised))
    assert refused(desk, reviewer, draft) == "23514"
    assert refused(desk, publish.replace("gen_random_uuid()", "author_id"), draft) == "23514"
    clock.advance(timedelta(days=20))
    done(step(desk, "publisher", draft, "publication"))


def test_an_upheld_objection_holds_against_a_statement_too(desk: Desk) -> None:
    desk.database.run(lambda call: plant_procedure(call, objections="are_noted"))
    rule = on_notice(desk)
    raised = done(objection(desk, rule))["id"]
    done(answer_to(desk, rule, raised, "upheld"))
    publish = setting(f"state = 'published', {SIGNED}")
    assert refused(desk, publish, rule) == "P0001"
    jump = "UPDATE publication SET state = 'in_review' WHERE id = :id"
    assert refused(desk, jump, rule) == "P0001"


@pytest.mark.parametrize("table", ["publication_comment", "publication_objection", "objection_answer"])
def test_what_was_said_is_never_changed(desk: Desk, table: str) -> None:
    assert refused(desk, f"UPDATE {table} SET body = ''") == "42501"  # noqa: S608 - a table of the list
    assert refused(desk, f"DELETE FROM {table}") == "42501"  # noqa: S608 - as above


def test_a_person_objects_once_a_notice_for_the_database_as_well(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    rule = on_notice(desk)
    done(objection(desk, rule))
    again = (
        "INSERT INTO publication_objection SELECT gen_random_uuid(), publication_id, region_id, review_round,"
        " objector_kind, objector_id, body, recorded_at FROM publication_objection"
    )
    assert refused(desk, again) == "23505"


def test_over_http_no_step_touches_what_is_published(desk: Desk) -> None:
    desk.database.run(lambda call: plant_procedure(call, subject="grace"))
    rule = drafted(desk)
    done(step(desk, "publisher", rule, "publication"))
    before = row(desk, rule)
    for who, name, body, expected in (
        ("editor", "submission", WHY, "not_a_draft"),
        ("reviewer", "comments", {"text": "late"}, "not_under_review"),
        ("reviewer", "verdict", {"verdict": "approve", **WHY}, "not_under_review"),
        ("reviewer", "verdict", {"verdict": "return", **WHY}, "not_under_review"),
        ("publisher", "notice", WHY, "not_under_review"),
        ("publisher", "publication", WHY, "not_a_draft"),
    ):
        answer = step(desk, who, rule, name, body)
        assert (answer.status_code, answer.json["code"]) == (409, expected), name
    for method in ("PUT", "PATCH", "DELETE"):
        assert desk.ask("publisher", method, f"{PUBLICATIONS}/{rule}").status_code == 405
    assert row(desk, rule) == before
    assert before["effective_from"] == date(2027, 1, 1)
