"""When coins end: for one holder day by day, and for a day holder by holder.

Nothing is remembered of which coin was spent; what is left stands on the buckets that end last
(`ledger.md`, Expiry). Holds stand on the earliest: so the held part of a day is what all coins leave
there less what the available ones leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from ledger.statements import expirable, schedule


@dataclass(frozen=True, kw_only=True)
class Grace:
    """Coins that came back after their day by no fault of their holder, and why; some may be spent since."""

    amount: int
    cause: str


@dataclass(frozen=True, kw_only=True)
class EndingDay:
    """What ends on a day if nothing is spent before, and what vouchers and holds set aside of that day."""

    expires_on: date
    amount: int
    held: int
    grace: tuple[Grace, ...]


@dataclass(frozen=True, kw_only=True)
class ClassEndings:
    """The coins of one validity class: `available` and `held` are the sums of their days.

    `held_past_day` is the part of `held` whose day is over: it lives as long as it is held.
    """

    validity_class: str
    available: int
    held: int
    held_past_day: int
    frozen: bool
    days: tuple[EndingDay, ...]


@dataclass(frozen=True, kw_only=True)
class Place:
    """An account in the order in which a day's holders are gone through."""

    holder_id: UUID
    account_id: int


@dataclass(frozen=True, kw_only=True)
class HolderEnding(Place):
    """What ends, or ended, on a day in one account."""

    region_id: str
    validity_class: str
    amount: int
    posted: bool
    """Whether what ended up to the day has been posted, for a day that is over."""


FIRST_PLACE = Place(holder_id=UUID(int=0), account_id=0)


def endings(call: Call, holder_id: UUID) -> list[ClassEndings]:
    """Every class of the holder's coins with its days, as of today; all of it is of one moment."""
    values = {"holder": holder_id, "today": call.today}
    return [_of_class(row, today=call.today) for row in call.db.execute(_ENDINGS, values)]


def _of_class(row: Row[Any], *, today: date) -> ClassEndings:
    buckets = list(zip(row.days, row.credits, strict=True))
    free = row.posted - row.held
    laid = laid_out(buckets, posted=row.posted, held=row.held, today=today)
    return ClassEndings(
        validity_class=row.validity_class,
        available=free - expirable(free, buckets, on=today),
        held=row.held,
        held_past_day=row.held - sum(held for _, _, held in laid),
        frozen=row.frozen,
        days=tuple(
            EndingDay(expires_on=day, amount=amount, held=held, grace=_grace(row.graced, day))
            for day, amount, held in laid
        ),
    )


def laid_out(
    buckets: list[tuple[date, int]], *, posted: int, held: int, today: date
) -> list[tuple[date, int, int]]:
    """Each coming day with coins on it: (day, what of them is available, what is held)."""
    ending = {each.expires_on: each.amount for each in schedule(max(0, posted - held), buckets, today=today)}
    # A debt leaves what is held untouched, so the held coins are there even where fewer are posted.
    everything = schedule(max(posted, held), buckets, today=today)
    return [
        (day, ending.get(day, 0), there - ending.get(day, 0))
        for day, there in ((each.expires_on, each.amount) for each in everything)
    ]


def _grace(graced: list[dict[str, Any]], day: date) -> tuple[Grace, ...]:
    own = (each for each in graced if each["day"] == day.isoformat())
    return tuple(Grace(amount=each["amount"], cause=each["cause"]) for each in own)


def coins_ending_on(call: Call, day: date, *, after: Place, most: int) -> Sequence[HolderEnding]:
    """Accounts with a bucket of a coming day, in their order: what of it ends if nothing is spent.

    `amount` is 0 where all of it was spent or is held.
    """
    return _gone_through(call, _ENDING_ON, day, after, most)


def coins_ended_on(call: Call, day: date, *, after: Place, most: int) -> Sequence[HolderEnding]:
    """Accounts with a bucket of a day that is over, in their order: what of it was posted as ended."""
    return _gone_through(call, _ENDED_ON, day, after, most)


def _gone_through(call: Call, query: Any, day: date, after: Place, most: int) -> Sequence[HolderEnding]:
    values = {**vars(after), "day": day, "most": most}
    return [HolderEnding(**row._asdict()) for row in call.db.execute(query, values)]


_ENDINGS = text(
    "SELECT a.validity_class, b.posted, b.held, b.frozen, k.days, k.credits, g.graced"
    " FROM ledger_account a JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id"
    " CROSS JOIN LATERAL (SELECT coalesce(array_agg(c.expires_on), '{}') AS days,"
    "  coalesce(array_agg(c.credited), '{}') AS credits FROM coin_bucket c"
    "  WHERE c.holder_id = a.holder_id AND c.account_id = a.id AND c.expires_on > :today) k"
    " CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_object('day', r.grace_on, 'cause', r.cause,"
    "  'amount', r.amount) ORDER BY r.grace_on, r.cause), '[]') AS graced FROM (SELECT x.grace_on, x.cause,"
    "   CAST(sum(x.amount) AS bigint) AS amount FROM coin_regrace x WHERE x.holder_id = a.holder_id"
    "   AND x.account_id = a.id AND x.grace_on > :today GROUP BY x.grace_on, x.cause) r) g"
    " WHERE a.holder_id = :holder AND a.kind = 'citizen' AND a.unit = 'coin' ORDER BY a.id"
)
# The accounts of a day come from `ix_coin_bucket_ending`, some at a time, and nobody else's are looked at.
_OF_A_DAY = (
    "WITH due AS MATERIALIZED (SELECT holder_id, account_id, credited FROM coin_bucket"
    " WHERE expires_on = :day AND (holder_id, account_id) > (:holder_id, :account_id)"
    " ORDER BY holder_id, account_id LIMIT :most)"
    " SELECT d.holder_id, d.account_id, a.region_id, a.validity_class, {amount} AS amount,"
    " b.next_expiry > :day AS posted"
    " FROM due d JOIN ledger_account a ON a.holder_id = d.holder_id AND a.id = d.account_id"
    " JOIN ledger_balance b ON b.holder_id = d.holder_id AND b.account_id = d.account_id {beside}"
    " ORDER BY d.holder_id, d.account_id"
)
# `schedule` in one line: of what is available beyond all later buckets, this one ends at most its own.
_ENDING_ON = text(
    _OF_A_DAY.format(
        amount="least(d.credited, greatest(0, b.posted - b.held - later.credited))",
        beside="CROSS JOIN LATERAL (SELECT CAST(coalesce(sum(c.credited), 0) AS bigint) AS credited"
        " FROM coin_bucket c WHERE c.holder_id = d.holder_id AND c.account_id = d.account_id"
        " AND c.expires_on > :day) later",
    )
)
_ENDED_ON = text(
    _OF_A_DAY.format(
        amount="coalesce(-t.amount, 0)",
        beside="LEFT JOIN ledger_reference r ON r.holder_id = d.holder_id AND r.source = 'expiry'"
        " AND r.reference = d.account_id || '/' || CAST(:day AS date)"
        " LEFT JOIN ledger_transfer t ON t.holder_id = d.holder_id AND t.account_id = d.account_id"
        " AND t.id = r.transfer_id",
    )
)
