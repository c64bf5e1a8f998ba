"""Whatever stands at the other end, an attempt ends, reads little, goes nowhere else, says what was."""

import ssl
import threading
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from ipaddress import ip_address

import pytest

from app.notifications.webhooks.sending import (
    LONGEST_WAIT_S,
    MOST_BODY,
    MOST_BYTES,
    MOST_SHOWN,
    Reach,
    Result,
    post,
    shown,
    waiting_s,
)
from tests.app.notifications.webhooks.receiver import HOST, Receiver, receiver
from tests.conftest import NOW

BODY = b'{"type":"endpoint.ping.v1"}'


def sent(server: Receiver, *, reach: Reach | None = None) -> Result:
    return post(server.url, {"webhook-id": "msg_1"}, BODY, reach=reach or server.reach, now=NOW)


def answer(status: str, body: bytes = b"", *more: str) -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more))
    return head.encode() + b"\r\n\r\n" + body


def test_a_request_is_a_post_of_exactly_these_bytes_to_the_name() -> None:
    with receiver() as server:
        result = sent(server)
        assert (result.outcome, result.status, result.answer, result.wait_s) == ("delivered", 204, "", None)
        (got,) = server.got
    assert got.line == "POST /in?from=tanpuhui HTTP/1.1"
    assert got.body == BODY
    assert got.headers == {
        "host": f"{HOST}:{server.port}",
        "user-agent": "tanpuhui-webhooks/1",
        "content-type": "application/json",
        "content-length": str(len(BODY)),
        "webhook-id": "msg_1",
    }


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken(status: int) -> None:
    with receiver(answer(f"{status} Fine", b"" if status == 204 else b"thanks")) as server:
        result = sent(server)
    assert (result.outcome, result.status) == ("delivered", status)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 404, 410, 429, 500, 503])
def test_everything_else_is_no_and_no_redirect_is_followed(status: int) -> None:
    with receiver() as elsewhere:
        with receiver(answer(f"{status} No", b"why", f"Location: {elsewhere.url}")) as server:
            result = sent(server)
        assert (result.outcome, result.status, result.answer) == ("refused", status, "why")
        assert (server.connections, elsewhere.connections) == (1, 0)


def test_a_certificate_must_be_the_names_and_of_an_authority_we_trust() -> None:
    with receiver(certified_for="other.example.com") as server:
        assert sent(server).outcome == "untrusted"
        assert server.got == []
    with receiver() as server, receiver() as another:
        assert sent(server, reach=replace(server.reach, trust=another.reach.trust)).outcome == "untrusted"
        public = replace(server.reach, trust=Reach().trust)
        assert sent(server, reach=public).outcome == "untrusted"
        assert server.got == []
        assert server.reach.trust().verify_mode is Reach().trust().verify_mode is ssl.CERT_REQUIRED
        assert Reach().trust().check_hostname


def drip(spoken: ssl.SSLSocket, stop: threading.Event, text: bytes) -> None:
    """A byte now and then, each long before any single read would be given up."""
    while not stop.wait(0.02):
        spoken.sendall(text)


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nX: "], ids=["before", "in the status", "in the headers"]
)
def test_an_answer_that_drips_ends_with_the_deadline(head: bytes) -> None:
    """Each read gets its byte in time; only the whole takes for ever, and the test ends all the same."""
    stop = threading.Event()

    def says(spoken: ssl.SSLSocket) -> None:
        spoken.sendall(head)
        drip(spoken, stop, b"a" if head else b"")
        stop.wait(30)

    with receiver(says) as server:
        result = sent(server, reach=replace(server.reach, deadline_s=0.5))
        stop.set()
    assert result.outcome == "slow"


def test_a_body_that_drips_does_not_undo_the_answer() -> None:
    stop = threading.Event()

    def says(spoken: ssl.SSLSocket) -> None:
        spoken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        drip(spoken, stop, b"a")

    with receiver(says) as server:
        result = sent(server, reach=replace(server.reach, deadline_s=0.5))
        stop.set()
    assert (result.outcome, result.status) == ("delivered", 200)


