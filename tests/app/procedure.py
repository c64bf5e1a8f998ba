"""A region with a procedure and calendars, and the steps of a publication as people take them over HTTP."""

from typing import Any
from uuid import UUID

from kernel.call import Call
from kernel.identifiers import parse_public_id
from kernel.publications.publishing import PREFIX
from tests.app.desk import Desk
from tests.carbon.city import publish_rule
from tests.kernel.arrangements import ARRANGEMENTS

PUBLICATIONS, NOTICES, RULES = "/v1/operator/publications", "/v1/notices", "/v1/operator/rules"
WHY = {"reason": "the committee decided so"}
STRICT = {"review": "third_person", "notice_days": 7, "objections": "must_be_answered"}
YEAR_AFTER = {"year": 2027, "holidays": ["2027-01-01"], "workdays": ["2027-01-03"]}
"""Made up: the State Council had not arranged 2027 when this was written."""
RATE: dict[str, Any] = {
    "kind": "coin_rate",
    "title": "10 克 = 2 碳币 / 2 coins for 10 g",
    "content": {"coins_milli": 2000, "per_mg": 10_000},
    "source": "示例城市运营规则 2026 年第 9 号",
    "effective_from": "2027-01-01",
}
LAST_DAY = "2026-12-01"
"""Of a notice of seven working days that was given on Friday, 20 November 2026."""


def plant_procedure(call: Call, *, subject: str = "standard", **change: Any) -> UUID:
    """Calendars of two years and a procedure; gives its rule."""
    for year in (ARRANGEMENTS[2026], YEAR_AFTER):
        publish_rule(call, "working_calendar", f"year_{year['year']}", year)
    return publish_rule(call, "publication_procedure", subject, {**STRICT, **change})


def number_of(publication: str) -> UUID:
    return parse_public_id(PREFIX, publication)


def drafted(desk: Desk, who: str = "editor", **change: Any) -> str:
    answer = desk.ask(who, "POST", RULES, {**RATE, **change})
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def step(desk: Desk, who: str, publication: str, name: str, body: Any = None) -> Any:
    return desk.ask(who, "POST", f"{PUBLICATIONS}/{publication}/{name}", WHY if body is None else body)


def verdict(desk: Desk, publication: str, said: str = "approve", who: str = "reviewer") -> Any:
    return step(desk, who, publication, "verdict", {"verdict": said, **WHY})


def done(answer: Any) -> Any:
    assert answer.status_code == 201, answer.json
    return answer.json


def on_notice(desk: Desk, **change: Any) -> str:
    """A rule that was submitted, approved and put before the public."""
    rule = drafted(desk, **change)
    done(step(desk, "editor", rule, "submission"))
    done(verdict(desk, rule))
    done(step(desk, "publisher", rule, "notice"))
    return rule


def objection(desk: Desk, publication: str, who: str = "citizen", text: str = "too low") -> Any:
    return desk.ask(who, "POST", f"{NOTICES}/{publication}/objections", {"text": text})


def answer_to(
    desk: Desk, publication: str, raised: str, ruling: str = "dismissed", who: str = "reviewer"
) -> Any:
    body = {"ruling": ruling, "text": "it is the same as before"}
    return step(desk, who, publication, f"objections/{raised}/answer", body)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json["code"]
