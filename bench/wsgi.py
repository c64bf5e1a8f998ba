"""The product as `wsgi.py` serves it, with two endpoints more: what the door itself costs.

One does nothing: a caller signs in, a transaction begins and is committed, an answer is written. The other
takes what a redemption takes, a till's scan with its idempotency row, and updates one row by its key.
"""

import sys
from typing import Any

import marshmallow as ma
from sqlalchemy import text

from app.factory import create_product
from app.settings import read_settings
from kernel.call import Call
from kernel.database import APP_ROLE, create_engine
from kernel.errors import BrokenInvariant
from kernel.http.endpoint import Routes, endpoint
from kernel.http.turns import SWITCH_SECONDS, Turns
from kernel.permission import Permission
from merchants.schemas import Scan, TakesScan

NOTHING, ONE_ROW = "/v1/bench/nothing", "/v1/bench/one-row"
ROWS = 1_000
"""Rows that take turns, so that no update waits for another."""
routes = Routes("bench", __name__, description="What a request costs that asks for little.")


class GivesRow(ma.Schema):
    """The row."""

    id = ma.fields.Integer(required=True)


@endpoint(routes, "POST", NOTHING, needs=Permission.VOUCHER_EXCHANGE, summary="Do nothing")
def nothing(_call: Call) -> dict[str, Any]:
    """Answer."""
    return {}


@endpoint(
    routes,
    "POST",
    ONE_ROW,
    needs=Permission.TERMINAL_REDEEM,
    takes=TakesScan,
    gives=GivesRow,
    status=201,
    idempotent=True,
    summary="Update one row",
)
def one_row(call: Call, scan: Scan) -> dict[str, Any]:
    """Count one row up; the last digits of what was scanned say which."""
    row = int(scan.code[-9:]) % ROWS
    if call.db.execute(_COUNT, {"row": row}).rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("the rows of the bench were made")
    return {"id": row}


def make_rows(url: str) -> None:
    """The table behind `ONE_ROW`, in a database of the bench."""
    owner = create_engine(url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("CREATE TABLE bench_row (id bigint PRIMARY KEY, count bigint NOT NULL)"))
        connection.execute(
            text("INSERT INTO bench_row SELECT generate_series(0, :last), 0"), {"last": ROWS - 1}
        )
        connection.execute(text(f"GRANT SELECT, UPDATE ON bench_row TO {APP_ROLE}"))
    owner.dispose()


def build() -> Any:
    """The application of one server process."""
    settings = read_settings()
    app = create_product(settings).flask
    app.wsgi_app = Turns(app.wsgi_app, at_once=settings.web_threads)  # type: ignore[method-assign]  # Flask says so
    sys.setswitchinterval(SWITCH_SECONDS)
    app.register_blueprint(routes)  # straight into Flask: it is no part of the documented interface
    return app


_COUNT = text("UPDATE bench_row SET count = count + 1 WHERE id = :row")
