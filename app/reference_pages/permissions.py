"""Who may call what: every address of the product, the permission it needs, and who holds that.

Read off the door itself, so an address that is not here does not exist.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.factory import TERMINAL_PERMISSIONS
from app.identity.roles import PERMISSIONS as OF_ROLES
from app.openapi_document import current_product
from carbon.partners.registry import PERMISSIONS as OF_PARTNERS
from kernel.permission import Permission

HOLDERS: Mapping[str, frozenset[Permission]] = MappingProxyType(
    {
        **{role.value: held for role, held in OF_ROLES.items()},
        "partner": OF_PARTNERS,
        "terminal": TERMINAL_PERMISSIONS,
    }
)
"""Every sort of caller that can sign in or has a key, and what it holds."""
EVERYBODY = "everybody 任何人"


class Address(NamedTuple):
    """One method of one address; `needs` is None where everybody may call it."""

    room: str
    path: str
    method: str
    needs: Permission | None
    summary: str


def addresses() -> list[Address]:
    """Every address behind the door, by room, path and method."""
    return sorted(_addresses(), key=lambda address: (address.room, address.path, address.method))


def permissions_page() -> str:
    """Render the page in Markdown."""
    return "\n".join((*_opening(), "", *_matrix(), "", *_by_room())) + "\n"


def _addresses() -> Iterator[Address]:
    app = current_product().flask
    for rule in app.url_map.iter_rules():
        view: Any = app.view_functions[rule.endpoint]
        if not hasattr(view, "needs"):
            continue
        summary = view._apidoc["manual_doc"]["summary"]  # noqa: SLF001 - flask-smorest keeps its notes there
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield Address(rule.endpoint.split(".")[0], str(rule), method, view.needs, summary)


def _opening() -> Iterator[str]:
    yield "# Permissions 权限"
    yield ""
    yield "Written from the code by `python -m app.reference_pages`; a test compares. Roles and what they"
    yield "hold stand in `app/identity/roles.py`; partners and terminals get theirs with their keys."
    yield "Without credentials it is 401 `sign_in_needed`, without the permission 403 `not_permitted`,"
    yield "and a thing of another region or person is 404."
    yield ""
    yield "本页由代码生成。未登录答 401,权限不足答 403,他区或他人之物一律答 404。"


def _matrix() -> Iterator[str]:
    """Permissions down, holders across."""
    yield "## Who holds what 角色与权限"
    yield ""
    yield f"| permission 权限 | {' | '.join(HOLDERS)} |"
    yield f"|---|{':-:|' * len(HOLDERS)}"
    for permission in Permission:
        marks = ("●" if permission in held else " " for held in HOLDERS.values())
        yield f"| `{permission.value}` | {' | '.join(marks)} |"


def _by_room() -> Iterator[str]:
    """A table of addresses for each room."""
    yield "## Who may call what 接口与权限"
    room = None
    for address in addresses():
        if address.room != room:
            room = address.room
            yield from (
                "",
                f"### {room}",
                "",
                "| address 接口 | permission 权限 | who 角色 |",
                "|---|---|---|",
            )
        yield f"| `{address.method} {address.path}`<br>{address.summary} | {_needs(address.needs)} |"


def _needs(permission: Permission | None) -> str:
    if permission is None:
        return f"– | {EVERYBODY}"
    holders = [name for name, held in HOLDERS.items() if permission in held]
    return f"`{permission.value}` | {', '.join(holders)}"
