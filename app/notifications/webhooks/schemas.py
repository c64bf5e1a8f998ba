"""What owners of endpoints send and are told."""

from types import MappingProxyType

import marshmallow as ma
from marshmallow import fields

from app.notifications.webhooks.endpoints import Wanted
from app.notifications.webhooks.events import BY_NAME, ENDPOINT
from app.notifications.webhooks.history import ALL, DELIVERY, UNDELIVERED
from app.notifications.webhooks.signing import MESSAGE
from app.notifications.webhooks.urls import LONGEST_URL
from carbon.partners.registry import PREFIX as PARTNER
from kernel.http.fields import Gives, Instant, PageQuery, PublicId, QuerySchema, Several, Takes, Text, Whole
from merchants.onboarding import MERCHANT


class TakesWebhook(Takes):
    """An endpoint to take in; only an operator names the owner."""

    into = Wanted
    examples = MappingProxyType(
        {
            "A partner's": {
                "url": "https://hooks.example.com/tanpuhui",
                "events": ["batch.done.v1", "batch.failed.v1"],
                "description": "imports, night shift",
            }
        }
    )
    url = Text(required=True, least=12, most=LONGEST_URL)
    events = Several(
        fields.String(validate=ma.validate.OneOf(tuple(BY_NAME))), required=True, least=1, most=len(BY_NAME)
    )
    description = Text(required=True, most=120)
    merchant_id = PublicId(MERCHANT, load_default=None, allow_none=True)
    partner_id = PublicId(PARTNER, load_default=None, allow_none=True)


class TakesReplay(Takes):
    """Since when to send again, and what; `after` is the `next` of the part before."""

    examples = MappingProxyType(
        {"After an outage": {"since": "2026-11-01T08:30:00+08:00", "which": UNDELIVERED}}
    )
    since = Instant(required=True)
    which = fields.String(required=True, validate=ma.validate.OneOf((UNDELIVERED, ALL)))
    after = Text(most=512, load_default=None, allow_none=True)


class DeliveriesQuery(PageQuery):
    """Of which state; all by default."""

    state = fields.String(validate=ma.validate.OneOf(("waiting", "delivered", "dead")), load_default=None)


class DeliveryPageQuery(QuerySchema):
    """The page's language, and where it goes on."""

    lang = fields.String(validate=ma.validate.OneOf(("zh", "en")), load_default=None)
    after = Text(most=512, load_default=None)


class GivesWebhook(Gives):
    """An endpoint; never its secret."""

    id = PublicId(ENDPOINT)
    merchant_id = PublicId(MERCHANT, allow_none=True)
    partner_id = PublicId(PARTNER, allow_none=True)
    url = Text()
    events = fields.List(fields.String())
    description = Text()
    state = Text()
    paused_because = Text(allow_none=True)
    failing_since = Instant(allow_none=True)
    created_at = Instant()
    verified_at = Instant(allow_none=True)


class GivesWebhooks(Gives):
    """Some endpoints and where those behind them are."""

    items = fields.List(fields.Nested(GivesWebhook))
    next = fields.String(allow_none=True)


class GivesRegistered(Gives):
    """A new endpoint with its secret, shown once."""

    webhook = fields.Nested(GivesWebhook, attribute="endpoint")
    secret = Text()


class GivesSecret(Gives):
    """A new secret, shown once; the one before signs beside it until then."""

    secret = Text()
    former_signs_until = Text()


class GivesDelivery(Gives):
    """One event on its way to one endpoint; `message_id` is the header webhook-id."""

    id = PublicId(DELIVERY)
    message_id = PublicId(MESSAGE, attribute="news_id")
    event = Text()
    state = Text()
    tries = Whole()
    next_at = Instant(allow_none=True)
    happened_at = Instant()
    ended_at = Instant(allow_none=True)


class GivesDeliveries(Gives):
    """Some deliveries and where those behind them are."""

    items = fields.List(fields.Nested(GivesDelivery))
    next = fields.String(allow_none=True)


class GivesAttempt(Gives):
    """One attempt: how it ended, how long it took, and the beginning of the answer."""

    number = Whole()
    began_at = Instant()
    took_ms = Whole()
    outcome = Text(attribute="result")
    status = Whole(allow_none=True)
    answer = Text()


class GivesFollowed(Gives):
    """A delivery, the body it sends, and its attempts."""

    delivery = fields.Nested(GivesDelivery)
    body = fields.String(attribute="delivery.body")
    attempts = fields.List(fields.Nested(GivesAttempt))


class GivesReplayed(Gives):
    """How many are sent again; where there are more, ask with `next` as `after`, under another key."""

    count = Whole()
    more = fields.Boolean()
    next = fields.String(allow_none=True)


class GivesPageLink(Gives):
    """The page of this endpoint for an hour; told once."""

    path = Text()
    ends_at = Instant()


class GivesEventType(Gives):
    """One event that may be told."""

    name = Text()
    audience = fields.List(fields.String())
    zh = Text()
    en = Text()
    example = fields.Dict()


class GivesEventTypes(Gives):
    """Every event."""

    items = fields.List(fields.Nested(GivesEventType))
