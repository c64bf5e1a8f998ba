"""What operators send of holds, what citizens answer, and what both read."""

from types import MappingProxyType

import marshmallow as ma
from marshmallow import fields

from carbon.activities.holds import HOLD, REFUSED, RELEASED, HoldOrder
from carbon.activities.tables import HOLD_STATES
from kernel.http.fields import Gives, Instant, PageQuery, PublicId, Takes, Text
from kernel.publications.publishing import PREFIX as PUBLICATION

APPEAL_MOST = 1000


class TakesHold(Takes):
    """An activity to put on hold; its citizen reads the reason in both languages."""

    into = HoldOrder
    examples = MappingProxyType(
        {
            "Too fast": {
                "citizen_id": "ctz_01KA8Y2V7E8Q9N3M5R6T7W8X9Z",
                "activity_id": "act_01KA8Y2V7E8Q9N3M5R6T7W8X9Z",
                "reason_zh": "行程速度高于该交通方式的可能值",
                "reason_en": "The trip was faster than this kind of transport goes.",
            }
        }
    )
    citizen_id = PublicId("ctz", required=True)
    activity_id = PublicId("act", required=True)
    reason_zh = Text(required=True, least=2, most=300)
    reason_en = Text(required=True, least=2, most=300)


class TakesAppeal(Takes):
    """Why the hold is wrong, in the citizen's own words."""

    examples = MappingProxyType({"An appeal": {"words": "那天我乘的是城际快线"}})
    words = Text(required=True, least=2, most=APPEAL_MOST)


class TakesHoldDecision(Takes):
    """What becomes of it, and why; the citizen reads the reason."""

    examples = MappingProxyType(
        {"A release": {"decision": RELEASED, "reason": "核实为城际快线 / an express line, as checked"}}
    )
    decision = fields.String(required=True, validate=ma.validate.OneOf((RELEASED, REFUSED)))
    reason = Text(required=True, least=2, most=300)


class HoldsQuery(PageQuery):
    """A page of holds, of one state if it is named."""

    state = fields.String(load_default=None, validate=ma.validate.OneOf(HOLD_STATES))


class GivesOwnHold(Gives):
    """Why an activity's coins are set aside, and what was decided; one appeal may be filed meanwhile."""

    state = fields.String(metadata={"enum": list(HOLD_STATES)})
    reason_zh = fields.String()
    reason_en = fields.String()
    coin_milli = fields.Integer(metadata={"description": "milli-coins that were set aside"})
    held_at = Instant()
    rule_id = PublicId(
        PUBLICATION,
        allow_none=True,
        metadata={"description": "the published rule that holds; null if a person"},
    )
    measured = fields.Integer(
        allow_none=True,
        metadata={"description": "what the rule found: the record's number in its day, or metres an hour"},
    )
    appeal = fields.String(allow_none=True)
    appealed_at = Instant(allow_none=True)
    decided_at = Instant(allow_none=True)
    decision_reason = fields.String(allow_none=True)


class GivesHold(GivesOwnHold):
    """A hold as operators see it."""

    id = PublicId(HOLD)
    citizen_id = PublicId("ctz")
    activity_id = PublicId("act")


class GivesHolds(Gives):
    """A page of holds, newest first."""

    items = fields.List(fields.Nested(GivesHold))
    next = fields.String(allow_none=True)
