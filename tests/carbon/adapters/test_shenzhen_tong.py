"""The Shenzhen Tong adapter: its rules, on our own sample."""

import io
import json
import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from carbon.activities.adapters.errors import FileEmpty, HeaderDiffers, RuleDataUnreadable
from carbon.activities.adapters.frames import SCHEMA, inputs_json
from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES
from carbon.activities.adapters.shenzhen_tong.rides import EXTRAS, read_rides
from carbon.activities.adapters.shenzhen_tong.rules import (
    FareRules,
    Opening,
    Rules,
    read_aliases,
    read_fares,
    read_openings,
    shipped_rules,
)
from carbon.activities.adapters.shenzhen_tong.stations import EARTH_RADIUS_M, read_station_list
from carbon.activities.adapters.shenzhen_tong.summary import summarise
from carbon.activities.adapters.text_lines import Reading
from kernel.errors import Refusal

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
SAMPLE = (VECTORS / "transit_sample.csv").read_bytes()
HEADER = SAMPLE.split(b"\n")[0].decode()
LISTED = (VECTORS / "transit_stations.csv").read_bytes()


def _rules(**changes: Any) -> Rules:
    fares = shipped_rules().fares
    own: dict[str, Any] = {
        "aliases": {"书院站": "书院", "别处": "不存在"},
        "openings": (),
        "fares": FareRules(fares.bands, "快线公司", 3, 600),
    }
    return Rules(**(own | changes))


def _read(*files: bytes, rules: Rules | None = None, **limits: int) -> pl.DataFrame:
    rules = rules or _rules()
    stations = read_station_list(LISTED, rules.openings)
    streams = [io.BytesIO(data) for data in files]
    return pl.concat(read_rides(streams, stations=stations, rules=rules, reading=Reading(**limits)))


def _line(frame: pl.DataFrame, line_no: int, *, file_no: int = 1) -> dict[str, Any]:
    return frame.filter((pl.col("line_no") == line_no) & (pl.col("file_no") == file_no)).row(0, named=True)


def _taps(*lines: str) -> bytes:
    return "\n".join([HEADER, *lines]).encode()


def _tap(
    card: str, at: str, kind: str, fare: str = "0", station: str = "东仓", device: str = "900001101"
) -> str:
    return f"{card},{at},{kind},0,{fare},{device},甲线公司,{station},X,0,2024-05-02 00:00:00"


@pytest.fixture(scope="module")
def sample() -> pl.DataFrame:
    return _read(SAMPLE)


NORTH_3, NORTH_9, NORTH_2 = (math.floor(EARTH_RADIUS_M * math.radians(step)) for step in (0.03, 0.09, 0.02))


@pytest.mark.parametrize(
    ("line_no", "outcome", "distance_m", "found_by", "reason"),
    [
        (2, "activity", 2 * NORTH_3, "path", None),
        (3, "entry_paired", None, None, None),
        (4, "entry_paired", None, None, None),
        (5, "activity", NORTH_3 + NORTH_9, "path", None),
        (6, "activity", None, None, None),
        (7, "duplicate_in_file", None, None, None),
        (8, "content_differs_in_file", None, None, None),
        (9, "entry_without_exit", None, None, None),
        (10, "entry_paired", None, None, None),
        (11, "activity", 0, "same_station", "same_station"),
        (12, "entry_without_exit", None, None, None),
        (13, "activity", 8_000, "fare_band", None),
        (14, "activity", 0, "fare_band", "distance_unknown_short_fare"),
        (15, "activity", 12_000, "third_of_fare", None),
        (16, "activity", 0, None, "fare_outside_table"),
        (17, "entry_paired", None, None, None),
        (18, "activity", 0, "fare_band", "fare_below_path"),
        (19, "activity", 4_000, "fare_band", None),
        (21, "activity", NORTH_2 + NORTH_9 + 2 * NORTH_3, "path", None),
        (22, "tap_type_unknown", None, None, None),
    ],
)
def test_every_line_of_the_sample_has_its_outcome(
    sample: pl.DataFrame,
    line_no: int,
    outcome: str,
    distance_m: int | None,
    found_by: str | None,
    reason: str | None,
) -> None:
    row = _line(sample, line_no)
    assert (row["outcome"], row["distance_m"], row["distance_found_by"], row["reason"]) == (
        outcome,
        distance_m,
        found_by,
        reason,
    )


def test_every_line_comes_out_once_and_in_order(sample: pl.DataFrame) -> None:
    assert sample["line_no"].to_list() == list(range(2, 23))
    assert list(sample.columns) == [*SCHEMA, *EXTRAS]
    assert set(sample["outcome"]) <= set(LINE_CODES)


