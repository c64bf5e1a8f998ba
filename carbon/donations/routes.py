"""URLs of giving: enterprises declare and give, operators decide and share out, everybody reads; no logic."""

from typing import Any

from flask import current_app

from carbon.activities.routes import CARD_SECRET
from carbon.donations.allocation import Allocated, allocate, allocate_by_need, allocations, refuse_strangers
from carbon.donations.claims import Claims
from carbon.donations.giving import (
    DONATION,
    PROJECT,
    Declaration,
    approve,
    declare,
    declaring_enterprise,
    donate,
    find_project,
    projects,
    reject,
)
from carbon.donations.pool import PoolState, certificates, pool_state
from carbon.donations.schemas import (
    AllocationOrder,
    CertificatesQuery,
    GivesAllocations,
    GivesCertificate,
    GivesGift,
    GivesGifts,
    GivesPool,
    GivesProject,
    GivesProjects,
    GivesShared,
    NeedOrder,
    ProjectsQuery,
    TakesAllocation,
    TakesDecision,
    TakesDeclaration,
    TakesGift,
    TakesNeedAllocation,
)
from carbon.donations.standing import certificate_standing
from carbon.donations.tables import Donation, DonationProject, PoolAllocation
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission

routes = Routes("donations", __name__, description="Verified reductions given to everybody's pool.")
HOW_TO_VERIFY = {
    "en": "Write `certificate` as JSON with sorted keys, without spaces, in UTF-8; its SHA-256 is `sha256`."
    " Check `signature` (Ed25519) over these 32 bytes with the public key `kid` of purpose `certificate`.",
    "zh": "将 certificate 按键名排序、无空格、UTF-8 编码写成 JSON,其 SHA-256 即 sha256;"
    "再用用途为 certificate、编号为 kid 的公钥验证对这 32 字节的 Ed25519 签名。",
    "keys": "/v1/public/keys",
}


@endpoint(
    routes,
    "POST",
    "/v1/operator/donation-projects",
    needs=Permission.DONATION_DECLARE,
    takes=TakesDeclaration,
    gives=GivesProject,
    status=201,
    summary="Declare a verified project: a donor for the own enterprise, an operator for a named one",
)
def declare_project(call: Call, given: dict[str, Any]) -> DonationProject:
    """Declare a project."""
    enterprise = declaring_enterprise(call, given.pop("enterprise_id"))
    claims = Claims(
        secret=str(current_app.config[CARD_SECRET]).encode(),
        **{name: tuple(given.pop(name)) for name in ("meters", "registrations", "records")},
    )
    return declare(call, Declaration(enterprise_id=enterprise, **given), claims)


@endpoint(
    routes,
    "GET",
    "/v1/operator/donation-projects",
    needs=Permission.DONATION_READ,
    query=ProjectsQuery,
    gives=GivesProjects,
    summary="Projects of the region, for a donor of the own enterprise, newest first",
)
def list_projects(call: Call, asked: dict[str, Any]) -> Page[DonationProject]:
    """List projects."""
    return projects(call, PageRequest(asked["limit"], asked["after"]), state=asked["state"])


@endpoint(
    routes,
    "GET",
    "/v1/operator/donation-projects/<project>",
    needs=Permission.DONATION_READ,
    gives=GivesProject,
    summary="One project with its dossier",
)
def show_project(call: Call, *, project: str) -> DonationProject:
    """Show a project."""
    return find_project(call, parse_public_id(PROJECT, project))


