"""Reminders of what ends, in rounds: one goes through all that ends on a day in a region, once.

Of the days ahead that a region's rule names (30, 7 and 1), the nearest that is due is told. After days of
downtime those that it overtook are never told, and what has ended is not reminded of; that it ended is
told, for every day since the last one told. A round goes on where the last transaction left it: its place
and its messages are committed together, and a message stands once by its key.

Whose coins will not end, because they stand on later days by the ledger's formula, is not reminded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert

from app.notifications.inbox import Telling, tell
from app.notifications.tables import COINS, VOUCHERS, ReminderRound
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.rules import reminder_days
from kernel.tenancy import Region
from ledger.endings import FIRST_PLACE, HolderEnding, Place, coins_ended_on, coins_ending_on
from rewards.endings import VoucherPlace, before_all_of, vouchers_ending_on
from rewards.vouchers import VOUCHER

AT_ONCE = 200
"""Accounts or vouchers gone through in one transaction."""
ENDED = 0
"""The days ahead of a round that tells what has ended."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What ends on a day in a region, and how many days ahead its owners are told."""

    region_id: str
    what: str
    ends_on: date
    days_ahead: int


@dataclass(frozen=True)
class _Step:
    """Some of a round: what is told, how many were looked at, and the place behind them."""

    tellings: Sequence[Telling]
    looked_at: int
    after: list[str]


def open_rounds(call: Call) -> list[Round]:
    """Begin the rounds that are due and return all that are not done, what has ended first."""
    regions = call.db.scalars(select(Region.id).order_by(Region.id)).all()
    due = [each for region in regions for each in _due(call, region)]
    for first in range(0, len(due), AT_ONCE):
        new = [
            {**vars(each), "after": [], "told": 0, "begun_at": call.now}
            for each in due[first : first + AT_ONCE]
        ]
        call.db.execute(insert(ReminderRound).values(new).on_conflict_do_nothing())
    waiting = select(ReminderRound).where(
        ReminderRound.done_at.is_(None),
        # An older round of a day was overtaken, or its day has come.
        (ReminderRound.days_ahead == ENDED) | (ReminderRound.ends_on > call.today),
    )
    order = (ReminderRound.days_ahead, ReminderRound.region_id, ReminderRound.what, ReminderRound.ends_on)
    nearest = set(due)
    found = (_round(row) for row in call.db.scalars(waiting.order_by(*order)))
    return [each for each in found if each.days_ahead == ENDED or each in nearest]


def _due(call: Call, region_id: str) -> Iterator[Round]:
    for day in _days_ended(call, region_id):
        yield Round(region_id=region_id, what=COINS, ends_on=day, days_ahead=ENDED)
    days = reminder_days(call, region_id, day=call.today)
    for ahead in range(1, max(days, default=0) + 1):
        nearest = next(each for each in days if each >= ahead)
        for what in (COINS, VOUCHERS):
            ends_on = call.today + timedelta(days=ahead)
            yield Round(region_id=region_id, what=what, ends_on=ends_on, days_ahead=nearest)


def _days_ended(call: Call, region_id: str) -> list[date]:
    """The days since the last one whose ended coins were told; at the very first, today."""
    last = call.db.scalar(
        select(func.max(ReminderRound.ends_on)).where(
            ReminderRound.region_id == region_id,
            ReminderRound.what == COINS,
            ReminderRound.days_ahead == ENDED,
        )
    )
    first = call.today if last is None else last + timedelta(days=1)
    return [first + timedelta(days=number) for number in range((call.today - first).days + 1)]


def go_on(call: Call, each: Round, *, most: int = AT_ONCE) -> int:
    """Take a round a step further; returns how many accounts or vouchers were looked at, 0 at its end.

    A round that another unit of work has in hand is left to it. Coins must be posted as ended before
    the round of their day goes on (`expire_due` of the ledger until nothing is left).
    """
    row = call.db.scalar(
        select(ReminderRound)
        .where(*_key(each), ReminderRound.done_at.is_(None))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return 0
    step = _steps(call, each, row.after, most)
    if step is None:
        return 0
    tell(call, step.tellings)
    done = step.looked_at < most
    call.db.execute(
        update(ReminderRound)
        .where(*_key(each))
        .values(
            after=step.after or row.after,
            told=ReminderRound.told + len(step.tellings),
            done_at=call.now if done else None,
        )
        .execution_options(synchronize_session=False)
    )
    return step.looked_at


def _steps(call: Call, each: Round, after: list[str], most: int) -> _Step | None:
    if each.what == VOUCHERS:
        return _vouchers(call, each, after, most)
    place = Place(holder_id=UUID(after[0]), account_id=int(after[1])) if after else FIRST_PLACE
    if each.days_ahead == ENDED:
        ended = coins_ended_on(call, each.ends_on, after=place, most=most)
        return _coins(each, ended, "coins_expired") if all(one.posted for one in ended) else None
    return _coins(each, coins_ending_on(call, each.ends_on, after=place, most=most), "coins_expiring")


def _coins(each: Round, found: Sequence[HolderEnding], kind: str) -> _Step:
    ahead = {} if each.days_ahead == ENDED else {"days_ahead": each.days_ahead}
    tellings = [
        Telling(
            holder_id=one.holder_id,
            region_id=one.region_id,
            kind=kind,
            subject=one.validity_class,
            occasion=f"{each.ends_on.isoformat()}/{each.days_ahead}",
            facts={
                "validity_class": one.validity_class,
                "coin_milli": one.amount,
                "expires_on": each.ends_on.isoformat(),
                **ahead,
            },
        )
        for one in found
        if one.amount > 0 and one.region_id == each.region_id
    ]
    return _Step(tellings, len(found), [str(found[-1].holder_id), str(found[-1].account_id)] if found else [])


def _vouchers(call: Call, each: Round, after: list[str], most: int) -> _Step:
    place = (
        VoucherPlace(ends_at=datetime.fromisoformat(after[0]), holder_id=UUID(after[1]), id=UUID(after[2]))
        if after
        else before_all_of(each.ends_on)
    )
    found = vouchers_ending_on(
        call,
        each.ends_on,
        region_id=each.region_id,
        # Bought on the reminder's day or later, its end was in sight: the next reminder is its first.
        issued_before=each.ends_on - timedelta(days=each.days_ahead),
        after=place,
        most=most,
    )
    tellings = [
        Telling(
            holder_id=one.holder_id,
            region_id=each.region_id,
            kind="voucher_expiring",
            subject=public_id(VOUCHER, one.id),
            occasion=str(each.days_ahead),
            facts={
                "title_zh": one.title_zh,
                "title_en": one.title_en,
                "coin_milli": one.price_coin_milli,
                "expires_on": each.ends_on.isoformat(),
                "days_ahead": each.days_ahead,
            },
        )
        for one in found
    ]
    last = [found[-1].place] if found else []
    places = [[one.ends_at.isoformat(), str(one.holder_id), str(one.id)] for one in last]
    return _Step(tellings, len(found), places[0] if places else [])


def _key(each: Round) -> tuple[ColumnElement[bool], ...]:
    return tuple(getattr(ReminderRound, name) == value for name, value in vars(each).items())


def _round(row: ReminderRound) -> Round:
    return Round(region_id=row.region_id, what=row.what, ends_on=row.ends_on, days_ahead=row.days_ahead)
