"""Sends what must be refused to one address; notes what was not refused, and every row that moved."""

import json
import time
from functools import cache
from typing import Any

import pytest
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.openapi_document import current_openapi, current_product
from carbon.factors.bundles import read_shipped
from kernel.clock import SystemClock
from kernel.database import Base
from kernel.permission import Permission
from tests.carbon.city import OFFICIAL
from tests.carbon.partner_client import RECORD
from tests.journeys.callers import PROJECT, RULE, Crowd, coming_day
from tests.journeys.hostile import NOBODY, Attack, example, prefix_of

WRITES = ("POST", "PUT", "PATCH", "DELETE")
PROMPT_SECONDS = 10
_AMOUNT = {"type": "integer", "minimum": 1, "maximum": 10**15}
FREE: dict[str, dict[str, Any]] = {
    "/v1/partner/activities": {
        "record": {
            "type": "object",
            "required": ["source_event_id", "subject", "scenario", "occurred_at", "quantity", "unit"],
            "properties": {
                "source_event_id": {"type": "string", "minLength": 1, "maxLength": 128},
                "subject": {"type": "string", "minLength": 1, "maxLength": 64},
                "scenario": {"type": "string", "enum": ["metro_ride"]},
                "occurred_at": {"type": "string", "format": "date-time"},
                "quantity": {**_AMOUNT, "minimum": 0},
                "unit": {"type": "string", "enum": ["m"]},
            },
        }
    },
    "/v1/operator/rules": {
        "content": {
            "type": "object",
            "required": ["coins_milli", "per_mg"],
            "properties": {"coins_milli": _AMOUNT, "per_mg": _AMOUNT},
        }
    },
}
"""What the document leaves open because the room behind it judges it."""
COUNTED = {"sign_in_attempts", "scan_refusal"}
"""Tables that remember who tried what, by design."""


def rules(*methods: str) -> list[tuple[str, str]]:
    """Method and address of everything the product serves by these methods, below /v1."""
    found = current_product().flask.url_map.iter_rules()
    return sorted(
        (method, str(rule))
        for rule in found
        for method in (rule.methods or set()) & set(methods)
        if str(rule).startswith("/v1/")
    )


def at_each(*methods: str) -> pytest.MarkDecorator:
    each = rules(*methods)
    return pytest.mark.parametrize(("method", "address"), each, ids=[f"{one} {rule}" for one, rule in each])


def at_each_taker_of_bytes() -> pytest.MarkDecorator:
    """Every address whose body is bytes, whatever the method."""
    each = [
        (method, rule)
        for method, rule in rules("POST", "PUT")
        if "requestBody" in operation(method, rule) and body_schema(method, rule) is None
    ]
    return pytest.mark.parametrize(("method", "address"), each, ids=[f"{one} {rule}" for one, rule in each])


def needed(method: str, address: str) -> Permission | None:
    """What the address asks its caller to hold; None where anybody may."""
    app = current_product().flask
    same = (rule for rule in app.url_map.iter_rules() if str(rule) == address)
    rule = next(rule for rule in same if method in (rule.methods or ()))
    view: Any = app.view_functions[rule.endpoint]
    permission: Permission | None = view.needs
    return permission


@cache
def openapi() -> dict[str, Any]:
    return dict(json.loads(current_openapi()))


def operation(method: str, address: str) -> dict[str, Any]:
    path = address.replace("<int:", "<").replace("<", "{").replace(">", "}")
    return dict(openapi()["paths"][path][method.lower()])


def body_schema(method: str, address: str) -> dict[str, Any] | None:
    """The schema of the address's JSON body with references followed, if it takes one."""
    content = operation(method, address).get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return None
    schema: dict[str, Any] = resolved(content["application/json"]["schema"])
    free = FREE.get(address, {})
    return {**schema, "properties": {**schema["properties"], **free}}


