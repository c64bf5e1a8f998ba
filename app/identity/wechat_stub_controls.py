"""What the WeChat stub has and WeChat has not: who taps sign-in, faults, the clock, the record of calls."""

from typing import Any

from flask import Flask, abort, request

from app.identity.wechat_stub_state import StubState

Fields = dict[str, Any]
FAULTS: dict[str, type] = {
    "errcode": int,
    "errmsg": str,
    "latency_ms": int,
    "html": bool,
    "truncate": bool,
    "drop": bool,
    "duplicate": bool,
    "stale_token": bool,
    "content_type": str,
}
"""What can go wrong with a call: an error of WeChat's, a slow answer, a gateway's page, half an answer, a
connection that ends, a request that the network delivers twice, tokens that somebody else ended, and a
content type that lies."""


def add_controls(app: Flask, state: StubState, *, interfaces: frozenset[str]) -> None:
    """Add `/__stub/`; faults can be ordered for `interfaces`."""
    _add_persona_controls(app, state)
    _add_fault_controls(app, state, interfaces)


def _add_persona_controls(app: Flask, state: StubState) -> None:
    @app.get("/__stub/health")
    def health() -> Fields:
        return {"ok": True}

    @app.post("/__stub/login")
    def login() -> Fields:
        given = _ordered(persona=str, appid=str)
        return {"js_code": state.login(_name(given), appid=given.get("appid", state.appid))}

    @app.post("/__stub/phone_code")
    def phone_code() -> Fields:
        given = _ordered(persona=str, appid=str)
        return {"code": state.phone_code(_name(given), appid=given.get("appid", state.appid))}

    @app.post("/__stub/werun")
    def werun() -> Fields:
        return dict(state.werun(_name(_ordered(persona=str))))

    @app.post("/__stub/accept")
    def accept() -> Fields:
        given = _ordered(persona=str, template=str, n=int)
        if "template" not in given:
            abort(400, "which template?")
        return {"quota": state.accept(_name(given), template=given["template"], times=given.get("n", 1))}

    @app.post("/__stub/personas")
    def personas() -> Fields:
        given = request.get_json()
        name = _name(given)
        try:
            state.describe(name, {feature: value for feature, value in given.items() if feature != "persona"})
        except ValueError as error:
            abort(400, str(error))
        return {"ok": True}


def _add_fault_controls(app: Flask, state: StubState, interfaces: frozenset[str]) -> None:
    @app.post("/__stub/faults")
    def faults() -> Fields:
        given = _ordered(interface=str, times=int, **FAULTS)
        interface, times = given.pop("interface", None), given.pop("times", 1)
        if interface not in interfaces:
            abort(400, f"interfaces are {', '.join(sorted(interfaces))}")
        state.order_fault(interface, times=times, fault=given)
        return {"ok": True}

    @app.post("/__stub/clock")
    def clock() -> Fields:
        state.advance(_ordered(advance_s=int).get("advance_s", 0))
        return {"ok": True}

    @app.get("/__stub/calls")
    def calls() -> Fields:
        return {"calls": state.calls()}


def _ordered(**kinds: type) -> Fields:
    """What a test ordered; a misspelt order is an error here, not a fault that never happens."""
    given = request.get_json()
    for name, value in given.items():
        if type(value) is not kinds.get(name):
            abort(400, f"{name} is none of {', '.join(kinds)}, or of another type")
    return dict(given)


def _name(given: Fields) -> str:
    name = given.get("persona")
    if not isinstance(name, str) or not name:
        abort(400, "which persona?")
    return name
