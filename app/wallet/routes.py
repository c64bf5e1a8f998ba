"""The HTTP face of the ledger: what the caller owns and every line behind it."""

from typing import Any

from app.wallet.schemas import GivesBalances, GivesTransfers
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from ledger.statements import Line, balances, lines

routes = Routes("wallet", __name__, description="Coins and kilograms of the caller.")


@endpoint(
    routes,
    "GET",
    "/v1/me/balances",
    needs=Permission.ME_READ,
    gives=GivesBalances,
    summary="Coins and kilograms as of now, and when coins end",
    no_store=True,
)
def my_balances(call: Call) -> dict[str, Any]:
    """Show posted, held and available; what has ended is left out even before it is posted."""
    return {"as_of": call.now, "accounts": balances(call, call.actor.known_id)}


@endpoint(
    routes,
    "GET",
    "/v1/me/transfers",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesTransfers,
    summary="Every transfer, newest first",
    no_store=True,
)
def my_transfers(call: Call, page: dict[str, Any]) -> Page[Line]:
    """Page through the lines of all accounts."""
    return lines(call, call.actor.known_id, PageRequest(**page))
