"""The examples of the guides run as they stand, and print what the guides say they print."""

import contextlib
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from flask import Flask

from app.commands import add_commands
from app.demo_commands import add_demo_commands
from app.openapi_document import current_product
from carbon.factors.bundle_files import VALID_FROM_KINDS, VARIANTS
from carbon.factors.bundle_lines import EXAMPLE_FIELDS, ROW_FIELDS, SOURCE_FIELDS, TABLE_FIELDS
from carbon.factors.example_table import EXAMPLE_CSV, EXAMPLE_YAML
from carbon.methodologies.registry import METHODS
from kernel.publications.shapes import SHAPES
from tests.conftest import ROOT
from tests.journeys.conftest import Running

pytestmark = pytest.mark.xdist_group("make run")
GUIDES = (
    *("docs/start.md", "docs/partners.md", "docs/factor-tables.md"),
    *("docs/donations.md", "docs/households.md", "docs/rewards.md", "docs/tills.md", "docs/webhooks.md"),
    "docs/expiry.md",
    "docs/settlement.md",
)
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


def test_the_guide_of_operations_names_every_command_and_metric() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    app = Flask("commands")
    product = SimpleNamespace(flask=app, settings=current_product().settings)
    add_commands(product)  # type: ignore[arg-type]  # the commands hang on a flask and read settings
    add_demo_commands(product)  # type: ignore[arg-type]  # as above
    for name, command in app.cli.commands.items():
        inner = getattr(command, "commands", {"": None})
        assert [each for each in inner if f"`flask --app wsgi {name} {each}".strip() not in text] == []
    metrics = current_product().flask.test_client().get("/metrics").get_data(as_text=True)
    for metric in re.findall(r"^# HELP (\w+?)(?:_total|_created)? ", metrics, re.MULTILINE):
        assert metric in text


def test_the_guide_of_factor_tables_names_every_field_kind_and_example() -> None:
    text = (ROOT / "docs/factor-tables.md").read_text(encoding="utf-8")
    table = {f"table_{name}" for name in TABLE_FIELDS}
    example = {f"example_{name}" for name in EXAMPLE_FIELDS}
    kinds = {*SHAPES, *(part for shape in SHAPES.values() for part in shape.parts)}
    named = {*table, *ROW_FIELDS, *SOURCE_FIELDS, *example, *METHODS, *VARIANTS, *VALID_FROM_KINDS, *kinds}
    assert [name for name in sorted(named) if f"`{name}`" not in text] == []
    assert EXAMPLE_YAML in text
    assert EXAMPLE_CSV in text


def test_every_file_and_command_that_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:docs|ledger)/[\w./-]*|[A-Z]+(?:\.md)?)`", text):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE)) <= set(targets)
