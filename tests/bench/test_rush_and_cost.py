"""The benches of a rush and of a redemption's cost, run in small: every figure is taken, no time judged."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cost import Cost, measure_cost
from bench.figures import keep
from bench.ground import product_on
from bench.page import draw_page
from bench.rush import Rush, measure_rush
from tests.bench.test_bench import broken
from tests.conftest import cloned_database

SMALL_RUSH = Rush(citizens=12, items=5, parallel=6, rounds=2, quiet_seconds=0.3, per_second=5)
SMALL_COST = Cost(rounds=2, requests=240, codes=20)


@pytest.fixture(scope="module")
def kept(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    with cloned_database() as url, product_on(url, cache_url, data=folder, environment="test") as product:
        keep(measure_rush(product, data=folder, rush=SMALL_RUSH), folder / "rush.json")
        assert broken(product) == []
    with cloned_database() as url, product_on(url, cache_url, data=folder, environment="test") as product:
        keep(measure_cost(product, data=folder, cost=SMALL_COST), folder / "cost.json")
        assert broken(product) == []
    return folder


def _figures(folder: Path, name: str) -> dict[str, Any]:
    return dict(json.loads((folder / name).read_text()))


def test_rounds_with_and_without_a_rush_take_turns_and_each_sells_what_there_is(kept: Path) -> None:
    run = _figures(kept, "rush.json")
    rounds = run["details"]["rush_rounds"]
    assert [row["beside"] for row in rounds] == ["nothing", "rush"] * 2
    for row in rounds[1::2]:
        assert row["told"] == {"201": 5, "409 out_of_stock": 7}
        assert (row["vouchers"], row["held_coin_milli"]) == (5, 5_000)
    for most in (50, 99):
        quiet, rushed = run[f"other_reward_quiet_p{most}"], run[f"other_reward_in_rush_p{most}"]
        assert rushed["control"] == f"other_reward_quiet_p{most}"
        assert rushed["ratio"] == pytest.approx(rushed["value"] / quiet["value"])
    assert run["rush_sold"]["value"] == 5


def test_a_redemption_stands_beside_an_update_of_one_row_in_web_and_database(kept: Path) -> None:
    run = _figures(kept, "cost.json")
    assert [row["of"] for row in run["details"]["cost_rounds"]] == ["one_row", "redemption"] * 2
    for part in ("web", "database", "total"):
        ours, control = run[f"redemption_cpu_{part}"], run[f"one_row_cpu_{part}"]
        assert ours["control"] == f"one_row_cpu_{part}"
        assert ours["value"] > 0
        assert ours["ratio"] == pytest.approx(ours["value"] / control["value"])
    assert run["code_verify"]["value"] > 0


def test_the_page_has_both(kept: Path, tmp_path: Path) -> None:
    written = {path.name: path.read_text() for path in draw_page(kept, tmp_path)}
    assert set(written) == {"rush.json", "cost.json", "figures.md"}
    assert "| rush |" in written["figures.md"]
    assert "7 × 409 out_of_stock" in written["figures.md"]
    assert "`redemption_cpu_total`" in written["figures.md"]
