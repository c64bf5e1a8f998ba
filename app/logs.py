"""JSON logs, one line a request: method, route pattern, status, time, request id, kind of caller.

Never a path with its ids, a query, a body, a header or a name: whatever a person sends stays out.
"""

import logging
import sys
from time import perf_counter_ns

import structlog
from flask import Flask, Response, g, request

from kernel.http.problems import request_id


def configure_logs(level: str) -> None:
    """Send structured logs to standard error as JSON, Chinese as it is."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def log_requests(app: Flask) -> None:
    """Write a line for every answered request and give the answer its X-Request-Id."""
    log = structlog.get_logger("request")

    def before() -> None:
        g.started_ns = perf_counter_ns()

    def after(response: Response) -> Response:
        response.headers["X-Request-Id"] = request_id()
        actor = request.environ.get("tanpuhui.actor")
        log.info(
            "answered",
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=(perf_counter_ns() - g.get("started_ns", perf_counter_ns())) // 1_000_000,
            caller=actor.kind.value if actor is not None else "anonymous",
            request_id=request_id(),
        )
        return response

    app.before_request(before)
    app.after_request(after)
