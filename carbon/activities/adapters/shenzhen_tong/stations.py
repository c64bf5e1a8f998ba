"""The metro as a graph: stations by name, edges as long as the great circle between neighbours.

A line is its rows in order; a change between lines costs nothing, because equal names are one station.
No detour is added, so a path is never longer than the ride was. Lengths are whole metres, floored.
"""

import heapq
import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from itertools import pairwise

from carbon.activities.adapters.csv_cells import read_header, split_cells
from carbon.activities.adapters.errors import RuleDataUnreadable
from carbon.activities.adapters.shenzhen_tong.rules import Opening
from carbon.activities.adapters.text_lines import split_lines
from kernel.errors import require

EARTH_RADIUS_M = 6_371_008.8
"""The mean radius of the Earth (IUGG)."""
STATIONS_MAX, NAME_LENGTH_MAX = 1_000, 64
"""Twice what the largest metro has; from each station the ways to all others are kept."""

_COLUMNS = ("line_zh", "seq", "station_zh", "lon", "lat")
_OPTIONAL = ("line_name", "station_en")


@dataclass(frozen=True)
class StationRow:
    """One station of one line; coordinates in degrees."""

    line: str
    seq: int
    name: str
    longitude: str
    latitude: str


@dataclass(frozen=True)
class Path:
    """A shortest way: the stations passed, and the metres from each to the next."""

    stations: tuple[str, ...]
    lengths_m: tuple[int, ...]

    @property
    def metres(self) -> int:
        """The length of the whole way."""
        return sum(self.lengths_m)


@dataclass(frozen=True)
class Network:
    """The stations in service, and the metres between neighbours."""

    edges: dict[str, dict[str, int]]
    _paths: dict[str, dict[str, tuple[int, str | None]]] = field(default_factory=dict, repr=False)

    def find_path(self, *, origin: str, destination: str) -> Path | None:
        """The shortest way, or None where there is none or a station is not in service.

        Of two ways of equal length the one whose stations sort first is taken, so that a replay finds
        the same one.
        """
        if origin not in self.edges or destination not in self.edges:
            return None
        if origin not in self._paths:
            self._paths[origin] = self._spread(origin)
        reached = self._paths[origin]
        if destination not in reached:
            return None
        stations = [destination]
        while (before := reached[stations[-1]][1]) is not None:
            stations.append(before)
        stations.reverse()
        lengths = tuple(self.edges[a][b] for a, b in pairwise(stations))
        return Path(tuple(stations), lengths)

    def count_components(self) -> int:
        """In how many parts the network falls; one is expected."""
        left, parts = set(self.edges), 0
        while left:
            left -= set(self._spread(min(left)))
            parts += 1
        return parts

    def _spread(self, origin: str) -> dict[str, tuple[int, str | None]]:
        """Each reachable station with its distance and the station before it (Dijkstra)."""
        best: dict[str, tuple[int, str | None]] = {}
        waiting: list[tuple[int, str, str]] = [(0, "", origin)]
        while waiting:
            metres, before, here = heapq.heappop(waiting)
            if here in best:
                continue
            best[here] = (metres, before or None)
            for there, length in self.edges[here].items():
                if there not in best:
                    heapq.heappush(waiting, (metres + length, here, there))
        return best


@dataclass(frozen=True)
class StationList:
    """A station list with the days from which some of its rows count."""

    rows: tuple[StationRow, ...]
    openings: tuple[Opening, ...]
    _networks: dict[int, Network] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every station name, in service or not yet."""
        return frozenset(row.name for row in self.rows)

    @cached_property
    def opening_days(self) -> tuple[date, ...]:
        """The days on which the network changes, rising."""
        return tuple(sorted({opening.opened for opening in self.openings}))

    def network_on(self, day: date) -> Network:
        """The network in service on a day; made once for all days without a change between them."""
        state = bisect_right(self.opening_days, day)
        if state not in self._networks:
            self._networks[state] = self._made_on(day)
        return self._networks[state]

    def _made_on(self, day: date) -> Network:
        closed = {(each.line, each.station) for each in self.openings if each.opened > day}
        edges: dict[str, dict[str, int]] = {}
        before: StationRow | None = None
        for row in self.rows:
            if (row.line, row.name) in closed:
                continue
            edges.setdefault(row.name, {})
            # A station that stands on two rows running is one station: no edge to itself.
            if before is not None and before.line == row.line and before.name != row.name:
                length = great_circle_m(before, row)
                for here, there in ((before.name, row.name), (row.name, before.name)):
                    edges[here][there] = min(length, edges[here].get(there, length))
            before = row
        return Network(edges)


def great_circle_m(a: StationRow, b: StationRow) -> int:
    """Whole metres between two stations, floored (haversine formula on the mean sphere)."""
    phi_a, phi_b = math.radians(float(a.latitude)), math.radians(float(b.latitude))
    lambda_a, lambda_b = math.radians(float(a.longitude)), math.radians(float(b.longitude))
    half = math.sin((phi_b - phi_a) / 2) ** 2
    half += math.cos(phi_a) * math.cos(phi_b) * math.sin((lambda_b - lambda_a) / 2) ** 2
    return math.floor(2 * EARTH_RADIUS_M * math.asin(math.sqrt(half)))


def read_station_list(data: bytes, openings: Iterable[Opening] = ()) -> StationList:
    """STATIONS_MAX at most, by line and `seq`. Refuses FileEmpty, HeaderDiffers, RuleDataUnreadable."""
    names, lines = read_header(split_lines(data), required=_COLUMNS, optional=_OPTIONAL)
    rows: list[StationRow] = []
    order: dict[str, int] = {}
    for cells in split_cells(lines, names).iter_rows(named=True):
        if any(cells[name] is None for name in _COLUMNS) or not _is_place(cells["lon"], cells["lat"]):
            raise RuleDataUnreadable(f"line {cells['line_no']} of the station list")
        if len(cells["station_zh"]) > NAME_LENGTH_MAX:
            raise RuleDataUnreadable(f"line {cells['line_no']} of the station list", pointer="/station_zh")
        if not (cells["seq"].isascii() and cells["seq"].isdigit() and len(cells["seq"]) <= 4):
            raise RuleDataUnreadable(f"line {cells['line_no']} of the station list", pointer="/seq")
        order.setdefault(cells["line_zh"], len(order))
        rows.append(
            StationRow(cells["line_zh"], int(cells["seq"]), cells["station_zh"], cells["lon"], cells["lat"])
        )
    rows.sort(key=lambda row: (order[row.line], row.seq))
    listed = StationList(tuple(rows), tuple(openings))
    require(len(listed.names) <= STATIONS_MAX, RuleDataUnreadable(f"more than {STATIONS_MAX:,} stations"))
    return listed


def _is_place(longitude: str, latitude: str) -> bool:
    try:
        return abs(float(longitude)) <= 180 and abs(float(latitude)) <= 90
    except ValueError:
        return False
