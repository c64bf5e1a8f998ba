"""Giving over HTTP: declared, approved by another, given, shared out, and a certificate nobody can doubt."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from app.identity.roles import Role
from kernel.canonical import canonical_json, digest
from kernel.identifiers import new_id, public_id
from kernel.permission import Permission
from ledger.accounts import citizen_accounts
from ledger.reconciliation import CHECKS, reconcile
from tests.app.desk import Desk, desk
from tests.carbon.city import publish_rules
from tests.conftest import REGION

__all__ = ["desk"]
KILOGRAM = 1_000_000
PROJECTS, SHARES = "/v1/operator/donation-projects", "/v1/operator/pool/allocations"
LED: dict[str, Any] = {
    "enterprise_name": "示例企业 A",
    "project_key": "demo-led-retrofit-01",
    "title": "LED retrofit of a demo plant",
    "dossier": "Baseline 2024 metered, lamps replaced in January 2025.",
    "period_start": "2025-01-01",
    "period_end": "2026-01-01",
    "carbon_mg": 100 * KILOGRAM,
    "verifier": "示例核查机构",
    "verification_document": "DEMO-V-2026-01",
    "exclusivity_statement": "Not sold, not claimed elsewhere.",
}
WHY = {"reason": "the dossier is complete"}


@pytest.fixture
def city(desk: Desk) -> Desk:
    desk.database.run(publish_rules)
    for who in ("citizen", "neighbour"):
        settle(desk, who)
    return desk


def settle(desk: Desk, who: str) -> None:
    """Open the accounts that a first sign-in opens."""
    owner = desk.callers[who].known_id
    desk.database.run(lambda call: citizen_accounts(call, owner, region_id=REGION))


def declared(city: Desk, who: str = "donor", **change: Any) -> str:
    answer = city.ask(who, "POST", PROJECTS, {**LED, **change})
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def approved(city: Desk) -> str:
    project = declared(city)
    assert city.ask("publisher", "POST", f"{PROJECTS}/{project}/approval", WHY).json["state"] == "approved"
    return project


def give(city: Desk, project: str, kilograms: int = 60, who: str = "donor", key: str | None = None) -> Any:
    deed = {"carbon_mg": kilograms * KILOGRAM, "statement_version": "v1"}
    return city.ask(who, "POST", f"{PROJECTS}/{project}/donations", deed, key=key)


def share(city: Desk, *names: str, kilograms: int = 1, key: str | None = None) -> Any:
    people = [public_id("ctz", city.callers[who].known_id) for who in names]
    body = {"citizen_ids": people, "carbon_mg_each": kilograms * KILOGRAM, "reason": "public welfare day"}
    return city.ask("publisher", "POST", SHARES, body, key=key)


def pool(city: Desk) -> dict[str, int]:
    told = city.ask("", "GET", f"/v1/public/pools/{REGION}").json
    return {
        name: told[f"{name}_mg"] // KILOGRAM for name in ("donated", "on_the_way", "available", "allocated")
    }


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]


def sound(city: Desk) -> None:
    found = city.database.run(
        lambda call: {o.check.name: o.findings for o in reconcile(call, CHECKS) if not o.holds}
    )
    assert found == {}


def test_a_project_becomes_coins_of_citizens_and_every_share_leads_back_to_its_certificate(
    city: Desk,
) -> None:
    project = approved(city)
    gift = give(city, project)
    assert gift.status_code == 201
    assert pool(city) == {"donated": 60, "on_the_way": 60, "available": 0, "allocated": 0}
    shared = share(city, "citizen", "neighbour", kilograms=2)
    assert (shared.status_code, shared.json["citizens"], shared.json["coin_milli_each"]) == (201, 2, 200_000)
    assert pool(city) == {"donated": 60, "on_the_way": 0, "available": 56, "allocated": 4}
    transfers = city.ask("citizen", "GET", "/v1/me/transfers").json["items"]
    assert {(line["unit"], line["code"], line["amount"]) for line in transfers} == {
        ("carbon", "ALLOCATE", 2 * KILOGRAM),
        ("coin", "CREDIT", 200_000),
    }
    for line in transfers:
        told = city.ask("citizen", "GET", f"/v1/me/transfers/{line['transfer_id']}/explanation").json
        assert (told["kind"], told["replays_equal"]) == ("pool_share", True)
        (giver,) = told["share"]["given_by"]
        assert giver["certificate_id"] == gift.json["id"]
        assert (giver["document"], giver["signature_holds"]) == ("DEMO-V-2026-01", True)
        assert city.ask("", "GET", giver["certificate"]).status_code == 200
        assert (
            city.ask("donor", "GET", f"/v1/me/transfers/{line['transfer_id']}/explanation").status_code == 404
        )
    assert city.ask("auditor", "GET", SHARES).json["items"][0]["reason"] == "public welfare day"
    sound(city)


def test_a_certificate_is_checked_with_its_page_and_the_public_key_alone(city: Desk) -> None:
    gift = give(city, approved(city)).json
    found = city.ask("", "GET", f"/v1/public/certificates/{gift['id']}").json
    keys = city.ask("", "GET", found["how_to_verify"]["keys"]).json["certificate"]
    key = next(each["public_key"] for each in keys if each["kid"] == found["proof"]["kid"])
    mark = digest(canonical_json(found["certificate"]))
    assert mark.hex() == found["proof"]["sha256"]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
        bytes.fromhex(found["proof"]["signature"]), mark
    )
    assert (found["holds"], found["page"]) == (True, gift["certificate"])
    assert found["certificate"]["enterprise"] == "示例企业 A"
    listed = city.ask("", "GET", f"/v1/public/certificates?region={REGION}").json["items"]
    assert [each["id"] for each in listed] == [gift["id"]]
    city.hire("elsewhere", Role.DONOR, region="CN-GD", organisation=new_id())
    assert city.ask("elsewhere", "GET", f"/v1/public/certificates/{gift['id']}").status_code == 200


def test_one_person_does_not_decide_alone(city: Desk) -> None:
    project = declared(city, "editor", enterprise_id=public_id("ent", new_id()))
    everything = frozenset(Permission)
    city.callers["editor"] = replace(city.callers["editor"], permissions=everything)
    assert code(city.ask("editor", "POST", f"{PROJECTS}/{project}/approval", WHY)) == (
        403,
        "declarer_cannot_approve",
    )
    assert code(give(city, project, who="editor")) == (409, "project_not_approved")
    assert city.ask("publisher", "POST", f"{PROJECTS}/{project}/rejection", WHY).json["state"] == "rejected"
    assert code(city.ask("publisher", "POST", f"{PROJECTS}/{project}/approval", WHY)) == (
        409,
        "project_not_waiting",
    )


def test_a_donor_speaks_for_the_own_enterprise_only(city: Desk) -> None:
    assert code(
        city.ask("donor", "POST", PROJECTS, {**LED, "enterprise_id": public_id("ent", new_id())})
    ) == (
        403,
        "not_permitted",
    )
    assert code(city.ask("editor", "POST", PROJECTS, LED)) == (422, "invalid_field")
    project = approved(city)
    city.hire("rival", Role.DONOR, organisation=new_id())
    assert city.ask("rival", "GET", f"{PROJECTS}/{project}").status_code == 404
    assert give(city, project, who="rival").status_code == 404
    assert city.ask("rival", "GET", PROJECTS).json["items"] == []
    assert [each["id"] for each in city.ask("donor", "GET", f"{PROJECTS}?state=approved").json["items"]] == [
        project
    ]
    city.hire("elsewhere", Role.OPERATOR_PUBLISHER, region="CN-GD")
    assert city.ask("elsewhere", "POST", f"{PROJECTS}/{project}/approval", WHY).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "refusal"),
    [
        ({"period_end": "2025-01-01"}, 422, "request_invalid"),
        ({"period_end": "2027-01-01"}, 422, "period_not_over"),
        ({"carbon_mg": 0}, 422, "request_invalid"),
        ({"carbon_mg": 2**63}, 422, "request_invalid"),
        ({"carbon_mg": "12"}, 422, "request_invalid"),
        ({"title": "a\u0000b"}, 422, "request_invalid"),
        ({"more": 1}, 422, "request_invalid"),
    ],
    ids=["no-days", "not-over", "nothing", "too-much", "text", "nul", "unknown"],
)
def test_a_declaration_that_is_not_one_is_refused(city: Desk, change: Any, status: int, refusal: str) -> None:
    assert code(city.ask("donor", "POST", PROJECTS, {**LED, **change})) == (status, refusal)


def test_a_period_is_declared_once_and_a_gift_is_never_more_than_was_verified(city: Desk) -> None:
    project = approved(city)
    again = city.ask("donor", "POST", PROJECTS, LED)
    assert code(again) == (409, "project_period_claimed")
    assert again.json["facts"]["first"] == project
    assert give(city, project, 60).status_code == 201
    assert code(give(city, project, 41)) == (409, "balance_insufficient")
    assert give(city, project, 40).status_code == 201


def test_an_equal_request_gives_and_shares_out_once(city: Desk) -> None:
    project = approved(city)
    with ThreadPoolExecutor(8) as crowd:
        gifts = list(crowd.map(lambda _: give(city, project, 10, key="gift-0001"), range(8)))
        shares = list(crowd.map(lambda _: share(city, "citizen", key="share-0001"), range(8)))
    assert {answer.status_code for answer in (*gifts, *shares)} == {201}
    assert len({answer.get_data() for answer in gifts}) == len({answer.get_data() for answer in shares}) == 1
    assert sum(answer.headers.get("Idempotent-Replayed") == "true" for answer in shares) == 7
    assert pool(city) == {"donated": 10, "on_the_way": 0, "available": 9, "allocated": 1}
    for path in (f"{PROJECTS}/{project}/donations", SHARES, f"{PROJECTS}/{project}/approval"):
        who = "donor" if path.endswith("donations") else "publisher"
        answer = city.client.post(path, json={}, headers={"X-Who": who})
        assert answer.status_code in {400, 422}
    sound(city)


def test_no_more_is_shared_out_than_the_pool_holds(city: Desk) -> None:
    give(city, approved(city), 100)
    people = [f"citizen-{number:03d}" for number in range(4)]
    for who in people:
        city.hire(who, Role.CITIZEN)
        settle(city, who)
    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(lambda who: share(city, who, kilograms=40).status_code, people))
    assert sorted(answers) == [201, 201, 409, 409]
    assert pool(city) == {"donated": 100, "on_the_way": 0, "available": 20, "allocated": 80}
    sound(city)


def test_nobody_unknown_and_nobody_twice_gets_a_share(city: Desk) -> None:
    give(city, approved(city))
    city.hire("ghost", Role.CITIZEN)
    refused = share(city, "citizen", "ghost")
    assert code(refused) == (422, "citizen_unknown")
    assert refused.json["errors"][0]["pointer"] == "/body/citizen_ids/1"
    assert code(share(city, "citizen", "citizen")) == (422, "request_invalid")
    assert code(share(city)) == (422, "request_invalid")
    assert pool(city)["allocated"] == 0


def test_an_unknown_certificate_or_pool_is_not_found(city: Desk) -> None:
    assert city.ask("", "GET", "/v1/public/certificates/don_" + "0" * 26).status_code == 404
    assert city.ask("", "GET", "/v1/public/pools/CN-XX").status_code == 404
    assert city.ask("", "GET", "/certificates/don_" + "0" * 26).status_code == 404
