"""A voucher after the exchange: reading it, ending it, and the one way its state changes.

Whoever changes a voucher locks its row first, looks, then moves coins, then advances the state under
a condition whose row count is checked. Locks go voucher, use of the reward, balance, and last of all
stock, which the whole city draws from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, insert, select, text

from kernel.audit import audit
from kernel.call import Call
from kernel.clock import business_day
from kernel.errors import BrokenInvariant, NotFound, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from ledger.holds import HoldSet, Released, release, release_late
from rewards.catalogue.tables import RewardUnit
from rewards.errors import VoucherClosing, VoucherEnded, VoucherLocked, VoucherPastItsDay, VoucherRedeemed
from rewards.stock import put_back
from rewards.tables import Reward, Voucher, VoucherStep
from rewards.voucher_states import LIVE, TRANSITIONS, USED, State, one_of

VOUCHER = "vch"
PURPOSE = "voucher"


@dataclass(frozen=True, kw_only=True)
class Key:
    """Whose voucher, and which."""

    holder_id: UUID
    voucher_id: UUID

    @property
    def public(self) -> str:
        """The voucher's id as the outside sees it."""
        return public_id(VOUCHER, self.voucher_id)


@dataclass(frozen=True, kw_only=True)
class Held:
    """A voucher whose row is locked by this unit of work."""

    key: Key
    region_id: str
    reward_id: UUID
    state: State
    cycle: int
    price_coin_milli: int
    cost_fen: int
    funding: tuple[dict[str, Any], ...]
    merchant_id: UUID | None
    scope_no: int | None
    lock_s: int
    reversal_window_s: int
    grace_days: int
    ends_at: datetime
    lock_session: UUID | None
    locked_until: datetime | None
    lock_by: UUID | None
    offline_until: datetime | None
    closes_at: datetime | None
    closing_to: str | None
    stock_parts: tuple[str, ...]
    use_periods: tuple[str, ...]
    unit_no: int | None

    def open_offline(self, now: datetime) -> bool:
        """Whether a terminal may have honoured it without asking and can still say so."""
        return self.offline_until is not None and now < self.offline_until

    def locked(self, now: datetime) -> bool:
        """Whether a scan holds it now; a lock that ran out does not."""
        return self.state is State.LOCKED and self.locked_until is not None and now < self.locked_until


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A voucher as its owner sees it."""

    id: UUID
    reward_id: UUID
    title_zh: str
    title_en: str
    state: State
    cycle: int
    price_coin_milli: int
    issued_at: datetime
    ends_at: datetime
    closes_at: datetime | None = None
    """When a voucher that is closing ends and its coins go back."""
    unit_no: int | None = None
    unit_zh: str | None = None
    unit_en: str | None = None
    """The one seat or plot it is for."""


@dataclass(frozen=True)
class GivenBack(Released):
    """What came back; nothing yet where `closes_at` says when."""

    closes_at: datetime | None = None


def coins_of(key: Key, *, cycle: int) -> HoldSet:
    """The hold set of one use: `voucher/<id>/<cycle>` in the ledger."""
    return HoldSet(holder_id=key.holder_id, purpose=PURPOSE, reference=f"{key.voucher_id}/{cycle}")


def take(call: Call, key: Key) -> Held:
    """Lock a voucher's row and read it as it is now; refuses `NotFound`."""
    row = call.db.execute(_TAKE, {"holder": key.holder_id, "voucher": key.voucher_id}).one_or_none()
    if row is None:
        raise NotFound("no such voucher")
    return _held(row)


def take_session(call: Call, session: UUID) -> Held | None:
    """Lock the voucher that a scan reserved and read it; None when the reservation was replaced or used."""
    row = call.db.execute(_TAKE_SESSION, {"session": session}).one_or_none()
    return None if row is None else _held(row)


def require_usable(voucher: Held, now: datetime) -> None:
    """Refuses, in this order: as `require_live`, `VoucherPastItsDay`, `VoucherLocked`."""
    require_live(voucher)
    require(now < voucher.ends_at, VoucherPastItsDay())
    require(not voucher.locked(now), VoucherLocked())


def require_live(voucher: Held) -> None:
    """Refuses, in this order: `VoucherRedeemed`, `VoucherClosing`, `VoucherEnded`."""
    require(voucher.state not in USED, VoucherRedeemed(cycle=voucher.cycle))
    if voucher.state is State.CLOSING and voucher.closes_at is not None:
        raise VoucherClosing(closes_at=voucher.closes_at.isoformat())
    require(voucher.state in LIVE, VoucherEnded(state=voucher.state.value))


