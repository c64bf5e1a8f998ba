"""The demo's donated project: declared by an enterprise, approved by another, given, and shared out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from app.demo.people import Employee
from app.demo.stage import Stage, month_start
from carbon.donations.allocation import allocate
from carbon.donations.giving import DONATION, Declaration, declare, donate, fill_pool
from carbon.donations.giving import approve as approve_project
from kernel.actor import Actor
from kernel.identifiers import public_id

TONNE = 1_000_000_000
"""Milligrams."""


@dataclass(frozen=True)
class Gift:
    """A donation's public certificate."""

    certificate: str


def give(
    stage: Stage, *, today: date, at: datetime, enterprise_id: UUID, donor: Employee, publisher: Actor
) -> Gift:
    """Declare a year of a lighting retrofit, approve it, and give a third of it to the pool."""
    declaration = Declaration(
        enterprise_id=enterprise_id,
        enterprise_name="示例制造企业",
        project_key="DEMO-RETROFIT-0001",
        title="厂房照明节能改造 / Lighting retrofit of a works",
        dossier="LED 替换 3,200 盏,前后各计量一年 / 3,200 lamps replaced, metered before and after",
        period_start=month_start(today, -20),
        period_end=month_start(today, -8),
        carbon_mg=90 * TONNE,
        verifier="示例核查机构 / Example verification body",
        verification_document="DEMO-VER-2026-001",
        exclusivity_statement="该减排量未在其他机制申报、出售或抵销 / Claimed, sold and retired nowhere else",
    )
    project = stage.play(lambda call: declare(call, declaration).id, at=at, actor=donor.actor)
    stage.play(
        lambda call: approve_project(call, project, reason="资料齐备 / the dossier is complete"),
        at=at + timedelta(days=2),
        actor=publisher,
    )
    given = stage.play(
        lambda call: donate(call, project, carbon_mg=30 * TONNE).id,
        at=at + timedelta(days=3),
        actor=donor.actor,
    )
    stage.play(lambda call: fill_pool(call, stage.region), at=at + timedelta(days=3, minutes=1))
    return Gift(public_id(DONATION, given))


def share_out(
    stage: Stage, citizens: Sequence[UUID], *, grams_each: int, reason: str, at: datetime, by: Actor
) -> None:
    """Give each citizen a share of the pool."""
    stage.play(
        lambda call: allocate(call, citizens, carbon_mg_each=1000 * grams_each, reason=reason),
        at=at,
        actor=by,
    )
