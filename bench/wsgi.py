"""The product as `wsgi.py` serves it, with one endpoint more that does nothing: what the door itself costs.

A caller signs in, a transaction begins and is committed, an answer is written; no service is asked.
"""

from typing import Any

from app.factory import create_product
from app.settings import read_settings
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.turns import Turns
from kernel.permission import Permission

NOTHING = "/v1/bench/nothing"
routes = Routes("bench", __name__, description="What a request costs that asks for nothing.")


@endpoint(routes, "POST", NOTHING, needs=Permission.VOUCHER_EXCHANGE, summary="Do nothing")
def nothing(_call: Call) -> dict[str, Any]:
    """Answer."""
    return {}


def build() -> Any:
    """The application of one server process."""
    settings = read_settings()
    app = create_product(settings).flask
    app.wsgi_app = Turns(app.wsgi_app, at_once=settings.web_threads)  # type: ignore[method-assign]  # Flask says so
    app.register_blueprint(routes)  # straight into Flask: it is no part of the documented interface
    return app
