"""Taps of one file against a small model of it, wherever the file is cut; and how many taps it may have."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbon.activities.adapters.errors import FileTooLarge
from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.pairing import pair_taps
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import read_station_list
from carbon.activities.adapters.text_lines import Reading

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
STATIONS = read_station_list((VECTORS / "transit_stations.csv").read_bytes())
RULES = shipped_rules()
HEADER = "card_no,deal_date,deal_type,deal_value,equ_no,company_name,station"
ENTRY, EXIT, BUS = "地铁入站", "地铁出站", "巴士"
DAWN = datetime(2024, 5, 1, 6)  # noqa: DTZ001 - as the file has it, without a zone
NOWHERE = "桥头"


@dataclass(frozen=True)
class Tap:
    """A line of the file; `prefix` says which device."""

    card: str
    minute: int
    kind: str
    fare: int
    prefix: int
    station: str

    @property
    def at(self) -> str:
        return str(DAWN + timedelta(minutes=self.minute))

    @property
    def identity(self) -> tuple[object, ...]:
        return self.card, self.minute, self.kind, self.prefix

    @property
    def line(self) -> str:
        return f"{self.card},{self.at},{self.kind},{self.fare},{self.prefix:06}01,甲线公司,{self.station}"


TAPS = st.builds(
    Tap,
    card=st.sampled_from(("A", "B", "a", "AA")),
    minute=st.integers(0, 8).map(lambda hours: hours * 60) | st.integers(0, 500),
    kind=st.sampled_from((ENTRY, ENTRY, EXIT, EXIT, BUS)),
    fare=st.sampled_from((0, 300)),
    prefix=st.integers(1, 3),
    station=st.sampled_from(("东仓", "钟楼", "", NOWHERE)),
)


def _file(lines: list[str]) -> io.BytesIO:
    return io.BytesIO("\n".join([HEADER, *lines]).encode())


def _modelled(taps: list[Tap]) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """Outcome, detail, station and origin of each tap."""
    firsts: dict[object, int] = {}
    repeats = {number: firsts.setdefault(tap.identity, number) for number, tap in enumerate(taps)}
    good = [number for number, first in repeats.items() if number == first]
    metro = [number for number in good if taps[number].kind != BUS]
    seen: dict[int, set[str]] = {}
    for number in metro:
        if taps[number].station in STATIONS.names:
            seen.setdefault(taps[number].prefix, set()).add(taps[number].station)

    def station(number: int) -> str | None:
        if taps[number].station in STATIONS.names:
            return taps[number].station
        named = seen.get(taps[number].prefix, set())
        return min(named) if len(named) == 1 else None

    entry_of: dict[int, int] = {}
    metro.sort(key=lambda n: (taps[n].card, taps[n].minute, taps[n].kind == ENTRY, n))
    for a, b in pairwise(metro):
        near = taps[a].card == taps[b].card and taps[b].minute - taps[a].minute <= 240
        if near and (taps[a].kind, taps[b].kind) == (ENTRY, EXIT):
            entry_of[b] = a
    for number, tap in enumerate(taps):
        if (first := repeats[number]) != number:
            same = (tap.fare, tap.station) == (taps[first].fare, taps[first].station)
            code = "duplicate_in_file" if same else "content_differs_in_file"
            yield code, f"first: file 1 line {first + 2}", None, None
        elif tap.kind == BUS:
            yield ACTIVITY, None, None, None
        elif tap.kind == EXIT:
            entry = entry_of.get(number)
            yield ACTIVITY, None, station(number), None if entry is None else station(entry)
        else:
            paired = number in entry_of.values()
            yield "entry_paired" if paired else "entry_without_exit", None, station(number), None


@settings(max_examples=30, deadline=None)
@given(
    taps=st.lists(TAPS, max_size=14),
    chunk_bytes=st.integers(1, 600),
    threads=st.sampled_from((0, 2)),
    after_line=st.integers(0, 16),
)
def test_taps_are_paired_as_in_the_model_wherever_the_file_is_cut(
    taps: list[Tap], chunk_bytes: int, threads: int, after_line: int
) -> None:
    lines = [tap.line for tap in taps]
    whole = pl.concat(read_rides([_file(lines)], stations=STATIONS, rules=RULES))
    assert whole.select("outcome", "detail", "station", "origin").rows() == list(_modelled(taps))
    pieces = read_rides(
        [_file(lines)],
        stations=STATIONS,
        rules=RULES,
        reading=Reading(after_line=after_line, chunk_bytes=chunk_bytes, threads=threads),
    )
    assert pl.concat(pieces).equals(whole.filter(pl.col("line_no") > after_line))


def test_many_cards_each_have_their_own_rides() -> None:
    """Some hundred thousand taps, so that every part has many cards and every piece many parts."""
    rides = 60_000
    stops = ("东仓", "钟楼")
    lines = [
        Tap(f"C{card:07}", card % 700 + 30 * leg, kind, 300, 1 + leg, stops[leg]).line
        for leg, kind in enumerate((ENTRY, EXIT))
        for card in range(rides)
    ]
    frames = pl.concat(read_rides([_file(lines)], stations=STATIONS, rules=RULES, reading=Reading(threads=2)))
    assert frames["line_no"].to_list() == list(range(2, 2 * rides + 2))
    entries, exits = frames.head(rides), frames.tail(rides)
    assert entries["outcome"].unique().to_list() == ["entry_paired"]
    assert exits["outcome"].unique().to_list() == [ACTIVITY]
    assert exits.select("origin", "station").unique().rows() == [stops]
    assert exits["started_at"].equals(entries["occurred_at"])


@pytest.mark.parametrize("bound", ["taps_max", "part_taps_max"])
def test_a_file_of_more_taps_than_can_be_compared_is_refused_whole(bound: str) -> None:
    """Only good taps count: what is refused by itself is compared with nothing."""
    lines = [Tap("A", minute, BUS, 200, 1, "").line for minute in range(9)] + ["x"] * 20
    pairing = partial(pair_taps, [_file(lines)], stations=STATIONS, rules=RULES)
    assert partial(pairing, **{bound: 9})().repeated.is_empty()
    with pytest.raises(FileTooLarge) as refused:
        partial(pairing, **{bound: 8})()
    assert refused.value.facts == {"limit_taps": 8}
