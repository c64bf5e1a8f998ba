"""NDJSON lines that differ in their values alone, as one program writes them, are read as a table.

What stands outside the strings is the same in each line but for its numbers, so the quotation marks
separate columns, and a reader of CSV finds them many times as fast as one of JSON.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from operator import and_

import polars as pl

from carbon.activities.adapters.ndjson_cells import USUAL, split_objects
from carbon.activities.adapters.text_lines import CONTROLS, LINE_BYTES_MAX, LineChunk, split_lines
from carbon.methodologies.inputs import INPUTS

_ODD = CONTROLS + b"\t\\"
"""What stands in no chunk that is read here: with an escape a quotation mark need not end a string."""
_NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class _Number:
    """A column with a number, and the pattern of what stands around it."""

    column: str
    pattern: str

    @property
    def digits(self) -> pl.Expr:
        """Null where it is written otherwise."""
        return pl.col(self.column).str.extract(self.pattern)


@dataclass(frozen=True)
class _Form:
    """A line cut at its quotation marks: what each column holds."""

    columns: list[str]
    fixed: dict[str, str] = field(default_factory=dict)
    """Columns that are the same in each line: names of fields, and what stands between strings."""
    texts: dict[str, str] = field(default_factory=dict)
    """The column of each field that is a string."""
    numbers: dict[str, _Number] = field(default_factory=dict)
    """Each field that is a number."""
    inputs: dict[str, _Number] = field(default_factory=dict)
    """What each column with the name of an input says the name of: rides by metro and by bus differ in it."""


def read_objects(chunk: LineChunk, *, file_no: int = 1, line_bytes_max: int = LINE_BYTES_MAX) -> pl.DataFrame:
    """`split_lines` and `split_objects` at once: faster where all lines of the chunk are written alike."""
    uniform = _uniform_cells(chunk, file_no=file_no, line_bytes_max=line_bytes_max)
    if uniform is not None:
        return uniform
    lines = split_lines(
        chunk.data, file_no=file_no, first_line_no=chunk.first_line_no, line_bytes_max=line_bytes_max
    )
    return split_objects(lines).drop("text")


def _uniform_cells(chunk: LineChunk, *, file_no: int, line_bytes_max: int) -> pl.DataFrame | None:
    """The cells of plain ASCII lines, usual and without escapes; None where one is written otherwise."""
    data = chunk.data.replace(b"\r\n", b"\n") if b"\r" in chunk.data else chunk.data
    if not data.isascii() or len(data.translate(None, _ODD)) < len(data):
        return None
    first = data.split(b"\n", 1)[0]
    form = _form_of(first.decode()) if len(first) < line_bytes_max else None
    parts = None if form is None else _parts(data, form.columns)
    if form is None or parts is None:
        return None
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    if parts.height != lines or _longest(parts) >= line_bytes_max or not _all_alike(parts, form):
        return None
    numbers = {name: number.digits for name, number in form.numbers.items()}
    cells = parts.select(
        pl.lit(file_no, pl.Int32).alias("file_no"),
        pl.int_range(chunk.first_line_no, chunk.first_line_no + lines, dtype=pl.Int64).alias("line_no"),
        pl.lit(None, dtype=pl.String).alias("line_code"),
        **{name: pl.col(column) for name, column in form.texts.items()},
        **numbers,
        **dict(_inputs(parts, form)),
    )
    # Each line has all the numbers of the form; what was no plain one was left out.
    found = sum(cells[name].count() for name in (*INPUTS, *numbers) if name in cells.columns)
    return cells if found == lines * (len(form.numbers) + len(form.inputs)) else None


def _form_of(line: str) -> _Form | None:
    """How a line is written; None where it is not of the usual form, or repeats a field."""
    if not pl.Series([line]).str.contains(USUAL).all():
        return None
    parts = line.split('"')
    form = _Form([f"part_{number}" for number in range(len(parts))])
    names: list[str] = []
    for place, (column, part) in enumerate(zip(form.columns, parts, strict=True)):
        inside = place % 2 == 1
        if inside and parts[place + 1].lstrip(" ").startswith(":"):
            names.append(part)
            if part not in INPUTS:
                form.fixed[column] = part
        elif inside:
            form.texts[names[-1]] = column
        elif found := _NUMBER.search(part):
            before, after = re.escape(part[: found.start()]), re.escape(part[found.end() :])
            number = _Number(column, rf"\A{before}(0|[1-9][0-9]{{0,17}}){after}\z")
            if names[-1] in INPUTS:
                form.inputs[form.columns[place - 1]] = number
            else:
                form.numbers[names[-1]] = number
        else:
            form.fixed[column] = part
    return form if len(set(names)) == len(names) else None


def _parts(data: bytes, columns: list[str]) -> pl.DataFrame | None:
    """The lines cut at their quotation marks; None where one has more of them."""
    try:
        return pl.read_csv(
            data,
            has_header=False,
            schema=dict.fromkeys(columns, pl.String),
            separator='"',
            quote_char=None,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError:
        return None


def _longest(parts: pl.DataFrame) -> int:
    """The bytes of the longest line, a quotation mark after each part."""
    return int(parts.select(pl.sum_horizontal(pl.all().str.len_bytes() + 1).max()).item() or 0)


def _all_alike(parts: pl.DataFrame, form: _Form) -> bool:
    """Whether all lines have what is fixed, and no input twice."""
    same = [pl.col(column).eq_missing(text) for column, text in form.fixed.items()]
    once = [pl.col(one) != pl.col(other) for one, other in combinations(form.inputs, 2)]
    return bool(parts.select(reduce(and_, (each.all() for each in (*same, *once)))).item())


def _inputs(parts: pl.DataFrame, form: _Form) -> Iterator[tuple[str, pl.Expr]]:
    """The digits of each known input, wherever a line names it."""
    named = set().union(*(parts[column].unique() for column in form.inputs))
    for name in INPUTS:
        if name in named:
            places = (
                pl.when(pl.col(column) == name).then(number.digits) for column, number in form.inputs.items()
            )
            yield name, pl.coalesce(*places)
