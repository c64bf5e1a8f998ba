"""What an owner may give as an address to be told at: https, a name of the public net, a usual port.

The name is written as the net writes it (IDNA, small letters, no last dot) before it is judged, so that
full-width digits or a dot of another script hide nothing. Numbers in any form are no names: an endpoint is
known by its certificate. Where a name leads is judged again at each sending (`sending.py`).
"""

import re
from urllib.parse import quote

import idna

from app.notifications.webhooks.errors import WebhookUrlRefused
from kernel.errors import require

LONGEST_URL = 1000
LOCALHOST = "localhost"
PORTS = frozenset({443, 8443})
LOWEST_OWN_PORT = 1024
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_LONGEST_NAME = 253
_NEVER = frozenset({"localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "onion"})
"""Last labels that never name a host of the public net."""
_PLAIN = re.compile(r"[!-\[\]-_a-z~]+", re.ASCII)
"""Printable ASCII without blanks, backslash, backtick, braces and bar, as browsers and servers read alike."""


def normalised_url(given: str, *, loopback: bool) -> str:
    """The address as it is kept and shown; `loopback` lets `https://localhost:PORT/` in.

    Refuses `WebhookUrlRefused` with what is wrong, at /body/url.
    """
    host_part = re.fullmatch(r"https://([^/?#]*)([^#]*)", given, re.IGNORECASE | re.DOTALL)
    require(host_part is not None, _refused("must begin with https:// and have no fragment"))
    authority, rest = host_part.groups()  # type: ignore[union-attr]  # required above
    require("@" not in authority, _refused("must not carry a user name"))
    require("[" not in authority, _refused("must name a host, not an address"))
    name, colon, port = authority.partition(":")
    host = _host(name, loopback=loopback)
    number = _port(port, own=host == LOCALHOST) if colon or host == LOCALHOST else 443
    path = quote(rest or "/", safe="/?&=:@!$'()*+,;~%-._")
    path = path if path.startswith("/") else f"/{path}"
    require(
        _PLAIN.fullmatch(path) is not None and "\\" not in given, _refused("holds characters of no address")
    )
    url = f"https://{host}{'' if number == 443 else f':{number}'}{path}"
    require(len(url) <= LONGEST_URL, _refused("is too long"))
    return url


def _host(name: str, *, loopback: bool) -> str:
    try:
        host = idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise _refused("has no proper host name") from error
    host = host.removesuffix(".")
    if loopback and host == LOCALHOST:
        return host
    labels = host.split(".")
    proper = len(host) <= _LONGEST_NAME and all(_LABEL.fullmatch(label) for label in labels)
    require(proper, _refused("has no proper host name"))
    require(not _NUMBER.fullmatch(labels[-1]), _refused("must name a host, not an address"))
    require(len(labels) > 1 and labels[-1] not in _NEVER, _refused("must name a host of the public net"))
    return host


def _port(text: str, *, own: bool) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) else 0
    allowed = LOWEST_OWN_PORT <= number <= 65535 if own else number in PORTS
    require(allowed, _refused(f"may have the ports {' and '.join(map(str, sorted(PORTS)))}"))
    return number


def _refused(detail: str) -> WebhookUrlRefused:
    return WebhookUrlRefused(detail, pointer="/body/url")
