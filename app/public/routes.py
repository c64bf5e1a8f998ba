"""What anybody may read: pages for people, and the keys that signatures are checked with; no logic."""

from dataclasses import replace
from functools import partial
from typing import Any

from flask import Response, request
from qrcode import make
from qrcode.constants import ERROR_CORRECT_M
from qrcode.image.svg import SvgPathImage

from app.public.notice_facts import notice_shown, notices_shown
from app.public.page_facts import (
    certificate_shown,
    certificates_shown,
    changelog_shown,
    home_figures,
    problems_shown,
    rules_shown,
    table_shown,
    tables_shown,
)
from app.public.pages import STYLESHEET, page, page_while_sent, readable, site
from app.public.pool_facts import pool_shown, serial_shown
from app.public.reward_facts import reward_shown, shelf_shown
from app.public.schemas import LanguageQuery, ListingQuery, RegionQuery, RewardsPageQuery
from app.public.why_words import LANGUAGES, why_shown
from carbon.activities.links import linked
from carbon.donations.giving import DONATION
from kernel.actor import ANONYMOUS
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.permission import PUBLIC
from kernel.publications.publishing import PREFIX
from kernel.signing import Purpose, published_keys
from rewards.catalogue.offering import REWARD
from rewards.catalogue.shelf import Asked

routes = Routes("public", __name__, description="What anybody may read.")


@endpoint(routes, "GET", "/", needs=PUBLIC, summary="The home page")
@readable
def home(call: Call) -> Response:
    """Say what this is, and lead on."""
    return page("home.html", figures=home_figures(call, site().region), demo=site().shows_demo())


@endpoint(
    routes,
    "GET",
    "/rules",
    needs=PUBLIC,
    query=RegionQuery,
    summary="The rules in force, in words, as a page",
)
@readable
def rules(call: Call, asked: dict[str, Any]) -> Response:
    """Say what rules today."""
    return page("rules.html", **rules_shown(call, asked["region"] or site().region))


@endpoint(
    routes, "GET", "/factors", needs=PUBLIC, query=ListingQuery, summary="Published factor tables, as a page"
)
@readable
def factors(call: Call, asked: dict[str, Any]) -> Response:
    """List factor tables by region."""
    return page("factors.html", **tables_shown(call, after=asked["after"], region_id=asked["region"]))


@endpoint(
    routes,
    "GET",
    "/factors/changelog",
    needs=PUBLIC,
    query=ListingQuery,
    summary="What each factor table changed, as a page",
)
@readable
def factor_changelog(call: Call, asked: dict[str, Any]) -> Response:
    """List what tables changed, newest first."""
    return page("changelog.html", **changelog_shown(call, after=asked["after"], region_id=asked["region"]))


@endpoint(routes, "GET", "/factors/<table>", needs=PUBLIC, summary="One factor table with sources, as a page")
@readable
def factor_table(call: Call, *, table: str) -> Response:
    """Show a factor table."""
    return page("factor_table.html", **table_shown(call, parse_public_id(PREFIX, table)))


@endpoint(routes, "GET", "/notices", needs=PUBLIC, query=ListingQuery, summary="What is on notice, as a page")
@readable
def public_notices(call: Call, asked: dict[str, Any]) -> Response:
    """List what is on notice."""
    return page("notices.html", **notices_shown(call, after=asked["after"], region_id=asked["region"]))


@endpoint(
    routes,
    "GET",
    "/notices/<notice>",
    needs=PUBLIC,
    summary="One proposal on notice with its objections and answers, as a page",
)
@readable
def public_notice(call: Call, *, notice: str) -> Response:
    """Show a proposal."""
    template, facts = notice_shown(call, parse_public_id(PREFIX, notice))
    return page(template, **facts)


@endpoint(
    routes,
    "GET",
    "/rewards",
    needs=PUBLIC,
    query=RewardsPageQuery,
    summary="What coins buy in a region, as a page",
)
@readable
def rewards(call: Call, asked: dict[str, Any]) -> Response:
    """Show a region's shelf as anybody sees it."""
    wanted = Asked(region_id=asked["region"] or site().region, kind=asked["kind"])
    return page("rewards.html", **shelf_shown(_anybody(call), wanted, after=asked["after"]))


