"""The real Shenzhen Tong file, imported whole into a real database."""

from io import BytesIO

import polars as pl
import pytest

from carbon.activities.imports import Imported, ImportOrder, import_file, read_frame
from kernel.identifiers import new_id
from ledger.reconciliation import CHECKS, reconcile
from tests.carbon.adapters.shared_files import read_shared
from tests.carbon.city import OFFICIAL, RETROSPECTIVE, SECRET, City, plant_city
from tests.conftest import Database

FILE = "data/transit/shenzhen_tong_2018-09-01.csv"
SILENT = {
    "rejected/entry_without_exit": 9_134,
    "rejected/entry_paired": 486,
    "duplicate/duplicate_in_file": 1,
}


def order(city: City, reference: str = "first") -> ImportOrder:
    return ImportOrder(
        partner_id=city.partner_id,
        adapter="shenzhen_tong",
        reference=reference,
        card_secret=SECRET,
        stations=read_shared("data/transit/shenzhen_metro_stations.csv"),
    )


@pytest.fixture(scope="module")
def data() -> bytes:
    return read_shared(FILE)


@pytest.fixture(scope="module")
def cards(data: bytes) -> list[str]:
    text = pl.read_csv(data, infer_schema=False)
    return sorted(text["card_no"].unique().to_list())


def send(database: Database, city: City, data: bytes, reference: str) -> Imported:
    return import_file(database.run, BytesIO(data), order(city, reference))


def test_the_real_file_is_credited_line_by_line(database: Database, data: bytes, cards: list[str]) -> None:
    city = database.run(lambda call: plant_city(call, OFFICIAL, RETROSPECTIVE))
    database.run(lambda call: city.bind(call, cards))
    moved: list[int] = []
    first = import_file(
        database.run, BytesIO(data), order(city), progress=lambda taken, _: moved.append(taken.lines)
    )
    assert moved[-1] == first.lines == 37_000 == sum(first.outcomes.values())
    print(first.outcomes)  # noqa: T201 - the table of outcomes belongs into the log
    assert {name: first.outcomes[name] for name in SILENT} == SILENT
    assert first.credited >= 24_000
    zero = {name: count for name, count in first.outcomes.items() if name.startswith("assessed/")}
    assert first.credited + sum(zero.values()) == 18_118 + 9_261
    assert zero["assessed/distance_unknown_short_fare"] == 1_994
    again = send(database, city, data, "second")
    assert again.credited == 0
    assert again.outcomes["duplicate/duplicate"] == 18_118 + 9_261
    resumed = send(database, city, data, "first")
    assert resumed == first
    outcomes = database.run(lambda call: reconcile(call, CHECKS))
    assert [outcome.check.name for outcome in outcomes if not outcome.holds] == []


def test_without_the_retrospective_table_no_ride_of_2018_is_credited(
    database: Database, data: bytes, cards: list[str]
) -> None:
    city = database.run(lambda call: plant_city(call, OFFICIAL))
    database.run(lambda call: city.bind(call, cards))
    sent = send(database, city, data, "first")
    assert sent.outcomes == {**SILENT, "rejected/no_factor_in_force": 18_118 + 9_261}


def test_a_card_that_nobody_bound_is_named(database: Database, data: bytes, cards: list[str]) -> None:
    city = database.run(plant_city)
    unbound = set(cards[::20])
    database.run(lambda call: city.bind(call, [card for card in cards if card not in unbound]))
    frame = read_frame(data, order(city))
    expected = frame.filter((pl.col("outcome") == "activity") & pl.col("subject").is_in(list(unbound))).height
    sent = send(database, city, data, str(new_id()))
    assert sent.outcomes["rejected/unbound_card"] == expected > 1_000
