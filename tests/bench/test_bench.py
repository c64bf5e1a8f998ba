"""The bench itself, run in small: every figure is taken, and kept in the promised form. No time is judged."""

import json
from pathlib import Path

import polars as pl
import pytest

from bench.__main__ import Size, measure
from bench.figures import Figure, keep, paced
from bench.records import as_csv, as_ndjson, cards, rides
from carbon.activities.imports import read_frames
from tests.conftest import cloned_database

SMALL = Size(citizens=6, tills=2, records=1_000, cards=100, credits=1_000, postings=24, requests=24, codes=20)
PROMISED = {
    "bulk_activities_ndjson": "raw_copy_activities",
    "bulk_activities_csv": "raw_copy_activities",
    "bulk_activities_ndjson_at_night": "raw_copy_activities",
    "bulk_activities_csv_at_night": "raw_copy_activities",
    "bulk_activities_csv_scattered_at_night": "raw_copy_activities",
    "bulk_credits": "raw_copy_credits",
    "exchange_http": "empty_endpoint_http",
    "redemption_http": "empty_endpoint_http",
    "single_credit": "one_row_update",
}
TAKEN = {
    "bulk_duplicates_ndjson",
    "balance_read",
    "code_issue",
    "code_verify",
    "qr_svg",
    "qr_png",
    *(f"{name}_{part}" for name in ("exchange_http", "redemption_http") for part in ("p50", "p99")),
}


@pytest.fixture(scope="module")
def kept(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What a small run leaves in its file."""
    folder = tmp_path_factory.mktemp("bench")
    with cloned_database() as url:
        figures, surroundings = measure(url, cache_url, data=folder, size=SMALL, environment="test")
    path = folder / "latest.json"
    keep(figures, surroundings, path)
    read: dict[str, dict[str, object]] = json.loads(path.read_text())
    return read


def test_every_figure_has_its_value_unit_control_and_ratio(kept: dict[str, dict[str, object]]) -> None:
    figures = {name: row for name, row in kept.items() if name != "surroundings"}
    assert set(figures) >= {*PROMISED, *PROMISED.values(), *TAKEN}
    for row in figures.values():
        assert set(row) == {"value", "unit", "control", "ratio"}
        assert isinstance(row["value"], float)
        assert row["value"] > 0
        assert (row["control"] is None) == (row["ratio"] is None)


def test_a_figure_is_compared_to_a_control_of_the_same_run(kept: dict[str, dict[str, object]]) -> None:
    for name, control in PROMISED.items():
        assert kept[name]["control"] == control
        ratio, value, beside = kept[name]["ratio"], kept[name]["value"], kept[control]["value"]
        assert isinstance(value, float)
        assert isinstance(beside, float)
        assert ratio == pytest.approx(value / beside)


def test_the_file_says_under_which_settings_it_was_measured(kept: dict[str, dict[str, object]]) -> None:
    assert set(kept["surroundings"]) >= {
        *("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "server_version"),
        *("cores", "load_before", "load_after"),
    }


def test_a_figure_is_printed_beside_its_control() -> None:
    line = Figure(name="posts", value=1234.5, unit="/s", control="raw", ratio=0.25).line()
    assert line.split() == ["posts", "1,234.5", "/s", "0.25", "of", "raw"]


def test_paced_work_is_done_once_for_each_number() -> None:
    done: list[int] = []
    run = paced(done.append, count=50, threads=4)
    assert sorted(done) == list(range(50))
    assert 0 <= run.p50_ms <= run.p99_ms


def test_both_forms_of_the_generated_rides_are_read_as_the_same_activities(tmp_path: Path) -> None:
    made = rides(500, citizens=40, month=0)
    frames = []
    for form, data in (("csv", as_csv(made)), ("ndjson", as_ndjson(made))):
        path = tmp_path / form
        path.write_bytes(data)
        with path.open("rb") as file:
            frames.append(pl.concat(read_frames(file, adapter=form)).drop("line_no"))
    assert frames[0].equals(frames[1])
    assert frames[0]["outcome"].unique().to_list() == ["activity"]
    assert frames[0]["source_event_id"].n_unique() == 500
    assert set(frames[0]["subject"]) <= set(cards(40))


def test_the_same_rides_come_out_of_every_run() -> None:
    assert rides(100, citizens=10, month=0).equals(rides(100, citizens=10, month=0))


def test_each_month_of_rides_has_days_and_names_of_its_own() -> None:
    first, second = (rides(600, citizens=10, month=month) for month in (0, 1))
    days = [set(made["occurred_at"].str.slice(0, 10)) for made in (first, second)]
    assert [len(each) for each in days] == [30, 30]
    assert days[0] & days[1] == set()
    assert set(first["source_event_id"]) & set(second["source_event_id"]) == set()
