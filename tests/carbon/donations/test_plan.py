"""Sharing out by rule: equal, by need, on a line of the plan, and never more than there is."""

from datetime import date
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as some

from carbon.donations.allocation import Claimant, allocate, allocate_by_need, explain_share, split
from carbon.donations.errors import (
    NothingForCoins,
    PoolCampaignKeyTaken,
    PoolCampaignNotOpen,
    PoolCampaignSpent,
    PoolCampaignUnknown,
)
from carbon.donations.plan import Line, campaigns, plan
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.paging import PageRequest
from tests.carbon.donations.test_donations import plant_rules
from tests.carbon.donations.world import KILOGRAM, at_once, findings, gift, person
from tests.conftest import REGION, Database

COMMUTE = Line(
    key="green-commute",
    title_zh="绿色通勤",
    title_en="Green commuting",
    purpose_zh="奖励首次改乘公交的市民",
    purpose_en="For citizens who take the bus for the first time",
    budget_mg=10 * KILOGRAM,
    starts_on=date(2026, 11, 1),
    ends_on=date(2026, 12, 1),
)


@for_all(
    some.lists(some.integers(1, 1000), min_size=1, max_size=30),
    some.integers(1, 10**15),
)
def test_shares_by_weight_sum_to_the_milligram_and_nobody_gains_one_by_rounding(
    weights: list[int], carbon_mg: int
) -> None:
    shares = split([Claimant(citizen_id=new_id(), weight=each) for each in weights], carbon_mg)
    assert sum(share for _, share in shares) == carbon_mg
    whole = sum(weights)
    for each, share in shares:
        assert -whole < share * whole - carbon_mg * each.weight < whole


def test_by_need_who_weighs_thrice_gets_thrice_and_each_share_explains_itself(call: Call) -> None:
    plant_rules(call)
    gift(call, "a", 10)
    much, little = new_id(), new_id()
    claimants = [Claimant(citizen_id=much, weight=3), Claimant(citizen_id=little, weight=1)]
    made = allocate_by_need(person(call), claimants, carbon_mg=8 * KILOGRAM, reason="winter help")
    assert (made.allocation.rule, made.allocation.carbon_mg) == ("need", 8 * KILOGRAM)
    by_citizen = {share.citizen_id: share for share in made.shares}
    assert by_citizen[much].carbon_mg == 3 * by_citizen[little].carbon_mg == 6 * KILOGRAM
    assert by_citizen[much].coin_milli == 600_000
    told = explain_share(call, much, coin_transfer_id=by_citizen[much].coin_transfer_id)
    assert (told["rule"], told["weight"], told["replays"]) == ("need", 3, True)
    assert findings(call) == {}


def test_a_share_by_need_too_small_for_a_coin_is_refused_before_anything_moves(call: Call) -> None:
    plant_rules(call)
    gift(call, "a", 1)
    claimants = [Claimant(citizen_id=new_id(), weight=each) for each in (1000, 1)]
    with pytest.raises(NothingForCoins):
        allocate_by_need(person(call), claimants, carbon_mg=5_000, reason="crumbs")


def test_a_line_of_the_plan_is_spent_to_its_budget_and_no_further(call: Call) -> None:
    plant_rules(call)
    gift(call, "a", 100)
    line = plan(person(call), COMMUTE).id
    on_it: dict[str, Any] = {"carbon_mg_each": 4 * KILOGRAM, "reason": "first ride", "campaign_id": line}
    for _ in range(2):
        allocate(person(call), [new_id()], **on_it)
    with pytest.raises(PoolCampaignSpent) as refused:
        allocate(person(call), [new_id()], **on_it)
    assert refused.value.facts == {"left_mg": 2 * KILOGRAM}
    (shown,) = campaigns(call, PageRequest(10), region_id=REGION).items
    assert (shown.key, shown.allocated_mg) == ("green-commute", 8 * KILOGRAM)
    assert findings(call) == {}


def test_a_line_is_of_its_region_and_days_and_its_name_stands_once(call: Call) -> None:
    plant_rules(call)
    gift(call, "a")
    over = plan(person(call), Line(**{**vars(COMMUTE), "key": "over", "ends_on": date(2026, 11, 20)}))
    for line, refusal in ((over.id, PoolCampaignNotOpen), (new_id(), PoolCampaignUnknown)):
        with pytest.raises(refusal):
            allocate(person(call), [new_id()], carbon_mg_each=KILOGRAM, reason="day", campaign_id=line)
    plan(person(call), COMMUTE)
    with pytest.raises(PoolCampaignKeyTaken):
        plan(person(call), COMMUTE)


def _shared_out(line: UUID, call: Call) -> int:
    people = [Claimant(citizen_id=new_id(), weight=each) for each in (1, 2)]
    made = allocate_by_need(person(call), people, carbon_mg=3 * KILOGRAM, reason="race", campaign_id=line)
    return made.allocation.carbon_mg


def test_a_budget_holds_against_many_at_once_and_so_does_the_pool(database: Database) -> None:
    database.run(plant_rules)
    database.run(lambda call: gift(call, "a", 12).id)
    small = database.run(lambda call: plan(person(call), COMMUTE).id)
    large_line = Line(**{**vars(COMMUTE), "key": "large", "budget_mg": 1000 * KILOGRAM})
    large = database.run(lambda call: plan(person(call), large_line).id)
    works = [partial(_shared_out, line) for line in (small, large) for _ in range(5)]
    results = at_once(database, works)
    shared = [each for each in results if isinstance(each, int)]
    assert sum(shared) == 12 * KILOGRAM
    refused = {each for each in results if isinstance(each, str)}
    assert refused <= {"pool_campaign_spent", "balance_insufficient"}
    spent = database.rows("SELECT allocated_mg FROM pool_campaign WHERE key = 'green-commute'")[0]
    assert spent.allocated_mg <= 9 * KILOGRAM
    assert database.run(findings) == {}
