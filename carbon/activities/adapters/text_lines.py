"""Bytes become numbered lines, and no byte sequence can take more than its own line with it.

A record never spans lines: a quotation mark that stays open spoils one line, not the rest of the
file. Files come in UTF-8 or GB18030 (which contains GBK); the choice is made once a piece.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import polars as pl

LINE_BYTES_MAX = 16_384
CHUNK_BYTES = 8 << 20
CHUNK_LINES = 120_000
"""About as many as CHUNK_BYTES have in a usual file. A row of two bytes becomes as many cells as the header
names: four million of them in one piece were gigabytes."""
CONTROLS = bytes((*range(0x09), *range(0x0B, 0x20), 0x7F))
"""What stands in no line: the control characters but tab and line feed."""
CONTROL = r"[\x00-\x08\x0b-\x1f\x7f]"
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read: under which number, from where, and how much of it at once."""

    file_no: int = 1
    after_line: int = 0
    """Lines up to this one are left out."""
    chunk_bytes: int = CHUNK_BYTES
    line_bytes_max: int = LINE_BYTES_MAX
    threads: int = 0
    """So many pieces are read ahead, side by side."""


WHOLE = Reading()
"""All lines of the first file, by whoever asks for them."""


class LineChunk(NamedTuple):
    """Whole lines of a stream, and the number of the first."""

    first_line_no: int
    data: bytes

    @property
    def last_line_no(self) -> int:
        """The number of the last, whether or not an end of line follows it."""
        return self.first_line_no + self.data.removesuffix(b"\n").count(b"\n")


class LineCount:
    """How many lines bytes have that come block by block: their ends, and a last line without one.

    The number that the last line has in `split_lines`, where blank lines have numbers too.
    """

    def __init__(self) -> None:
        self.ends, self._goes_on = 0, False

    def add(self, block: bytes) -> None:
        """Take the next block, of any size."""
        if block:
            self.ends += block.count(b"\n")
            self._goes_on = not block.endswith(b"\n")

    @property
    def lines(self) -> int:
        """The lines of all blocks so far."""
        return self.ends + self._goes_on


def read_chunks(
    stream: BinaryIO,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    line_bytes_max: int = LINE_BYTES_MAX,
    chunk_lines: int = CHUNK_LINES,
) -> Iterator[LineChunk]:
    """Cut a stream into chunks of whole lines, each of at most `chunk_lines`, in bounded memory.

    A line that goes on past its chunk is cut one byte above `line_bytes_max`, which is enough to refuse it.
    """
    rest, line_no, skipping = b"", 1, False
    while block := stream.read(chunk_bytes):
        if skipping:
            end = block.find(b"\n")
            if end < 0:
                continue
            block, skipping = block[end:], False
        block = rest + block
        cut = block.rfind(b"\n") + 1
        data, rest = block[:cut], block[cut:]
        if len(rest) > line_bytes_max:
            rest, skipping = rest[: line_bytes_max + 1], True
        if data:
            yield from _of_few_lines(LineChunk(line_no, data), most=chunk_lines)
            line_no += data.count(b"\n")
    if rest:
        yield LineChunk(line_no, rest)


def _of_few_lines(chunk: LineChunk, *, most: int) -> Iterator[LineChunk]:
    """The same lines, halved until none has more than `most`."""
    first, data = chunk
    if data.count(b"\n") <= most:
        yield chunk
        return
    middle = len(data) // 2
    cut = data.find(b"\n", middle, -1) + 1 or data.rfind(b"\n", 0, middle) + 1
    yield from _of_few_lines(LineChunk(first, data[:cut]), most=most)
    yield from _of_few_lines(LineChunk(first + data.count(b"\n", 0, cut), data[cut:]), most=most)


def split_lines(
    data: bytes, *, file_no: int = 1, first_line_no: int = 1, line_bytes_max: int = LINE_BYTES_MAX
) -> pl.DataFrame:
    """A row for each line that is not blank: `file_no`, `line_no`, `text`, `line_code`.

    `line_code` is null, `text_not_readable`, `line_too_long` or `control_character`; the text of a line that
    is not readable or too long is null. Line ends are LF or CRLF; a byte order mark is dropped.
    """
    data = data.removeprefix(BOM) if first_line_no == 1 else data
    texts, sizes = _decode(data)
    frame = pl.DataFrame({"text": pl.Series("text", texts, dtype=pl.String)})
    frame = frame.with_row_index("line_no", offset=first_line_no).select(
        pl.lit(file_no, pl.Int32).alias("file_no"), pl.col("line_no").cast(pl.Int64), "text"
    )
    size = pl.col("text").str.len_bytes() if sizes is None else pl.Series("size", sizes, dtype=pl.UInt32)
    frame = frame.with_columns(size=size, text=pl.col("text").str.strip_suffix("\r"))
    frame = frame.filter(pl.col("text").is_null() | (pl.col("text").str.strip_chars(" \t") != ""))
    code = (
        pl.when(pl.col("size") > line_bytes_max)
        .then(pl.lit("line_too_long"))
        .when(pl.col("text").is_null())
        .then(pl.lit("text_not_readable"))
        .when(pl.col("text").str.contains(CONTROL))
        .then(pl.lit("control_character"))
    )
    frame = frame.with_columns(line_code=code).drop("size")
    return frame.with_columns(
        text=pl.when(pl.col("line_code").is_null() | (pl.col("line_code") == "control_character")).then(
            pl.col("text")
        )
    )


def _decode(data: bytes) -> tuple[list[str | None], list[int] | None]:
    """The lines as text; where not all are UTF-8, one by one, with the size of each."""
    try:
        return list(data.decode().split("\n")), None
    except UnicodeDecodeError:
        raw = data.split(b"\n")
        foreign = [line for line in raw if not line.isascii()]
        broken = sum(_text(line, "utf-8") is None for line in foreign)
        encoding = "gb18030" if 2 * broken > len(foreign) else "utf-8"
        return [_text(line, encoding) for line in raw], [len(line) for line in raw]


def _text(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None
