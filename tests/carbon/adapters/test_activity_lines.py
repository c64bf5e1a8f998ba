"""The platform's own format: CSV and NDJSON say the same, and a bad line is refused alone, quickly."""

import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carbon.activities.adapters.activity_lines import Form, read_activity_lines
from carbon.activities.adapters.cell_checks import instants
from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers
from carbon.activities.adapters.frames import SCHEMA, inputs_json, refuse_repetitions, row_inputs
from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES
from carbon.activities.adapters.text_lines import (
    CHUNK_BYTES,
    CHUNK_LINES,
    LINE_BYTES_MAX,
    LineCount,
    Reading,
    read_chunks,
)
from carbon.methodologies.inputs import INPUTS
from kernel.clock import parse_instant
from kernel.errors import Refusal

RIDE: dict[str, Any] = {
    "source_event_id": "ride-1",
    "subject": "DEMO0001",
    "scenario": "metro_ride",
    "occurred_at": "2024-05-01T08:00:00+08:00",
    "quantity": 4_315,
    "unit": "m",
}


def _read(data: bytes, form: Form = "ndjson", **limits: int) -> pl.DataFrame:
    return pl.concat(read_activity_lines(io.BytesIO(data), form=form, reading=Reading(**limits)))


def _line(**changes: Any) -> str:
    fields = {name: value for name, value in (RIDE | changes).items() if value is not ...}
    return json.dumps(fields, ensure_ascii=False)


def _csv(*records: dict[str, Any]) -> bytes:
    names = list(dict.fromkeys(name for record in records for name in record))
    lines = [",".join(names), *(",".join(str(record.get(name, "")) for name in names) for record in records)]
    return "\n".join(lines).encode()


def test_a_ride_with_a_quantity_and_its_unit() -> None:
    row = _read(_line().encode()).row(0, named=True)
    assert (row["outcome"], row["line_no"], row["scenario"]) == (ACTIVITY, 1, "metro_ride")
    assert row["occurred_at"] == datetime(2024, 5, 1, tzinfo=UTC)
    assert row_inputs(row) == {"distance_m": 4_315}


def test_both_forms_say_the_same() -> None:
    bill = RIDE | {
        "source_event_id": "bill-1",
        "scenario": "household_electricity_saving",
        "started_at": "2024-04-01 00:00+08:00",
        "corrects_revision": 2,
    }
    del bill["quantity"], bill["unit"]
    amounts = {"baseline_wh": 200_000, "actual_wh": 165_000}
    ndjson = _read(f"{_line()}\n{json.dumps(bill | {'inputs': amounts})}".encode())
    table = _read(_csv(RIDE, bill | amounts), "csv")
    assert ndjson.drop("line_no").equals(table.drop("line_no"))
    assert list(ndjson.columns) == list(SCHEMA)
    assert inputs_json(table).to_list() == [
        '{"distance_m":4315}',
        '{"actual_wh":165000,"baseline_wh":200000}',
    ]
    assert table["corrects_revision"].to_list() == [None, 2]


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("m", "distance_m"),
        ("trip", "trips"),
        ("piece", "count"),
        ("g", "mass_g"),
        ("Wh", "saved_wh"),
        ("ml", "saved_ml"),
    ],
)
def test_a_bare_quantity_is_named_by_its_unit(unit: str, name: str) -> None:
    assert row_inputs(_read(_line(unit=unit, quantity=7).encode()).row(0, named=True)) == {name: 7}


@pytest.mark.parametrize("name", list(INPUTS))
def test_every_input_is_read_by_its_name_in_either_form(name: str) -> None:
    bare = {key: value for key, value in RIDE.items() if key not in ("quantity", "unit")}
    ndjson = _read(json.dumps(bare | {"inputs": {name: 7}}).encode())
    table = _read(_csv(bare | {name: 7}), "csv")
    for frame in (ndjson, table):
        row = frame.row(0, named=True)
        assert (row["outcome"], row_inputs(row)) == (ACTIVITY, {name: 7})


def test_the_largest_integer_passes_in_either_form() -> None:
    largest = 2**63 - 1
    for frame in (_read(_line(quantity=largest).encode()), _read(_csv(RIDE | {"quantity": largest}), "csv")):
        assert frame["distance_m"].to_list() == [largest]


