"""What anybody may read: the list of problems, and the keys that signatures are checked with."""

from typing import Any

from flask import Response
from markupsafe import escape

from kernel.call import Call
from kernel.errors import Refusal
from kernel.http.endpoint import Routes, endpoint
from kernel.permission import PUBLIC
from kernel.signing import Purpose, verification_keys

routes = Routes("public", __name__, description="What anybody may read.")

_STYLE = (
    "body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2b22}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #dde6e0;padding:.5rem;"
    "text-align:left;vertical-align:top}code{color:#08783e}:target{background:#eaf6ee}"
)


@endpoint(routes, "GET", "/problems", needs=PUBLIC, summary="Every problem this API answers, as a page")
def problems(_call: Call) -> Response:
    """Give the catalogue of refusals as a page, one anchor a code."""
    rows = "".join(
        f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td><td>{refusal.kind.value}</td>'
        f"<td>{escape(refusal.title())}</td><td lang='zh'>{escape(refusal.title('zh'))}</td></tr>"
        for code, refusal in sorted(Refusal.catalogue.items())
    )
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Problems 问题代码</title><style>{_STYLE}</style><h1>Problems 问题代码</h1>"
        "<p>Every 4xx and 5xx answer is <code>application/problem+json</code>;"
        " its <code>code</code> is one of these.</p>"
        f"<table><tr><th>code<th>status<th>English<th>中文</tr>{rows}</table></html>"
    )
    return Response(page, content_type="text/html; charset=utf-8")


@endpoint(routes, "GET", "/v1/public/keys", needs=PUBLIC, summary="Public keys by purpose")
def keys(call: Call) -> dict[str, Any]:
    """Give the public half of every key, with the retired ones marked."""
    found: dict[str, Any] = {}
    for purpose in Purpose:
        ring = verification_keys(call.db, purpose, now=call.now)
        found[purpose.value] = [
            {
                "kid": kid,
                "algorithm": "Ed25519",
                "public_key": key.public_bytes_raw().hex(),
                "retired": kid in ring.retired,
            }
            for kid, key in sorted(ring.by_kid.items())
        ]
    return found
