"""What is sent and told of clerks and shifts; a PIN comes in and never goes out."""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields

from kernel.http.fields import Gives, Instant, PublicId, Takes, Text, YesOrNo
from merchants.clerks.roster import CLERK, StoreAsks
from merchants.onboarding import STORE

ROLES = ("cashier", "manager")
NUMBER = r"[0-9A-Z]{1,12}"
PIN = r"[0-9]{6}"


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """A number and a PIN typed at a till."""

    number: str
    pin: str


def _pin() -> Text:
    return Text(required=True, least=6, most=6, pattern=PIN, metadata={"writeOnly": True})


def _number() -> Text:
    return Text(required=True, most=12, pattern=NUMBER)


class TakesClerk(Takes):
    """A clerk to enter."""

    examples = MappingProxyType({"A cashier": {"number": "07", "role": "cashier", "pin": "274051"}})
    number = _number()
    role = fields.String(required=True, validate=ma.validate.OneOf(ROLES))
    pin = _pin()


class TakesPin(Takes):
    """A new PIN."""

    examples = MappingProxyType({"Six digits": {"pin": "618240"}})
    pin = _pin()


class TakesLink(Takes):
    """Which clerk the calling citizen is, and the PIN that says so."""

    examples = MappingProxyType(
        {"A clerk": {"clerk_id": f"{CLERK}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z", "pin": "274051"}}
    )
    clerk_id = PublicId(CLERK, required=True)
    pin = _pin()


class TakesSignIn(Takes):
    """A number and a PIN typed at a till."""

    into = SignIn
    examples = MappingProxyType({"A clerk": {"number": "07", "pin": "274051"}})
    number = _number()
    pin = _pin()


class TakesStoreAsks(Takes):
    """What a store asks of who stands at its tills."""

    into = StoreAsks
    examples = MappingProxyType(
        {
            "Clerks, and a manager to undo": {
                "clerk_required": True,
                "linked_clerks_only": False,
                "manager_reverses": True,
            }
        }
    )
    clerk_required = YesOrNo(required=True)
    linked_clerks_only = YesOrNo(required=True)
    manager_reverses = YesOrNo(required=True)

    @ma.validates_schema
    def _a_till_without_a_clerk_is_no_way_round(self, data: dict[str, Any], **_: Any) -> None:
        if data["linked_clerks_only"] and not data["clerk_required"]:
            raise ma.ValidationError("linked clerks only where a clerk is required", "linked_clerks_only")


class GivesStoreAsks(Gives):
    """What a store asks of who stands at its tills."""

    id = PublicId(STORE)
    clerk_required = fields.Boolean()
    linked_clerks_only = fields.Boolean()
    manager_reverses = fields.Boolean()


class GivesClerkId(Gives):
    """A clerk's id."""

    id = PublicId(CLERK)


class GivesClerk(Gives):
    """A clerk; `linked` says whether it is known which citizen it is."""

    id = PublicId(CLERK)
    number = Text()
    role = Text()
    linked = fields.Boolean()
    created_at = Instant()
    dismissed_at = Instant(allow_none=True)


class GivesClerks(Gives):
    """A page of clerks."""

    items = fields.List(fields.Nested(GivesClerk))
    next = fields.String(allow_none=True)


class GivesShift(Gives):
    """An open shift; `token` is given once and sent as `Bearer <till's secret>.<token>`."""

    clerk_id = PublicId(CLERK)
    number = Text()
    role = Text()
    token = Text()
    ends_at = Instant()
