"""The Flask application, put together in one place: settings in, a served product out.

`ROOMS` is the one list of blueprints. Importing `app.anything` never starts an application.
"""

from dataclasses import dataclass
from importlib import import_module

import redis
from flask import Flask, Response
from sqlalchemy import Engine

from app.api_docs import add_api_docs
from app.health import add_health, refuse_unsafe_database
from app.logs import configure_logs, log_requests
from app.settings import Settings
from kernel.actor import ANONYMOUS
from kernel.clock import Clock, SystemClock
from kernel.database import create_engine, sessions_on
from kernel.http.endpoint import Door, ProblemApi, install_door
from kernel.http.problems import answer_all_errors
from kernel.signing import KeyRing

ROOMS = (
    "app.public.routes",
    "app.wallet.routes",
)
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

    def close(self) -> None:
        """Let go of database and cache connections."""
        self.engine.dispose()
        self.cache.close()


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
        identify=lambda: ANONYMOUS,
    )
    install_door(app, door)
    log_requests(app)
    add_health(app, sessions, cache, testing=app.testing)
    add_api_docs(app)
    api = ProblemApi(app)
    for name in ROOMS:
        api.register_blueprint(import_module(name).routes)
    answer_all_errors(app)
    app.after_request(_harden)
    return Product(app, door, settings, cache, engine)


def _harden(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault(
        "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    )
    return response
