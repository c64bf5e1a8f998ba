"""From the pool into citizens' coins: equal shares, at the published coin rate, never more than donated.

The pool's balance is the guard: what is not in it cannot be given. Each share keeps what it was
computed from, so it explains and replays like any other credit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from carbon.donations.errors import CitizenUnknown, NothingForCoins
from carbon.donations.giving import DONATION, fill_pool, find_certificate
from carbon.donations.tables import Donation, DonationProject, PoolAllocation, PoolShare
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import BrokenInvariant, NotFound
from kernel.identifiers import new_id, public_id
from kernel.paging import Page, PageRequest
from kernel.publications.publishing import signature_holds
from kernel.publications.rules import coin_rate, first_invalid_day
from kernel.publications.tables import Publication
from kernel.units import floor_to_milli_coins, show_coins, show_grams
from ledger.accounts import citizen_accounts, institution
from ledger.chart import PROMOTIONAL, Code, Kind, Unit
from ledger.posting import Movement, Transfer, move, post
from ledger.tables import LedgerAccount, LedgerReference

ALLOCATION = "alc"
MOST_CERTIFICATES = 20


@dataclass(frozen=True)
class Allocated:
    """An allocation and its shares."""

    allocation: PoolAllocation
    shares: tuple[PoolShare, ...]


def allocate(call: Call, citizens: Sequence[UUID], *, carbon_mg_each: int, reason: str) -> Allocated:
    """Give each citizen an equal share of the region's pool and the coins for it.

    Coins are of the promotional class. All or nothing. What was donated and still waits in clearing is
    posted to the pool first. Refuses, in this order: `NoRuleInForce`, `NothingForCoins`, `NotEnough` (the
    pool holds less than the shares together).
    """
    rate = coin_rate(call, call.region, day=call.today)
    coins = rate.coins_for(carbon_mg_each)
    if coins == 0:
        raise NothingForCoins(carbon_mg_each=carbon_mg_each)
    allocation = PoolAllocation(
        id=new_id(),
        region_id=call.region,
        reason=reason,
        carbon_mg_each=carbon_mg_each,
        coin_rule_id=rate.rule_id,
        allocated_by=call.actor.known_id,
        allocated_at=call.now,
    )
    call.db.add(allocation)
    call.db.flush()  # the shares' foreign key needs the row
    fill_pool(call, call.region)
    # In id order, so that two allocations at once lock the same people in the same order.
    shares = tuple(_share(call, allocation, citizen, coins) for citizen in sorted(set(citizens)))
    audit(
        call,
        "allocate",
        subject=public_id(ALLOCATION, allocation.id),
        citizens=len(shares),
        carbon_mg_each=carbon_mg_each,
    )
    return Allocated(allocation, shares)


def refuse_strangers(call: Call, citizens: Sequence[UUID]) -> None:
    """Refuse `CitizenUnknown` for the first that has no accounts in the caller's region."""
    found = call.db.scalars(
        select(LedgerAccount.holder_id).where(
            LedgerAccount.holder_id.in_(citizens),
            LedgerAccount.kind == Kind.CITIZEN.value,
            LedgerAccount.region_id == call.region,
        )
    )
    known = set(found)
    for place, citizen in enumerate(citizens):
        if citizen not in known:
            raise CitizenUnknown(pointer=f"/body/citizen_ids/{place}")


def allocations(call: Call, page: PageRequest) -> Page[PoolAllocation]:
    """What the caller's region gave out, newest first."""
    query = select(PoolAllocation).where(PoolAllocation.region_id == call.region)
    return newest_first(call, query, PoolAllocation.id, page, binding=f"allocations/{call.region}")


def find_share(call: Call, citizen_id: UUID, *, transfer_id: int) -> PoolShare | None:
    """The citizen's share behind a transfer of coins or kilograms; None where there is none."""
    return call.db.scalars(
        select(PoolShare).where(
            PoolShare.citizen_id == citizen_id,
            or_(PoolShare.coin_transfer_id == transfer_id, PoolShare.carbon_transfer_id == transfer_id),
        )
    ).one_or_none()


