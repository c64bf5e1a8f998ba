"""The processes of the product: started, started again when one dies, and ended, its own children too."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.settings import Settings, write_private

ROOT = Path(__file__).parents[1]
CHILDREN_FILE = "children.json"
STOP_SECONDS = 10
IN_THE_HOUSE = 256
"""Requests that a web process takes in at a time; `web_threads` of them are worked on."""
MOST_DEATHS, DEATHS_COUNT_FOR_S = 3, 60
"""What dies a fourth time within a minute will die again: starting it once more would only hide why."""


class CannotServe(RuntimeError):  # noqa: N818 - named for what is the matter
    """The product cannot start or go on; the message says why and what to do."""


@dataclass(frozen=True)
class Part:
    """A process that the product needs."""

    name: str
    command: Callable[[Settings, int, int], list[str]]
    """From the settings, the product's port and the port of the WeChat stub."""


PARTS = (
    Part(
        "wechat-stub",
        lambda _settings, _port, stub: ["app.identity.wechat_stub", "--port", str(stub)],
    ),
    Part("worker", lambda _settings, _port, _stub: ["flask", "--app", "wsgi", "worker"]),
    Part(
        "web",
        lambda settings, port, _stub: [
            *("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            # Most of them wait for their turn: a crowd must not keep others out of the door.
            *("--workers", str(settings.web_workers), "--blocking-threads", str(IN_THE_HOUSE)),
            *("--backpressure", str(IN_THE_HOUSE), "--workers-kill-timeout", "5"),
            *("--no-ws", "--log-level", "warning", "wsgi:app"),
        ],
    ),
)
"""Started from top to bottom, stopped from bottom to top, all before Valkey and PostgreSQL stop."""


@dataclass
class Child:
    """A part that runs; its output goes to `log`."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches the supervisor alone."""
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self.process is None else self.process.poll()

    def stop(self) -> None:
        """Ask it to end, insist, and sweep up processes of its own that outlived it."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def revive(self) -> str:
        """Start it again after it died; says so. Raises CannotServe when it died too often."""
        status, now = self.status(), time.monotonic()
        self.stop()
        self.deaths = [at for at in self.deaths if now - at < DEATHS_COUNT_FOR_S] + [now]
        if len(self.deaths) > MOST_DEATHS:
            raise CannotServe(self.obituary(status))
        self.start()
        return f"{self.name} ended with status {status}: started again, see {self.log}"

    def obituary(self, status: int | None) -> str:
        """How it ended, with the last lines of its log."""
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        return f"{self.name} ended with status {status}. {self.log} ends so:\n{tail}"


def remember(children: list[Child], data: Path) -> None:
    """Keep who was started, so that a run after `kill -9` can end them."""
    pids = {child.name: child.process.pid for child in children if child.process is not None}
    write_private(data / CHILDREN_FILE, {name: {"pid": pid, "born": born(pid)} for name, pid in pids.items()})


def end_leftovers(data: Path) -> Iterator[str]:
    """End what a killed run left: only processes it noted, known again by pid and time of birth."""
    file = data / CHILDREN_FILE
    left = json.loads(file.read_text()) if file.exists() else {}
    for name, noted in reversed(left.items()):
        pid = int(noted["pid"])
        if not noted["born"] or born(pid) != noted["born"]:
            continue
        yield f"Ending {name}, left by a run that was killed …"
        deadline = time.monotonic() + STOP_SECONDS
        os.kill(pid, signal.SIGTERM)
        while born(pid) == noted["born"] and time.monotonic() < deadline:
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    file.unlink(missing_ok=True)


def born(pid: int) -> str:
    """When the process began, in ticks since the machine did; empty when there is none (or a zombie)."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]
