"""Bills become savings in exact integers, and each bad bill is refused alone."""

import io
import json
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers
from carbon.activities.adapters.frames import SCHEMA, inputs_json, row_inputs
from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES
from carbon.activities.adapters.text_lines import Reading
from carbon.activities.adapters.utility_bills import read_bills
from carbon.methodologies.registry import find_method
from kernel.errors import Refusal

HEADER = "account,meter,period_start,period_end,reading_start,reading_end,unit,baseline"


def _bills(*lines: str) -> bytes:
    return "\n".join([HEADER, *lines]).encode()


def _bill(  # one bill, cell by cell
    account: str = "DEMO-1",
    meter: str = "M1",
    start: str = "2024-05-01",
    end: str = "2024-06-01",
    first: str = "1000",
    last: str = "1165",
    unit: str = "kWh",
    baseline: str = "200",
) -> str:
    return f"{account},{meter},{start},{end},{first},{last},{unit},{baseline}"


def _read(*files: bytes, **limits: int) -> pl.DataFrame:
    frames = [
        pl.concat(read_bills(io.BytesIO(data), Reading(file_no=file_no, **limits)))
        for file_no, data in enumerate(files, start=1)
    ]
    return pl.concat(frames)


def _row(frame: pl.DataFrame, index: int = 0) -> dict[str, Any]:
    return frame.row(index, named=True)


def test_an_electricity_bill_becomes_a_saving_in_watt_hours() -> None:
    frame = _read(_bills(_bill(first="1000.25", last="1165.250", baseline="200.001")))
    row = _row(frame)
    assert row["outcome"] == ACTIVITY
    assert (row["scenario"], row["subject"], row["meter"]) == ("household_electricity_saving", "DEMO-1", "M1")
    assert row_inputs(row) == {"baseline_wh": 200_001, "actual_wh": 165_000}
    assert inputs_json(frame)[0] == '{"actual_wh":165000,"baseline_wh":200001}'
    assert row["started_at"] == datetime(2024, 4, 30, 16, 0, tzinfo=UTC)
    assert row["occurred_at"] == datetime(2024, 5, 31, 16, 0, tzinfo=UTC)
    assert json.loads(row["facts"]) == {
        "period_start": "2024-05-01",
        "period_end": "2024-06-01",
        "reading_start": "1000.25",
        "reading_end": "1165.250",
        "unit": "kWh",
        "baseline": "200.001",
    }
    assert list(frame.columns) == list(SCHEMA)


@pytest.mark.parametrize("unit", ["m3", "m³"])
def test_a_water_bill_becomes_a_saving_in_millilitres(unit: str) -> None:
    row = _row(_read(_bills(_bill(first="00007.5", last="20.123456", unit=unit, baseline="15"))))
    assert row["scenario"] == "household_water_saving"
    assert row_inputs(row) == {"baseline_ml": 15_000_000, "actual_ml": 12_623_456}


def test_a_bill_above_its_baseline_is_an_activity_that_saves_nothing() -> None:
    row = _row(_read(_bills(_bill(last="1300"))))
    method = find_method("saving_electricity")
    assert method.quantity(row_inputs(row)) == 0


@pytest.mark.parametrize(
    ("line", "outcome", "pointer"),
    [
        (_bill(account=""), "field_missing", "/account"),
        (_bill(baseline=""), "field_missing", "/baseline"),
        (_bill(account="户号1"), "text_not_plain", "/account"),
        (_bill(account="a|b"), "text_not_plain", "/account"),
        (_bill(meter="m" * 33), "text_not_plain", "/meter"),
        (_bill(start="2024-02-30"), "day_not_readable", "/period_start"),
        (_bill(start="2024-5-1"), "day_not_readable", "/period_start"),
        (_bill(end="2024-06-01T00:00:00Z"), "day_not_readable", "/period_end"),
        (_bill(end="\uff12024-06-01"), "day_not_readable", "/period_end"),
        (_bill(start="2024-06-01"), "period_empty", "/period_end"),
        (_bill(start="2024-06-02"), "period_empty", "/period_end"),
        (_bill(start="2023-04-27"), "period_too_long", "/period_end"),
        (_bill(unit="KWH"), "unit_unknown", "/unit"),
        (_bill(unit="度"), "unit_unknown", "/unit"),
        (_bill(last="999.999"), "meter_runs_backwards", "/reading_end"),
        (_bill(first="-1"), "number_negative", "/reading_start"),
        (_bill(first="-0.5"), "number_negative", "/reading_start"),
        (_bill(last="NaN"), "number_not_plain", "/reading_end"),
        (_bill(last="1e3"), "number_not_plain", "/reading_end"),
        (_bill(last="1_200"), "number_not_plain", "/reading_end"),
        (_bill(last=".5"), "number_not_plain", "/reading_end"),
        (_bill(last="\uff11\uff12\uff10\uff10"), "number_not_plain", "/reading_end"),
        (_bill(last=str(2**63)), "number_too_large", "/reading_end"),
        (_bill(baseline="1000000000000"), "number_too_large", "/baseline"),
        (_bill(baseline="200.0005"), "number_not_exact", "/baseline"),
        (_bill(unit="m3", baseline="200.0000005"), "number_not_exact", "/baseline"),
        (_bill() + ",", "columns_differ", None),
        ('"DEMO-1,M1,2024-05-01', "quote_unclosed", None),
        (_bill(account="A\x00B"), "control_character", None),
        (_bill(account="A" * 2_000), "line_too_long", None),
    ],
)
def test_a_bad_bill_is_refused_by_name_and_its_neighbours_are_not(
    line: str, outcome: str, pointer: str | None
) -> None:
    frame = _read(_bills(_bill("DEMO-8"), line, _bill("DEMO-9")))
    assert frame["outcome"].to_list() == [ACTIVITY, outcome, ACTIVITY]
    row = _row(frame, 1)
    assert row["pointer"] == pointer
    assert row_inputs(row) == {}
    assert (row["scenario"], row["facts"]) == (None, None)
    assert outcome in LINE_CODES


