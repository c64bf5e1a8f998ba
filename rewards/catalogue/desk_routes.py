"""URLs of what operators do with rewards, prices, pictures and groups; no logic."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import request

from kernel.call import Call
from kernel.errors import Busy, require
from kernel.http.endpoint import RawBody, Routes, endpoint
from kernel.http.fields import PageQuery
from kernel.identifiers import parse_public_id
from kernel.paging import Page, PageRequest
from kernel.permission import Permission
from rewards.catalogue.errors import PictureTooLarge, PictureUnreadable
from rewards.catalogue.groups import GROUP, GroupShown, GroupTerms, add_group, admit, dismiss, groups
from rewards.catalogue.lives import publish_reward, steps_of, withdraw_reward
from rewards.catalogue.offering import REWARD, Offer, add_funder, draft_reward
from rewards.catalogue.pictures import (
    MEDIA_TYPES,
    Drawn,
    address_of,
    drawn_anew,
    picture_reward,
    require_draft,
)
from rewards.catalogue.prices import change_price
from rewards.catalogue.routes import whole
from rewards.catalogue.schemas import (
    GivesCount,
    GivesFunder,
    GivesGroupId,
    GivesGroups,
    GivesOperatorsReward,
    GivesPicture,
    GivesPrice,
    GivesRewardId,
    GivesShelf,
    NewPrice,
    Publication,
    RewardsQuery,
    TakesFunder,
    TakesGroup,
    TakesMembers,
    TakesOffer,
    TakesPrice,
    TakesPublication,
)
from rewards.catalogue.shelf import OnShelf, operators_reward, operators_shelf
from rewards.catalogue.tables import PICTURE_BYTES_MAX, RewardPrice
from rewards.schemas import Reason, TakesReason

routes = Routes("catalogue desk", __name__, description="Rewards as operators draft and publish them.")
PICTURES_AT_ONCE = 2
"""In one process: each is unpacked to some 50 MB while it is drawn anew."""
_places = threading.BoundedSemaphore(PICTURES_AT_ONCE)


@endpoint(
    routes,
    "POST",
    "/v1/rewards",
    needs=Permission.REWARD_MANAGE,
    takes=TakesOffer,
    gives=GivesRewardId,
    status=201,
    idempotent=True,
    summary="Draft a reward; another person publishes it",
)
def draft(call: Call, what: Offer) -> dict[str, Any]:
    """Draft a reward in the caller's region."""
    return {"id": draft_reward(call, what)}


@contextmanager
def _received(unit: Callable[[Callable[[Call], Any]], Any], *, reward: str) -> Iterator[Drawn]:
    """The picture, whole and drawn anew; no transaction is open meanwhile."""
    reward_id = parse_public_id(REWARD, reward)
    unit(lambda call: require_draft(call, reward_id))
    length = request.content_length or 0
    require(length <= PICTURE_BYTES_MAX, PictureTooLarge(limit_bytes=PICTURE_BYTES_MAX))
    coding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    require(coding == "identity", PictureUnreadable(pointer="/header/Content-Encoding"))
    require(_places.acquire(blocking=False), Busy("other pictures are on their way", retry_after_s=2))
    try:
        content = request.stream.read(length)
        require(len(content) == length, PictureUnreadable("shorter than announced", pointer="/body"))
        drawn = drawn_anew(content)
    finally:
        _places.release()
    yield drawn


@endpoint(
    routes,
    "PUT",
    "/v1/rewards/<reward>/picture",
    needs=Permission.REWARD_MANAGE,
    raw=RawBody(_received, MEDIA_TYPES),
    gives=GivesPicture,
    summary="Give a draft its picture (PNG, JPEG, WebP, up to 2 MiB); it is drawn anew, pixels only",
)
def put_picture(call: Call, drawn: Drawn, *, reward: str) -> dict[str, Any]:
    """Picture a draft."""
    digest = picture_reward(call, parse_public_id(REWARD, reward), drawn)
    return {"picture": address_of(digest), "sha256": digest.hex()}


@endpoint(
    routes,
    "POST",
    "/v1/rewards/<reward>/publication",
    needs=Permission.REWARD_PUBLISH,
    takes=TakesPublication,
    gives=GivesOperatorsReward,
    status=201,
    idempotent=True,
    summary="Put a draft on the shelf, with the picture that was looked at",
)
def publish(call: Call, what: Publication, *, reward: str) -> dict[str, Any]:
    """Publish a draft of the caller's region."""
    seen = None if what.picture_sha256 is None else bytes.fromhex(what.picture_sha256)
    publish_reward(call, parse_public_id(REWARD, reward), picture_seen=seen, reason=what.reason)
    return _for_operators(call, reward)


