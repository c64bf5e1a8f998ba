"""From the pool into citizens' coins: equal or by need, at the published coin rate, never more than donated.

The pool's balance is the guard: what is not in it cannot be given; a line of the spending plan is a second
one. Each share keeps what it was computed from and which serials it got, so it explains and replays like any
other credit, back to the donations that it came from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select

from carbon.donations.errors import CitizenUnknown, NothingForCoins
from carbon.donations.giving import DONATION, fill_pool, find_certificate
from carbon.donations.plan import draw
from carbon.donations.serials import give_out, open_book, pieces_of
from carbon.donations.tables import Donation, DonationProject, PoolAllocation, PoolShare
from carbon.listing import newest_first
from kernel.audit import audit
from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import BrokenInvariant, NotFound
from kernel.identifiers import new_id, public_id
from kernel.outgoing import announce
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


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """A citizen, and what weight an allocation by need gives them."""

    citizen_id: UUID
    weight: int


@dataclass(frozen=True, kw_only=True)
class _Part:
    citizen_id: UUID
    weight: int
    carbon_mg: int


def allocate(
    call: Call,
    citizens: Sequence[UUID],
    *,
    carbon_mg_each: int,
    reason: str,
    campaign_id: UUID | None = None,
) -> Allocated:
    """Give each citizen an equal share of the region's pool and the coins for it.

    Coins are of the promotional class. All or nothing. What was donated and still waits in clearing is
    posted to the pool first. With a campaign the sum is drawn on its line of the spending plan. Refuses, in
    this order: `NoRuleInForce`, `NothingForCoins`, `PoolCampaignUnknown`, `PoolCampaignNotOpen`,
    `PoolCampaignSpent`, `NotEnough` (the pool holds less than the shares together).
    """
    parts = [_Part(citizen_id=each, weight=1, carbon_mg=carbon_mg_each) for each in set(citizens)]
    return _allocate(call, parts, each=carbon_mg_each, reason=reason, campaign_id=campaign_id)


def allocate_by_need(
    call: Call,
    claimants: Sequence[Claimant],
    *,
    carbon_mg: int,
    reason: str,
    campaign_id: UUID | None = None,
) -> Allocated:
    """Split `carbon_mg` by weight, to the milligram: nobody gets more than a milligram from rounding.

    Largest remainder; of equal remainders the lower id first. Refuses as `allocate` does, `NothingForCoins`
    when the smallest share would be no coin.
    """
    parts = [
        _Part(citizen_id=each.citizen_id, weight=each.weight, carbon_mg=share)
        for each, share in split(claimants, carbon_mg)
    ]
    return _allocate(call, parts, each=None, reason=reason, campaign_id=campaign_id)


def split(claimants: Sequence[Claimant], carbon_mg: int) -> list[tuple[Claimant, int]]:
    """Each with a share in proportion to the weights; the shares sum to `carbon_mg`."""
    whole = sum(each.weight for each in claimants)
    shares = [carbon_mg * each.weight // whole for each in claimants]
    left = carbon_mg - sum(shares)
    order = sorted(
        range(len(claimants)),
        key=lambda at: (-(carbon_mg * claimants[at].weight % whole), claimants[at].citizen_id),
    )
    for at in order[:left]:
        shares[at] += 1
    return list(zip(claimants, shares, strict=True))


def _allocate(
    call: Call, parts: Sequence[_Part], *, each: int | None, reason: str, campaign_id: UUID | None
) -> Allocated:
    rate = coin_rate(call, call.region, day=call.today)
    least = min(part.carbon_mg for part in parts)
    if rate.coins_for(least) == 0:
        raise NothingForCoins(carbon_mg_each=least)
    total = sum(part.carbon_mg for part in parts)
    open_book(call, call.region)
    if campaign_id is not None:
        draw(call, campaign_id, carbon_mg=total)
    allocation = PoolAllocation(
        id=new_id(),
        region_id=call.region,
        rule="need" if each is None else "equal",
        campaign_id=campaign_id,
        reason=reason,
        carbon_mg=total,
        carbon_mg_each=each,
        coin_rule_id=rate.rule_id,
        allocated_by=call.actor.known_id,
        allocated_at=call.now,
    )
    call.db.add(allocation)
    call.db.flush()  # the shares' foreign key needs the row
    fill_pool(call, call.region)
    # In id order, so that two allocations at once lock the same people in the same order.
    shares = tuple(
        _share(call, allocation, part, rate.coins_for(part.carbon_mg))
        for part in sorted(parts, key=lambda part: part.citizen_id)
    )
    give_out(call, call.region, shares)
    audit(
        call,
        "allocate",
        subject=public_id(ALLOCATION, allocation.id),
        citizens=len(shares),
        carbon_mg=total,
    )
    announce(call, "pool.allocated", region_id=call.region, subject=public_id(ALLOCATION, allocation.id))
    return Allocated(allocation, shares)


def refuse_strangers(call: Call, citizens: Sequence[UUID], *, pointer: str) -> None:
    """Refuse `CitizenUnknown` for the first that has no accounts in the caller's region.

    `pointer` leads to it, its number for `{place}`.
    """
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
            raise CitizenUnknown(pointer=pointer.format(place=place))


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

    `replays` is true when the same inputs give the stored amounts and digest again. `given_by` names the
    donations whose serials the share is made of.
    """
    share = find_share(call, citizen_id, transfer_id=coin_transfer_id)
    if share is None:
        raise NotFound("no share behind this transfer")
    allocation = call.db.get_one(PoolAllocation, share.allocation_id)
    rate = call.db.get_one(Publication, allocation.coin_rule_id)
    again = floor_to_milli_coins(
        share.carbon_mg, coins_milli=rate.content["coins_milli"], per_mg=rate.content["per_mg"]
    )
    replayed = _digest(allocation, citizen_id, share.carbon_mg, again)
    same = again == share.coin_milli and allocation.carbon_mg_each in {None, share.carbon_mg}
    return {
        "kind": "pool_share",
        "allocation_id": public_id(ALLOCATION, allocation.id),
        "reason": allocation.reason,
        "rule": allocation.rule,
        "weight": share.weight,
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
        "given_by": _given_by(call, share),
        "digest": replayed.hex(),
        "replays": same and replayed == bytes(share.digest),
    }


