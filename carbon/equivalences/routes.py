"""The URL of comparisons, for whoever shows a kilogram as something else; no logic."""

from typing import Any

from carbon.equivalences.figures import compared
from carbon.equivalences.prices import priced
from carbon.equivalences.schemas import EquivalencesQuery, GivesEquivalences
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.permission import PUBLIC

routes = Routes("equivalences", __name__, description="What other things a kilogram stands for.")


@endpoint(
    routes,
    "GET",
    "/v1/public/equivalences",
    needs=PUBLIC,
    query=EquivalencesQuery,
    gives=GivesEquivalences,
    summary="Standard coal, trees and prices: published comparisons with their sources, never credited",
)
def show_equivalences(call: Call, asked: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001 - a face's signature
    """Give every comparison and price, and what some carbon dioxide comes to by them."""
    return {**compared(asked["carbon_mg"]), "prices": priced(asked["carbon_mg"])}