@endpoint(
    routes,
    "POST",
    "/v1/rewards/<reward>/withdrawal",
    needs=Permission.REWARD_PUBLISH,
    takes=TakesReason,
    gives=GivesOperatorsReward,
    status=201,
    idempotent=True,
    summary="End a reward's sale; vouchers bought before stay as they are",
)
def withdraw(call: Call, why: Reason, *, reward: str) -> dict[str, Any]:
    """Withdraw a reward of the caller's region."""
    withdraw_reward(call, parse_public_id(REWARD, reward), reason=why.reason)
    return _for_operators(call, reward)


@endpoint(
    routes,
    "POST",
    "/v1/rewards/<reward>/prices",
    needs=Permission.REWARD_PUBLISH,
    takes=TakesPrice,
    gives=GivesPrice,
    status=201,
    idempotent=True,
    summary="A new price, from now or from later on",
)
def price(call: Call, new: NewPrice, *, reward: str) -> RewardPrice:
    """Write a version of the price."""
    return change_price(
        call,
        parse_public_id(REWARD, reward),
        price_coin_milli=new.price_coin_milli,
        applies_from=new.applies_from,
        reason=new.reason,
    )


@endpoint(
    routes,
    "GET",
    "/v1/operator/rewards",
    needs=Permission.REWARD_READ,
    query=RewardsQuery,
    gives=GivesShelf,
    summary="The region's rewards in every state, newest first",
)
def all_rewards(call: Call, query: dict[str, Any]) -> Page[OnShelf]:
    """Give a page of the region's rewards."""
    page = PageRequest(limit=query["limit"], after=query["after"])
    return operators_shelf(call, query["state"], page)


@endpoint(
    routes,
    "GET",
    "/v1/operator/rewards/<reward>",
    needs=Permission.REWARD_READ,
    gives=GivesOperatorsReward,
    summary="One reward in any state, with its life",
)
def one_of_all(call: Call, *, reward: str) -> dict[str, Any]:
    """Give one reward."""
    return _for_operators(call, reward)


@endpoint(
    routes,
    "POST",
    "/v1/funders",
    needs=Permission.REWARD_MANAGE,
    takes=TakesFunder,
    gives=GivesFunder,
    status=201,
    idempotent=True,
    summary="Enter who pays merchants for vouchers",
)
def funder(call: Call, names: dict[str, Any]) -> dict[str, Any]:
    """Add a funder in the caller's region."""
    return {"id": add_funder(call, **names)}


@endpoint(
    routes,
    "POST",
    "/v1/operator/groups",
    needs=Permission.GROUP_MANAGE,
    takes=TakesGroup,
    gives=GivesGroupId,
    status=201,
    idempotent=True,
    summary="Enter a group of citizens for whom something is set aside",
)
def group(call: Call, terms: GroupTerms) -> dict[str, Any]:
    """Add a group in the caller's region."""
    return {"id": add_group(call, terms)}


@endpoint(
    routes,
    "GET",
    "/v1/operator/groups",
    needs=Permission.GROUP_MANAGE,
    query=PageQuery,
    gives=GivesGroups,
    summary="The region's groups and how many belong to each, newest first",
)
def all_groups(call: Call, query: dict[str, Any]) -> Page[GroupShown]:
    """Give a page of groups."""
    return groups(call, PageRequest(limit=query["limit"], after=query["after"]))


@endpoint(
    routes,
    "POST",
    "/v1/operator/groups/<group>/members",
    needs=Permission.GROUP_MANAGE,
    takes=TakesMembers,
    gives=GivesCount,
    status=201,
    idempotent=True,
    summary="Take citizens into a group, up to 500 at once",
)
def take_in(call: Call, named: dict[str, Any], *, group: str) -> dict[str, int]:
    """Take citizens in."""
    return {"changed": admit(call, parse_public_id(GROUP, group), named["citizen_ids"])}


@endpoint(
    routes,
    "POST",
    "/v1/operator/groups/<group>/departures",
    needs=Permission.GROUP_MANAGE,
    takes=TakesMembers,
    gives=GivesCount,
    status=201,
    idempotent=True,
    summary="Let citizens out of a group; nothing of the membership is kept",
)
def let_go(call: Call, named: dict[str, Any], *, group: str) -> dict[str, int]:
    """End memberships."""
    return {"changed": dismiss(call, parse_public_id(GROUP, group), named["citizen_ids"])}


def _for_operators(call: Call, reward: str) -> dict[str, Any]:
    call.db.flush()  # a step just written is read
    found = operators_reward(call, parse_public_id(REWARD, reward))
    return {**whole(call, found), "steps": steps_of(call, found.id)}
