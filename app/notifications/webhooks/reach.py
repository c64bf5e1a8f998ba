"""Where this product's webhooks may go: the public net; on a developer's machine also that machine.

The second is a setting that production refuses to start with. It lets `https://localhost:PORT/` in, checked
against a certificate authority made for this machine, whose certificate names nothing else.
"""

import ssl
from functools import cache, partial
from ipaddress import ip_address
from pathlib import Path

from flask import Flask, current_app

from app.notifications.webhooks.addresses import Address, is_public_or_own
from app.notifications.webhooks.loopback_tls import AUTHORITY, kept_for_localhost, trusting
from app.notifications.webhooks.sending import Reach, resolve
from app.notifications.webhooks.urls import LOCALHOST
from app.settings import Settings

_LETS_IN = "tanpuhui.webhooks.loopback"
YES = "yes"


def install_webhooks(app: Flask, settings: Settings) -> None:
    """Tell the faces of `app` whether an endpoint may be this machine's own."""
    lets_in = settings.webhook_allow_loopback == YES
    if lets_in:
        kept_for_localhost(settings.tanpuhui_data)  # a receiver on this machine wants it
    app.extensions[_LETS_IN] = lets_in


def lets_loopback_in() -> bool:
    """Whether the application that serves this request does."""
    return bool(current_app.extensions[_LETS_IN])


def reach_of(settings: Settings) -> Reach:
    """What a sender with these settings may reach."""
    if settings.webhook_allow_loopback != YES:
        return Reach()
    return Reach(
        allows=is_public_or_own,
        resolve=_resolve_own,
        trust=partial(_own_trust, settings.tanpuhui_data),
    )


@cache
def _own_trust(data: Path) -> ssl.SSLContext:
    return trusting((kept_for_localhost(data) / AUTHORITY).read_text())


def _resolve_own(host: str, port: int) -> list[Address]:
    return [ip_address("127.0.0.1")] if host == LOCALHOST else resolve(host, port)