def test_a_ride_over_midnight_belongs_to_the_day_of_its_exit(sample: pl.DataFrame) -> None:
    ride = _line(sample, 2)
    assert ride["started_at"] == datetime(2024, 4, 30, 15, 52, 40, tzinfo=UTC)
    assert ride["occurred_at"] == datetime(2024, 4, 30, 16, 10, 5, tzinfo=UTC)
    assert (ride["origin"], ride["station"], ride["fare_agrees"]) == ("东仓", "钟楼", True)


def test_the_facts_name_both_stations_and_every_metre(sample: pl.DataFrame) -> None:
    assert json.loads(_line(sample, 5)["facts"]) == {
        "origin": "书院",
        "destination": "河口",
        "station_found_by": "device_prefix",
        "distance_found_by": "path",
        "path": ["书院", "钟楼", "河口"],
        "path_lengths_m": [NORTH_3, NORTH_9],
        "fare_fen": 500,
        "line": "甲线公司",
    }
    assert json.loads(_line(sample, 6)["facts"]) == {"fare_fen": 200, "route": "12路"}
    assert _line(sample, 3)["facts"] is None


def test_stations_are_found_by_name_alias_or_device(sample: pl.DataFrame) -> None:
    assert [_line(sample, number)["station_found_by"] for number in (2, 4, 5, 19)] == [
        "name",
        "alias",
        "device_prefix",
        None,
    ]


def test_a_bus_ride_is_one_trip_and_a_metro_ride_its_metres(sample: pl.DataFrame) -> None:
    inputs = inputs_json(sample)
    assert inputs[4] == '{"trips":1}'
    assert inputs[0] == f'{{"distance_m":{2 * NORTH_3}}}'
    assert inputs[1] == "{}"
    assert [_line(sample, number)["scenario"] for number in (2, 6, 3)] == ["metro_ride", "bus_ride", None]


def test_a_device_that_two_stations_share_names_none() -> None:
    frame = _read(
        _taps(
            _tap("A", "2024-05-01 08:00:00", "地铁出站", "300", "钟楼", "900001101"),
            _tap("B", "2024-05-01 08:00:00", "地铁出站", "300", "东仓", "900001102"),
            _tap("C", "2024-05-01 08:00:00", "地铁出站", "300", "", "900001103"),
        )
    )
    assert _line(frame, 4)["station"] is None


def test_two_files_of_one_day_are_read_as_one() -> None:
    lines = SAMPLE.decode().strip().split("\n")
    exits = "\n".join([lines[0], lines[1], lines[5]]).encode()
    entries = "\n".join([lines[0], lines[2], lines[5]]).encode()
    together = _read(exits, entries)
    assert _line(together, 2)["distance_m"] == 2 * NORTH_3
    assert _line(together, 2, file_no=2)["outcome"] == "entry_paired"
    again = _line(together, 3, file_no=2)
    assert (again["outcome"], again["detail"]) == ("duplicate_in_file", "first: file 1 line 3")
    alone = _read(exits)
    assert _line(alone, 2)["distance_m"] == 4_000
    assert _line(alone, 2)["source_event_id"] == _line(together, 2)["source_event_id"]
    assert _line(alone, 2)["payload"] == _line(together, 2)["payload"]


def test_the_order_of_the_lines_does_not_change_a_ride(sample: pl.DataFrame) -> None:
    lines = SAMPLE.decode().strip().split("\n")
    backwards = _read("\n".join([lines[0], *lines[:9:-1], *lines[5:9], *lines[4:0:-1], lines[9]]).encode())
    columns = ["source_event_id", "outcome", "distance_m", "origin", "reason"]
    assert backwards.select(columns).sort(columns).equals(sample.select(columns).sort(columns))


def test_a_gbk_file_reads_like_its_utf8_twin(sample: pl.DataFrame) -> None:
    assert _read(SAMPLE.decode().encode("gbk")).equals(sample)
    assert _read(b"\xef\xbb\xbf" + SAMPLE.replace(b"\n", b"\r\n")).equals(sample)


