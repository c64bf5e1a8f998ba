"""News becomes messages: which event is told to whom, in the transaction that takes the news.

A listener gets all news of its event at once and says who is told what. News names a thing by its public id
and carries nothing personal, so a listener looks up whose it is. Others add an event by one function and
one entry of `LISTENERS`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.notifications.inbox import Telling, tell
from carbon.activities.holds import HOLD
from carbon.activities.recomputation.jobs import PREFIX as RECOMPUTATION
from carbon.donations.allocation import ALLOCATION
from kernel.call import Call
from kernel.clock import business_day
from kernel.identifiers import parse_public_id, public_id
from kernel.outgoing import News
from merchants.asks.asking import ASK
from merchants.redemption import REDEMPTION
from rewards.catalogue.waiting import HELD as PLACE_HELD
from rewards.catalogue.waiting import LAPSED as PLACE_LAPSED
from rewards.catalogue.waiting import PLACE
from rewards.vouchers import VOUCHER

Listener = Callable[[Call, Sequence[News]], Iterable[Telling]]


def tell_news(call: Call, news: Iterable[News]) -> int:
    """Tell holders what concerns them; returns how many messages were new."""
    heard: dict[str, list[News]] = defaultdict(list)
    for each in news:
        if each.event in LISTENERS:
            heard[each.event].append(each)
    return tell(call, [one for event, some in heard.items() for one in LISTENERS[event](call, some)])


def _by_id(prefix: str, news: Sequence[News]) -> dict[UUID, News]:
    return {parse_public_id(prefix, each.subject): each for each in news}


def _vouchers_ended(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = _by_id(VOUCHER, news)
    for row in call.db.execute(_VOUCHERS, {"ids": list(said)}):
        each = said[row.id]
        facts = {
            "title_zh": row.title_zh,
            "title_en": row.title_en,
            "coin_milli": each.facts["coin_milli"],
            # News of before an upgrade has none: it was not given then.
            "graced_coin_milli": each.facts.get("graced_coin_milli", 0),
        }
        if each.event == "voucher.deactivated":
            own = {"reason": row.reason}
        else:
            own = {"ended_coin_milli": each.facts["ended_coin_milli"]}
        yield Telling(
            holder_id=row.holder_id,
            region_id=row.region_id,
            kind=each.event.replace(".", "_"),
            subject=each.subject,
            facts={**facts, **own},
        )


def _redemptions_reversed(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = _by_id(REDEMPTION, news)
    for row in call.db.execute(_REDEMPTIONS, {"ids": list(said)}):
        yield Telling(
            holder_id=row.holder_id,
            region_id=row.region_id,
            kind="voucher_reversed",
            subject=public_id(VOUCHER, row.voucher_id),
            occasion=str(row.cycle),
            facts={
                "title_zh": row.title_zh,
                "title_en": row.title_en,
                "coin_milli": row.coin_milli,
                "lives_again": said[row.id].facts["outcome"] == "issued",
                "expires_on": business_day(row.ends_at).isoformat(),
            },
        )


def _owners_asked(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = {parse_public_id(ASK, each.facts["ask"]): each for each in news}
    for row in call.db.execute(_ASKS, {"ids": list(said)}):
        each = said[row.id]
        facts: dict[str, Any] = {"title_zh": row.title_zh, "title_en": row.title_en}
        if each.event == "redemption.asked":
            facts |= {"ask": each.facts["ask"], "answer_by": row.answer_by.isoformat()}
            kind = "voucher_asked"
        else:
            facts |= {"reason": row.reason}
            kind = "voucher_overridden"
        yield Telling(
            holder_id=row.holder_id,
            region_id=each.region_id,
            kind=kind,
            subject=each.subject,
            occasion=each.facts["ask"],
            facts=facts,
        )


def _places_in_line(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = _by_id(PLACE, news)
    for row in call.db.execute(_PLACES, {"ids": list(said)}):
        each = said[row.id]
        facts: dict[str, Any] = {"title_zh": row.title_zh, "title_en": row.title_en}
        if each.event == PLACE_HELD:
            facts |= {"held_until": each.facts["held_until"]}
        yield _plain(row.holder_id, each, each.event.replace(".", "_"), facts)


def _activities_corrected(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    for each in news:
        values = {"id": parse_public_id(RECOMPUTATION, each.subject), "part": each.facts["part"]}
        for row in call.db.execute(_CORRECTED, values):
            facts = {"activities": row.activities, "coin_milli": row.coin_milli, "carbon_mg": row.carbon_mg}
            yield _plain(row.citizen_id, each, "coins_corrected", facts)


def _holds(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = {(parse_public_id(HOLD, each.subject), each.event): each for each in news}
    rows = {row.id: row for row in call.db.execute(_HOLDS, {"ids": [hold for hold, _ in said]})}
    for (hold, event), each in said.items():
        row = rows[hold]
        own: dict[str, Any] = (
            {"reason_zh": row.reason_zh, "reason_en": row.reason_en}
            if event == "activity.held"
            else {"reason": row.decision_reason}
        )
        facts = {"activity_id": public_id("act", row.activity_id), "coin_milli": row.coin_milli, **own}
        yield _plain(row.citizen_id, each, event.replace(".", "_"), facts)


def _pool_allocated(call: Call, news: Sequence[News]) -> Iterator[Telling]:
    said = _by_id(ALLOCATION, news)
    for row in call.db.execute(_SHARES, {"ids": list(said)}):
        facts = {"carbon_mg": row.carbon_mg, "coin_milli": row.coin_milli}
        yield _plain(row.citizen_id, said[row.allocation_id], "donation_received", facts)


def _plain(holder_id: UUID, each: News, kind: str, facts: dict[str, Any]) -> Telling:
    return Telling(
        holder_id=holder_id, region_id=each.region_id, kind=kind, subject=each.subject, facts=facts
    )


# What the owner reads is the operator's reason, and not that no offline scan arrived in the end, nor why the
# voucher was closing in an earlier cycle.
_VOUCHERS = text(
    "SELECT v.id, v.holder_id, v.region_id, r.title_zh, r.title_en, (SELECT s.reason FROM voucher_step s"
    " WHERE s.holder_id = v.holder_id AND s.voucher_id = v.id AND s.cycle = v.cycle"
    " AND s.to_state IN ('closing', 'deactivated') ORDER BY s.id LIMIT 1) AS reason"
    " FROM voucher v JOIN reward r ON r.id = v.reward_id WHERE v.id = ANY (:ids)"
)
_REDEMPTIONS = text(
    "SELECT d.id, d.holder_id, d.region_id, d.voucher_id, d.cycle, d.coin_milli, r.title_zh, r.title_en,"
    " v.ends_at FROM redemption d JOIN voucher v ON v.holder_id = d.holder_id AND v.id = d.voucher_id"
    " JOIN reward r ON r.id = v.reward_id WHERE d.id = ANY (:ids)"
)
_CORRECTED = text(
    "SELECT c.citizen_id, count(*) AS activities, CAST(sum(c.coin_posted_milli) AS bigint) AS coin_milli,"
    " CAST(sum(c.carbon_mg_after - c.carbon_mg_before) AS bigint) AS carbon_mg"
    " FROM recomputation_part p JOIN activity_correction c ON c.recomputation_id = p.recomputation_id"
    " AND c.citizen_id > p.after_citizen AND c.citizen_id <= p.until_citizen"
    " WHERE p.recomputation_id = :id AND p.number = :part GROUP BY c.citizen_id"
)
_HOLDS = text(
    "SELECT id, citizen_id, activity_id, coin_milli, reason_zh, reason_en, decision_reason"
    " FROM activity_hold WHERE id = ANY (:ids)"
)
_SHARES = text(
    "SELECT citizen_id, allocation_id, carbon_mg, coin_milli FROM pool_share WHERE allocation_id = ANY (:ids)"
)
_ASKS = text(
    "SELECT a.id, a.holder_id, a.answer_by, a.reason, r.title_zh, r.title_en FROM redemption_ask a"
    " JOIN voucher v ON v.holder_id = a.holder_id AND v.id = a.voucher_id"
    " JOIN reward r ON r.id = v.reward_id WHERE a.id = ANY (:ids)"
)
_PLACES = text(
    "SELECT p.id, p.holder_id, r.title_zh, r.title_en FROM reward_place p"
    " JOIN reward r ON r.id = p.reward_id WHERE p.id = ANY (:ids)"
)

LISTENERS: Mapping[str, Listener] = {
    "voucher.expired": _vouchers_ended,
    "voucher.cancelled": _vouchers_ended,
    "voucher.deactivated": _vouchers_ended,
    "redemption.reversed": _redemptions_reversed,
    "redemption.asked": _owners_asked,
    "redemption.overridden": _owners_asked,
    PLACE_HELD: _places_in_line,
    PLACE_LAPSED: _places_in_line,
    "recomputation.posted": _activities_corrected,
    "activity.held": _holds,
    "activity.released": _holds,
    "activity.refused": _holds,
    "pool.allocated": _pool_allocated,
}
"""What is told of which event."""
