"""Who may call what: the page says it, and the door keeps it for every address and every caller.

Callers come with credentials of their own kind, as in life: a session's token, a partner's key, a till's.
"""

import re
from typing import Any

import pytest

from app.factory import TERMINAL_PERMISSIONS, Product
from app.identity.roles import OF_AN_ORGANISATION, PERMISSIONS, STAFF_ROLES, Role
from app.identity.sign_in import SignedIn, WechatUser, add_staff, sign_in_citizen, sign_in_staff
from app.identity.tokens import issue
from app.reference_pages import PAGES
from app.reference_pages.permissions import HOLDERS, Address, addresses
from carbon.partners.registry import PERMISSIONS as PARTNER_PERMISSIONS
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.permission import Permission
from merchants.onboarding import add_merchant, add_store
from merchants.terminals import new_terminal, pair
from tests.conftest import NOW, REGION, ROOT, Database

PAGE = "docs/reference/permissions.md"
ANYBODY = "anybody"
SIGN_OUT = "/v1/sessions/current"
NOBODY = "0" * 26
IN_PATHS = {
    "activity": f"act_{NOBODY}",
    "adjustment": f"adj_{NOBODY}",
    "batch": f"bat_{NOBODY}",
    "ask": f"ask_{NOBODY}",
    "binding": f"bnd_{NOBODY}",
    "certificate": f"don_{NOBODY}",
    "clerk": f"clk_{NOBODY}",
    "day": "2026-11-20",
    "delivery": f"whd_{NOBODY}",
    "document": f"doc_{NOBODY}",
    "donation": f"don_{NOBODY}",
    "kind": "baseline",
    "link": NOBODY,
    "household": f"hhd_{NOBODY}",
    "member": f"hhm_{NOBODY}",
    "message": f"msg_{NOBODY}",
    "hold": f"hld_{NOBODY}",
    "transfer": "1",
    "merchant": f"mer_{NOBODY}",
    "named": f"ptn_{NOBODY}",
    "notice": f"pub_{NOBODY}",
    "objection": f"obj_{NOBODY}",
    "partner": f"ptn_{NOBODY}",
    "project": f"prj_{NOBODY}",
    "recomputation": f"rec_{NOBODY}",
    "publication": f"pub_{NOBODY}",
    "place": f"wtp_{NOBODY}",
    "picture": "0" * 64,
    "group": f"grp_{NOBODY}",
    "reward": f"rwd_{NOBODY}",
    "redemption": f"red_{NOBODY}",
    "region": REGION,
    "rule": f"pub_{NOBODY}",
    "serial": "1",
    "session": f"ses_{NOBODY}",
    "settlement": f"stl_{NOBODY}",
    "store": f"sto_{NOBODY}",
    "table": f"pub_{NOBODY}",
    "terminal": f"trm_{NOBODY}",
    "voucher": f"vch_{NOBODY}",
    "webhook": f"whk_{NOBODY}",
}
BODIES: tuple[Any, ...] = ({}, [], None, {"reason": "a\u0000b"})


def test_the_page_of_permissions_says_what_the_door_asks() -> None:
    committed = (ROOT / PAGE).read_text(encoding="utf-8")
    assert committed == PAGES[PAGE](), "run `python -m app.reference_pages`"


def test_every_permission_opens_something_and_somebody_holds_it() -> None:
    """A permission that opens no address is a promise nobody keeps."""
    assert set(Permission) - {address.needs for address in addresses()} == set()
    assert set(Permission) - frozenset().union(*HOLDERS.values()) == set()


