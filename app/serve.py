"""`make run`: everything the product needs, started in order, watched, and stopped in order.

PostgreSQL and Valkey (unless DATABASE_URL and REDIS_URL name others), migrations, the demo city when
the database is empty, then the rows of PARTS. Ctrl-C or SIGTERM stops it all with exit status 0. What
dies on its own is started again; a part that keeps dying stops it all with 1. What a killed run left
behind is ended by the next one.
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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.demo.guide import guide
from app.embedded import EmbeddedServerFailed, PostgresServer, ValkeyServer, start_postgres, start_valkey
from app.parts import CHILDREN_FILE, PARTS, ROOT, CannotServe, Child, end_leftovers, remember
from app.settings import (
    DEMO_FILE,
    RUN_FILE,
    Settings,
    SettingsWrong,
    make_secrets,
    read_settings,
    write_private,
)

SEEDING_FILE = "seeding"
"""Stands in DATA while the demo city is being made: a half-made city is thrown away."""
LOWEST_PORT, HIGHEST_PORT = 1024, 32767
READY_SECONDS = 60
_SEED = (
    "from app.demo.seed import seed_demo_city; from app.settings import read_settings;"
    " seed_demo_city(read_settings())"
)


class StopAsked(Exception):  # noqa: N818 - nothing is wrong
    """Somebody pressed Ctrl-C or sent SIGTERM."""


@dataclass
class Run:
    """What one run started: its parts, and the servers that are its own."""

    data: Path
    children: list[Child] = field(default_factory=list)
    postgres: PostgresServer | None = None
    valkey: ValkeyServer | None = None


class StopSignals:
    """Notes Ctrl-C and SIGTERM; what runs asks between its steps, so nothing is torn in the middle."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def check(self) -> None:
        """Raise StopAsked once a stop was asked for."""
        if self.asked:
            raise StopAsked

    def _note(self, _number: int, _frame: Any) -> None:
        self.asked = True


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    options = argparse.ArgumentParser(prog="make run", description=__doc__)
    options.add_argument("--port", type=int, default=8080)
    options.add_argument("--data", type=Path, default=Path("var"))
    given = options.parse_args()
    stop = StopSignals()
    try:
        with contextlib.ExitStack() as stack:
            run = _bring_up(stack, stop, port=given.port, data=given.data.resolve())
            _watch(stack, stop, run)
    except StopAsked:
        say("Stopped.")
        return 0
    except (CannotServe, EmbeddedServerFailed, SettingsWrong, OSError) as refusal:
        say(str(refusal))
        return 0 if stop.asked else 1
    return 0


def say(text: str) -> None:
    """Tell the person at the terminal, if it is still there."""
    with contextlib.suppress(OSError):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _bring_up(stack: contextlib.ExitStack, stop: StopSignals, *, port: int, data: Path) -> Run:
    if not LOWEST_PORT <= port <= HIGHEST_PORT:
        raise CannotServe(f"PORT must lie between {LOWEST_PORT} and {HIGHEST_PORT}")
    if os.environ.get("ENVIRONMENT") == "production":
        raise CannotServe("`make run` is for development and demos: it makes secrets, a demo city and a stub")
    data.mkdir(parents=True, exist_ok=True)
    stack.enter_context(_only_one(data))
    for line in end_leftovers(data):
        say(line)
    _refuse_taken_port(port)
    stub_port = _free_port(20000 + (port + 5000) % 10000)  # never the product's own
    run = Run(data)
    environment = _environment(stack, run, port=port, stub_port=stub_port)
    stop.check()
    say("Bringing the database up to date …")
    _run(environment, stop, "-m", "alembic", "upgrade", "head")
    _seed_when_empty(environment, stop, data)
    names = ("database_url", "redis_url", "public_url", "wechat_base_url", "webhook_allow_loopback")
    write_private(
        data / RUN_FILE, {name: environment[name.upper()] for name in names if name.upper() in environment}
    )
    stack.callback((data / RUN_FILE).unlink, missing_ok=True)
    settings = read_settings(environment)
    _note_addresses(settings)
    stack.callback((data / CHILDREN_FILE).unlink, missing_ok=True)
    for part in PARTS:
        log = data / "logs" / f"{part.name}.log"
        child = Child(part.name, part.command(settings, port, stub_port), environment, log)
        stack.callback(child.stop)
        child.start()
        run.children.append(child)
        remember(run.children, data)
    _wait_until_ready(port, [stub_port], run.children, stop)
    say(_welcome(settings.public_url, data))
    stack.callback(say, "Stopping …")
    return run


def _watch(stack: contextlib.ExitStack, stop: StopSignals, run: Run) -> None:
    """Until a stop is asked for; what dies on its own is started again."""
    while True:
        stop.check()
        for child in run.children:
            if child.status() is not None:
                say(child.revive())
                remember(run.children, run.data)
        if run.postgres is not None and not run.postgres.is_alive():
            say("PostgreSQL ended on its own: starting it again …")
            run.postgres = start_postgres(run.data)
        if run.valkey is not None and not run.valkey.is_alive():
            say("Valkey ended on its own: starting it again …")
            run.valkey = start_valkey(run.data)
            stack.callback(run.valkey.stop)
        time.sleep(0.1)


