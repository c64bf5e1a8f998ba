"""`make run`, `make story` and `make reconcile` as a newcomer types them, on a city made from nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.journeys.conftest import Running

pytestmark = pytest.mark.xdist_group("make run")


def test_the_story_holds_on_a_fresh_city_and_once_more(running: Running) -> None:
    for _ in range(2):
        told = running.command("-m", "app.story")
        assert told.returncode == 0, told.stdout + told.stderr
        assert "The story holds." in told.stdout
        assert "✗" not in told.stdout
    pictures = {path.name for path in (running.data / "story").iterdir()}
    assert pictures == {"voucher.svg", "voucher.png"}


def test_the_ledger_is_sound_after_it(running: Running) -> None:
    reconciled = running.command("-m", "flask", "--app", "wsgi", "reconcile")
    assert reconciled.returncode == 0, reconciled.stdout
    assert "BROKEN" not in reconciled.stdout


def test_addresses_logins_and_keys_are_printed_and_kept_for_their_owner_only(running: Running) -> None:
    file = running.data / "demo.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    assert file.stat().st_mode & 0o077 == 0
    assert told["urls"]["product"] in running.said
    assert told["operators"]["editor"]["password"] in running.said


def test_a_story_without_a_server_says_what_to_do(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "app.story"],
        cwd=ROOT,
        env={**os.environ, "TANPUHUI_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 1
    assert "make run" in told.stdout
