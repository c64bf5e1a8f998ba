"""What a citizen reads in the inbox, and up to when it was read."""

from types import MappingProxyType

from marshmallow import fields

from app.notifications.inbox import MESSAGE, MOST_COUNTED
from app.notifications.kinds import KINDS
from kernel.http.fields import Gives, Instant, PublicId, Takes


class GivesMessageText(Gives):
    """A text in both languages."""

    zh = fields.String()
    en = fields.String()


class GivesMessage(Gives):
    """One message: facts for programmes, sentences for people."""

    id = PublicId(MESSAGE)
    kind = fields.String(metadata={"description": "one of " + ", ".join(sorted(KINDS)) + "; later more"})
    subject = fields.String(
        metadata={"description": "the id of what it is about; of coins the validity class"}
    )
    facts = fields.Dict(metadata={"description": "integers with their unit in the name, days, reasons"})
    says = fields.Nested(GivesMessageText)
    created_at = Instant()
    read_at = Instant(allow_none=True)


class GivesInbox(Gives):
    """A page of messages, and how many of all are unread."""

    items = fields.List(fields.Nested(GivesMessage))
    next = fields.String(allow_none=True)
    unread = fields.Integer(
        metadata={"minimum": 0, "maximum": MOST_COUNTED, "description": f"{MOST_COUNTED} stands for more"}
    )


class TakesReadUpTo(Takes):
    """Up to when everything was read."""

    examples = MappingProxyType({"All of last week": {"until": "2026-11-20T12:00:00+08:00"}})
    until = Instant(required=True)


class GivesReadUpTo(Gives):
    """How many messages were not read before."""

    newly_read = fields.Integer()
    unread = fields.Integer(metadata={"minimum": 0, "maximum": MOST_COUNTED})
