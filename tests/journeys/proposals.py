"""Proposals on their way, for journeys: graces need review and notice there, all else goes as ever."""

from collections.abc import Callable
from typing import Any

from carbon.factors.example_table import EXAMPLE_YAML
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.publications.shapes import SHAPES
from tests.carbon.city import publish_rule

GRACE: dict[str, Any] = {
    "kind": "grace",
    "subject": "standard",
    "title": "3 days of grace",
    "content": {"days": 3},
    "source": "a test",
}
_ONE = "/v1/operator/publications/{}/{}"
_WHY = {"reason": "for a journey"}
Make = Callable[..., Any]


def plant_notices(call: Call) -> None:
    """Calendars without holidays for this year and the next, and a procedure for one kind of rule."""
    for year in (call.today.year, call.today.year + 1):
        plain = {"year": year, "holidays": [], "workdays": []}
        publish_rule(call, "working_calendar", f"year_{year}", plain)
    strict = {"review": "third_person", "notice_days": 7, "objections": "must_be_answered"}
    publish_rule(call, "publication_procedure", "grace", strict)


def plant_terms(call: Call) -> None:
    """Merchants are settled by the day."""
    content = {**SHAPES["settlement"].example, "period": "daily", "last_day": 1, "close_days": 1}
    publish_rule(call, "settlement", "standard", content)


def drafted_proposal(make: Make, first_day: str) -> str:
    """A draft that needs review."""
    rule = {**GRACE, "effective_from": first_day}
    return str(make("operator_editor", "/v1/operator/rules", rule)["id"])


def submitted_proposal(make: Make, first_day: str) -> str:
    """One that a reviewer has before them."""
    made = drafted_proposal(make, first_day)
    make("operator_editor", _ONE.format(made, "submission"), _WHY)
    return made


def approved_proposal(make: Make, first_day: str) -> str:
    """One that may be put on notice."""
    made = submitted_proposal(make, first_day)
    make("operator_reviewer", _ONE.format(made, "verdict"), {"verdict": "approve", **_WHY})
    return made


def noticed_proposal(make: Make, first_day: str) -> str:
    """One that anybody may object to."""
    made = approved_proposal(make, first_day)
    make("operator_publisher", _ONE.format(made, "notice"), _WHY)
    return made


def heard_proposal(make: Make, first_day: str) -> tuple[str, str]:
    """One that a citizen has objected to, and the objection."""
    made = noticed_proposal(make, first_day)
    raised = make("citizen", f"/v1/notices/{made}/objections", {"text": "three days are too few"})
    return made, str(raised["id"])


def correcting_table(make: Make) -> str:
    """A published table that corrects another one, of a scenario of its own."""
    text = EXAMPLE_YAML.replace("own_cup", f"own_cup_{new_id().hex}")
    first = published_table(make, text)
    head = f"kind: factor_table\ncorrects: {first}\ncorrection_reason: two digits were exchanged\n"
    return published_table(make, text.replace("kind: factor_table\n", head))


def published_table(make: Make, text: str) -> str:
    """A table of an editor that a publisher published."""
    table = make("operator_editor", "/v1/operator/factor-tables", {"form": "yaml", "text": text})["id"]
    make("operator_publisher", f"/v1/operator/factor-tables/{table}/publication", _WHY)
    return str(table)


def proposed_recomputation(make: Make) -> str:
    """One that waits for its dry run."""
    proposal = {"table_id": correcting_table(make), "policy": "fund", **_WHY}
    return str(make("operator_editor", "/v1/operator/recomputations", proposal)["id"])