def test_whoever_writes_does_not_decide() -> None:
    """One person never drafts and publishes, declares and approves, gives and shares out."""
    apart = (
        (Permission.PUBLICATION_DRAFT, Permission.PUBLICATION_PUBLISH),
        (Permission.PUBLICATION_DRAFT, Permission.PUBLICATION_REVIEW),
        (Permission.PUBLICATION_REVIEW, Permission.PUBLICATION_PUBLISH),
        (Permission.DONATION_DECLARE, Permission.DONATION_APPROVE),
        (Permission.DONATION_GIVE, Permission.POOL_ALLOCATE),
        (Permission.DONATION_GIVE, Permission.DONATION_WITHDRAW),
        (Permission.POOL_PLAN, Permission.POOL_ALLOCATE),
        (Permission.REWARD_MANAGE, Permission.VOUCHER_DEACTIVATE),
        (Permission.REWARD_MANAGE, Permission.REWARD_PUBLISH),
        (Permission.RECOMPUTATION_PROPOSE, Permission.RECOMPUTATION_APPROVE),
        (Permission.SETTLEMENT_CLOSE, Permission.SETTLEMENT_PAY),
        (Permission.SETTLEMENT_ADJUST, Permission.SETTLEMENT_APPROVE),
        (Permission.SETTLEMENT_CONFIRM, Permission.SETTLEMENT_PAY),
    )
    for held in HOLDERS.values():
        assert not [pair for pair in apart if set(pair) <= held]


@pytest.mark.parametrize("who", [ANYBODY, *HOLDERS])
def test_the_door_lets_in_who_may_and_nobody_else(product: Product, database: Database, who: str) -> None:
    headers = {} if who == ANYBODY else {"Authorization": f"Bearer {credentials(product, database, who)}"}
    client = product.flask.test_client()
    # Signing out comes last: nothing opens after it.
    for address in sorted(addresses(), key=lambda each: each.path == SIGN_OUT):
        for body in BODIES if address.method in {"POST", "PUT"} else (None,):
            with client.open(
                filled(address.path),
                method=address.method,
                json=body,
                headers={**headers, "Idempotency-Key": "matrix-0001"},
            ) as answer:
                told = f"{who} {address.method} {address.path} {body!r}: {answer.status_code}"
                assert answer.status_code < 500, told
                assert right_of(address, who, answer.status_code), told
            if address.path == SIGN_OUT:
                assert client.get("/v1/me", headers=headers).status_code in {401, 403}


def right_of(address: Address, who: str, status: int) -> bool:
    """401 exactly where nobody is known, 403 exactly where the permission is missing."""
    if address.needs is None:
        return status not in {401, 403}
    if who == ANYBODY:
        return status == 401
    return (status == 403) == (address.needs not in held_by(who)) and status != 401


def held_by(who: str) -> frozenset[Permission]:
    """Read where permissions are given, not where the page is made."""
    keys = {"partner": PARTNER_PERMISSIONS, "terminal": TERMINAL_PERMISSIONS}
    return keys[who] if who in keys else PERMISSIONS[Role(who)]


def filled(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda named: IN_PATHS[named[1]], path)


def credentials(product: Product, database: Database, who: str) -> str:
    """What a caller of this sort sends, got the way such callers get it."""
    if who == "partner":
        return database.run(
            lambda call: register_partner(call, name="demo transit", region_id=REGION).api_key
        )
    merchant = database.run(lambda call: add_merchant(call, name_zh="示例面包店", name_en="Example bakery"))
    if who == "terminal":

        def paired(call: Call) -> str:
            store = add_store(call, merchant, name_zh="一店", name_en="First")
            return pair(call, new_terminal(call, store.id, label="till").code).token

        return database.run(paired)

    def signed_in(call: Call) -> SignedIn:
        role = Role(who)
        if role is Role.CITIZEN:
            user = WechatUser(appid="wxstub0000000000", openid="demo-citizen-017")
            return sign_in_citizen(call, user, region_id=REGION)
        assert role in STAFF_ROLES
        add_staff(
            call,
            username=f"demo-{who}",
            password="a long enough password",
            role=role,
            region_id=REGION,
            organisation_id=merchant if role in OF_AN_ORGANISATION else None,
        )
        opened = sign_in_staff(call, username=f"demo-{who}", password="a long enough password")
        assert isinstance(opened, SignedIn)
        return opened

    opened = database.run(signed_in)
    with product.flask.app_context():
        return issue(
            session_id=opened.session_id, refresh_id=opened.refresh_id, subject=opened.subject, now=NOW
        ).access_token
