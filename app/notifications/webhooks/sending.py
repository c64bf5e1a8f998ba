"""One POST to somebody else's server, which may be anything: slow, endless, lying, or one of ours.

The name is resolved once; when any of its addresses is not allowed nothing is connected to; the connection
goes to the address that was judged, while certificate and Host are the name's. No redirect, no proxy, no
second look at the resolver. Everything together ends at one deadline, and no more than a few kibibytes are
read. Knows no database: no transaction is open while somebody is waited for.
"""

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import ip_address
from typing import Any

import httpcore
import httpx

from app.notifications.webhooks.addresses import Address, is_public
from kernel.errors import BrokenInvariant

DEADLINE_S = 15.0
CONNECT_S = 5.0
"""To one address, so that there is time for the next."""
MOST_BYTES = 64 * 1024
"""Of everything an answer sends, headers and TLS excluded; more is garbled."""
MOST_BODY = 4 * 1024
MOST_SHOWN = 300
MOST_ADDRESSES = 16
LONGEST_WAIT_S = 24 * 3600

Resolve = Callable[[str, int], Sequence[Address]]
"""From a name and a port to every address; raises OSError when there is none."""


class _Forbidden(httpcore.ConnectError):
    """An address of the name is not allowed."""


class _Unresolved(httpcore.ConnectError):
    """The name leads nowhere."""


class _Untrusted(httpcore.ConnectError):
    """No TLS with a certificate of this name."""


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name, by the system's resolver; the last dot keeps search lists out."""
    found = socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [ip_address(each[4][0]) for each in found]


@cache
def public_trust() -> ssl.SSLContext:
    """The public certificate authorities; the environment adds none."""
    return httpx.create_ssl_context(trust_env=False)


@dataclass(frozen=True)
class Reach:
    """What a sender may reach and whom it trusts. Tests and a developer's own machine have another."""

    allows: Callable[[Address], bool] = is_public
    resolve: Resolve = resolve
    trust: Callable[[], ssl.SSLContext] = public_trust
    deadline_s: float = DEADLINE_S


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one attempt ended; `status` where an answer came, `wait_s` where it asked for a pause."""

    outcome: str
    took_ms: int
    status: int | None = None
    answer: str = ""
    wait_s: int | None = None


def post(url: str, headers: dict[str, str], body: bytes, *, reach: Reach, now: datetime) -> Result:
    """Send once; never raises for what the other side does."""
    began = time.monotonic()
    backend = _Pinned(reach, deadline=began + reach.deadline_s)
    try:
        status, wait, answer = _exchange(url, headers, body, backend=backend, trust=reach.trust())
    except _FAILURES as error:
        outcome = next(word for kind, word in _WORDS.items() if isinstance(error, kind))
        return Result(outcome=outcome, took_ms=_since(began))
    return Result(
        outcome="delivered" if 200 <= status <= 299 else "refused",
        took_ms=_since(began),
        status=status,
        answer=shown(answer),
        wait_s=waiting_s(wait, now=now),
    )


def shown(answer: bytes) -> str:
    """The first characters of an answer, without what a terminal or a page would act on."""
    text = answer.decode("utf-8", "replace")
    plain = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(plain.split())[:MOST_SHOWN]


def waiting_s(retry_after: bytes | None, *, now: datetime) -> int | None:
    """What Retry-After asks for in seconds, from 0 to a day; None where it says nothing readable."""
    if retry_after is None or len(retry_after) > 64:
        return None
    text = retry_after.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return min(int(text), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(text)
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return max(0, min(int((until - now).total_seconds()), LONGEST_WAIT_S))
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _exchange(
    url: str, headers: dict[str, str], body: bytes, *, backend: "_Pinned", trust: ssl.SSLContext
) -> tuple[int, bytes | None, bytes]:
    """Status, Retry-After, and the beginning of the body."""
    sent = {"user-agent": "tanpuhui-webhooks/1", "content-type": "application/json", **headers}
    # http1 alone, one connection, no retries; httpcore reads no environment and follows nothing.
    with (
        httpcore.ConnectionPool(
            ssl_context=trust, max_connections=1, max_keepalive_connections=0, network_backend=backend
        ) as pool,
        pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
    ):
        names = {name.lower(): value for name, value in response.headers}
        answer = b""
        try:
            for part in response.iter_stream():
                answer += part
                if len(answer) >= MOST_BODY:
                    break
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
            pass  # what it answered stands; of the rest only the beginning is shown
        return response.status, names.get(b"retry-after"), answer[:MOST_BODY]


_WORDS: dict[type[Exception], str] = {
    _Forbidden: "forbidden",
    _Unresolved: "unresolved",
    _Untrusted: "untrusted",
    httpcore.TimeoutException: "slow",
    httpcore.NetworkError: "unreachable",
    httpcore.ProtocolError: "garbled",
}
"""What went wrong, as attempts keep it; the first that fits."""
_FAILURES = tuple(_WORDS)


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)


class _Pinned(httpcore.NetworkBackend):
    """Connects to the addresses that were judged, and nowhere else."""

    def __init__(self, reach: Reach, *, deadline: float) -> None:
        self._reach, self._deadline = reach, deadline
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - one deadline for everything
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first judged address that takes one."""
        failure: Exception = _Unresolved(host)
        for address in self._judged(host, port):
            try:
                stream = self._plain.connect_tcp(
                    str(address), port, min(CONNECT_S, _left(self._deadline)), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _Bounded(stream, deadline=self._deadline, seen=[0])
        raise failure

    def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Never."""
        raise BrokenInvariant("a webhook goes over the net")

    def _judged(self, host: str, port: int) -> Sequence[Address]:
        """Every address of the name, if all are allowed."""
        addresses = _in_time(lambda: self._reach.resolve(host, port), _left(self._deadline))
        if not addresses:
            raise _Unresolved(host)
        if len(addresses) > MOST_ADDRESSES or not all(self._reach.allows(each) for each in addresses):
            raise _Forbidden(host)
        return addresses


class _Bounded(httpcore.NetworkStream):
    """A stream that ends at the deadline, however slowly it drips, and after so many bytes."""

    def __init__(self, inner: httpcore.NetworkStream, *, deadline: float, seen: list[int]) -> None:
        self._inner, self._deadline, self._seen = inner, deadline, seen

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - as above
        """Some bytes."""
        data = self._inner.read(max_bytes, _left(self._deadline))
        self._seen[0] += len(data)
        if self._seen[0] > MOST_BYTES:
            raise httpcore.RemoteProtocolError("an endless answer")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - as above
        """All bytes."""
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        """Let go."""
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        """The same, encrypted; the certificate must be the name's."""
        try:
            inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline))
        except httpcore.ConnectError as error:
            raise (_Untrusted if isinstance(error.__cause__, ssl.SSLError) else httpcore.ConnectError)(
                server_hostname
            ) from error
        return _Bounded(inner, deadline=self._deadline, seen=self._seen)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a stream."""
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    """Seconds to the deadline; raises when it is over."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time is over")
    return left


def _in_time(work: Callable[[], Sequence[Address]], seconds: float) -> Sequence[Address]:
    """Resolve within the time; a resolver cannot be interrupted, so it is left behind."""
    answer: queue.Queue[Sequence[Address] | OSError | UnicodeError] = queue.Queue()

    def ask() -> None:
        try:
            answer.put(work())
        except (OSError, UnicodeError) as error:
            answer.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answer.get(timeout=seconds)
    except queue.Empty:
        raise httpcore.ConnectTimeout("the resolver is slow") from None
    if isinstance(found, Exception):
        raise _Unresolved(str(found))
    return found
