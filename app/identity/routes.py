"""Sessions over HTTP. WeChat is asked before the first statement, so no transaction waits for the network."""

from typing import Any

from flask import Response, current_app

from app.identity.bearer import current_session
from app.identity.schemas import (
    Credentials,
    GivesMe,
    GivesTokens,
    RefreshOrder,
    TakesCredentials,
    TakesRefreshToken,
    TakesWechatCode,
    WechatCode,
)
from app.identity.sign_in import (
    CITIZEN,
    STAFF,
    SignedIn,
    refresh,
    sign_in_citizen,
    sign_in_staff,
    sign_out,
)
from app.identity.tables import Citizen
from app.identity.tokens import REFRESH, TokenPair, install_tokens, issue, read_token
from app.identity.wechat import WechatClient
from app.settings import Settings
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.errors import Refusal
from kernel.http.endpoint import Routes, endpoint
from kernel.http.problems import refused
from kernel.identifiers import public_id
from kernel.permission import PUBLIC, Permission

routes = Routes("identity", __name__, description="Signing in and out.")
_WECHAT, CITIZENS_REGION = "tanpuhui.wechat", "tanpuhui.citizens_region"


def install_identity(app: Any, settings: Settings, wechat: WechatClient) -> None:
    """Give `app` its tokens and its WeChat client; new citizens belong to the settings' region."""
    install_tokens(app, secret=settings.jwt_secret)
    app.extensions[_WECHAT] = wechat
    app.extensions[CITIZENS_REGION] = settings.region


@endpoint(
    routes,
    "POST",
    "/v1/sessions/wechat",
    needs=PUBLIC,
    takes=TakesWechatCode,
    gives=GivesTokens,
    status=201,
    summary="Sign in with the code of wx.login; the first time makes the citizen",
    no_store=True,
)
def open_wechat_session(call: Call, given: WechatCode) -> TokenPair:
    """Exchange the code, then open the session."""
    user = current_app.extensions[_WECHAT].exchange(given.js_code)
    return _tokens(call, sign_in_citizen(call, user, region_id=current_app.extensions[CITIZENS_REGION]))


@endpoint(
    routes,
    "POST",
    "/v1/sessions/password",
    needs=PUBLIC,
    takes=TakesCredentials,
    gives=GivesTokens,
    status=201,
    summary="Sign in as operator, merchant staff or donor",
    no_store=True,
)
def open_password_session(call: Call, given: Credentials) -> TokenPair | Response:
    """Open a session; a wrong password is answered, not raised, so that its count is kept."""
    outcome = sign_in_staff(call, username=given.username, password=given.password)
    return refused(outcome) if isinstance(outcome, Refusal) else _tokens(call, outcome)


@endpoint(
    routes,
    "POST",
    "/v1/sessions/refresh",
    needs=PUBLIC,
    takes=TakesRefreshToken,
    gives=GivesTokens,
    status=201,
    summary="Follow a refresh token by the next pair; each works once",
    no_store=True,
)
def follow_session(call: Call, given: RefreshOrder) -> TokenPair:
    """Rotate."""
    claims = read_token(given.refresh_token, kind=REFRESH, now=call.now)
    return _tokens(call, refresh(call, claims))


@endpoint(
    routes,
    "DELETE",
    "/v1/sessions/current",
    needs=Permission.ME_READ,
    status=204,
    summary="Sign out: neither token of this session works any more",
)
def close_session(call: Call) -> None:
    """End the session of the access token."""
    sign_out(call, current_session())


@endpoint(
    routes,
    "GET",
    "/v1/me",
    needs=Permission.ME_READ,
    gives=GivesMe,
    summary="Who the caller is and what the role includes",
    no_store=True,
)
def me(call: Call) -> dict[str, Any]:
    """Show the caller."""
    actor = call.actor
    citizen = call.db.get(Citizen, actor.known_id) if actor.kind is ActorKind.CITIZEN else None
    return {
        "id": public_id(CITIZEN if citizen is not None else STAFF, actor.known_id),
        "kind": actor.kind.value,
        "region_id": actor.known_region,
        "nickname": citizen.nickname if citizen is not None else None,
        "permissions": sorted(permission.value for permission in actor.permissions),
    }


def _tokens(call: Call, signed_in: SignedIn) -> TokenPair:
    return issue(
        session_id=signed_in.session_id,
        refresh_id=signed_in.refresh_id,
        subject=signed_in.subject,
        now=call.now,
    )
