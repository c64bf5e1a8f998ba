"""When vouchers end: those of one citizen by day, and those of a day citizen by citizen.

A voucher's `ends_at` is the end of its last day, so the day it falls on is the first on which the voucher
is no longer valid. One that is closing counts with its owner's, as coins wait for it, and no longer with
those that can still be used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.clock import business_day, day_bounds
from kernel.paging import Page, PageRequest
from rewards.voucher_states import HELD, LIVE, State, one_of


@dataclass(frozen=True, kw_only=True)
class VoucherEnding:
    """A voucher of the caller and its end."""

    id: UUID
    title_zh: str
    title_en: str
    state: State
    price_coin_milli: int
    ends_at: datetime
    closes_at: datetime | None

    @property
    def expires_on(self) -> date:
        """The first day on which it can no longer be used."""
        return business_day(self.ends_at)


@dataclass(frozen=True, kw_only=True)
class OwnersVoucher:
    """A voucher that can still be used, and whose it is."""

    holder_id: UUID
    id: UUID
    title_zh: str
    title_en: str
    price_coin_milli: int
    ends_at: datetime

    @property
    def place(self) -> "VoucherPlace":
        """Where it stands among those of its day."""
        return VoucherPlace(ends_at=self.ends_at, holder_id=self.holder_id, id=self.id)


@dataclass(frozen=True, kw_only=True)
class VoucherPlace:
    """A place in the order in which the vouchers of a day are gone through."""

    ends_at: datetime
    holder_id: UUID
    id: UUID


def before_all_of(day: date) -> VoucherPlace:
    """The place before the first voucher of a day."""
    return VoucherPlace(ends_at=day_bounds(day)[0], holder_id=_NOBODY, id=_NOBODY)


def voucher_endings(call: Call, page: PageRequest) -> Page[VoucherEnding]:
    """The vouchers of the calling citizen for which coins are held, by their end, the nearest first.

    One whose last day is over and that only waits for the job is left out.
    """
    holder = call.actor.known_id
    binding = f"voucher-endings/{holder}"
    since_us, last = page.position(binding, int, UUID) or (0, _NOBODY)
    values = {
        "holder": holder,
        "now": call.now,
        "since": _EPOCH + timedelta(microseconds=min(since_us, _LAST_US)),
        "after": last,
        "most": page.limit + 1,
    }
    found = [VoucherEnding(**row._asdict()) for row in call.db.execute(_MINE, values)]
    return page.page(found, binding, lambda each: [_microseconds(each.ends_at), str(each.id)])


def vouchers_ending_on(
    call: Call, day: date, *, region_id: str, issued_before: date, after: VoucherPlace, most: int
) -> Sequence[OwnersVoucher]:
    """A region's usable vouchers that are invalid from `day` on, in order; of one region among others' rows.

    Those issued on `issued_before` or later are left out.
    """
    values = {
        **vars(after),
        "region": region_id,
        "ends": day_bounds(day)[1],
        "issued": day_bounds(issued_before)[0],
        "most": most,
    }
    return [OwnersVoucher(**row._asdict()) for row in call.db.execute(_OF_A_DAY, values)]


def _microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


_NOBODY = UUID(int=0)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_US = 250_000_000_000_000_000
"""In the year 9892: a cursor may say any number, the calendar ends."""
_MINE = text(
    "SELECT v.id, r.title_zh, r.title_en, CASE WHEN v.state = 'locked' AND v.locked_until <= :now"  # noqa: S608 - our own states
    " THEN 'issued' ELSE v.state END AS state, v.price_coin_milli, v.ends_at, v.closes_at"
    " FROM voucher v JOIN reward r ON r.id = v.reward_id"
    f" WHERE v.holder_id = :holder AND {one_of('v.state', HELD)}"
    f" AND (v.state = '{State.CLOSING}' OR v.ends_at > :now)"
    " AND (v.ends_at, v.id) > (:since, :after) ORDER BY v.ends_at, v.id LIMIT :most"
)
_OF_A_DAY = text(
    "SELECT v.holder_id, v.id, r.title_zh, r.title_en, v.price_coin_milli, v.ends_at"  # noqa: S608 - our own states
    " FROM voucher v JOIN reward r ON r.id = v.reward_id"
    f" WHERE {one_of('v.state', LIVE)} AND v.ends_at < :ends"
    " AND (v.ends_at, v.holder_id, v.id) > (:ends_at, :holder_id, :id)"
    " AND v.region_id = :region AND v.issued_at < :issued"
    " ORDER BY v.ends_at, v.holder_id, v.id LIMIT :most"
)
