"""Coins never wrap: a rate counts in lowest terms, and one that could leave 64 bits is not published."""

from typing import Any

import polars as pl
import pytest

from carbon.activities.allotment import allot_coins
from carbon.activities.intake import take_chunk
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id
from kernel.publications.errors import RuleContentWrong
from kernel.publications.rates import CARBON_MG_MOST, LINES_MOST, PER_MILLIGRAM_MOST
from kernel.publications.rules import CoinRate, coin_rate
from kernel.publications.shapes import check_content
from kernel.units import INT64_MAX, floor_to_milli_coins
from tests.carbon.city import OFFICIAL, RULES, City, lines, publish_rule, publish_tables, ride
from tests.carbon.test_intake import activities, broken
from tests.conftest import REGION


def test_a_rate_written_in_great_numbers_gives_what_it_gives_in_small_ones(call: Call) -> None:
    content = {"coins_milli": 10**14, "per_mg": 10**15}
    publish_tables(call, OFFICIAL)
    for kind, subject, rule in RULES:
        if kind != "cap":
            publish_rule(call, kind, subject, content if kind == "coin_rate" else rule)
    registered = register_partner(call, name="demo transit", region_id=REGION)
    city = City(registered.partner.id, registered.api_key)
    city.bind(call, ["card-017"])
    metres = (1_000, 4_000, 5_000, 10_000, 90_000)
    take_chunk(call, city.intake(), lines(*(ride(f"e{each}", metres=each) for each in metres)))
    given = [(each.carbon_mg, each.coin_milli) for each in activities(call)]
    assert given == [(mg, floor_to_milli_coins(mg, **content)) for mg, _ in given]
    assert sorted(mg for mg, _ in given) == [each * 467 // 10 for each in metres]
    assert broken(call) == []


@pytest.mark.parametrize(
    "content",
    [
        {"coins_milli": 10**14, "per_mg": 10**15 - 1},
        {"coins_milli": 1_000_001, "per_mg": 1_000_003},
        {"coins_milli": 11, "per_mg": 1},
        {"coins_milli": 10**15, "per_mg": 1},
    ],
)
def test_a_rate_that_could_leave_64_bits_is_refused_with_its_limit(content: dict[str, Any]) -> None:
    with pytest.raises(RuleContentWrong, match="at most") as refused:
        check_content("coin_rate", content)
    assert refused.value.pointer == "/content/coins_milli"


@pytest.mark.parametrize(
    "content",
    [
        {"coins_milli": 10**15, "per_mg": 10**15},
        {"coins_milli": 1_000_000, "per_mg": 1_000_001},
        {"coins_milli": 10, "per_mg": 1},
    ],
)
def test_what_is_published_stays_exact_up_to_the_most_of_a_chunk(call: Call, content: dict[str, Any]) -> None:
    check_content("coin_rate", content)
    publish_rule(call, "coin_rate", "standard", content)
    rate = coin_rate(call, REGION, day=call.today).in_lowest_terms()
    most = rate.coins_for(CARBON_MG_MOST)
    assert CARBON_MG_MOST * rate.coins_milli <= INT64_MAX
    assert most <= CARBON_MG_MOST * PER_MILLIGRAM_MOST
    assert max(most, CARBON_MG_MOST) * LINES_MOST <= INT64_MAX
    assert LINES_MOST >= 100_000


@pytest.mark.parametrize(
    ("carbon_mg", "coins_milli", "lines_"),
    [(CARBON_MG_MOST, 10**7, 1), (CARBON_MG_MOST, 10, 100_001), (10**14, 1, 100_001)],
    ids=["product", "sum of coins", "sum of kilograms"],
)
def test_older_rates_and_greater_chunks_raise_instead_of_wrapping(
    call: Call, carbon_mg: int, coins_milli: int, lines_: int
) -> None:
    rate = CoinRate(rule_id=new_id(), coins_milli=coins_milli, per_mg=1)
    rows = pl.DataFrame({"carbon_mg": [carbon_mg]}).select(pl.col("carbon_mg").repeat_by(lines_).explode())
    with pytest.raises(BrokenInvariant, match="64 bits"):
        allot_coins(call, rows, region_id=REGION, rate=rate, found_caps=[])
