"""Bytes over HTTP: whole or not at all, bounded in every direction, also against a real server."""

import base64
import gzip
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.serve import _free_port
from carbon.activities.uploads import (
    CONTENT_BYTES_MAX,
    LINE_BYTES_MAX,
    UPLOADS_AT_ONCE,
    Bounds,
    Upload,
    announced,
    received,
)
from kernel.errors import Refusal
from tests.carbon.partner_client import BATCHES, Partner, content_digest, rides
from tests.carbon.test_partners_take_turns import another
from tests.conftest import ROOT

BOMB = gzip.compress(b"\n" * (64 << 20), compresslevel=1) * 16
"""A gibibyte of empty lines in some megabytes."""


@pytest.fixture
def batch(partner: Partner) -> str:
    return str(partner.open().json["id"])


def nothing_happened(partner: Partner, batch: str) -> bool:
    shown = partner.get(f"/{batch}").json
    return (
        shown["state"] == "created"
        and shown["content_bytes"] is None
        and partner.files() == []
        and partner.work() == 0
        and partner.count("ledger_transfer") == 0
    )


@dataclass(frozen=True)
class Bad:
    """A body and headers that are refused, and how."""

    body: bytes
    headers: dict[str, str]
    status: int
    code: str
    pointer: str | None


GZIP = {"Content-Encoding": "gzip"}
ZIPPED = gzip.compress(rides(50))
REFUSED = {
    "a wrong digest": Bad(
        rides(2),
        {"Content-Digest": content_digest(rides(3))},
        400,
        "content_digest_differs",
        "/header/Content-Digest",
    ),
    "no sha-256": Bad(
        rides(2),
        {"Content-Digest": "md5=:AAAAAAAAAAAAAAAAAAAAAA==:"},
        400,
        "content_digest_missing",
        "/header/Content-Digest",
    ),
    "an empty digest": Bad(
        rides(2), {"Content-Digest": ""}, 400, "content_digest_missing", "/header/Content-Digest"
    ),
    "more announced than came": Bad(
        rides(2), {"Content-Length": str(len(rides(2)) + 1)}, 400, "upload_incomplete", "/body"
    ),
    "an empty file": Bad(b"", {}, 422, "file_empty", "/body"),
    "white space": Bad(b" \r\n\t\n", {}, 422, "file_empty", "/body"),
    "empty gzip": Bad(gzip.compress(b""), GZIP, 422, "file_empty", "/body"),
    "gzip that ends early": Bad(ZIPPED[:-9], GZIP, 400, "encoding_broken", "/body"),
    "gzip with rubbish behind": Bad(ZIPPED + b"rubbish", GZIP, 400, "encoding_broken", "/body"),
    "gzip with a wrong checksum": Bad(ZIPPED[:-8] + bytes(8), GZIP, 400, "encoding_broken", "/body"),
    "plain said to be gzip": Bad(rides(2), GZIP, 400, "encoding_broken", "/body"),
    "raw deflate": Bad(zlib.compress(rides(2)), GZIP, 400, "encoding_broken", "/body"),
    "another coding": Bad(
        rides(2), {"Content-Encoding": "br"}, 415, "encoding_unknown", "/header/Content-Encoding"
    ),
    "two codings": Bad(
        rides(2), {"Content-Encoding": "gzip, gzip"}, 415, "encoding_unknown", "/header/Content-Encoding"
    ),
    "a gzip bomb": Bad(BOMB, GZIP, 413, "inflates_too_far", "/body"),
    "a line of 20 MB": Bad(rides(2) + b"x" * 20_000_000, {}, 413, "upload_line_too_long", "/lines/3"),
    "a long line inside gzip": Bad(
        gzip.compress(rides(7) + os.urandom(900_000).hex().encode() + b"\n" + rides(1)),
        GZIP,
        413,
        "upload_line_too_long",
        "/lines/8",
    ),
    "more announced than a batch may be": Bad(
        b"x",
        {"Content-Length": str(CONTENT_BYTES_MAX + 1)},
        413,
        "upload_too_large",
        "/header/Content-Length",
    ),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_is_refused_leaves_nothing_behind_and_the_right_bytes_still_come(
    partner: Partner, batch: str, name: str
) -> None:
    bad = REFUSED[name]
    begun = time.monotonic()
    answer = partner.put(f"{BATCHES}/{batch}/content", bad.body, **bad.headers)
    assert time.monotonic() - begun < 5
    assert (answer.status_code, answer.json["code"]) == (bad.status, bad.code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.json["errors"]] == [bad.pointer]
    assert nothing_happened(partner, batch)
    assert partner.upload(batch, rides(2)).status_code == 200
    assert partner.work() == 1
    assert partner.count("activity") == 2


def test_a_body_without_a_length_is_refused(partner: Partner, batch: str) -> None:
    client = partner.product.flask.test_client()
    headers = {**partner.headers, "Content-Digest": content_digest(b"x"), "Transfer-Encoding": "chunked"}
    answer = client.put(
        f"{BATCHES}/{batch}/content",
        input_stream=BytesIO(b"x"),
        headers=headers,
        environ_overrides={"CONTENT_LENGTH": ""},
    )
    assert answer.status_code == 411
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert nothing_happened(partner, batch)


def test_who_may_not_upload_is_told_before_a_byte_is_read(partner: Partner, batch: str) -> None:
    url = f"{BATCHES}/{batch}/content"
    for key in ("tpk_unknown", "tpk_", partner.city.api_key[:-1]):
        answer = partner.put(url, rides(1), Authorization=f"Bearer {key}")
        assert (answer.status_code, answer.json["code"]) == (401, "partner_key_unknown")
    assert partner.product.flask.test_client().put(url, data=b"x").status_code == 401
    wrong = partner.put(url.replace("bat_", "vch_"), rides(1))
    assert (wrong.status_code, wrong.json["code"]) == (422, "wrong_identifier")
    assert wrong.json["errors"][0]["pointer"] == "/path/batch"


class Trickle:
    """A stream that counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        self.source, self.taken = BytesIO(data), 0

    def read(self, size: int, /) -> bytes:
        block = self.source.read(size)
        self.taken += len(block)
        return block


def receive(data: bytes, folder: Path, *, bytes_max: int = CONTENT_BYTES_MAX, zipped: bool = False) -> Upload:
    body = announced(
        Trickle(data),
        length=len(data),
        content_digest=content_digest(data),
        encoding="gzip" if zipped else None,
        bytes_max=bytes_max,
    )
    with received(
        body, folder, Bounds(bytes_max=bytes_max, line_bytes_max=LINE_BYTES_MAX), whose="partner:x"
    ) as upload:
        upload.kept = True
    return upload


def test_what_inflates_beyond_a_batch_is_refused_though_its_ratio_is_honest(tmp_path: Path) -> None:
    data = gzip.compress(b"".join(b"%08d\n" % number for number in range(300_000)))
    assert receive(data, tmp_path, zipped=True).size == 2_700_000
    with pytest.raises(Refusal) as refused:
        receive(data, tmp_path, zipped=True, bytes_max=2_600_000)
    assert refused.value.code == "upload_too_large"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("size", [LINE_BYTES_MAX, LINE_BYTES_MAX + 1])
@pytest.mark.parametrize("offset", [0, 1, 65_535, 65_536])
def test_a_line_may_be_a_mebibyte_wherever_blocks_are_cut(tmp_path: Path, size: int, offset: int) -> None:
    data = b"y" * offset + b"\n" + b"x" * size + b"\nz\n"
    if size > LINE_BYTES_MAX:
        with pytest.raises(Refusal) as refused:
            receive(data, tmp_path)
        assert refused.value.facts["line"] == 2
        assert list(tmp_path.iterdir()) == []
    else:
        upload = receive(data, tmp_path)
        assert (tmp_path / upload.name).read_bytes() == data
        assert (upload.size, upload.digest) == (len(data), hashlib.sha256(data).digest())


def test_only_the_product_itself_may_read_what_lies_in_the_folder(tmp_path: Path) -> None:
    upload = receive(rides(1), tmp_path / "uploads")
    assert (tmp_path / "uploads").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "uploads" / upload.name).stat().st_mode & 0o777 == 0o600


@dataclass(frozen=True)
class Served:
    """The product behind granian in a process of its own, with a single database connection."""

    partner: Partner
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def head(self, batch: str, *, length: int, digest: str) -> bytes:
        return (
            f"PUT {BATCHES}/{batch}/content HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
            f"Authorization: Bearer {self.partner.city.api_key}\r\nContent-Digest: {digest}\r\n\r\n"
        ).encode()

    def begin(self, batch: str, body: bytes, *, sent: int) -> socket.socket:
        """Begin an upload and send the first `sent` bytes of it."""
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        opened.sendall(self.head(batch, length=len(body), digest=content_digest(body)) + body[:sent])
        return opened

    def state(self, batch: str) -> str:
        answer = httpx.get(f"{self.url}{BATCHES}/{batch}", headers=self.partner.headers, timeout=5)
        return str(answer.json()["state"])

    def peak_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def until(holds: Callable[[], bool]) -> None:
    """Wait for what the server brings about."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answer_on(connection: socket.socket) -> bytes:
    """Everything the server says until it has said a whole answer or hung up."""
    said = b""
    while (block := connection.recv(65_536)) and b"request_id" not in (said := said + block):
        pass
    return said


@pytest.fixture
def served(partner: Partner, cache_url: str, tmp_path: Path) -> Iterator[Served]:
    port = _free_port(23000 + os.getpid() % 2000)
    environment = {
        **os.environ,
        "ENVIRONMENT": "test",
        "DATABASE_URL": partner.database.url,
        "REDIS_URL": cache_url,
        "TANPUHUI_DATA": str(tmp_path),
        "CARD_HASH_SECRET": "c" * 32,
        "JWT_SECRET": "j" * 32,
        "KEY_RING_SECRET": bytes(range(32)).hex(),
        "POOL_SIZE": "1",
    }
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1"]
    options = ["--port", str(port), "--workers", "1", "--blocking-threads", "4", "--no-ws"]
    options += ["--workers-kill-timeout", "5", "wsgi:app"]  # as `make run` has it
    with subprocess.Popen(
        [*command, *options],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield Served(partner, port, _wait(port, process))
        finally:
            process.terminate()
            process.wait(60)


def _wait(port: int, process: subprocess.Popen[bytes]) -> int:
    """Until the server answers; the pid of its one worker."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=1).status_code == 200:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
                return int(children.split()[-1])
        except httpx.HTTPError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def test_half_an_upload_posts_nothing(served: Served, batch: str) -> None:
    body = rides(2_000)
    with served.begin(batch, body, sent=len(body) // 2) as torn:
        torn.shutdown(socket.SHUT_WR)
        said = answer_on(torn)
    assert said.startswith(b"HTTP/1.1 400")
    assert b'"upload_incomplete"' in said
    torn = served.begin(batch, body, sent=len(body) - 1)
    until(lambda: bool(served.partner.files()))  # the server has begun to take it
    torn.close()
    until(lambda: not served.partner.files())
    assert served.state(batch) == "created"
    assert nothing_happened(served.partner, batch)


def test_a_slow_upload_holds_no_database_connection_and_others_are_served_beside_it(
    served: Served, batch: str
) -> None:
    # The server has one connection in all: were it held, nobody else would be answered.
    body = rides(3_000)
    slow = served.begin(batch, body, sent=100_000)
    begun = time.monotonic()
    for _ in range(5):
        assert served.state(batch) == "created"
    assert time.monotonic() - begun < 3
    slow.sendall(body[100_000:])
    assert slow.recv(65_536).startswith(b"HTTP/1.1 200")
    assert served.state(batch) == "uploaded"
    slow.close()
    assert served.partner.work() == 1
    assert served.partner.count("activity") == 3_000


def begun(served: Served, batch: str, *, already: int) -> socket.socket:
    """An upload that has its place and stays in it."""
    opened = served.begin(batch, rides(100), sent=10)
    until(lambda: len(served.partner.files()) > already)
    return opened


def test_uploads_beyond_their_places_are_told_to_wait(served: Served, batch: str) -> None:
    body = rides(100)
    others = [replace(served, partner=another(served.partner, f"demo water {n}")) for n in range(2)]
    batches = [batch, *(each.partner.open().json["id"] for each in others)]
    slow = [
        begun(each, of, already=number)
        for number, (each, of) in enumerate(zip((served, others[0]), batches, strict=False))
    ]
    assert len(slow) == UPLOADS_AT_ONCE

    def put(partner: Partner, batch: str) -> httpx.Response:
        headers = {**partner.headers, "Content-Digest": content_digest(body)}
        return httpx.put(f"{served.url}{BATCHES}/{batch}/content", content=body, headers=headers, timeout=30)

    for partner, to, status, code in (
        (served.partner, batch, 429, "upload_under_way"),
        (served.partner, str(served.partner.open("more").json["id"]), 429, "upload_under_way"),
        (others[1].partner, batches[2], 503, "busy"),
    ):
        answer = put(partner, to)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["Retry-After"] == "5"
    for connection in slow:
        connection.close()
    for partner, to in ((others[1].partner, batches[2]), (served.partner, batch)):
        deadline = time.monotonic() + 30
        while (again := put(partner, to)).status_code in {429, 503}:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert again.json()["state"] == "uploaded"


def test_a_sender_that_stops_is_told_so_and_holds_nothing(served: Served, batch: str) -> None:
    with begun(served, batch, already=0) as stopped:
        stopped.settimeout(60)
        said = answer_on(stopped)
        assert said.startswith(b"HTTP/1.1 400")
        assert b'"upload_too_slow"' in said
        assert served.partner.files() == []
    assert nothing_happened(served.partner, batch)


def test_a_refusal_reaches_a_sender_that_is_still_sending(served: Served, batch: str) -> None:
    line = b"x" * 20_000_000
    headers = {**served.partner.headers, "Content-Digest": content_digest(line)}
    begun = time.monotonic()
    answer = httpx.put(f"{served.url}{BATCHES}/{batch}/content", content=line, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_line_too_long")
    bomb = httpx.put(
        f"{served.url}{BATCHES}/{batch}/content",
        content=BOMB,
        headers={**headers, "Content-Digest": content_digest(BOMB), "Content-Encoding": "gzip"},
        timeout=20,
    )
    assert (bomb.status_code, bomb.json()["code"]) == (413, "inflates_too_far")
    chunked = httpx.put(f"{served.url}{BATCHES}/{batch}/content", content=iter([b"x"]), headers=headers)
    assert chunked.status_code == 411
    assert time.monotonic() - begun < 10
    assert nothing_happened(served.partner, batch)


def test_a_large_upload_passes_through_little_memory(served: Served, batch: str) -> None:
    piece = rides(4_000)
    body = piece * (96 * (1 << 20) // len(piece))
    before = served.peak_kib()
    headers = {**served.partner.headers, "Content-Digest": content_digest(body)}
    answer = httpx.put(f"{served.url}{BATCHES}/{batch}/content", content=body, headers=headers, timeout=60)
    assert answer.json()["content_bytes"] == len(body)
    assert served.peak_kib() - before < 24 * 1024


def test_the_digest_is_of_the_bytes_sent_and_may_stand_among_others(partner: Partner, batch: str) -> None:
    body = gzip.compress(rides(2))
    sha_512 = base64.b64encode(hashlib.sha512(body).digest()).decode()
    digests = f"sha-512=:{sha_512}:, {content_digest(body)}"
    url = f"{BATCHES}/{batch}/content"
    assert partner.put(url, body, **{"Content-Digest": content_digest(rides(2)), **GZIP}).status_code == 400
    assert partner.put(url, body, **{"Content-Digest": digests, **GZIP}).status_code == 200


def test_no_upload_stands_in_anothers_way_once_it_is_over(partner: Partner) -> None:
    ids = [partner.open(f"r{number}").json["id"] for number in range(12)]
    answers: list[Any] = []
    lock = threading.Lock()

    def upload(batch: str) -> None:
        while (answer := partner.upload(batch, rides(3))).status_code in {429, 503}:
            time.sleep(0.01)
        with lock:
            answers.append(answer.status_code)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(upload, ids))
    assert answers == [200] * 12
