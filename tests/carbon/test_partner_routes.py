"""Consents, cards and partners over HTTP: who lets which records in, and whose card it is."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from app.identity.roles import Role
from carbon.partners.bindings import MOST_A_DAY, MOST_CARDS, hash_subject
from carbon.partners.consent_texts import CONSENT_TEXTS
from carbon.partners.registry import partner_of_key
from kernel.clock import FixedClock
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id
from tests.app.desk import Desk, desk
from tests.carbon.city import SECRET, plant_city
from tests.conftest import REGION

__all__ = ["desk"]
CARD = "DEMO-CARD-0017"
RECORD = {
    "source_event_id": "e1",
    "subject": CARD,
    "scenario": "metro_ride",
    "occurred_at": "2026-11-20T11:00:00+08:00",
    "quantity": 10_000,
    "unit": "m",
}


@pytest.fixture
def partner(desk: Desk) -> dict[str, Any]:
    desk.database.run(plant_city)
    made = desk.ask("editor", "POST", "/v1/operator/partners", {"name": "示例通卡", "data_source": "transit"})
    assert made.status_code == 201
    actor = desk.database.run(lambda call: partner_of_key(call.db, made.json["api_key"]))
    desk.callers["partner"] = actor
    return dict(made.json)


def consent(desk: Desk, partner: dict[str, Any], who: str = "citizen", version: str = "v1") -> Any:
    body = {"partner_id": partner["id"], "text_version": version}
    return desk.ask(who, "POST", "/v1/me/consents", body)


def bind(desk: Desk, partner: dict[str, Any], who: str = "citizen", number: str = CARD) -> Any:
    return desk.ask(who, "POST", "/v1/me/bindings", {"partner_id": partner["id"], "subject_number": number})


def push(desk: Desk, **change: Any) -> Any:
    return desk.ask("partner", "POST", "/v1/partner/activities", {"record": {**RECORD, **change}})


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def test_a_citizen_reads_consents_binds_and_finds_the_ride(desk: Desk, partner: dict[str, Any]) -> None:
    offers = desk.ask("citizen", "GET", "/v1/me/data-partners").json["items"]
    offered = next(each for each in offers if each["partner_id"] == partner["id"])
    text = offered["consent_text"]
    assert (offered["data_source"], offered["open_consent"]) == ("transit", None)
    assert "撤回" in text["zh"]
    assert "withdraw" in text["en"]
    assert code(push(desk)) == (422, "unbound_card")
    given = consent(desk, partner, version=text["version"])
    assert given.status_code == 201
    assert consent(desk, partner).json["id"] == given.json["id"]
    bound = bind(desk, partner)
    assert bound.status_code == 201
    assert bind(desk, partner).json == bound.json
    assert push(desk).json["outcome"] == "credited"
    (ride,) = desk.ask("citizen", "GET", "/v1/me/activities").json["items"]
    assert (ride["scenario"], ride["carbon_mg"], ride["coin_milli"]) == (
        "metro_ride",
        467_000,
        46_700 - 16_700,
    )
    told = desk.ask("citizen", "GET", f"/v1/me/transfers/{ride['coin_transfer_id']}/explanation").json
    assert told["replays_equal"] is True
    assert told["activities"][0]["id"] == ride["id"]
    assert desk.ask("neighbour", "GET", "/v1/me/activities").json["items"] == []


def test_a_number_is_kept_only_as_its_keyed_hash(desk: Desk, partner: dict[str, Any]) -> None:
    consent(desk, partner)
    assert CARD not in bind(desk, partner).get_data(as_text=True)
    listed = desk.ask("citizen", "GET", "/v1/me/bindings").json["items"]
    assert set(listed[0]) == {"id", "partner_id", "bound_at", "ended_at"}
    stored = str(desk.database.rows("SELECT row_to_json(b)::text FROM binding b"))
    stored += str(desk.database.rows("SELECT row_to_json(a)::text FROM audit_entry a"))
    assert "card.bind" in stored
    assert CARD not in stored
    hashed = hash_subject(SECRET, partner_id=parse_public_id("ptn", partner["id"]), subject=CARD)
    assert desk.database.rows("SELECT subject_hash FROM binding")[0].subject_hash == hashed


def test_a_withdrawn_consent_stops_records_and_leaves_what_was_credited(
    desk: Desk, partner: dict[str, Any]
) -> None:
    given = consent(desk, partner).json
    bind(desk, partner)
    assert push(desk).json["outcome"] == "credited"
    before = desk.ask("citizen", "GET", "/v1/me/balances").json["accounts"]
    assert desk.ask("neighbour", "DELETE", f"/v1/me/consents/{given['id']}").status_code == 404
    for named in (given["id"], partner["id"], given["id"]):
        assert desk.ask("citizen", "DELETE", f"/v1/me/consents/{named}").status_code == 204
    assert code(push(desk, source_event_id="e2")) == (422, "consent_withdrawn")
    assert desk.ask("citizen", "GET", "/v1/me/balances").json["accounts"] == before
    assert desk.ask("citizen", "GET", "/v1/me/consents").json["items"][0]["withdrawn_at"]
    assert consent(desk, partner).json["id"] != given["id"]
    assert push(desk, source_event_id="e2").json["outcome"] == "credited"


def test_what_a_citizen_may_not_bind_or_agree_to(desk: Desk, partner: dict[str, Any]) -> None:
    assert code(bind(desk, partner)) == (422, "consent_missing")
    assert code(consent(desk, partner, version="v0")) == (409, "text_outdated")
    consent(desk, partner)
    for number in ("", "12 34", "１２３４", "x" * 65, "a\u0000b", 1234, None):
        assert bind(desk, partner, number=number).status_code == 422  # type: ignore[arg-type]  # on purpose
    assert code(desk.ask("citizen", "DELETE", "/v1/me/bindings/con_" + "0" * 26)) == (422, "wrong_identifier")
    assert desk.ask("citizen", "DELETE", "/v1/me/bindings/bnd_" + "0" * 26).status_code == 404
    assert desk.ask("citizen", "DELETE", "/v1/me/consents/ptn_" + "0" * 26).status_code == 404
    desk.hire("stranger", Role.CITIZEN, region="CN-GD")
    assert consent(desk, partner, "stranger").status_code == 404
    desk.ask("editor", "POST", f"/v1/operator/partners/{partner['id']}/suspension", {"reason": "audit"})
    assert consent(desk, partner, "neighbour").status_code == 404


def test_anothers_card_is_refused_without_saying_whose_until_they_let_it_go(
    desk: Desk, partner: dict[str, Any]
) -> None:
    for who in ("citizen", "neighbour"):
        consent(desk, partner, who)
    mine = bind(desk, partner).json["id"]
    refused = bind(desk, partner, "neighbour")
    assert code(refused) == (409, "already_bound")
    assert refused.json["facts"] == {}
    assert desk.ask("neighbour", "DELETE", f"/v1/me/bindings/{mine}").status_code == 404
    for _ in range(2):
        assert desk.ask("citizen", "DELETE", f"/v1/me/bindings/{mine}").status_code == 204
    assert bind(desk, partner, "neighbour").status_code == 201


def test_of_many_citizens_who_bind_one_card_at_once_exactly_one_has_it(
    desk: Desk, partner: dict[str, Any]
) -> None:
    people = [f"citizen-{number:03d}" for number in range(12)]
    for who in people:
        desk.hire(who, Role.CITIZEN)
        consent(desk, partner, who)
    with ThreadPoolExecutor(len(people)) as pool:
        answers = list(pool.map(lambda who: bind(desk, partner, who).status_code, people))
    assert sorted(answers) == [201] + [409] * 11
    assert desk.database.rows("SELECT count(*) AS n FROM binding")[0].n == 1


def test_a_citizen_who_tries_many_numbers_is_stopped(desk: Desk, partner: dict[str, Any]) -> None:
    consent(desk, partner)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda no: bind(desk, partner, number=f"no-{no}").status_code, range(8)))
    assert sorted(answers) == [201] * MOST_CARDS + [429] * 3
    for _ in range(MOST_A_DAY - MOST_CARDS):
        standing = [
            b for b in desk.ask("citizen", "GET", "/v1/me/bindings").json["items"] if not b["ended_at"]
        ]
        desk.ask("citizen", "DELETE", f"/v1/me/bindings/{standing[0]['id']}")
        assert bind(desk, partner, number=f"more-{_}").status_code == 201
    assert code(bind(desk, partner, number="one-more")) == (429, "too_many_bindings")


def test_whether_a_number_is_anothers_cannot_be_asked_without_end(
    desk: Desk, partner: dict[str, Any], clock: FixedClock
) -> None:
    for who in ("citizen", "neighbour"):
        consent(desk, partner, who)
    for no in range(MOST_CARDS):
        assert bind(desk, partner, "neighbour", f"theirs-{no}").status_code == 201
    mine = bind(desk, partner).json

    def ask(no: int) -> tuple[int, str]:
        return code(bind(desk, partner, number=f"theirs-{no % MOST_CARDS}"))

    with ThreadPoolExecutor(8) as pool:  # at once, so that none is asked before another is counted
        answers = list(pool.map(ask, range(20)))
    assert answers.count((409, "already_bound")) == MOST_A_DAY - 1
    assert answers.count((429, "too_many_bindings")) == 20 - (MOST_A_DAY - 1)
    assert bind(desk, partner).json == mine
    for who, number in (("citizen", "theirs-0"), ("citizen", "nobodys"), ("neighbour", CARD)):
        assert code(bind(desk, partner, who, number)) == (429, "too_many_bindings")
    clock.advance(timedelta(hours=25))
    assert bind(desk, partner, number="nobodys").status_code == 201


def test_a_replaced_key_stops_at_once_and_a_suspended_partner_too(
    desk: Desk, partner: dict[str, Any]
) -> None:
    def opens(key: str) -> bool:
        try:
            return bool(desk.database.run(lambda call: partner_of_key(call.db, key)))
        except Refusal:
            return False

    at = f"/v1/operator/partners/{partner['id']}"
    second = desk.ask("editor", "POST", f"{at}/key").json
    assert second["id"] == partner["id"]
    assert [opens(partner["api_key"]), opens(second["api_key"])] == [False, True]
    assert (
        desk.ask("editor", "POST", f"{at}/suspension", {"reason": "no answer"}).json["state"] == "suspended"
    )
    assert code(desk.ask("editor", "POST", f"{at}/suspension", {"reason": "again"})) == (
        409,
        "partner_suspended",
    )
    assert code(desk.ask("editor", "POST", f"{at}/key")) == (409, "partner_suspended")
    assert not opens(second["api_key"])
    assert desk.ask("editor", "POST", f"{at}/resumption", {"reason": "answered"}).json["state"] == "active"
    assert code(desk.ask("editor", "POST", f"{at}/resumption", {"reason": "again"})) == (
        409,
        "partner_active",
    )
    assert opens(second["api_key"])
    actions = [row.action for row in desk.database.rows("SELECT action FROM audit_entry ORDER BY id")]
    assert actions[-4:] == ["partner.register", "partner.rotate_key", "partner.suspended", "partner.active"]
    listed = desk.ask("editor", "GET", "/v1/operator/partners?limit=1").json
    assert "api_key" not in listed["items"][0]
    rest = desk.ask("editor", "GET", f"/v1/operator/partners?after={listed['next']}").json
    assert [each["name"] for each in rest["items"]] == ["demo transit"]


def test_another_regions_partner_is_not_found(desk: Desk, partner: dict[str, Any]) -> None:
    desk.hire("provincial", Role.OPERATOR_EDITOR, region="CN-GD")
    at = f"/v1/operator/partners/{partner['id']}"
    for method, path, body in (
        ("GET", at, None),
        ("POST", f"{at}/key", None),
        ("POST", f"{at}/suspension", {"reason": "mine now"}),
    ):
        assert desk.ask("provincial", method, path, body).status_code == 404
    assert desk.ask("provincial", "GET", "/v1/operator/partners").json["items"] == []
    assert REGION != "CN-GD"


@pytest.mark.parametrize("after", ["x", "AAAA", "é"])
def test_a_cursor_of_somebody_else_is_refused(desk: Desk, after: str) -> None:
    assert desk.ask("citizen", "GET", f"/v1/me/bindings?after={after}").status_code == 422


def test_a_text_that_was_shown_is_never_edited() -> None:
    shown = {
        f"{source}/{text.version}": hashlib.sha256(f"{text.zh}\n{text.en}".encode()).hexdigest()[:16]
        for source, text in CONSENT_TEXTS.items()
    }
    assert shown == SHOWN, "a new wording is a new version"


SHOWN = {
    "transit/v1": "ce134c0efb4b9b97",
    "shared_bike/v1": "920fd32365cf9dce",
    "electricity/v2": "82cd67f1ddb0af5c",
    "water/v2": "811d0351f7df7c40",
    "gas/v2": "578292d68e2b53e6",
    "recycling/v1": "a6ef81ac43acd34e",
    "general/v1": "e96b9305216a9579",
}
