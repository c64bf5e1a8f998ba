"""URLs of a dossier's documents: the bytes come in before the transaction begins; no logic."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Response, request

from carbon.activities.errors import EncodingUnknown
from carbon.activities.uploads import announced, arriving, dropping_the_rest
from carbon.donations.claims import claims_of
from carbon.donations.documents import (
    DOCUMENT,
    SUFFIXES,
    add_document,
    documents_of,
    find_document,
    require_open,
)
from carbon.donations.dossier_schemas import GivesClaims, GivesDocument, GivesDocuments
from carbon.donations.giving import PROJECT, find_project
from carbon.donations.tables import DOCUMENT_BYTES_MAX, DOCUMENT_KINDS, MEDIA_TYPES, DonationDocument
from kernel.call import Call
from kernel.errors import Busy, NotFound, require
from kernel.http.endpoint import RawBody, Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.permission import Permission

routes = Routes("dossiers", __name__, description="Documents of projects that enterprises declare.")
DOCUMENTS_AT_ONCE = 2
"""In one process; each is held in memory until it is stored."""
_places = threading.BoundedSemaphore(DOCUMENTS_AT_ONCE)
_HEADERS: tuple[dict[str, Any], ...] = (
    {
        "name": "Content-Digest",
        "required": True,
        "schema": {"type": "string", "pattern": "sha-256=:[A-Za-z0-9+/]{43}=:"},
        "example": "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
        "description": "SHA-256 of the document (RFC 9530).",
    },
)


@contextmanager
def _received(unit: Callable[[Callable[[Call], Any]], Any], *, project: str, kind: str) -> Iterator[bytes]:
    """The document, whole; refused before its first byte where the dossier takes none."""
    stream = request.stream
    with dropping_the_rest(stream):
        require(kind in DOCUMENT_KINDS, NotFound("no such kind of document"))
        project_id = parse_public_id(PROJECT, project)
        unit(lambda call: require_open(find_project(call, project_id)))
        body = announced(
            stream,
            length=request.content_length or 0,
            content_digest=request.headers.get("Content-Digest"),
            encoding=request.headers.get("Content-Encoding"),
            bytes_max=DOCUMENT_BYTES_MAX,
        )
        require(not body.gzip, EncodingUnknown(pointer="/header/Content-Encoding"))
        require(_places.acquire(blocking=False), Busy("other documents are on their way", retry_after_s=5))
        try:
            content = b"".join(arriving(body))
        finally:
            _places.release()
    yield content


@endpoint(
    routes,
    "PUT",
    "/v1/operator/donation-projects/<project>/documents/<kind>",
    needs=Permission.DONATION_DECLARE,
    raw=RawBody(_received, MEDIA_TYPES, _HEADERS),
    gives=GivesDocument,
    summary="Put a document (PDF, PNG, JPEG, XLSX, up to 8 MiB) into an undecided dossier; twice is once",
)
def put_document(call: Call, content: bytes, *, project: str, kind: str) -> DonationDocument:
    """Add a document."""
    found = find_project(call, parse_public_id(PROJECT, project))
    return add_document(call, found, kind=kind, content=content)


@endpoint(
    routes,
    "GET",
    "/v1/operator/donation-projects/<project>/documents",
    needs=Permission.DONATION_READ,
    gives=GivesDocuments,
    summary="The documents of a dossier, without their bytes",
)
def list_documents(call: Call, *, project: str) -> dict[str, Any]:
    """List documents."""
    found = find_project(call, parse_public_id(PROJECT, project))
    return {"items": documents_of(call, found.id)}


@endpoint(
    routes,
    "GET",
    "/v1/operator/donation-projects/<project>/documents/<document>",
    needs=Permission.DONATION_READ,
    summary="One document, as it came; for operators of the region and the enterprise itself",
    no_store=True,
)
def download_document(call: Call, *, project: str, document: str) -> Response:
    """Give a document's bytes to be kept, never to be shown as a page of ours."""
    found = find_project(call, parse_public_id(PROJECT, project))
    row = find_document(call, found.id, parse_public_id(DOCUMENT, document))
    headers = {
        "Content-Disposition": f'attachment; filename="{row.kind}-{row.place}.{SUFFIXES[row.media_type]}"',
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(bytes(row.content), content_type=row.media_type, headers=headers)


@endpoint(
    routes,
    "GET",
    "/v1/operator/donation-projects/<project>/claims",
    needs=Permission.DONATION_READ,
    gives=GivesClaims,
    summary="What a project rests on, and what of other projects looks like it",
)
def show_claims(call: Call, *, project: str) -> dict[str, Any]:
    """Show the claims of a project, and its likenesses."""
    return claims_of(call, find_project(call, parse_public_id(PROJECT, project)))
