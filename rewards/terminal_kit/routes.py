"""Where terminals fetch the verifier; no logic."""

from pathlib import Path

from flask import Response

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.permission import PUBLIC

routes = Routes(
    "terminal-kit", __name__, description="What terminals take along to judge codes by themselves."
)
_FOLDER = Path(__file__).parent
_JAVASCRIPT, _PYTHON = ((_FOLDER / f"cv1_verifier.{kind}").read_bytes() for kind in ("js", "py"))
_KEPT = {"Cache-Control": "public, max-age=3600"}


@endpoint(
    routes,
    "GET",
    "/terminal-kit/cv1_verifier.js",
    needs=PUBLIC,
    summary="The verifier in JavaScript",
)
def javascript(_call: Call) -> Response:
    """Give the file."""
    return Response(_JAVASCRIPT, content_type="text/javascript; charset=utf-8", headers=_KEPT)


@endpoint(routes, "GET", "/terminal-kit/cv1_verifier.py", needs=PUBLIC, summary="The verifier in Python")
def python(_call: Call) -> Response:
    """Give the file."""
    return Response(_PYTHON, content_type="text/x-python; charset=utf-8", headers=_KEPT)
