"""The bench itself, run in small: every figure is taken, and kept in the promised form. No time is judged."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

import pytest

from app.commands import run_reconciliation
from app.factory import Product
from bench.__main__ import Size, measure
from bench.figures import Figure, compared, keep, paced
from bench.ground import fresh_schema, product_on
from bench.growth import Growth, asked, lacking, measure_growth, short
from bench.interference import Manner, Rounds
from bench.page import draw_page
from bench.records import Ids
from tests.conftest import cloned_database

SMALL = Size(
    citizens=6,
    tills=2,
    records=1_000,
    cards=100,
    bound=100,
    credits=1_000,
    postings=24,
    requests=24,
    codes=20,
    branches=1,
    tpcb_seconds=1,
    rounds=Rounds(
        count=2, seconds=0.4, manners=(Manner(name="import_5k", chunk_lines=500, lanes=1, cards=100),)
    ),
)
GROWTH = Growth(rows=3_000, file_rows=1_000, cards=100, reads=10, ids=Ids.RANDOM)
PROMISED = {
    "bulk_activities_ndjson": "raw_copy_activities",
    "bulk_activities_csv": "raw_copy_activities",
    "bulk_activities_ndjson_at_night": "raw_copy_activities",
    "bulk_activities_csv_at_night": "raw_copy_activities",
    "bulk_activities_csv_scattered_at_night": "raw_copy_activities",
    "bulk_credits": "raw_copy_credits",
    "bulk_credits_beside_set_sql": "set_sql_credits",
    "bulk_credits_beside_tpcb": "pgbench_tpcb",
    "set_sql_credits": "raw_copy_credits",
    "exchange_http": "empty_endpoint_http",
    "redemption_http": "empty_endpoint_http",
    "redemption_beside_import_5k_p50": "redemption_alone_p50",
    "redemption_beside_import_5k_p99": "redemption_alone_p99",
    "redemption_of_riders_beside_import_5k_p99": "redemption_alone_p99",
    "single_credit": "one_row_update",
    "single_credit_beside_tpcb": "pgbench_tpcb",
}
TAKEN = {
    "bulk_activities_ndjson_memory",
    "bulk_duplicates_csv_shuffled",
    "bulk_duplicates_ndjson",
    "bulk_duplicates_ndjson_shuffled",
    "balance_read",
    "code_issue",
    "code_verify",
    "import_5k_beside_redemptions",
    "qr_svg",
    "qr_png",
    "redeeming_citizens_in_a_part_of_import_5k",
    "redemption_arrivals",
    *(f"{name}_{part}" for name in ("exchange_http", "redemption_http") for part in ("p50", "p99")),
}
MAY_BE_NOTHING = {"import_5k_beside_redemptions"}
"""A machine that is very busy imports nothing in a round of a test."""
Kept = dict[str, Any]


@dataclass(frozen=True)
class Left:
    """What a small run leaves in its file, and the invariants that its database breaks."""

    kept: Kept
    folder: Path
    broken: list[str]


def broken(product: Product) -> list[str]:
    return [outcome.check.name for outcome in run_reconciliation(product) if not outcome.holds]


@pytest.fixture(scope="module")
def small(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("bench")
    with cloned_database() as url, product_on(url, cache_url, data=folder, environment="test") as product:
        keep(measure(product, data=folder, size=SMALL), folder / "latest.json")
        yield Left(json.loads((folder / "latest.json").read_text()), folder, broken(product))


@pytest.fixture(scope="module")
def grown(cache_url: str, small: Left) -> Iterator[Left]:
    path = small.folder / "growth-random.json"
    with cloned_database() as url:
        fresh_schema(url)
        with product_on(url, cache_url, data=small.folder, environment="test") as product:
            measure_growth(product, data=small.folder, growth=GROWTH, path=path)
            yield Left(json.loads(path.read_text()), small.folder, broken(product))


def figures_of(kept: Kept) -> dict[str, Kept]:
    return {name: row for name, row in kept.items() if name not in {"surroundings", "details"}}


def test_every_figure_has_its_value_unit_control_and_ratio(small: Left) -> None:
    figures = figures_of(small.kept)
    assert set(figures) >= {*PROMISED, *PROMISED.values(), *TAKEN}
    for name, row in figures.items():
        assert set(row) == {"value", "unit", "control", "ratio"}
        assert isinstance(row["value"], float)
        assert row["value"] > 0 or name in MAY_BE_NOTHING
        assert (row["control"] is None) == (row["ratio"] is None)


def test_a_figure_is_compared_to_a_control_of_the_same_run(small: Left) -> None:
    for name, control in PROMISED.items():
        row = small.kept[name]
        assert row["control"] == control
        assert row["ratio"] == pytest.approx(row["value"] / small.kept[control]["value"])


def test_the_file_says_under_which_settings_it_was_measured(small: Left) -> None:
    assert set(small.kept["surroundings"]) >= {
        *("fsync", "synchronous_commit", "full_page_writes", "shared_buffers", "server_version"),
        *("cores", "disk", "load_before", "load_after"),
    }


def test_rounds_with_and_without_an_import_take_turns(small: Left) -> None:
    rounds = small.kept["details"]["redemption_rounds"]
    assert [row["beside"] for row in rounds] == ["nothing", "import_5k"] * 2
    for row in rounds:
        assert row["requests"] >= 2
        assert (row["lines_per_second"] is None) == (row["beside"] == "nothing")
    for points in small.kept["details"]["redemption_percentiles"].values():
        waits = [wait for _, wait in points]
        assert waits == sorted(waits)


def test_half_of_those_who_redeem_ride_in_the_file(small: Left) -> None:
    assert 0 < small.kept["redeeming_citizens_in_a_part_of_import_5k"]["value"] <= 50


def test_what_was_measured_can_be_reconciled(small: Left) -> None:
    # The ledger alone is measured by spending holds that are of no voucher, which L7 is there to find.
    assert small.broken == ["L7"]


def test_growth_keeps_the_pace_of_each_file_and_reads_at_both_ends(grown: Left) -> None:
    points = grown.kept["details"]["growth"]["random"]
    assert [rows for rows, _ in points] == [0, 1_000, 2_000, 3_000]
    assert all(pace > 0 for _, pace in points)
    first, last = (harmonic_mean([pace for _, pace in points[place:][:2]]) for place in (1, 2))
    assert grown.kept["intake_random_at_1k"]["value"] == pytest.approx(first)
    assert grown.kept["intake_random_at_3k"]["value"] == pytest.approx(last)
    for what, part in (
        *(("intake", ""), ("import_memory", ""), ("disk_of_an_activity", "")),
        *itertools.product(("balance_read", "statement_page", "statement_long_page"), ("", "_p50", "_p99")),
    ):
        first, last = (grown.kept[f"{what}_random_at_{rows}{part}"] for rows in ("1k", "3k"))
        assert first["control"] is None
        assert last["control"] == f"{what}_random_at_1k{part}"
        assert last["ratio"] == pytest.approx(last["value"] / first["value"])


def test_what_growth_filled_can_be_reconciled(grown: Left) -> None:
    assert grown.broken == []


def test_growth_refuses_politely_what_the_disk_cannot_hold(tmp_path: Path) -> None:
    assert lacking(Growth(rows=2_000_000), tmp_path / "..") is None
    assert "ask for fewer" in str(lacking(Growth(rows=10**13), tmp_path))


@pytest.mark.parametrize(
    "given", [["--rows", "1000000"], ["--rows", "100000000"], ["--file-rows", "1000001"], ["--ids", "odd"]]
)
def test_growth_does_not_begin_what_it_cannot_do(given: list[str]) -> None:
    with pytest.raises(SystemExit):
        asked(given)


def test_growth_is_asked_for_by_rows_and_ids() -> None:
    assert asked([]) == Growth()
    assert asked(["--rows", "2000000", "--ids", "random"]) == Growth(rows=2_000_000, ids=Ids.RANDOM)
    assert [short(rows) for rows in (900, 1_000, 2_500_000, 20_000_000)] == ["900", "1k", "2.5m", "20m"]


def test_the_page_is_drawn_the_same_again_from_the_same_figures(grown: Left, tmp_path: Path) -> None:
    pages = []
    for name in ("once", "again"):
        written = draw_page(grown.folder, tmp_path / name)
        pages.append({path.name: path.read_bytes() for path in written})
    assert pages[0] == pages[1]
    plots = {name: page.decode() for name, page in pages[0].items() if name.endswith(".svg")}
    assert set(plots) == {"throughput.svg", "interference.svg", "growth.svg"}
    assert "dc:date" not in "".join(plots.values())
    assert all(len(plot) < 60_000 for plot in plots.values())
    for plot, words in (
        ("throughput.svg", "file at night, CSV"),
        ("interference.svg", "waiting from the intended start (ms)"),
        ("growth.svg", "random event ids"),
    ):
        assert words in plots[plot]
    table = pages[0]["figures.md"].decode()
    assert all(f"`{name}`" in table for name in (*figures_of(grown.kept), *PROMISED))


def test_nothing_kept_is_nothing_drawn(tmp_path: Path) -> None:
    assert draw_page(tmp_path, tmp_path / "page") == []


def test_a_figure_is_printed_beside_its_control() -> None:
    line = Figure(name="posts", value=1234.5, unit="/s", control="raw", ratio=0.25).line()
    assert line.split() == ["posts", "1,234.5", "/s", "0.25", "of", "raw"]


def test_a_figure_may_stand_beside_two_controls() -> None:
    posts = Figure(name="posts", value=50.0, unit="/s", control="raw", ratio=0.25)
    beside = compared(posts, Figure(name="a_peer", value=20.0, unit="/s"), short="peer")
    assert (beside.name, beside.value, beside.control, beside.ratio) == (
        *("posts_beside_peer", 50.0, "a_peer", 2.5),
    )


def test_paced_work_is_done_once_for_each_number() -> None:
    done: list[int] = []
    run = paced(done.append, count=50, threads=4)
    assert sorted(done) == list(range(50))
    assert 0 <= run.p50_ms <= run.p99_ms
