"""The owner of a dear voucher says yes before a till uses it: asked, then confirmed, declined or overridden.

Each answer is a conditional UPDATE of what is still asked, so of two only one is an answer, and none changes
any more. A till's confirmation locks the voucher, then reads the answer in a statement of its own: what it
reads as yes stays yes. A no frees the voucher at once. Who does not answer in time has not said yes; a
manager may then, or before, say so with a PIN and a reason, which the owner reads.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
from kernel.paging import Page, PageRequest
from merchants.asks.errors import AskOver, CitizenNotConfirmed, OwnerAskedFirst
from merchants.clerks.errors import ManagerNeeded, OwnVoucher, PinWrong
from merchants.clerks.pin_attempts import pin_refused
from merchants.clerks.roster import CLERK
from merchants.clerks.shifts import MANAGER
from merchants.terminals import KnownTerminal, calling_terminal
from rewards.presented_codes import Shown

ASK = "ask"
ASKED, CONFIRMED, DECLINED, OVERRIDDEN, LAPSED = "asked", "confirmed", "declined", "overridden", "lapsed"
YES = frozenset({CONFIRMED, OVERRIDDEN})


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What an owner is asked: which store wants to use which voucher; `state` is `lapsed` past its time."""

    id: UUID
    voucher_id: UUID
    title_zh: str
    title_en: str
    coin_milli: int
    merchant_zh: str
    merchant_en: str
    store_zh: str
    store_en: str
    state: str
    asked_at: datetime
    answer_by: datetime
    answered_at: datetime | None
    manager_number: str | None
    reason: str | None
    redemption_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a question stands, for the till that waits."""

    state: str
    answer_by: datetime
    confirm_before: datetime


def require_unasked(voucher: Shown) -> None:
    """Refuses `OwnerAskedFirst` where the owner must be asked."""
    require(voucher.asks_owner_s is None, OwnerAskedFirst(asks_s=voucher.asks_owner_s))


def ask_owner(
    call: Call, terminal: KnownTerminal, voucher: Shown, session: UUID, *, ends: datetime
) -> datetime:
    """Ask the owner of a voucher that was just reserved; until when there is time to answer."""
    asked = new_id()
    answer_by = call.now + timedelta(seconds=voucher.asks_owner_s or 0)
    values = {
        "id": asked,
        "region": voucher.region_id,
        "session": session,
        "holder": voucher.key.holder_id,
        "voucher": voucher.key.voucher_id,
        "cycle": voucher.cycle,
        "terminal": terminal.id,
        "store": terminal.store_id,
        "now": call.now,
        "answer_by": answer_by,
        "ends": ends,
    }
    call.db.execute(_ASK, values)
    told = {"ask": public_id(ASK, asked), "answer_by": answer_by.isoformat()}
    announce(call, "redemption.asked", region_id=voucher.region_id, subject=voucher.key.public, **told)
    return answer_by


def require_yes(call: Call, session: UUID) -> None:
    """Refuses `CitizenNotConfirmed` unless the owner or a manager said yes; the voucher is locked."""
    row = call.db.execute(_STATE, {"session": session}).one_or_none()
    state = ASKED if row is None else row.state
    if row is not None and state == ASKED and row.answer_by <= call.now:
        state = LAPSED
    require(state in YES, CitizenNotConfirmed(state=state))


def note_use(call: Call, session: UUID, redemption: UUID) -> None:
    """Say with the answer what it led to."""
    call.db.execute(_USED, {"session": session, "redemption": redemption})


def answer(call: Call, ask_id: UUID, *, yes: bool) -> Ask:
    """The calling citizen's answer; the same once more is answered as before. A no frees the voucher.

    Refuses, in this order: `NotFound`, `AskOver`.
    """
    to = CONFIRMED if yes else DECLINED
    values = {"id": ask_id, "holder": call.actor.known_id, "to": to, "now": call.now}
    answered = call.db.execute(_ANSWER, values).one_or_none()
    if answered is None:
        before = _one(call, ask_id)
        require(before.state == to, AskOver(state=before.state))
        return before
    if not yes:
        call.db.execute(_FREE, {**values, "voucher": answered.voucher_id, "session": answered.session})
    return _one(call, ask_id)


def override(call: Call, session: UUID, *, number: str, pin: str, reason: str) -> Refusal | None:
    """A manager says yes in the owner's place, at the till that asked; the owner reads who and why.

    Raises `TerminalNotPaired`, `NotFound`. Gives back, so that tries stay counted: `PinWrong`, `PinBlocked`,
    `TooManyPins`, `ManagerNeeded`, `OwnVoucher`, `AskOver`.
    """
    terminal = calling_terminal(call)
    known = {"session": session, "terminal": terminal.id}
    asked = call.db.execute(_AT_TILL, known).one_or_none()
    if asked is None:
        raise NotFound("no such reservation asks its owner here")
    named = {"merchant": terminal.merchant_id, "number": number}
    clerk = call.db.execute(_CLERK, named).one_or_none()
    refusal = PinWrong() if clerk is None else pin_refused(call, clerk.id, pin=pin)
    if refusal is not None or clerk is None:
        return refusal
    if clerk.role != MANAGER:
        return ManagerNeeded()
    if clerk.citizen_id == asked.holder_id:
        return OwnVoucher()
    said = {**known, "manager": clerk.id, "reason": reason, "now": call.now}
    if call.db.execute(_OVERRIDE, said).scalar_one_or_none() is None:
        return AskOver()
    by = public_id(CLERK, clerk.id)
    audit(call, "redemption.overridden", subject=public_id(ASK, asked.id), clerk=by, reason=reason)
    subject = public_id("vch", asked.voucher_id)
    told = {"ask": public_id(ASK, asked.id)}
    announce(call, "redemption.overridden", region_id=asked.region_id, subject=subject, **told)
    return None


def standing(call: Call, session: UUID) -> Standing:
    """How the question of the calling till's reservation stands; refuses `TerminalNotPaired`, `NotFound`."""
    terminal = calling_terminal(call)
    row = call.db.execute(_AT_TILL, {"session": session, "terminal": terminal.id}).one_or_none()
    if row is None:
        raise NotFound("no such reservation asks its owner here")
    lapsed = row.state == ASKED and row.answer_by <= call.now
    return Standing(
        state=LAPSED if lapsed else row.state, answer_by=row.answer_by, confirm_before=row.ends_at
    )


