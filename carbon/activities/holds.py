"""An activity on hold: its coins are set aside until a second operator decides, and its citizen reads why.

held → released | refused. The citizen may appeal once while it is held. Released, the coins are the citizen's
again; refused, coins and kilograms are taken back as a correction would. Each step is one conditional UPDATE.
An activity is held once; meanwhile its source cannot correct it, nor after it was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import ColumnElement, exists, select, text, update
from sqlalchemy.dialects.postgresql import insert

from carbon.activities.borne import coins_at_stake
from carbon.activities.corrections import lower_cap_of, take_back_refused
from carbon.activities.errors import (
    ActivityHeld,
    ActivityHeldBefore,
    ActivityReversed,
    AppealedBefore,
    HoldDecided,
    HolderCannotDecide,
    TimeToAppeal,
)
from carbon.activities.meters import end_refused
from carbon.activities.recognition import GOOD, refuse
from carbon.activities.references import names_of
from carbon.activities.tables import HOLD_STATES, Activity, ActivityHold, ActivityReversal
from carbon.activities.trips import free_refused
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.bulk_text import select_frame
from kernel.call import Call
from kernel.errors import NotFound, require
from kernel.identifiers import new_id, parse_public_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from kernel.publications.rules import grace
from ledger.accounts import find_account
from ledger.bulk_accounts import lock_citizens
from ledger.chart import STANDARD, Kind, Unit
from ledger.holds import HoldSet, hold, lock_available, release

HOLD, PURPOSE = "hld", "activity"
HOME, HOME_PART = "hhd", "household "
"""What begins the event of a part of a home's saving; no partner can send it: there is a space in it."""
HELD, RELEASED, REFUSED = HOLD_STATES
TRANSITIONS = MappingProxyType({HELD: {RELEASED, REFUSED}, RELEASED: set[str](), REFUSED: set[str]()})
APPEAL_TIME = timedelta(days=14)
"""So long a citizen has to appeal before an activity may be refused without one."""


@dataclass(frozen=True, kw_only=True)
class HoldOrder:
    """Which activity, and why, as its citizen will read it."""

    citizen_id: UUID
    activity_id: UUID
    reason_zh: str
    reason_en: str


def put_on_hold(call: Call, order: HoldOrder) -> ActivityHold:
    """Set the coins of an activity aside, as far as they are there.

    Refuses, in this order: NotFound, ActivityReversed, ActivityHeldBefore, AccountFrozen.
    """
    activity = call.db.get(Activity, (order.citizen_id, order.activity_id))
    if activity is None or activity.basis.region_id != call.region:
        raise NotFound("no such activity")
    # The balance first: whoever takes the activity back at this moment has it locked, and is seen below.
    account = find_account(
        call, activity.citizen_id, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD
    )
    available = lock_available(call, account)
    coins = min(coins_at_stake(call, activity), available)
    reversed_ = select(ActivityReversal.activity_id).where(
        ActivityReversal.citizen_id == activity.citizen_id, ActivityReversal.activity_id == activity.id
    )
    require(not call.db.scalar(select(exists(reversed_))), ActivityReversed(pointer="/body/activity_id"))
    values = {
        **vars(order),
        "id": new_id(),
        "region_id": call.region,
        "state": HELD,
        "coin_milli": coins,
        "held_by": call.actor.principal,
        "held_at": call.now,
    }
    made = insert(ActivityHold).values(values).on_conflict_do_nothing().returning(ActivityHold)
    kept = call.db.scalar(made)
    if kept is None:
        raise ActivityHeldBefore(pointer="/body/activity_id")
    if coins:
        hold(call, _hold_set(activity.citizen_id, activity.id), [account], amount=coins, until=None)
    audit(call, "activity.hold", subject=public_id(HOLD, kept.id), coin_milli=coins)
    announce(call, "activity.held", region_id=kept.region_id, subject=public_id(HOLD, kept.id))
    return kept


def appeal(call: Call, activity_id: UUID, *, words: str) -> ActivityHold:
    """File the caller's appeal, once. Refuses, in this order: NotFound, HoldDecided, AppealedBefore."""
    mine = (ActivityHold.citizen_id == call.actor.known_id, ActivityHold.activity_id == activity_id)
    _found(call, *mine)
    values = {"appeal": words, "appealed_at": call.now}
    done = _changed(call, *mine, ActivityHold.state == HELD, ActivityHold.appeal.is_(None), values=values)
    kept = _found(call, *mine)
    require(done or kept.state == HELD, HoldDecided())
    require(done, AppealedBefore())
    audit(call, "activity.appeal", subject=public_id(HOLD, kept.id))
    return kept


