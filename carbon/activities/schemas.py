"""What a partner sends for one record, and what a line becomes."""

from marshmallow import fields

from kernel.http.fields import Day, Gives, Instant, PublicId, Takes, Text
from kernel.units import show_coins, show_grams


class TakesRecord(Takes):
    """The fields are judged by the same adapter that reads files, so that both doors are one."""

    record = fields.Dict(keys=Text(most=64), required=True)


class GivesOutcome(Gives):
    """What became of the record."""

    outcome = fields.String()
    code = fields.String(allow_none=True)
    activity_id = fields.String(allow_none=True)


def _number(name: str) -> fields.Function:
    """A transfer's number as text, so that no client rounds it; null where nothing was posted."""
    return fields.Function(
        lambda lived: None if getattr(lived, name) is None else str(getattr(lived, name)),
        metadata={"type": ["string", "null"]},
    )


class GivesActivity(Gives):
    """One activity of the caller; its transfers open into their explanation."""

    id = PublicId("act")
    partner_id = PublicId("ptn")
    scenario = fields.String()
    occurred_at = Instant()
    business_day = Day()
    carbon_mg = fields.Integer()
    carbon_shown = fields.Function(lambda lived: show_grams(lived.carbon_mg), metadata={"type": "string"})
    coin_milli = fields.Integer()
    coin_shown = fields.Function(lambda lived: show_coins(lived.coin_milli), metadata={"type": "string"})
    coin_cut_milli = fields.Integer(metadata={"description": "what a cap kept back"})
    coin_transfer_id = _number("coin_transfer_id")
    carbon_transfer_id = _number("carbon_transfer_id")
    reason = fields.String(allow_none=True)
    superseded = fields.Boolean()
    recorded_at = Instant()


class GivesActivities(Gives):
    """A page of activities, newest first."""

    items = fields.List(fields.Nested(GivesActivity))
    next = fields.String(allow_none=True)
