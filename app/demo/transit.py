"""Transit days of the demo city: commuters who ride metro and bus, written as Shenzhen Tong writes taps.

The network is our own (`stations.csv`); the form, the tariff and its faults are the real ones: taps
unsorted, now and then a station without a name, an entry without an exit, a line sent twice.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from app.demo.stage import shanghai
from carbon.activities.adapters.shenzhen_tong.rules import FareBand, shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import Network, read_station_list

STATIONS = Path(__file__).with_name("stations.csv")
HEADER = (
    *("card_no", "deal_date", "deal_type", "deal_money", "deal_value", "equ_no", "company_name"),
    *("station", "car_no", "conn_mark", "close_date"),
)
ENTRY, EXIT, BUS = "地铁入站", "地铁出站", "巴士"
BUS_FARE_FEN = 200
_METRES_A_MINUTE = 550
_SPOILT = 0.01
"""How often a tap misses its station, an exit its entry, or a line comes twice."""


@dataclass(frozen=True)
class Commuter:
    """A card and the two stations between which it goes on most days."""

    card: str
    home: str
    work: str
    by_bus: bool


@dataclass(frozen=True)
class Tap:
    """One line of the file; an entry costs nothing."""

    card: str
    at: datetime
    kind: str
    fare_fen: int
    device: str
    line: str
    station: str


class Transit:
    """The network with its tariff; writes the file of a day."""

    def __init__(self) -> None:
        stations = read_station_list(STATIONS.read_bytes())
        self.network: Network = stations.network_on(date(2026, 1, 1))
        self.names: list[str] = sorted(stations.names)
        self._lines = {row.name: row.line for row in stations.rows}
        self._bands: Sequence[FareBand] = shipped_rules().fares.bands

    def commuter(self, dice: Random, card: str) -> Commuter:
        """Somebody with a home, a place of work and habits."""
        home, work = dice.sample(self.names, 2)
        return Commuter(card, home, work, by_bus=dice.random() < 0.3)

    def day_file(self, dice: Random, day: date, commuters: Iterable[Commuter]) -> bytes:
        """The taps of a day as the partner's file; riders stay at home more often at weekends."""
        share = 0.85 if day.weekday() < 5 else 0.35
        taps = [tap for rider in commuters if dice.random() < share for tap in self._day(dice, day, rider)]
        taps += [tap for tap in taps if dice.random() < _SPOILT / 10]
        dice.shuffle(taps)
        return tap_file(taps, closed=day + timedelta(days=1))

    def ride(self, card: str, *, origin: str, destination: str, at: datetime) -> list[Tap]:
        """Entry and exit of one metro ride."""
        path = self.network.find_path(origin=origin, destination=destination)
        metres = path.metres if path is not None else 0
        leaves = at + timedelta(minutes=4 + metres // _METRES_A_MINUTE)
        return [
            self._gate(card, at, ENTRY, 0, origin),
            self._gate(card, leaves, EXIT, self._fare(metres), destination),
        ]

    def _day(self, dice: Random, day: date, rider: Commuter) -> Iterator[Tap]:
        out = shanghai(day, "07:00") + timedelta(seconds=dice.randrange(2 * 3600))
        back = shanghai(day, "17:00") + timedelta(seconds=dice.randrange(4 * 3600))
        if rider.by_bus:
            yield bus_tap(rider.card, out - timedelta(minutes=18))
        yield from self._spoil(dice, self.ride(rider.card, origin=rider.home, destination=rider.work, at=out))
        yield from self._spoil(
            dice, self.ride(rider.card, origin=rider.work, destination=rider.home, at=back)
        )

    def _spoil(self, dice: Random, ride: list[Tap]) -> list[Tap]:
        entry, leave = ride
        if dice.random() < _SPOILT:
            return [entry]
        if dice.random() < _SPOILT:
            return [entry, Tap(**{**vars(leave), "station": ""})]
        return ride

    def _gate(self, card: str, at: datetime, kind: str, fare_fen: int, station: str) -> Tap:
        device = f"9{self.names.index(station):05d}{1 + at.second % 8:03d}"
        return Tap(card, at, kind, fare_fen, device, f"{self._lines[station]}(示例)", station)

    def _fare(self, metres: int) -> int:
        for band in self._bands:
            if metres <= band.up_to_m:
                return band.fare_fen
        return self._bands[-1].fare_fen


def bus_tap(card: str, at: datetime) -> Tap:
    """One bus ride."""
    return Tap(card, at, BUS, BUS_FARE_FEN, f"8{at.minute:05d}001", "示例公交", f"{1 + at.minute}路")


def tap_file(taps: Iterable[Tap], *, closed: date) -> bytes:
    """Taps in the partner's own form."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for tap in taps:
        paid = tap.fare_fen * 95 // 100
        car = "" if tap.kind == BUS else f"GT-{tap.device[-3:]}"
        when = f"{tap.at:%Y-%m-%d %H:%M:%S}"
        writer.writerow(
            [tap.card, when, tap.kind, paid, tap.fare_fen, tap.device, tap.line, tap.station, car, 0, closed]
        )
    return text.getvalue().encode()