def resolved(schema: Any) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return resolved(openapi()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        return {name: resolved(inner) for name, inner in schema.items()}
    return [resolved(inner) for inner in schema] if isinstance(schema, list) else schema


def right_body(city: Crowd, address: str, schema: dict[str, Any]) -> Any:
    """A body that would do something, as far as the document and the city know."""
    given: dict[str, Any] = {
        "/record": {
            **RECORD,
            "subject": city.town.residents[0].card,
            "occurred_at": SystemClock().now().isoformat(timespec="seconds"),
        },
        **({"/text": read_shipped(OFFICIAL).decode()} if "/factor-tables" in address else {}),
        **(
            {f"/{name}": value for name, value in {**RULE, "effective_from": coming_day()}.items()}
            if address.endswith("/rules")
            else {}
        ),
        **({f"/{name}": value for name, value in PROJECT.items()} if address.endswith("-projects") else {}),
        "/bank_statement_id": "BANK-1",
        **({"/pin": "274051", "/number": "Q7"} if "/clerk" in address or "/override" in address else {}),
    }

    def known(at: str, inner: dict[str, Any]) -> Any:
        better = given.get(at)
        return better if better is not None or "pattern" not in inner else city.ids.get(prefix_of(inner))

    return example(schema, known)


def path_of(city: Crowd, address: str, part: str | None = None) -> str:
    """The address with the city's own ids; `part` stands in place of the last of them."""
    path = address.replace("<int:", "<")
    names = [piece[1:-1] for piece in path.split("/") if piece.startswith("<")]
    for name in names:
        plain = {
            "day": "2026-01-01",
            "region": "CN-GD-SZ",
            "transfer": "1",
            "certificate": f"don_{NOBODY}",
            "link": NOBODY,
            "ask": f"ask_{NOBODY}",
            "session": f"ses_{NOBODY}",
            "picture": "0" * 64,
        }
        own = city.ids.get(name) or plain.get(name)
        assert own, f"teach callers.py to make a {name}"
        given = own if part is None or name != names[-1] else part.replace("{prefix}", own.partition("_")[0])
        path = path.replace(f"<{name}>", given)
    return path


def traces(city: Crowd) -> dict[str, Any]:
    """Count and content of every table, but for those that count attempts."""
    each = " UNION ALL ".join(
        f"SELECT '{name}' AS name, count(*) AS n, sum(hashtext(t::text)) AS mark FROM {name} t"  # noqa: S608 - our tables
        for name in sorted(Base.metadata.tables.keys() - COUNTED)
    )
    with city.product.engine.connect() as connection:
        return {row.name: (row.n, row.mark) for row in connection.execute(text(each))}


def refused(answer: TestResponse, took_s: float, *, at: str = "") -> str:
    """What is wrong with a refusal; empty when it is one as it should be."""
    if not 400 <= answer.status_code < 500:
        return f"{answer.status_code} {answer.get_data(as_text=True)[:120]}"
    told = answer.get_json(silent=True, force=True) or {}
    if answer.mimetype != "application/problem+json" or not told.get("code") or not told.get("request_id"):
        return f"{answer.status_code} {answer.mimetype} is no problem document"
    if took_s > PROMPT_SECONDS:
        return f"took {took_s:.1f} s"
    if answer.status_code == 422 and at:
        pointers = [error["pointer"] for error in told["errors"]]
        if not any(_is_at(pointer, f"/body{at}") for pointer in pointers):
            return f"points at {pointers}"
    return ""


def _is_at(pointer: str, place: str) -> bool:
    """Whether a pointer names the place, something in it, or (not all of the body) something around it."""
    return f"{pointer}/".startswith(f"{place}/") or (
        pointer != "/body" and f"{place}/".startswith(f"{pointer}/")
    )


class Siege:
    """Sends what must be refused to one address and collects what was not."""

    def __init__(self, city: Crowd, method: str, address: str) -> None:
        self.city, self.method, self.address = city, method, address
        self.caller = city.caller_for(needed(method, address))
        self.before = traces(city)
        self.wrong: dict[str, str] = {}

    def send(self, name: str, path: str | None = None, *, at: str = "", who: Any = "", **more: Any) -> None:
        began = time.monotonic()
        caller = self.caller if who == "" else who
        answer = self.city.send(caller, self.method, path or path_of(self.city, self.address), **more)
        found = refused(answer, time.monotonic() - began, at=at)
        if found:
            self.wrong[name] = found

    def attack(self, attack: Attack, path: str | None = None) -> None:
        self.send(attack.name, path, at=attack.pointer, data=attack.body, headers=attack.headers)

    def ends(self) -> None:
        if self.wrong:
            pytest.fail("\n".join(f"{name}: {found}" for name, found in self.wrong.items()), pytrace=False)
        after = traces(self.city)
        moved = {name: (self.before[name], after[name]) for name in after if after[name] != self.before[name]}
        if moved:
            pytest.fail(f"rows moved: {moved}", pytrace=False)
