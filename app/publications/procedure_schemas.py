"""What is sent and read of publications on their way: review, notice, objections, withdrawal."""

from types import MappingProxyType

import marshmallow as ma
from marshmallow import fields

from app.publications.procedure_desk import APPROVE, RETURN, Wish
from app.publications.schemas import REGION_CODE, GivesRuleStep
from carbon.factors.schemas import GivesTableChanges, GivesWholeTable, TakesTablePublication
from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Takes, Text
from kernel.publications.notice import OBJECTION
from kernel.publications.publishing import PREFIX
from kernel.publications.shapes import FACTOR_TABLE, SHAPES, content_schema
from kernel.publications.tables import RULINGS, STATES

KINDS = (FACTOR_TABLE, *SHAPES)
LONGEST_OBJECTION = 1000
WITHOUT_NAMES = "Shown to everybody beside its answer, without a name; write no personal data."


class TakesStep(Takes):
    """Why; everybody reads it in the history of what is published."""

    examples = MappingProxyType({"A reason": {"reason": "complete, with the printed document"}})
    reason = Text(required=True, least=2, most=300)


class TakesVerdict(Takes):
    """What the reviewer says: `approve`, or `return` to the author."""

    examples = MappingProxyType(
        {
            "Approved": {"verdict": APPROVE, "reason": "every figure found in the document"},
            "Returned": {"verdict": RETURN, "reason": "page 3 prints another figure"},
        }
    )
    verdict = fields.String(required=True, validate=ma.validate.OneOf((APPROVE, RETURN)))
    reason = Text(required=True, least=2, most=300)


class TakesComment(Takes):
    """A remark on a proposal under review; `about` names a row or a field."""

    examples = MappingProxyType({"A remark": {"text": "which page?", "about": "SZ-METRO-2021"}})
    text = Text(required=True, least=2, most=2000)
    about = Text(most=64, load_default=None)


class TakesObjection(Takes):
    """What somebody has against what is on notice."""

    examples = MappingProxyType(
        {"An objection": {"text": "The cap is lower than the notice of 2025 promised."}}
    )
    text = Text(required=True, least=2, most=LONGEST_OBJECTION, metadata={"description": WITHOUT_NAMES})


class TakesAnswer(Takes):
    """What an objection comes to. One that is upheld bars publication: the proposal is returned."""

    examples = MappingProxyType(
        {"Dismissed": {"ruling": "dismissed", "text": "The notice of 2025 was of another cap."}}
    )
    ruling = fields.String(required=True, validate=ma.validate.OneOf(RULINGS))
    text = Text(required=True, least=2, most=2000)


class TakesProceduralPublication(TakesTablePublication):
    """Why it is put in force; of a factor table, also why nominal first days are taken."""

    into = Wish
    examples = MappingProxyType({"A reason": {"reason": "nobody objected"}})


class TakesWithdrawal(Takes):
    """Since when it no longer rules, a day to come, and why."""

    examples = MappingProxyType(
        {"A withdrawal": {"from_day": "2027-06-01", "reason": "the document was withdrawn"}}
    )
    from_day = Day(required=True)
    reason = Text(required=True, least=2, most=300)


class PublicationsQuery(PageQuery):
    """A page of the caller's publications, of one kind or state."""

    kind = fields.String(load_default=None, validate=ma.validate.OneOf(KINDS))
    state = fields.String(load_default=None, validate=ma.validate.OneOf(STATES))


class NoticesQuery(PageQuery):
    """A page of notices, of one region."""

    region = Text(most=32, pattern=REGION_CODE, load_default=None)


class GivesPublication(Gives):
    """A factor table or a rule, and where it stands; its rows and figures have addresses of their own."""

    id = PublicId(PREFIX)
    region_id = fields.String(data_key="region")
    kind = fields.String()
    subject = fields.String()
    title = fields.String()
    source = fields.String()
    assumption = fields.String(allow_none=True)
    state = fields.String()
    standing = fields.String()
    approved = fields.Boolean()
    effective_from = Day()
    ends_on = Day(allow_none=True)
    notice_from = Day(allow_none=True)
    notice_until = Day(allow_none=True, metadata={"description": "the last day of objections"})
    withdrawn_from = Day(allow_none=True)


class GivesPublications(Gives):
    """A page of publications, newest first."""

    items = fields.List(fields.Nested(GivesPublication))
    next = fields.String(allow_none=True)


class GivesProcedure(Gives):
    """What comes before publication; fixed when the draft is submitted."""

    rule = PublicId(PREFIX)
    reviewed = fields.Boolean()
    notice_days = fields.Integer(metadata={"description": "working days of the region's calendar"})
    answered = fields.Boolean()


class GivesComment(Gives):
    """What somebody of the operation centre said."""

    review_round = fields.Integer(data_key="round")
    about = fields.String(allow_none=True)
    body = fields.String(data_key="text")
    recorded_at = Instant()


class GivesObjection(Gives):
    """An objection and its answer. `by`: citizen, merchant or donor (an enterprise)."""

    id = PublicId(OBJECTION)
    by = fields.String()
    text = fields.String()
    raised_on = Day()
    ruling = fields.String(allow_none=True)
    answer = fields.String(allow_none=True)
    answered_on = Day(allow_none=True)


class GivesWholePublication(GivesPublication):
    """A publication with its procedure, comments, objections of this notice, and steps."""

    procedure = fields.Nested(GivesProcedure, allow_none=True)
    comments = fields.List(fields.Nested(GivesComment))
    objections = fields.List(fields.Nested(GivesObjection))
    steps = fields.List(fields.Nested(GivesRuleStep))


class GivesNotice(GivesPublication):
    """What is on notice. `open`: whether one may object today. Objections are shown when answered."""

    open = fields.Boolean()
    objections_raised = fields.Integer()
    objections_unanswered = fields.Integer()
    objections = fields.List(fields.Nested(GivesObjection))


class GivesNotices(Gives):
    """A page of notices, newest first."""

    items = fields.List(fields.Nested(GivesNotice))
    next = fields.String(allow_none=True)


class GivesWholeNotice(GivesNotice):
    """A notice with the rule's content, or with the table and what it changes."""

    content = fields.Dict(keys=fields.String(), allow_none=True, metadata=content_schema())
    table = fields.Nested(GivesWholeTable, allow_none=True)
    changes = fields.Nested(GivesTableChanges, allow_none=True)
