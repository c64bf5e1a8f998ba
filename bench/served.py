"""A real server of the product, started as `make run` starts it, and clients that keep a connection each."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

from app.parts import PARTS
from app.settings import Settings
from kernel.errors import BrokenInvariant

ROOT = Path(__file__).parents[1]
PORTS = range(21_000, 32_000)
READY_SECONDS = 60
STOP_SECONDS = 10
ANSWER_SECONDS = 30
HANDED_ON = ("environment", "database_url", "redis_url", "jwt_secret", "key_ring_secret", "card_hash_secret")


@contextlib.contextmanager
def served(settings: Settings, folder: Path) -> Iterator["Clients"]:
    """The product behind granian, with the workers and threads of `settings`, stopped at the end."""
    port = _free_port()
    (part,) = (part for part in PARTS if part.name == "web")
    command = part.command(settings, port, 0)
    given = {name.upper(): str(getattr(settings, name)) for name in HANDED_ON}
    log = folder / "web.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *command[:-1], "--factory", "bench.wsgi:build"],
            cwd=ROOT,
            env={**os.environ, **given, "LOG_LEVEL": "error", "TANPUHUI_DATA": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,  # Ctrl-C is for us, who stop it in order
        )
    try:
        _wait_until_ready(port, process, log)
        with contextlib.closing(Clients(port)) as clients:
            yield clients
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Clients:
    """As many clients as threads ask: each thread has a connection of its own and keeps it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()
        self._all: list[HTTPConnection] = []
        self.reopened = 0

    def post(self, path: str, body: dict[str, Any], *, token: str, key: str | None = None) -> Any:
        """Send one request; returns the JSON of a 200 or 201, anything else ends the run."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            status, text = self._ask(path, json.dumps(body), headers)
        except (ConnectionError, RemoteDisconnected):
            # A server may close a kept connection at any time; the key makes sending again harmless.
            self._connection().close()
            self.reopened += 1
            status, text = self._ask(path, json.dumps(body), headers)
        if status not in {200, 201}:
            raise BrokenInvariant(f"{path} answered {status}: {text[:500]!r}")
        return json.loads(text)

    def _ask(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, bytes]:
        connection = self._connection()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()

    def _connection(self) -> HTTPConnection:
        mine: HTTPConnection | None = getattr(self._own, "connection", None)
        if mine is None:
            mine = self._own.connection = HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
            self._all.append(mine)
        return mine


def _free_port() -> int:
    """A port that nothing listens on, below those that the system hands out."""
    first = PORTS.start + os.getpid() % 5_000
    for port in range(first, PORTS.stop):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokenInvariant("no port is free")


def _wait_until_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.05)
    raise BrokenInvariant(f"the server did not come up: {log.read_text(errors='replace')[-2000:]}")
