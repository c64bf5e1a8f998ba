"""Comparisons: exact, the same for one and for many, rounded down where shown, with their sources."""

import csv
import io
from fractions import Fraction
from math import ceil

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.equivalences.figures import CARBON, TREES, shipped_equivalences
from carbon.equivalences.prices import priced, read_price, shipped_prices
from carbon.equivalences.shipped import FILE
from carbon.factors.bundles import read_shipped
from carbon.factors.plain_yaml import read_plain_yaml
from kernel.errors import BrokenInvariant, Refusal
from tests.app.desk import Desk, desk
from tests.carbon.adapters.shared_files import read_shared

__all__ = ["desk"]
URL = "/v1/public/equivalences"
FIGURES, PRICES = shipped_equivalences(), shipped_prices()


@pytest.mark.parametrize("scenario", sorted(FIGURES))
@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(data=st.data())
def test_one_amount_and_many_amounts_say_the_same(scenario: str, data: st.DataObject) -> None:
    figure = FIGURES[scenario]
    scale = 1 if figure.method == TREES else 10**6
    each = figure.of({figure.input: 1}) * scale
    whole = data.draw(st.integers(1, 10**5))
    reached = ceil(whole / each)  # the least amount that comes to so many, and the one before it
    drawn = st.lists(st.integers(0, figure.most) | st.just(figure.most), max_size=5)
    amounts = [*data.draw(drawn), *(at for at in (reached - 1, reached) if at <= figure.most)]
    frame = pl.DataFrame({figure.input: pl.Series(amounts, dtype=pl.Int64)})
    many = frame.select(whole=figure.floor_expression())["whole"].to_list()
    assert many == [figure.floor({figure.input: amount}) for amount in amounts]
    for amount in amounts:
        exact = figure.of({figure.input: amount}) * scale
        assert 0 <= exact - figure.floor({figure.input: amount}) < 1


@pytest.mark.parametrize("scenario", sorted(FIGURES))
def test_the_most_is_compared_and_one_more_is_refused(scenario: str) -> None:
    figure = FIGURES[scenario]
    figure.of({figure.input: figure.most})
    with pytest.raises(Refusal) as refused:
        figure.of({figure.input: figure.most + 1})
    assert (refused.value.code, refused.value.pointer) == ("input_too_large", f"/{figure.input}")


def test_the_same_electricity_is_more_coal_by_what_it_took_than_by_what_it_holds() -> None:
    heat, made = FIGURES["electricity_as_heat"], FIGURES["electricity_as_made"]
    assert (heat.basis, made.basis) == ("当量值", "等价值")
    used = {"actual_wh": 1_000_000}
    assert (heat.of(used), made.of(used)) == (Fraction("122.9"), Fraction("280.78"))


def test_every_comparison_says_what_the_collected_lists_say() -> None:
    coal = read_shared("data/factors/standard_coal.csv").decode()
    listed = {row["code"]: row for row in csv.DictReader(io.StringIO(coal))}
    for figure in FIGURES.values():
        if figure.method == TREES:
            assert (figure.value, figure.unit) == ("18.3", "kgCO2/tree-year")
            continue
        row = listed[figure.code]
        assert (figure.value, figure.unit) == (row["kgce_per_unit"], f"kgce/{row['unit_in']}")
        assert (figure.basis, figure.verified) == (row["basis"], row["verified"] == "yes")
        assert figure.source["title"].split(" (")[0] in row["source"]


def test_whoever_shows_kilograms_as_trees_gets_the_figure_with_its_source(desk: Desk) -> None:
    told = desk.ask("", "GET", f"{URL}?carbon_mg=36599999")
    assert (told.status_code, told.json["carbon_mg"]) == (200, 36_599_999)
    trees = next(each for each in told.json["items"] if each["method"] == TREES)
    assert (trees["whole"], trees["value"], trees["unit"]) == (1, "18.3", "kgCO2/tree-year")
    assert trees["source"]["publisher"] == "重庆日报"
    assert [each["whole"] for each in told.json["items"] if each["method"] != TREES] == [None] * 12
    assert desk.ask("", "GET", f"{URL}?carbon_mg=36600000").json["items"][-1]["whole"] == 2
    assert [(each["scenario"], each["worth_fen"]) for each in told.json["prices"]] == [
        ("bank_interest_voucher", 7319),
        ("platform_first_sale", 159),
        ("shanghai_allowance", 243),
    ]
    plain = desk.ask("", "GET", URL).json
    assert [(each["fen_per_tonne"], each["worth_fen"]) for each in plain["prices"]] == [
        (200_000, None),
        (4_350, None),
        (6_657, None),
    ]
    assert plain["prices"][0]["source"]["publisher"] == "digipub.cc"
    assert (plain["carbon_mg"], {each["whole"] for each in plain["items"]}) == (None, {None})
    for bad in ("-1", "1.5", "x", "9223372036855", ""):
        assert desk.ask("", "GET", f"{URL}?{CARBON}={bad}").status_code == 422, bad


@pytest.mark.parametrize("scenario", sorted(PRICES))
@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(data=st.data())
def test_one_amount_and_many_amounts_are_worth_the_same(scenario: str, data: st.DataObject) -> None:
    price = PRICES[scenario]
    amounts = data.draw(st.lists(st.integers(0, price.most) | st.just(price.most), max_size=5))
    frame = pl.DataFrame({CARBON: pl.Series(amounts, dtype=pl.Int64)})
    many = frame.select(worth=price.worth_expression())["worth"].to_list()
    assert many == [price.worth_fen(amount) for amount in amounts]
    for amount in amounts:
        assert 0 <= Fraction(amount * price.paid_fen, price.carbon_mg) - price.worth_fen(amount) < 1


@pytest.mark.parametrize("scenario", sorted(PRICES))
def test_the_most_is_priced_and_one_more_is_refused_or_left_open(scenario: str) -> None:
    price = PRICES[scenario]
    price.worth_fen(price.most)
    with pytest.raises(Refusal) as refused:
        price.worth_fen(price.most + 1)
    assert (refused.value.code, refused.value.pointer) == ("input_too_large", f"/{CARBON}")
    named = {each["scenario"]: each["worth_fen"] for each in priced(price.most + 1)}
    assert named[scenario] is None


def test_a_price_that_is_not_what_was_paid_does_not_ship() -> None:
    for old, new in (('value: "43.5"', 'value: "43.6"'), ('"8700000"', '"8700001"'), ("CNY/t", "CNY/kg")):
        text = read_shipped(FILE).replace(old.encode(), new.encode(), 1)
        row = next(each for each in read_plain_yaml(text)["prices"] if each["code"] == "WH-SALE-2024")
        with pytest.raises(BrokenInvariant, match="WH-SALE-2024"):
            read_price(row)
