"""The Flask application, put together in one place: settings in, a served product out.

`ROOMS` is the one list of blueprints. Importing `app.anything` never starts an application.
"""

from dataclasses import dataclass
from importlib import import_module

import redis
from flask import Flask, Response
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from app.api_docs import add_api_docs
from app.health import add_health, refuse_unsafe_database
from app.identity.bearer import actor_from_request, register_keys
from app.identity.routes import install_identity
from app.identity.wechat import WechatClient
from app.logs import configure_logs, log_requests
from app.notifications.webhooks.events import documented
from app.notifications.webhooks.reach import install_webhooks
from app.public.pages import install_pages
from app.settings import Settings
from carbon.activities.byte_bodies import UPLOADS
from carbon.activities.routes import CARD_SECRET
from carbon.partners.registry import KEY_PREFIX, partner_of_key
from kernel.actor import Actor, ActorKind
from kernel.clock import Clock, SystemClock
from kernel.database import create_engine, sessions_on
from kernel.http.endpoint import Door, install_door
from kernel.http.openapi import ProblemApi
from kernel.http.problems import answer_all_errors
from kernel.permission import Permission
from kernel.signing import KeyRing
from merchants.clerks.errors import ShiftOver
from merchants.clerks.shifts import known_shift
from merchants.terminals import TOKEN_PREFIX, terminal_by_token

ROOMS = (
    "app.public.routes",
    "app.identity.routes",
    "app.wallet.routes",
    "app.wallet.expiry_routes",
    "app.notifications.routes",
    "app.publications.routes",
    "app.publications.procedure_routes",
    "carbon.activities.routes",
    "carbon.activities.batch_routes",
    "carbon.activities.recomputation.routes",
    "carbon.activities.hold_routes",
    "carbon.partners.routes",
    "carbon.equivalences.routes",
    "carbon.factors.routes",
    "carbon.households.routes",
    "carbon.donations.routes",
    "carbon.donations.document_routes",
    "carbon.donations.pool_routes",
    "rewards.catalogue.routes",
    "rewards.catalogue.desk_routes",
    "rewards.routes",
    "rewards.terminal_kit.routes",
    "merchants.routes",
    "merchants.offline_routes",
    "merchants.clerks.routes",
    "merchants.asks.routes",
    "merchants.scan_refusal_routes",
    "app.notifications.webhooks.routes",
    "app.notifications.webhooks.page_routes",
    "app.notifications.webhooks.kit.routes",
    "merchants.settlement.routes",
    "merchants.settlement.operator_routes",
)
TERMINAL_PERMISSIONS = frozenset({Permission.TERMINAL_REDEEM, Permission.REDEMPTION_REVERSE})
LARGEST_BODY = 1 << 30
"""Uploads are streamed; JSON bodies are bounded far lower at the door."""


@dataclass(frozen=True)
class Product:
    """A built application and what commands and tests need of it."""

    flask: Flask
    door: Door
    settings: Settings
    cache: redis.Redis
    engine: Engine
    wechat: WechatClient

    def close(self) -> None:
        """Let go of database and cache connections."""
        self.engine.dispose()
        self.cache.close()
        self.wechat.close()


def create_product(settings: Settings, *, clock: Clock | None = None) -> Product:
    """Build the application; refuses to start on a database that may lose acknowledged writes."""
    configure_logs(settings.log_level)
    app = Flask("tanpuhui", static_folder=None)
    app.testing = settings.environment == "test"
    app.url_map.strict_slashes = False
    app.config.update(
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        API_TITLE="Tanpuhui 碳普惠",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
        API_SPEC_OPTIONS={
            "info": {
                "description": "From low-carbon actions to kilograms, coins and vouchers. Every amount is an"
                " integer of its smallest unit: milligrams CO2e, milli-coins, fen.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "webhooks": documented(),
            "components": {
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            },
        },
    )
    engine = create_engine(settings.database_url, pool_size=settings.pool_size)
    sessions = sessions_on(engine)
    if settings.environment != "test":
        refuse_unsafe_database(sessions)
    cache = redis.Redis.from_url(settings.redis_url, socket_timeout=1, socket_connect_timeout=1)
    door = Door(
        sessions=sessions,
        clock=clock or SystemClock(),
        keys=KeyRing(settings.ring_secret),
        identify=actor_from_request,
    )
    install_door(app, door)
    wechat = WechatClient(
        base_url=settings.wechat_base_url,
        appid=settings.wechat_appid,
        secret=settings.wechat_secret,
        cache=cache,
    )
    _let_people_in(app, settings, wechat)
    log_requests(app)
    add_health(app, sessions, cache, testing=app.testing)
    add_api_docs(app)
    install_pages(app, settings)
    install_webhooks(app, settings)
    api = ProblemApi(app)
    for name in ROOMS:
        api.register_blueprint(import_module(name).routes)
    answer_all_errors(app)
    app.after_request(_harden)
    return Product(app, door, settings, cache, engine, wechat)


def _let_people_in(app: Flask, settings: Settings, wechat: WechatClient) -> None:
    """Sessions for people, keys for partners, secrets for terminals; what partners' records need."""
    app.config[CARD_SECRET] = settings.card_hash_secret
    app.config[UPLOADS] = settings.tanpuhui_data / "uploads"
    install_identity(app, settings, wechat)
    register_keys(app, KEY_PREFIX, partner_of_key)
    register_keys(app, TOKEN_PREFIX, _terminal_of_token)


def _terminal_of_token(session: Session, token: str) -> Actor | None:
    secret, _, of_shift = token.partition(".")
    known = terminal_by_token(session, secret)
    if known is None:
        return None
    shift = known_shift(session, known.id, of_shift) if of_shift else None
    if of_shift and shift is None:
        raise ShiftOver
    return Actor(
        kind=ActorKind.TERMINAL,
        id=known.id,
        region_id=known.region_id,
        organisation_id=known.merchant_id,
        permissions=TERMINAL_PERMISSIONS,
        clerk_id=None if shift is None else shift.clerk_id,
        shift_id=None if shift is None else shift.id,
    )


def _harden(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    return response