def test_a_withdrawal_is_a_correction_with_quantity_zero() -> None:
    row = _read(_line(quantity=0, corrects_revision=1).encode()).row(0, named=True)
    assert (row["outcome"], row["distance_m"], row["corrects_revision"]) == (ACTIVITY, 0, 1)


BAD_EITHER_WAY: list[tuple[dict[str, Any], str, str]] = [
    ({"source_event_id": ...}, "field_missing", "/source_event_id"),
    ({"subject": ...}, "field_missing", "/subject"),
    ({"scenario": ...}, "field_missing", "/scenario"),
    ({"occurred_at": ...}, "field_missing", "/occurred_at"),
    ({"quantity": ...}, "field_missing", "/quantity"),
    ({"unit": ...}, "field_missing", "/unit"),
    ({"source_event_id": "x" * 129}, "text_not_plain", "/source_event_id"),
    ({"source_event_id": "ride 1"}, "text_not_plain", "/source_event_id"),
    ({"subject": "\uff24EMO"}, "text_not_plain", "/subject"),
    ({"subject": "x" * 65}, "text_not_plain", "/subject"),
    ({"scenario": "Metro"}, "text_not_plain", "/scenario"),
    ({"scenario": "metro ride"}, "text_not_plain", "/scenario"),
    ({"occurred_at": "2024-05-01T08:00:00"}, "time_not_readable", "/occurred_at"),
    ({"occurred_at": "2024-02-30T08:00:00Z"}, "time_not_readable", "/occurred_at"),
    ({"occurred_at": "2024-05-01T24:00:00Z"}, "time_not_readable", "/occurred_at"),
    ({"occurred_at": "2024-05-01T08:00:60Z"}, "time_not_readable", "/occurred_at"),
    ({"occurred_at": "\uff12024-05-01T08:00:00Z"}, "time_not_readable", "/occurred_at"),
    ({"occurred_at": "1714521600"}, "time_not_readable", "/occurred_at"),
    ({"started_at": "2024-05-01"}, "time_not_readable", "/started_at"),
    ({"started_at": "2024-05-01T08:00:01+08:00"}, "times_reversed", "/started_at"),
    ({"quantity": -1}, "number_negative", "/quantity"),
    ({"quantity": 2**63}, "number_too_large", "/quantity"),
    ({"corrects_revision": -1}, "number_negative", "/corrects_revision"),
    ({"unit": "km"}, "unit_unknown", "/unit"),
    ({"unit": "M"}, "unit_unknown", "/unit"),
    ({"quantity": ..., "unit": "m", "trips": 1}, "unit_unknown", "/unit"),
    ({"trips": 1}, "quantity_and_inputs", "/quantity"),
    ({"quantity": ..., "unit": ..., "trips": -1}, "number_negative", "/trips"),
    ({"quantity": ..., "unit": ..., "trips": 2**63}, "number_too_large", "/trips"),
]


@pytest.mark.parametrize(("changes", "outcome", "pointer"), BAD_EITHER_WAY)
@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_a_bad_line_is_refused_by_name_in_either_form(
    form: Form, changes: dict[str, Any], outcome: str, pointer: str
) -> None:
    record = {name: value for name, value in (RIDE | changes).items() if value is not ...}
    if form == "csv":
        data = _csv(RIDE, record, RIDE)
    else:
        inputs = {name: record.pop(name) for name in list(record) if name in INPUTS}
        good = json.dumps(RIDE)
        bad = json.dumps(record | ({"inputs": inputs} if inputs else {}), ensure_ascii=False)
        data = f"{good}\n{bad}\n{good}".encode()
    frame = _read(data, form)
    assert frame["outcome"].to_list() == [ACTIVITY, outcome, ACTIVITY]
    row = frame.row(1, named=True)
    assert (row["pointer"], row["scenario"], row_inputs(row)) == (pointer, None, {})
    assert row["payload"] is None
    assert outcome in LINE_CODES


