"""The Shenzhen Tong adapter on the public file: every count of the design, seen in the file itself."""

from datetime import date
from io import BytesIO

import polars as pl
import pytest

from carbon.activities.adapters.line_codes import ACTIVITY
from carbon.activities.adapters.shenzhen_tong.rides import read_rides
from carbon.activities.adapters.shenzhen_tong.rules import shipped_rules
from carbon.activities.adapters.shenzhen_tong.stations import StationList, read_station_list
from carbon.activities.adapters.shenzhen_tong.summary import RidesSummary, summarise
from tests.carbon.adapters.shared_files import read_shared


@pytest.fixture(scope="module")
def stations() -> StationList:
    return read_station_list(
        read_shared("data/transit/shenzhen_metro_stations.csv"), shipped_rules().openings
    )


@pytest.fixture(scope="module")
def public(stations: StationList) -> pl.DataFrame:
    data = read_shared("data/transit/shenzhen_tong_2018-09-01.csv")
    return pl.concat(read_rides([BytesIO(data)], stations=stations, rules=shipped_rules()))


@pytest.fixture(scope="module")
def counts(public: pl.DataFrame) -> RidesSummary:
    return summarise([public])


def test_the_public_network_is_one_component_without_loops(stations: StationList) -> None:
    assert len(stations.names) == 181
    today, then = stations.network_on(date(2020, 1, 1)), stations.network_on(date(2018, 9, 1))
    assert (len(today.edges), len(then.edges)) == (181, 166)
    for network in (today, then):
        assert network.count_components() == 1
        assert all(name not in neighbours for name, neighbours in network.edges.items())


def test_the_public_file_has_its_known_outcomes(counts: RidesSummary) -> None:
    assert counts.lines == 37_000
    assert counts.outcomes == {
        "activity": 18_118 + 9_261,
        "entry_without_exit": 9_134,
        "entry_paired": 486,
        "duplicate_in_file": 1,
    }
    assert counts.rides == {"bus_ride": 18_118, "metro_ride": 9_261}
    assert (counts.exits_with_entry, counts.exits_without_entry) == (486, 8_775)


def test_the_public_files_stations_are_found_as_counted(counts: RidesSummary) -> None:
    assert counts.stations == {"name": 14_231, "alias": 3_115, "device_prefix": 1_482, "none": 1_535 - 1_482}


def test_the_public_files_fares_agree_with_the_paths(counts: RidesSummary) -> None:
    assert (counts.named_pairs_agreeing, counts.named_pairs) == (382, 388)
    assert (counts.pairs_agreeing, counts.pairs) == (452, 461)
    assert counts.fare_agreement == "98.5 %"


def test_the_public_files_distances_have_their_reasons(public: pl.DataFrame, counts: RidesSummary) -> None:
    assert counts.distances == {
        "fare_band": 8_627,
        "path": 459,
        "third_of_fare": 137,
        "same_station": 24,
        "none": 14,
    }
    short = public.filter(pl.col("reason") == "distance_unknown_short_fare")
    assert short["distance_m"].to_list() == [0] * 1_994
    assert dict(short.group_by("distance_found_by").len().iter_rows()) == {
        "fare_band": 1_929,
        "third_of_fare": 65,
    }
    assert counts.fares_outside_table == 30
    assert counts.reasons["fare_outside_table"] == 30 - 16, "16 of line 11 count a third of their fare"
    assert counts.reasons["same_station"] == 24
    assert counts.reasons["fare_below_path"] == 2


def test_the_public_files_identities_are_unique(public: pl.DataFrame) -> None:
    rides = public.filter(pl.col("outcome") == ACTIVITY)
    assert rides["source_event_id"].n_unique() == rides.height
    assert rides["source_event_id"].str.contains("^[0-9a-f]{64}$").all()
    assert rides["facts"].null_count() == 0