def test_an_endless_body_is_left_after_its_beginning() -> None:
    ended = threading.Event()

    def says(spoken: ssl.SSLSocket) -> None:
        try:
            spoken.sendall(b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                spoken.sendall(b"400\r\n" + b"a" * 1024 + b"\r\n")
        except OSError:
            ended.set()

    with receiver(says) as server:
        result = sent(server)
        assert ended.wait(20)
    assert (result.outcome, result.status, len(result.answer)) == ("refused", 500, MOST_SHOWN)


@pytest.mark.parametrize(
    "flood",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * (2 * MOST_BYTES) + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * MOST_BYTES + b"\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * MOST_BYTES,
    ],
    ids=["one header", "headers", "interim answers"],
)
def test_a_flood_before_the_answer_is_garbled(flood: bytes) -> None:
    with receiver(flood) as server:
        assert sent(server).outcome == "garbled"


def test_interim_answers_without_end_are_garbled_long_before_the_deadline() -> None:
    ended = threading.Event()

    def says(spoken: ssl.SSLSocket) -> None:
        try:
            while True:
                spoken.sendall(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
        except OSError:
            ended.set()

    with receiver(says) as server:
        assert sent(server, reach=replace(server.reach, deadline_s=60)).outcome == "garbled"
        assert ended.wait(20)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\x00\xff" * 50 + b"\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"",
        b"HTTP/9 200\r\n\r\n",
    ],
)
def test_what_is_no_http_is_garbled(nonsense: bytes) -> None:
    with receiver(nonsense) as server:
        assert sent(server).outcome == "garbled"


def test_a_port_that_nobody_listens_on_and_a_name_that_leads_nowhere() -> None:
    with receiver() as server:
        pass
    assert sent(server).outcome == "unreachable"

    def nowhere(_host: str, _port: int) -> list[object]:
        raise OSError

    assert sent(server, reach=replace(server.reach, resolve=nowhere)).outcome == "unresolved"  # type: ignore[arg-type]  # it raises
    assert sent(server, reach=replace(server.reach, resolve=lambda _host, _port: [])).outcome == "unresolved"


def test_a_resolver_that_never_answers_ends_with_the_deadline() -> None:
    stop = threading.Event()

    def slow(_host: str, _port: int) -> list[object]:
        stop.wait(30)
        return []

    with receiver() as server:
        reach = replace(server.reach, resolve=slow, deadline_s=0.2)  # type: ignore[arg-type]  # it gives nothing
        assert sent(server, reach=reach).outcome == "slow"
        stop.set()
        assert server.connections == 0


def test_of_several_addresses_the_next_is_tried_when_one_takes_nobody() -> None:
    """127.0.0.2 is this machine too, and nobody listens there on that port."""
    with receiver() as server:
        both = [ip_address("127.0.0.2"), ip_address("127.0.0.1")]
        reach = replace(server.reach, resolve=lambda _host, _port: both, allows=lambda _address: True)
        assert sent(server, reach=reach).outcome == "delivered"


def test_what_is_shown_of_an_answer_is_harmless_and_short() -> None:
    assert shown(b"") == ""
    assert shown(b"a\x1b[31mred\x00\r\n\xff b") == "a [31mred � b"
    assert shown("\u202eevil\u2028 中文".encode()) == "evil 中文"
    assert len(shown(b"a" * MOST_BODY)) == MOST_SHOWN


@pytest.mark.parametrize(
    ("said", "waits_s"),
    [
        (None, None),
        (b"120", 120),
        (b" 0 ", 0),
        (b"99999999999999999999", LONGEST_WAIT_S),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True).encode(), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True).encode(), 0),
        (format_datetime(NOW + timedelta(days=900), usegmt=True).encode(), LONGEST_WAIT_S),
        (b"-1", None),
        (b"soon", None),
        (b"1.5", None),
        ("１２".encode(), None),
        (b"Fri, 99 Foo 99999 99:99:99 GMT", None),
        (b"9" * 5000, None),
    ],
)
def test_a_pause_that_is_asked_for_is_understood_and_bounded(said: bytes | None, waits_s: int | None) -> None:
    assert waiting_s(said, now=NOW) == waits_s
