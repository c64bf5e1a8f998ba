"""A chunk of many lines takes shorter ways to the database; what comes out is what single records give."""

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.assessment import digests
from carbon.activities.intake import take_activity, take_chunk
from carbon.methodologies.assessment import MethodFactor
from carbon.methodologies.inputs import KNOWN_INPUTS
from carbon.methodologies.method import InputSet, Method
from carbon.methodologies.registry import METHODS
from carbon.reconciliation import CHECKS
from kernel.bulk_text import array_of, new_ids, select_frame
from kernel.call import Call
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import City, lines, plant_city, ride

CARDS = [f"card-{number:03}" for number in range(70)]
FACTOR_NG = 46_700_000


def many(prefix: str, cards: list[str] = CARDS, *, metres: int = 5_000) -> list[dict[str, Any]]:
    return [ride(f"{prefix}-{card}", card, metres=metres) for card in cards]


@pytest.fixture
def city(call: Call) -> City:
    planted = plant_city(call)
    planted.bind(call, CARDS)
    return planted


def outcomes(call: Call, city: City, rows: list[dict[str, Any]]) -> list[str]:
    taken = take_chunk(call, city.intake(), lines(*rows))
    return taken["outcome"].to_list()


def coins(call: Call) -> list[tuple[Any, ...]]:
    """What everybody's activities brought, and what their caps count."""
    found = call.db.execute(
        text("SELECT source_event_id, carbon_mg, coin_milli, coin_cut_milli FROM activity")
    )
    used = call.db.execute(text("SELECT holder_id, used FROM cap_usage"))
    return [*sorted(map(tuple, found)), *sorted(tuple(row) for row in used)]


def test_many_lines_give_what_the_same_records_give_one_by_one(call: Call, city: City) -> None:
    rows = many("a") + many("b") + many("c", metres=1)
    point = call.db.begin_nested()
    for row in rows:
        take_activity(call, city.intake(), lines(row))
    one_by_one = coins(call)
    point.rollback()
    assert set(outcomes(call, city, rows)) == {"credited"}
    assert coins(call) == one_by_one
    assert any(cut for *_, cut in one_by_one[: len(rows)])


def test_many_lines_of_which_some_stand_are_told_apart(call: Call, city: City) -> None:
    assert set(outcomes(call, city, many("a", CARDS[:30]))) == {"credited"}
    assert outcomes(call, city, many("a")) == ["duplicate"] * 30 + ["credited"] * 40
    assert set(outcomes(call, city, many("a"))) == {"duplicate"}
    assert [o.check.name for o in reconcile(call, (*LEDGER_CHECKS, *CHECKS)) if not o.holds] == []


def test_caps_that_stand_and_caps_that_begin_are_filled_in_one_chunk(call: Call, city: City) -> None:
    """The day's cap is 30 coins, a ride of 5 km brings 23.35."""
    outcomes(call, city, many("a", CARDS[:20]))
    outcomes(call, city, many("b"))
    used = call.db.execute(text("SELECT used FROM cap_usage ORDER BY used")).scalars().all()
    assert used == [23_350] * 50 + [30_000] * 20
    cut = call.db.execute(text("SELECT sum(coin_cut_milli) FROM activity")).scalar_one()
    assert cut == 20 * (2 * 23_350 - 30_000)


def _stated(method: Method) -> st.SearchStrategy[dict[str, int]]:
    """Inputs that the method takes: a saving never below nothing."""

    def values(each: InputSet) -> st.SearchStrategy[dict[str, int]]:
        amounts = st.lists(st.integers(0, 10**8), min_size=len(each.names), max_size=len(each.names))
        # In the order of names `actual_…` comes before `baseline_…`, so sorted amounts save something.
        return amounts.map(
            lambda found: {
                name: min(amount, KNOWN_INPUTS[name].most)
                for name, amount in zip(sorted(each.names), sorted(found), strict=True)
            }
        )

    return st.one_of(*(values(each) for each in method.input_sets))


@pytest.mark.parametrize("name", sorted(METHODS))
@given(data=st.data())
def test_digests_of_many_are_the_scalar_methods(name: str, data: st.DataObject) -> None:
    method = METHODS[name]
    factor = MethodFactor(
        value="46.7",
        unit="g/因子",
        value_ng=FACTOR_NG,
        measure=method.measure,
        quantity_min=0,
        quantity_max=2**63 // FACTOR_NG,
    )
    rows = data.draw(st.lists(_stated(method), min_size=1, max_size=5))
    part = pl.DataFrame(
        {key: [row.get(key) for row in rows] for key in KNOWN_INPUTS},
        schema=dict.fromkeys(KNOWN_INPUTS, pl.Int64),
    ).with_columns(outcome=pl.lit(ACTIVITY))
    value = pl.lit(factor.value_ng, pl.Int64)
    part = part.with_columns(carbon_mg=method.carbon_mg_expression(value))
    assert digests(part, method, factor).to_list() == [method.assess(row, factor).digest() for row in rows]


def test_text_of_any_kind_goes_to_the_database_and_comes_back(call: Call) -> None:
    texts = pl.Series("t", ['a,"b"', "", "back\\slash", "行\n列", "{null}", "NULL", None], dtype=pl.String)
    query = "SELECT t, n FROM unnest(CAST(%(t)s AS text[])) WITH ORDINALITY AS k (t, n)"
    back = select_frame(call, query, {"t": array_of(texts)}, schema={"t": pl.String, "n": pl.Int64})
    assert back.sort("n")["t"].to_list() == texts.to_list()


def test_ids_made_in_bulk_are_of_version_seven_and_differ() -> None:
    made = new_ids(1_000)
    assert made.n_unique() == 1_000
    assert made.str.contains("^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$").all()
