"""Reference pages that are written from the code, so that they cannot say otherwise.

`python -m app.reference_pages` writes them all; a test beside each compares. `PAGES` is the one list:
a path below the checkout and the function that renders it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from app.reference_pages.comparisons import comparisons_page
from app.reference_pages.methods import method_pages
from app.reference_pages.permissions import permissions_page
from app.reference_pages.refusals import refusals_page
from app.reference_pages.settings import settings_page
from app.reference_pages.states import states_page

PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "docs/reference/comparisons.md": comparisons_page,
        "docs/reference/permissions.md": permissions_page,
        "docs/reference/refusals.md": refusals_page,
        "docs/reference/settings.md": settings_page,
        "docs/reference/states.md": states_page,
        **method_pages(),
    }
)
