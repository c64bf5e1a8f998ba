"""Passwords at rest, and how little a wrong one tells."""

import time

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from app.identity.errors import PasswordUnacceptable
from app.identity.passwords import (
    _NOBODY,
    LONGEST,
    SHORTEST,
    acceptable,
    hash_is_outdated,
    hash_password,
    password_matches,
)

PASSWORD = "市民 017 的密码"
ENCODED = hash_password(PASSWORD)


def test_a_hash_is_argon2id_at_nineteen_mebibytes_two_passes_and_one_lane() -> None:
    assert ENCODED.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert PASSWORD not in ENCODED


def test_equal_passwords_have_different_hashes() -> None:
    assert hash_password(PASSWORD) != ENCODED


def test_only_the_password_itself_matches() -> None:
    assert password_matches(PASSWORD, ENCODED)
    for other in (PASSWORD + " ", PASSWORD[:-1], PASSWORD.encode().decode("latin-1"), "", "-" * SHORTEST):
        assert not password_matches(other, ENCODED)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "a" * (SHORTEST - 1),
        "a" * (LONGEST + 1),
        "a" * 1_000_000,
        "eight\0chars",
        "\ud800" * 8,
        "lone half \udfff",
    ],
)
def test_too_short_too_long_and_what_is_no_text_is_refused_and_never_matches(password: str) -> None:
    with pytest.raises(PasswordUnacceptable) as refused:
        hash_password(password)
    assert refused.value.pointer == "/body/password"
    assert password not in str(refused.value) or not password
    assert not password_matches(password, ENCODED)
    assert not password_matches(password, None)


@settings(max_examples=500)
@given(st.text(max_size=140))
def test_what_is_acceptable_can_be_hashed(password: str) -> None:
    if acceptable(password):
        password.encode()
        assert SHORTEST <= len(password) <= LONGEST


def test_nobody_has_no_password() -> None:
    for password in (PASSWORD, "-" * SHORTEST, _NOBODY):
        assert not password_matches(password, None)


@pytest.mark.parametrize(
    "broken",
    ["x", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", ENCODED[:-4]],
    ids=["word", "bare", "bcrypt", "cut"],
)
def test_a_hash_that_is_none_matches_nothing_and_is_no_bug(broken: str) -> None:
    assert not password_matches(PASSWORD, broken)


def test_a_stranger_costs_as_much_work_as_a_wrong_password() -> None:
    # The parameters are the work; a hash of nobody with weaker ones would tell strangers from staff.
    assert not hash_is_outdated(_NOBODY)

    def least_work_ns(password: str, encoded: str | None) -> int:
        spans = []
        for _ in range(7):
            start = time.thread_time_ns()
            password_matches(password, encoded)
            spans.append(time.thread_time_ns() - start)
        return min(spans)

    known = least_work_ns("a wrong password", ENCODED)
    for password, encoded in (("a wrong password", None), ("short", None), ("short", ENCODED)):
        assert known < 2 * least_work_ns(password, encoded) < 4 * known


def test_a_hash_of_weaker_parameters_still_matches_and_is_to_be_made_anew() -> None:
    weaker = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    assert password_matches(PASSWORD, weaker)
    assert hash_is_outdated(weaker)
    assert not hash_is_outdated(ENCODED)
