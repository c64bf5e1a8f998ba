"""The reference pages are what the code says today, and leave nothing out."""

import re
from dataclasses import fields
from fractions import Fraction

import pytest

from app.reference_pages import PAGES
from app.reference_pages.methods import FOLDER, UNSHIPPED, method_page, methods_page, shipped_rows
from app.reference_pages.refusals import all_refusals, places, refusals_page
from app.reference_pages.settings import settings_page
from app.reference_pages.states import LIVES, MACHINES, Machine, checked_values, states_of, states_page
from app.settings import Settings
from carbon.methodologies.inputs import KNOWN_INPUTS
from carbon.methodologies.method import FACTOR_REFUSALS, INPUT_REFUSALS
from carbon.methodologies.registry import METHODS
from tests.conftest import ROOT


@pytest.mark.parametrize("page", sorted(PAGES))
def test_the_page_is_current(page: str) -> None:
    assert (ROOT / page).read_text(encoding="utf-8") == PAGES[page](), "run `python -m app.reference_pages`"


def test_every_refusal_is_said_somewhere_and_stands_on_the_page() -> None:
    page = refusals_page()
    assert len(all_refusals()) > 100
    assert [refusal.code for refusal in all_refusals() if not places().get(refusal.__name__)] == []
    assert [refusal.code for refusal in all_refusals() if f"| `{refusal.code}` |" not in page] == []


def test_every_refusal_has_a_sentence_in_both_languages() -> None:
    for refusal in all_refusals():
        assert re.fullmatch(r"[A-Z].*[.]", refusal.title()), refusal.code
        assert "title_zh" in refusal.__dict__, refusal.code
        assert re.search("[\u4e00-\u9fff]", refusal.title("zh")), refusal.code


def test_every_setting_stands_on_the_page_with_its_meaning() -> None:
    page = settings_page()
    for setting in fields(Settings):
        assert f"| `{setting.name.upper()}` |" in page
        assert setting.metadata["help"] in page


def test_no_page_of_settings_shows_a_secret_made_here() -> None:
    assert not re.search(r"[0-9a-f]{32}", settings_page())


def test_every_method_has_a_page_and_no_page_is_left_of_another() -> None:
    there = {f"{FOLDER}/{path.name}" for path in (ROOT / FOLDER).iterdir()}
    assert there == {page for page in PAGES if page.startswith(FOLDER)}
    assert there == {f"{FOLDER}/README.md", *(f"{FOLDER}/{name}.md" for name in METHODS)}
    listed = methods_page()
    assert [name for name in METHODS if f"[`{name}`]({name}.md)" not in listed] == []


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_page_of_a_method_says_its_inputs_refusals_and_factors(name: str) -> None:
    method, page = METHODS[name], method_page(METHODS[name])
    assert page.startswith(f"# `{name}` {method.title_zh}\n")
    for item in (item for each in method.input_sets for item in each.inputs):
        assert f"| `{item.name}` | {item.unit} |" in page
    assert [
        each.code for each in (*FACTOR_REFUSALS, *INPUT_REFUSALS) if f"| `{each.code}` |" not in page
    ] == []
    assert [row.code for row in shipped_rows(method) if f"| `{row.code}` " not in page] == []
    assert f"Source 出处: {method.source}." in page


def test_every_input_is_of_a_method() -> None:
    used = {item.name for method in METHODS.values() for each in method.input_sets for item in each.inputs}
    assert used == set(KNOWN_INPUTS)


def test_an_example_is_made_up_only_where_no_shipped_table_has_one() -> None:
    assert {name for name, method in METHODS.items() if not shipped_rows(method)} == set(UNSHIPPED)


@pytest.mark.parametrize(
    ("name", "milligrams"),
    [
        ("saving_gas", Fraction("21.6219") * 10**6),
        ("saving_heat", Fraction("2.5") * 110 * 10**6),
        ("generation", Fraction(1_100_000) * 42 / 100 * 10**6),
        ("charging", Fraction("18.5") * Fraction("0.25") * 10**6),
        ("day_block", Fraction(98) * 10**6),
        ("deemed_monthly", 6 * Fraction("12.5") * 10**6),
        ("growth", Fraction(12 * 1_830) * 10**6),
        ("per_step", 7_250 * Fraction("0.02") * 10**3),
        ("project", Fraction(1_234_567)),
    ],
)
def test_the_worked_example_of_a_page_ends_in_the_exact_milligrams(name: str, milligrams: Fraction) -> None:
    assert method_page(METHODS[name]).endswith(f"\nStored 入账: {milligrams} mg.\n")


@pytest.mark.parametrize(
    ("name", "milligrams"),
    [
        ("emission_area", 60 * 50 * 10**6),
        ("emission_fuel_volume", Fraction("123.45") * Fraction("2.179") * 10**6),
        ("emission_vehicle_km", 20 * Fraction("0.16272") * 10**6),
    ],
)
def test_the_page_of_a_footprint_says_that_it_is_given_off_and_not_stored(
    name: str, milligrams: Fraction
) -> None:
    page = method_page(METHODS[name])
    assert page.endswith(f"\nGiven off 排放: {milligrams} mg.\n")
    assert "never credited" in page.splitlines()[2]


def test_every_state_the_database_checks_has_a_machine() -> None:
    drawn = {(machine.table, machine.column) for machine in MACHINES}
    lives = {(table, column) for table, column in checked_values() if column in LIVES}
    assert lives == drawn


@pytest.mark.parametrize("machine", MACHINES, ids=[machine.table for machine in MACHINES])
def test_every_state_is_drawn_and_every_way_joins_two_of_them(machine: Machine) -> None:
    states = set(states_of(machine))
    assert machine.begins in states
    assert {state for way in machine.ways for state in (way.before, way.after)} <= states
    section = states_page().partition(f"## {machine.title}\n")[2].partition("\n## ")[0]
    for state in states:
        assert re.search(rf"^ +(\[\*\] --> )?{state}\b|--> {state}\b", section, re.MULTILINE), state


def test_every_closed_word_of_the_database_stands_on_the_page() -> None:
    page = states_page()
    for (table, column), words in checked_values().items():
        assert f"`{table}.{column}`" in page
        assert all(re.search(rf"\b{word}\b", page) for word in words)
