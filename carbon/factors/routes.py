"""URLs of factor tables: drafted and published by operators, read by everybody; no logic."""

from typing import Any

from flask import Response

from carbon.factors.catalogue import (
    own_tables,
    public_table,
    public_tables,
    rows_csv,
    whole_table,
)
from carbon.factors.schemas import (
    GivesTables,
    GivesWholeTable,
    PublicTablesQuery,
    TablesQuery,
    TakesTableFile,
    TakesTablePublication,
)
from carbon.factors.submission import TableFile, own_table, put_in_force, submit
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
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
    "/v1/public/factor-tables/<table>/rows.csv",
    needs=PUBLIC,
    summary="The rows of a published table as CSV, to read; a draft takes the form of docs/factor-tables.md",
)
def download_rows(call: Call, *, table: str) -> Response:
    """Give the rows as a file."""
    found = public_table(call, parse_public_id(PREFIX, table))
    named = {"Content-Disposition": f'attachment; filename="{table}.csv"'}
    return Response(rows_csv(found), content_type="text/csv; charset=utf-8", headers=named)
