"""A CSV file piece by piece: its header once, then the cells of its lines, in bounded memory and in order."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, TypeVar

import polars as pl

from carbon.activities.adapters.csv_cells import read_cells, read_header, split_header
from carbon.activities.adapters.text_lines import LineChunk, Reading, read_chunks
from kernel.side_by_side import in_order

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class CsvForm:
    """The columns that a file has and may have."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


def read_pieces(
    stream: BinaryIO, understand: Callable[[pl.DataFrame], Result], form: CsvForm, reading: Reading
) -> Iterator[Result]:
    """What `understand` makes of the cells of each piece (as `read_cells` gives them), in the file's order.

    The first piece comes in any case, with no line perhaps. Where pieces are read ahead `understand` runs in
    several threads. Refuses FileEmpty and HeaderDiffers at the first piece.
    """
    after_line, line_bytes_max = reading.after_line, reading.line_bytes_max

    def read(chunk: LineChunk, names: list[str]) -> Result:
        cells = read_cells(chunk, names, file_no=reading.file_no, line_bytes_max=line_bytes_max)
        return understand(cells.filter(pl.col("line_no") > after_line) if after_line else cells)

    def works() -> Iterator[Callable[[], Result]]:
        chunks = read_chunks(stream, chunk_bytes=reading.chunk_bytes, line_bytes_max=line_bytes_max)
        header, rest = split_header(chunks, line_bytes_max=line_bytes_max)
        names = read_header(header, required=form.required, optional=form.optional)[0]
        yield partial(read, rest, names)
        for chunk in chunks:
            if chunk.last_line_no > after_line:
                yield partial(read, chunk, names)

    return in_order(works(), threads=reading.threads)
