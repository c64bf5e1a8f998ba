"""The province of the demo city publishes by a procedure: review, seven working days of notice, answers.

One table has gone all the way, its successor is on notice with an objection answered and one that waits.
Calendar and figures are made up for the demo, and say so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from app.demo.people import Employee, Resident, hire
from app.demo.stage import Stage, shanghai
from app.identity.roles import ACTOR_KINDS, PERMISSIONS, Role
from carbon.factors.bundle_files import read_bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.actor import Actor
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.notice import answer, give_notice, raise_objection
from kernel.publications.procedure import PROCEDURE
from kernel.publications.publishing import PREFIX, Draft, draft, publish
from kernel.publications.review import approve, comment, submit
from kernel.publications.tables import Publication
from kernel.publications.working_calendars import subject_of
from kernel.publications.working_days import CALENDAR

PROVINCE = "CN-GD"
CONTENT = {"review": "third_person", "notice_days": 7, "objections": "must_be_answered"}
SOURCE = "示例省运营规则 2026 年第 2 号 / Rules of the demo province, 2026 no. 2"
MADE_UP = "演示用,并非国务院公布的安排 / made up for the demo, not the State Council's arrangement"
REASON = "材料齐全,同意 / complete"
TABLE = """\
kind: factor_table
name: demo_own_bottle_{edition}
subject: own_bottle
region: CN-GD
title_zh: 自带水瓶减排因子(演示)第{edition}版
title_en: Own bottles, demo, edition {edition}
assumption: 演示用假设值,没有出处文件 / a figure made up for the demo
sources:
  demo:
    title: 演示城市 / the demo city
    publisher: Tanpuhui
    published_year: 2026
    seen_in: app/demo/province.py
rows:
  - code: DEMO-BOTTLE
    name_zh: 自带水瓶
    name_en: A drink in one's own bottle
    scenario: own_bottle_used
    method: per_count
    value: "0.0{grams}"
    unit: kgCO2/piece
    gas_set: CO2
    valid_from: {first_day}
    valid_from_kind: published
    verified: no
    source: demo
    examples:
      - inputs: {{count: 2}}
        expected: "{twice}"
        unit: gCO2
        source: by hand
"""


@dataclass(frozen=True)
class Province:
    """Who publishes there, and what is on notice."""

    editor: Employee
    reviewer: Employee
    publisher: Employee
    notice: str

    @property
    def outline(self) -> dict[str, Any]:
        """What the demo file says."""
        staff = {name: getattr(self, name).login for name in ("editor", "reviewer", "publisher")}
        return {"region": PROVINCE, "operators": staff, "notice": self.notice}


def publish_by_procedure(
    stage: Stage, *, today: date, residents: list[Resident], enterprise_id: UUID
) -> Province:
    """The province's staff, its calendar and procedure, a table in force and one on notice."""
    hired = shanghai(today - timedelta(days=45), "09:00")
    staff = {
        name: hire(stage, f"province.{name}", role, at=hired, region_id=PROVINCE)
        for name, role in (
            ("editor", Role.OPERATOR_EDITOR),
            ("reviewer", Role.OPERATOR_REVIEWER),
            ("publisher", Role.OPERATOR_PUBLISHER),
        )
    }
    desk = _Desk(stage, **{name: employee.actor for name, employee in staff.items()})
    for kind, subject, title, content in _rules(hired.year, today.year + 1):
        desk.rule(kind, subject, title, content, at=hired)
    first = desk.on_notice(_table(1, grams=12, first_day=today - timedelta(days=10)), since=42, today=today)
    until = stage.play(lambda call: call.db.get_one(Publication, first).notice_until, at=hired)
    over = shanghai((until or today) + timedelta(days=1), "10:00")
    stage.play(lambda call: publish_factor_table(call, first, reason=REASON), at=over, actor=desk.publisher)
    second = desk.on_notice(_table(2, grams=15, first_day=today + timedelta(days=40)), since=2, today=today)
    citizen = _speaks(Role.CITIZEN, stage, residents[3].id)
    enterprise = _speaks(Role.DONOR, stage, residents[3].id, organisation_id=enterprise_id)
    heard = desk.objects(second, citizen, "每瓶 15 克是按几毫升的瓶子算的?", at=_day(today, 1, "09:30"))
    desk.play(
        desk.reviewer,
        _day(today, 1, "16:00"),
        lambda call: answer(call, heard, ruling="dismissed", body="按 500 毫升一次性瓶计,见编制说明。"),
    )
    desk.objects(second, enterprise, "希望写明大桶装水是否适用。", at=_day(today, 1, "17:30"))
    return Province(**staff, notice=public_id(PREFIX, second))


