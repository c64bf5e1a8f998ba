"""The page of an endpoint, for whoever its owner gave the link: what was sent, and sending it again.

The link is the whole right, as of `/why`: nobody is signed in, no cookie is read, so no other site can make
a browser send anything on somebody's behalf. The form posts to an address that holds the link.
"""

from typing import Any

from flask import Response, redirect, request

from app.notifications.webhooks.history import DELIVERY, linked_endpoint, redeliver
from app.notifications.webhooks.page_words import endpoint_shown
from app.notifications.webhooks.schemas import DeliveryPageQuery
from app.public.pages import POLICY, page, readable
from app.public.schemas import LanguageQuery
from app.public.why_words import LANGUAGES
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.permission import PUBLIC

routes = Routes("webhook-pages", __name__, description="The page of a webhook, behind its link.")
FORM_POLICY = POLICY.replace("form-action 'none'", "form-action 'self'")


@endpoint(
    routes,
    "GET",
    "/webhooks/<link>",
    needs=PUBLIC,
    query=DeliveryPageQuery,
    summary="What was sent to one endpoint, as a page for whoever has its link",
    no_store=True,
)
@readable
def webhook_page(call: Call, asked: dict[str, Any], *, link: str) -> Response:
    """Show an endpoint and what was sent to it."""
    lang = asked["lang"] or request.accept_languages.best_match(LANGUAGES) or LANGUAGES[0]
    endpoint = linked_endpoint(call, link)
    shown = page("webhook.html", link=link, **endpoint_shown(call, endpoint, lang=lang, after=asked["after"]))
    shown.headers["Content-Security-Policy"] = FORM_POLICY
    shown.headers["X-Robots-Tag"] = "noindex, nofollow"
    shown.vary.add("Accept-Language")
    return shown


@endpoint(
    routes,
    "POST",
    "/webhooks/<link>/deliveries/<delivery>/redelivery",
    needs=PUBLIC,
    query=LanguageQuery,
    status=303,
    summary="Send one delivery again, from its page",
)
@readable
def redeliver_from_page(call: Call, asked: dict[str, Any], *, link: str, delivery: str) -> Response:
    """Send again, and lead back to the page."""
    redeliver(call, linked_endpoint(call, link), parse_public_id(DELIVERY, delivery))
    lang = f"?lang={asked['lang']}" if asked["lang"] else ""
    answer = redirect(f"/webhooks/{link}{lang}#{delivery}", code=303)
    return Response(status=303, headers={"Location": answer.headers["Location"]})
