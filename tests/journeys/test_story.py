"""`make run`, `make story` and `make reconcile` as a newcomer types them, on a city made from nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import serve
from tests.conftest import ROOT

SERVED = "Ctrl-C stops it."


@dataclass(frozen=True)
class Running:
    """A product with its demo city."""

    data: Path
    process: subprocess.Popen[str]
    said: str

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in a second shell."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "TANPUHUI_DATA": str(self.data)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`make run` until it says that it serves; stopped as Ctrl-C stops it."""
    data = Path(tempfile.mkdtemp(prefix="tanpuhui story "))
    data.chmod(0o755)  # as a checkout is
    port = str(serve._free_port(23000 + os.getpid() % 1000))
    arguments = [sys.executable, "-m", "app.serve", "--port", port, "--data", str(data)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = ""
        while SERVED not in said:
            line = process.stdout.readline()
            assert line, f"it ended before it served:\n{said}"
            said += line
        yield Running(data, process, said)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 0, rest
    assert rest.endswith("Stopped.\n")
    shutil.rmtree(data)


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