@endpoint(
    routes,
    "POST",
    "/v1/operator/donation-projects/<project>/approval",
    needs=Permission.DONATION_APPROVE,
    takes=TakesDecision,
    gives=GivesProject,
    status=201,
    idempotent=True,
    summary="Admit a project's kilograms to the enterprise's account; not by who declared it",
)
def approve_project(call: Call, why: dict[str, Any], *, project: str) -> DonationProject:
    """Approve a project."""
    return approve(call, parse_public_id(PROJECT, project), reason=why["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/operator/donation-projects/<project>/rejection",
    needs=Permission.DONATION_APPROVE,
    takes=TakesDecision,
    gives=GivesProject,
    status=201,
    summary="Turn a project down; its period may be declared again",
)
def reject_project(call: Call, why: dict[str, Any], *, project: str) -> DonationProject:
    """Reject a project."""
    return reject(call, parse_public_id(PROJECT, project), reason=why["reason"])


@endpoint(
    routes,
    "POST",
    "/v1/operator/donation-projects/<project>/donations",
    needs=Permission.DONATION_GIVE,
    takes=TakesGift,
    gives=GivesGift,
    status=201,
    idempotent=True,
    summary="Give kilograms of an approved project to the region's pool; the certificate is signed",
)
def give(call: Call, gift: dict[str, Any], *, project: str) -> Donation:
    """Give to the pool."""
    return donate(call, parse_public_id(PROJECT, project), **gift)


@endpoint(
    routes,
    "POST",
    "/v1/operator/pool/allocations",
    needs=Permission.POOL_ALLOCATE,
    takes=TakesAllocation,
    gives=GivesShared,
    status=201,
    idempotent=True,
    summary="Share out of the pool: the same kilograms, and the coins for them, to each citizen",
)
def share_out(call: Call, order: AllocationOrder) -> dict[str, Any]:
    """Share out; all citizens or none."""
    refuse_strangers(call, order.citizen_ids, pointer="/body/citizen_ids/{place}")
    made = allocate(
        call,
        order.citizen_ids,
        carbon_mg_each=order.carbon_mg_each,
        reason=order.reason,
        campaign_id=order.campaign_id,
    )
    return _told(made)


@endpoint(
    routes,
    "POST",
    "/v1/operator/pool/allocations-by-need",
    needs=Permission.POOL_ALLOCATE,
    takes=TakesNeedAllocation,
    gives=GivesShared,
    status=201,
    idempotent=True,
    summary="Share out of the pool by weight; together exactly what was ordered",
)
def share_out_by_need(call: Call, order: NeedOrder) -> dict[str, Any]:
    """Share out by need; all citizens or none."""
    refuse_strangers(
        call, [each.citizen_id for each in order.shares], pointer="/body/shares/{place}/citizen_id"
    )
    made = allocate_by_need(
        call, order.shares, carbon_mg=order.carbon_mg, reason=order.reason, campaign_id=order.campaign_id
    )
    return _told(made)


def _told(made: Allocated) -> dict[str, Any]:
    names = ("id", "rule", "campaign_id", "reason", "carbon_mg", "carbon_mg_each", "allocated_at")
    coins = [share.coin_milli for share in made.shares]
    return {
        **{name: getattr(made.allocation, name) for name in names},
        "citizens": len(coins),
        "coin_milli_each": min(coins),
        "coin_milli": sum(coins),
    }


@endpoint(
    routes,
    "GET",
    "/v1/operator/pool/allocations",
    needs=Permission.DONATION_READ,
    query=PageQuery,
    gives=GivesAllocations,
    summary="What the region gave out of its pool, newest first",
)
def list_allocations(call: Call, page: dict[str, Any]) -> Page[PoolAllocation]:
    """List allocations."""
    return allocations(call, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/public/pools/<region>",
    needs=PUBLIC,
    gives=GivesPool,
    summary="A region's pool: donated, on its way, available, allocated, withdrawn",
)
def show_pool(call: Call, *, region: str) -> PoolState:
    """Show a pool."""
    return pool_state(call, region)


@endpoint(
    routes,
    "GET",
    "/v1/public/certificates",
    needs=PUBLIC,
    query=CertificatesQuery,
    gives=GivesGifts,
    summary="Every donation, newest first",
)
def list_certificates(call: Call, asked: dict[str, Any]) -> Page[Donation]:
    """List donations."""
    return certificates(call, PageRequest(asked["limit"], asked["after"]), region_id=asked["region"])


@endpoint(
    routes,
    "GET",
    "/v1/public/certificates/<certificate>",
    needs=PUBLIC,
    gives=GivesCertificate,
    summary="A certificate word for word, its signature, how to check it, and how it stands today",
)
def show_certificate(call: Call, *, certificate: str) -> dict[str, Any]:
    """Show a certificate."""
    found = certificate_standing(call, parse_public_id(DONATION, certificate))
    return {**found, "page": f"/certificates/{certificate}", "how_to_verify": HOW_TO_VERIFY}
