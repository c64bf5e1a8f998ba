"""What an address answers is what the OpenAPI document says it answers."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from carbon.activities.explanation import explain
from carbon.factors.example_table import EXAMPLE_YAML
from kernel.clock import SystemClock
from kernel.identifiers import new_id, parse_public_id
from tests.conftest import make_call
from tests.journeys.callers import PROJECT, Crowd, adjusted, coming_day, crowd, redeemed, settled
from tests.journeys.offers import drafted_reward, published_reward
from tests.journeys.proposals import (
    Make,
    approved_proposal,
    correcting_table,
    drafted_proposal,
    heard_proposal,
    noticed_proposal,
    submitted_proposal,
)
from tests.journeys.siege import body_schema, needed, openapi, operation, path_of, rules

pytestmark = pytest.mark.xdist_group("answers")
Fresh = Callable[[Crowd], dict[str, str]]


@pytest.fixture(scope="module")
def city(cache_url: str) -> Iterator[Crowd]:
    with crowd(cache_url) as made:
        yield made


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": openapi()["components"]}
    found = Draft202012Validator(whole).iter_errors(value)
    return [f"{fault.json_path}: {fault.message[:120]}" for fault in found]


def answered(operation: dict[str, Any], status: int, media: str = "application/json") -> dict[str, Any]:
    """The schema of one answer; empty where the document names none."""
    answer = operation["responses"].get(str(status)) or operation["responses"]["default"]
    schema: dict[str, Any] = answer.get("content", {}).get(media, {}).get("schema", {})
    return schema


def test_every_list_and_thing_is_read_as_the_document_says(city: Crowd) -> None:
    wrong = {}
    for method, address in rules("GET"):
        said = operation(method, address)
        query = {"region": "CN-GD-SZ"} if address == "/v1/rewards" else {}
        answer = city.send(
            city.caller_for(needed(method, address)), method, path_of(city, address), query_string=query
        )
        if not answer.is_json:
            continue
        schema = answered(said, answer.status_code, str(answer.mimetype))
        found = faults(schema, answer.json) if answer.status_code < 500 else [str(answer.json)]
        if found or (answer.status_code >= 400 and str(answer.status_code) not in said["responses"]):
            wrong[address] = (answer.status_code, found[:5])
    assert wrong == {}


def test_a_fields_schema_leaves_nothing_out_of_an_explanation(city: Crowd) -> None:
    citizen = city.callers[0]
    page = city.send(citizen, "GET", "/v1/me/transfers").get_json()
    kinds = set()
    for line in page["items"]:
        path = f"/v1/me/transfers/{line['transfer_id']}/explanation"
        told = city.send(citizen, "GET", path).get_json()
        with city.product.door.sessions() as session:
            call = make_call(session, now=SystemClock().now())
            tree = explain(call, parse_public_id("ctz", city.ids["ctz"]), int(line["transfer_id"]))
        assert told == tree
        kinds.add(told["kind"])
    assert kinds >= {"activities", "plain"}


A_MOMENT = SystemClock().now()
"""One for all examples: two that tell one fact in two ways must not differ by the second they are sent in."""


def in_a_home(city: Crowd, address: str, value: Any, name: str) -> Any:
    """Homes and meters of their own, and people who bound a card."""
    if name == "subject":
        return city.town.residents[address.endswith("/members")].card
    return f"demo-{new_id().hex[-20:]}" if name in {"reference", "number"} else value


def in_the_city(city: Crowd, address: str, value: Any, name: str = "") -> Any:
    """An example with what only this city has: its ids, its card, days to come."""
    if isinstance(value, dict):
        return {inner: in_the_city(city, address, each, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [in_the_city(city, address, each, name) for each in value]
    if name == "subject" and address == "/v1/partner/activities":
        return city.town.residents[0].card
    if "/households" in address:
        value = in_a_home(city, address, value, name)
    own = {
        "meter": "m-000",
        "subject_number": "3104700123456789",
        "clerk_id": city.ids.get("clk"),
        **({"number": city.ids.get("number")} if address.endswith("/shifts") else {}),
        "effective_from": coming_day(9),
        "from_day": coming_day(9),
        "occurred_at": A_MOMENT.isoformat(timespec="seconds"),
        "sells_until": (A_MOMENT + timedelta(days=300)).isoformat(timespec="seconds"),
    }
    prefix = str(value).partition("_")[0]
    if name == "table_id":
        return city.ids["correcting"]
    if name in {
        "partner_id",
        "reward_id",
        "funder_id",
        "citizen_ids",
        "citizen_id",
        "activity_id",
        "redemption_id",
    }:
        return city.ids[prefix]
    return own.get(name, value)


EXAMPLES = [
    (address, title, body)
    for method, address in rules("POST")
    for content in operation(method, address).get("requestBody", {}).get("content", {}).values()
    for title, body in {
        **{name: each["value"] for name, each in content.get("examples", {}).items()},
        **({"one": content["example"]} if "example" in content else {}),
    }.items()
]
IN_TURN = ("consents", "bindings", "vouchers", "holds", "approval", "donations", "allocations", "suspension")
"""Ends of addresses whose effect others build on."""
OF_THE_MOMENT = {
    "/v1/sessions/wechat",
    "/v1/sessions/password",
    "/v1/sessions/refresh",
    "/v1/terminal/pairing",
    "/v1/terminal/redemptions",
    "/v1/terminal/redemptions/prepare",
    "/v1/terminal/redemptions/confirm",
    "/v1/terminal/redemption-batches",
    "/v1/terminal/redemption-asks/<session>/override",
    "/v1/me/redemption-asks/<ask>/answer",
    "/v1/terminal/offline-batches",
    "/v1/operator/recomputations/<recomputation>/approval",
}
"""Their bodies are secrets, codes, digests or signatures of a moment: an example has their form only."""


def fresh_project(city: Crowd) -> dict[str, str]:
    project = {**PROJECT, "project_key": new_id().hex}
    return {"project": city.make("donor", "/v1/operator/donation-projects", project)["id"]}


def fresh_ride(city: Crowd) -> dict[str, str]:
    ride = city.town.ride(city.town.residents[0], new_id().hex, A_MOMENT)
    return {"act": city.make("partner", "/v1/partner/activities", ride)["activity_id"]}


def fresh_table(city: Crowd) -> dict[str, str]:
    table = {"form": "yaml", "text": EXAMPLE_YAML.replace("own_cup", f"own_cup_{new_id().hex}")}
    return {"table": city.make("operator_editor", "/v1/operator/factor-tables", table)["id"]}


def fresh_proposal(made: Callable[[Make, str], str], name: str = "publication") -> Fresh:
    return lambda city: {name: made(city.make, coming_day(40))}


def heard_again(city: Crowd) -> dict[str, str]:
    return dict(zip(("publication", "objection"), heard_proposal(city.make, coming_day(40)), strict=True))


def fresh_publication(city: Crowd) -> dict[str, str]:
    return {"publication": fresh_table(city)["table"]}


def published_publication(city: Crowd) -> dict[str, str]:
    made = fresh_publication(city)
    path = f"/v1/operator/publications/{made['publication']}/publication"
    city.make("operator_publisher", path, {"reason": "for an example"})
    return made


def fresh_offer(made: Callable[..., str]) -> Fresh:
    return lambda city: {"reward": made(city.make, city.ids["fnd"])}


def fresh_settlement(city: Crowd) -> dict[str, str]:
    return {"settlement": settled(city)}


def disputed_settlement(city: Crowd) -> dict[str, str]:
    made = fresh_settlement(city)
    path = f"/v1/merchant/settlements/{made['settlement']}/dispute"
    city.make("clerk", path, {"reason": "all is wrong", "lines": []})
    return made


def confirmed_settlement(city: Crowd) -> dict[str, str]:
    made = fresh_settlement(city)
    city.make("clerk", f"/v1/merchant/settlements/{made['settlement']}/confirmation", None)
    return made


def used_and_settled(city: Crowd) -> dict[str, str]:
    made = fresh_settlement(city)
    return {**made, "red": city.ids["used"]}


_ONE = "/v1/operator/publications/<publication>"
_SETTLED = "/v1/operator/settlements/<settlement>"
FRESH: dict[str, Fresh] = {
    "/v1/operator/holds": fresh_ride,
    "/v1/operator/recomputations": lambda city: {"correcting": correcting_table(city.make)},
    "/v1/operator/donation-projects/<project>/rejection": fresh_project,
    "/v1/operator/factor-tables/<table>/publication": fresh_table,
    f"{_ONE}/submission": fresh_proposal(drafted_proposal),
    f"{_ONE}/comments": fresh_proposal(submitted_proposal),
    f"{_ONE}/verdict": fresh_proposal(submitted_proposal),
    f"{_ONE}/notice": fresh_proposal(approved_proposal),
    f"{_ONE}/objections/<objection>/answer": heard_again,
    f"{_ONE}/publication": fresh_publication,
    f"{_ONE}/withdrawal": published_publication,
    "/v1/rewards/<reward>/publication": fresh_offer(drafted_reward),
    "/v1/rewards/<reward>/withdrawal": fresh_offer(published_reward),
    "/v1/rewards/<reward>/prices": fresh_offer(published_reward),
    "/v1/terminal/redemptions/<redemption>/reversal": lambda city: {"redemption": redeemed(city)},
    "/v1/merchant/settlements/<settlement>/dispute": fresh_settlement,
    f"{_SETTLED}/answer": disputed_settlement,
    f"{_SETTLED}/payment": confirmed_settlement,
    f"{_SETTLED}/takings-back": used_and_settled,
    "/v1/operator/settlement-adjustments/<adjustment>/decision": lambda city: {"adjustment": adjusted(city)},
    "/v1/notices/<notice>/objections": fresh_proposal(noticed_proposal, "notice"),
}
"""Of what an example uses up, another."""


def fresh_clerk(city: Crowd) -> dict[str, str]:
    """Another clerk, and its number no longer the example's."""
    number = new_id().hex[-10:].upper()
    clerk = {"number": number, "role": "cashier", "pin": "274051"}
    path = f"/v1/merchants/{city.ids['mer']}/clerks"
    made = city.make("operator_editor", path, clerk)["id"]
    return {"clerk": made, "clk": made, "number": number}