@pytest.mark.parametrize(
    ("line", "outcome", "pointer"),
    [
        ("{", "line_not_json", None),
        ("[]", "line_not_json", None),
        ("null", "line_not_json", None),
        ("[" * 5_000, "line_not_json", None),
        ('{"quantity": NaN}', "line_not_json", None),
        (_line()[:-1] + ', "occurred_at": "\\ud800"}', "line_not_json", None),
        (_line(quantity=1.0), "number_not_plain", "/quantity"),
        (_line(quantity=2**64), "number_not_plain", "/quantity"),
        (_line(quantity=1e400).replace("Infinity", "1e400"), "line_not_json", None),
        (_line(quantity="1"), "field_wrong_type", "/quantity"),
        (_line(quantity=True), "field_wrong_type", "/quantity"),
        (_line(quantity=[1]), "field_wrong_type", "/quantity"),
        (_line(subject=1), "field_wrong_type", "/subject"),
        (_line(occurred_at=1714521600), "field_wrong_type", "/occurred_at"),
        (_line(inputs=3), "field_wrong_type", "/inputs"),
        (_line(quantity=None), "field_missing", "/quantity"),
        (_line(price=1), "field_unknown", "/price"),
        (_line(**{"a/b~": 1}), "field_unknown", "/a~1b~0"),
        (_line(trips=1), "field_unknown", "/trips"),
        (_line(quantity=..., unit=..., inputs={"paces": 1}), "field_unknown", "/inputs/paces"),
        (_line(subject="A\u0000B"), "text_not_plain", "/subject"),
        (_line()[:-1] + ', "quantity": 9}', "field_repeated", None),
        (_line()[:-1] + ', "quantity" : 9}', "field_repeated", None),
        (_line(subject="inputs")[:-1] + ', "quantity":9}', "field_repeated", None),
        (_line(quantity=..., unit=..., inputs={"trips": 1})[:-2] + ', "trips": 2}}', "field_repeated", None),
        (_line(quantity=..., unit=..., inputs={}), "field_missing", "/quantity"),
    ],
)
def test_a_bad_json_line_is_refused_by_name(line: str, outcome: str, pointer: str | None) -> None:
    frame = _read(f"{_line()}\n{line}\n{_line()}".encode())
    assert frame["outcome"].to_list() == [ACTIVITY, outcome, ACTIVITY]
    assert frame["pointer"][1] == pointer
    assert outcome in LINE_CODES


NAMES = ("source_event_id", "subject", "scenario", "occurred_at", "started_at", "unit", "quantity", "other")
TEXTS = st.sampled_from(
    ("e1", "m", "2024-05-01T08:00:00+08:00", "", "a b", "a:b", "\u7897\t", "\u00a0", '"', "\\")
)
NUMBERS = st.sampled_from((0, 1, -1, 10**17, 10**18 - 1, 10**18, 2**63 - 1, 2**63, 2**70, 1.5, 1e300))
PAIRS = st.tuples(st.sampled_from((*NAMES, "corrects_revision")), TEXTS | NUMBERS | st.none() | st.booleans())
INPUT_PAIRS = st.tuples(st.sampled_from((*INPUTS, "paces")), NUMBERS | TEXTS | st.none())


def _written(pairs: list[tuple[str, str]], gap: str) -> str:
    return "{" + ",".join(f"{gap}{name}:{gap}{value}" for name, value in pairs) + gap + "}"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(PAIRS, max_size=8),
    st.lists(st.lists(INPUT_PAIRS, max_size=3), max_size=2),
    st.sampled_from(("", " ", "  ")),
    st.booleans(),
)
@example([("subject", "a"), ("subject", "b")], [], "", False)
@example([], [[("trips", 1)], [("trips", 2)]], "", True)
@example([], [[], []], "", True)
def test_an_object_is_understood_the_same_however_its_names_are_written(
    pairs: list[tuple[str, Any]],
    inputs: list[list[tuple[str, Any]]],
    gap: str,
    whole: bool,  # noqa: FBT001 - drawn
) -> None:
    """A name that is written with an escape is unusual, so such a line is read alone."""
    drawn = [*(RIDE.items() if whole else ()), *pairs]
    forms = []
    for first in ("{0}", "\\u{1:04x}"):

        def name(text: str, first: str = first) -> str:
            return f'"{first.format(text[0], ord(text[0]))}{text[1:]}"'

        fields = [(name(key), json.dumps(value, ensure_ascii=False)) for key, value in drawn]
        for each in inputs:
            inner = [(name(key), json.dumps(value, ensure_ascii=False)) for key, value in each]
            fields.append((name("inputs"), _written(inner, gap)))
        forms.append(_read(f"{_line()}\n{_written(fields, gap)}\n{_line()}".encode()))
    assert forms[0].equals(forms[1])