@dataclass(frozen=True)
class _Desk:
    """The three who publish, and the way they go."""

    stage: Stage
    editor: Actor
    reviewer: Actor
    publisher: Actor

    def play(self, actor: Actor, at: datetime, work: Callable[[Call], Any]) -> Any:
        return self.stage.play(work, at=at, actor=actor)

    def rule(self, kind: str, subject: str, title: str, content: dict[str, Any], *, at: datetime) -> None:
        """Publish a rule as two persons: the procedure comes last."""
        proposal = Draft(
            region_id=PROVINCE,
            kind=kind,
            subject=subject,
            title=title,
            content=content,
            source=SOURCE,
            effective_from=at.date(),
            assumption=MADE_UP if kind == CALENDAR else None,
        )
        made = self.play(self.editor, at, lambda call: draft(call, proposal).id)
        self.play(self.publisher, at + timedelta(hours=1), lambda call: publish(call, made, reason=REASON))

    def on_notice(self, text: str, *, since: int, today: date) -> UUID:
        """Draft a table, have it reviewed, and put it on notice `since` days ago."""
        bundle = read_bundle(text.encode(), form="yaml")
        drafted, read = _day(today, since + 2, "10:00"), _day(today, since + 1, "15:00")
        table: UUID = self.play(self.editor, drafted, lambda call: draft_factor_table(call, bundle).id)
        self.play(self.editor, drafted, lambda call: submit(call, table, reason="请审核 / please review"))
        said = "算例已按单位复核 / the example was recomputed by its units"
        self.play(self.reviewer, read, lambda call: comment(call, table, body=said, about="DEMO-BOTTLE"))
        self.play(self.reviewer, read, lambda call: approve(call, table, reason=REASON))
        given = _day(today, since, "10:00")
        self.play(self.publisher, given, lambda call: give_notice(call, table, reason="公示七个工作日"))
        return table

    def objects(self, table: UUID, by: Actor, text: str, *, at: datetime) -> UUID:
        """Somebody objects; gives the objection."""
        raised: UUID = self.play(by, at, lambda call: raise_objection(call, table, body=text).id)
        return raised


def _rules(first_year: int, last_year: int) -> list[tuple[str, str, str, dict[str, Any]]]:
    years = [
        (CALENDAR, subject_of(year), f"{year} 年工作日历 / Calendar of {year}", _year(year))
        for year in range(first_year, last_year + 1)
    ]
    return [*years, (PROCEDURE, "standard", "审核与公示 / review and notice", CONTENT)]


def _year(year: int) -> dict[str, Any]:
    """A year with three holidays; the weekend days around the long one are worked."""
    holidays = [(1, 1), *((5, day) for day in range(1, 4)), *((10, day) for day in range(1, 8))]
    before, after = date(year, 9, 30), date(year, 10, 8)
    sunday = before - timedelta(days=(before.weekday() + 1) % 7)
    saturday = after + timedelta(days=(5 - after.weekday()) % 7)
    return {
        "year": year,
        "holidays": [date(year, *day).isoformat() for day in holidays],
        "workdays": [sunday.isoformat(), saturday.isoformat()],
    }


def _table(edition: int, *, grams: int, first_day: date) -> str:
    return TABLE.format(edition=edition, grams=grams, twice=2 * grams, first_day=first_day)


def _speaks(role: Role, stage: Stage, person: UUID, *, organisation_id: UUID | None = None) -> Actor:
    return Actor(
        kind=ACTOR_KINDS[role],
        id=person,
        region_id=stage.region,
        organisation_id=organisation_id,
        permissions=PERMISSIONS[role],
    )


def _day(today: date, ago: int, clock: str) -> datetime:
    return shanghai(today - timedelta(days=ago), clock)