FRESH |= {
    "/v1/clerks/<clerk>/pin": fresh_clerk,
    "/v1/clerks/<clerk>/dismissal": fresh_clerk,
    "/v1/me/clerk-link": fresh_clerk,
    "/v1/terminal/shifts": fresh_clerk,
}


def turn(example: tuple[str, str, Any]) -> tuple[int, bool]:
    address, title, _ = example
    end = address.rpartition("/")[2]
    last = len(IN_TURN) + (end == "evidence")  # a partner of several tiers must name one from then on
    return IN_TURN.index(end) if end in IN_TURN else last, title == "a_correction"


def test_every_body_of_json_has_an_example() -> None:
    posts = {address for method, address in rules("POST") if body_schema(method, address) is not None}
    assert posts - {address for address, _, _ in EXAMPLES} == set()


def test_every_example_has_the_form_of_its_schema() -> None:
    wrong = {}
    for address, title, body in EXAMPLES:
        content = operation("POST", address)["requestBody"]["content"]["application/json"]
        found = faults(content["schema"], body)
        if found:
            wrong[address, title] = found
    assert wrong == {}


def test_every_example_works_in_a_city(city: Crowd) -> None:
    wrong: dict[tuple[str, str], Any] = {}
    for address, title, body in sorted(EXAMPLES, key=turn):
        if address in OF_THE_MOMENT:
            continue
        caller = city.caller_for(needed("POST", address))
        if address in FRESH:
            city.ids |= FRESH[address](city)
        sent = in_the_city(city, address, body)
        answer = city.send(caller, "POST", path_of(city, address), json=sent)
        if answer.status_code not in {200, 201, 204}:
            wrong[address, title] = (answer.status_code, answer.get_data(as_text=True))
        elif answer.status_code != 204:
            found = faults(answered(operation("POST", address), answer.status_code), answer.json)
            if found:
                wrong[address, title] = (answer.status_code, "answer", found[:3])
    assert not wrong, "\n".join(f"{each}: {why}" for each, why in wrong.items())
