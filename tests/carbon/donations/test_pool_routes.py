"""The pool over HTTP: a plan in public, shares by need, a withdrawal with its notice, and pages of all."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kernel.canonical import canonical_json, digest
from kernel.identifiers import public_id
from tests.app.desk import Desk, desk
from tests.app.test_public_pages import reading
from tests.carbon.donations.test_donation_routes import (
    KILOGRAM,
    approved,
    city,
    code,
    give,
    pool,
    share,
    sound,
)
from tests.conftest import REGION

__all__ = ["city", "desk"]
LINE: dict[str, Any] = {
    "key": "green-commute",
    "title_zh": "绿色通勤",
    "title_en": "Green commuting",
    "purpose_zh": "奖励首次改乘公交的市民",
    "purpose_en": "For citizens who take the bus for the first time",
    "budget_mg": 10 * KILOGRAM,
    "starts_on": "2026-11-01",
    "ends_on": "2026-12-01",
}
BY_NEED, CAMPAIGNS = "/v1/operator/pool/allocations-by-need", "/v1/operator/pool/campaigns"
WHY = {"cause": "claimed_elsewhere", "reason": "重复申报 / found in CCER"}


def withdraw(city: Desk, gift: str, *, who: str = "publisher", key: str | None = None) -> Any:
    return city.ask(who, "POST", f"/v1/operator/donations/{gift}/withdrawal", WHY, key=key)


def test_a_plan_is_made_by_one_spent_by_another_and_read_by_all(city: Desk) -> None:
    give(city, approved(city))
    assert city.ask("publisher", "POST", CAMPAIGNS, LINE).status_code == 403
    line = city.ask("editor", "POST", CAMPAIGNS, LINE)
    assert line.status_code == 201
    assert code(city.ask("editor", "POST", CAMPAIGNS, LINE)) == (409, "pool_campaign_key_taken")
    people = [
        {"citizen_id": public_id("ctz", city.callers[who].known_id), "weight": weight}
        for who, weight in (("citizen", 3), ("neighbour", 1))
    ]
    order = {
        "shares": people,
        "carbon_mg": 8 * KILOGRAM,
        "reason": "winter help",
        "campaign_id": line.json["id"],
    }
    made = city.ask("publisher", "POST", BY_NEED, order)
    assert (made.status_code, made.json["rule"], made.json["carbon_mg_each"]) == (201, "need", None)
    assert (made.json["coin_milli"], made.json["coin_milli_each"]) == (800_000, 200_000)
    refused = city.ask("publisher", "POST", BY_NEED, order)
    assert (code(refused), refused.json["facts"]) == ((409, "pool_campaign_spent"), {"left_mg": 2 * KILOGRAM})
    twice = city.ask("publisher", "POST", BY_NEED, {**order, "shares": people[:1] * 2})
    assert twice.json["errors"][0]["pointer"] == "/body/shares/1/citizen_id"
    stranger = {**people[0], "citizen_id": public_id("ctz", city.callers["clerk"].known_id)}
    answer = city.ask("publisher", "POST", BY_NEED, {**order, "shares": [people[1], stranger]})
    assert (code(answer), answer.json["errors"][0]["pointer"]) == (
        (422, "citizen_unknown"),
        "/body/shares/1/citizen_id",
    )
    (shown,) = city.ask("", "GET", f"/v1/public/pools/{REGION}/plan").json["items"]
    assert (shown["allocated_mg"], shown["budget_mg"]) == (8 * KILOGRAM, 10 * KILOGRAM)
    page = reading(city.product, "/pool")
    assert "绿色通勤" in page
    assert "winter help" in page
    assert city.callers["citizen"].known_id.hex not in page.replace("-", "")
    sound(city)


def test_a_withdrawn_gift_says_so_wherever_it_is_read_and_its_notice_is_checked_alone(city: Desk) -> None:
    gift = give(city, approved(city)).json["id"]
    share(city, "citizen", kilograms=20)
    for who in ("donor", "editor", "auditor"):
        assert withdraw(city, gift, who=who).status_code == 403
    made = withdraw(city, gift)
    assert (made.status_code, made.json["carbon_shown"]) == (201, "40 kg")
    assert pool(city) == {"donated": 60, "on_the_way": 0, "available": 0, "allocated": 20}
    found = city.ask("", "GET", f"/v1/public/certificates/{gift}").json
    assert (found["state"], found["holds"]) == ("partly_withdrawn", True)
    assert found["serials"]["withdrawn_mg"] == 40 * KILOGRAM
    keys = city.ask("", "GET", "/v1/public/keys").json["certificate"]
    notice, proof = found["withdrawal"]["notice"], found["withdrawal"]["proof"]
    key = next(each["public_key"] for each in keys if each["kid"] == proof["kid"])
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
        bytes.fromhex(proof["signature"]), digest(canonical_json(notice))
    )
    page = reading(city.product, f"/certificates/{gift}")
    assert "部分撤回" in page
    assert "重复申报" in page
    assert "部分撤回" in reading(city.product, "/certificates")
    assert code(withdraw(city, gift)) == (409, "already_withdrawn")
    sound(city)


def test_a_withdrawal_sent_eight_times_is_one(city: Desk) -> None:
    gift = give(city, approved(city)).json["id"]

    def one(_: int) -> Any:
        while (answer := withdraw(city, gift, key="withdraw-0001")).status_code == 503:
            pass  # who is told to wait comes again
        return answer

    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(one, range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.get_data() for answer in answers}) == 1
    sound(city)


def test_anybody_looks_a_serial_up_and_reads_of_no_citizen(city: Desk) -> None:
    gift = give(city, approved(city)).json["id"]
    shared = share(city, "citizen", kilograms=20).json["id"]
    told = city.ask("", "GET", f"/v1/public/pools/{REGION}/serials/1").json
    assert told == {
        "region": REGION,
        "serial": 1,
        "state": "shared",
        "first_serial": 1,
        "last_serial": 20 * KILOGRAM,
        "certificate_id": gift,
        "allocation_id": shared,
    }
    waiting = city.ask("", "GET", f"/v1/public/pools/{REGION}/serials/{60 * KILOGRAM}").json
    assert (waiting["state"], waiting["allocation_id"]) == ("waiting", None)
    citizen = public_id("ctz", city.callers["citizen"].known_id)
    page = reading(city.product, "/pool/serials/1")
    assert gift in page
    assert citizen not in page
    for nowhere in ("0", "01", "１", str(60 * KILOGRAM + 1), str(2**63), "9" * 400):
        assert city.ask("", "GET", f"/v1/public/pools/{REGION}/serials/{nowhere}").status_code == 404
    reading(city.product, f"/pool/serials/{2**63}", 404)
    reading(city.product, "/pool?region=CN-XX", 404)


def test_a_deed_is_signed_under_a_statement_that_anybody_reads(city: Desk) -> None:
    told = city.ask("", "GET", "/v1/public/exclusivity-statements").json
    (text,) = [each for each in told["items"] if each["version"] == told["current"]]
    project = approved(city)
    path = f"/v1/operator/donation-projects/{project}/donations"
    assert code(city.ask("donor", "POST", path, {"carbon_mg": 1})) == (422, "request_invalid")
    old = city.ask("donor", "POST", path, {"carbon_mg": 1, "statement_version": "v0"})
    assert (code(old), old.json["facts"]) == ((409, "statement_unknown"), {"current": told["current"]})
    gift = give(city, project).json["id"]
    said = city.ask("", "GET", f"/v1/public/certificates/{gift}").json["certificate"]["statement"]
    assert said == {"version": text["version"], "sha256": text["sha256"]}
    bare = {name: text[name] for name in ("version", "zh", "en")}
    assert digest(canonical_json(bare)).hex() == said["sha256"]
    assert text["zh"] in reading(city.product, f"/certificates/{gift}")
