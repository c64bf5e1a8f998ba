"""Signing in over HTTP: who gets in, who does not, and what stays revoked."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
import redis
from flask import Flask
from sqlalchemy import text

from app.identity.bearer import register_keys
from app.identity.errors import PasswordUnacceptable
from app.identity.passwords import hash_password, password_matches
from app.identity.roles import PERMISSIONS, Role
from app.identity.sign_in import WechatUser, add_staff, sign_in_citizen, sign_in_staff
from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.errors import Refusal
from kernel.identifiers import new_id
from kernel.permission import Permission
from tests.app.identity.conftest import Stub
from tests.conftest import NOW, REGION, Database, settings_for

SECRET = settings_for("", "").jwt_secret
PASSWORD = "correct horse 017"


def post(app: Flask, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().post(path, json=body)
    return answer.status_code, answer.get_json()


def me(app: Flask, token: str) -> int:
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    if answer.status_code == 401:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.mimetype == "application/problem+json"
    return answer.status_code


def signed_in(app: Flask, stub: Stub) -> dict[str, Any]:
    status, pair = post(app, "/v1/sessions/wechat", {"js_code": stub.login("demo-citizen-017")})
    assert status == 201
    return pair


@pytest.fixture
def editor(database: Database) -> None:
    database.run(
        lambda call: add_staff(
            call,
            username="demo-editor",
            password=PASSWORD,
            role=Role.OPERATOR_EDITOR,
            region_id=REGION,
        )
    )


def test_a_citizen_signs_in_and_reads_who_they_are(app: Flask, stub: Stub) -> None:
    pair = signed_in(app, stub)
    answer = app.test_client().get("/v1/me", headers={"Authorization": f"Bearer {pair['access_token']}"})
    assert answer.get_json()["kind"] == "citizen"
    assert answer.get_json()["region_id"] == REGION
    assert "voucher.exchange" in answer.get_json()["permissions"]


def test_the_wrong_code_opens_nothing(app: Flask, stub: Stub, database: Database) -> None:
    status, problem = post(app, "/v1/sessions/wechat", {"js_code": "0phone-code"})
    assert (status, problem["code"]) == (422, "wechat_code_invalid")
    assert database.rows("SELECT count(*) FROM citizen") == [(0,)]


def test_two_first_sign_ins_at_once_make_one_citizen(database: Database) -> None:
    user = WechatUser(appid="wxstub0000000000", openid="o-demo-017")
    with ThreadPoolExecutor(16) as pool:
        people = set(
            pool.map(
                lambda _: database.run(lambda call: sign_in_citizen(call, user, region_id=REGION)).subject,
                range(16),
            )
        )
    assert len(people) == 1
    assert database.rows("SELECT count(*) FROM citizen") == [(1,)]
    assert database.rows("SELECT count(*) FROM sign_in_session") == [(16,)]


def test_a_refresh_token_works_once_and_its_second_use_ends_the_session(app: Flask, stub: Stub) -> None:
    first = signed_in(app, stub)
    status, second = post(app, "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]})
    assert status == 201
    assert me(app, second["access_token"]) == 200
    assert post(app, "/v1/sessions/refresh", {"refresh_token": first["refresh_token"]})[0] == 401
    assert post(app, "/v1/sessions/refresh", {"refresh_token": second["refresh_token"]})[0] == 401
    assert me(app, second["access_token"]) == 401


def test_who_signed_out_stays_out_though_the_cache_is_lost(
    app: Flask, stub: Stub, cache: redis.Redis
) -> None:
    pair = signed_in(app, stub)
    headers = {"Authorization": f"Bearer {pair['access_token']}"}
    assert app.test_client().delete("/v1/sessions/current", headers=headers).status_code == 204
    cache.flushall()
    assert me(app, pair["access_token"]) == 401
    assert post(app, "/v1/sessions/refresh", {"refresh_token": pair["refresh_token"]})[0] == 401


def test_an_access_token_lives_fifteen_minutes_and_a_refresh_token_thirty_days(
    app: Flask, stub: Stub, clock: FixedClock
) -> None:
    pair = signed_in(app, stub)
    clock.advance(timedelta(minutes=15) - timedelta(seconds=1))
    assert me(app, pair["access_token"]) == 200
    clock.advance(timedelta(seconds=1))
    assert me(app, pair["access_token"]) == 401
    clock.advance(timedelta(days=30))
    assert post(app, "/v1/sessions/refresh", {"refresh_token": pair["refresh_token"]})[0] == 401


@pytest.mark.usefixtures("editor")
def test_staff_sign_in_and_a_wrong_password_says_no_more_than_a_wrong_name(app: Flask) -> None:
    right = {"username": "demo-editor", "password": PASSWORD}
    status, pair = post(app, "/v1/sessions/password", right)
    assert status == 201
    assert me(app, pair["access_token"]) == 200
    wrong = [
        post(app, "/v1/sessions/password", {**right, "password": "wrong horse 017"}),
        post(app, "/v1/sessions/password", {**right, "username": "demo-nobody"}),
    ]
    assert [(status, problem["code"]) for status, problem in wrong] == [(401, "credentials_wrong")] * 2


@pytest.mark.usefixtures("editor")
def test_of_a_burst_of_wrong_passwords_exactly_five_are_looked_at(
    app: Flask, clock: FixedClock, cache: redis.Redis
) -> None:
    wrong = {"username": "demo-editor", "password": "wrong horse 017"}
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: post(app, "/v1/sessions/password", wrong), range(24)))
    assert sorted(status for status, _ in answers) == [401] * 5 + [429] * 19
    cache.flushall()
    right = {"username": "demo-editor", "password": PASSWORD}
    answer = app.test_client().post("/v1/sessions/password", json=right)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "900")
    clock.advance(timedelta(minutes=15))
    assert post(app, "/v1/sessions/password", right)[0] == 201


def test_a_disabled_operator_is_out_at_once(app: Flask, editor: None, database: Database) -> None:
    _, pair = post(app, "/v1/sessions/password", {"username": "demo-editor", "password": PASSWORD})
    database.run(disable)
    assert me(app, pair["access_token"]) == 401
    outcome = database.run(lambda call: sign_in_staff(call, username="demo-editor", password=PASSWORD))
    assert isinstance(outcome, Refusal)


def disable(call: Call) -> None:
    call.db.execute(text("SET LOCAL ROLE NONE"))  # the owner's hand: no service lets somebody go yet
    call.db.execute(text("UPDATE staff SET disabled_at = :now"), {"now": call.now})


def test_keys_are_read_by_whoever_registered_their_prefix(app: Flask) -> None:
    owner = Actor(
        kind=ActorKind.OPERATOR, id=new_id(), region_id=REGION, permissions=frozenset({Permission.ME_READ})
    )
    register_keys(app, "tpk_", lambda _session, key: owner if key == "tpk_right" else None)
    assert me(app, "tpk_right") == 200
    assert me(app, "tpk_wrong") == 401


def forged() -> dict[str, Callable[[dict[str, Any]], str]]:
    def signed(secret: str = SECRET, alg: str = "HS256", head: Any = None, **changed: Any) -> Any:
        def make(claims: dict[str, Any]) -> str:
            kept = {name: value for name, value in {**claims, **changed}.items() if value is not ...}
            return jwt.encode(kept, secret, algorithm=alg, headers=head)

        return make

    def without(name: str) -> Any:
        changed: dict[str, Any] = {name: ...}
        return signed(**changed)

    def raw(header: dict[str, Any], signature: str = "") -> Any:
        def make(claims: dict[str, Any]) -> str:
            parts = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in (header, claims)]
            return ".".join([*(part.rstrip(b"=").decode() for part in parts), signature])

        return make

    good = signed()
    now = int(NOW.timestamp())
    variants: dict[str, Any] = {
        "another key": signed(secret="k" * 32),
        "HS384": signed(alg="HS384", secret="j" * 32),
        "HS512": signed(alg="HS512", secret="j" * 32),
        "kid": signed(head={"kid": "1"}),
        "typ": signed(head={"typ": "at+jwt"}),
        "crit": signed(head={"crit": ["exp"]}),
        "jku": signed(head={"jku": "https://example.org/keys"}),
        "alg none": raw({"alg": "none", "typ": "JWT"}),
        "alg None": raw({"alg": "None", "typ": "JWT"}),
        "alg nOnE": raw({"alg": "nOnE", "typ": "JWT"}, "AAAA"),
        "alg missing": raw({"typ": "JWT"}),
        "alg number": raw({"alg": 1, "typ": "JWT"}),
        "alg empty": raw({"alg": "", "typ": "JWT"}),
        "RS256": raw({"alg": "RS256", "typ": "JWT"}, "AAAA"),
        "empty signature": raw({"alg": "HS256", "typ": "JWT"}),
        "zero signature": raw({"alg": "HS256", "typ": "JWT"}, "A" * 43),
        "refresh as access": signed(type="refresh"),
        "another type": signed(type="id"),
        "another session": signed(sid=str(new_id())),
        "no uuid": signed(sid="x"),
        "session a number": signed(sid=1),
        "jti a number": signed(jti=1),
        "another person": signed(sub="ctz_00000000000000000000000000"),
        "subject a number": signed(sub=1),
        "subject empty": signed(sub=""),
        "another issuer": signed(iss="elsewhere"),
        "another audience": signed(aud="elsewhere"),
        "audiences": signed(aud=["elsewhere", "another"]),
        "expired": signed(exp=now - 1),
        "expired long ago": signed(exp=0),
        "exp text": signed(exp="tomorrow"),
        "exp digits as text": signed(exp=str(now + 900)),
        "exp fraction": signed(exp=now + 900.5),
        "exp true": signed(exp=True),
        "exp null": signed(exp=None),
        "exp list": signed(exp=[now + 900]),
        "issued later": signed(iat=now + 60),
        "iat text": signed(iat="now"),
        "not yet": signed(nbf=now + 60),
        "more claims": signed(role="operator_publisher"),
        "truncated": lambda claims: good(claims)[:-5],
        "padded": lambda claims: good(claims) + "==",
        "two parts": lambda claims: good(claims).rsplit(".", 1)[0],
        "four parts": lambda claims: good(claims) + ".AAAA",
        "nested": lambda claims: good({**claims, "sub": good(claims)}),
        "oversized": signed(sub="x" * 5000),
        "dots": lambda _: "..",
        "word": lambda _: "x",
        "unknown key": lambda _: "tpk_nobody",
        "payload no object": lambda _: good_array(),
    }
    for name in ("iss", "aud", "sub", "sid", "jti", "type", "fresh", "iat", "exp"):
        variants[f"without {name}"] = without(name)
    return variants


def good_array() -> str:
    return jwt.api_jws.encode(b"[]", SECRET, algorithm="HS256")


FORGED = forged()


@pytest.mark.filterwarnings("ignore:The HMAC key:jwt.warnings.InsecureKeyLengthWarning")
def test_no_forged_token_is_let_in_and_none_breaks_anything(app: Flask, stub: Stub) -> None:
    real = signed_in(app, stub)["access_token"]
    claims = jwt.decode(real, options={"verify_signature": False})
    assert me(app, jwt.encode(claims, SECRET, algorithm="HS256")) == 200
    assert len(FORGED) >= 45
    assert dict.fromkeys(FORGED, 401) == {name: me(app, make(claims)) for name, make in FORGED.items()}


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer a b", "Bearer ü", "bearer\tx"]
)
def test_a_header_that_is_no_bearer_is_refused(app: Flask, header: str) -> None:
    assert app.test_client().get("/v1/me", headers={"Authorization": header}).status_code == 401


def test_who_drafts_does_not_publish() -> None:
    for one, other in (
        (Permission.PUBLICATION_DRAFT, Permission.PUBLICATION_PUBLISH),
        (Permission.DONATION_DECLARE, Permission.DONATION_APPROVE),
    ):
        assert [role for role, held in PERMISSIONS.items() if {one, other} <= held] == []
    assert PERMISSIONS.keys() == set(Role)


def test_passwords_are_argon2id_within_their_bounds() -> None:
    encoded = hash_password(PASSWORD)
    assert encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert password_matches(PASSWORD, encoded)
    assert not password_matches(PASSWORD + " ", encoded)
    assert not password_matches("the password of nobody", None)
    for bad in ("short 7", "x" * 129, "with\0nul 017", "half \ud800 pair"):
        with pytest.raises(PasswordUnacceptable):
            hash_password(bad)
        assert not password_matches(bad, encoded)