def asks(call: Call, page: PageRequest) -> Page[Ask]:
    """What the calling citizen is and was asked, newest first."""
    holder = call.actor.known_id
    binding = f"redemption-asks/{holder}"
    position = page.position(binding, UUID)
    values = {
        "holder": holder,
        "one": None,
        "before": position[0] if position else None,
        "most": page.limit + 1,
        "now": call.now,
    }
    found = [Ask(**row) for row in call.db.execute(_LISTED, values).mappings()]
    return page.page(found, binding, lambda item: [str(item.id)])


def _one(call: Call, ask_id: UUID) -> Ask:
    values = {"holder": call.actor.known_id, "one": ask_id, "before": None, "most": 1, "now": call.now}
    row = call.db.execute(_LISTED, values).mappings().one_or_none()
    if row is None:
        raise NotFound("nothing of this id is asked")
    return Ask(**row)


_ASK = text(
    "INSERT INTO redemption_ask (id, region_id, session, holder_id, voucher_id, cycle, terminal_id, store_id,"
    " state, asked_at, answer_by, ends_at) VALUES (:id, :region, :session, :holder, :voucher, :cycle,"
    " :terminal, :store, 'asked', :now, :answer_by, :ends)"
)
_STATE = text("SELECT state, answer_by FROM redemption_ask WHERE session = :session")
_USED = text("UPDATE redemption_ask SET redemption_id = :redemption WHERE session = :session")
_ANSWER = text(
    "UPDATE redemption_ask SET state = :to, answered_at = :now WHERE id = :id AND holder_id = :holder"
    " AND state = 'asked' AND answer_by > :now RETURNING voucher_id, session"
)
_FREE = text(
    "UPDATE voucher SET locked_until = :now WHERE holder_id = :holder AND id = :voucher"
    " AND lock_session = :session AND state = 'locked' AND locked_until > :now"
)
_AT_TILL = text(
    "SELECT id, region_id, holder_id, voucher_id, state, answer_by, ends_at FROM redemption_ask"
    " WHERE session = :session AND terminal_id = :terminal"
)
_CLERK = text(
    "SELECT id, role, citizen_id FROM clerk"
    " WHERE merchant_id = :merchant AND number = :number AND dismissed_at IS NULL"
)
# A no is a no to this use of the voucher: scanning its code once more is no way round it.
_OVERRIDE = text(
    "UPDATE redemption_ask a SET state = 'overridden', answered_at = :now, manager_id = :manager,"
    " reason = :reason WHERE session = :session AND terminal_id = :terminal AND state = 'asked'"
    " AND ends_at > :now AND NOT EXISTS (SELECT FROM redemption_ask d WHERE d.holder_id = a.holder_id"
    "  AND d.voucher_id = a.voucher_id AND d.cycle = a.cycle AND d.state = 'declined') RETURNING id"
)
_LISTED = text(
    "SELECT a.id, a.voucher_id, r.title_zh, r.title_en, v.price_coin_milli AS coin_milli,"
    " m.name_zh AS merchant_zh, m.name_en AS merchant_en, s.name_zh AS store_zh, s.name_en AS store_en,"
    " CASE WHEN a.state = 'asked' AND a.answer_by <= :now THEN 'lapsed' ELSE a.state END AS state,"
    " a.asked_at, a.answer_by, a.answered_at, c.number AS manager_number, a.reason, a.redemption_id"
    " FROM redemption_ask a JOIN store s ON s.id = a.store_id JOIN merchant m ON m.id = s.merchant_id"
    " JOIN voucher v ON v.holder_id = a.holder_id AND v.id = a.voucher_id"
    " JOIN reward r ON r.id = v.reward_id LEFT JOIN clerk c ON c.id = a.manager_id"
    " WHERE a.holder_id = :holder AND (CAST(:one AS uuid) IS NULL OR a.id = CAST(:one AS uuid))"
    " AND (CAST(:before AS uuid) IS NULL OR a.id < CAST(:before AS uuid)) ORDER BY a.id DESC LIMIT :most"
)
