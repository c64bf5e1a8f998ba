"""What the pages of the pool show: its balance, the plan for it, what was shared out, and one serial."""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select

from app.public.page_facts import two_languages
from app.public.rule_words import grams_in_words
from app.public.scenario_words import Words
from carbon.donations.allocation import ALLOCATION
from carbon.donations.giving import DONATION
from carbon.donations.plan import campaigns
from carbon.donations.pool import pool_state
from carbon.donations.serials import find_serial, parse_serial
from carbon.donations.tables import PoolAllocation, PoolCampaign, PoolShare
from kernel.call import Call
from kernel.clock import business_day
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from kernel.tenancy import known_region

LINES_A_PAGE, ALLOCATIONS_A_PAGE = 50, 20
RULES = {"equal": Words("等额分配", "equal shares"), "need": Words("按需分配", "by need")}
SERIAL_STATES = {
    "waiting": Words("在池中待分配", "waits in the pool"),
    "shared": Words("已分给一位市民", "went to a citizen"),
    "withdrawn": Words("已撤回", "was withdrawn"),
}


def pool_shown(call: Call, region_id: str) -> dict[str, Any]:
    """A pool in figures, the newest lines of its plan, the latest allocations; refuses NotFound."""
    region = known_region(call.db, region_id)
    pool = pool_state(call, region_id)
    names = ("donated", "on_the_way", "available", "allocated", "withdrawn")
    return {
        "region": Words(region.name_zh, region.name_en),
        "region_id": region_id,
        "figures": {name: grams_in_words(getattr(pool, f"{name}_mg")) for name in names},
        "citizens": pool.citizens,
        "donations": pool.donations,
        "lines": [
            _line_shown(call, line)
            for line in campaigns(call, PageRequest(LINES_A_PAGE), region_id=region_id).items
        ],
        "allocations": _allocations(call, region_id),
    }


def serial_shown(call: Call, region_id: str, written: str) -> dict[str, Any]:
    """What became of a serial; refuses NotFound (region), SerialUnknown."""
    region = known_region(call.db, region_id)
    found = find_serial(call, region_id, parse_serial(written))
    return {
        "region": Words(region.name_zh, region.name_en),
        "region_id": region_id,
        "found": found,
        "state": SERIAL_STATES[found.state],
        "piece": grams_in_words(found.piece.carbon_mg),
        "certificate": public_id(DONATION, found.piece.donation_id),
        "allocation": None if found.allocation_id is None else _allocation_named(call, found.allocation_id),
    }


def _line_shown(call: Call, line: PoolCampaign) -> dict[str, Any]:
    return {
        "title": Words(line.title_zh, line.title_en),
        "purpose": Words(line.purpose_zh, line.purpose_en),
        "starts_on": line.starts_on,
        "last_day": line.ends_on - timedelta(days=1),
        "runs": line.starts_on <= call.today < line.ends_on,
        "budget": grams_in_words(line.budget_mg),
        "allocated": grams_in_words(line.allocated_mg),
        "percent": 100 * line.allocated_mg // line.budget_mg,
    }


def _allocations(call: Call, region_id: str) -> list[dict[str, Any]]:
    rows = call.db.execute(
        select(PoolAllocation, PoolCampaign)
        .outerjoin(PoolCampaign, PoolCampaign.id == PoolAllocation.campaign_id)
        .where(PoolAllocation.region_id == region_id)
        .order_by(PoolAllocation.id.desc())
        .limit(ALLOCATIONS_A_PAGE)
    ).all()
    ids = {allocation.id for allocation, _ in rows}
    people: dict[Any, int] = {
        row[0]: row[1]
        for row in call.db.execute(
            select(PoolShare.allocation_id, func.count())
            .where(PoolShare.allocation_id.in_(ids))
            .group_by(PoolShare.allocation_id)
        )
    }
    return [
        {
            "day": business_day(allocation.allocated_at),
            "reason": two_languages(allocation.reason),
            "rule": RULES[allocation.rule],
            "line": None if line is None else Words(line.title_zh, line.title_en),
            "carbon": grams_in_words(allocation.carbon_mg),
            "citizens": people[allocation.id],
        }
        for allocation, line in rows
    ]


def _allocation_named(call: Call, allocation_id: Any) -> dict[str, Any]:
    allocation = call.db.get_one(PoolAllocation, allocation_id)
    return {
        "id": public_id(ALLOCATION, allocation.id),
        "day": business_day(allocation.allocated_at),
        "reason": two_languages(allocation.reason),
    }
