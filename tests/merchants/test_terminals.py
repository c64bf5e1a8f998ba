"""Tills are paired once, hold their secret alone, and stay revoked."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import new_id
from merchants.errors import PairingCodeWrong, TerminalKeyWrong
from merchants.onboarding import add_merchant, add_store
from merchants.terminals import new_terminal, pair, revoke, terminal_by_token
from tests.conftest import NOW, at

KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@pytest.fixture
def store(call: Call) -> UUID:
    merchant = add_merchant(call, name_zh="示例商户", name_en="Example")
    return add_store(call, merchant, name_zh="一店", name_en="First").id


def test_a_pairing_code_works_once_and_the_token_names_the_till(call: Call, store: UUID) -> None:
    pairing = new_terminal(call, store, label="till 1")
    done = pair(call, f" {pairing.code.lower()} ", public_key=KEY)
    known = terminal_by_token(call.db, done.token)
    assert known is not None
    assert (known.id, known.store_id) == (pairing.terminal_id, store)
    with pytest.raises(PairingCodeWrong):
        pair(call, pairing.code)
    assert terminal_by_token(call.db, done.token + "x") is None
    assert terminal_by_token(call.db, done.token.removeprefix("tpt_")) is None


def test_a_pairing_code_lapses_after_a_quarter_of_an_hour(call: Call, store: UUID) -> None:
    pairing = new_terminal(call, store, label="till 1")
    with pytest.raises(PairingCodeWrong):
        pair(at(call, NOW + timedelta(minutes=15)), pairing.code)
    assert pair(at(call, NOW + timedelta(minutes=14)), pairing.code).token


def test_neither_code_nor_secret_stands_in_the_database(call: Call, store: UUID) -> None:
    pairing = new_terminal(call, store, label="till 1")
    token = pair(call, pairing.code).token
    row = call.db.execute(text("SELECT to_jsonb(t)::text FROM terminal t")).scalar_one()
    for secret in (pairing.code, token, token.encode().hex(), pairing.code.encode().hex()):
        assert secret not in row


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY.upper(), "zz" * 32, KEY + "\n"])
def test_a_key_that_is_no_ed25519_key_is_refused_before_the_code_is_used(
    call: Call, store: UUID, key: str
) -> None:
    pairing = new_terminal(call, store, label="till 1")
    with pytest.raises(TerminalKeyWrong):
        pair(call, pairing.code, public_key=key)
    assert pair(call, pairing.code).token


def test_a_revoked_till_is_unknown_for_good(call: Call, store: UUID) -> None:
    pairing = new_terminal(call, store, label="till 1")
    token = pair(call, pairing.code).token
    revoke(call, pairing.terminal_id, reason="lost")
    revoke(call, pairing.terminal_id, reason="lost")
    assert terminal_by_token(call.db, token) is None
    with pytest.raises(PairingCodeWrong):
        pair(call, pairing.code)
    with pytest.raises(NotFound):
        revoke(call, new_id(), reason="nobody")


def test_scope_numbers_are_never_shared_and_foreign_things_are_not_found(call: Call) -> None:
    merchant = add_merchant(call, name_zh="示例商户", name_en="Example")
    numbers = [add_store(call, merchant, name_zh="店", name_en="Shop").scope_no for _ in range(3)]
    assert len(set(numbers)) == 3
    assert min(numbers) >= 1
    with pytest.raises(NotFound):
        add_store(call, new_id(), name_zh="店", name_en="Shop")
    with pytest.raises(NotFound):
        new_terminal(call, new_id(), label="till")
