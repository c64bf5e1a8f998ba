"""What the document says an address refuses is what its code names."""

from functools import partial

from kernel.errors import Busy, InvalidField, NotFound, Refusal
from kernel.http.openapi import bodies, refusals_of

_TABLE = {"a": Busy}


def _caught() -> None:
    try:
        raise InvalidField
    except NotFound:
        return


def _outside() -> None:
    def inside() -> None:
        _caught()

    inside()


def _by_table() -> type[Refusal]:
    return _TABLE["a"]


def test_a_refusal_is_found_behind_functions_partials_and_tables_but_not_where_it_is_caught() -> None:
    assert refusals_of(_outside) == {InvalidField}
    assert refusals_of(partial(_outside)) == {InvalidField}
    assert refusals_of(_by_table, _caught) == {Busy, InvalidField}


def test_what_is_no_function_of_ours_and_the_abstract_refusal_are_nothing() -> None:
    assert refusals_of(len, Refusal, partial, "text") == frozenset()


def test_one_example_stands_alone_and_several_have_names() -> None:
    assert bodies({}) == {}
    assert bodies({"A ride": {"a": 1}}) == {"example": {"a": 1}}
    several = bodies({"A ride": {"a": 1}, "B": {}})
    assert several["examples"]["a_ride"] == {"summary": "A ride", "value": {"a": 1}}
