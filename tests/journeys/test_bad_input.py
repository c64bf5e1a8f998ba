"""A stranger's body, key or token at every address that writes: a 4xx problem, at once, and no row moves.

The addresses are those of the application's own map, the bodies are made from its OpenAPI document: a new
address is attacked without anybody adding it here.
"""

import base64
import gzip
import hashlib
from collections.abc import Iterator

import pytest

from tests.journeys.callers import Crowd, crowd
from tests.journeys.hostile import BRACKETS, JSON, NOBODY, spoiled_bodies, whole_bodies
from tests.journeys.siege import (
    WRITES,
    Siege,
    at_each,
    at_each_taker_of_bytes,
    body_schema,
    needed,
    operation,
    path_of,
    right_body,
)

BAD_KEYS = {
    "no key": None,
    "an empty key": "",
    "seven characters": "1234567",
    "129 characters": "k" * 129,
    "a space": "a key of words",
    "a tab": "12345\t6789",
    "not ASCII": "schl\u00fcssel-017",
    "a kilobyte": "k" * 1024,
}
BAD_TOKENS = ("", "a", "a.b.c", "ptk_a", "tpt_a", "\u00e9" * 9, "x" * 9000, "eyJhbGciOiJub25lIn0.e30.")


@pytest.fixture(scope="module")
def city(cache_url: str) -> Iterator[Crowd]:
    with crowd(cache_url) as made:
        yield made


@at_each(*WRITES)
def test_a_spoiled_body_is_refused_with_its_place_and_moves_nothing(
    city: Crowd, method: str, address: str
) -> None:
    siege = Siege(city, method, address)
    schema = body_schema(method, address)
    if schema is not None:
        right = right_body(city, address, schema)
        for attack in (*spoiled_bodies(schema, right), *whole_bodies(right)):
            siege.attack(attack)
    elif "<" in address:  # what is not asked for does nothing for a thing that nobody has
        for attack in whole_bodies({"reason": "a"}):
            siege.attack(attack, path_of(city, address, "{prefix}_" + NOBODY))
    siege.ends()


@at_each(*WRITES)
def test_who_may_not_is_told_before_the_body_is_looked_at(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    permission = needed(method, address)
    if permission is not None:
        for name, data in {"nothing": b"", "brackets": BRACKETS.encode()}.items():
            siege.send(f"nobody sends {name}", who=None, data=data, headers=JSON)
            siege.send(f"another role sends {name}", who=city.outsider(permission), data=data, headers=JSON)
        for token in BAD_TOKENS:
            siege.send(f"a token {token[:8]!r}", who=None, headers={"Authorization": f"Bearer {token}"})
    siege.ends()


@at_each(*WRITES)
def test_an_absurd_idempotency_key_is_refused(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    named = [each.get("name") for each in operation(method, address).get("parameters", [])]
    if "Idempotency-Key" in named:
        schema = body_schema(method, address)
        body = None if schema is None else right_body(city, address, schema)
        for name, key in BAD_KEYS.items():
            siege.send(name, headers={"Idempotency-Key": key}, json=body)
    siege.ends()


@at_each_taker_of_bytes()
def test_bytes_that_are_not_what_they_are_said_to_be_are_refused(
    city: Crowd, method: str, address: str
) -> None:
    siege = Siege(city, method, address)
    bomb = gzip.compress(bytes(64 << 20))
    zipped = {"Content-Encoding": "gzip"}
    for name, body, headers in (
        ("no digest", b"a", {"Content-Digest": None}),
        ("a wrong digest", b"a", {"Content-Digest": f"sha-256=:{'A' * 43}=:"}),
        ("a digest of another kind", b"a", {"Content-Digest": "md5=:AAAA:"}),
        ("nothing", b"", {}),
        ("an unknown encoding", b"a", {"Content-Encoding": "br"}),
        ("a bomb", bomb, zipped),
        ("not gzip", b"a", zipped),
        ("half of gzip", bomb[: len(bomb) // 2], zipped),
    ):
        mark = base64.b64encode(hashlib.sha256(body).digest()).decode()
        siege.send(name, data=body, headers={"Content-Digest": f"sha-256=:{mark}:", **headers})
    siege.ends()
