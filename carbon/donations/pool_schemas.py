"""What operators send about the plan and withdrawals, and what everybody reads of plan and serials."""

from types import MappingProxyType
from typing import Any

import marshmallow as ma
from marshmallow import fields, validates_schema

from carbon.donations.allocation import ALLOCATION
from carbon.donations.giving import DONATION
from carbon.donations.plan import CAMPAIGN, Line
from carbon.donations.schemas import MOST_CARBON_MG
from carbon.donations.tables import CAUSES
from kernel.http.fields import Day, Gives, Instant, PublicId, Takes, Text, Whole
from kernel.units import show_grams

KEY = r"[a-z0-9]+(-[a-z0-9]+)*"


class TakesGiftWithdrawal(Takes):
    """Why a donation is withdrawn; both stand on its public page, so nobody is named."""

    examples = MappingProxyType(
        {
            "Claimed elsewhere": {
                "cause": "claimed_elsewhere",
                "reason": "the verifier found the same days in a CCER registration",
            }
        }
    )
    cause = fields.String(required=True, validate=ma.validate.OneOf(CAUSES))
    reason = Text(required=True, least=2, most=300)


class GivesWithdrawal(Gives):
    """What was taken out of the pool again."""

    certificate_id = PublicId(DONATION, attribute="donation_id")
    carbon_mg = fields.Integer()
    carbon_shown = fields.Function(
        lambda withdrawal: show_grams(withdrawal.carbon_mg), metadata={"type": "string"}
    )
    cause = fields.String(metadata={"enum": list(CAUSES)})
    reason = fields.String()
    withdrawn_at = Instant()


class TakesPoolCampaign(Takes):
    """A line of the spending plan; `ends_on` is the first day after it."""

    into = Line
    examples = MappingProxyType(
        {
            "A campaign": {
                "key": "green-commute-2026",
                "title_zh": "绿色通勤月",
                "title_en": "Green commuting month",
                "purpose_zh": "奖励首次改乘公交的市民",
                "purpose_en": "For citizens who take the bus for the first time",
                "budget_mg": 2_000_000_000,
                "starts_on": "2026-01-01",
                "ends_on": "2028-01-01",
            }
        }
    )
    key = Text(required=True, most=40, pattern=KEY)
    title_zh = Text(required=True, most=60)
    title_en = Text(required=True, most=120)
    purpose_zh = Text(required=True, most=300)
    purpose_en = Text(required=True, most=300)
    budget_mg = Whole(required=True, least=1, most=MOST_CARBON_MG)
    starts_on = Day(required=True)
    ends_on = Day(required=True)

    @validates_schema
    def _has_days(self, data: dict[str, Any], **_: Any) -> None:
        if data["ends_on"] <= data["starts_on"]:
            raise ma.ValidationError("must lie after starts_on", "ends_on")


class GivesPoolCampaign(Gives):
    """A line of the spending plan and what of it was shared out."""

    id = PublicId(CAMPAIGN)
    key = fields.String()
    title_zh = fields.String()
    title_en = fields.String()
    purpose_zh = fields.String()
    purpose_en = fields.String()
    budget_mg = fields.Integer()
    allocated_mg = fields.Integer()
    budget_shown = fields.Function(lambda line: show_grams(line.budget_mg), metadata={"type": "string"})
    allocated_shown = fields.Function(lambda line: show_grams(line.allocated_mg), metadata={"type": "string"})
    starts_on = Day()
    ends_on = Day()


class GivesPoolCampaigns(Gives):
    """The spending plan, the newest line first."""

    items = fields.List(fields.Nested(GivesPoolCampaign))
    next = fields.String(allow_none=True)


class GivesSerial(Gives):
    """What became of a serial, with its neighbours that went the same way; no citizen is named."""

    region = fields.String()
    serial = fields.Integer()
    state = fields.String(metadata={"enum": ["waiting", "shared", "withdrawn"]})
    first_serial = fields.Function(lambda found: found.piece.first_serial, metadata={"type": "integer"})
    last_serial = fields.Function(lambda found: found.piece.last_serial, metadata={"type": "integer"})
    certificate_id = fields.Function(
        lambda found: PublicId(DONATION).serialize("donation_id", found.piece), metadata={"type": "string"}
    )
    allocation_id = PublicId(ALLOCATION, allow_none=True)


class GivesDeedStatement(Gives):
    """A version of the exclusivity statement, in two languages, and the digest that certificates name."""

    version = fields.String()
    zh = fields.String()
    en = fields.String()
    sha256 = fields.String()


class GivesDeedStatements(Gives):
    """Every version there was; deeds are signed under the current one."""

    current = fields.String()
    items = fields.List(fields.Nested(GivesDeedStatement))
