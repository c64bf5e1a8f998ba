"""NDJSON that one program wrote is read as a table, and says what it says line by line."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from carbon.activities.adapters import ndjson_uniform
from carbon.activities.adapters.activity_fields import CELLS
from carbon.activities.adapters.ndjson_cells import split_objects
from carbon.activities.adapters.ndjson_uniform import _uniform_cells, read_objects
from carbon.activities.adapters.text_lines import LINE_BYTES_MAX, LineChunk, split_lines
from carbon.methodologies.inputs import INPUTS

METRO = (
    '{"source_event_id":"20261101-1","subject":"DEMO0001","scenario":"metro_ride",'
    '"occurred_at":"2026-11-01T08:00:00+08:00","inputs":{"distance_m":4315}}'
)
BUS = METRO.replace('"distance_m":4315', '"trips":1').replace("metro", "bus")
HOME = '{"subject": "DEMO0002", "inputs": {"baseline_wh": 9000, "actual_wh": 8000}, "corrects_revision": 2}'
SPOILT = (
    METRO.replace("4315", "04315"),
    METRO.replace("4315", "4315.0"),
    METRO.replace("4315", "-1"),
    METRO.replace("4315", "1" * 19),
    METRO.replace("4315", "null"),
    METRO.replace("4315", '"4315"'),
    METRO.replace("4315", "4315 "),
    METRO.replace("distance_m", "distance_km"),
    METRO.replace("DEMO", "DEMO\\u0041"),
    METRO.replace("DEMO", "DE\tMO"),
    METRO.replace("DEMO", "DE\x00MO"),
    METRO.replace("DEMO", "地铁"),
    METRO.replace("DEMO0001", "D" * LINE_BYTES_MAX),
    METRO.replace('"subject"', '"scenario"'),
    METRO.replace('"subject":', '"subject" :'),
    METRO.replace(',"inputs":{"distance_m":4315}', ""),
    METRO + "\r\r",
    METRO + " ",
    METRO + '"',
    METRO + '"more"',
    METRO[:-1],
    METRO[:40],
    HOME.replace("baseline_wh", "actual_wh"),
    "",
    " ",
    "[]",
    "null",
)

words = st.text("abz019-_:,{}[] ", max_size=12)
numbers = st.integers(0, 10**18 - 1)
kinds: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("source_event_id", "subject", "scenario", "occurred_at", "unit", "evidence"), words),
    **dict.fromkeys(("quantity", "corrects_revision"), numbers),
}


@st.composite
def files(draw: st.DrawFn) -> list[str]:
    """Lines of the same fields in the same order, and inputs of any names, as many in each."""
    names = draw(st.lists(st.sampled_from([*kinds, "inputs"]), min_size=1, unique=True))
    inputs = draw(st.integers(0, 3))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
    named = st.lists(st.sampled_from([*INPUTS]), min_size=inputs, max_size=inputs, unique=True)
    return [
        json.dumps(
            {
                name: {each: draw(numbers) for each in draw(named)} if name == "inputs" else draw(kinds[name])
                for name in names
            },
            separators=separators,
        )
        for _ in range(draw(st.integers(1, 4)))
    ]


def _chunk(*lines: str, end: str = "\n") -> LineChunk:
    return LineChunk(7, "".join(line + end for line in lines).encode())


def _uniform(chunk: LineChunk) -> pl.DataFrame | None:
    return _uniform_cells(chunk, file_no=2, line_bytes_max=LINE_BYTES_MAX)


def _shaped(cells: pl.DataFrame) -> pl.DataFrame:
    """All columns of both ways, in one order."""
    missing = [name for name in ("pointer", *CELLS) if name not in cells.columns]
    return cells.with_columns(pl.lit(None, pl.String).alias(name) for name in missing).select(
        "file_no", "line_no", "line_code", "pointer", *CELLS
    )


def _assert_as_line_by_line(chunk: LineChunk) -> None:
    lines = split_lines(chunk.data, file_no=2, first_line_no=chunk.first_line_no)
    assert_frame_equal(_shaped(read_objects(chunk, file_no=2)), _shaped(split_objects(lines)))


@given(files())
@example([METRO, BUS, METRO.replace("DEMO0001", "")])
@example([HOME, HOME.replace("baseline_wh", "baseline_ml").replace("actual_wh", "actual_ml")])
def test_lines_that_differ_in_values_alone_are_read_as_a_table(lines: list[str]) -> None:
    for chunk in (_chunk(*lines), _chunk(*lines, end="\r\n"), _chunk("\n".join(lines), end="")):
        assert _uniform(chunk) is not None
        _assert_as_line_by_line(chunk)


@pytest.mark.parametrize("spoilt", SPOILT)
def test_a_line_that_is_written_otherwise_is_judged_by_itself(spoilt: str) -> None:
    _assert_as_line_by_line(_chunk(spoilt, spoilt))
    for neighbours in ((METRO, BUS), (HOME, HOME)):
        for place in range(3):
            lines = [*neighbours[:place], spoilt, *neighbours[place:]]
            for end in ("\n", "\r\n"):
                assert _uniform(_chunk(*lines, end=end)) is None
                _assert_as_line_by_line(_chunk(*lines, end=end))


def test_a_line_that_is_too_long_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson_uniform, "_form_of", pytest.fail)
    line = "{" + ",".join(['"unit":""'] * LINE_BYTES_MAX) + "}"
    assert read_objects(_chunk(line))["line_code"].to_list() == ["line_too_long"]


@given(files(), st.data())
def test_whatever_becomes_of_a_line_both_ways_say_the_same(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:place] + data.draw(st.text('"\\:,{}019 \n\rtn\x01é', max_size=3)) + text[place + cut :]
    _assert_as_line_by_line(LineChunk(7, text.encode()))
