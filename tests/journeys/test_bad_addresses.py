"""Paths, queries, cursors and methods that nobody should send, at every address: a 4xx problem at once.

Nobody reads or moves what is another's: it is not found.
"""

import base64
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.journeys.callers import Crowd, crowd
from tests.journeys.hostile import NOBODY
from tests.journeys.siege import WRITES, Siege, at_each, body_schema, needed, operation, path_of, right_body

BAD_PARTS = {
    "nobody's": "{prefix}_" + NOBODY,
    "another prefix": "xyz_" + NOBODY,
    "lower case": "{prefix}_" + NOBODY.lower(),
    "too large": "{prefix}_" + "Z" * 26,
    "2^63": str(2**63),
    "minus one": "-1",
    "nul": "%00",
    "half a surrogate": "%ED%A0%80",
    "not utf-8": "%FF%FE",
    "dots": "..%2F..%2Fetc%2Fpasswd",
    "sql": "1'%20OR%20'1'%3D'1",
    "full-width digits": "%EF%BC%91%EF%BC%92",
    "huge": "a" * 5000,
    "a percent sign": "%25",
}
BAD_NUMBERS = (
    "-1",
    "0",
    str(2**63),
    "9" * 400,
    "1.0",
    "1e2",
    "%EF%BC%91",
    "abc",
    "",
    "true",
    "0x10",
    "%00",
    "%2B1",
)
BAD_TEXTS = ("%00", "%ED%A0%80", "a" * 3000, "a%1Bb", "")
BAD_CURSORS = ("garbage", "%FF", "%3D%3D%3D", "AAAAAAAAAAAAAAAA", "%E5%AD%97", "a" * 512)
BAD_POSITIONS: tuple[Any, ...] = (
    [],
    {},
    None,
    "a",
    [None],
    [[]],
    [{}],
    ["a\u0000"],
    [2**63],
    [-(2**63)],
    [1.5],
    [True],
    ["字" * 40],
    [["a"], 1, 2],
    ["2026-13-01", "x", 1],
    list(range(100)),
)


@pytest.fixture(scope="module")
def city(cache_url: str) -> Iterator[Crowd]:
    with crowd(cache_url) as made:
        yield made


@at_each("GET", *WRITES)
def test_a_path_that_names_nothing_is_refused(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    if "<" in address:
        schema = body_schema(method, address)
        body = None if schema is None else right_body(city, address, schema)
        for name, part in BAD_PARTS.items():
            siege.send(name, path_of(city, address, part), json=body)
    siege.ends()


@at_each("GET", *WRITES)
def test_what_is_anothers_is_not_found(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    permission = needed(method, address)
    own = "<" in address and "<notice>" not in address  # what is on notice is for everybody to object to
    if own and permission is not None and siege.caller is not None:
        schema = body_schema(method, address)
        body = None if schema is None else right_body(city, address, schema)
        stranger = city.neighbours[siege.caller.role]
        answer = city.send(stranger, method, path_of(city, address), json=body)
        if "<day>" not in address:  # a day is everybody's; what stands on it is the caller's own
            assert answer.status_code in {404, 411}, answer.get_json()
    siege.ends()


@at_each("GET", *WRITES)
def test_an_absurd_query_is_refused(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    path = path_of(city, address)
    asked = {
        each["name"]: each["schema"]
        for each in operation(method, address).get("parameters", [])
        if each.get("in") == "query"
    }
    for name, schema in asked.items():
        whole = "integer" in schema["type"]
        bad = BAD_NUMBERS if whole else BAD_CURSORS if name == "after" else BAD_TEXTS
        for value in bad:
            siege.send(f"{name}={value[:20]}", f"{path}?{name}={value}")
    if asked:
        siege.send("an unknown parameter", f"{path}?no_such_parameter=1")
    siege.ends()


@at_each("GET")
def test_a_forged_cursor_is_refused(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    path = path_of(city, address)
    first = city.send(siege.caller, method, f"{path}?limit=1")
    cursor = (first.get_json(silent=True) or {}).get("next") if first.status_code == 200 else None
    if cursor is not None:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        right = orjson.loads(raw[8:])
        spoiled = [[*right[:at], None, *right[at + 1 :]] for at in range(len(right))]
        for position in (*BAD_POSITIONS, *spoiled, right[:-1], [*right, 1]):
            forged = base64.urlsafe_b64encode(raw[:8] + orjson.dumps(position)).rstrip(b"=").decode()
            siege.send(f"after {position!r:.40}", f"{path}?limit=1&after={forged}")
    siege.ends()


@at_each("GET", *WRITES)
def test_a_method_that_the_address_does_not_take_is_refused(city: Crowd, method: str, address: str) -> None:
    siege = Siege(city, method, address)
    for other in ("FROB", "TRACE", "PROPFIND", "CONNECT"):
        siege.method = other
        siege.send(other)
    siege.ends()