def _refuse_dead(children: list[Child]) -> None:
    for child in children:
        if child.status() is not None:
            raise CannotServe(child.obituary(child.status()))


def _environment(stack: contextlib.ExitStack, run: Run, *, port: int, stub_port: int) -> dict[str, str]:
    data = run.data
    given = {name: text for name, text in os.environ.items() if text}
    made = {name.upper(): value for name, value in make_secrets(data).items()}
    made["PUBLIC_URL"] = f"http://127.0.0.1:{port}"
    made["WECHAT_BASE_URL"] = f"http://127.0.0.1:{stub_port}"
    made["WEBHOOK_ALLOW_LOOPBACK"] = "yes"
    ours = {"TANPUHUI_DATA": str(data), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    environment = {**made, **given, **ours}
    if "DATABASE_URL" not in environment:
        run.postgres = _start_database(stack, data)
        environment["DATABASE_URL"] = run.postgres.url
    elif (data / SEEDING_FILE).exists():
        raise CannotServe(
            f"the demo city was half made when a run was killed: empty the database of DATABASE_URL, remove"
            f" {data / SEEDING_FILE}, and start again"
        )
    if "REDIS_URL" not in environment:
        run.valkey = start_valkey(data)
        stack.callback(run.valkey.stop)
        environment["REDIS_URL"] = run.valkey.url
    return environment


def _start_database(stack: contextlib.ExitStack, data: Path) -> PostgresServer:
    say("Starting PostgreSQL …")
    server = start_postgres(data)
    stack.callback(server.stop)
    if (data / SEEDING_FILE).exists():
        say("A run was killed while it made the demo city: beginning afresh …")
        with _connected(server.url.replace("/tanpuhui?", "/postgres?")) as connection:
            connection.execute("DROP DATABASE tanpuhui WITH (FORCE)")
        start_postgres(data)
        (data / SEEDING_FILE).unlink()
    return server


def _connected(url: str) -> Any:
    import psycopg  # noqa: PLC0415 - a refusal to start need not pay for the import

    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)


def _seed_when_empty(environment: dict[str, str], stop: StopSignals, data: Path) -> None:
    with _connected(environment["DATABASE_URL"]) as connection:
        if connection.execute("SELECT EXISTS (SELECT FROM region)").fetchone() == (True,):
            return
    say("Making the demo city (the first time only) …")
    (data / SEEDING_FILE).touch()
    _run(environment, stop, "-c", _SEED)
    (data / SEEDING_FILE).unlink()


def _note_addresses(settings: Settings) -> None:
    """Put the addresses of this run in front of the demo file; ports differ from run to run."""
    demo = settings.tanpuhui_data / DEMO_FILE
    if not demo.exists():
        return
    noted = json.loads(demo.read_text(encoding="utf-8"))
    url = settings.public_url
    addresses = {
        "product": url,
        "api_docs": f"{url}/docs",
        "problems": f"{url}/problems",
        "factors": f"{url}/factors",
        "rewards": f"{url}/rewards",
        "rules": f"{url}/rules",
        "certificate": f"{url}/certificates/{noted['certificate']}",
        "wechat_stub": settings.wechat_base_url,
    }
    write_private(demo, {**noted, "urls": addresses})


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "serve.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = data / RUN_FILE
            where = f" at {json.loads(running.read_text())['public_url']}" if running.exists() else ""
            raise CannotServe(
                f"Tanpuhui already runs on {data}{where}."
                " Stop it first, or run another beside it: `make run PORT=… DATA=…`"
            ) from error
        yield


def _refuse_taken_port(port: int) -> None:
    if not _is_free(port):
        raise CannotServe(
            f"port {port} is taken; choose another, such as `make run PORT={_free_port(port + 1)}`"
        )


def _free_port(first: int) -> int:
    for port in range(first, HIGHEST_PORT + 1):
        if _is_free(port):
            return port
    raise CannotServe(f"no port between {first} and {HIGHEST_PORT} is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _run(environment: dict[str, str], stop: StopSignals, *arguments: str) -> None:
    """Run Python to its end, or until a stop is asked for."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while process.poll() is None:
            stop.check()
            time.sleep(0.05)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        raise CannotServe(f"`python {' '.join(arguments)}` failed with status {process.returncode}")


def _wait_until_ready(port: int, beside: list[int], children: list[Child], stop: StopSignals) -> None:
    """Until the product says that it is ready and every port of `beside` is listened on."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        stop.check()
        _refuse_dead(children)
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer,
        ):
            if answer.status == 200 and not any(_is_free(other) for other in beside):
                return
        time.sleep(0.1)
    raise CannotServe(f"not ready within {READY_SECONDS} s: see {children[-1].log}")


def _welcome(url: str, data: Path) -> str:
    """What a newcomer needs: where it is, and the demo's addresses, logins and keys."""
    lines = [f"Tanpuhui serves on {url} 碳普惠已启动"]
    demo = data / DEMO_FILE
    if demo.exists():
        lines += [*guide(json.loads(demo.read_text(encoding="utf-8"))), "", f"  All of it, and ids: {demo}"]
    lines += [
        f"  Data and logs: {data}",
        "  In a second shell: make story, make reconcile",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