@endpoint(
    routes,
    "GET",
    "/rewards/<reward>",
    needs=PUBLIC,
    summary="One reward with its terms, units and prices, as a page",
)
@readable
def reward(call: Call, *, reward: str) -> Response:
    """Show a reward as anybody sees it."""
    return page("reward.html", **reward_shown(_anybody(call), parse_public_id(REWARD, reward)))


@endpoint(
    routes,
    "GET",
    "/certificates",
    needs=PUBLIC,
    query=ListingQuery,
    summary="Donation certificates, as a page",
)
@readable
def donation_certificates(call: Call, asked: dict[str, Any]) -> Response:
    """List a region's certificates."""
    region = asked["region"] or site().region
    return page("certificates.html", **certificates_shown(call, after=asked["after"], region_id=region))


@endpoint(
    routes,
    "GET",
    "/certificates/<certificate>",
    needs=PUBLIC,
    summary="One donation certificate to read, print and check, as a page",
)
@readable
def donation_certificate(call: Call, *, certificate: str) -> Response:
    """Show a certificate; its picture is drawn after the transaction."""
    shown = certificate_shown(call, parse_public_id(DONATION, certificate))
    address = f"{site().address}/certificates/{certificate}"
    return page_while_sent("certificate.html", **shown, address=address, qr_svg=partial(_qr_svg, address))


@endpoint(
    routes,
    "GET",
    "/why/<link>",
    needs=PUBLIC,
    query=LanguageQuery,
    summary="How one activity came to kilograms and coins, as a page for whoever has its link",
    no_store=True,
)
@readable
def why(call: Call, asked: dict[str, Any], *, link: str) -> Response:
    """Show what a citizen shared, gone through once more."""
    lang = asked["lang"] or request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
    shown = page("why.html", link=link, **why_shown(linked(call, link), lang=lang, now=call.now))
    shown.headers["X-Robots-Tag"] = "noindex, nofollow"
    shown.vary.add("Accept-Language")
    return shown


@endpoint(
    routes,
    "GET",
    "/pool",
    needs=PUBLIC,
    query=RegionQuery,
    summary="A region's pool, its spending plan and what was shared out, as a page",
)
@readable
def pool(call: Call, asked: dict[str, Any]) -> Response:
    """Show the pool."""
    return page("pool.html", **pool_shown(call, asked["region"] or site().region))


@endpoint(
    routes,
    "GET",
    "/pool/serials/<serial>",
    needs=PUBLIC,
    query=RegionQuery,
    summary="What became of one milligram of a pool, as a page",
)
@readable
def pool_serial(call: Call, asked: dict[str, Any], *, serial: str) -> Response:
    """Show a serial."""
    return page("serial.html", **serial_shown(call, asked["region"] or site().region, serial))


@endpoint(routes, "GET", "/problems", needs=PUBLIC, summary="Every problem this API answers, as a page")
def problems(_call: Call) -> Response:
    """Give the catalogue of refusals as a page, one anchor a code."""
    return page("problems.html", **problems_shown())


@endpoint(routes, "GET", "/pages.css", needs=PUBLIC, summary="The stylesheet of the pages")
def stylesheet(_call: Call) -> Response:
    """Give the stylesheet; pages name it with its digest."""
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(STYLESHEET, content_type="text/css; charset=utf-8", headers=kept)


@endpoint(routes, "GET", "/v1/public/keys", needs=PUBLIC, summary="Public keys by purpose")
def keys(call: Call) -> dict[str, Any]:
    """Give the public half of every key, with the retired ones marked."""
    return {purpose.value: published_keys(call.db, purpose, now=call.now) for purpose in Purpose}


def _anybody(call: Call) -> Call:
    """Pages say the same to everybody, whoever is signed in."""
    return replace(call, actor=ANONYMOUS)


def _qr_svg(address: str) -> str:
    """An address as a picture. Voucher codes have a drawing of their own, which takes no small letters."""
    drawn = make(address, image_factory=SvgPathImage, error_correction=ERROR_CORRECT_M)
    return str(drawn.to_string(encoding="unicode"))
