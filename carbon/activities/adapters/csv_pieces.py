"""A CSV file piece by piece: its header once, then the cells of its lines, in bounded memory and in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeVar

import polars as pl

from carbon.activities.adapters.csv_cells import read_cells, read_header, split_header
from carbon.activities.adapters.text_lines import LINE_BYTES_MAX, LineChunk, read_chunks
from kernel.side_by_side import in_order

Result = TypeVar("Result")
CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Form:
    """The columns that a file has and may have, and the longest line."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    line_bytes_max: int = LINE_BYTES_MAX


def read_pieces(
    stream: BinaryIO,
    understand: Callable[[pl.DataFrame], Result],
    form: Form,
    *,
    file_no: int = 1,
    after_line: int = 0,
    chunk_bytes: int = CHUNK_BYTES,
    threads: int = 0,
) -> Iterator[Result]:
    """What `understand` makes of the cells of each piece (as `read_cells` gives them), in the file's order.

    Lines up to `after_line` are left out; the first piece comes in any case, with no line perhaps. `threads`
    of the pieces are read ahead, side by side, so `understand` runs in several threads. Refuses FileEmpty and
    HeaderDiffers at the first piece.
    """

    def read(chunk: LineChunk, names: list[str]) -> Result:
        cells = read_cells(chunk, names, file_no=file_no, line_bytes_max=form.line_bytes_max)
        return understand(cells.filter(pl.col("line_no") > after_line) if after_line else cells)

    def works() -> Iterator[Callable[[], Result]]:
        chunks = read_chunks(stream, chunk_bytes=chunk_bytes, line_bytes_max=form.line_bytes_max)
        header, rest = split_header(chunks, line_bytes_max=form.line_bytes_max)
        names = read_header(header, required=form.required, optional=form.optional)[0]
        yield partial(read, rest, names)
        for chunk in chunks:
            if chunk.last_line_no > after_line:
                yield partial(read, chunk, names)

    return in_order(works(), threads=threads)
