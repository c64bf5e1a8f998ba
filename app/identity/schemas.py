"""What signing in takes and gives."""

from dataclasses import dataclass
from types import MappingProxyType

from marshmallow import fields

from kernel.http.fields import Gives, Instant, Takes, Text


@dataclass(frozen=True)
class WechatCode:
    """What wx.login gave the mini program."""

    js_code: str


@dataclass(frozen=True, repr=False)
class Credentials:
    """A user name and its password; never printed."""

    username: str
    password: str


@dataclass(frozen=True, repr=False)
class RefreshOrder:
    """A refresh token to be followed by the next; never printed."""

    refresh_token: str


class TakesWechatCode(Takes):
    """A WeChat sign-in."""

    into = WechatCode
    examples = MappingProxyType({"A code of wx.login": {"js_code": "0a3Xk1Ga1bQ4vK0xYw0w3abcDe4Xk1Gz"}})
    js_code = Text(required=True, most=128, pattern=r"[!-~]+")


class TakesCredentials(Takes):
    """A password sign-in."""

    into = Credentials
    examples = MappingProxyType(
        {"An operator": {"username": "demo-editor", "password": "correct horse battery 017"}}
    )
    username = Text(required=True, most=64, pattern=r"[a-z0-9._-]{3,64}")
    password = Text(required=True, most=128, load_only=True)


class TakesRefreshToken(Takes):
    """A refresh."""

    into = RefreshOrder
    examples = MappingProxyType(
        {"A refresh token": {"refresh_token": "eyJhbGciOiJFZERTQSJ9.eyJqdGkiOiIwMTkifQ.c2lnbmF0dXJl"}}
    )
    refresh_token = Text(required=True, most=4096, load_only=True)


class GivesTokens(Gives):
    """Both tokens; `expires_at` is the end of the access token."""

    token_type = fields.Constant("Bearer")
    access_token = fields.String()
    refresh_token = fields.String()
    expires_at = Instant()


class GivesMe(Gives):
    """The caller."""

    id = fields.String()
    kind = fields.String()
    region_id = fields.String()
    nickname = fields.String(allow_none=True)
    permissions = fields.List(fields.String())
