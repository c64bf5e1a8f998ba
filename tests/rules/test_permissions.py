"""Who may call what: the page says it, and the door keeps it for every address and every role."""

from app.reference_pages import PAGES
from app.reference_pages.permissions import addresses
from kernel.permission import Permission
from tests.conftest import ROOT

PAGE = "docs/reference/permissions.md"


def test_the_page_of_permissions_says_what_the_door_asks() -> None:
    committed = (ROOT / PAGE).read_text(encoding="utf-8")
    assert committed == PAGES[PAGE](), "run `python -m app.reference_pages`"


def test_every_permission_opens_something() -> None:
    """A permission that opens no address is a promise nobody keeps."""
    assert set(Permission) - {address.needs for address in addresses()} == set()
