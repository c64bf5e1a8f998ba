"""`make run`: everything the product needs, started in order, watched, and stopped in order.

PostgreSQL and Valkey (unless DATABASE_URL and REDIS_URL name others), migrations, the demo city when
the database is empty, then the web server. Ctrl-C or SIGTERM stops it all with exit status 0; a
process that dies on its own stops it with 1.
"""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from app.embedded import start_postgres, start_valkey
from app.settings import RUN_FILE, make_secrets

ROOT = Path(__file__).parents[1]
HIGHEST_PORT = 32767
READY_SECONDS = 60
STOP_SECONDS = 10


class CannotServe(RuntimeError):  # noqa: N818 - named for what is the matter
    """The product cannot start; the message says why and what to do."""


@dataclass(frozen=True)
class Child:
    """A process of the product."""

    name: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Ask it to end, then insist."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    options = argparse.ArgumentParser(prog="make run", description=__doc__)
    options.add_argument("--port", type=int, default=8080)
    options.add_argument("--data", type=Path, default=Path("var"))
    given = options.parse_args()
    stopped = _listen_for_stop()
    try:
        with _served(port=given.port, data=given.data.resolve()) as children:
            while not stopped():
                dead = next((child for child in children if child.process.poll() is not None), None)
                if dead is not None:
                    say(f"{dead.name} ended with status {dead.process.returncode}; stopping")
                    return 1
                time.sleep(0.2)
    except CannotServe as refusal:
        say(str(refusal))
        return 1
    return 0


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _served(*, port: int, data: Path) -> Iterator[list[Child]]:
    if not 1024 <= port <= HIGHEST_PORT:
        raise CannotServe(f"PORT must lie between 1024 and {HIGHEST_PORT}")
    data.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_only_one(data))
        _refuse_taken_port(port)
        environment = _environment(stack, port=port, data=data)
        say("Bringing the database up to date …")
        _run(environment, sys.executable, "-m", "alembic", "upgrade", "head")
        (data / RUN_FILE).write_text(
            json.dumps(
                {name: environment[name.upper()] for name in ("database_url", "redis_url", "public_url")}
            )
        )
        stack.callback((data / RUN_FILE).unlink, missing_ok=True)
        children = [_start(stack, name, command, environment, data) for name, command in _children(port)]
        _wait_until_ready(port, children)
        say(f"Tanpuhui serves on http://127.0.0.1:{port}   API: /docs   problems: /problems")
        yield children
        say("Stopping …")


def _children(port: int) -> list[tuple[str, list[str]]]:
    granian = Path(sys.executable).with_name("granian")
    return [
        (
            "web",
            [
                *(str(granian), "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
                *("--workers", "2", "--blocking-threads", "4", "--backpressure", "64"),
                *("--workers-kill-timeout", "5", "--no-ws", "--log-level", "warning", "wsgi:app"),
            ],
        ),
    ]


def _environment(stack: contextlib.ExitStack, *, port: int, data: Path) -> dict[str, str]:
    secrets = {name.upper(): value for name, value in make_secrets(data).items()}
    environment = {
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        **secrets,
        **os.environ,
        "TANPUHUI_DATA": str(data),
        "PYTHONPATH": str(ROOT),
    }
    if "DATABASE_URL" not in environment:
        say("Starting PostgreSQL …")
        postgres = start_postgres(data)
        stack.callback(postgres.stop)
        environment["DATABASE_URL"] = postgres.url
    if "REDIS_URL" not in environment:
        valkey = start_valkey(data)
        stack.callback(valkey.stop)
        environment["REDIS_URL"] = valkey.url
    return environment


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[IO[str]]:
    with (data / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotServe(
                f"Tanpuhui already runs on {data.name}/; stop it first or choose another DATA"
            ) from error
        yield lock


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CannotServe(f"port {port} is taken; try `make run PORT={port + 1}`") from error


def _run(environment: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode != 0:
        raise CannotServe(f"`{' '.join(command[1:])}` failed")


def _start(
    stack: contextlib.ExitStack, name: str, command: list[str], environment: dict[str, str], data: Path
) -> Child:
    logs = data / "logs"
    logs.mkdir(exist_ok=True)
    log = stack.enter_context((logs / f"{name}.log").open("ab"))
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # Ctrl-C reaches this process alone, which stops its children in order
    )
    child = Child(name, process)
    stack.callback(child.stop)
    return child


def _wait_until_ready(port: int, children: list[Child]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and all(child.process.poll() is None for child in children):
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise CannotServe("the web server did not become ready; see logs/ in the data folder")


def _listen_for_stop() -> Callable[[], bool]:
    asked: list[int] = []

    def note(number: int, _frame: Any) -> None:
        asked.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    return lambda: bool(asked)


if __name__ == "__main__":
    sys.exit(main())
