"""Scans that were refused, as merchants and operators read them: where, when, why; newest first.

The code is that of the refusal. What was scanned is not kept.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.clock import day_bounds
from kernel.errors import Refusal
from kernel.paging import Page, PageRequest


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which refused scans; None is any."""

    merchant_id: UUID | None = None
    store_id: UUID | None = None
    terminal_id: UUID | None = None
    refusal: str | None = None
    day: date | None = None


@dataclass(frozen=True, kw_only=True)
class RefusedScan:
    """One refused scan; titles are those of the refusal's code."""

    id: UUID
    refusal: str
    title_zh: str
    title_en: str
    merchant_id: UUID
    store_id: UUID
    terminal_id: UUID
    clerk_id: UUID | None
    voucher_id: UUID | None
    recorded_at: datetime


def refused_scans(call: Call, wanted: Wanted, page: PageRequest) -> Page[RefusedScan]:
    """Refused scans of the caller's region that fit; refuses `WrongCursor`."""
    binding = f"scan-refusals/{call.region}/{wanted}"
    position = page.position(binding, UUID)
    start, end = (None, None) if wanted.day is None else day_bounds(wanted.day)
    values = {
        "region": call.region,
        "merchant": wanted.merchant_id,
        "store": wanted.store_id,
        "terminal": wanted.terminal_id,
        "refusal": wanted.refusal,
        "start": start,
        "end": end,
        "before": position[0] if position else None,
        "most": page.limit + 1,
    }
    listed = _OF_REGION if wanted.merchant_id is None else _OF_MERCHANT
    found = [_told(row) for row in call.db.execute(listed, values)]
    return page.page(found, binding, lambda item: [str(item.id)])


def _told(row: Row[Any]) -> RefusedScan:
    known = Refusal.catalogue.get(row.refusal, Refusal)
    told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return RefusedScan(**told, title_zh=known.title("zh"), title_en=known.title())


_FITTING = (
    "SELECT id, refusal, merchant_id, store_id, terminal_id, clerk_id, voucher_id, recorded_at"
    " FROM scan_refusal WHERE region_id = :region{merchant}"
    " AND (CAST(:store AS uuid) IS NULL OR store_id = CAST(:store AS uuid))"
    " AND (CAST(:terminal AS uuid) IS NULL OR terminal_id = CAST(:terminal AS uuid))"
    " AND (CAST(:refusal AS text) IS NULL OR refusal = CAST(:refusal AS text))"
    " AND (CAST(:start AS timestamptz) IS NULL OR (recorded_at >= CAST(:start AS timestamptz)"
    " AND recorded_at < CAST(:end AS timestamptz)))"
    " AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid)) ORDER BY id DESC LIMIT :most"
)
_OF_REGION = text(_FITTING.format(merchant=""))
_OF_MERCHANT = text(_FITTING.format(merchant=" AND merchant_id = :merchant"))
