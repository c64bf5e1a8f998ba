"""The bytes that are hashed and signed never change: the vectors are the contract."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kernel.canonical import Field, canonical_bytes, canonical_json, digest

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "canonical.json").read_text())
FIELDS: dict[str, tuple[Field, ...]] = {
    "empty": (),
    "null, true, false": (None, True, False),
    "integers": (0, -1, 2**63 - 1),
    "text": ("", "碳币", "a\u0000b"),
    "bytes": (b"", b"\x00\xff"),
    "time": (datetime(2026, 11, 20, 4, 0, 0, 5, tzinfo=UTC), date(2026, 11, 20)),
    "id": (UUID(int=1),),
    "nested": (("a", 1), ()),
}


@pytest.mark.parametrize("name", FIELDS)
def test_canonical_bytes_are_what_they_always_were(name: str) -> None:
    data = canonical_bytes("vector/1", *FIELDS[name])
    assert {"bytes": data.hex(), "sha256": digest(data).hex()} == VECTORS[name]


def test_no_two_lists_of_fields_share_their_bytes() -> None:
    shapes: list[tuple[Field, ...]] = [
        ("ab", "c"),
        ("a", "bc"),
        ("abc",),
        (("a", "b"), "c"),
        ("a", ("b", "c")),
        (1,),
        ("1",),
        (True,),
        (b"1",),
    ]
    assert len({canonical_bytes("vector/1", *shape) for shape in shapes}) == len(shapes)


def test_json_has_sorted_keys_and_no_spaces() -> None:
    assert canonical_json({"b": [1, {"d": None, "c": "碳"}], "a": True}) == (
        '{"a":true,"b":[1,{"c":"碳","d":null}]}'.encode()
    )


@pytest.mark.parametrize("value", [1.5, [1.0], {"a": {"b": float("nan")}}])
def test_a_float_has_no_canonical_form(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_a_naive_time_has_no_canonical_bytes() -> None:
    with pytest.raises(TypeError):
        canonical_bytes("vector/1", datetime(2026, 1, 1))  # noqa: DTZ001 - the naive time is the case
