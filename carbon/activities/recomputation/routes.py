"""URLs of recomputations: proposed, read, approved by another person, called off; no logic."""

from collections.abc import Callable
from typing import Any, TypeVar

from carbon.activities.recomputation.dry_run import dry_run
from carbon.activities.recomputation.jobs import (
    PREFIX,
    Proposal,
    approve,
    cancel,
    find_recomputation,
    list_recomputations,
    propose,
    steps_of,
)
from carbon.activities.recomputation.schemas import (
    GivesFigures,
    GivesRecomputations,
    GivesWholeRecomputation,
    TakesEnd,
    TakesFiguresApproval,
    TakesRecomputation,
)
from carbon.activities.recomputation.tables import Recomputation
from carbon.activities.simulation.simulation import REQUEST, read_only
from carbon.factors.submission import known_table
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from kernel.publications.publishing import PREFIX as PUBLICATION

Result = TypeVar("Result")
routes = Routes("recomputations", __name__, description="Earlier credits, corrected by a correcting table.")


@endpoint(
    routes,
    "GET",
    "/v1/operator/factor-tables/<table>/recomputation",
    needs=Permission.PUBLICATION_READ,
    gives=GivesFigures,
    summary="What a published correcting table makes of the region's earlier credits; nothing is written",
)
def show_figures(call: Call, *, table: str) -> dict[str, Any]:
    """Compute the dry run of a table at once, for so many activities as a request may."""
    table_id = known_table(call, parse_public_id(PUBLICATION, table)).id

    def here(work: Callable[[Call], Result]) -> Result:
        return work(call)

    with read_only(call):
        return dry_run(here, table_id, call.region, limits=REQUEST).told


@endpoint(
    routes,
    "POST",
    "/v1/operator/recomputations",
    needs=Permission.RECOMPUTATION_PROPOSE,
    takes=TakesRecomputation,
    gives=GivesWholeRecomputation,
    status=201,
    idempotent=True,
    summary="Propose to correct earlier credits by a correcting table; its dry run follows",
)
def propose_recomputation(call: Call, proposal: Proposal) -> dict[str, Any]:
    """Propose a recomputation."""
    return _whole(call, propose(call, proposal))


@endpoint(
    routes,
    "GET",
    "/v1/operator/recomputations",
    needs=Permission.PUBLICATION_READ,
    query=PageQuery,
    gives=GivesRecomputations,
    summary="The region's recomputations, newest first",
)
def show_recomputations(call: Call, page: dict[str, Any]) -> Page[Recomputation]:
    """List recomputations."""
    return list_recomputations(call, PageRequest(**page))


@endpoint(
    routes,
    "GET",
    "/v1/operator/recomputations/<recomputation>",
    needs=Permission.PUBLICATION_READ,
    gives=GivesWholeRecomputation,
    summary="One recomputation: its figures, what an approval names, and its steps",
)
def show_recomputation(call: Call, *, recomputation: str) -> dict[str, Any]:
    """Show a recomputation."""
    return _whole(call, find_recomputation(call, parse_public_id(PREFIX, recomputation)))


@endpoint(
    routes,
    "POST",
    "/v1/operator/recomputations/<recomputation>/approval",
    needs=Permission.RECOMPUTATION_APPROVE,
    takes=TakesFiguresApproval,
    gives=GivesWholeRecomputation,
    status=201,
    idempotent=True,
    summary="Approve exactly the figures of the dry run; not by who proposed it",
)
def approve_recomputation(call: Call, why: dict[str, Any], *, recomputation: str) -> dict[str, Any]:
    """Approve a recomputation."""
    job_id = parse_public_id(PREFIX, recomputation)
    figures = bytes.fromhex(why["digest"])
    return _whole(call, approve(call, job_id, figures=figures, reason=why["reason"]))


@endpoint(
    routes,
    "POST",
    "/v1/operator/recomputations/<recomputation>/cancellation",
    needs=Permission.RECOMPUTATION_CANCEL,
    takes=TakesEnd,
    gives=GivesWholeRecomputation,
    status=201,
    idempotent=True,
    summary="Call a recomputation off; what was posted by then stays",
)
def cancel_recomputation(call: Call, why: dict[str, Any], *, recomputation: str) -> dict[str, Any]:
    """Cancel a recomputation."""
    return _whole(call, cancel(call, parse_public_id(PREFIX, recomputation), reason=why["reason"]))


def _whole(call: Call, job: Recomputation) -> dict[str, Any]:
    call.db.flush()  # the step of this very request is one of its steps
    columns = {column.name: getattr(job, column.name) for column in Recomputation.__table__.columns}
    return {**columns, "steps": steps_of(call, job)}
