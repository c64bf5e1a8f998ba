"""A real server of the product, started as `make run` starts it, and clients that keep a connection each."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any

from app.parts import PARTS, Child
from app.settings import Settings
from bench.processes import environment, standing, wait_until
from kernel.errors import BrokenInvariant

PORTS = range(21_000, 32_000)
ANSWER_SECONDS = 30
TRIES_MOST = 10


class NotNow(BrokenInvariant):
    """A request was put off (503); `seconds` says for how long."""

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(f"{path} is busy for {seconds} s")
        self.seconds = seconds


@contextlib.contextmanager
def served(settings: Settings, folder: Path) -> Iterator["Clients"]:
    """Clients of the product behind granian, with the workers and threads of `settings`."""
    with serving(settings, folder) as (_, clients):
        yield clients


@contextlib.contextmanager
def serving(settings: Settings, folder: Path) -> Iterator[tuple[Child, "Clients"]]:
    """As `served`, with the server's first process; stopped at the end."""
    port = free_port()
    (part,) = (part for part in PARTS if part.name == "web")
    command = [*part.command(settings, port, 0)[:-1], "--factory", "bench.wsgi:build"]
    with standing("web", command, environment(settings, folder), folder) as child:
        wait_until(lambda: _is_ready(port), child)
        with contextlib.closing(Clients(port)) as clients:
            yield child, clients


class Clients:
    """As many clients as threads ask: each thread has a connection of its own and keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._own = threading.local()
        self._all: list[HTTPConnection] = []
        self.reopened = 0

    def post(self, path: str, body: dict[str, Any], *, token: str, key: str | None = None) -> Any:
        """Send one request; returns the JSON of a 200 or 201.

        Raises NotNow for a 503, and BrokenInvariant, which ends the run, for anything else.
        """
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            status, text, wait = self._ask(path, json.dumps(body), headers)
        except (ConnectionError, RemoteDisconnected):
            # A server may close a kept connection at any time; the key makes sending again harmless.
            self._connection().close()
            self.reopened += 1
            status, text, wait = self._ask(path, json.dumps(body), headers)
        return _told(path, status, text, wait)

    def post_once(self, path: str, body: dict[str, Any], *, token: str, key: str) -> Any:
        """As `post`, on a connection of its own, as another phone has it."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)) as own:
            headers |= {"Idempotency-Key": key, "Connection": "close"}
            own.request("POST", path, json.dumps(body), headers)
            answer = own.getresponse()
            return _told(path, answer.status, answer.read(), answer.getheader("Retry-After"))

    def _ask(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, bytes, str | None]:
        connection = self._connection()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.getheader("Retry-After")

    def close(self) -> None:
        """Close the connections of all threads."""
        for connection in self._all:
            connection.close()

    def _connection(self) -> HTTPConnection:
        mine: HTTPConnection | None = getattr(self._own, "connection", None)
        if mine is None:
            mine = self._own.connection = HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
            self._all.append(mine)
        return mine


def _told(path: str, status: int, text: bytes, wait: str | None) -> Any:
    if status == 503 and wait is not None:
        raise NotNow(path, float(wait))
    if status not in {200, 201}:
        raise BrokenInvariant(f"{path} answered {status}: {text[:500]!r}")
    return json.loads(text)


def asked_again(
    ask: Callable[[], object],
    *,
    tries: int = TRIES_MOST,
    put_off: Callable[[float], object] = lambda _seconds: None,
) -> None:
    """Ask until there is an answer; who is put off comes again when told to, and waits all that time."""
    for _ in range(tries):
        try:
            ask()
        except NotNow as later:
            put_off(later.seconds)
            time.sleep(later.seconds)
        else:
            return
    raise BrokenInvariant(f"a request was put off {tries} times")


def free_port() -> int:
    """A port that nothing listens on, below those that the system hands out."""
    first = PORTS.start + os.getpid() % 5_000
    for port in range(first, PORTS.stop):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise BrokenInvariant("no port is free")


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.suppress(OSError), contextlib.closing(connection):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False
