"""The HTTP face of the ledger: what the caller owns and every line behind it."""

from dataclasses import dataclass
from typing import Any

from app.wallet.schemas import GivesBalances, GivesTransfers
from carbon.activities.recomputation.telling import Saying, notes_of
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from ledger.statements import Line, balances, lines


@dataclass(frozen=True, kw_only=True)
class NotedLine(Line):
    """A line of a statement, and what stands beside it."""

    note: Saying | None


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
def my_transfers(call: Call, page: dict[str, Any]) -> Page[NotedLine]:
    """Page through the lines of all accounts, those of corrections with their reasons."""
    holder = call.actor.known_id
    found = lines(call, holder, PageRequest(**page))
    notes = notes_of(call, holder, [line.reference for line in found.items])
    noted = [NotedLine(**vars(line), note=notes.get(line.reference)) for line in found.items]
    return Page(noted, found.next)