def lock(call: Call, voucher: Held, *, by: UUID, reason: str) -> tuple[UUID, datetime]:
    """Reserve a taken voucher for one scan; returns the session and when the reservation lapses."""
    session, until = new_id(), call.now + timedelta(seconds=voucher.lock_s)
    _move(call, voucher, {"to": State.LOCKED, "session": session, "until": until, "by": by}, reason=reason)
    return session, until


def advance(call: Call, voucher: Held, to: State, *, reason: str) -> None:
    """Move a taken voucher on inside its cycle."""
    _move(call, voucher, {"to": to}, reason=reason)


def begin_again(call: Call, voucher: Held, *, reason: str) -> None:
    """Issue a redeemed voucher anew, in its next cycle."""
    _move(call, voucher, {"to": State.ISSUED, "next": voucher.cycle + 1}, reason=reason)


def _move(call: Call, voucher: Held, change: dict[str, Any], *, reason: str) -> None:
    values = {
        "holder": voucher.key.holder_id,
        "voucher": voucher.key.voucher_id,
        "from": voucher.state,
        "cycle": voucher.cycle,
        "next": voucher.cycle,
        "session": None,
        "until": None,
        "by": None,
        "closes_at": None,
        "closing_to": None,
        **change,
    }
    if values["to"] not in TRANSITIONS[voucher.state]:
        raise BrokenInvariant(f"a voucher never goes from {voucher.state} to {values['to']}")
    done = call.db.execute(_MOVE, values)
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a locked voucher changed under us")
    note_step(
        call,
        voucher.key,
        region_id=voucher.region_id,
        cycle=values["next"],
        to=values["to"],
        reason=reason,
        came_from=voucher.state,
    )


def note_step(
    call: Call,
    key: Key,
    *,
    region_id: str,
    cycle: int,
    to: State,
    reason: str,
    came_from: State | None = None,
) -> None:
    """Write one line of a voucher's life."""
    call.db.execute(
        insert(VoucherStep).values(
            holder_id=key.holder_id,
            voucher_id=key.voucher_id,
            id=new_id(),
            region_id=region_id,
            from_state=came_from,
            to_state=to,
            cycle=cycle,
            principal=call.actor.principal,
            reason=reason,
            recorded_at=call.now,
        )
    )


def cancel(call: Call, voucher_id: UUID) -> GivenBack:
    """Give a voucher of the calling citizen back for its coins; what of them has ended ends with it.

    Refuses, in this order: `NotFound`, `VoucherRedeemed`, `VoucherClosing`, `VoucherEnded`,
    `VoucherPastItsDay`, `VoucherLocked`.
    """
    voucher = take(call, Key(holder_id=call.actor.known_id, voucher_id=voucher_id))
    require_usable(voucher, call.now)
    return _end_in_time(call, voucher, State.CANCELLED, reason="cancelled by its owner")


def key_of(call: Call, voucher_id: UUID) -> Key:
    """Whose voucher it is, for an operator who knows its id alone; refuses `NotFound`."""
    row = call.db.execute(
        select(Voucher.holder_id, Voucher.region_id).where(Voucher.id == voucher_id)
    ).one_or_none()
    if row is None or row.region_id != call.region:
        raise NotFound("no such voucher")
    return Key(holder_id=row.holder_id, voucher_id=voucher_id)


def deactivate(call: Call, key: Key, *, reason: str) -> GivenBack:
    """Withdraw an unused voucher for a reason its owner can read; coins past their day get grace.

    Refuses, in this order: `NotFound` (or of another region), `VoucherRedeemed`, `VoucherClosing`,
    `VoucherEnded`, `VoucherLocked`.
    """
    voucher = take(call, key)
    require(voucher.region_id == call.region, NotFound("no such voucher"))
    require_live(voucher)
    require(not voucher.locked(call.now), VoucherLocked())
    audit(call, "voucher.deactivated", subject=key.public, reason=reason)
    return _end_in_time(call, voucher, State.DEACTIVATED, reason=reason)


def expire_due(call: Call, *, most: int = 20) -> int:
    """End up to `most` vouchers whose last day is over, one a citizen, in the citizens' order.

    Returns how many; call it again until it returns 0, each call is a transaction of its own. A voucher past
    its day is refused at every till before this job sees it, and coins that ended because the run came on
    a later day get grace: its owner could not have them back sooner.

    One a citizen, because an exchange takes a use and then the balance: a second voucher would ask for
    its use with the balance in hand. Few, because their owners wait for the commit. The items go back
    after the last balance, so nobody who buys ever waits for a citizen that this job waits for.
    """
    done, ended = 0, []
    for voucher in _taken_due(call, _DUE, most=most):
        if voucher.state not in LIVE or voucher.ends_at > call.now or voucher.locked(call.now):
            continue
        done += 1
        if voucher.open_offline(call.now):
            _close(call, voucher, State.EXPIRED, reason="not used in time")
        else:
            due = max(voucher.ends_at, voucher.offline_until or voucher.ends_at)
            _end(call, voucher, State.EXPIRED, reason="not used in time", due=due)
            ended.append(voucher)
    back_on_shelf(call, ended)
    return done


