"""Factor tables over HTTP: sent in as a file, published by a second person, read and checked by anybody."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.identity.roles import Role
from carbon.factors.bundles import read_shipped
from carbon.factors.catalogue import CSV_COLUMNS
from kernel.canonical import digest
from kernel.identifiers import parse_public_id
from kernel.permission import Permission
from kernel.publications.errors import NotADraft
from kernel.publications.publishing import document
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.city import OFFICIAL
from tests.conftest import REGION

__all__ = ["desk"]
TABLES = "/v1/operator/factor-tables"
TEXT = read_shipped(OFFICIAL).decode()
YES = {"reason": "checked against the press report", "nominal_start": "the month of publication is known"}


def draft(desk: Desk, text: str = TEXT, **more: Any) -> Any:
    return desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": text, **more})


def publish(desk: Desk, table: str, body: Any = None) -> Any:
    return desk.ask("publisher", "POST", f"{TABLES}/{table}/publication", YES if body is None else body)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_table_is_drafted_published_by_another_and_read_by_anybody(desk: Desk) -> None:
    drafted = draft(desk)
    assert drafted.status_code == 201
    table = drafted.json["id"]
    assert (drafted.json["standing"], drafted.json["rows_count"], drafted.json["proof"]) == ("draft", 3, None)
    assert desk.ask("auditor", "GET", f"{TABLES}/{table}").json == drafted.json
    assert desk.ask("", "GET", f"/v1/public/factor-tables/{table}").status_code == 404
    assert desk.ask("", "GET", f"/v1/public/factor-tables/{table}/rows.csv").status_code == 404
    assert desk.ask("", "GET", "/v1/public/factor-tables").json["items"] == []
    published = publish(desk, table)
    assert (published.status_code, published.json["standing"]) == (201, "in_force")
    assert code(publish(desk, table)) == (409, NotADraft.code)
    seen = desk.ask("", "GET", f"/v1/public/factor-tables/{table}").json
    assert seen == published.json
    metro, _, assumed = seen["rows"]
    assert (metro["value"], metro["unit"], metro["value_ng_per_base_unit"]) == (
        "46.7",
        "gCO2/person-km",
        46_700_000,
    )
    assert (metro["seen_in_original"], metro["label_en"]) == (False, "not seen in the original")
    assert metro["source"]["publisher"] == "深圳市生态环境局"
    assert metro["examples"][0]["inputs"] == {"distance_m": 10_000}
    assert (assumed["verified"], "4.0 km" in assumed["assumption"]) == (False, True)
    assert (seen["rows_verified"], seen["rows_assumed"], seen["rows_unseen"]) == (2, 1, 3)
    assert "nominal start: the month of publication is known" in seen["steps"][-1]["reason"]
    (listed,) = desk.ask("", "GET", f"/v1/public/factor-tables?region={REGION}").json["items"]
    assert listed["digest"] == seen["digest"] == seen["proof"]["sha256"]
    assert desk.ask("", "GET", "/v1/public/factor-tables?region=CN").json["items"] == []


def test_the_signature_of_a_table_is_checked_with_the_public_key_alone(desk: Desk) -> None:
    table = draft(desk).json["id"]
    proof = publish(desk, table).json["proof"]
    keys = desk.ask("", "GET", "/v1/public/keys").json["publication"]
    key = next(each["public_key"] for each in keys if each["kid"] == proof["kid"])
    signed = desk.database.run(
        lambda call: document(call.db.get_one(Publication, parse_public_id("pub", table)))
    )
    assert digest(signed).hex() == proof["sha256"]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
        bytes.fromhex(proof["signature"]), bytes.fromhex(proof["sha256"])
    )
    assert proof["holds"] is True


def test_the_rows_are_a_file_with_every_value_as_printed(desk: Desk) -> None:
    table = draft(desk).json["id"]
    publish(desk, table)
    answer = desk.ask("", "GET", f"/v1/public/factor-tables/{table}/rows.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["value"] for row in rows] == ["46.7", "26.9", "107.6"]
    assert [row["verified"] for row in rows] == ["yes", "yes", "no"]


def test_a_cell_that_a_spreadsheet_would_run_is_text(desk: Desk) -> None:
    table = draft(desk, TEXT.replace("name_en: Shenzhen metro ride reduction", "name_en: =1+1")).json["id"]
    publish(desk, table)
    rows = desk.ask("", "GET", f"/v1/public/factor-tables/{table}/rows.csv").get_data(as_text=True)
    assert ",'=1+1," in rows


def test_a_nominal_start_is_somebodys_decision(desk: Desk) -> None:
    table = draft(desk).json["id"]
    refused = publish(desk, table, {"reason": "checked"})
    assert code(refused) == (409, "nominal_start_undecided")
    assert "SZ-METRO-2021" in refused.json["facts"]["rows"]
    no_day = TEXT.replace("    valid_from: 2021-12-01\n", "", 1)
    assert code(draft(desk, no_day)) == (422, "first_day_unknown")
    assert draft(desk, no_day, first_day="2022-01-01").json["rows"][0]["valid_from"] == "2022-01-01"
    unused = draft(desk, first_day="2022-01-01")
    assert (*code(unused), unused.json["errors"][0]["pointer"]) == (
        422,
        "first_day_unused",
        "/body/first_day",
    )


def test_every_fault_of_a_file_is_named_with_its_place(desk: Desk) -> None:
    wrong = TEXT.replace('value: "46.7"', 'value: "forty"').replace('expected: "107.6"', 'expected: "107.5"')
    answer = draft(desk, wrong)
    assert code(answer) == (422, "bundle_refused")
    places = [error["pointer"] for error in answer.json["errors"]]
    assert places == ["/rows/0/value", "/rows/2/examples/0"]
    for text, refusal in (
        ("a: [1", "yaml_not_plain"),
        ("a: &x 1\nb: *x", "yaml_not_plain"),
        ("rows: []", "bundle_refused"),
        (TEXT.replace("region: CN-GD-SZ", "region: CN-GD"), "region_not_yours"),
        (
            TEXT.replace("  - code: SZ-BUS-2021", "  - region: CN-BJ\n    code: SZ-BUS-2021"),
            "region_not_yours",
        ),
    ):
        refused = draft(desk, text)
        assert refused.json["code"] == refusal, text[:60]
        assert 400 <= refused.status_code < 500
    assert draft(desk, "x" * 200_001).status_code == 422
    assert desk.database.rows("SELECT count(*) AS n FROM publication")[0].n == 0


def test_a_csv_bundle_is_taken_too(desk: Desk) -> None:
    desk.hire("national", Role.OPERATOR_EDITOR, region="CN")
    text = read_shipped("everyday_actions_national.csv").decode()
    answer = desk.ask("national", "POST", TABLES, {"form": "csv", "text": text})
    assert (answer.status_code, answer.json["region"]) == (201, "CN")
    assert desk.ask("editor", "GET", f"{TABLES}/{answer.json['id']}").status_code == 404
    assert publish(desk, answer.json["id"]).status_code == 404


def test_the_author_does_not_publish_whatever_roles_one_has(desk: Desk) -> None:
    both = frozenset({Permission.PUBLICATION_DRAFT, Permission.PUBLICATION_PUBLISH})
    desk.callers["editor"] = replace(desk.callers["editor"], permissions=both)
    table = draft(desk).json["id"]
    assert code(desk.ask("editor", "POST", f"{TABLES}/{table}/publication", YES)) == (
        403,
        "author_cannot_publish",
    )
    assert publish(desk, table).status_code == 201


def test_a_later_table_follows_the_first_and_both_say_so(desk: Desk) -> None:
    first = draft(desk).json["id"]
    publish(desk, first)
    second = draft(desk, TEXT.replace("2021-12-01", "2026-01-01")).json["id"]
    told = publish(desk, second).json
    assert told["history"]["supersedes"] == [first]
    before = desk.ask("", "GET", f"/v1/public/factor-tables/{first}").json
    assert (before["standing"], before["ends_on"]) == ("superseded", "2026-01-01")
    assert before["history"]["superseded_by"] == [second]
    assert before["proof"]["holds"] is True
    page = desk.ask("", "GET", "/v1/public/factor-tables?limit=1").json
    assert [each["id"] for each in page["items"]] == [second]
    rest = desk.ask("", "GET", f"/v1/public/factor-tables?limit=1&after={page['next']}").json
    assert ([each["id"] for each in rest["items"]], rest["next"]) == ([first], None)
    drafts = desk.ask("editor", "GET", f"{TABLES}?state=draft").json
    assert drafts["items"] == []


def test_two_tables_of_one_scenario_published_at_once_are_not_both_in_force(desk: Desk) -> None:
    subjects = [f"transport-{number}" for number in range(6)]
    tables = [
        draft(desk, TEXT.replace("subject: transport", f"subject: {each}")).json["id"] for each in subjects
    ]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda table: publish(desk, table).status_code, tables))
    assert sorted(answers) == [201] + [409] * 5
    assert desk.database.rows("SELECT count(*) AS n FROM factor")[0].n == 3


@pytest.mark.parametrize(
    "path", ["pub_" + "0" * 26, "ptn_" + "0" * 26, "x"], ids=["unknown", "wrong-prefix", "no-id"]
)
def test_an_id_of_nothing_is_refused(desk: Desk, path: str) -> None:
    expected = 404 if path.startswith("pub") else 422
    assert desk.ask("", "GET", f"/v1/public/factor-tables/{path}").status_code == expected
    assert publish(desk, path).status_code == expected
