"""A donation is withdrawn exactly as far as nobody got it; what citizens hold stays theirs.

The certificate stays as it was signed. Beside it stands a second signed notice: which serials were taken
out of the pool, when and why. They are taken out of the world, not given back: whatever made the first gift
wrong would make a second one wrong.
"""

from typing import Any
from uuid import UUID

from carbon.donations.errors import AlreadyWithdrawn, NothingLeftToWithdraw
from carbon.donations.giving import DONATION, fill_pool
from carbon.donations.serials import Piece, lot_of, open_book, take_back
from carbon.donations.tables import Donation, DonationWithdrawal
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_json, digest
from kernel.errors import NotFound
from kernel.identifiers import public_id
from kernel.outgoing import announce
from kernel.signing import Purpose, verification_keys
from kernel.units import show_grams
from ledger.accounts import institution
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post


def withdraw(call: Call, donation_id: UUID, *, cause: str, reason: str) -> DonationWithdrawal:
    """Take what was not shared out of a donation back from the pool and sign the notice of it.

    What still waits in clearing is posted to the pool first. Refuses, in this order: `NotFound`,
    `AlreadyWithdrawn`, `NothingLeftToWithdraw`.
    """
    donation = call.db.get(Donation, donation_id)
    if donation is None or donation.region_id != call.region:
        raise NotFound("no such donation")
    open_book(call, donation.region_id)
    fill_pool(call, donation.region_id)
    piece = take_back(call, donation_id)
    if piece is None:
        ended = lot_of(call, donation_id).withdrawn_at
        if ended is None:
            raise NothingLeftToWithdraw
        raise AlreadyWithdrawn(withdrawn_at=ended.isoformat())
    withdrawal = _signed(call, donation, piece, cause=cause, reason=reason)
    call.db.add(withdrawal)
    subject = public_id(DONATION, donation_id)
    audit(call, "withdraw", subject=subject, carbon_mg=piece.carbon_mg, cause=cause, reason=reason)
    announce(
        call,
        "donation.withdrawn",
        region_id=donation.region_id,
        subject=subject,
        carbon_mg=piece.carbon_mg,
    )
    return withdrawal


def find_notice(call: Call, donation: Donation) -> dict[str, Any] | None:
    """The signed notice of a withdrawal and whether it holds; None for a donation that stands."""
    row = call.db.get(DonationWithdrawal, donation.id)
    if row is None:
        return None
    lot = lot_of(call, donation.id)
    piece = Piece(donation_id=donation.id, first_serial=lot.next_serial, last_serial=lot.last_serial)
    said = notice(row, piece)
    mark = digest(canonical_json(said))
    keys = verification_keys(call.db, Purpose.CERTIFICATE, now=call.now)
    signature = bytes(row.signature)
    holds = mark == bytes(row.digest) and keys.verify(kid=row.kid, data=mark, signature=signature)
    proof = {"kid": row.kid, "sha256": mark.hex(), "signature": signature.hex()}
    return {"notice": said, "proof": proof, "holds": holds}


def notice(withdrawal: DonationWithdrawal, piece: Piece) -> dict[str, Any]:
    """What the notice says; its canonical JSON is what is signed."""
    return {
        "format": "tanpuhui-withdrawal/1",
        "certificate": public_id(DONATION, withdrawal.donation_id),
        "region": withdrawal.region_id,
        "first_serial": piece.first_serial,
        "last_serial": piece.last_serial,
        "carbon_mg": withdrawal.carbon_mg,
        "carbon_shown": show_grams(withdrawal.carbon_mg),
        "cause": withdrawal.cause,
        "reason": withdrawal.reason,
        "withdrawn_at": withdrawal.withdrawn_at.isoformat(),
    }


def _signed(call: Call, donation: Donation, piece: Piece, *, cause: str, reason: str) -> DonationWithdrawal:
    posted = post(
        call,
        Transfer(
            account=institution(call, donation.region_id, kind=Kind.POOL, unit=Unit.CARBON),
            contra=institution(call, donation.region_id, kind=Kind.CLAWED_BACK, unit=Unit.CARBON),
            amount=-piece.carbon_mg,
            code=Code.CLAW_BACK,
            source="withdrawal",
            reference=str(donation.id),
            occurred_at=call.now,
        ),
    )
    withdrawal = DonationWithdrawal(
        donation_id=donation.id,
        region_id=donation.region_id,
        carbon_mg=piece.carbon_mg,
        cause=cause,
        reason=reason,
        transfer_id=posted.transfer_id,
        withdrawn_by=call.actor.known_id,
        withdrawn_at=call.now,
    )
    signer = call.keys.signer(call.db, Purpose.CERTIFICATE, now=call.now)
    withdrawal.digest = digest(canonical_json(notice(withdrawal, piece)))
    withdrawal.kid = signer.kid
    withdrawal.signature = signer.sign(withdrawal.digest)
    return withdrawal
