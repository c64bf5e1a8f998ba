"""A try of a PIN is taken from the clerk's row before the PIN is looked at, so that a race takes no sixth.

Five in a quarter of an hour, and twenty in a row without a right one: whoever guesses has one chance in fifty
thousand, then a manager sets a new PIN. The counts stand in the database alone. Refusals are given back, not
raised, so that the count is committed.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from kernel.audit import audit
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import public_id
from merchants.clerks.errors import PinBlocked, PinWrong, TooManyPins
from merchants.clerks.pins import pin_matches
from merchants.clerks.tables import MOST_ATTEMPTS, MOST_WRONG

WINDOW = timedelta(minutes=15)


def pin_refused(call: Call, clerk_id: UUID, *, pin: str) -> Refusal | None:
    """Try a PIN; None if it is right. Gives back, in this order: `PinBlocked`, `TooManyPins`, `PinWrong`."""
    values = {
        "clerk": clerk_id,
        "now": call.now,
        "start": call.now - WINDOW,
        "most": MOST_ATTEMPTS,
        "most_wrong": MOST_WRONG,
    }
    encoded = call.db.execute(_TAKE_ATTEMPT, values).scalar_one_or_none()
    if encoded is None:
        return _why_not(call, clerk_id)
    if pin_matches(pin, encoded):
        call.db.execute(_FORGET_ATTEMPTS, {"clerk": clerk_id})
        return None
    audit(call, "clerk.pin_wrong", subject=public_id("clk", clerk_id))
    return PinWrong()


def _why_not(call: Call, clerk_id: UUID) -> Refusal:
    row = call.db.execute(_COUNTS, {"clerk": clerk_id}).one()
    if row.dismissed_at is not None:
        return PinWrong()
    if row.wrong_in_a_row >= MOST_WRONG:
        return PinBlocked()
    wait = row.window_started_at + WINDOW - call.now
    return TooManyPins(retry_after_s=max(1, -int(-wait.total_seconds() // 1)))


_TAKE_ATTEMPT = text(
    "UPDATE clerk SET wrong_in_a_row = wrong_in_a_row + 1,"
    " attempts = CASE WHEN window_started_at <= :start THEN 1 ELSE attempts + 1 END,"
    " window_started_at = CASE WHEN window_started_at <= :start THEN :now ELSE window_started_at END"
    " WHERE id = :clerk AND dismissed_at IS NULL AND wrong_in_a_row < :most_wrong"
    " AND (window_started_at <= :start OR attempts < :most) RETURNING pin_hash"
)
_FORGET_ATTEMPTS = text("UPDATE clerk SET attempts = 0, wrong_in_a_row = 0 WHERE id = :clerk")
_COUNTS = text("SELECT wrong_in_a_row, window_started_at, dismissed_at FROM clerk WHERE id = :clerk")
