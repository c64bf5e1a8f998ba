"""How a region publishes: who reviews, how many working days of notice there are, what objections do.

It is a rule like any other, so it is changed by the procedure it prescribes. A region that has published
none publishes as two persons: one drafts, another puts in force.
"""

from dataclasses import dataclass
from uuid import UUID

from kernel.call import Call
from kernel.publications.rules import STANDARD, rules_in_force
from kernel.publications.tables import Publication
from kernel.publications.working_days import CALENDAR

PROCEDURE = "publication_procedure"
THIRD_PERSON, NOBODY = "third_person", "nobody"
ANSWERED, NOTED = "must_be_answered", "are_noted"


@dataclass(frozen=True, kw_only=True)
class Procedure:
    """What a publication goes through before it may be published."""

    rule_id: UUID
    reviewed: bool
    notice_days: int
    answered: bool

    @property
    def at_once(self) -> bool:
        """Whether a second person may publish a draft as it stands."""
        return not self.reviewed and not self.notice_days


def procedure_in_force(call: Call, region_id: str, kind: str) -> Procedure | None:
    """What rules publications of a kind today: a procedure of that kind, else the standard one, else None."""
    found = {rule.subject: rule for rule in rules_in_force(call, region_id, kind=PROCEDURE, day=call.today)}
    rule = found.get(kind, found.get(STANDARD))
    return None if rule is None else _read(rule, kind)


def procedure_of(call: Call, publication: Publication) -> Procedure | None:
    """What a publication goes through: as fixed when it was submitted; for a draft, what rules today."""
    if publication.procedure_id is None:
        return procedure_in_force(call, publication.region_id, publication.kind)
    return _read(call.db.get_one(Publication, publication.procedure_id), publication.kind)


def _read(rule: Publication, kind: str) -> Procedure:
    # Nobody can object to the State Council's days, and without them no days of notice could be counted.
    days = 0 if kind == CALENDAR else rule.content["notice_days"]
    return Procedure(
        rule_id=rule.id,
        reviewed=rule.content["review"] == THIRD_PERSON,
        notice_days=days,
        answered=rule.content["objections"] == ANSWERED,
    )