def explain_share(call: Call, citizen_id: UUID, *, coin_transfer_id: int) -> dict[str, Any]:
    """The tree behind coins (or kilograms) from the pool, computed anew; refuses `NotFound`.

    `replays` is true when the same inputs give the stored amounts and digest again. Kilograms in a pool
    are not told apart, so the certificates are those of the pool's donations before the share, newest
    first, at most 20.
    """
    share = find_share(call, citizen_id, transfer_id=coin_transfer_id)
    if share is None:
        raise NotFound("no share behind this transfer")
    allocation = call.db.get_one(PoolAllocation, share.allocation_id)
    rate = call.db.get_one(Publication, allocation.coin_rule_id)
    again = floor_to_milli_coins(
        allocation.carbon_mg_each, coins_milli=rate.content["coins_milli"], per_mg=rate.content["per_mg"]
    )
    replayed = _digest(allocation, citizen_id, again)
    same = (again, allocation.carbon_mg_each) == (share.coin_milli, share.carbon_mg)
    return {
        "kind": "pool_share",
        "allocation_id": public_id(ALLOCATION, allocation.id),
        "reason": allocation.reason,
        "allocated_at": allocation.allocated_at.isoformat(),
        "carbon_mg": share.carbon_mg,
        "carbon_shown": show_grams(share.carbon_mg),
        "coin_milli": share.coin_milli,
        "coin_shown": show_coins(share.coin_milli),
        "coin_rate": {
            "publication": public_id("pub", rate.id),
            "title": rate.title,
            "source": rate.source,
            "coins_milli": rate.content["coins_milli"],
            "per_mg": rate.content["per_mg"],
            "signature_holds": signature_holds(call, rate),
        },
        "rounding": "floor to whole milli-coins",
        "given_by": _given_by(call, allocation),
        "digest": replayed.hex(),
        "replays": same and replayed == bytes(share.digest),
    }


def _given_by(call: Call, allocation: PoolAllocation) -> list[dict[str, Any]]:
    rows = call.db.execute(
        select(Donation, DonationProject)
        .join(DonationProject, DonationProject.id == Donation.project_id)
        .where(Donation.region_id == allocation.region_id, Donation.given_at <= allocation.allocated_at)
        .order_by(Donation.id.desc())
        .limit(MOST_CERTIFICATES)
    )
    return [
        {
            "certificate_id": public_id(DONATION, donation.id),
            "certificate": f"/certificates/{public_id(DONATION, donation.id)}",
            "carbon_mg": donation.carbon_mg,
            "enterprise": project.enterprise_name,
            "project": project.title,
            "verifier": project.verifier,
            "document": project.verification_document,
            "exclusivity_statement": project.exclusivity_statement,
            "signature_holds": find_certificate(call, donation.id)["holds"],
        }
        for donation, project in rows.all()
    ]


def _share(call: Call, allocation: PoolAllocation, citizen_id: UUID, coins: int) -> PoolShare:
    accounts = citizen_accounts(call, citizen_id, region_id=allocation.region_id)
    reference = f"{allocation.id}/{citizen_id}"
    move(
        call,
        Movement(
            giver=institution(call, allocation.region_id, kind=Kind.POOL, unit=Unit.CARBON),
            taker=accounts.carbon,
            amount=allocation.carbon_mg_each,
            code=Code.ALLOCATE,
            source="allocation",
            reference=reference,
            occurred_at=call.now,
        ),
        region_id=allocation.region_id,
    )
    credited = post(
        call,
        Transfer(
            account=accounts.coins[PROMOTIONAL],
            contra=institution(call, allocation.region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
            amount=coins,
            code=Code.CREDIT,
            source="allocation",
            reference=reference,
            occurred_at=call.now,
            expires_on=first_invalid_day(
                call, allocation.region_id, validity_class=PROMOTIONAL, credited_on=call.today
            ),
        ),
    )
    share = PoolShare(
        citizen_id=citizen_id,
        allocation_id=allocation.id,
        carbon_mg=allocation.carbon_mg_each,
        coin_milli=coins,
        carbon_transfer_id=_received(call, citizen_id, reference),
        coin_transfer_id=credited.transfer_id,
        digest=_digest(allocation, citizen_id, coins),
    )
    call.db.add(share)
    return share


def _received(call: Call, citizen_id: UUID, reference: str) -> int:
    """The citizen's own leg, which the citizen's statement shows; `move` tells the pool's."""
    found = call.db.scalars(
        select(LedgerReference.transfer_id).where(
            LedgerReference.holder_id == citizen_id,
            LedgerReference.source == "allocation",
            LedgerReference.reference == f"{reference}/in",
        )
    ).one()
    if found is None:
        raise BrokenInvariant("a share moved kilograms to nobody")
    return found


def _digest(allocation: PoolAllocation, citizen_id: UUID, coins: int) -> bytes:
    return digest(
        canonical_bytes(
            "pool-share/1",
            allocation.id,
            citizen_id,
            allocation.carbon_mg_each,
            allocation.coin_rule_id,
            coins,
        )
    )
