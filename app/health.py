"""`/healthz` says the process lives, `/readyz` that it may serve, `/metrics` what it has done.

The service is not ready while PostgreSQL would lose what it acknowledges.
"""

from collections.abc import Iterator
from time import perf_counter_ns

import redis
from flask import Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from kernel.database import SERVER_VERSION, Sessions, too_old, unsafe_durability
from kernel.errors import BrokenInvariant
from kernel.outgoing import news_lies_ahead
from ledger.folds import marks_lie_ahead


def add_health(app: Flask, sessions: Sessions, cache: redis.Redis, *, testing: bool) -> None:
    """Add the three addresses to `app`."""
    registry = CollectorRegistry()
    answered = Counter(
        "http_requests", "Answered requests.", ["method", "route", "status"], registry=registry
    )
    took = Histogram("http_request_seconds", "Time to answer.", ["route"], registry=registry)

    def healthz() -> Response:
        return jsonify(status="alive")

    def readyz() -> tuple[Response, int]:
        faults = list(_faults(sessions, cache, testing=testing))
        return jsonify(status="not ready" if faults else "ready", faults=faults), 503 if faults else 200

    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "unknown"
        answered.labels(request.method, route, response.status_code).inc()
        if "started_ns" in g:  # set where the log line begins
            took.labels(route).observe((perf_counter_ns() - g.started_ns) / 1e9)
        return response

    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)
    app.add_url_rule("/metrics", view_func=metrics)
    app.after_request(count)


def refuse_unsafe_database(sessions: Sessions) -> None:
    """Stop the start when an acknowledged write could be lost, or the server is too old or numbers afresh."""
    with sessions() as session:
        old, unsafe = too_old(session), unsafe_durability(session)
        afresh = marks_lie_ahead(session) or news_lies_ahead(session)
    if old:
        raise BrokenInvariant(f"PostgreSQL {old} is too old: {SERVER_VERSION} or later is needed")
    if unsafe:
        raise BrokenInvariant(f"PostgreSQL has {', '.join(unsafe)} off: acknowledged writes could be lost")
    if afresh:
        raise BrokenInvariant(
            "this server numbers its transactions afresh below those of the data loaded into it:"
            " docs/operations.md says under Backup what to do before loading a dump"
        )


def _faults(sessions: Sessions, cache: redis.Redis, *, testing: bool) -> Iterator[str]:
    try:
        with sessions() as session:
            session.execute(text("SELECT 1 FROM region LIMIT 1"))
            if not testing:
                yield from (f"{name} is off" for name in unsafe_durability(session))
    except SQLAlchemyError:
        yield "the database does not answer"
    try:
        cache.ping()
    except redis.RedisError:
        yield "the cache does not answer"
