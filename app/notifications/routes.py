"""URLs of the inbox; no logic."""

from typing import Any

from app.notifications.inbox import MESSAGE, Inbox, Told, inbox, read, read_all, unread
from app.notifications.schemas import GivesInbox, GivesMessage, GivesReadUpTo, TakesReadUpTo
from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import PageRequest
from kernel.permission import Permission

routes = Routes("inbox", __name__, description="What the caller was told.")


@endpoint(
    routes,
    "GET",
    "/v1/me/messages",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesInbox,
    summary="What I was told, newest first, and how much of it is unread",
    no_store=True,
)
def my_messages(call: Call, query: dict[str, Any]) -> Inbox:
    """Give a page of the inbox."""
    return inbox(call, PageRequest(**query))


@endpoint(
    routes,
    "POST",
    "/v1/me/messages/<message>/reading",
    needs=Permission.ME_READ,
    gives=GivesMessage,
    summary="Mark a message as read; again changes nothing",
)
def read_one(call: Call, *, message: str) -> Told:
    """Mark one message as read."""
    return read(call, parse_public_id(MESSAGE, message))


@endpoint(
    routes,
    "POST",
    "/v1/me/messages/reading",
    needs=Permission.ME_READ,
    takes=TakesReadUpTo,
    gives=GivesReadUpTo,
    summary="Mark everything up to an instant as read; again changes nothing",
)
def read_up_to(call: Call, order: dict[str, Any]) -> dict[str, int]:
    """Mark the caller's messages up to an instant as read."""
    done = read_all(call, until=order["until"])
    return {"newly_read": done, "unread": unread(call, call.actor.known_id)}
