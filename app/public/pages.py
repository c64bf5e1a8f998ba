"""Pages for people: one layout, one stylesheet, no script, nothing from outside.

A page is rendered from plain values with everything escaped, so a hostile name is only a name.
Chinese comes first; English stands beside it.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.public.page_facts import two_languages
from app.public.why_words import arithmetic_in, link_of, punctuated
from app.settings import DEMO_FILE, Settings
from kernel.errors import BrokenInvariant, Refusal
from kernel.http.problems import MEDIA_TYPE, request_id

HTML = "text/html; charset=utf-8"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SITE = "tanpuhui.site"
_FOLDER = Path(__file__).parent
STYLESHEET = (_FOLDER / "pages.css").read_text(encoding="utf-8")
STYLE_MARK = hashlib.sha256(STYLESHEET.encode()).hexdigest()[:12]
"""Changes with the stylesheet, so that browsers may keep it for ever."""


@dataclass(frozen=True)
class Site:
    """What pages say of the place they stand in: its own address, its region, and a demo's file if any."""

    address: str
    region: str
    demo_file: Path | None

    def shows_demo(self) -> bool:
        """Whether a demo city runs here, whose logins stand in a file on this machine."""
        return self.demo_file is not None and self.demo_file.is_file()


def install_pages(app: Flask, settings: Settings) -> None:
    """Tell the pages of `app` where they stand."""
    demo = settings.tanpuhui_data / DEMO_FILE if settings.environment == "development" else None
    app.extensions[_SITE] = Site(settings.public_url.rstrip("/"), settings.region, demo)


def site() -> Site:
    """The site of the application that serves this request."""
    found = current_app.extensions[_SITE]
    if not isinstance(found, Site):
        raise BrokenInvariant("the application has no site")
    return found


def page(template: str, *, status: int = 200, **facts: Any) -> Response:
    """A page out of `templates/`, in which only `facts` vary."""
    return Response(_rendered(template, facts), status, content_type=HTML, headers=_HEADERS)


def page_while_sent(template: str, **facts: Callable[[], Any] | Any) -> Response:
    """The same, rendered while it is sent: facts that are callables are drawn with no transaction open."""

    def drawn() -> Iterator[str]:
        yield _rendered(template, {name: fact() if callable(fact) else fact for name, fact in facts.items()})

    return Response(drawn(), content_type=HTML, headers=_HEADERS)


def readable(face: Callable[..., Response]) -> Callable[..., Response]:
    """Let a browser read why not on a page; programmes get the problem document as everywhere."""

    @wraps(face)
    def told(*given: Any, **path: Any) -> Response:
        try:
            return face(*given, **path)
        except Refusal as refusal:
            if request.accept_mimetypes.best_match([MEDIA_TYPE, "text/html"]) != "text/html":
                raise
            return page("refused.html", status=refusal.kind.value, refusal=refusal, request_id=request_id())

    return told


def _rendered(template: str, facts: dict[str, Any]) -> str:
    return _templates.get_template(template).render(facts)


def _grouped(number: int) -> str:
    """Thousands apart, as people read long figures."""
    return f"{number:,}"


_HEADERS = {"Content-Security-Policy": POLICY, "Vary": "Accept"}
_templates = Environment(
    loader=FileSystemLoader(_FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters["grouped"] = _grouped
_templates.filters["figures"] = lambda text, lang: arithmetic_in(lang, text)
_templates.filters["opens"] = link_of
_templates.filters["punctuated"] = punctuated
_templates.filters["tongues"] = two_languages
_templates.globals["style_mark"] = STYLE_MARK
