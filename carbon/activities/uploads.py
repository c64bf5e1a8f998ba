"""A partner's bytes become a file, whole or not at all, and no upload can hurt its neighbours.

Everything is judged while it streams: length, digest, inflation, lines. What is refused leaves nothing
behind. Bytes lie under a name of their own, so uploads of one batch never meet; which file a batch
has is said by its row. The folder is shared by whoever serves and whoever imports.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import re
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from carbon.activities.adapters.errors import FileEmpty
from carbon.activities.adapters.text_lines import LineCount
from carbon.activities.adapters.workbook.parts import BYTES_MAX as WORKBOOK_BYTES_MAX
from carbon.activities.errors import (
    ContentDigestDiffers,
    ContentDigestMissing,
    EncodingBroken,
    EncodingUnknown,
    InflatesTooFar,
    UploadIncomplete,
    UploadLineTooLong,
    UploadTooLarge,
    UploadTooSlow,
)
from carbon.activities.patient_stream import (
    BLOCK_BYTES,
    BLOCK_SECONDS_MAX,
    PatientStream,
    Places,
    Stream,
    reading_from,
)
from kernel.errors import Refusal, require
from kernel.identifiers import new_id

CONTENT_BYTES_MAX = 256 << 20
"""About two million lines; adapters of whole files hold them in memory and take no more either."""
STATIONS_BYTES_MAX = 4 << 20
LINE_BYTES_MAX = 1 << 20
"""No record comes near; the adapters refuse from 16 KiB on, line by line."""
RATIO_MAX, RATIO_FREE_BYTES = 100, 8 << 20
"""Records of a partner deflate 5 to 40 times, a bomb 1,000 times; the first bytes may do as they like."""
MEMBERS_MAX = 10_000
"""A gzip body may be put together from so many; each costs a fresh window."""
UPLOADS_AT_ONCE = 2
"""In one process: half of the threads that `make run` gives it, so that scans always find one."""
SECONDS_MAX = 900
"""256 MiB at 300 kB/s. A sender that stops or trickles is let go after BLOCK_SECONDS_MAX."""
_DRAIN_BYTES_MAX = 32 << 20
"""A sender that is cut off in the middle may never read why; so much of the rest is read and dropped."""
_DRAIN_SECONDS_MAX = 5
_DRAINS_AT_ONCE = 8
"""Of bodies refused by their headers; with more of them a sender may miss why."""
_places = Places(UPLOADS_AT_ONCE)
_drains = threading.BoundedSemaphore(_DRAINS_AT_ONCE)
_SHA_256 = re.compile(r"(?:^|,)[ \t]*sha-256=:([A-Za-z0-9+/]{43}=):[ \t]*(?:,|$)")


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What an upload may be: its bytes after a gzip coding was undone, and those of one line.

    Where there are no lines, as in a zip, a line may be as long as the whole.
    """

    bytes_max: int
    line_bytes_max: int


LINES = Bounds(bytes_max=CONTENT_BYTES_MAX, line_bytes_max=LINE_BYTES_MAX)
STATIONS = Bounds(bytes_max=STATIONS_BYTES_MAX, line_bytes_max=LINE_BYTES_MAX)
WORKBOOK = Bounds(bytes_max=WORKBOOK_BYTES_MAX, line_bytes_max=WORKBOOK_BYTES_MAX)


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A body and what its headers say: bytes on the wire, their SHA-256, whether they are gzip."""

    stream: Stream
    length: int
    digest: bytes
    gzip: bool


@dataclass
class Upload:
    """A received file: SHA-256, bytes and lines of what is read from it. Deleted unless it is `kept`."""

    name: str
    digest: bytes
    size: int
    lines: int
    kept: bool = False


def announced(
    stream: Stream, *, length: int, content_digest: str | None, encoding: str | None, bytes_max: int
) -> Announced:
    """Judge a body by its headers. Refuses UploadTooLarge, ContentDigestMissing, EncodingUnknown."""
    require(length <= bytes_max, UploadTooLarge(pointer="/header/Content-Length", limit_bytes=bytes_max))
    found = _SHA_256.search(content_digest or "")
    if found is None:
        raise ContentDigestMissing(
            "such as sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:", pointer="/header/Content-Digest"
        )
    try:
        digest = base64.b64decode(found.group(1), validate=True)
    except binascii.Error as error:
        raise ContentDigestMissing(pointer="/header/Content-Digest") from error
    coding = (encoding or "identity").strip().lower()
    require(coding in {"identity", "gzip", "x-gzip"}, EncodingUnknown(pointer="/header/Content-Encoding"))
    return Announced(stream=stream, length=length, digest=digest, gzip=coding != "identity")


@contextlib.contextmanager
def received(
    body: Announced, folder: Path, bounds: Bounds, *, whose: str, block_seconds_max: float = BLOCK_SECONDS_MAX
) -> Iterator[Upload]:
    """The body as a durable file of `folder`, for as long as it takes somebody to keep it.

    Refuses, before it reads: UploadUnderWay (`whose` other one), Busy (others upload); as it streams:
    UploadIncomplete, UploadTooSlow, ContentDigestDiffers, EncodingBroken, InflatesTooFar, UploadTooLarge,
    UploadLineTooLong, FileEmpty.
    """
    with (
        reading_from(_places, body.stream, whose=whose, seconds=block_seconds_max) as stream,
        dropping_the_rest(stream),
    ):
        upload = _spool(replace(body, stream=stream), folder, bounds)
    try:
        yield upload
    finally:
        if not upload.kept:
            discard(folder, upload.name)


def discard(folder: Path, name: str | None) -> None:
    """Delete a received file that nobody needs any more."""
    if name is not None:
        (folder / name).unlink(missing_ok=True)


def left_behind(folder: Path, *, older_than: int) -> Iterator[str]:
    """Names of files not touched since `older_than` (seconds of the epoch): a process died between."""
    if folder.is_dir():
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < older_than:
                yield entry.name


@contextlib.contextmanager
def dropping_the_rest(stream: Stream) -> Iterator[None]:
    """Before a refusal goes out, read on and drop, within bounds, so that the sender comes to hear it."""
    try:
        yield
    except Refusal:
        with contextlib.suppress(Exception):  # the sender is gone: nobody is left to hear anything
            _drop(stream)
        raise


def _drop(stream: Stream) -> None:
    if isinstance(stream, PatientStream):
        _drain(stream)
    elif _drains.acquire(blocking=False):
        with PatientStream(stream, seconds=_DRAIN_SECONDS_MAX, over=_drains.release) as patient:
            _drain(patient)


def _drain(stream: PatientStream) -> None:
    dropped, deadline = 0, time.monotonic() + _DRAIN_SECONDS_MAX
    while dropped < _DRAIN_BYTES_MAX and time.monotonic() < deadline and (block := stream.read(BLOCK_BYTES)):
        dropped += len(block)


def _spool(body: Announced, folder: Path, bounds: Bounds) -> Upload:
    """Write, make durable, then give the name: a file under a final name is whole."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = new_id().hex
    draft = folder / f"{name}.part"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            digest, size, lines = _write(body, file, bounds)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / name)
        _make_durable(folder)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return Upload(name, digest, size, lines)


