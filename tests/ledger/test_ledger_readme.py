"""The ledger's README cites tests that exist, all invariants, and the whole chart."""

import re

from ledger.chart import MOVES
from ledger.reconciliation import CHECKS
from tests.conftest import ROOT

README = (ROOT / "ledger" / "README.md").read_text(encoding="utf-8")


def test_every_test_that_the_ledgers_readme_cites_exists() -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    cited = set(re.findall(r"`(test_\w+)`", README))
    assert len(cited) > 10
    assert {name for name in cited if f"def {name}(" not in tests} == set()


def test_the_readme_numbers_all_invariants_and_every_check_is_one_of_them() -> None:
    numbered = re.findall(r"^\| \*\*(L\d+)\*\*", README, flags=re.MULTILINE)
    assert numbered == [f"L{number}" for number in range(1, 15)]
    assert {check.name for check in CHECKS} <= set(numbered)


def test_the_picture_shows_every_code_and_kind_of_the_chart() -> None:
    picture = README.split("```")[1]
    words = {move.code.value for move in MOVES} | {
        kind.value for move in MOVES for kind in (move.owner, move.contra)
    }
    assert {word for word in words if word not in picture and word.replace("_", " ") not in picture} == set()