def test_the_same_bill_again_has_its_name_and_other_readings_are_other_content_of_it() -> None:
    frame = _read(_bills(_bill(), _bill()), _bills(_bill(last="1170"), _bill(end="2024-05-31")))
    assert frame["outcome"].to_list() == [ACTIVITY] * 4
    first, again, other, another = frame["source_event_id"].to_list()
    assert first == again == other != another
    same, again, other, _ = frame["payload"].to_list()
    assert same == again != other


@settings(deadline=None)  # a first Polars call may be slow on a busy machine
@given(
    whole=st.integers(0, 10**12 - 1),
    decimals=st.text("0123456789", max_size=9),
    unit=st.sampled_from(["kWh", "m3"]),
)
def test_a_printed_amount_is_exact_or_refused(whole: int, decimals: str, unit: str) -> None:
    printed = f"{whole}.{decimals}" if decimals else str(whole)
    row = _row(_read(_bills(_bill(first="0", last="0", unit=unit, baseline=printed))))
    exact = Fraction(printed) * (1_000 if unit == "kWh" else 10**6)
    if exact.denominator == 1:
        assert row["outcome"] == ACTIVITY
        assert (row["baseline_wh"] if unit == "kWh" else row["baseline_ml"]) == exact
    else:
        assert row["outcome"] == "number_not_exact"


@pytest.mark.parametrize(
    ("data", "refusal"),
    [(b"", FileEmpty), (b"account,meter\n", HeaderDiffers), (HEADER.encode() + b",price\n", HeaderDiffers)],
)
def test_a_file_of_another_form_is_refused_whole(data: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        _read(data)


def test_a_header_alone_and_a_bill_of_nothing_but_commas() -> None:
    assert _read(HEADER.encode()).height == 0
    assert _read(_bills(",,,,,,,"))["outcome"].to_list() == ["field_missing"]


ODD = st.sampled_from(
    (
        b"",
        b" \t",
        b"\r",
        b",,,,,,,",
        b'"DEMO-1","M,1",2024-05-01,2024-06-01,1000,1165,kWh,200',
        b'"DEMO-1",M1,2024-05-01,2024-06-01,1000,1165,"m\xc2\xb3","200"\r',
        b'"DEMO-1,M1,2024-05-01,2024-06-01,1000,1165,kWh,200',
        b"x" * 1_300,
        b"DEMO\x00-1,M1,2024-05-01,2024-06-01,1000,1165,kWh,200",
    )
)


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(ODD | st.integers(0, 9).map(lambda n: _bill(f"DEMO-{n}", last=str(1_000 + n)).encode())),
    before=st.lists(st.sampled_from((b"", b" ", b"\r")), max_size=2),
    mark=st.sampled_from((b"", b"\xef\xbb\xbf")),
    end=st.sampled_from((b"", b"\n")),
    chunk_bytes=st.integers(1, 400),
    threads=st.sampled_from((0, 2)),
    after_line=st.integers(0, 12),
)
def test_wherever_a_file_is_cut_and_gone_on_with_its_bills_are_the_same(
    lines: list[bytes],
    before: list[bytes],
    mark: bytes,
    end: bytes,
    chunk_bytes: int,
    threads: int,
    after_line: int,
) -> None:
    """Inside quoted cells, before the header, in a byte order mark, within a line that is too long."""
    data = mark + b"\n".join([*before, HEADER.encode(), *lines]) + end
    whole = _read(data)
    assert whole["line_no"].to_list() == [
        number for number, line in enumerate(lines, start=len(before) + 2) if line.strip()
    ]
    pieces = _read(data, chunk_bytes=chunk_bytes, threads=threads, after_line=after_line)
    assert pieces.equals(whole.filter(pl.col("line_no") > after_line))


@pytest.mark.parametrize("chunk_bytes", [1, 64, 1 << 20])
def test_bills_in_gb18030_are_read_like_their_utf8_twins(chunk_bytes: int) -> None:
    lines = [_bill(), _bill("户号1"), _bill(meter="表" * 9), _bill(last="1170")]
    data = _bills(*lines).decode()
    assert _read(data.encode("gb18030"), chunk_bytes=chunk_bytes).equals(_read(data.encode()))
