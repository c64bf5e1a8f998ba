"""URLs of partners' batches: open, upload, call off, watch, read what became of each line.

An upload is three steps that never overlap: a short look whether the batch may have content, the bytes into
a file with no transaction open, and one transaction that gives the file to the batch.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

from flask import Response, after_this_request, request

from carbon.activities.batch_records import (
    BATCH,
    Opening,
    accept_content,
    accept_stations,
    cancel_batch,
    find_batch,
    list_batches,
    open_batch,
    require_ready,
    require_stations_wanted,
)
from carbon.activities.batch_results import (
    BatchShown,
    LineResult,
    as_csv,
    as_ndjson,
    every_line,
    list_lines,
    shown,
    shown_all,
)
from carbon.activities.batch_schemas import (
    GivesBatch,
    GivesBatches,
    GivesBatchLines,
    LinesQuery,
    TakesCancellation,
    TakesOpening,
)
from carbon.activities.byte_bodies import BYTE_HEADERS, WORKBOOK_MEDIA, received_body, uploads_folder
from carbon.activities.uploads import Bounds, Upload, discard, dropping_the_rest
from kernel.call import Call
from kernel.database import in_transaction
from kernel.http.endpoint import RawBody, Routes, door, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import WrongIdentifier, parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission

_MEDIA = ("text/csv", "application/x-ndjson", "application/octet-stream")
routes = Routes("batches", __name__, description="A partner's files, and what became of each line.")


@endpoint(
    routes,
    "POST",
    "/v1/partner/batches",
    needs=Permission.ACTIVITY_PUSH,
    takes=TakesOpening,
    gives=GivesBatch,
    status=201,
    summary="Open a batch under the partner's own reference; the same again is the same batch",
)
def open_partner_batch(call: Call, opening: Opening) -> BatchShown:
    """Open a batch, or find the one that this reference opened before."""
    return shown(call, open_batch(call, call.actor.known_id, opening))


@contextmanager
def _receive(
    unit: Callable[[Callable[[Call], Any]], Any],
    *,
    batch: str,
    ready: Callable[[Call, UUID], Bounds],
) -> Iterator[Upload]:
    with dropping_the_rest(request.stream):
        batch_id = _id(batch)
        bounds: Bounds = unit(lambda call: ready(call, batch_id))
    # From here to the transaction that accepts the file, this request holds no database connection.
    with received_body(bounds) as upload:
        yield upload


def _body(ready: Callable[[Call, UUID], Bounds], media_types: tuple[str, ...]) -> RawBody:
    receive: Callable[..., AbstractContextManager[Upload]] = partial(_receive, ready=ready)
    return RawBody(receive, media_types, BYTE_HEADERS)


@endpoint(
    routes,
    "PUT",
    "/v1/partner/batches/<batch>/content",
    needs=Permission.ACTIVITY_PUSH,
    raw=_body(require_ready, (*_MEDIA, WORKBOOK_MEDIA)),
    gives=GivesBatch,
    summary="Upload the file, plain or gzip, with Content-Length and Content-Digest (sha-256)",
)
def upload_content(call: Call, upload: Upload, *, batch: str) -> BatchShown:
    """Give the batch its content; the same content again changes nothing, other content is refused."""
    return shown(call, accept_content(call, _id(batch), upload))


@endpoint(
    routes,
    "PUT",
    "/v1/partner/batches/<batch>/stations",
    needs=Permission.ACTIVITY_PUSH,
    raw=_body(require_stations_wanted, _MEDIA),
    gives=GivesBatch,
    summary="Upload the station list that a batch of shenzhen_tong is read with, before its content",
)
def upload_stations(call: Call, upload: Upload, *, batch: str) -> BatchShown:
    """Give the batch its station list; the same list again changes nothing, another is refused."""
    return shown(call, accept_stations(call, _id(batch), upload))


@endpoint(
    routes,
    "POST",
    "/v1/partner/batches/<batch>/cancellation",
    needs=Permission.BATCH_CANCEL,
    takes=TakesCancellation,
    gives=GivesBatch,
    status=201,
    summary="Call a batch off before any line of it is taken; again is the same",
)
def call_batch_off(call: Call, why: dict[str, Any], *, batch: str) -> BatchShown:
    """Cancel a batch; its files go once that is committed."""
    cancelled = cancel_batch(call, _id(batch), reason=why["reason"])
    _discard_once_committed(cancelled.files)
    return shown(call, cancelled.batch)


@endpoint(
    routes,
    "GET",
    "/v1/partner/batches",
    needs=Permission.BATCH_READ,
    query=PageQuery,
    gives=GivesBatches,
    no_store=True,
    summary="Batches, newest first: a partner's own, an operator's those of the region",
)
def batches(call: Call, page: dict[str, Any]) -> Page[BatchShown]:
    """Page through batches."""
    found = list_batches(call, PageRequest(**page))
    return Page(shown_all(call, found.items), found.next)


@endpoint(
    routes,
    "GET",
    "/v1/partner/batches/<batch>",
    needs=Permission.BATCH_READ,
    gives=GivesBatch,
    no_store=True,
    summary="Where a batch is, and its lines by outcome and code",
)
def batch_state(call: Call, *, batch: str) -> BatchShown:
    """Show a batch."""
    return shown(call, find_batch(call, _id(batch)))


@endpoint(
    routes,
    "GET",
    "/v1/partner/batches/<batch>/lines",
    needs=Permission.BATCH_READ,
    query=LinesQuery,
    gives=GivesBatchLines,
    no_store=True,
    summary="What became of each line, in the order of the file",
)
def batch_lines(call: Call, query: dict[str, Any], *, batch: str) -> Page[LineResult]:
    """Page through the lines of a batch."""
    page = PageRequest(limit=query["limit"], after=query["after"])
    return list_lines(call, _id(batch), outcome=query["outcome"], page=page)


@endpoint(
    routes,
    "GET",
    "/v1/partner/batches/<batch>/lines.csv",
    needs=Permission.BATCH_READ,
    no_store=True,
    summary="What became of every line so far, as CSV for a spreadsheet",
)
def batch_lines_csv(call: Call, *, batch: str) -> Response:
    """Download the lines as CSV."""
    return _download(call, batch, as_csv, media_type="text/csv; charset=utf-8", ending="csv")


@endpoint(
    routes,
    "GET",
    "/v1/partner/batches/<batch>/lines.ndjson",
    needs=Permission.BATCH_READ,
    no_store=True,
    summary="What became of every line so far, as NDJSON",
)
def batch_lines_ndjson(call: Call, *, batch: str) -> Response:
    """Download the lines as NDJSON."""
    return _download(call, batch, as_ndjson, media_type="application/x-ndjson", ending="ndjson")


def _download(
    call: Call,
    batch: str,
    written: Callable[[Iterator[list[LineResult]]], Iterator[bytes]],
    *,
    media_type: str,
    ending: str,
) -> Response:
    batch_id = find_batch(call, _id(batch)).id
    sessions = door().sessions

    def run(work: Callable[[Call], Any]) -> Any:
        # The answer streams after this request's transaction; each page opens one of its own.
        return in_transaction(sessions, lambda session: work(replace(call, db=session)))

    response = Response(written(every_line(run, batch_id)), content_type=media_type)
    response.headers["Content-Disposition"] = f'attachment; filename="{batch}-lines.{ending}"'
    return response


def _discard_once_committed(names: tuple[str, ...]) -> None:
    folder = uploads_folder()

    @after_this_request
    def delete(response: Any) -> Any:
        if response.status_code < HTTPStatus.BAD_REQUEST:
            with suppress(OSError):  # the worker sweeps what no batch names
                for name in names:
                    discard(folder, name)
        return response


def _id(batch: str) -> UUID:
    try:
        return parse_public_id(BATCH, batch)
    except WrongIdentifier as refusal:
        refusal.pointer = "/path/batch"
        raise
