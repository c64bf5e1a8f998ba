"""URLs of the shelf and of the queues for what is sold out; no logic."""

from typing import Any

from flask import Response, request

from kernel.call import Call
from kernel.http.endpoint import Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import PUBLIC, Permission
from rewards.catalogue.offering import REWARD
from rewards.catalogue.pictures import KEPT_AS, picture_bytes
from rewards.catalogue.prices import price_history
from rewards.catalogue.schemas import GivesOneReward, GivesPlace, GivesPlaces, GivesShelf, ShelfQuery
from rewards.catalogue.shelf import Asked, OnShelf, one_reward, shelf, units_of
from rewards.catalogue.waiting import PLACE, PlaceShown, join_queue, leave_queue, my_places

routes = Routes("catalogue", __name__, description="What coins buy.")
_KEPT = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@endpoint(
    routes,
    "GET",
    "/v1/rewards",
    needs=PUBLIC,
    query=ShelfQuery,
    gives=GivesShelf,
    summary="Rewards on sale in a region; for a citizen also why one cannot be had now",
)
def rewards(call: Call, query: dict[str, Any]) -> Page[OnShelf]:
    """Give a page of the shelf."""
    asked = Asked(region_id=query["region"], kind=query["kind"], show=query["show"])
    return shelf(call, asked, PageRequest(limit=query["limit"], after=query["after"]))


@endpoint(
    routes,
    "GET",
    "/v1/rewards/<reward>",
    needs=PUBLIC,
    gives=GivesOneReward,
    summary="One reward with the history of its prices and its units",
)
def one(call: Call, *, reward: str) -> dict[str, Any]:
    """Give one reward."""
    reward_id = parse_public_id(REWARD, reward)
    return whole(call, one_reward(call, reward_id))


def whole(call: Call, found: OnShelf) -> dict[str, Any]:
    """A reward with its prices and units."""
    return {**vars(found), "prices": price_history(call, found.id), "units": units_of(call, found.id)}


@endpoint(
    routes,
    "GET",
    "/v1/public/pictures/<picture>",
    needs=PUBLIC,
    summary="A picture of a reward, by the SHA-256 of its bytes",
)
def show_picture(call: Call, *, picture: str) -> Response:
    """Give a picture; what has this address never changes."""
    shown = Response(picture_bytes(call, picture), content_type=KEPT_AS, headers=_KEPT)
    shown.set_etag(picture)
    shown.make_conditional(request)
    return shown


@endpoint(
    routes,
    "POST",
    "/v1/rewards/<reward>/places",
    needs=Permission.VOUCHER_EXCHANGE,
    gives=GivesPlace,
    status=201,
    idempotent=True,
    summary="Queue for a reward that is sold out",
)
def join(call: Call, *, reward: str) -> PlaceShown:
    """Join a queue."""
    return join_queue(call, parse_public_id(REWARD, reward))


@endpoint(
    routes,
    "GET",
    "/v1/me/places",
    needs=Permission.ME_READ,
    query=PageQuery,
    gives=GivesPlaces,
    summary="My places in queues, newest first",
)
def places(call: Call, query: dict[str, Any]) -> Page[PlaceShown]:
    """Give a page of the caller's places."""
    return my_places(call, PageRequest(limit=query["limit"], after=query["after"]))


@endpoint(
    routes,
    "POST",
    "/v1/me/places/<place>/departure",
    needs=Permission.VOUCHER_EXCHANGE,
    gives=GivesPlace,
    status=201,
    idempotent=True,
    summary="Leave a queue; what was held goes to the next",
)
def leave(call: Call, *, place: str) -> PlaceShown:
    """Give a place up."""
    return leave_queue(call, parse_public_id(PLACE, place))
