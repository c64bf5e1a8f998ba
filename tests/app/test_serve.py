"""The supervisor of `make run` refuses clearly, ends only what a killed run left, and starts a city over."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app import embedded, parts, serve
from app.settings import write_private

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data() -> Iterator[Path]:
    """A DATA folder with a space in its path."""
    folder = Path(tempfile.mkdtemp(prefix="tanpuhui serve "))
    folder.chmod(0o755)  # as a checkout is
    yield folder
    shutil.rmtree(folder)


def run(data: Path, port: int, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "app.serve", "--port", str(port), "--data", str(data)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen(["/bin/sleep", "60"], start_new_session=True)


def test_a_second_start_on_the_same_data_says_where_the_first_runs(data: Path) -> None:
    write_private(data / "run.json", {"public_url": "http://127.0.0.1:8080"})
    with serve._only_one(data):
        refused = run(data, serve._free_port(21000))
    assert refused.returncode == 1
    assert f"already runs on {data} at http://127.0.0.1:8080" in refused.stdout


def test_a_taken_port_is_named_before_anything_starts(data: Path) -> None:
    port = serve._free_port(22000)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        refused = run(data, port)
    assert refused.returncode == 1
    assert f"port {port} is taken" in refused.stdout
    assert not (data / "postgres").exists()


@pytest.mark.parametrize("port", [80, 32768, 70000])
def test_a_port_out_of_range_is_refused(port: int, data: Path) -> None:
    refused = run(data, port)
    assert (refused.returncode, refused.stderr) == (1, "")
    assert "PORT must lie between" in refused.stdout


def test_production_is_not_served_by_the_development_supervisor(data: Path) -> None:
    refused = run(data, 8080, ENVIRONMENT="production")
    assert refused.returncode == 1
    assert "development" in refused.stdout


def test_what_a_killed_run_left_is_ended_and_a_stranger_with_its_number_is_not(data: Path) -> None:
    with sleeper() as left, sleeper() as stranger:
        write_private(
            data / parts.CHILDREN_FILE,
            {
                "web": {"pid": left.pid, "born": parts.born(left.pid)},
                "worker": {"pid": stranger.pid, "born": "1"},
            },
        )
        assert list(parts.end_leftovers(data)) == ["Ending web, left by a run that was killed …"]
        assert left.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.kill()
    assert not (data / parts.CHILDREN_FILE).exists()


def child(data: Path, script: str) -> parts.Child:
    """A part whose process runs `script`."""
    file = data / "part.py"
    file.write_text(script)
    return parts.Child("web", ["part"], {"PYTHONPATH": str(data)}, data / "logs" / "web.log")


def test_a_part_that_dies_before_it_served_is_named_with_the_end_of_its_log(data: Path) -> None:
    web = child(data, "raise SystemExit('the reason')")
    web.start()
    assert web.process is not None
    web.process.wait()
    with pytest.raises(parts.CannotServe, match=r"web ended with status 1(.|\n)*the reason"):
        serve._refuse_dead([web])


def kill(web: parts.Child) -> None:
    assert web.process is not None
    web.process.kill()
    web.process.wait()


def test_a_part_that_dies_is_started_again_until_it_keeps_dying(data: Path) -> None:
    web = child(data, "import time; time.sleep(60)")
    web.start()
    for _ in range(parts.MOST_DEATHS):
        kill(web)
        assert web.revive().startswith("web ended with status -9: started again")
        assert web.status() is None
    kill(web)
    with pytest.raises(parts.CannotServe, match="web ended with status -9"):
        web.revive()


def test_stopping_a_part_ends_the_processes_it_made(data: Path) -> None:
    web = child(
        data,
        "import os, pathlib, subprocess, time\n"
        "made = subprocess.Popen(['/bin/sleep', '60'])\n"
        "folder = pathlib.Path(os.environ['PYTHONPATH'])\n"
        "(folder / 'draft').write_text(str(made.pid)); (folder / 'draft').rename(folder / 'made')\n"
        "time.sleep(60)\n",
    )
    web.start()
    deadline = time.monotonic() + 20
    while not (data / "made").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    grandchild = int((data / "made").read_text())
    web.stop()
    while parts.born(grandchild):  # killed at once, gone a moment later
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_half_made_demo_city_is_thrown_away(data: Path) -> None:
    with contextlib.ExitStack() as stack:
        url = serve._start_database(stack, data).url.replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE half (made int)")
        (data / serve.SEEDING_FILE).touch()
        serve._start_database(stack, data)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    assert not (data / serve.SEEDING_FILE).exists()
    assert embedded._postmaster(data / "postgres") is None


def test_a_server_that_is_killed_is_seen_and_comes_back_under_its_address(data: Path) -> None:
    with contextlib.ExitStack() as stack:
        server = serve._start_database(stack, data)
        pid = embedded._postmaster(server.folder)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while server.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert embedded.start_postgres(data).url == server.url
        assert server.is_alive()
