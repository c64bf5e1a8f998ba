"""How a certificate stands today: what it says never changes, what became of its kilograms does."""

from typing import Any
from uuid import UUID

from carbon.donations.giving import find_certificate
from carbon.donations.serials import lot_of
from carbon.donations.tables import Donation, PoolLot
from carbon.donations.withdrawal import find_notice
from kernel.call import Call

ISSUED, PARTLY_WITHDRAWN, WITHDRAWN = "issued", "partly_withdrawn", "withdrawn"


def certificate_standing(call: Call, donation_id: UUID) -> dict[str, Any]:
    """A certificate, its serials and the notice of its withdrawal if there is one; refuses `NotFound`."""
    found = find_certificate(call, donation_id)
    lot = lot_of(call, donation_id)
    left = lot.last_serial - lot.next_serial + 1
    withdrawn = lot.withdrawn_at is not None
    return {
        **found,
        "state": state_of(lot),
        "serials": {
            "region": lot.region_id,
            "first_serial": lot.first_serial,
            "last_serial": lot.last_serial,
            "shared_mg": lot.next_serial - lot.first_serial,
            "waiting_mg": 0 if withdrawn else left,
            "withdrawn_mg": left if withdrawn else 0,
        },
        "withdrawal": find_notice(call, call.db.get_one(Donation, donation_id)),
    }


def state_of(lot: PoolLot) -> str:
    """`partly_withdrawn` where citizens got some of it before the rest was withdrawn."""
    if lot.withdrawn_at is None:
        return ISSUED
    return WITHDRAWN if lot.next_serial == lot.first_serial else PARTLY_WITHDRAWN
