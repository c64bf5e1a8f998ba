"""What a stranger may send in place of what an address takes, made from the OpenAPI document.

A body is an example that the document allows, with one place spoiled; the spoiling is JSON text, because
half of it is nothing a JSON library would write.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

JSON = {"Content-Type": "application/json"}
NOBODY = "0000000000000000000000017G"
HERE = "@@here@@"
BRACKETS = "[" * 10_000 + "]" * 10_000
UNREADABLE = {
    "not a number": "NaN",
    "infinity": "-Infinity",
    "ten thousand brackets": BRACKETS,
    "ten thousand braces": '{"a":' * 10_000 + "1" + "}" * 10_000,
    "half a surrogate": '"\\ud800"',
    "an octal number": "012",
    "a comment": "1 /* one */",
    "single quotes": "'a'",
    "invalid utf-8": '"\udcff"',
}
"""JSON of no kind, wherever it stands."""
NESTED = {
    "three hundred brackets": "[" * 300 + "]" * 300,
    "three hundred braces": '{"a":' * 300 + "1" + "}" * 300,
}
"""JSON that is read, and deeper than it could be written again."""
NEVER_TEXT = {
    "a number": "12",
    "true": "true",
    "a list": '["a"]',
    "an object": '{"a":"a"}',
    "nul": '"a\\u0000b"',
    "a control character": '"a\\u001bb"',
    "a line separator": '"a\\u2028b"',
}
NEVER_WHOLE = {
    "2^63": str(2**63),
    "below -2^63": str(-(2**63) - 1),
    "a number of 400 digits": "9" * 400,
    "1e400": "1e400",
    "1e3": "1e3",
    "1.0": "1.0",
    "half": "0.5",
    "digits as text": '"12"',
    "full-width digits": '"１２"',
    "true": "true",
    "a list": "[1]",
    "an object": "{}",
}
NEVER_YES_OR_NO = {"a number": "1", "a zero": "0", "a word": '"yes"', "text": '"true"', "a list": "[true]"}
NEVER_DAY = {
    "year 0": '"0000-01-01"',
    "the calendar's first day": '"0001-01-01"',
    "the calendar's last day": '"9999-12-31"',
    "the 30th of February": '"2026-02-30"',
    "full-width digits": '"２０２６-０１-０１"',
    "an instant": '"2026-01-01T00:00:00Z"',
    "no dashes": '"20260101"',
    "a number": "20260101",
    "five digits": '"12026-01-01"',
}
NEVER_INSTANT = {
    "year 0": '"0000-01-01T00:00:00Z"',
    "the calendar's last second": '"9999-12-31T23:59:59-12:00"',
    "no zone": '"2026-01-01T00:00:00"',
    "a day": '"2026-01-01"',
    "full-width digits": '"２０２６-01-01T00:00:00Z"',
    "a zone of 99 hours": '"2026-01-01T00:00:00+99:00"',
    "a number": "1767225600",
    "hour 25": '"2026-01-01T25:00:00Z"',
}
NEVER_OBJECT = {
    "a list": "[]",
    "text": '"a"',
    "a number": "1",
    "a nul in a name": '{"a\\u0000":1}',
    "half a surrogate in a name": '{"\\udfff":1}',
}
NEVER_LIST = {
    "an object": "{}",
    "text": '"a"',
    "nulls": "[null]",
    "lists": "[[],[]]",
    "endless": "[0" + ",0" * 50_000 + "]",
}


@dataclass(frozen=True)
class Attack:
    """A body and headers that must be refused; `pointer` is where a 422 must point at."""

    name: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: dict(JSON))
    pointer: str = ""


def example(schema: dict[str, Any], known: Callable[[str, dict[str, Any]], Any], at: str = "") -> Any:
    """A value the schema allows; `known(pointer, schema)` may give a better one, or None."""
    better = known(at, schema)
    if better is not None:
        return better
    if "null" in schema.get("type", ()):
        return None
    kind = kind_of(schema)
    if kind == "object":
        inside = schema.get("properties", {}).items()
        return {name: example(inner, known, f"{at}/{name}") for name, inner in inside}
    if kind == "array":
        return [example(schema["items"], known, f"{at}/0")]
    if kind == "boolean":
        return False
    return int(schema.get("minimum", 0)) + 1 if kind == "integer" else _plain_text(schema)


def _plain_text(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return str(schema["enum"][0])
    if "pattern" in schema:
        return f"{prefix_of(schema)}_{NOBODY}"
    plain = {"date": "2025-01-01", "date-time": "2026-01-01T00:00:00Z"}
    return plain.get(str(schema.get("format")), "a" * int(schema.get("minLength", 1)))


def kind_of(schema: dict[str, Any]) -> str:
    """The JSON type, null aside."""
    kind = schema.get("type", "string")
    return str(next(each for each in kind if each != "null") if isinstance(kind, list) else kind)


def prefix_of(schema: dict[str, Any]) -> str:
    """What an id's pattern begins with."""
    return str(schema["pattern"]).removeprefix("^").partition("_")[0]


