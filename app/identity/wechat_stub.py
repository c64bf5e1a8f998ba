"""A WeChat of our own for development and tests: it refuses what WeChat refuses, byte for byte.

`python -m app.identity.wechat_stub --port N` listens on loopback only and never in production.
`/__stub/` holds what the real one has not: who taps sign-in, faults, the clock, the record of calls.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.identity.wechat_stub_state import StubState, WechatSays

STUB_APPID = "wxstub0000000000"
STUB_SECRET = "stub-secret"  # noqa: S105 - the stub's, good for nothing else
Fields = dict[str, Any]


def create_stub(state: StubState | None = None) -> Flask:
    """The stub as a WSGI application; refuses to exist in production."""
    if os.environ.get("ENVIRONMENT") == "production":
        raise SystemExit("the WeChat stub is never part of production")
    app = Flask("wechat-stub", static_folder=None)
    known = state or StubState(appid=STUB_APPID, secret=STUB_SECRET)
    _add_interfaces(app, known)
    _add_controls(app, known)
    return app


def _add_interfaces(app: Flask, state: StubState) -> None:
    @app.get("/sns/jscode2session")
    def code2session() -> Response:
        return _answer(state, "code2session", lambda: _code2session(state))

    @app.post("/sns/jscode2session")
    def code2session_posted() -> Response:
        # Parameters in a body are not looked at, as the real one answered in field reports.
        return _answer(state, "code2session", lambda: _refuse(41002, "appid missing"))

    @app.post("/cgi-bin/stable_token")
    def stable_token() -> Response:
        return _answer(state, "stable_token", lambda: _stable_token(state))

    @app.get("/cgi-bin/stable_token")
    def stable_token_got() -> Response:
        return _answer(state, "stable_token", lambda: _refuse(43002, "require POST method"))

    @app.get("/wxa/checksession")
    def check_session() -> Response:
        return _answer(state, "checksession", lambda: _check_session(state))


def _code2session(state: StubState) -> Fields:
    given = request.args
    _check_app(state, given)
    if not given.get("js_code"):
        _refuse(41008, "missing code")
    if given.get("grant_type") != "authorization_code":
        _refuse(40002, "invalid grant_type")
    return state.exchange(given["js_code"])


def _stable_token(state: StubState) -> Fields:
    data = request.get_data()
    if not data:
        _refuse(44002, "empty post data")
    try:
        given = json.loads(data)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        _refuse(47001, "data format error")
    _check_app(state, given)
    if given.get("grant_type") != "client_credential":
        _refuse(40002, "invalid grant_type")
    return state.token(forced=given.get("force_refresh") is True)


def _check_session(state: StubState) -> Fields:
    state.check_token(request.args.get("access_token"))
    state.check_signature(request.args.get("openid", ""), request.args.get("signature", ""))
    return {"errcode": 0, "errmsg": "ok"}


def _check_app(state: StubState, given: Any) -> None:
    if not given.get("appid"):
        _refuse(41002, "appid missing")
    if given["appid"] != state.appid:
        _refuse(40013, "invalid appid")
    if not given.get("secret"):
        _refuse(41004, "appsecret missing")
    if given["secret"] != state.secret:
        _refuse(40125, "invalid appsecret")


def _refuse(errcode: int, errmsg: str) -> Any:
    raise WechatSays(errcode, errmsg)


def _answer(state: StubState, interface: str, ask: Callable[[], Fields]) -> Response:
    """Answer as WeChat does: 200 and text/plain to everything, unless a fault was ordered."""
    fault = state.arrive(interface)
    if fault.get("latency_ms"):
        time.sleep(fault["latency_ms"] / 1000)
    if fault.get("html"):
        return Response("<html><body>502 Bad Gateway</body></html>", 502, content_type="text/html")
    try:
        if fault.get("errcode") is not None:
            _refuse(fault["errcode"], fault.get("errmsg", "system error"))
        fields = ask()
    except WechatSays as said:
        fields = {"errcode": said.errcode, "errmsg": f"{said.errmsg}, rid: {state.request_mark()}"}
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    if fault.get("truncate"):
        body = body[: len(body) // 2]
    if fault.get("drop"):
        # A length that is never reached: the caller sees the connection end in the middle.
        return Response(body[:1], content_type="text/plain", headers={"Content-Length": str(len(body) + 9)})
    return Response(body, content_type=fault.get("content_type", "text/plain"))


def _add_controls(app: Flask, state: StubState) -> None:
    @app.get("/__stub/health")
    def health() -> Fields:
        return {"ok": True}

    @app.post("/__stub/login")
    def login() -> Fields:
        given = request.get_json()
        return {"js_code": state.login(str(given["persona"]), appid=given.get("appid", state.appid))}

    @app.post("/__stub/personas")
    def personas() -> Fields:
        given = request.get_json()
        state.describe(given.pop("persona"), given)
        return {"ok": True}

    @app.post("/__stub/faults")
    def faults() -> Fields:
        given = request.get_json()
        state.order_fault(given.pop("interface"), times=given.pop("times", 1), fault=given)
        return {"ok": True}

    @app.post("/__stub/clock")
    def clock() -> Fields:
        state.advance(int(request.get_json()["advance_s"]))
        return {"ok": True}

    @app.get("/__stub/calls")
    def calls() -> Fields:
        return {"calls": state.calls()}


class QuietRequests(WSGIRequestHandler):
    """Writes no access log: the addresses carry secrets, even if only the stub's."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


def stub_server(stub: Flask, *, port: int) -> BaseWSGIServer:
    """A server of the stub on loopback, on any free port when `port` is 0."""
    return make_server("127.0.0.1", port, stub, threaded=True, request_handler=QuietRequests)


def main() -> int:
    """Serve on loopback until ended."""
    options = argparse.ArgumentParser(prog="wechat_stub", description=__doc__)
    options.add_argument("--port", type=int, required=True)
    stub_server(create_stub(), port=options.parse_args().port).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
