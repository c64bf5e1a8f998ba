"""The set-up keeps its promises: pinned wheels, one direction of imports, every target explained."""

import configparser
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
BENCHES = {"bench", "bench-growth", "bench-page"}
TARGETS = BENCHES | {"help", "run", "story", "test", "check", "kills", "reconcile", "openapi"}
LAYERS = ["app", "merchants", "rewards | carbon", "ledger", "kernel"]
NOT_PRODUCT = {"bench", "migrations", "tests"}
"""Folders of Python that stand beside the layers, not in them."""


def pins(name: str) -> dict[str, set[str]]:
    """Package and version, each with its hashes, of a requirements file."""
    found: dict[str, set[str]] = {}
    current: set[str] = set()
    for line in (ROOT / name).read_text().splitlines():
        if pinned := re.match(r"([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", line):
            current = found.setdefault(f"{pinned[1]}=={pinned[2]}", set())
        elif hashed := re.match(r"    --hash=sha256:([0-9a-f]{64})( \\)?$", line):
            current.add(hashed[1])
        else:
            assert re.match(r" +# ", line), f"{name}: {line}"
    return found


def layers() -> list[str]:
    contract = configparser.ConfigParser()
    contract.read(ROOT / ".importlinter")
    return contract["importlinter:contract:layers"]["layers"].split("\n")[1:]


def test_every_requirement_is_pinned_and_hashed_and_names_no_host() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert all(pins(name).values()), name
        assert "://" not in (ROOT / name).read_text(), name


def test_the_tools_are_added_to_the_products_own_versions() -> None:
    product, development = pins("requirements.txt"), pins("requirements-dev.txt")
    assert {name: development.get(name) for name in product} == product


def test_every_direct_requirement_is_among_the_pinned() -> None:
    pinned = {name.split("==")[0] for name in pins("requirements-dev.txt")}
    for file in ("requirements.in", "requirements-dev.in"):
        for line in (ROOT / file).read_text().splitlines():
            if not line.startswith("-r "):
                assert re.split(r"[\[=]", line)[0].lower() in pinned, line


def test_every_folder_of_the_product_has_its_layer() -> None:
    assert layers() == LAYERS
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - NOT_PRODUCT == set(re.findall(r"\w+", " ".join(LAYERS)))


def test_importing_a_room_starts_no_application() -> None:
    assert (ROOT / "app" / "__init__.py").read_text() == ""


def test_make_help_explains_every_target_in_one_line() -> None:
    told = subprocess.run(
        ["/usr/bin/env", "make", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = dict(line.split(maxsplit=1) for line in told.stdout.splitlines())
    assert set(lines) >= TARGETS
    assert all(len(text) < 100 for text in lines.values())


def test_the_gate_runs_make_check_and_stops_at_the_first_failure() -> None:
    gate = ROOT / ".ci" / "run"
    assert os.access(gate, os.X_OK)
    assert "set -euo pipefail" in gate.read_text()
    assert gate.read_text().splitlines()[-1] == "make check"


def test_this_python_is_one_the_product_promises() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert sys.version_info >= (3, 11)
