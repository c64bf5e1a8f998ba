"""One place of a process for each sender, and no place at all for one that lets it wait."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import pytest

from carbon.activities import uploads
from carbon.activities.errors import ContentDigestMissing
from carbon.activities.patient_stream import BLOCK_BYTES, PatientStream, Stream
from carbon.activities.uploads import LINES, UPLOADS_AT_ONCE, announced, dropping_the_rest, received
from kernel.errors import Refusal
from tests.carbon.partner_client import content_digest, rides

BODY = rides(3)
AT_ONCE_S = 0.02
"""For streams from which nothing ever comes: however long anybody waits for them, it is in vain."""


class Stuck:
    """A sender of whom nothing comes until it hangs up."""

    def __init__(self) -> None:
        self.reads, self.hung_up = 0, threading.Event()

    def read(self, _: int, /) -> bytes:
        self.reads += 1
        assert self.hung_up.wait(120)
        return b""


class Meanwhile:
    """A sender that is still sending while something else happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self.source, self.happens = BytesIO(BODY), happens

    def read(self, size: int, /) -> bytes:
        self.happens()
        self.happens = lambda: None
        return self.source.read(size)


@pytest.fixture
def stuck() -> Iterator[Callable[[], Stuck]]:
    """Makes senders that stop; at the end all hang up."""
    made: list[Stuck] = []

    def make() -> Stuck:
        made.append(Stuck())
        return made[-1]

    yield make
    for each in made:
        each.hung_up.set()


def receive(folder: Path, whose: str, stream: Stream | None = None, *, length: int = len(BODY)) -> str:
    body = announced(
        stream or BytesIO(BODY),
        length=length,
        content_digest=content_digest(BODY),
        encoding=None,
        bytes_max=1 << 20,
    )
    patience = {"block_seconds_max": AT_ONCE_S} if isinstance(stream, Stuck) else {}
    with received(body, folder, LINES, whose=whose, **patience) as upload:
        return upload.name


def refusal(folder: Path, whose: str, stream: Stream | None = None) -> Refusal:
    with pytest.raises(Refusal) as refused:
        receive(folder, whose, stream)
    return refused.value


def test_a_sender_has_one_place_and_the_other_is_for_others(tmp_path: Path) -> None:
    seen: list[tuple[str, object]] = []

    def note(whose: str) -> None:
        answer = refusal(tmp_path, whose)
        seen.append((answer.code, answer.facts["retry_after_s"]))

    def full() -> None:
        for whose in ("partner:a", "partner:b", "partner:c"):
            note(whose)

    def beside() -> None:
        note("partner:a")
        receive(tmp_path, "partner:b", Meanwhile(full))

    receive(tmp_path, "partner:a", Meanwhile(beside))
    own, taken = ("upload_under_way", 5), ("busy", 5)
    assert UPLOADS_AT_ONCE == 2
    assert seen == [own, own, own, taken]
    for whose in ("partner:a", "partner:b", "partner:c"):
        assert receive(tmp_path, whose)
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_once_of_one_sender_one_is_taken(tmp_path: Path) -> None:
    told, others = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        for _ in range(7):
            assert others.acquire(timeout=60)
        told.set()

    def send(_: int) -> str:
        try:
            receive(tmp_path, "partner:a", Meanwhile(wait))
        except Refusal as refused:
            others.release()
            return refused.code
        return "taken"

    with ThreadPoolExecutor(8) as senders:
        answers = sorted(senders.map(send, range(8)))
    assert answers == ["taken", *["upload_under_way"] * 7]
    assert told.is_set()


def test_a_sender_that_lets_it_wait_is_let_go_and_its_place_is_for_others(
    tmp_path: Path, stuck: Callable[[], Stuck]
) -> None:
    slow = [stuck() for _ in range(UPLOADS_AT_ONCE)]
    for number, stream in enumerate(slow):
        refused = refusal(tmp_path, f"partner:{number}", stream)
        assert (refused.code, refused.kind.value, refused.pointer) == ("upload_too_slow", 400, "/body")
        assert refused.facts == {"limit_s": AT_ONCE_S, "least_bytes": len(BODY)}
    assert list(tmp_path.iterdir()) == []
    assert [stream.reads for stream in slow] == [1, 1], "nobody waits for the rest either"
    # All places are free again, though the connections still stand.
    receive(tmp_path, "partner:c", Meanwhile(lambda: receive(tmp_path, "partner:d")))
    # Whose connection stands has no second one: threads that wait cannot be heaped up.
    assert refusal(tmp_path, "partner:0").code == "upload_under_way"
    slow[0].hung_up.set()
    _until(lambda: receive(tmp_path, "partner:0"))
    assert refusal(tmp_path, "partner:1").code == "upload_under_way"


def _until(done: Callable[[], object]) -> None:
    """Until it is not refused any more; the reader's thread ends by itself."""
    for _ in range(6_000):
        try:
            done()
        except Refusal:
            threading.Event().wait(0.01)
        else:
            return
    raise AssertionError("it is refused for ever")


def test_what_breaks_while_it_is_read_is_incomplete_and_leaves_its_place(tmp_path: Path) -> None:
    def break_() -> None:
        raise ConnectionResetError

    for _ in range(UPLOADS_AT_ONCE + 1):
        assert refusal(tmp_path, "partner:a", Meanwhile(break_)).code == "upload_incomplete"
    assert receive(tmp_path, "partner:a")
    assert list(tmp_path.iterdir()) == []


def test_a_body_refused_by_its_headers_is_not_waited_for_either(
    stuck: Callable[[], Stuck], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_DRAIN_SECONDS_MAX", AT_ONCE_S)
    most = 3
    monkeypatch.setattr(uploads, "_drains", threading.BoundedSemaphore(most))
    streams = [stuck() for _ in range(most + 2)]
    for stream in streams:
        with pytest.raises(ContentDigestMissing), dropping_the_rest(stream):
            raise ContentDigestMissing
    _until_equal(lambda: [stream.reads for stream in streams], [1] * most + [0] * 2)
    whole = BytesIO(BODY)
    with pytest.raises(ContentDigestMissing), dropping_the_rest(whole):
        raise ContentDigestMissing
    assert whole.tell() == 0, "too many are waited for"
    for stream in streams:
        stream.hung_up.set()

    def heard() -> bool:
        with pytest.raises(ContentDigestMissing), dropping_the_rest(whole):
            raise ContentDigestMissing
        return whole.tell() == len(BODY)

    _until_equal(heard, True)


def _until_equal(look: Callable[[], object], expected: object) -> None:
    for _ in range(6_000):
        if look() == expected:
            return
        threading.Event().wait(0.01)
    assert look() == expected


def test_a_patient_stream_reads_as_its_stream_does_and_says_when_nobody_reads_any_more() -> None:
    over = threading.Event()
    data = bytes(range(256)) * 1_000
    with ExitStack() as open_:
        stream = open_.enter_context(PatientStream(BytesIO(data), seconds=60, over=over.set))
        pieces = iter(lambda: stream.read(1 << 20), b"")
        assert [len(piece) for piece in pieces] == [65_536, 65_536, 65_536, 59_392]
        assert BLOCK_BYTES == 65_536
        assert not over.is_set()
    assert over.is_set()
