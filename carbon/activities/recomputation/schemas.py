"""What operators send of recomputations, and what they read of them."""

from types import MappingProxyType
from typing import Any

from marshmallow import fields

from carbon.activities.recomputation.jobs import PREFIX, Proposal
from carbon.activities.recomputation.states import Policy, State
from carbon.activities.simulation.schemas import (
    GivesSimulatedDecile,
    GivesSimulatedLoss,
    GivesSimulatedMonth,
    GivesSimulatedRegion,
    GivesSimulatedScenario,
    GivesSimulatedTotals,
)
from kernel.http.fields import Gives, Instant, PublicId, Takes, Text
from kernel.publications.publishing import PREFIX as PUBLICATION


def _hex(job: Any) -> str | None:
    found = job["digest"] if isinstance(job, dict) else job.digest
    return None if found is None else bytes(found).hex()


def _said(says: str, **schema: Any) -> dict[str, Any]:
    return {"description": says, **schema}


class TakesRecomputation(Takes):
    """By which published correcting table, and what happens to coins that it does not justify."""

    into = Proposal
    examples = MappingProxyType(
        {
            "Nobody loses a coin": {
                "table_id": "pub_01JD3Q8V7F0000000000000000",
                "policy": "fund",
                "reason": "a misprint in table 3, see the publisher's erratum",
            }
        }
    )
    table_id = PublicId(PUBLICATION, required=True)
    policy = fields.Enum(
        Policy,
        by_value=True,
        required=True,
        metadata=_said(
            "Upward is always credited. Downward: `fund` takes nothing, the fund bears all; `unspent` takes"
            " what the citizen still has, never below zero; `floor` takes down to the account's floor. The"
            " fund bears the rest; what a voucher holds is never touched."
        ),
    )
    reason = Text(required=True, least=2, most=300)


class TakesFiguresApproval(Takes):
    """Exactly which figures are approved, and why."""

    examples = MappingProxyType(
        {"A reason": {"digest": "0" * 64, "reason": "checked against the simulation of the draft"}}
    )
    digest = Text(
        required=True,
        least=64,
        most=64,
        pattern=r"[0-9a-f]{64}",
        metadata=_said("the `digest` of the dry run that was read"),
    )
    reason = Text(required=True, least=2, most=300)


class TakesEnd(Takes):
    """Why it is called off."""

    examples = MappingProxyType({"A reason": {"reason": "the table has a fault of its own"}})
    reason = Text(required=True, least=2, most=300)


class GivesPolicyFigures(Gives):
    """What a policy would do with coins that are not justified any more, as accounts stood at the dry run."""

    policy = fields.String()
    coin_milli_taken = fields.Integer(metadata=_said("from citizens"))
    coin_milli_borne = fields.Integer(metadata=_said("by the fund"))
    coin_milli_liability = fields.Integer(metadata=_said("change of what is owed to citizens"))


class GivesFigures(Gives):
    """What a correcting table makes of earlier credits; nothing is written for it."""

    totals = fields.Nested(GivesSimulatedTotals)
    activities_up = fields.Integer(metadata=_said("that come to more kilograms (or else more coins)"))
    activities_down = fields.Integer()
    coin_milli_rise = fields.Integer(metadata=_said("sum of all rises"))
    coin_milli_fall = fields.Integer(metadata=_said("sum of all falls"))
    policies = fields.List(fields.Nested(GivesPolicyFigures))
    by_scenario = fields.List(fields.Nested(GivesSimulatedScenario))
    by_region = fields.List(fields.Nested(GivesSimulatedRegion))
    by_month = fields.List(fields.Nested(GivesSimulatedMonth))
    by_decile = fields.List(fields.Nested(GivesSimulatedDecile))
    citizens_capped_before = fields.Integer()
    citizens_capped_after = fields.Integer()
    refused = fields.List(fields.Nested(GivesSimulatedLoss))


class GivesRecomputationStep(Gives):
    """What happened to it, when and why."""

    to_state = fields.String()
    reason = fields.String()
    recorded_at = Instant()


class GivesRecomputation(Gives):
    """A recomputation; its figures are there once the dry run is done."""

    id = PublicId(PREFIX)
    table_id = PublicId(PUBLICATION)
    region_id = fields.String(data_key="region")
    policy = fields.String()
    state = fields.String(metadata=_said("", enum=[state.value for state in State]))
    digest = fields.Function(
        _hex,
        metadata={"type": ["string", "null"], "description": "what an approval names"},
    )
    figures = fields.Nested(GivesFigures, attribute="told", allow_none=True)
    cancelled_because = fields.String(allow_none=True)
    created_at = Instant()
    finished_at = Instant(allow_none=True)


class GivesWholeRecomputation(GivesRecomputation):
    """The same with its steps."""

    steps = fields.List(fields.Nested(GivesRecomputationStep))


class GivesRecomputations(Gives):
    """A page of recomputations, newest first."""

    items = fields.List(fields.Nested(GivesRecomputation))
    next = fields.String(allow_none=True)
