"""The supervisor of `make run` refuses clearly, ends only what a killed run left, and starts a city over."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app import embedded, serve
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
            data / serve.CHILDREN_FILE,
            {
                "web": {"pid": left.pid, "born": serve._born(left.pid)},
                "worker": {"pid": stranger.pid, "born": "1"},
            },
        )
        serve._end_leftovers(data)
        assert left.wait(5) == -signal.SIGTERM
        assert stranger.poll() is None
        stranger.kill()
    assert not (data / serve.CHILDREN_FILE).exists()


def test_a_part_that_dies_is_named_with_the_end_of_its_log(data: Path) -> None:
    log = data / "web.log"
    log.write_text("the reason\n")
    with subprocess.Popen(["/bin/false"], start_new_session=True) as process:
        process.wait()
        with pytest.raises(serve.CannotServe, match=r"web ended with status 1(.|\n)*the reason"):
            serve._refuse_dead([serve.Child("web", process, log)])


def test_stopping_a_part_ends_the_processes_it_made(data: Path) -> None:
    script = "import subprocess; subprocess.Popen(['/bin/sleep', '60']); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        serve.Child("web", process, data / "web.log").stop()
        # The grandchild holds the pipe's other end: reading to its end proves that it is gone.
        assert process.stdout.read() == b""


def test_a_half_made_demo_city_is_thrown_away(data: Path) -> None:
    with contextlib.ExitStack() as stack:
        url = serve._start_database(stack, data).replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE half (made int)")
        (data / serve.SEEDING_FILE).touch()
        serve._start_database(stack, data)
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('half')").fetchone() == (None,)
    assert not (data / serve.SEEDING_FILE).exists()
    assert embedded._postmaster(data / "postgres") is None
