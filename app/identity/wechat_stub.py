"""A WeChat of our own for development and tests: it refuses what WeChat refuses, byte for byte.

`python -m app.identity.wechat_stub --port N` listens on loopback only and never in production.
`/__stub/` (`wechat_stub_controls.py`) holds what the real one has not.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.identity.wechat_stub_controls import Fields, add_controls
from app.identity.wechat_stub_state import StubState, WechatSays

STUB_APPID = "wxstub0000000000"
STUB_SECRET = "stub-secret"  # noqa: S105 - the stub's, good for nothing else
PERSONAS = Path(__file__).with_name("wechat_stub_personas.json")
"""People with something about them; any other name is a person too, from the first time it is used."""
INTERFACES: dict[str, tuple[str, str]] = {
    "code2session": ("GET", "/sns/jscode2session"),
    "token": ("GET", "/cgi-bin/token"),
    "stable_token": ("POST", "/cgi-bin/stable_token"),
    "checksession": ("GET", "/wxa/checksession"),
    "resetusersessionkey": ("GET", "/wxa/resetusersessionkey"),
    "getuserphonenumber": ("POST", "/wxa/business/getuserphonenumber"),
    "subscribe_send": ("POST", "/cgi-bin/message/subscribe/send"),
}


def create_stub(state: StubState | None = None) -> Flask:
    """The stub as a WSGI application; refuses to exist in production."""
    if os.environ.get("ENVIRONMENT") == "production":
        raise SystemExit("the WeChat stub is never part of production")
    app = Flask("wechat-stub", static_folder=None)
    known = state or StubState(
        appid=STUB_APPID, secret=STUB_SECRET, personas=json.loads(PERSONAS.read_text(encoding="utf-8"))
    )
    _add_interfaces(app, known)
    add_controls(app, known, interfaces=frozenset(INTERFACES))
    return app


def _add_interfaces(app: Flask, state: StubState) -> None:
    answers: dict[str, Callable[[StubState], Fields]] = {
        "code2session": _code2session,
        "token": _token,
        "stable_token": _stable_token,
        "checksession": _check_session,
        "resetusersessionkey": _reset_session_key,
        "getuserphonenumber": _phone,
        "subscribe_send": _send_message,
    }
    for name, (method, path) in INTERFACES.items():

        def asked(name: str = name, method: str = method) -> Response:
            if request.method != method:
                return _answer(state, name, lambda _: _refuse(*_WRONG_METHOD[method]))
            return _answer(state, name, answers[name])

        app.add_url_rule(path, name, asked, methods=["GET", "POST"])


_WRONG_METHOD = {
    # Parameters in a body are not looked at, as the real one answered in field reports.
    "GET": (41002, "appid missing"),
    "POST": (43002, "require POST method"),
}


def _code2session(state: StubState) -> Fields:
    given = request.args
    _check_app(state, given)
    if not given.get("js_code"):
        _refuse(41008, "missing code")
    if given.get("grant_type") != "authorization_code":
        _refuse(40002, "invalid grant_type")
    return state.exchange(given["js_code"])


def _token(state: StubState) -> Fields:
    _check_app(state, request.args)
    if request.args.get("grant_type") != "client_credential":
        _refuse(40002, "invalid grant_type")
    return state.plain_token()


def _stable_token(state: StubState) -> Fields:
    given = _posted()
    _check_app(state, given)
    if given.get("grant_type") != "client_credential":
        _refuse(40002, "invalid grant_type")
    return state.token(forced=given.get("force_refresh") is True)


def _check_session(state: StubState) -> Fields:
    state.check_signature(**_signature(state))
    return {"errcode": 0, "errmsg": "ok"}


def _reset_session_key(state: StubState) -> Fields:
    return state.reset_session_key(**_signature(state))


def _signature(state: StubState) -> dict[str, str]:
    given = request.args
    state.check_token(given.get("access_token"))
    if given.get("sig_method", "hmac_sha256") != "hmac_sha256":
        _refuse(87008, "invalid sig_method")
    return {"openid": given.get("openid", ""), "signature": given.get("signature", "")}


def _phone(state: StubState) -> Fields:
    state.check_token(request.args.get("access_token"))
    given = _posted()
    return state.phone(str(given.get("code", "")), openid=given.get("openid"))


def _send_message(state: StubState) -> Fields:
    state.check_token(request.args.get("access_token"))
    given = _posted()
    return state.send(
        openid=str(given.get("touser", "")),
        template=str(given.get("template_id", "")),
        data=given.get("data"),
    )


def _posted() -> Fields:
    data = request.get_data()
    if not data:
        _refuse(44002, "empty post data")
    try:
        given = json.loads(data)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        _refuse(47001, "data format error")
    return dict(given)


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


def _answer(state: StubState, interface: str, ask: Callable[[StubState], Fields]) -> Response:
    """Answer as WeChat does: 200 and text/plain to everything, unless a fault was ordered."""
    fault = state.arrive(interface, body=request.get_data())
    if fault.get("latency_ms"):
        time.sleep(fault["latency_ms"] / 1000)
    if fault.get("html"):
        return Response("<html><body>502 Bad Gateway</body></html>", 502, content_type="text/html")
    if fault.get("stale_token"):
        state.end_tokens()
    fields = _said(state, fault, ask)
    if fault.get("duplicate"):
        # The network sent the request twice; the caller sees the second answer.
        fields = _said(state, fault, ask)
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    if fault.get("truncate"):
        body = body[: len(body) // 2]
    if fault.get("drop"):
        # A length that is never reached: the caller sees the connection end in the middle.
        return Response(body[:1], content_type="text/plain", headers={"Content-Length": str(len(body) + 9)})
    return Response(body, content_type=fault.get("content_type", "text/plain"))


def _said(state: StubState, fault: Fields, ask: Callable[[StubState], Fields]) -> Fields:
    try:
        if "errcode" in fault:
            _refuse(fault["errcode"], fault.get("errmsg", "system error"))
        return ask(state)
    except WechatSays as said:
        return {"errcode": said.errcode, "errmsg": f"{said.errmsg}, rid: {state.request_mark()}"}


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