def test_a_text_that_looks_like_a_pair_is_no_repeated_field() -> None:
    line = _line(source_event_id='a":b').replace("\\", "\\")
    assert _read(line.encode())["outcome"].to_list() == [ACTIVITY]


@pytest.mark.parametrize("cell", ["NaN", "1.0", "1e3", "+1", "01", "0x1", "1_0", "\uff11", "٣", "²", "inf"])
def test_a_csv_quantity_that_is_not_plain_digits_is_refused(cell: str) -> None:
    frame = _read(_csv(RIDE, RIDE | {"quantity": cell}), "csv")
    assert (frame["outcome"][1], frame["pointer"][1]) == ("number_not_plain", "/quantity")


def test_raw_bytes_that_are_no_text_spoil_only_their_line() -> None:
    good = _line().encode()
    lone_surrogate = good.replace(b"DEMO0001", b"\xed\xa0\x80")
    frame = _read(b"\n".join([good, lone_surrogate, good.replace(b"DEMO", b"\x00"), good]))
    assert frame["outcome"].to_list() == [ACTIVITY, "text_not_readable", "control_character", ACTIVITY]


def test_an_open_quotation_mark_spoils_only_its_line() -> None:
    frame = _read(_csv(RIDE, RIDE | {"subject": '"DEMO'}, RIDE), "csv")
    assert frame["outcome"].to_list() == [ACTIVITY, "quote_unclosed", ACTIVITY]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 4_096, 1 << 22])
def test_the_size_of_a_chunk_changes_nothing(chunk_bytes: int) -> None:
    data = b"\n".join(
        [_line(quantity=number).encode() for number in range(50)] + [b"", b"{", _line().encode()]
    )
    whole = _read(data)
    assert whole.height == 52
    assert _read(data, chunk_bytes=chunk_bytes).equals(whole)


def test_a_line_of_twenty_megabytes_is_refused_in_bounded_memory() -> None:
    long = b'{"subject":"' + b"x" * (20 << 20) + b'"}'
    data = b"\n".join([_line().encode(), long, _line().encode()])
    frame = _read(data)
    assert frame["outcome"].to_list() == [ACTIVITY, "line_too_long", ACTIVITY]
    assert frame["line_no"].to_list() == [1, 2, 3]
    chunks = list(read_chunks(io.BytesIO(data), chunk_bytes=1 << 16))
    assert max(len(chunk.data) for chunk in chunks) <= (1 << 16) + LINE_BYTES_MAX + 1


