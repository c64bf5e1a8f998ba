"""The published rule of a kind of meter, as arithmetic takes it."""

from dataclasses import dataclass, fields
from datetime import date
from uuid import UUID

from carbon.examples import FindSavingRule
from carbon.households.baselines import SavingRule
from carbon.households.kinds import KINDS
from kernel.call import Call
from kernel.publications.errors import NoRuleInForce
from kernel.publications.publishing import maybe_in_force

RULE = "household_saving"


@dataclass(frozen=True)
class Ruling:
    """A rule, its publication, and how many days after a period it judges it."""

    rule: SavingRule
    publication_id: UUID
    settle_days: int


def ruling(call: Call, region_id: str, *, kind: str, day: date) -> Ruling | None:
    """The rule in force on a day; None where the region has published none for this kind."""
    return _ruling(call, region_id, scenario=KINDS[kind].scenario, day=day)


def rule_finder(call: Call) -> FindSavingRule:
    """The rule of a scenario as worked examples ask it; refuses NoRuleInForce."""

    def find(scenario: str, region_id: str, day: date) -> SavingRule:
        found = _ruling(call, region_id, scenario=scenario, day=day)
        if found is None:
            raise NoRuleInForce(
                f"{RULE}/{scenario} in {region_id} on {day}", kind=RULE, subject=scenario, day=day.isoformat()
            )
        return found.rule

    return find


def _ruling(call: Call, region_id: str, *, scenario: str, day: date) -> Ruling | None:
    found = maybe_in_force(call, region_id=region_id, kind=RULE, subject=scenario, day=day)
    if found is None:
        return None
    said = {each.name: found.content[each.name] for each in fields(SavingRule)}
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Ruling(SavingRule(**said), found.id, found.content["settle_days"])
