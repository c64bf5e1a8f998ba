"""Lines become cells: RFC 4180 within one line, strictly, fast where no quotation mark stands."""

import csv
import re
from collections.abc import Iterator

import polars as pl

from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers
from carbon.activities.adapters.text_lines import BOM, CONTROLS, LINE_BYTES_MAX, LineChunk, split_lines
from kernel.errors import require

_BLANK_LINES = re.compile(rb"(?:[ \t]*+\r?\n)*+")
_ODD = CONTROLS + b'"'


def read_header(
    lines: pl.DataFrame, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> tuple[list[str], pl.DataFrame]:
    """The column names of the first line, and the lines below it.

    Order is free. Refusals, in order: FileEmpty, HeaderDiffers (unreadable, a name twice, a required
    name missing, a name that the format does not have).
    """
    require(lines.height, FileEmpty())
    text, code = lines.row(0, named=True)["text"], lines.row(0, named=True)["line_code"]
    names = None if text is None or code is not None else _quoted_cells(text)
    if names is None:
        raise HeaderDiffers("the first line is not a readable header")
    require_columns(names, required=required, optional=optional)
    return names, lines.slice(1)


def require_columns(names: list[str], *, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Refuse HeaderDiffers: a name twice, a required name missing, a name that the format does not have."""
    require(len(set(names)) == len(names), HeaderDiffers("a column stands twice"))
    missing = [name for name in required if name not in names]
    require(not missing, HeaderDiffers(f"missing: {', '.join(missing)}", missing=missing))
    unknown = sum(name not in (*required, *optional) for name in names)
    require(not unknown, HeaderDiffers(f"{unknown} columns that the format does not have"))


def split_header(
    chunks: Iterator[LineChunk], *, line_bytes_max: int = LINE_BYTES_MAX
) -> tuple[pl.DataFrame, LineChunk]:
    """The first line that is not blank, for `read_header`, and what follows it in its chunk."""
    for number, data in chunks:
        start = len(BOM) if number == 1 and data.startswith(BOM) else 0
        blank = _BLANK_LINES.match(data, start)
        # Where no line is blank the byte order mark is left to `split_lines`.
        begin = blank.end() if blank and blank.end() > start else 0
        end = data.find(b"\n", begin) + 1 or len(data)
        first = LineChunk(number + data.count(b"\n", 0, begin), data[begin:end])
        header = split_lines(first.data, first_line_no=first.first_line_no, line_bytes_max=line_bytes_max)
        if not header.is_empty():
            return header, LineChunk(first.first_line_no + 1, data[end:])
    return split_lines(b""), LineChunk(1, b"")


def read_cells(
    chunk: LineChunk, names: list[str], *, file_no: int = 1, line_bytes_max: int = LINE_BYTES_MAX
) -> pl.DataFrame:
    """`split_lines` and `split_cells` at once: faster where nothing in the chunk needs a closer look."""
    plain = _plain_cells(chunk, names, file_no=file_no, line_bytes_max=line_bytes_max)
    if plain is not None:
        return plain
    lines = split_lines(
        chunk.data, file_no=file_no, first_line_no=chunk.first_line_no, line_bytes_max=line_bytes_max
    )
    return split_cells(lines, names).drop("text")


def _plain_cells(
    chunk: LineChunk, names: list[str], *, file_no: int, line_bytes_max: int
) -> pl.DataFrame | None:
    """The cells of plain ASCII lines, none of them blank, quoted, too long or of other columns; or None."""
    data = chunk.data.replace(b"\r\n", b"\n") if b"\r" in chunk.data else chunk.data
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    commas = lines * (len(names) - 1)
    if not data.isascii() or data.count(b",") != commas or len(data.translate(None, _ODD)) < len(data):
        return None
    try:
        # As many commas as there should be, and a line with one too many is an error: each has its own.
        cells = pl.read_csv(data, has_header=False, schema=dict.fromkeys(names, pl.String), quote_char=None)
    except pl.exceptions.PolarsError:
        return None
    longest = cells.select(pl.sum_horizontal(pl.all().str.len_bytes().fill_null(0)).max()).item() or 0
    if cells.height != lines or longest + len(names) >= line_bytes_max:
        return None
    return cells.select(
        pl.lit(file_no, pl.Int32).alias("file_no"),
        pl.int_range(chunk.first_line_no, chunk.first_line_no + lines, dtype=pl.Int64).alias("line_no"),
        pl.lit(None, dtype=pl.String).alias("line_code"),
        pl.all(),
    )


def split_cells(lines: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Add a String column for each name; an empty cell is null.

    Lines that already have a code, and lines refused here (`quote_unclosed`, `columns_differ`), have
    null in every cell.
    """
    readable = pl.col("line_code").is_null()
    quoted = pl.col("text").str.contains('"', literal=True)
    commas = pl.col("text").str.count_matches(",", literal=True)
    plain = readable & ~quoted & (commas == len(names) - 1)
    cells = pl.when(plain).then(pl.col("text")).str.split_exact(",", len(names) - 1)
    frame = lines.with_columns(cells.struct.rename_fields(names).alias("cells")).unnest("cells")
    frame = frame.with_columns(
        line_code=pl.when(readable & ~quoted & ~plain)
        .then(pl.lit("columns_differ"))
        .otherwise(pl.col("line_code"))
    )
    quoted_lines = lines.with_row_index("row").filter(readable & quoted)
    if quoted_lines.height:
        frame = _with_quoted(frame, quoted_lines, names)
    return frame.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names)


def _with_quoted(frame: pl.DataFrame, quoted_lines: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Lay the cells of lines with quotation marks, which are few, over the frame."""
    codes: list[str | None] = []
    columns: list[list[str | None]] = [[] for _ in names]
    for text in quoted_lines["text"]:
        cells = _quoted_cells(text)
        whole = cells is not None and len(cells) == len(names)
        codes.append("quote_unclosed" if cells is None else None if whole else "columns_differ")
        for column, cell in zip(columns, cells if cells and whole else [None] * len(names), strict=True):
            column.append(cell)
    found = pl.DataFrame(
        [
            quoted_lines["row"],
            pl.Series("line_code", codes, dtype=pl.String),
            *(pl.Series(name, cells, dtype=pl.String) for name, cells in zip(names, columns, strict=True)),
        ]
    )
    return frame.with_row_index("row").update(found, on="row", how="left").drop("row")


def _quoted_cells(text: str) -> list[str] | None:
    """The cells of one line, or None where its quotation marks do not close."""
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None
