"""The product as `make run` starts it, once for all tests that look at it from outside."""

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


@pytest.fixture(scope="session")
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
