"""`/docs`: the API to read and try, out of files on this machine only."""

from importlib.util import find_spec
from pathlib import Path

from flask import Flask, Response, send_from_directory

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tanpuhui API 碳普惠接口</title>
<link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""
_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"


def add_api_docs(app: Flask) -> None:
    """Add the page, its script and its assets to `app`."""
    found = find_spec("flask_swagger_ui")
    assets = Path((found.submodule_search_locations or [""])[0] if found else "") / "dist"

    def page() -> Response:
        return Response(
            _PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY}
        )

    def start() -> Response:
        return Response(_START, content_type="text/javascript; charset=utf-8")

    def asset(name: str) -> Response:
        return send_from_directory(assets, name, max_age=86400)

    app.add_url_rule("/docs", "docs_page", page)
    app.add_url_rule("/docs/start.js", "docs_start", start)
    app.add_url_rule("/docs/assets/<path:name>", "docs_asset", asset)