def _given_by(call: Call, share: PoolShare) -> list[dict[str, Any]]:
    pieces = pieces_of(call, share.citizen_id, share.allocation_id)[:MOST_CERTIFICATES]
    rows = call.db.execute(
        select(Donation, DonationProject)
        .join(DonationProject, DonationProject.id == Donation.project_id)
        .where(Donation.id.in_({piece.donation_id for piece in pieces}))
    )
    gifts = {donation.id: (donation, project) for donation, project in rows}
    return [
        {
            "certificate_id": public_id(DONATION, piece.donation_id),
            "certificate": f"/certificates/{public_id(DONATION, piece.donation_id)}",
            "carbon_mg": gifts[piece.donation_id][0].carbon_mg,
            "share_mg": piece.carbon_mg,
            "first_serial": piece.first_serial,
            "last_serial": piece.last_serial,
            "enterprise": gifts[piece.donation_id][1].enterprise_name,
            "project": gifts[piece.donation_id][1].title,
            "verifier": gifts[piece.donation_id][1].verifier,
            "document": gifts[piece.donation_id][1].verification_document,
            "exclusivity_statement": gifts[piece.donation_id][1].exclusivity_statement,
            "signature_holds": find_certificate(call, piece.donation_id)["holds"],
        }
        for piece in pieces
    ]


def _share(call: Call, allocation: PoolAllocation, part: _Part, coins: int) -> PoolShare:
    citizen_id = part.citizen_id
    accounts = citizen_accounts(call, citizen_id, region_id=allocation.region_id)
    reference = f"{allocation.id}/{citizen_id}"
    move(
        call,
        Movement(
            giver=institution(call, allocation.region_id, kind=Kind.POOL, unit=Unit.CARBON),
            taker=accounts.carbon,
            amount=part.carbon_mg,
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
        weight=part.weight,
        carbon_mg=part.carbon_mg,
        coin_milli=coins,
        carbon_transfer_id=_received(call, citizen_id, reference),
        coin_transfer_id=credited.transfer_id,
        digest=_digest(allocation, citizen_id, part.carbon_mg, coins),
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


def _digest(allocation: PoolAllocation, citizen_id: UUID, carbon_mg: int, coins: int) -> bytes:
    return digest(
        canonical_bytes(
            "pool-share/1",
            allocation.id,
            citizen_id,
            carbon_mg,
            allocation.coin_rule_id,
            coins,
        )
    )
