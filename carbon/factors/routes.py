"""URLs of factor tables: drafted and published by operators, read by everybody; no logic."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

from flask import Response

from carbon.activities.byte_bodies import BYTE_HEADERS, WORKBOOK_MEDIA, received_body, uploads_folder
from carbon.activities.uploads import Bounds
from carbon.factors.bundle_export import bundle_csv
from carbon.factors.bundle_files import read_bundle
from carbon.factors.catalogue import (
    own_tables,
    public_rows,
    public_table,
    public_tables,
    published_tables,
    rows_csv,
    seen_table,
    whole_table,
)
from carbon.factors.changelog import changelog
from carbon.factors.factor_rows import Bundle
from carbon.factors.schemas import (
    ChangesQuery,
    GivesChangelog,
    GivesPublicFactors,
    GivesTableChanges,
    GivesTables,
    GivesWholeTable,
    PublicTablesQuery,
    RowsQuery,
    TablesQuery,
    TakesTableFile,
    TakesTablePublication,
    WorkbookQuery,
)
from carbon.factors.submission import TableFile, own_table, put_in_force, submit, submit_bundle
from carbon.factors.table_changes import table_changes
from kernel.call import Call
from kernel.http.endpoint import RawBody, Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from kernel.publications.publishing import PREFIX

routes = Routes("factors", __name__, description="Factor tables: drafted, published, cited.")


@endpoint(
    routes,
    "POST",
    "/v1/operator/factor-tables",
    needs=Permission.PUBLICATION_DRAFT,
    takes=TakesTableFile,
    gives=GivesWholeTable,
    status=201,
    summary="Draft a factor table from a YAML or CSV bundle; every fault of the file is named at once",
)
def draft_table(call: Call, sent: TableFile) -> dict[str, Any]:
    """Keep a table as a draft."""
    return whole_table(call, submit(call, sent))


_WORKBOOK_BYTES_MAX = 2 << 20
"""Two thousand rows of 43 cells deflate to less than 1 MB; a line of a zip may be as long as the whole."""
_WORKBOOK = Bounds(bytes_max=_WORKBOOK_BYTES_MAX, line_bytes_max=_WORKBOOK_BYTES_MAX)


@contextmanager
def _read_workbook(_unit: object) -> Iterator[Bundle]:
    """The table of a workbook: received and read while no transaction is open."""
    with received_body(_WORKBOOK) as upload:
        bundle = read_bundle((uploads_folder() / upload.name).read_bytes(), form="xlsx")
    yield bundle


@endpoint(
    routes,
    "POST",
    "/v1/operator/factor-tables/workbook",
    needs=Permission.PUBLICATION_DRAFT,
    query=WorkbookQuery,
    raw=RawBody(_read_workbook, (WORKBOOK_MEDIA,), BYTE_HEADERS),
    gives=GivesWholeTable,
    status=201,
    summary="Draft a factor table from the first visible sheet of a workbook; faults name row and column",
)
def draft_workbook(call: Call, bundle: Bundle, beside: dict[str, Any]) -> dict[str, Any]:
    """Keep the table of a workbook as a draft."""
    return whole_table(call, submit_bundle(call, bundle, **beside, at="/query"))


@endpoint(
    routes,
    "GET",
    "/v1/operator/factor-tables",
    needs=Permission.PUBLICATION_READ,
    query=TablesQuery,
    gives=GivesTables,
    summary="The region's factor tables, drafts too, newest first",
)
def list_tables(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """List the caller's region's tables."""
    page = PageRequest(asked["limit"], asked["after"])
    return own_tables(call, page, state=asked["state"])


@endpoint(
    routes,
    "GET",
    "/v1/operator/factor-tables/<table>",
    needs=Permission.PUBLICATION_READ,
    gives=GivesWholeTable,
    summary="One factor table of the region, as a draft or published",
)
def show_table(call: Call, *, table: str) -> dict[str, Any]:
    """Show a table."""
    return whole_table(call, own_table(call, parse_public_id(PREFIX, table)))


@endpoint(
    routes,
    "GET",
    "/v1/operator/factor-tables/<table>/bundle.csv",
    needs=Permission.PUBLICATION_READ,
    summary="A table of the region in the form in which it is sent in",
)
def download_own_bundle(call: Call, *, table: str) -> Response:
    """Give a table as a file that can be sent in again."""
    return _as_file(bundle_csv(own_table(call, parse_public_id(PREFIX, table))), f"{table}-bundle.csv")


@endpoint(
    routes,
    "GET",
    "/v1/operator/factor-tables/<table>/changes",
    needs=Permission.PUBLICATION_READ,
    query=ChangesQuery,
    gives=GivesTableChanges,
    summary="What a table says otherwise than another one, or than the one it follows",
)
def show_changes(call: Call, asked: dict[str, Any], *, table: str) -> dict[str, Any]:
    """Compare two tables that the caller may see."""
    against = None if asked["against"] is None else seen_table(call, asked["against"], at="/query/against")
    return table_changes(call, seen_table(call, parse_public_id(PREFIX, table)), against)


@endpoint(
    routes,
    "POST",
    "/v1/operator/factor-tables/<table>/publication",
    needs=Permission.PUBLICATION_PUBLISH,
    takes=TakesTablePublication,
    gives=GivesWholeTable,
    status=201,
    summary="Publish a draft of another person: frozen, signed, in force from its day",
)
def publish_table(call: Call, why: dict[str, Any], *, table: str) -> dict[str, Any]:
    """Publish a table."""
    published = put_in_force(
        call,
        parse_public_id(PREFIX, table),
        reason=why["reason"],
        nominal_start=why["nominal_start"],
    )
    return whole_table(call, published)


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables",
    needs=PUBLIC,
    query=PublicTablesQuery,
    gives=GivesTables,
    summary="Every table that is or was published, newest first",
)
def list_public_tables(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """List public tables."""
    page = PageRequest(asked["limit"], asked["after"])
    return public_tables(call, page, region_id=asked["region"])


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/changelog",
    needs=PUBLIC,
    query=RowsQuery,
    gives=GivesChangelog,
    summary="Every table that is or was published, newest first, with what changed in one line",
)
def show_changelog(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """Say what changed, table by table."""
    return changelog(call, PageRequest(asked["limit"], asked["after"]), region_id=asked["region"])


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/rows",
    needs=PUBLIC,
    query=RowsQuery,
    gives=GivesPublicFactors,
    summary="The rows of all public tables, a page of tables at a time",
)
def list_rows(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """Give the rows of many tables."""
    return public_rows(call, PageRequest(asked["limit"], asked["after"]), region_id=asked["region"])


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/rows.csv",
    needs=PUBLIC,
    query=RowsQuery,
    summary="The same as CSV; the header Link names the next page",
)
def download_all_rows(call: Call, asked: dict[str, Any]) -> Response:
    """Give the rows of many tables as a file."""
    found = published_tables(call, PageRequest(asked["limit"], asked["after"]), region_id=asked["region"])
    named = {"Content-Disposition": 'attachment; filename="factors.csv"'}
    if found.next is not None:
        onward = {**asked, "after": found.next}
        query = urlencode({name: value for name, value in onward.items() if value is not None})
        named["Link"] = f'</v1/public/factor-tables/rows.csv?{query}>; rel="next"'
    return Response(rows_csv(*found.items), content_type="text/csv; charset=utf-8", headers=named)


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/<table>",
    needs=PUBLIC,
    gives=GivesWholeTable,
    summary="One published table: rows, sources, digest, signature, history",
)
def show_public_table(call: Call, *, table: str) -> dict[str, Any]:
    """Show a public table."""
    return whole_table(call, public_table(call, parse_public_id(PREFIX, table)))


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/<table>/changes",
    needs=PUBLIC,
    query=ChangesQuery,
    gives=GivesTableChanges,
    summary="What a published table says otherwise than another one, or than the one it follows",
)
def show_public_changes(call: Call, asked: dict[str, Any], *, table: str) -> dict[str, Any]:
    """Compare two published tables."""
    against = None if asked["against"] is None else public_table(call, asked["against"], at="/query/against")
    return table_changes(call, public_table(call, parse_public_id(PREFIX, table)), against)


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/<table>/rows.csv",
    needs=PUBLIC,
    summary="The rows of a published table as CSV, to read; bundle.csv can be sent in again",
)
def download_rows(call: Call, *, table: str) -> Response:
    """Give the rows as a file."""
    return _as_file(rows_csv(public_table(call, parse_public_id(PREFIX, table))), f"{table}.csv")


@endpoint(
    routes,
    "GET",
    "/v1/public/factor-tables/<table>/bundle.csv",
    needs=PUBLIC,
    summary="A published table in the form in which it is sent in: read back, it is the same draft",
)
def download_bundle(call: Call, *, table: str) -> Response:
    """Give a public table as a file that can be sent in again."""
    return _as_file(bundle_csv(public_table(call, parse_public_id(PREFIX, table))), f"{table}-bundle.csv")


def _as_file(text: str, name: str) -> Response:
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text, content_type="text/csv; charset=utf-8", headers=named)
