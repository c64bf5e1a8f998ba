"""The reference pages are what the code says today, and leave nothing out."""

import re
from dataclasses import fields

import pytest

from app.reference_pages import PAGES
from app.reference_pages.refusals import all_refusals, places, refusals_page
from app.reference_pages.settings import settings_page
from app.reference_pages.states import LIVES, MACHINES, Machine, checked_values, states_of, states_page
from app.settings import Settings
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