def close_due(call: Call, *, most: int = 20) -> int:
    """End up to `most` vouchers that are closing and whose offline scans can no longer arrive.

    Returns how many; call it again until it returns 0. One a citizen and few at once, as `expire_due`, and
    a late run gives the same grace.
    """
    ended = []
    for voucher in _taken_due(call, _CLOSING, most=most):
        if (
            voucher.state is State.CLOSING
            and voucher.closing_to is not None
            and not voucher.open_offline(call.now)
        ):
            to = State(voucher.closing_to)
            _end(call, voucher, to, reason="no offline scan arrived", due=voucher.closes_at)
            ended.append(voucher)
    back_on_shelf(call, ended)
    return len(ended)


def _taken_due(call: Call, due: TextClause, *, most: int) -> Iterator[Held]:
    found = call.db.execute(due, {"now": call.now, "most": most, "seen": most * _LOOK_AHEAD}).all()
    for row in found:
        yield take(call, Key(holder_id=row.holder_id, voucher_id=row.id))


def free_use(call: Call, voucher: Held) -> None:
    """Uncount a voucher that ended unused from its owner's limits; before coins move, as at exchange."""
    counted = {"holder": voucher.key.holder_id, "reward": voucher.reward_id}
    call.db.execute(_UNUSE, [{**counted, "period": period} for period in voucher.use_periods])


def back_on_shelf(call: Call, vouchers: Iterable[Held]) -> None:
    """Put the items of vouchers that ended unused back where they were drawn; after all coins moved."""
    ended = list(vouchers)
    put_back(
        call, ((each.reward_id, part, each.key.voucher_id) for each in ended for part in each.stock_parts)
    )
    units = [
        {"reward": each.reward_id, "no": each.unit_no, "voucher": each.key.voucher_id}
        for each in sorted(ended, key=lambda each: (each.reward_id, each.unit_no or 0))
        if each.unit_no is not None
    ]
    if units and call.db.execute(_FREE_UNIT, units).rowcount != len(units):  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a unit is with its voucher")


def owned(call: Call, voucher_id: UUID) -> Owned:
    """One voucher of the calling citizen; refuses `NotFound`."""
    row = call.db.execute(
        _OWNED.where(Voucher.holder_id == call.actor.known_id, Voucher.id == voucher_id)
    ).one_or_none()
    if row is None:
        raise NotFound("no such voucher")
    return _owned(row, call.now)


def all_owned(call: Call, page: PageRequest) -> Page[Owned]:
    """The calling citizen's vouchers, newest first."""
    holder = call.actor.known_id
    binding = f"vouchers/{holder}"
    position = page.position(binding, UUID)
    query = _OWNED.where(Voucher.holder_id == holder).order_by(Voucher.id.desc()).limit(page.limit + 1)
    if position is not None:
        query = query.where(Voucher.id < position[0])
    found = [_owned(row, call.now) for row in call.db.execute(query)]
    return page.page(found, binding, lambda item: [str(item.id)])


def _end_in_time(call: Call, voucher: Held, to: State, *, reason: str) -> GivenBack:
    """End a voucher: at once, or once no terminal can say any more that it honoured it without asking."""
    if voucher.open_offline(call.now):
        _close(call, voucher, to, reason=reason)
        return GivenBack(0, 0, 0, voucher.offline_until)
    back = _end(call, voucher, to, reason=reason)
    back_on_shelf(call, [voucher])
    return GivenBack(back.amount, back.ended, back.graced)


def _close(call: Call, voucher: Held, to: State, *, reason: str) -> None:
    change = {"to": State.CLOSING, "closes_at": voucher.offline_until, "closing_to": to.value}
    _move(call, voucher, change, reason=reason)


def _end(call: Call, voucher: Held, to: State, *, reason: str, due: datetime | None = None) -> Released:
    free_use(call, voucher)
    back = _coins_back(call, voucher, to, due=due)
    if back.amount != voucher.price_coin_milli:
        raise BrokenInvariant("a voucher's hold is its price")
    advance(call, voucher, to, reason=reason)
    _announce_end(call, voucher, to, back)
    return back


def _coins_back(call: Call, voucher: Held, to: State, *, due: datetime | None) -> Released:
    """Give its coins back; `due` is when a job was to do so.

    Coins past their day live on where somebody else than their owner ended the voucher, and as far as they
    ended between the day on which they were due and today.
    """
    coins = coins_of(voucher.key, cycle=voucher.cycle)
    grace_on = call.today + timedelta(days=voucher.grace_days)
    if to is State.DEACTIVATED:
        return release(call, coins, cause=to.value, grace_on=grace_on)
    since = call.today if due is None else business_day(due)
    if since < call.today:
        return release_late(call, coins, cause=to.value, since=since, grace_on=grace_on)
    return release(call, coins, cause=to.value, grace_on=None)