def test_an_exit_and_an_entry_in_one_second_are_two_rides() -> None:
    frame = _read(
        _taps(
            _tap("A", "2024-05-01 08:00:00", "地铁入站"),
            _tap("A", "2024-05-01 08:20:00", "地铁入站", station="钟楼", device="900003101"),
            _tap("A", "2024-05-01 08:20:00", "地铁出站", "300", "钟楼", "900003102"),
            _tap("A", "2024-05-01 12:20:00", "地铁出站", "300", "东仓"),
        )
    )
    assert [_line(frame, number)["outcome"] for number in (2, 3, 4, 5)] == [
        "entry_paired",
        "entry_paired",
        ACTIVITY,
        ACTIVITY,
    ]
    assert _line(frame, 5)["started_at"] == datetime(2024, 5, 1, 0, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "outcome", "pointer"),
    [
        (_tap("", "2024-05-01 08:00:00", "巴士"), "field_missing", "/card_no"),
        (_tap("A|B", "2024-05-01 08:00:00", "巴士"), "text_not_plain", "/card_no"),
        (_tap("\uff21", "2024-05-01 08:00:00", "巴士"), "text_not_plain", "/card_no"),
        (_tap("A" * 33, "2024-05-01 08:00:00", "巴士"), "text_not_plain", "/card_no"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", device="-"), "text_not_plain", "/equ_no"),
        (_tap("A", "2024-02-30 08:00:00", "巴士"), "time_not_readable", "/deal_date"),
        (_tap("A", "2024-05-01 24:00:00", "巴士"), "time_not_readable", "/deal_date"),
        (_tap("A", "2024-05-01 08:00:60", "巴士"), "time_not_readable", "/deal_date"),
        (_tap("A", "\uff12024-05-01 08:00:00", "巴士"), "time_not_readable", "/deal_date"),
        (_tap("A", "2024-05-01T08:00:00Z", "巴士"), "time_not_readable", "/deal_date"),
        (_tap("A", "2024-05-01 08:00:00", "轮渡"), "tap_type_unknown", "/deal_type"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", ""), "field_missing", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", "-200"), "number_negative", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", "NaN"), "number_not_plain", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", "2e2"), "number_not_plain", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", "\uff12"), "number_not_plain", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士", str(2**63)), "number_too_large", "/deal_value"),
        (_tap("A", "2024-05-01 08:00:00", "巴士") + ",more", "columns_differ", None),
        ("A,2024-05-01 08:00:00", "columns_differ", None),
        (_tap("A", "2024-05-01 08:00:00", "巴士", station='"12路'), "quote_unclosed", None),
        (_tap("A", "2024-05-01 08:00:00", "巴士", station="1\x002"), "control_character", None),
        (_tap("A", "2024-05-01 08:00:00", "巴士", station="路" * 999), "line_too_long", None),
    ],
)
def test_a_bad_line_is_refused_by_name_and_its_neighbours_are_not(
    line: str, outcome: str, pointer: str | None
) -> None:
    frame = _read(
        _taps(_tap("B", "2024-05-01 07:00:00", "巴士"), line, _tap("C", "2024-05-01 07:00:00", "巴士"))
    )
    assert frame["outcome"].to_list() == [ACTIVITY, outcome, ACTIVITY]
    refused = _line(frame, 3)
    assert refused["pointer"] == pointer
    assert (refused["scenario"], refused["trips"], refused["facts"]) == (None, None, None)
    assert outcome in LINE_CODES


def test_a_line_in_broken_bytes_is_refused_alone() -> None:
    good = _tap("B", "2024-05-01 07:00:00", "巴士", station="十二路").encode()
    data = b"\n".join(
        [HEADER.encode(), good, good.replace("路".encode(), b"\xff\xff"), good.replace(b"B,", b"C,")]
    )
    assert _read(data)["outcome"].to_list() == [ACTIVITY, "text_not_readable", ACTIVITY]


def test_a_quoted_cell_may_hold_a_comma() -> None:
    frame = _read(_taps(_tap("B", "2024-05-01 07:00:00", "巴士", station='"12路,快"')))
    assert _line(frame, 2)["outcome"] == ACTIVITY
    assert json.loads(_line(frame, 2)["facts"]) == {"fare_fen": 0}, "an odd route name is not shown"


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", FileEmpty),
        (b"\n\n \r\n", FileEmpty),
        (b"card_no,deal_date\n", HeaderDiffers),
        (HEADER.encode() + b",card_no\n", HeaderDiffers),
        (HEADER.encode() + b",name\n", HeaderDiffers),
        (b'"card_no,deal_date\n', HeaderDiffers),
        (b"\x00\x01\x02", HeaderDiffers),
        (b"\xff" * 100, HeaderDiffers),
    ],
)
def test_a_file_without_the_right_header_is_refused_whole(data: bytes, refusal: type[Refusal]) -> None:
    with pytest.raises(refusal):
        _read(data)