def test_millions_of_tiny_lines_never_come_in_one_piece() -> None:
    """A few kilobytes of gzip are eight megabytes of them, and each would be a row of every column."""
    pieces = list(read_chunks(io.BytesIO(b"a\n" * (CHUNK_BYTES // 2))))
    assert max(piece.data.count(b"\n") for piece in pieces) <= CHUNK_LINES
    assert len(pieces) < 2 * CHUNK_BYTES // 2 / CHUNK_LINES + 1
    assert sum(piece.data.count(b"\n") for piece in pieces) == CHUNK_BYTES // 2
    starts = [piece.first_line_no for piece in pieces]
    assert starts == [1, *(piece.last_line_no + 1 for piece in pieces[:-1])]


@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(
    lines=st.lists(st.integers(0, 12), max_size=12),
    chunk_bytes=st.integers(1, 40),
    chunk_lines=st.integers(1, 4),
    end=st.sampled_from([b"", b"\n"]),
)
def test_chunks_are_whole_lines_with_their_numbers(
    lines: list[int], chunk_bytes: int, chunk_lines: int, end: bytes
) -> None:
    texts = [bytes([65 + index]) * length for index, length in enumerate(lines)]
    seen: dict[int, bytes] = {}
    data = b"\n".join(texts) + end
    for chunk in read_chunks(
        io.BytesIO(data), chunk_bytes=chunk_bytes, line_bytes_max=8, chunk_lines=chunk_lines
    ):
        assert chunk.data.count(b"\n") <= chunk_lines
        for offset, line in enumerate(chunk.data.removesuffix(b"\n").split(b"\n")):
            assert seen.setdefault(chunk.first_line_no + offset, line) == line
    for number, text in enumerate(texts, start=1):
        line = seen.get(number, b"")
        assert line == text or (len(text) > 8 and text.startswith(line) and len(line) > 8)


@given(
    parts=st.lists(st.sampled_from([b"a", b" ", b"\n", b"\r\n"]), max_size=12), block_bytes=st.integers(1, 5)
)
def test_lines_are_counted_whatever_blocks_they_come_in(parts: list[bytes], block_bytes: int) -> None:
    data, counted = b"".join(parts), LineCount()
    for start in range(0, len(data), block_bytes):
        counted.add(data[start : start + block_bytes])
    counted.add(b"")
    assert counted.lines == len(re.findall(rb"[^\n]*\n|[^\n]+", data))
    numbers = [chunk.last_line_no for chunk in read_chunks(io.BytesIO(data))]
    assert counted.lines == (numbers[-1] if numbers else 0)


def test_repeated_identities_in_a_frame_are_refused_by_the_shared_rule() -> None:
    data = "\n".join(
        [_line(), _line(), _line(quantity=5), _line(quantity=5, corrects_revision=1), _line(quantity=-1)]
    )
    frame = _read(data.encode())
    judged = refuse_repetitions(frame, unrefused=pl.col("outcome") == ACTIVITY)
    assert judged["outcome"].to_list() == [
        ACTIVITY,
        "duplicate_in_file",
        "content_differs_in_file",
        ACTIVITY,
        "number_negative",
    ]


def test_what_a_record_is_compared_by_leaves_the_subject_out() -> None:
    first, second, third = _read("\n".join([_line(), _line(subject="DEMO0002"), _line(unit="g")]).encode())[
        "payload"
    ]
    assert first == second != third
    assert "DEMO0002" not in second


@pytest.mark.parametrize(
    ("data", "form", "refusal"),
    [
        (b"", "csv", FileEmpty),
        (b"", "ndjson", FileEmpty),
        (b"\n \n", "ndjson", FileEmpty),
        (b"subject,scenario\n", "csv", HeaderDiffers),
        (b"source_event_id,subject,scenario,occurred_at,subject\n", "csv", HeaderDiffers),
        (b"source_event_id,subject,scenario,occurred_at,price\n", "csv", HeaderDiffers),
        (b'"source_event_id\n', "csv", HeaderDiffers),
    ],
)
def test_a_file_of_another_form_is_refused_whole(data: bytes, form: Form, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        _read(data, form)


def test_a_header_alone_has_no_lines() -> None:
    assert _read(_csv(RIDE).split(b"\n", maxsplit=1)[0], "csv").height == 0


TIMES = st.one_of(
    st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()),
    st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z")),
    st.from_regex(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?(Z|[+-][0-9]{4})",
        fullmatch=True,
    ),
    st.text(max_size=30),
)


@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(TIMES)
@example("2024-05-01T08:00:60Z")
@example("2024-05-01T08:00:00+24:00")
@example("2024-05-01T08:00:00.1234567Z")
@example("2024-05-01T08:00:00Z\n")
@example("1899-12-31T23:59:59Z")
@example("2024-05-01 08:00+0800")
def test_times_in_bulk_are_read_as_one_by_one(text: str) -> None:
    try:
        expected = parse_instant(text)
    except ValueError:
        expected = None
    assert instants(pl.Series([text, None])).to_list() == [expected, None]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("chunk_bytes", [64, 300, 1 << 20])
def test_what_comes_after_a_line_is_what_the_whole_file_has_there(form: Form, chunk_bytes: int) -> None:
    """Wherever chunks are cut: beside lines of nothing, a line that is too long, an end without its mark."""
    records = [RIDE | {"source_event_id": f"e{number}"} for number in range(9)]
    rows = _csv(*records).splitlines() if form == "csv" else [json.dumps(each).encode() for each in records]
    rows[4:4] = [b"", b"x" * 600, b"  "]
    data = b"\n".join([*rows, b"", rows[-1]])
    limits = {"chunk_bytes": chunk_bytes, "line_bytes_max": 500}
    whole = _read(data, form, **limits)
    assert "line_too_long" in whole["outcome"].to_list()
    for line in range(len(rows) + 4):
        rest = _read(data, form, after_line=line, **limits)
        assert rest.equals(whole.filter(pl.col("line_no") > line))
