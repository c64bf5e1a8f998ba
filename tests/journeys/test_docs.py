"""The examples of the guides run as they stand, and print what the guides say they print."""

import contextlib
import io
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.journeys.conftest import Running

pytestmark = pytest.mark.xdist_group("make run")
GUIDES = ("docs/start.md", "docs/partners.md")
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_says_what_happens(
    guide: str, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("var").symlink_to(running.data)
    blocks = BLOCK.findall((ROOT / guide).read_text(encoding="utf-8"))
    assert len(blocks) >= 4
    names: dict[str, object] = {}
    printed = ""
    for language, text in blocks:
        if language == "text":
            assert printed == text
            printed = ""
            continue
        assert not printed, f"the guide does not show {printed!r}"
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, guide, "exec"), names)  # noqa: S102 - the guide's own text, as a reader runs it
        printed = out.getvalue()
    for client in names.values():
        if hasattr(client, "close"):
            client.close()


def test_every_file_and_command_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:docs|ledger)/[\w./-]*|[A-Z]+(?:\.md)?)`", text):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= set(targets)