def decide(call: Call, hold_id: UUID, *, into: str, reason: str) -> ActivityHold:
    """Release what is held, or refuse it for good; by another person than who held it.

    Refuses, in this order: NotFound, HolderCannotDecide, HoldDecided, TimeToAppeal, ActivityReversed.
    """
    here = (ActivityHold.id == hold_id, ActivityHold.region_id == call.region)
    require(_found(call, *here).held_by != call.actor.principal, HolderCannotDecide())
    waits = [] if into == RELEASED else [_may_be_refused(call)]
    values = {
        "state": into,
        "decided_by": call.actor.principal,
        "decided_at": call.now,
        "decision_reason": reason,
    }
    done = _changed(call, *here, ActivityHold.state == HELD, *waits, values=values)
    kept = _found(call, *here)
    require(done or kept.state == HELD, HoldDecided())
    require(done, TimeToAppeal())
    if into == REFUSED:
        _let_go(call, kept)
        # The release locks coins only, and what takes the activity back wants kilograms after it.
        lock_citizens(call, pl.Series([str(kept.citizen_id)]))
    if kept.coin_milli:
        until = call.today + grace(call, call.region, day=call.today)
        release(call, _hold_set(kept.citizen_id, kept.activity_id), cause=into, grace_on=until)
    if into == REFUSED:
        require(take_back_refused(call, kept.citizen_id, kept.activity_id), ActivityReversed())
    audit(call, f"activity.{into}", subject=public_id(HOLD, kept.id), reason=reason)
    announce(call, f"activity.{into}", region_id=kept.region_id, subject=public_id(HOLD, kept.id))
    return kept


def holds(call: Call, page: PageRequest, *, state: str | None) -> Page[ActivityHold]:
    """The holds of the caller's region, newest first."""
    query = select(ActivityHold).where(ActivityHold.region_id == call.region)
    if state is not None:
        query = query.where(ActivityHold.state == state)
    return newest_first(call, query, ActivityHold.id, page, binding=f"holds/{call.region}/{state}")


def holds_of(call: Call, citizen_id: UUID, activities: Sequence[UUID]) -> dict[UUID, ActivityHold]:
    """The holds of a citizen's activities, by activity."""
    found = call.db.scalars(
        select(ActivityHold).where(
            ActivityHold.citizen_id == citizen_id, ActivityHold.activity_id.in_(activities)
        )
    )
    return {each.activity_id: each for each in found}


def refuse_held(call: Call, frame: pl.DataFrame, partner_id: UUID) -> pl.DataFrame:
    """Refuse corrections of what is on hold or was refused: activity_held."""
    newer = frame.filter(GOOD & (pl.col("revision") > 1))
    if newer.is_empty():
        return frame
    schema = {"source_event_id": pl.String, "revision": pl.Int64}
    held = select_frame(call, _HELD, names_of(partner_id, newer), schema=schema).with_columns(
        held=pl.lit(value=True)
    )
    frame = frame.join(held, on=list(schema), how="left", maintain_order="left")
    return refuse(frame, pl.col("held"), ActivityHeld.code, "/corrects_revision").drop("held")


def _let_go(call: Call, kept: ActivityHold) -> None:
    """What a refused activity claimed and used; in the order of locks that intake has, balances last."""
    activity = call.db.get_one(Activity, (kept.citizen_id, kept.activity_id))
    if activity.source_event_id.startswith(HOME_PART):
        # The home is judged again, and gives the days back that no other part of the saving needs.
        home = str((activity.facts or {})["household"])
        call.db.execute(_JUDGE_AGAIN, {"id": parse_public_id(HOME, home)})
    end_refused(call, activity.basis.partner_id, activity.source_event_id)
    free_refused(call, kept.citizen_id, kept.activity_id)
    lower_cap_of(call, kept.citizen_id, kept.activity_id)


def _hold_set(citizen_id: UUID, activity_id: UUID) -> HoldSet:
    return HoldSet(holder_id=citizen_id, purpose=PURPOSE, reference=str(activity_id))


def _may_be_refused(call: Call) -> ColumnElement[bool]:
    return ActivityHold.appeal.is_not(None) | (ActivityHold.held_at <= call.now - APPEAL_TIME)


def _found(call: Call, *which: ColumnElement[bool]) -> ActivityHold:
    query = select(ActivityHold).where(*which).execution_options(populate_existing=True)
    kept = call.db.scalar(query)
    if kept is None:
        raise NotFound("no such hold")
    return kept


def _changed(call: Call, *which: ColumnElement[bool], values: dict[str, Any]) -> bool:
    done = call.db.execute(update(ActivityHold).where(*which).values(values))
    return bool(done.rowcount)  # type: ignore[attr-defined]  # cursor results have it


_JUDGE_AGAIN = text("UPDATE household SET evidence_no = evidence_no + 1 WHERE id = :id")
_HELD = (
    "SELECT k.event, k.revision FROM unnest(CAST(%(events)s AS text[]), CAST(%(revisions)s AS int[]))"
    " AS k (event, revision) JOIN activity_reference r ON r.partner_id = %(partner)s"
    " AND r.source_event_id = k.event AND r.revision = k.revision - 1"
    " JOIN activity_hold h ON h.citizen_id = r.citizen_id AND h.activity_id = r.activity_id"
    " AND h.state <> 'released'"
)
