"""What only a socket can send: half bodies, bodies without end, headers that contradict each other.

A real server answers each at once with a 4xx problem, or with nothing but a closed connection where it is
not HTTP; no row moves, and the next request is served.
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, repeat

import pytest

from tests.journeys.callers import Crowd, crowd
from tests.journeys.served import Served
from tests.journeys.siege import WRITES, needed, operation, path_of, rules, traces

PATIENCE_SECONDS = 30
ENDLESS_BYTES_MAX = 8 << 20
"""So much of a body without end is more than any address reads of it."""
LONG = b"a" * 65_536


@dataclass(frozen=True)
class Wire:
    """A server, everybody who calls it, and bytes in and out."""

    served: Served
    city: Crowd

    def head(self, method: str, address: str, *lines: str) -> bytes:
        """The head of a request of somebody who may, to a thing that is there."""
        caller = self.city.caller_for(needed(method, address))
        return "\r\n".join(
            (
                f"{method} {path_of(self.city, address)} HTTP/1.1",
                "Host: 127.0.0.1",
                "Idempotency-Key: on-the-wire-017",
                *((f"Authorization: Bearer {caller.token}",) if caller is not None else ()),
                *lines,
                "\r\n",
            )
        ).encode()

    def exchange(self, *pieces: bytes, ends: bool = True) -> tuple[int, bytes]:
        """Send bytes until they are through or refused; what came back, and how many went out."""
        sent = 0
        with socket.create_connection(("127.0.0.1", self.served.port), timeout=PATIENCE_SECONDS) as wire:
            # What waits in this side's own buffer was not taken by anybody: it shall be little.
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(LONG))
            with contextlib.suppress(OSError):  # the server may hang up before all is said
                for piece in pieces:
                    wire.sendall(piece)
                    sent += len(piece)
                if ends:
                    wire.shutdown(socket.SHUT_WR)
            return sent, _answer(wire)


def _answer(wire: socket.socket) -> bytes:
    """All that comes until the body is whole or the connection is closed."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while not _is_whole(came):
            piece = wire.recv(65_536)
            if not piece:
                break
            came += piece
    return came


def _is_whole(came: bytes) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= int(lengths[0].partition(b":")[2])


def fault(came: bytes) -> str:
    """What is wrong with an answer; a connection closed without a word is right for what is not HTTP."""
    if not came:
        return ""
    head, _, body = came.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if not 400 <= status < 500:
        return came[:200].decode(errors="replace")
    if body and not (b"application/problem+json" in head and json.loads(body).get("code")):
        return f"{status} is no problem document"
    return ""


@pytest.fixture(scope="module")
def wire(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with crowd(cache_url) as city:
        log = tmp_path_factory.mktemp("wire") / "web.log"
        served = Served(city.database_url, cache_url, log, workers=1)
        served.start()
        try:
            yield Wire(served, city)
        finally:
            served.kill()


def test_half_a_body_is_refused_at_every_address(wire: Wire) -> None:
    before = traces(wire.city)
    wrong = {}
    for method, address in rules(*WRITES):
        if not operation(method, address).get("requestBody"):
            continue  # what is not asked for is not waited for
        for kind in ("application/json", "application/octet-stream"):
            lines = (
                "Content-Length: 1000",
                f"Content-Type: {kind}",
                f"Content-Digest: sha-256=:{'A' * 43}=:",
            )
            began = time.monotonic()
            _, came = wire.exchange(wire.head(method, address, *lines), b'{"reason":"a')
            found = fault(came) or ("slow" if time.monotonic() - began > PATIENCE_SECONDS else "")
            if found:
                wrong[f"{method} {address} {kind}"] = found
    assert wrong == {}
    assert traces(wire.city) == before


def test_a_body_without_end_is_cut_off_at_every_address(wire: Wire) -> None:
    before = traces(wire.city)
    chunk = b"%x\r\n%b\r\n" % (len(LONG), LONG)
    wrong = {}
    for method, address in rules(*WRITES):
        if not operation(method, address).get("requestBody"):
            continue
        head = wire.head(method, address, "Transfer-Encoding: chunked", "Content-Type: application/json")
        endless = chain([head, b'5\r\n{"a":\r\n'], repeat(chunk, 2 * ENDLESS_BYTES_MAX // len(LONG)))
        sent, came = wire.exchange(*endless, ends=False)
        if fault(came) or sent > ENDLESS_BYTES_MAX:
            wrong[f"{method} {address}"] = fault(came) or f"{sent} bytes were taken"
    assert wrong == {}
    assert traces(wire.city) == before


def test_what_is_hardly_http_is_refused_and_the_next_is_served(wire: Wire) -> None:
    before = traces(wire.city)
    lines = ("Content-Type: application/json",)
    body = b'{"name_zh":"a","name_en":"a"}'
    bad = {
        "a length of letters": (wire.head("POST", "/v1/funders", "Content-Length: abc", *lines), body),
        "a length below zero": (wire.head("POST", "/v1/funders", "Content-Length: -1", *lines), body),
        "a length of 2^64": (wire.head("POST", "/v1/funders", f"Content-Length: {2**64}", *lines), body),
        "two lengths": (
            wire.head("POST", "/v1/funders", "Content-Length: 1", "Content-Length: 29", *lines),
            body,
        ),
        "a chunk of letters": (
            wire.head("POST", "/v1/funders", "Transfer-Encoding: chunked", *lines),
            b"xyz\r\n",
        ),
        "half a chunk": (
            wire.head("POST", "/v1/funders", "Transfer-Encoding: chunked", *lines),
            b"1d\r\n" + body[:9],
        ),
        "no such method": (b"FROB /v1/rewards HTTP/1.1\r\nHost: a\r\n\r\n",),
        "a method of symbols": (b"\x01\x02 /v1/rewards HTTP/1.1\r\nHost: a\r\n\r\n",),
        "no such version": (b"GET /v1/rewards HTTP/9.9\r\nHost: a\r\n\r\n",),
        "nul in the path": (b"GET /v1/rewards\0 HTTP/1.1\r\nHost: a\r\n\r\n",),
        "a token of a mebibyte": (
            b"GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: " + LONG * 16 + b"\r\n\r\n",
        ),
        "a path of a mebibyte": (b"GET /" + LONG * 16 + b" HTTP/1.1\r\nHost: a\r\n\r\n",),
        "ten thousand headers": (b"GET /v1/me HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",),
        "latin-1 in a token": (b"GET /v1/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer \xe9\xff\r\n\r\n",),
        "latin-1 in a request id": (b"GET /v1/me HTTP/1.1\r\nHost: a\r\nX-Request-Id: \xe9\xff\r\n\r\n",),
        "an odd language": (
            b"GET /v1/me HTTP/1.1\r\nHost: a\r\nAccept-Language: ;q=x,\xff,zh;q=9e9\r\n\r\n",
        ),
        "no http": (b"\x16\x03\x01\x02\x00\x01\x00",),
        "nothing": (b"",),
    }
    wrong = {}
    for name, pieces in bad.items():
        began = time.monotonic()
        _, came = wire.exchange(*pieces)
        found = fault(came) or ("slow" if time.monotonic() - began > PATIENCE_SECONDS else "")
        if found:
            wrong[name] = found
        assert b"200" in wire.exchange(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", ends=False)[1][:15], name
    assert wrong == {}
    assert traces(wire.city) == before