def spoiled_bodies(schema: dict[str, Any], right: Any) -> Iterator[Attack]:
    """Every field of the right body, spoiled in every way that fits it, one at a time."""
    for at, inner, required in places(schema, right):
        for name, text in {**UNREADABLE, **NESTED, **wrong_values(inner)}.items():
            yield Attack(f"{at}: {name}", _with(right, at, text), pointer="" if name in UNREADABLE else at)
        if required:
            yield Attack(f"{at}: missing", _without(right, at), pointer=at)


def places(schema: dict[str, Any], value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Pointer and schema of each place in a value, and whether it must be there."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{at}/{name}", inner, name in schema.get("required", ())
        yield from places(inner, value[name], f"{at}/{name}")
    if kind_of(schema) == "array":
        yield f"{at}/0", schema["items"], False
        yield from places(schema["items"], value[0], f"{at}/0")


def wrong_values(schema: dict[str, Any]) -> dict[str, str]:
    """JSON text of values that are never right for the schema, by what is wrong with them."""
    kind = kind_of(schema)
    if kind == "integer":
        least, most = int(schema.get("minimum", -(2**63))), int(schema.get("maximum", 2**63 - 1))
        return {**NEVER_WHOLE, "less than allowed": str(least - 1), "more than allowed": str(most + 1)}
    if kind == "string" and "format" in schema:
        return {"date": NEVER_DAY, "date-time": NEVER_INSTANT}[schema["format"]]
    never = {"object": NEVER_OBJECT, "array": NEVER_LIST, "boolean": NEVER_YES_OR_NO}
    return never.get(kind) or {**NEVER_TEXT, **_wrong_texts(schema)}


def _wrong_texts(schema: dict[str, Any]) -> dict[str, str]:
    if "enum" in schema:
        return {"none of the choices": '"other"', "nothing": '""', "huge": json.dumps("a" * 200_000)}
    if "pattern" in schema:
        prefix = prefix_of(schema)
        return {
            "another prefix": f'"xyz_{NOBODY}"',
            "lower case": f'"{prefix}_{NOBODY.lower()}"',
            "one character more": f'"{prefix}_{NOBODY}0"',
            "too large a number": f'"{prefix}_{"Z" * 26}"',
            "full-width digits": f'"{prefix}_{NOBODY.replace("0", "０")}"',
            "nothing": '""',
        }
    longest = int(schema["maxLength"])
    wrong = {"one character more": json.dumps("a" * (longest + 1)), "huge": json.dumps("字" * 60_000)}
    return wrong | ({"nothing": '""'} if int(schema.get("minLength", 0)) else {})


def whole_bodies(right: Any) -> Iterator[Attack]:
    """Bodies that are wrong as a whole."""
    text = json.dumps(right).encode()
    first, value = (json.dumps(each).encode() for each in next(iter(right.items())))
    for name, body in {
        "empty": b"",
        "blank": b" \n ",
        "half": text[: len(text) // 2],
        "twice": text + text,
        "a list around it": b"[" + text + b"]",
        "text": b'"a"',
        "null": b"null",
        "a number": b"1",
        "utf-16": text.decode().encode("utf-16"),
        "invalid utf-8": text[:-1] + b',"\xc3\x28":1}',
        "a key twice": text[:-1] + b"," + first + b":" + value + b"}",
        "a key twice, written otherwise": text[:-1]
        + b',"\\u%04x' % first[1]
        + first[2:]
        + b":"
        + value
        + b"}",
        "larger than any body": text[:-1] + b',"x":"' + b"a" * 300_000 + b'"}',
        "brackets": BRACKETS.encode(),
        "brackets just below one reader's limit": b"[" * 1010 + b"]" * 1010,
        "a key twice, deep inside": text[:-1] + b',"x":' + b'{"a":' * 50 + b'{"b":1,"b":1}' + b"}" * 51,
        "xml": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    }.items():
        yield Attack(name, body)
    yield Attack("an unknown field", text[:-1] + b',"no_such_field":1}', pointer="/no_such_field")
    yield Attack("an unknown __proto__", text[:-1] + b',"__proto__":{"a":1}}', pointer="/__proto__")
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/xml",
        "",
    ):
        yield Attack(f"called {kind or 'nothing'}", text, {"Content-Type": kind} if kind else {})
    yield Attack("gzip that nobody asked for", gzip.compress(text), {**JSON, "Content-Encoding": "gzip"})


def _with(right: Any, at: str, text: str) -> bytes:
    spoiled = json.loads(json.dumps(right))
    parent, last = _parent(spoiled, at)
    parent[last] = HERE
    return json.dumps(spoiled).replace(f'"{HERE}"', text).encode("utf-8", "surrogateescape")


def _without(right: Any, at: str) -> bytes:
    spoiled = json.loads(json.dumps(right))
    parent, last = _parent(spoiled, at)
    del parent[last]
    return json.dumps(spoiled).encode()


def _parent(value: Any, at: str) -> tuple[Any, Any]:
    *before, last = [int(step) if step.isdigit() else step for step in at.split("/")[1:]]
    for step in before:
        value = value[step]
    return value, last
