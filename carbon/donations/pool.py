"""A region's public pool in figures that add up: given, on its way, there, shared out, withdrawn."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, text

from carbon.donations.tables import Donation
from carbon.listing import newest_first
from kernel.call import Call
from kernel.paging import Page, PageRequest
from kernel.tenancy import known_region


@dataclass(frozen=True, kw_only=True)
class PoolState:
    """Milligrams CO2e. Donated = on the way + available + allocated + withdrawn."""

    region: str
    donated_mg: int
    on_the_way_mg: int
    available_mg: int
    allocated_mg: int
    withdrawn_mg: int
    donations: int
    citizens: int
    as_of: datetime


def pool_state(call: Call, region_id: str) -> PoolState:
    """The pool of a region now, out of one statement; refuses NotFound (region)."""
    holder = known_region(call.db, region_id).holder_id
    row = call.db.execute(_STATE, {"region": region_id, "holder": holder}).one()
    return PoolState(region=region_id, as_of=call.now, **row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def certificates(call: Call, page: PageRequest, *, region_id: str | None = None) -> Page[Donation]:
    """Donations of one region or of all, newest first."""
    query = select(Donation)
    if region_id is not None:
        query = query.where(Donation.region_id == region_id)
    return newest_first(call, query, Donation.id, page, binding=f"certificates/{region_id}")


_STATE = text(
    "SELECT d.donated_mg, d.donations, w.on_the_way_mg, b.available_mg, s.allocated_mg, s.citizens,"
    " t.withdrawn_mg FROM"
    " (SELECT coalesce(sum(carbon_mg), 0)::bigint AS donated_mg, count(*) AS donations"
    "  FROM donation WHERE region_id = :region) d,"
    " (SELECT coalesce(sum(p.amount), 0)::bigint AS on_the_way_mg FROM ledger_pending_leg p"
    "  WHERE p.holder_id = :holder AND p.code = 'DONATE' AND p.rolled_into IS NULL) w,"
    " (SELECT coalesce(sum(x.posted - x.held), 0)::bigint AS available_mg FROM ledger_balance x"
    "  JOIN ledger_account a ON a.holder_id = x.holder_id AND a.id = x.account_id"
    "  WHERE a.holder_id = :holder AND a.kind = 'pool' AND a.unit = 'carbon') b,"
    " (SELECT coalesce(sum(h.carbon_mg), 0)::bigint AS allocated_mg, count(DISTINCT h.citizen_id) AS citizens"
    "  FROM pool_share h JOIN pool_allocation l ON l.id = h.allocation_id WHERE l.region_id = :region) s,"
    " (SELECT coalesce(sum(carbon_mg), 0)::bigint AS withdrawn_mg FROM donation_withdrawal"
    "  WHERE region_id = :region) t"
)