def _write(body: Announced, file: BinaryIO, bounds: Bounds) -> tuple[bytes, int, int]:
    """The SHA-256 of what was written, its bytes, its lines."""
    blocks = arriving(body)
    inflated, size, lines = hashlib.sha256(), 0, _Lines(bounds.line_bytes_max)
    for block in _inflated(blocks) if body.gzip else blocks:
        size += len(block)
        require(size <= bounds.bytes_max, UploadTooLarge(pointer="/body", limit_bytes=bounds.bytes_max))
        lines.judge(block)
        if body.gzip:
            inflated.update(block)
        file.write(block)
    require(not lines.blank, FileEmpty(pointer="/body"))
    # What was sent as it is was hashed as it arrived.
    return inflated.digest() if body.gzip else body.digest, size, lines.counted.lines


def arriving(body: Announced) -> Iterator[bytes]:
    """The blocks of the body as they come; that it came whole and is the one announced, at its end."""
    hashed, arrived = hashlib.sha256(), 0
    deadline = time.monotonic() + SECONDS_MAX
    while arrived < body.length:
        try:
            block = body.stream.read(min(BLOCK_BYTES, body.length - arrived))
        except Refusal:
            raise
        except Exception as error:  # servers differ in how they tell that the sender hung up
            raise UploadIncomplete(pointer="/body", announced=body.length, arrived=arrived) from error
        # The server ends a torn body like a whole one: only the count tells.
        require(block, UploadIncomplete(pointer="/body", announced=body.length, arrived=arrived))
        require(time.monotonic() < deadline, UploadTooSlow(pointer="/body", limit_s=SECONDS_MAX))
        arrived += len(block)
        hashed.update(block)
        yield block
    require(hashed.digest() == body.digest, ContentDigestDiffers(pointer="/header/Content-Digest"))


def _inflated(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Inflate step by step: never more than a block in memory, never far beyond what came in."""
    engine, members, came, made = _engine(), 1, 0, 0
    for arrived in blocks:
        block = arrived
        came += len(block)
        while block:
            if engine.eof:
                engine, members = _engine(), members + 1
                require(members <= MEMBERS_MAX, InflatesTooFar(pointer="/body", limit_members=MEMBERS_MAX))
            for piece in _pieces(engine, block):
                made += len(piece)
                allowed = RATIO_FREE_BYTES + RATIO_MAX * came
                require(made <= allowed, InflatesTooFar(pointer="/body", limit_ratio=RATIO_MAX))
                yield piece
            block = engine.unused_data
    require(engine.eof, EncodingBroken("it ends early", pointer="/body"))


def _pieces(engine: "zlib._Decompress", block: bytes) -> Iterator[bytes]:
    """What the engine makes of a block, in pieces of bounded size, to the end of the block or member."""
    more = True
    while more:
        try:
            piece = engine.decompress(block, BLOCK_BYTES)
        except zlib.error as error:
            raise EncodingBroken(pointer="/body") from error
        block = engine.unconsumed_tail
        # A full piece may leave output inside the engine even when all input is used up.
        more = not engine.eof and (bool(block) or len(piece) == BLOCK_BYTES)
        if piece:
            yield piece


def _engine() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=31)  # the gzip form, with its own checksum


class _Lines:
    """Counts lines, refuses one that goes on and on, and knows whether anything but white space came."""

    def __init__(self, bytes_max: int) -> None:
        self.counted, self.blank, self._open = LineCount(), True, 0
        self._bytes_max = bytes_max

    def judge(self, block: bytes) -> None:
        """Take the next block; blocks are shorter than a line may be, so only their edges matter."""
        self.blank = self.blank and block.isspace()
        end = block.find(b"\n")
        self._open += len(block) if end < 0 else end
        if self._open > self._bytes_max:
            line_no = self.counted.ends + 1
            raise UploadLineTooLong(
                f"line {line_no}",
                pointer=f"/lines/{line_no}",
                line=line_no,
                limit_bytes=self._bytes_max,
            )
        self.counted.add(block)
        if end >= 0:
            self._open = len(block) - block.rfind(b"\n") - 1


def _make_durable(folder: Path) -> None:
    """Let the new name survive a power cut, as the database row that will name it does."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
