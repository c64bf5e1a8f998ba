"""What a partner sends for one record, and what a line becomes."""

from types import MappingProxyType
from typing import Any

from marshmallow import fields

from carbon.activities.adapters.activity_fields import UNITS
from carbon.activities.hold_schemas import GivesOwnHold
from carbon.methodologies.inputs import INPUTS
from kernel.http.fields import Day, Gives, Instant, PublicId, Takes, Text
from kernel.units import INT64_MAX, show_coins, show_grams

_RIDE = {
    "source_event_id": "ride-2026-11-01-000017",
    "subject": "3104700123456789",
    "scenario": "metro_ride",
    "occurred_at": "2026-11-01T08:30:00+08:00",
}


def _field(says: str, **schema: Any) -> dict[str, Any]:
    return {"description": says, **schema}


RECORD = {
    "description": "A line of the adapters `csv` and `ndjson`: `quantity` with its `unit`, or `inputs`.",
    "properties": {
        "source_event_id": _field(
            "Your name of the event, unique for ever: the same again is the same fact.",
            type="string",
            pattern="^[!-~]{1,128}$",
        ),
        "subject": _field(
            "The card or account number that the citizen bound; only its keyed hash is kept.",
            type="string",
            pattern="^[!-~]{1,64}$",
        ),
        "scenario": _field(
            "What was done, such as `metro_ride`: one with a factor in force, see `/factors`.",
            type="string",
            pattern="^[a-z][a-z0-9_]{0,63}$",
        ),
        "occurred_at": _field(
            "When it was done (its end); an instant with a zone, not in the future.",
            type="string",
            format="date-time",
        ),
        "started_at": _field("When it began.", type=["string", "null"], format="date-time"),
        "quantity": _field("How much, in `unit`.", type=["integer", "null"], minimum=0, maximum=INT64_MAX),
        "unit": _field(
            "What `quantity` counts; `Wh` and `ml` are saved electricity and water.",
            type=["string", "null"],
            enum=[*UNITS, None],
        ),
        "inputs": _field(
            "A method's inputs by name, in the unit their names end in.",
            type="object",
            properties={
                each.name: _field(
                    f"{each.title_en} ({each.unit})", type="integer", minimum=0, maximum=each.most
                )
                for each in INPUTS.values()
            },
            additionalProperties=False,
        ),
        "evidence": _field(
            "The evidence tier of this record, one of your contract's; may be left out where that has one.",
            type=["string", "null"],
            pattern="^[a-z][a-z0-9_]{0,63}$",
        ),
        "corrects_revision": _field(
            "This replaces the revision of the same `source_event_id` with this number; the first is 1.",
            type=["integer", "null"],
            minimum=1,
        ),
    },
    "required": ["source_event_id", "subject", "scenario", "occurred_at"],
    "additionalProperties": False,
}
"""The fields of a record in the platform's own format, as `activity_lines` judges them."""


class TakesRecord(Takes):
    """The fields are judged by the same adapter that reads files, so that both doors are one."""

    examples = MappingProxyType(
        {
            "A ride, by its metres": {"record": {**_RIDE, "quantity": 12_000, "unit": "m"}},
            "The same by the input's name": {"record": {**_RIDE, "inputs": {"distance_m": 12_000}}},
            "A correction": {"record": {**_RIDE, "quantity": 9_000, "unit": "m", "corrects_revision": 1}},
        }
    )
    record = fields.Dict(keys=Text(most=64), required=True, metadata=RECORD)


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
    superseded = fields.Boolean(
        metadata={"description": "its source corrected it, or it was refused after a hold: it was taken back"}
    )
    hold = fields.Nested(GivesOwnHold, allow_none=True)
    recorded_at = Instant()


class GivesActivities(Gives):
    """A page of activities, newest first."""

    items = fields.List(fields.Nested(GivesActivity))
    next = fields.String(allow_none=True)
