"""What an operator asks of a simulation, and what it tells."""

from types import MappingProxyType
from typing import Any

from marshmallow import fields

from carbon.activities.simulation.simulation import Question
from kernel.http.fields import Day, Gives, Takes


def _said(says: str, **schema: Any) -> dict[str, Any]:
    return {"description": says, **schema}


class TakesSimulation(Takes):
    """Business days, both included, at most 366 of them."""

    into = Question
    examples = MappingProxyType(
        {
            "A year": {"first_day": "2026-01-01", "last_day": "2026-12-31"},
            "As if it held already": {
                "first_day": "2026-10-01",
                "last_day": "2026-10-31",
                "starting_on": "2026-10-01",
            },
        }
    )
    first_day = Day(required=True)
    last_day = Day(required=True)
    starting_on = Day(
        load_default=None,
        metadata={
            "description": "The table's first row of each scenario and region is taken to hold from this"
            " day on, if not before; without it from its own first day."
        },
    )


class GivesChange(Gives):
    """What was credited, and what it would have been; the difference of coins is that of the liability."""

    carbon_mg_before = fields.Integer()
    carbon_mg_after = fields.Integer()
    carbon_mg_difference = fields.Integer()
    coin_milli_before = fields.Integer()
    coin_milli_after = fields.Integer()
    coin_milli_difference = fields.Integer()


class GivesSimulatedTotals(GivesChange):
    """All of it. Only activities that stand count."""

    activities = fields.Integer()
    activities_judged_anew = fields.Integer(
        metadata=_said("by a row of the table, or by another because the table displaces theirs")
    )
    activities_changed = fields.Integer(metadata=_said("whose kilograms or coins differ"))
    activities_order_unknown = fields.Integer(
        metadata=_said("whose place in the use of a cap is not known any more; the sums count them")
    )
    citizens = fields.Integer()


class GivesSimulatedScenario(GivesChange):
    """One scenario."""

    scenario = fields.String()
    activities = fields.Integer()


class GivesSimulatedRegion(GivesChange):
    """The table's region, or one below it."""

    region = fields.String()
    activities = fields.Integer()


class GivesSimulatedMonth(GivesChange):
    """One month of business days, as `2026-11`."""

    month = fields.String()
    activities = fields.Integer()


class GivesSimulatedDecile(GivesChange):
    """A tenth of the citizens, by kilograms before; the first has the fewest."""

    decile = fields.Integer()
    citizens = fields.Integer()


class GivesSimulatedCitizen(Gives):
    """Somebody, by a running number of this answer; whole kilograms and coins, the rest cut off."""

    number = fields.Integer()
    carbon_kg_before = fields.Integer()
    carbon_kg_after = fields.Integer()
    coins_before = fields.Integer()
    coins_after = fields.Integer()


class GivesUnusedRow(Gives):
    """A row of the table that judges none of the activities."""

    code = fields.String()
    scenario = fields.String()
    region = fields.String()


class GivesSimulatedLoss(Gives):
    """Activities that would have come to nothing, and what they had come to."""

    scenario = fields.String()
    code = fields.String(
        metadata=_said("in `without_row` of the row that judged them, in `refused` of the method's refusal")
    )
    activities = fields.Integer()
    carbon_mg_before = fields.Integer()
    coin_milli_before = fields.Integer()


class GivesSimulation(Gives):
    """What activities would have come to under the table."""

    table_id = fields.String()
    standing = fields.String()
    first_day = Day()
    last_day = Day()
    starting_on = Day(allow_none=True)
    totals = fields.Nested(GivesSimulatedTotals)
    by_scenario = fields.List(fields.Nested(GivesSimulatedScenario))
    by_region = fields.List(fields.Nested(GivesSimulatedRegion))
    by_month = fields.List(fields.Nested(GivesSimulatedMonth))
    by_decile = fields.List(
        fields.Nested(GivesSimulatedDecile), metadata=_said("empty for fewer than 100 citizens")
    )
    rises = fields.List(
        fields.Nested(GivesSimulatedCitizen),
        metadata=_said("the 20 largest, by coins, then kilograms; empty for fewer than 10 citizens"),
    )
    falls = fields.List(fields.Nested(GivesSimulatedCitizen), metadata=_said("as `rises`"))
    citizens_capped_before = fields.Integer(metadata=_said("from whom a cap kept coins back"))
    citizens_capped_after = fields.Integer()
    rows_unused = fields.List(fields.Nested(GivesUnusedRow))
    without_row = fields.List(
        fields.Nested(GivesSimulatedLoss), metadata=_said("no row in force would be left for them")
    )
    refused = fields.List(
        fields.Nested(GivesSimulatedLoss), metadata=_said("the method would refuse them by the new row")
    )
