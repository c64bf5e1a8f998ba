"""Turns in a web process: who asks for what everybody asks for waits among their own.

A process works on a few requests at once. Without turns two hundred people who want one reward stand before
everybody else; here equal requests (same method, address and small body) form a lane, and lanes take turns. A
lane leaves one place free for others. A lane in which more wait than there are places is a crowd: it has a
quarter of the places at most, and its next is called when none but crowds are at work, or when as many others
as there are places were called before it. While others come too, a crowd rests as long after each of its
requests as that one took, so that half of the time Python and the cores are there for the others alone. Who
asks for something else meets an empty lane.

Who wants to change something is no part of a lane: a crowd cannot make itself many. Whoever reads what is
their own has a lane of their own, as has each long body, which is not held back to be compared.
"""

import hashlib
import io
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
SWITCH_SECONDS = 0.0005
"""For `sys.setswitchinterval` of a web process. A request asks the database some seven times; after each
answer it would wait for up to 5 ms, Python's own figure, while another thread calculates."""
LARGEST_COMPARED = 4096
"""Bytes of a body that tells lanes apart."""
REST_MOST = 0.1
"""Seconds that a crowd rests at most: a slow request of its own must not stop it."""
LATELY = 1.0
"""Seconds for which others count as coming after one of them was called."""
_READS = frozenset({"GET", "HEAD"})
_NAME_BYTES = 16


class _Turn:
    """One request that waits to be called, and the seconds that its crowd rests before it."""

    __slots__ = ("called", "rest")

    def __init__(self) -> None:
        self.called = threading.Event()
        self.rest = 0.0


class _Lane:
    """Equal requests: who is worked on and who waits, and what its turns and rests are told by."""

    __slots__ = ("at_work", "passed", "took", "waiting")

    def __init__(self) -> None:
        self.at_work = 0
        self.waiting: deque[_Turn] = deque()
        self.passed = 0
        """How many of other lanes were called since one of this was."""
        self.took = 0.0
        """Seconds of its last request."""


class Turns:
    """A WSGI application that lets `at_once` requests into `application`, lane after lane."""

    def __init__(
        self,
        application: Application,
        *,
        at_once: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`at_once`: as many as have a database connection each and a core in sight."""
        self._clock, self._sleep = clock, sleep
        self._application = application
        self._at_once = at_once
        self._of_a_lane, self._of_a_crowd = max(1, at_once - 1), max(1, at_once // 4)
        self._lock = threading.Lock()
        self._at_work = 0
        self._lanes: dict[bytes, _Lane] = {}
        """By what is asked; whose turn was longest ago comes first."""
        self._other_called = -math.inf
        """When somebody of no crowd was called last."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer when it is this request's turn."""
        name = _lane_of(environ)
        begun = self._begin(name)
        try:
            answer = self._application(environ, start_response)
        except BaseException:
            self._end(name, begun)
            raise
        return _Answer(answer, lambda: self._end(name, begun))

    def _begin(self, name: bytes) -> float:
        turn = _Turn()
        with self._lock:
            self._lanes.setdefault(name, _Lane()).waiting.append(turn)
            self._call_next()
        turn.called.wait()
        if turn.rest:
            self._sleep(turn.rest)
        return self._clock()

    def _end(self, name: bytes, begun: float) -> None:
        with self._lock:
            self._at_work -= 1
            lane = self._lanes[name]
            lane.at_work -= 1
            lane.took = self._clock() - begun
            if not lane.at_work and not lane.waiting:
                del self._lanes[name]
            self._call_next()

    def _call_next(self) -> None:
        """Fill the free places; a lane that was called stands last."""
        while self._at_work < self._at_once:
            name = next((name for name, lane in self._lanes.items() if self._may(lane)), None)
            if name is None:
                return
            lane = self._lanes.pop(name)
            for other in self._lanes.values():
                other.passed += 1
            self._lanes[name] = lane
            lane.passed = 0
            rest = self._rest(lane)
            turn = lane.waiting.popleft()
            turn.rest = rest
            lane.at_work += 1
            self._at_work += 1
            turn.called.set()

    def _rest(self, lane: _Lane) -> float:
        """How long this lane's next waits for the sake of others; notes when it is itself another."""
        now = self._clock()
        if not self._is_crowd(lane):
            self._other_called = now
            return 0.0
        alone = self._at_once == 1 or now - self._other_called > LATELY
        return 0.0 if alone else min(lane.took, REST_MOST)

    def _may(self, lane: _Lane) -> bool:
        if not lane.waiting:
            return False
        if not self._is_crowd(lane):
            return lane.at_work < self._of_a_lane
        in_crowds = sum(each.at_work for each in self._lanes.values() if self._is_crowd(each))
        turn = self._at_work == in_crowds or lane.passed >= self._at_once
        return turn and lane.at_work < self._of_a_crowd

    def _is_crowd(self, lane: _Lane) -> bool:
        return len(lane.waiting) > self._at_once


class _Answer:
    """An answer on its way; its place is free once it was sent, closed or dropped."""

    def __init__(self, parts: Iterable[bytes], done: Callable[[], None]) -> None:
        self._parts, self._next, self._done = parts, iter(parts), done
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._next)

    def close(self) -> None:
        """Close what is behind, and give the place to the next."""
        if not self._open:
            return
        self._open = False
        try:
            close = getattr(self._parts, "close", None)
            if close is not None:
                close()
        finally:
            self._done()

    def __del__(self) -> None:
        self.close()  # a server that forgets to close must not cost a place


def _lane_of(environ: dict[str, Any]) -> bytes:
    """What is asked, as a digest; of what is read, by whom too."""
    told_by = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING"]
    if environ["REQUEST_METHOD"] in _READS:
        told_by.append("HTTP_AUTHORIZATION")
    asked = hashlib.sha256(
        "\0".join(environ.get(name, "") for name in told_by).encode(errors="backslashreplace")
    )
    length = environ.get("CONTENT_LENGTH") or "0"
    short = length.isascii() and length.isdigit() and len(length) <= len(str(LARGEST_COMPARED))
    if not short or int(length) > LARGEST_COMPARED or environ.get("HTTP_TRANSFER_ENCODING"):
        return os.urandom(_NAME_BYTES)
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    asked.update(b"\0" + body)
    return asked.digest()
