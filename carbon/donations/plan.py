"""What a region means to do with its pool, line by line, in public: for what, how much, in which days.

A line limits what is shared out under it, never what there is: the pool's balance guards that. So a plan may
promise what enterprises have not given yet, and anybody sees that it does.
"""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from carbon.donations.errors import (
    PoolCampaignKeyTaken,
    PoolCampaignNotOpen,
    PoolCampaignSpent,
    PoolCampaignUnknown,
)
from carbon.donations.tables import PoolCampaign
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from kernel.tenancy import known_region

CAMPAIGN = "pcm"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the plan; `ends_on` is the first day after it."""

    key: str
    title_zh: str
    title_en: str
    purpose_zh: str
    purpose_en: str
    budget_mg: int
    starts_on: date
    ends_on: date


def plan(call: Call, line: Line) -> PoolCampaign:
    """Add a line to the plan of the caller's region; refuses `PoolCampaignKeyTaken`."""
    campaign = PoolCampaign(
        id=new_id(),
        region_id=call.region,
        **vars(line),
        allocated_mg=0,
        planned_by=call.actor.known_id,
        planned_at=call.now,
    )
    try:
        with call.db.begin_nested():
            call.db.add(campaign)
            call.db.flush()  # the other one must show itself here, inside the savepoint
    except IntegrityError as error:
        raise PoolCampaignKeyTaken(pointer="/body/key") from error
    audit(call, "plan", subject=public_id(CAMPAIGN, campaign.id), budget_mg=line.budget_mg)
    return campaign


def draw(call: Call, campaign_id: UUID, *, carbon_mg: int) -> None:
    """Count so much on a line; refuses `PoolCampaignUnknown`, `PoolCampaignNotOpen`, `PoolCampaignSpent`."""
    values = {"id": campaign_id, "region": call.region, "mg": carbon_mg, "today": call.today}
    if call.db.execute(_DRAW, values).rowcount == 1:  # type: ignore[attr-defined]  # cursor results have it
        return
    campaign = call.db.get(PoolCampaign, campaign_id, populate_existing=True)
    if campaign is None or campaign.region_id != call.region:
        raise PoolCampaignUnknown(pointer="/body/campaign_id")
    if not campaign.starts_on <= call.today < campaign.ends_on:
        raise PoolCampaignNotOpen(pointer="/body/campaign_id", starts_on=campaign.starts_on.isoformat())
    raise PoolCampaignSpent(pointer="/body/campaign_id", left_mg=campaign.budget_mg - campaign.allocated_mg)


def campaigns(call: Call, page: PageRequest, *, region_id: str) -> Page[PoolCampaign]:
    """The plan of a region, the newest line first; refuses NotFound (region)."""
    known_region(call.db, region_id)
    query = select(PoolCampaign).where(PoolCampaign.region_id == region_id)
    return newest_first(call, query, PoolCampaign.id, page, binding=f"campaigns/{region_id}")


_DRAW = text(
    "UPDATE pool_campaign SET allocated_mg = allocated_mg + :mg WHERE id = :id AND region_id = :region"
    " AND starts_on <= :today AND ends_on > :today AND allocated_mg + :mg <= budget_mg"
)
