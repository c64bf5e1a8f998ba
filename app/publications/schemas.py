"""What operators send of rules, and what everybody reads of them."""

from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields, validates_schema

from app.publications.rule_desk import KINDS, Proposal
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, QuerySchema, Takes, Text
from kernel.publications.publishing import PREFIX
from kernel.publications.rules import STANDARD
from kernel.publications.shapes import SHAPES, content_schema
from kernel.publications.tables import STATES
from kernel.units import INT64_MAX

REGION_CODE = r"[A-Z0-9]+(-[A-Z0-9]+)*"
MOST_VALUES = 64
_plain_text = Text(most=64)
_SUBJECTS = {
    "cap": "transit",
    "factor_fallback": "parcel_box_returned",
    "working_calendar": "year_2027",
    "evidence_tier": "self_check_in",
    "trip_claims": "rail",
    "automatic_hold": "cycling_speed",
    "household_saving": "household_electricity_saving",
}


def _example(kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "subject": _SUBJECTS.get(kind, STANDARD),
        "title": SHAPES[kind].says,
        "content": dict(SHAPES[kind].example),
        "source": "Decision 3/2027 of the operation centre",
        "effective_from": "2027-06-01",
    }


class TakesRule(Takes):
    """A rule. `content` says what its kind says; amounts are milli-coins and milligrams."""

    into = Proposal
    examples = MappingProxyType({f"A {kind.replace('_', ' ')}": _example(kind) for kind in KINDS})
    kind = fields.String(required=True, validate=ma.validate.OneOf(KINDS))
    subject = Text(load_default=STANDARD, most=64, pattern=r"[a-z][a-z0-9_]*")
    title = Text(required=True, most=200)
    content = fields.Dict(
        keys=Text(most=64),
        required=True,
        validate=ma.validate.Length(min=1, max=MOST_VALUES),
        metadata=content_schema(),
    )
    source = Text(required=True, most=500)
    effective_from = Day(required=True)
    assumption = Text(most=500, load_default=None)
    corrects_id = PublicId(PREFIX, load_default=None, data_key="corrects")

    @validates_schema
    def _content_is_plain(self, data: dict[str, Any], **_: Any) -> None:
        """Whether it is a rule is asked later; here, that the database can keep it."""
        faults = {name: _fault(value) for name, value in data["content"].items()}
        found = {name: [fault] for name, fault in faults.items() if fault is not None}
        if found:
            raise ma.ValidationError({"content": found})


def _fault(value: Any) -> str | None:
    if type(value) is int:
        return None if abs(value) <= INT64_MAX else "is too large"
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MOST_VALUES:
        return f"has more than {MOST_VALUES} entries"
    for each in entries:
        if type(each) is int and abs(each) <= INT64_MAX:
            continue
        if not isinstance(each, str):
            return "must be a whole number, a text or a list of these"
        try:
            _plain_text.deserialize(each)
        except ma.ValidationError as error:
            return str(error.messages[0])
    return None


class TakesRulePublication(Takes):
    """Why a rule is put in force."""

    examples = MappingProxyType({"A reason": {"reason": "decided by the committee on the 2nd"}})
    reason = Text(required=True, least=2, most=300)


class RulesQuery(PageQuery):
    """A page of rules, of one kind or state."""

    kind = fields.String(load_default=None, validate=ma.validate.OneOf(KINDS))
    state = fields.String(load_default=None, validate=ma.validate.OneOf(STATES))


class PublicRulesQuery(QuerySchema):
    """The rules of a region; of the operator's own by default."""

    region = Text(most=32, pattern=REGION_CODE, load_default=None)


class GivesRule(Gives):
    """A rule: what it says, since when, from which source. `standing` says where it stands."""

    id = PublicId(PREFIX)
    region_id = fields.String(data_key="region")
    kind = fields.String()
    subject = fields.String()
    title = fields.String()
    content = fields.Dict(keys=fields.String(), metadata=content_schema())
    source = fields.String()
    assumption = fields.String(allow_none=True)
    standing = fields.String()
    effective_from = Day()
    ends_on = Day(allow_none=True)
    withdrawn_from = Day(allow_none=True)
    notice_until = Day(allow_none=True)
    published_at = Instant(allow_none=True)
    corrects_id = PublicId(PREFIX, allow_none=True, data_key="corrects")
    digest = fields.Function(
        lambda rule: None if rule["digest"] is None else bytes(rule["digest"]).hex(),
        metadata={"type": ["string", "null"]},
    )
    kid = fields.Integer(allow_none=True)
    signature = fields.Function(
        lambda rule: None if rule["signature"] is None else bytes(rule["signature"]).hex(),
        metadata={"type": ["string", "null"]},
    )


class GivesRuleStep(Gives):
    """What happened to a rule, when and why."""

    state = fields.String()
    reason = fields.String()
    recorded_at = Instant()


class GivesWholeRule(GivesRule):
    """A rule with its steps."""

    steps = fields.List(fields.Nested(GivesRuleStep))


class GivesRules(Gives):
    """A page of rules, newest first."""

    items = fields.List(fields.Nested(GivesRule))
    next = fields.String(allow_none=True)


class GivesRulesInForce(Gives):
    """All rules of a region that rule on a day, by kind and subject."""

    region = fields.String()
    day = Day()
    items = fields.List(fields.Nested(GivesRule))
