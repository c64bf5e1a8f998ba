"""Whose bytes are on their way, and how long anybody waits for the next of them.

The server's own read comes back only once it has all that it was asked for, however long the sender takes,
and nothing interrupts it. So it goes on in a thread of its own, which can be left behind: whoever waits
for it gives up in time and answers. The thread ends when the sender hangs up, at the latest.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Protocol, Self

from carbon.activities.errors import UploadTooSlow, UploadUnderWay
from kernel.errors import Busy, require

BLOCK_BYTES = 64 << 10
BLOCK_SECONDS_MAX = 10
"""For each block, or what is left of the body: 6.5 kB/s at the least."""


class Stream(Protocol):
    """The body as the server hands it on."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end, whether all came or not."""


class PatientStream:
    """A stream whose reads end in time. Once one did not, there is nothing more to read.

    `over` is called when nobody reads of the stream any more, so it may come long after `close`.
    """

    def __init__(self, stream: Stream, *, seconds: float, over: Callable[[], None]) -> None:
        self._stream, self._seconds, self._over = stream, seconds, over
        self._asked: SimpleQueue[int | None] = SimpleQueue()
        self._given: SimpleQueue[bytes | BaseException] = SimpleQueue()
        self._left = False
        self._reader = threading.Thread(target=self._read_on, name="upload", daemon=True)

    def __enter__(self) -> Self:
        """Begin: from here on `over` is called, whatever happens."""
        try:
            self._reader.start()
        except BaseException:  # no thread to be had
            self._over()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End; where no read is left behind, nobody reads any more from here on."""
        self._asked.put(None)
        if not self._left:
            self._reader.join()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, at most BLOCK_BYTES. Refuses UploadTooSlow; raises what the stream does."""
        if self._left:
            return b""
        self._asked.put(min(size, BLOCK_BYTES))
        try:
            given = self._given.get(timeout=self._seconds)
        except Empty:
            self._left = True
            raise UploadTooSlow(
                pointer="/body", limit_s=self._seconds, least_bytes=min(size, BLOCK_BYTES)
            ) from None
        if not isinstance(given, BaseException):
            return given
        try:
            raise given
        finally:
            del given  # it knows this frame: together they would keep the body, and with it the connection

    def _read_on(self) -> None:
        try:
            while (size := self._asked.get()) is not None:
                try:
                    given: bytes | BaseException = self._stream.read(size)
                except BaseException as error:  # noqa: BLE001 - whoever waits for it hears it
                    given = error
                self._given.put(given)
                del given  # as in `read`
        finally:
            del self._stream  # the server lets a connection go once nobody has its body
            self._over()


@dataclass
class Places:
    """The uploads that a process takes at once, and whose are on their way."""

    free: int
    senders: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self, whose: str) -> None:
        """Let `whose` next one come."""
        with self.lock:
            self.senders.discard(whose)

    def give_back(self) -> None:
        """Let somebody else's come."""
        with self.lock:
            self.free += 1


@contextlib.contextmanager
def reading_from(places: Places, stream: Stream, *, whose: str, seconds: float) -> Iterator[PatientStream]:
    """The stream, from a place, one of each sender. Refuses UploadUnderWay and Busy.

    A sender that was too slow and does not hang up leaves its place to others, but has no second one.
    """
    with places.lock:
        require(whose not in places.senders, UploadUnderWay(retry_after_s=5))
        require(places.free, Busy("other uploads are on their way", retry_after_s=5))
        places.senders.add(whose)
        places.free -= 1
    try:
        with PatientStream(stream, seconds=seconds, over=lambda: places.forget(whose)) as patient:
            yield patient
    finally:
        places.give_back()
