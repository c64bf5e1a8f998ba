"""Signatures are those of Standard Webhooks; the file that receivers take along knows ours from others."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.factory import Product
from app.notifications.webhooks.kit.webhook_verifier import TOLERANCE_S, Refused, key_of, signature, verify
from app.notifications.webhooks.signing import BOTH_SIGN, MESSAGE, new_secret, signed_headers, signing_keys
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from tests.app.notifications.webhooks.world import an_endpoint
from tests.conftest import ROOT, at

KIT = ROOT / "app" / "notifications" / "webhooks" / "kit" / "webhook_verifier.py"
VECTORS: list[dict[str, str]] = json.loads((ROOT / "tests/vectors/webhooks.json").read_text())["signed"]
SECRET = VECTORS[1]["secret"]
SENT_S = 1_795_060_820
BODY = b'{"type":"endpoint.ping.v1","data":{}}'
each_vector = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


def sent(body: bytes = BODY, *, secrets: tuple[str, ...] = (SECRET,), sent_s: int = SENT_S) -> dict[str, str]:
    return signed_headers(new_id(), sent_at_s=sent_s, body=body, keys=[key_of(each) for each in secrets])


def told(
    headers: Any, body: bytes = BODY, *, secrets: tuple[str, ...] = (SECRET,), now_s: int = SENT_S
) -> str:
    try:
        return str(verify(headers, body, secrets=secrets, now_s=now_s)["type"])
    except Refused as refused:
        return refused.code


@each_vector
def test_a_published_mark_is_made_to_the_last_letter(vector: dict[str, str]) -> None:
    made = signature(vector["secret"], vector["id"], vector["timestamp"], vector["body"].encode())
    assert made == vector["signature"]


def test_the_sender_signs_as_the_vectors_say() -> None:
    vector = VECTORS[1]
    made = sent(vector["body"].encode())
    again = signature(SECRET, made["webhook-id"], made["webhook-timestamp"], vector["body"].encode())
    assert made["webhook-signature"] == again


def test_what_we_send_is_verified() -> None:
    headers = sent()
    event = verify(headers, BODY, secrets=[SECRET], now_s=SENT_S)
    assert event == {"type": "endpoint.ping.v1", "data": {}, "id": headers["webhook-id"]}
    assert event["id"].startswith(f"{MESSAGE}_")
    assert "." not in event["id"]
    assert told({name.title(): value for name, value in headers.items()}) == "endpoint.ping.v1"


def test_a_signature_holds_within_its_time_to_the_second() -> None:
    assert TOLERANCE_S == 300
    late = {ahead: told(sent(), now_s=SENT_S + ahead) for ahead in (-301, -300, 300, 301)}
    assert late == {
        -301: "timestamp_in_future",
        -300: "endpoint.ping.v1",
        300: "endpoint.ping.v1",
        301: "timestamp_too_old",
    }


def test_nothing_of_a_request_may_be_changed() -> None:
    right = sent()
    for name in right:
        assert told({key: value for key, value in right.items() if key != name}) == "header_missing"
    assert told({**right, "webhook-id": public_id(MESSAGE, new_id())}) == "signature_wrong"
    assert told({**right, "webhook-timestamp": str(SENT_S + 1)}) == "signature_wrong"
    assert told(right, BODY + b" ") == "signature_wrong"
    assert told(right, secrets=(VECTORS[2]["secret"],)) == "signature_wrong"
    assert told(right, secrets=()) == "signature_wrong"
    for seconds in ("", "１７９５０６０８２０", "1e9", f"+{SENT_S}", f"{SENT_S}.0", "9" * 400, " 1"):
        assert told({**right, "webhook-timestamp": seconds}) == "timestamp_malformed"
    for mark in (
        "",
        "v1",
        "v1,",
        right["webhook-signature"][:-1],
        right["webhook-signature"].lower(),
        "v1,é",
    ):
        assert told({**right, "webhook-signature": mark}) == "signature_wrong"
    assert (
        told({**right, "webhook-signature": right["webhook-signature"].replace("v1", "v2")})
        == "signature_wrong"
    )
    assert told(sent(b"[]"), b"[]") == "body_malformed"
    assert told(sent(b"\xff"), b"\xff") == "body_malformed"
    assert told(right, secrets=("secret",)) == "secret_malformed"
    assert told(right, secrets=("whsec_!",)) == "secret_malformed"


def test_during_a_rotation_either_secret_verifies_and_a_third_does_not() -> None:
    old, new, other = (vector["secret"] for vector in VECTORS[:3])
    headers = sent(secrets=(new, old))
    assert headers["webhook-signature"].count(" ") == 1
    assert [told(headers, secrets=(each,)) for each in (old, new, other)] == [
        "endpoint.ping.v1",
        "endpoint.ping.v1",
        "signature_wrong",
    ]
    assert told(sent(secrets=(old,)), secrets=(new, old)) == "endpoint.ping.v1"


@given(st.binary(max_size=300), st.integers(0, 10**11), st.binary(min_size=24, max_size=64))
def test_whatever_is_sent_only_its_own_mark_fits(body: bytes, second: int, key: bytes) -> None:
    headers = signed_headers(new_id(), sent_at_s=second, body=body, keys=[key])
    secret = "whsec_" + b64encode(key).decode()
    assert told(headers, body, secrets=(secret,), now_s=second) == "body_malformed" or body[:1] == b"{"
    assert told(headers, body + b"x", secrets=(secret,), now_s=second) == "signature_wrong"


def test_a_secret_rests_sealed_and_opens_for_its_own_endpoint_only(call: Call) -> None:
    endpoint, secret = an_endpoint(call)
    row = call.db.execute(text("SELECT sealed, id FROM webhook_secret")).one()
    raw = key_of(secret)
    assert len(raw) == 32
    assert raw not in bytes(row.sealed)
    assert signing_keys(call, [endpoint.id]) == {endpoint.id: (raw,)}
    other, _ = an_endpoint(call)
    call.db.execute(
        text(
            "INSERT INTO webhook_secret (endpoint_id, id, sealed, created_at, ends_at)"
            " VALUES (:other, :id, :sealed, :now, :now + interval '1 day')"
        ),
        {"other": other.id, "id": row.id, "sealed": row.sealed, "now": call.now},
    )
    with pytest.raises(Exception, match=r"^$") as refused:
        signing_keys(call, [other.id])
    assert type(refused.value).__name__ == "InvalidTag"


def test_two_secrets_sign_for_a_day_and_never_three(call: Call) -> None:
    endpoint, first = an_endpoint(call)
    second = new_secret(at(call, call.now), endpoint.id)
    third = new_secret(at(call, call.now), endpoint.id)
    call.db.flush()
    keys = signing_keys(call, [endpoint.id])[endpoint.id]
    assert keys == (key_of(third), key_of(second))
    assert key_of(first) not in keys
    after = at(call, call.now + BOTH_SIGN)
    assert signing_keys(after, [endpoint.id])[endpoint.id] == (key_of(third),)


def test_the_file_is_fetched_as_it_is_and_imports_nothing_of_ours(product: Product) -> None:
    answer = product.flask.test_client().get("/webhook-kit/webhook_verifier.py")
    assert (answer.status_code, answer.mimetype, answer.get_data()) == (
        200,
        "text/x-python",
        KIT.read_bytes(),
    )
    alone: dict[str, Any] = {"__name__": "webhook_verifier"}
    source = KIT.read_text(encoding="utf-8")
    assert not any(f"from {room}" in source for room in ("app", "kernel", "merchants", "carbon", "rewards"))
    exec(compile(source, "webhook_verifier.py", "exec"), alone)  # noqa: S102 - as a receiver runs it
    assert alone["verify"](sent(), BODY, secrets=[SECRET], now_s=SENT_S)["type"] == "endpoint.ping.v1"
