"""A merchant's clerks: entered, given a PIN, linked to the citizen they are, dismissed; and what stores ask.

A merchant's manager does it for the own merchant, an operator for those of the region. Requests that carry a
PIN have no Idempotency-Key: what is kept of a request under its key would let whoever reads it try a million
PINs. A number is entered once, a PIN may be set twice: sending again does no harm.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from kernel.actor import ActorKind
from kernel.audit import audit
from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from merchants.clerks.errors import ClerkDismissed, ClerkLinked, ClerkNumberTaken, PinWrong
from merchants.clerks.pin_attempts import pin_refused
from merchants.clerks.pins import hash_pin
from merchants.clerks.tables import Clerk
from merchants.onboarding import STORE, known_merchant
from merchants.tables import Store

CLERK = "clk"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A clerk as managers see it: never the PIN, and of the citizen only whether there is one."""

    id: UUID
    number: str
    role: str
    linked: bool
    created_at: datetime
    dismissed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class StoreAsks:
    """What a store asks of who stands at its tills."""

    clerk_required: bool
    linked_clerks_only: bool
    manager_reverses: bool


def enter(call: Call, merchant_id: UUID, *, number: str, role: str, pin: str) -> UUID:
    """Enter a clerk; refuses, in this order: `NotFound`, `PinTrivial`, `ClerkNumberTaken`."""
    _own(call, merchant_id)
    values = {
        "id": new_id(),
        "region": call.region,
        "merchant": merchant_id,
        "number": number,
        "role": role,
        "hash": hash_pin(pin, pointer="/body/pin"),
        "now": call.now,
    }
    entered = call.db.execute(_ENTER, values).scalar_one_or_none()
    if entered is None:
        raise ClerkNumberTaken(pointer="/body/number")
    clerk = UUID(str(entered))
    audit(call, "clerk.entered", subject=public_id(CLERK, clerk), role=role)
    return clerk


def set_pin(call: Call, clerk_id: UUID, *, pin: str) -> None:
    """Give a clerk a new PIN: the open shift ends, counted tries are forgotten.

    Refuses, in this order: `NotFound`, `PinTrivial`, `ClerkDismissed`.
    """
    known_clerk(call, clerk_id)
    encoded = hash_pin(pin, pointer="/body/pin")
    done = call.db.execute(_SET_PIN, {"clerk": clerk_id, "hash": encoded}).scalar_one_or_none()
    require(done is not None, ClerkDismissed())
    call.db.execute(_END_SHIFTS, {"clerk": clerk_id, "now": call.now, "cause": "pin_set"})
    audit(call, "clerk.pin_set", subject=public_id(CLERK, clerk_id))


def dismiss(call: Call, clerk_id: UUID, *, reason: str) -> None:
    """Let a clerk sign in no more, and end the open shift; twice changes nothing. Refuses `NotFound`."""
    known_clerk(call, clerk_id)
    done = call.db.execute(_DISMISS, {"clerk": clerk_id, "now": call.now}).scalar_one_or_none()
    if done is None:
        return
    call.db.execute(_END_SHIFTS, {"clerk": clerk_id, "now": call.now, "cause": "dismissed"})
    audit(call, "clerk.dismissed", subject=public_id(CLERK, clerk_id), reason=reason)


def link(call: Call, clerk_id: UUID, *, pin: str) -> Refusal | None:
    """The calling citizen says: this clerk is I, and knows the PIN. Once for a clerk, and for good.

    Raises `NotFound` (also of another region). Gives back, so that the try stays counted, as a sign-in:
    `PinWrong`, `TooManyPins`, `PinBlocked`; then `ClerkLinked`.
    """
    clerk = call.db.get(Clerk, clerk_id)
    if clerk is None or clerk.region_id != call.region:
        raise NotFound("no such clerk")
    if clerk.dismissed_at is not None:
        return PinWrong()
    refusal = pin_refused(call, clerk_id, pin=pin)
    if refusal is not None:
        return refusal
    values = {"clerk": clerk_id, "citizen": call.actor.known_id}
    if call.db.execute(_LINK, values).scalar_one_or_none() is None:
        return ClerkLinked()
    audit(call, "clerk.linked", subject=public_id(CLERK, clerk_id))
    return None


