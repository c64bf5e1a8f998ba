"""The verifiers that terminals take along: both say the same of every vector, mutation, second and key."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from app.factory import Product
from rewards.terminal_kit.cv1_verifier import KeyRing, Refused, scanned, verify, verify_offline
from tests.conftest import ROOT
from tests.rewards.test_voucher_codes import CODE, NOT_AFTER, STORE, VECTORS, _signed

KIT = ROOT / "rewards" / "terminal_kit"
KEY: dict[str, Any] = {"kid": VECTORS["kid"], "public_key": VECTORS["public_key"], "retired": False}
NOW_S = int(NOT_AFTER.timestamp()) - 20
ASK = """
function ask(texts, keys, scopeNo, nowS, used, how) {
    const ring = CV1Verifier.keyRing(keys);
    const asked = {ring, scopeNo, nowS, seen: (codeId) => used.includes(codeId)};
    return JSON.stringify(texts.map((text) => CV1Verifier[how](text, asked)));
}
function tidy(text) { return CV1Verifier.scanned(text); }
"""
Judge = Callable[..., list[str]]


@cache
def _engine() -> MiniRacer:
    engine = MiniRacer()
    engine.eval((KIT / "cv1_verifier.js").read_text(encoding="utf-8"))
    engine.eval(ASK)
    return engine


def _told(frame: Any) -> str:
    return f"{frame[0]}/{frame[1]}/{frame[2]}/{frame[3]}"


def in_javascript(
    texts: list[str],
    *,
    keys: Any = (KEY,),
    scope_no: int = STORE,
    now_s: int = NOW_S,
    used: tuple[str, ...] = (),
    offline: bool = False,
) -> list[str]:
    how = "verifyOffline" if offline else "verify"
    answers = json.loads(str(_engine().call("ask", texts, list(keys), scope_no, now_s, list(used), how)))
    return [
        _told([each["frame"][name] for name in ("kid", "codeId", "scopeNo", "notAfterS")])
        if each["ok"]
        else each["refusal"]
        for each in answers
    ]


def in_python(
    texts: list[str],
    *,
    keys: Any = (KEY,),
    scope_no: int = STORE,
    now_s: int = NOW_S,
    used: tuple[str, ...] = (),
    offline: bool = False,
) -> list[str]:
    find = KeyRing(keys).at(now_s)
    judge = verify_offline if offline else verify

    def judged(text: str) -> str:
        try:
            frame = judge(
                text, find=find, scope_no=scope_no, now_s=now_s, seen=lambda code_id: code_id.hex() in used
            )
        except Refused as refused:
            return refused.code
        return _told((frame.kid, frame.code_id.hex(), frame.scope_no, frame.not_after_s))

    return [judged(text) for text in texts]


both = pytest.mark.parametrize("judge", [in_python, in_javascript], ids=["python", "javascript"])


@both
@pytest.mark.parametrize("vector", VECTORS["codes"], ids=lambda vector: vector["name"])
def test_published_codes_are_read_to_the_last_bit(judge: Judge, vector: dict[str, Any]) -> None:
    read = judge([vector["code"]], scope_no=vector["scope_no"] or STORE, now_s=vector["not_after_s"])
    right = (VECTORS["kid"], vector["code_id"], vector["scope_no"], vector["not_after_s"])
    assert read == [_told(right)]


@both
@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda vector: vector["name"])
def test_published_wrong_codes_are_refused_by_name(judge: Judge, vector: dict[str, str]) -> None:
    assert judge([vector["code"]]) == [vector["refusal"]]


@both
def test_of_five_thousand_mutations_none_is_accepted(judge: Judge) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789az =-"
    altered = [
        CODE[:place] + letter + CODE[place + 1 :]
        for place in range(len(CODE))
        for letter in letters
        if letter != CODE[place]
    ]
    assert len(altered) >= 5_000
    assert {each for each in judge(altered) if not each.startswith("code_")} == set()


@both
def test_a_code_holds_in_its_window_to_the_second(judge: Judge) -> None:
    end = int(NOT_AFTER.timestamp())
    told = {ahead: judge([CODE], now_s=end - ahead)[0] for ahead in (-90, -31, -30, 0, 30, 60, 61, 90)}
    accepted = {ahead for ahead, each in told.items() if not each.startswith("code_")}
    assert accepted == {-30, 0, 30, 60}
    assert (told[61], told[-31]) == ("code_not_yet_valid", "code_too_old")


@both
def test_a_retired_key_is_unknown_from_its_second_on(judge: Judge) -> None:
    retires_s = NOW_S + 10
    ends = {**KEY, "retired_at": datetime.fromtimestamp(retires_s, UTC).isoformat().replace("+00:00", "Z")}
    assert not judge([CODE], keys=[ends], now_s=retires_s - 1)[0].startswith("code_")
    assert judge([CODE], keys=[ends], now_s=retires_s) == ["code_key_unknown"]
    assert judge([CODE], keys=[{**KEY, "retired": True}]) == ["code_key_unknown"]
    assert judge([CODE], keys=[]) == ["code_key_unknown"]
    assert judge([CODE], keys=[{**KEY, "kid": 8}]) == ["code_key_unknown"]
    another = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw().hex()
    assert judge([CODE], keys=[{**KEY, "public_key": another}]) == ["code_signature_wrong"]


@both
def test_what_is_wrong_first_is_said_first(judge: Judge) -> None:
    code_id = bytes(range(16)).hex()
    forged = CODE[:-1] + ("A" if CODE[-1] != "A" else "B")
    online = _signed(b"\x12\x07" + bytes(16) + bytes(4) + int(NOT_AFTER.timestamp()).to_bytes(4, "big"))
    assert judge([CODE], scope_no=STORE + 1, now_s=0, used=(code_id,)) == ["code_for_another_store"]
    assert judge([CODE], now_s=0, used=(code_id,)) == ["code_not_yet_valid"]
    assert judge([CODE], used=(code_id,)) == ["code_seen"]
    assert judge([forged], scope_no=STORE + 1) == ["code_signature_wrong"]
    assert judge([forged], keys=[]) == ["code_key_unknown"]
    assert not judge([online])[0].startswith("code_")
    assert judge([online], offline=True) == ["code_online_only"]
    assert judge([online], offline=True, now_s=0) == ["code_not_yet_valid"]
    assert not judge([CODE], offline=True)[0].startswith("code_")


TEXTS = st.one_of(
    st.text(max_size=200),
    st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", min_size=144, max_size=144).map("CV1".__add__),
    st.text("A2Ａ😀\n", min_size=143, max_size=145).map("CV1".__add__),
    st.binary(min_size=24, max_size=24).map(lambda rest: _signed(b"\x12\x07" + rest)),
    st.integers(3, 146).flatmap(
        lambda at: st.sampled_from("ABZ27az").map(lambda letter: CODE[:at] + letter + CODE[at + 1 :])
    ),
)


@hypothesis_settings(max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from([0, NOW_S, 2**31, 2**32 - 60]))
def test_both_say_the_same_of_anything(texts: list[str], now_s: int) -> None:
    for offline in (False, True):
        asked = partial(in_python, texts, now_s=now_s, offline=offline)
        assert asked() == in_javascript(texts, now_s=now_s, offline=offline)


def test_full_width_letters_and_blanks_are_mended_alike() -> None:
    wide = " " + "".join(chr(ord(letter) + 0xFEE0) for letter in CODE) + "\r\n"
    for text in (wide, CODE, CODE + " " * 600, "ﬁ "):
        assert _engine().call("tidy", text) == scanned(text)
    assert scanned(wide) == CODE


def test_a_terminal_fetches_both_files_as_they_are(product: Product) -> None:
    client = product.flask.test_client()
    for kind, media in (("js", "text/javascript"), ("py", "text/x-python")):
        answer = client.get(f"/terminal-kit/cv1_verifier.{kind}")
        assert (answer.status_code, answer.mimetype) == (200, media)
        assert answer.data == (KIT / f"cv1_verifier.{kind}").read_bytes()
    published = client.get("/v1/public/keys").json
    assert published is not None
    (key,) = published["voucher_code"]
    assert (key["kid"], key["retired"], key["retired_at"]) == (1, False, None)
    assert KeyRing([key]).at(NOW_S)(1) is not None
    assert in_javascript([CODE], keys=[key]) == ["code_key_unknown"]
