"""What comes in as bytes over HTTP: where it lies meanwhile, what is announced with it, how it is received.

No transaction is open while the bytes come (`docs/decisions/0008`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import current_app, request

from carbon.activities.uploads import Bounds, Upload, announced, dropping_the_rest, received

UPLOADS = "UPLOADS_FOLDER"
"""The setting: where uploads lie until they are read."""
WORKBOOK_MEDIA = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
BYTE_HEADERS: tuple[dict[str, Any], ...] = (
    {
        "name": "Content-Digest",
        "required": True,
        "schema": {"type": "string", "pattern": "sha-256=:[A-Za-z0-9+/]{43}=:"},
        "example": "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
        "description": "SHA-256 of the body as sent, so behind gzip where it is gzip (RFC 9530).",
    },
    {
        "name": "Content-Encoding",
        "required": False,
        "schema": {"type": "string", "enum": ["gzip", "identity"], "default": "identity"},
        "description": "`gzip` for a compressed body; it may inflate to a hundred times its size.",
    },
    {
        "name": "Content-Length",
        "required": False,
        "schema": {"type": "integer", "minimum": 1},
        "description": "Bytes of the body as sent. Clients add it by themselves; a body of unknown length"
        " (chunked) is refused with 411.",
    },
)


def uploads_folder() -> Path:
    """Where uploads lie."""
    return Path(current_app.config[UPLOADS])


@contextmanager
def received_body(bounds: Bounds) -> Iterator[Upload]:
    """The body as a file, deleted unless it is kept; refuses what `announced` and `received` refuse."""
    with dropping_the_rest(request.stream):
        body = announced(
            request.stream,
            length=request.content_length or 0,
            content_digest=request.headers.get("Content-Digest"),
            encoding=request.headers.get("Content-Encoding"),
            bytes_max=bounds.bytes_max,
        )
    whose = request.environ["tanpuhui.actor"].principal
    with received(body, uploads_folder(), bounds, whose=whose) as upload:
        yield upload