def clerks(call: Call, merchant_id: UUID, page: PageRequest) -> Page[Listed]:
    """A merchant's clerks, newest first, also those who left; refuses `NotFound`."""
    _own(call, merchant_id)
    binding = f"clerks/{merchant_id}"
    position = page.position(binding, UUID)
    values = {
        "merchant": merchant_id,
        "before": position[0] if position else None,
        "most": page.limit + 1,
    }
    found = [Listed(**row) for row in call.db.execute(_LISTED, values).mappings()]
    return page.page(found, binding, lambda item: [str(item.id)])


def ask_of_clerks(call: Call, store_id: UUID, asks: StoreAsks) -> Store:
    """Say what a store asks of who stands at its tills; refuses `NotFound`.

    Where only linked clerks may stand there, the shifts of others end.
    """
    store = call.db.get(Store, store_id)
    if store is None:
        raise NotFound("no such store")
    _own(call, store.merchant_id)
    store.clerk_required = asks.clerk_required
    store.linked_clerks_only = asks.linked_clerks_only
    store.manager_reverses = asks.manager_reverses
    if asks.linked_clerks_only:
        call.db.execute(_END_UNLINKED, {"store": store_id, "now": call.now})
    audit(
        call,
        "store.asked",
        subject=public_id(STORE, store_id),
        clerk_required=asks.clerk_required,
        linked_clerks_only=asks.linked_clerks_only,
        manager_reverses=asks.manager_reverses,
    )
    return store


def known_clerk(call: Call, clerk_id: UUID) -> Clerk:
    """A clerk whom the caller may manage; refuses `NotFound`."""
    clerk = call.db.get(Clerk, clerk_id)
    if clerk is None:
        raise NotFound("no such clerk")
    _own(call, clerk.merchant_id)
    return clerk


def _own(call: Call, merchant_id: UUID) -> None:
    own = call.actor.kind is not ActorKind.MERCHANT or call.actor.organisation_id == merchant_id
    require(own, NotFound("no such merchant"))
    known_merchant(call, merchant_id)


_ENTER = text(
    "INSERT INTO clerk (id, region_id, merchant_id, number, role, pin_hash, attempts, window_started_at,"
    " wrong_in_a_row, created_at) VALUES (:id, :region, :merchant, :number, :role, :hash, 0, :now, 0, :now)"
    " ON CONFLICT (merchant_id, number) DO NOTHING RETURNING id"
)
_SET_PIN = text(
    "UPDATE clerk SET pin_hash = :hash, attempts = 0, wrong_in_a_row = 0"
    " WHERE id = :clerk AND dismissed_at IS NULL RETURNING id"
)
_DISMISS = text(
    "UPDATE clerk SET dismissed_at = :now WHERE id = :clerk AND dismissed_at IS NULL RETURNING id"
)
_END_SHIFTS = text(
    "UPDATE clerk_shift SET ended_at = :now, end_cause = :cause WHERE clerk_id = :clerk AND ended_at IS NULL"
)
_END_UNLINKED = text(
    "UPDATE clerk_shift h SET ended_at = :now, end_cause = 'signed_out' FROM clerk c, terminal t"
    " WHERE c.id = h.clerk_id AND t.id = h.terminal_id AND t.store_id = :store AND h.ended_at IS NULL"
    " AND c.citizen_id IS NULL"
)
_LINK = text(
    "UPDATE clerk SET citizen_id = :citizen WHERE id = :clerk AND dismissed_at IS NULL"
    " AND (citizen_id IS NULL OR citizen_id = :citizen) RETURNING id"
)
_LISTED = text(
    "SELECT id, number, role, citizen_id IS NOT NULL AS linked, created_at, dismissed_at FROM clerk"
    " WHERE merchant_id = :merchant AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))"
    " ORDER BY id DESC LIMIT :most"
)