def test_a_header_alone_is_a_file_without_rides() -> None:
    frame = _read(HEADER.encode())
    assert frame.height == 0
    assert summarise([frame]).fare_agreement == "no ride with two named stations"


# The network and its rule data.


def test_a_station_counts_from_its_opening_day_on() -> None:
    listed = read_station_list(LISTED, [Opening("甲线", "书院", date(2024, 6, 1))])
    before, after = listed.network_on(date(2024, 5, 31)), listed.network_on(date(2024, 6, 1))
    assert "书院" not in before.edges
    assert before.find_path(origin="书院", destination="东仓") is None
    joined = before.find_path(origin="东仓", destination="钟楼")
    apart = after.find_path(origin="东仓", destination="钟楼")
    assert joined is not None
    assert apart is not None
    assert joined.lengths_m == (math.floor(EARTH_RADIUS_M * math.radians(0.06)),)
    assert apart.lengths_m == (NORTH_3, NORTH_3)


def test_the_network_of_the_day_of_the_exit_is_used() -> None:
    rules = _rules(openings=(Opening("甲线", "北苑", date(2024, 5, 2)),))
    north = {"station": "北苑", "device": "900006101"}
    lines = [
        tap
        for day in ("2024-05-01", "2024-05-02")
        for tap in (
            _tap("A", f"{day} 08:00:00", "地铁入站"),
            _tap("A", f"{day} 08:30:00", "地铁出站", "600", **north),
        )
    ]
    frame = _read(_taps(*lines), rules=rules)
    assert [_line(frame, number)["distance_m"] for number in (3, 5)] == [
        18_000,
        2 * NORTH_3 + NORTH_9 + NORTH_2,
    ]


@pytest.mark.parametrize(
    "rows",
    [
        "甲线,,x,东仓,,114.0,22.0",
        "甲线,,-1,东仓,,114.0,22.0",
        "甲线,,1,,,114.0,22.0",
        "甲线,,1,东仓,,east,22.0",
        "甲线,,1,东仓,,nan,22.0",
        "甲线,,1,东仓,,181,22.0",
        "甲线,,1,东仓",
        f"甲线,,1,{'仓' * 65},,114.0,22.0",
        "\n".join(f"甲线,,{number},站{number},,114.0,22.0" for number in range(1_001)),
    ],
)
def test_a_station_list_with_a_bad_row_is_refused(rows: str) -> None:
    with pytest.raises(RuleDataUnreadable):
        read_station_list(f"line_zh,line_name,seq,station_zh,station_en,lon,lat\n{rows}\n".encode())


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (read_aliases, b"kind: station_openings\naliases: {}\n"),
        (read_aliases, b"kind: station_aliases\naliases: [a]\n"),
        (read_aliases, b"kind: station_aliases\naliases: {a: {b: c}}\n"),
        (read_aliases, b"kind: station_aliases\naliases: {a: b, a: c}\n"),
        (read_aliases, b"kind: [\n"),
        (read_aliases, b"- a\n"),
        (read_aliases, b"kind: &a station_aliases\naliases: {x: *a}\n"),
        (read_openings, b"kind: station_openings\nopenings: [{line: a, station: b}]\n"),
        (read_openings, b"kind: station_openings\nopenings: [{line: a, station: b, opened: 2019-9-1}]\n"),
        (read_fares, b"kind: metro_fares\n"),
        (
            read_fares,
            (
                b"kind: metro_fares\nbusiness_line: x\nbusiness_fare_times: '3'\n"
                b"business_fare_fen_min: '600'\n"
                b"bands: [{fare_fen: '200', above_m: '0', up_to_m: '4000'},"
                b" {fare_fen: '300', above_m: '4001', up_to_m: '8000'}]\n"
            ),
        ),
    ],
)
def test_rule_data_out_of_form_is_refused(read: Any, data: bytes) -> None:
    with pytest.raises(Refusal):
        read(data)


def test_the_shipped_rule_data_is_what_the_file_needs() -> None:
    rules = shipped_rules()
    assert len(rules.aliases) == 29
    assert sum(text == f"{name}站" for text, name in rules.aliases.items()) == 26
    stations = {opening.station for opening in rules.openings}
    assert len(stations - {"赤湾"}) == 15
    assert [(band.fare_fen, band.above_m) for band in rules.fares.bands][:6] == [
        (200, 0),
        (300, 4_000),
        (400, 8_000),
        (500, 12_000),
        (600, 18_000),
        (700, 24_000),
    ]
    assert (rules.fares.bands[-1].fare_fen, rules.fares.bands[-1].above_m) == (1_400, 80_000)
