"""URLs of review, notice, objections and withdrawal: the same for factor tables and rules; no logic."""

from typing import Any

from app.publications.procedure_desk import (
    Wish,
    answer_own,
    comment_own,
    decide,
    give_notice_of,
    notices,
    object_to,
    on_notice,
    own,
    own_publications,
    publish_own,
    submit_own,
    whole,
    whole_notice,
    withdraw_own,
)
from app.publications.procedure_schemas import (
    GivesNotices,
    GivesObjection,
    GivesPublications,
    GivesWholeNotice,
    GivesWholePublication,
    NoticesQuery,
    PublicationsQuery,
    TakesAnswer,
    TakesComment,
    TakesObjection,
    TakesProceduralPublication,
    TakesStep,
    TakesVerdict,
    TakesWithdrawal,
)
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from kernel.publications.notice import OBJECTION
from kernel.publications.publishing import PREFIX

routes = Routes("procedure", __name__, description="From a draft to its publication: review, notice.")
_ONE = "/v1/operator/publications/<publication>"


@endpoint(
    routes,
    "GET",
    "/v1/operator/publications",
    needs=Permission.PUBLICATION_READ,
    query=PublicationsQuery,
    gives=GivesPublications,
    summary="The region's factor tables and rules in one list, newest first",
)
def list_publications(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """List what is on its way, or was published."""
    page = PageRequest(asked["limit"], asked["after"])
    return own_publications(call, page, kind=asked["kind"], state=asked["state"])


@endpoint(
    routes,
    "GET",
    _ONE,
    needs=Permission.PUBLICATION_READ,
    gives=GivesWholePublication,
    summary="Where a publication stands: procedure, comments, objections, steps",
)
def show_publication(call: Call, *, publication: str) -> dict[str, Any]:
    """Show a publication on its way."""
    return whole(call, own(call, parse_public_id(PREFIX, publication)))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/submission",
    needs=Permission.PUBLICATION_DRAFT,
    takes=TakesStep,
    gives=GivesWholePublication,
    status=201,
    summary="Put a draft before a reviewer",
)
def submit_publication(call: Call, why: dict[str, Any], *, publication: str) -> dict[str, Any]:
    """Submit a draft."""
    return whole(call, submit_own(call, parse_public_id(PREFIX, publication), reason=why["reason"]))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/comments",
    needs=Permission.PUBLICATION_COMMENT,
    takes=TakesComment,
    gives=GivesWholePublication,
    status=201,
    summary="Say something of a proposal under review; the operation centre reads it",
)
def comment_publication(call: Call, said: dict[str, Any], *, publication: str) -> dict[str, Any]:
    """Comment on a proposal."""
    number = parse_public_id(PREFIX, publication)
    return whole(call, comment_own(call, number, body=said["text"], about=said["about"]))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/verdict",
    needs=Permission.PUBLICATION_REVIEW,
    takes=TakesVerdict,
    gives=GivesWholePublication,
    status=201,
    summary="Approve a proposal of another person, or return it as a draft, also from notice",
)
def decide_publication(call: Call, said: dict[str, Any], *, publication: str) -> dict[str, Any]:
    """Approve or return."""
    number = parse_public_id(PREFIX, publication)
    return whole(call, decide(call, number, verdict=said["verdict"], reason=said["reason"]))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/notice",
    needs=Permission.PUBLICATION_PUBLISH,
    takes=TakesStep,
    gives=GivesWholePublication,
    status=201,
    summary="Put an approved proposal before the public for the working days of its procedure",
)
def give_public_notice(call: Call, why: dict[str, Any], *, publication: str) -> dict[str, Any]:
    """Give notice."""
    return whole(call, give_notice_of(call, parse_public_id(PREFIX, publication), reason=why["reason"]))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/objections/<objection>/answer",
    needs=Permission.PUBLICATION_REVIEW,
    takes=TakesAnswer,
    gives=GivesWholePublication,
    status=201,
    summary="Answer an objection, once: dismissed, or upheld",
)
def answer_objection(call: Call, said: dict[str, Any], *, publication: str, objection: str) -> dict[str, Any]:
    """Answer an objection."""
    answered = answer_own(
        call,
        parse_public_id(PREFIX, publication),
        parse_public_id(OBJECTION, objection),
        ruling=said["ruling"],
        body=said["text"],
    )
    return whole(call, answered)


@endpoint(
    routes,
    "POST",
    f"{_ONE}/publication",
    needs=Permission.PUBLICATION_PUBLISH,
    takes=TakesProceduralPublication,
    gives=GivesWholePublication,
    status=201,
    summary="Publish what has gone through its procedure: frozen, signed, in force from its day",
)
def publish_publication(call: Call, wish: Wish, *, publication: str) -> dict[str, Any]:
    """Publish a table or a rule."""
    return whole(call, publish_own(call, parse_public_id(PREFIX, publication), wish))


@endpoint(
    routes,
    "POST",
    f"{_ONE}/withdrawal",
    needs=Permission.PUBLICATION_PUBLISH,
    takes=TakesWithdrawal,
    gives=GivesWholePublication,
    status=201,
    summary="End a published table or rule on a day to come; everybody reads why",
)
def withdraw_publication(call: Call, asked: dict[str, Any], *, publication: str) -> dict[str, Any]:
    """Withdraw a publication."""
    number = parse_public_id(PREFIX, publication)
    return whole(call, withdraw_own(call, number, from_day=asked["from_day"], reason=asked["reason"]))


@endpoint(
    routes,
    "GET",
    "/v1/notices",
    needs=PUBLIC,
    query=NoticesQuery,
    gives=GivesNotices,
    summary="What is on public notice, until which day one may object, and what objections came to",
)
def list_notices(call: Call, asked: dict[str, Any]) -> Page[dict[str, Any]]:
    """List notices."""
    return notices(call, PageRequest(asked["limit"], asked["after"]), region_id=asked["region"])


@endpoint(
    routes,
    "GET",
    "/v1/notices/<notice>",
    needs=PUBLIC,
    gives=GivesWholeNotice,
    summary="One proposal on notice: every row or figure, and what it changes",
)
def show_notice(call: Call, *, notice: str) -> dict[str, Any]:
    """Show a notice."""
    return whole_notice(call, on_notice(call, parse_public_id(PREFIX, notice)))


@endpoint(
    routes,
    "POST",
    "/v1/notices/<notice>/objections",
    needs=Permission.OBJECTION_RAISE,
    takes=TakesObjection,
    gives=GivesObjection,
    status=201,
    summary="Object, once a notice, as a person or as the enterprise one speaks for",
)
def object_to_notice(call: Call, said: dict[str, Any], *, notice: str) -> dict[str, Any]:
    """Raise an objection."""
    return object_to(call, parse_public_id(PREFIX, notice), body=said["text"])
