"""What is said of a field is a house sentence in the reader's language."""

import re
from collections.abc import Iterator
from typing import Any

import marshmallow as ma
import pytest
from flask import Flask
from marshmallow import fields
from werkzeug.exceptions import (
    HTTPException,
    LengthRequired,
    RequestedRangeNotSatisfiable,
    default_exceptions,
)

from kernel.http.fields import Day, Instant, PublicId, Takes, Text, Whole
from kernel.http.problems import FRAMEWORK_TITLES, INTERNAL_ERROR, framework_problem
from kernel.http.sentences import spoken

HAN = re.compile("[\u4e00-\u9fff]")


class TakesAll(Takes):
    """A field of every sort."""

    text = Text(required=True, least=2, most=5, pattern="[a-z]+")
    whole = Whole(required=True, least=1, most=9)
    id = PublicId("pub")
    day = Day()
    instant = Instant()
    kind = fields.String(validate=ma.validate.OneOf(("a", "b")))
    several = fields.List(Text(), validate=ma.validate.Length(max=1))
    named = fields.Dict(keys=Text(), validate=ma.validate.Length(min=1))
    inner = fields.Nested("TakesInner")


class TakesInner(Takes):
    """Within another."""

    least = fields.String(validate=ma.validate.Length(min=3))


WRONG: dict[str, Any] = {
    "nothing": {},
    "no object": [],
    "unknown": {"other": 1},
    "nulls": dict.fromkeys(TakesAll().fields),
    "numbers": dict.fromkeys(TakesAll().fields, 1.5),
    "texts": dict.fromkeys(TakesAll().fields, "!"),
    "long": {"text": "abcdefgh", "whole": 10, "several": ["a", "b"], "named": {}, "inner": {"least": "a"}},
    "controls": {"text": "a\x00b", "whole": 0, "id": "pub_" + "Z" * 26},
    "nested": {"inner": 1, "several": [1], "named": {"\x00": 1}},
}


def messages(found: Any) -> Iterator[str]:
    if isinstance(found, dict):
        for inner in found.values():
            yield from messages(inner)
    elif isinstance(found, list):
        for inner in found:
            yield from messages(inner)
    else:
        yield str(found)


@pytest.mark.parametrize("sent", WRONG.values(), ids=WRONG)
def test_every_phrase_of_a_field_has_a_sentence_in_both_languages(sent: Any) -> None:
    with pytest.raises(ma.ValidationError) as refused:
        TakesAll().load(sent)
    for message in messages(refused.value.messages):
        english = spoken(message, "en")
        assert re.fullmatch(r"(must|is|has|holds)\b.*[^.]", english), english
        assert HAN.search(spoken(message, "zh")), message
        assert spoken(english, "zh") != english, f"{english!r} is not known again"


def test_a_sentence_that_nobody_knows_stays() -> None:
    assert spoken("of another world", "zh") == "of another world"


ERRORS = (LengthRequired, RequestedRangeNotSatisfiable, *default_exceptions.values())


@pytest.mark.parametrize("error", ERRORS)
def test_no_status_of_the_framework_is_without_code_and_chinese(error: type[HTTPException]) -> None:
    app = Flask("test")
    with app.test_request_context(headers={"Accept-Language": "zh"}):
        told: Any = framework_problem(error()).json
    known = {code for code, _, _ in (*FRAMEWORK_TITLES.values(), INTERNAL_ERROR)}
    assert told["code"] in known
    assert HAN.search(told["title"])
    assert told["status"] == error.code
