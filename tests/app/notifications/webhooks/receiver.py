"""Somebody else's server, on loopback, with a certificate of its own: it answers as a test says.

What a test says is bytes, so that it may be no HTTP at all; or a function that writes to the connection.
"""

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from app.notifications.webhooks.addresses import is_public_or_own
from app.notifications.webhooks.loopback_tls import issue_for, trusting
from app.notifications.webhooks.sending import Reach
from tests.conftest import NOW

HOST = "hooks.example.com"
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
Speaks = Callable[[ssl.SSLSocket], None]


@dataclass(frozen=True)
class Got:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A listening server: what it was sent, how often it was connected to, what it says."""

    port: int
    authority: str
    got: list[Got] = field(default_factory=list)
    connections: int = 0
    says: bytes | Speaks = TAKEN

    @property
    def url(self) -> str:
        """Where it stands, as an endpoint names it."""
        return f"https://{HOST}:{self.port}/in?from=tanpuhui"

    @property
    def reach(self) -> Reach:
        """A sender that may reach this machine, finds it under its name, and trusts its authority."""
        context = trusting(self.authority)
        return replace(
            Reach(),
            allows=is_public_or_own,
            resolve=lambda _host, _port: [ip_address("127.0.0.1")],
            trust=lambda: context,
        )

    def ids(self) -> list[str]:
        """The ids that came, in order."""
        return [each.headers["webhook-id"] for each in self.got]


@contextmanager
def receiver(says: bytes | Speaks = TAKEN, *, certified_for: str = HOST) -> Iterator[Receiver]:
    """A server until the end of the block."""
    issued = issue_for(certified_for, now=NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "server.pem"
        file.write_text(issued.server)
        context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        made = Receiver(listening.getsockname()[1], issued.authority, says=says)
        stopped = threading.Event()
        thread = threading.Thread(target=_serve, args=(listening, context, made, stopped), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            stopped.set()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", made.port), 5).close()  # wakes the accept
            thread.join(10)


def _serve(
    listening: socket.socket, context: ssl.SSLContext, made: Receiver, stopped: threading.Event
) -> None:
    while True:
        connection, _ = listening.accept()
        if stopped.is_set():
            connection.close()
            return
        made.connections += 1
        threading.Thread(target=_answer, args=(connection, context, made), daemon=True).start()


def _answer(connection: socket.socket, context: ssl.SSLContext, made: Receiver) -> None:
    with contextlib.suppress(OSError, ValueError):
        connection.settimeout(20)
        with context.wrap_socket(connection, server_side=True) as spoken:
            made.got.append(_read(spoken))
            says = made.says
            if isinstance(says, bytes):
                spoken.sendall(says)
            else:
                says(spoken)
    connection.close()


def _read(spoken: ssl.SSLSocket) -> Got:
    raw = b""
    while b"\r\n\r\n" not in raw:
        raw += spoken.recv(65536)
    head, _, body = raw.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
    while len(body) < int(headers["content-length"]):
        body += spoken.recv(65536)
    return Got(line, headers, body)
