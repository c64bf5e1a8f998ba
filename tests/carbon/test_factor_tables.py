"""Factor tables: published by a second person, recomputed first, found by day and never guessed."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from carbon.examples import check_examples, read_examples
from carbon.factors.bundle_files import read_shipped_bundle
from carbon.factors.errors import ExampleDiffers, FactorsOverlap, NoFactorInForce
from carbon.factors.lookup import factor_in_force, finder
from carbon.factors.publication import draft_factor_table, publish_factor_table
from carbon.households.rules import rule_finder
from kernel.call import Call
from kernel.publications.errors import AuthorCannotPublish
from tests.carbon.city import OFFICIAL, RETROSPECTIVE, as_operator, publish_tables
from tests.conftest import REGION

LAST_OF_OLD, FIRST_OF_NEW = date(2021, 11, 30), date(2021, 12, 1)


def metro(call: Call, day: date) -> str:
    return factor_in_force(call, scenario="metro_ride", region_id=REGION, day=day).row.code


def test_each_day_has_exactly_one_row_and_the_days_before_none(call: Call) -> None:
    publish_tables(call, OFFICIAL)
    with pytest.raises(NoFactorInForce):
        metro(call, LAST_OF_OLD)
    official = metro(call, FIRST_OF_NEW)
    publish_tables(call, RETROSPECTIVE)
    assert metro(call, FIRST_OF_NEW) == official != metro(call, LAST_OF_OLD)
    found = factor_in_force(call, scenario="bus_ride", region_id=REGION, day=date(2018, 9, 1))
    assert found.row.assumption
    assert not found.row.verified
    with pytest.raises(NoFactorInForce):
        metro(call, date(2017, 12, 31))


def test_a_row_whose_example_does_not_recompute_is_not_published(call: Call) -> None:
    bundle = read_shipped_bundle(OFFICIAL)
    wrong = replace(bundle.rows[0].examples[0], expected="1.000")
    rows = (replace(bundle.rows[0], examples=(wrong,)), *bundle.rows[1:])
    drafted = draft_factor_table(as_operator(call), replace(bundle, rows=rows))
    with pytest.raises(ExampleDiffers):
        publish_factor_table(as_operator(call), drafted.id, reason="demo city")


def test_the_author_of_a_table_does_not_publish_it(call: Call) -> None:
    author = as_operator(call)
    drafted = draft_factor_table(author, read_shipped_bundle(OFFICIAL))
    with pytest.raises(AuthorCannotPublish):
        publish_factor_table(author, drafted.id, reason="demo city")


def test_two_tables_cannot_rule_one_scenario_on_one_day(call: Call) -> None:
    publish_tables(call, OFFICIAL)
    bundle = replace(read_shipped_bundle(OFFICIAL), subject="another")
    drafted = draft_factor_table(as_operator(call), bundle)
    with pytest.raises(FactorsOverlap):
        publish_factor_table(as_operator(call), drafted.id, reason="demo city")


def test_a_published_row_cannot_be_changed(call: Call) -> None:
    publish_tables(call, OFFICIAL)
    with pytest.raises(ProgrammingError, match="permission denied"), call.db.begin_nested():
        call.db.execute(text("UPDATE factor SET value_ng = 1"))


def test_examples_run_through_the_published_factors(call: Call) -> None:
    publish_tables(call, OFFICIAL)
    inputs = b'"{""scenario"":""metro_ride"",""distance_m"":10000}"'
    rows = [
        b"%s,CN-GD-SZ,2024-01-01,per_person_km,%s,%s,kg" % (name, inputs, figure)
        for name, figure in ((b"a", b"0.467"), (b"b", b"0.468"))
    ]
    data = b"\n".join([b"id,region,on,method,inputs,expected,unit", *rows])
    results = check_examples(read_examples(data), finder(call), rule_finder(call))
    assert [result.passed for result in results] == [True, False]