def _announce_end(call: Call, voucher: Held, to: State, back: Released) -> None:
    """Say what its owner did not see: it ran out, was withdrawn, or its cancellation had to wait."""
    if to is State.CANCELLED and voucher.state is not State.CLOSING:
        return  # the answer to the request says what came back
    told = {"coin_milli": back.amount, "graced_coin_milli": back.graced}
    if to is not State.DEACTIVATED:
        told["ended_coin_milli"] = back.ended
    announce(call, f"voucher.{to.value}", region_id=voucher.region_id, subject=voucher.key.public, **told)


def _held(row: Row[Any]) -> Held:
    return Held(
        key=Key(holder_id=row.holder_id, voucher_id=row.id),
        region_id=row.region_id,
        reward_id=row.reward_id,
        state=State(row.state),
        cycle=row.cycle,
        price_coin_milli=row.price_coin_milli,
        cost_fen=row.cost_fen,
        funding=tuple(row.funding),
        merchant_id=row.merchant_id,
        scope_no=row.scope_no,
        lock_s=row.lock_s,
        reversal_window_s=row.reversal_window_s,
        grace_days=row.grace_days,
        ends_at=row.ends_at,
        lock_session=row.lock_session,
        locked_until=row.locked_until,
        lock_by=row.lock_by,
        offline_until=row.offline_until,
        closes_at=row.closes_at,
        closing_to=row.closing_to,
        stock_parts=tuple(row.stock_parts),
        use_periods=tuple(row.use_periods),
        unit_no=row.unit_no,
    )


def _owned(row: Any, now: datetime) -> Owned:
    shown = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    until, state = shown.pop("locked_until"), State(row.state)
    lapsed = state is State.LOCKED and until <= now  # a lock that ran out counts as issued again
    return Owned(**{**shown, "state": State.ISSUED if lapsed else state})


_WITH_REWARD = select(
    Voucher.id,
    Voucher.reward_id,
    Reward.title_zh,
    Reward.title_en,
    Voucher.state,
    Voucher.cycle,
    Voucher.price_coin_milli,
    Voucher.issued_at,
    Voucher.ends_at,
    Voucher.closes_at,
    Voucher.locked_until,
    Voucher.unit_no,
    RewardUnit.name_zh.label("unit_zh"),
    RewardUnit.name_en.label("unit_en"),
).join(Reward, Reward.id == Voucher.reward_id)
_OWNED = _WITH_REWARD.outerjoin(
    RewardUnit, (RewardUnit.reward_id == Voucher.reward_id) & (RewardUnit.no == Voucher.unit_no)
)
_TAKE = text("SELECT * FROM voucher WHERE holder_id = :holder AND id = :voucher FOR UPDATE")
_TAKE_SESSION = text("SELECT * FROM voucher WHERE lock_session = :session FOR UPDATE")
_MOVE = text(
    "UPDATE voucher SET state = :to, cycle = :next, lock_session = CAST(:session AS uuid),"
    " locked_until = CAST(:until AS timestamptz), lock_by = CAST(:by AS uuid),"
    " closes_at = CAST(:closes_at AS timestamptz), closing_to = CAST(:closing_to AS text)"
    " WHERE holder_id = :holder AND id = :voucher AND state = :from AND cycle = :cycle"
)
_LOOK_AHEAD = 10
"""Due vouchers looked at for each one ended, as some citizens have several."""
_DUE = text(
    "SELECT DISTINCT ON (holder_id) holder_id, id FROM ("  # noqa: S608 - our own states
    f"SELECT holder_id, id FROM voucher WHERE ends_at <= :now AND {one_of('state', LIVE)}"
    " AND (locked_until IS NULL OR locked_until <= :now) ORDER BY ends_at LIMIT :seen"
    ") due ORDER BY holder_id, id LIMIT :most"
)
_CLOSING = text(
    "SELECT DISTINCT ON (holder_id) holder_id, id FROM ("
    "SELECT holder_id, id FROM voucher WHERE closes_at <= :now ORDER BY closes_at LIMIT :seen"
    ") due ORDER BY holder_id, id LIMIT :most"
)
_UNUSE = text(
    "UPDATE reward_use SET used = used - 1 WHERE holder_id = :holder AND reward_id = :reward"
    " AND period = :period AND used > 0"
)
_FREE_UNIT = text(
    "UPDATE reward_unit SET voucher_id = NULL WHERE reward_id = :reward AND no = :no"
    " AND voucher_id = :voucher"
)
