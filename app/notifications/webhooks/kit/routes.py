"""Where receivers fetch the verifier; no logic."""

from pathlib import Path

from flask import Response

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.permission import PUBLIC

routes = Routes("webhook-kit", __name__, description="What receivers of webhooks take along.")
_VERIFIER = (Path(__file__).parent / "webhook_verifier.py").read_bytes()
_KEPT = {"Cache-Control": "public, max-age=3600"}


@endpoint(
    routes,
    "GET",
    "/webhook-kit/webhook_verifier.py",
    needs=PUBLIC,
    summary="The verifier of webhooks in Python",
)
def verifier(_call: Call) -> Response:
    """Give the file."""
    return Response(_VERIFIER, content_type="text/x-python; charset=utf-8", headers=_KEPT)
