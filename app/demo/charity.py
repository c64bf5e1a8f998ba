"""The demo's donations: declared with documents, approved, given, planned for, shared out; one withdrawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from uuid import UUID

from app.demo.people import Employee
from app.demo.stage import Stage, month_start
from carbon.donations.allocation import allocate
from carbon.donations.claims import NO_CLAIMS, Claims, Meter, Registration
from carbon.donations.documents import add_document
from carbon.donations.giving import DONATION, Declaration, declare, donate, fill_pool, find_project
from carbon.donations.giving import approve as approve_project
from carbon.donations.plan import Line, plan
from carbon.donations.withdrawal import withdraw
from kernel.actor import Actor
from kernel.call import Call
from kernel.identifiers import public_id

TONNE = 1_000_000_000
"""Milligrams."""


@dataclass(frozen=True)
class Gift:
    """A donation and its public certificate."""

    id: UUID
    certificate: str


@dataclass(frozen=True, kw_only=True)
class Charity:
    """Who gives and who decides, and for which enterprise."""

    enterprise_id: UUID
    donor: Employee
    publisher: Actor


def give(stage: Stage, charity: Charity, *, today: date, at: datetime) -> Gift:
    """Declare a year of a lighting retrofit with its documents, approve it, and give a third of it."""
    project = Declaration(
        enterprise_id=charity.enterprise_id,
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
    claims = Claims(
        meters=(Meter(counts="electricity", number="DEMO-WORKS-0001"),),
        registrations=(Registration(scheme="green_certificate", number="DEMO-GEC-2025-0001"),),
        secret=stage.card_secret,
    )
    return _given(stage, charity, project, claims, carbon_mg=30 * TONNE, at=at)


def give_what_is_withdrawn(stage: Stage, charity: Charity, *, today: date, at: datetime) -> Gift:
    """Give a hundred kilograms of a project that turns out to be counted elsewhere, later."""
    project = Declaration(
        enterprise_id=charity.enterprise_id,
        enterprise_name="示例制造企业",
        project_key="DEMO-RETROFIT-0002",
        title="空压机余热回收 / Heat recovered from compressors",
        dossier="余热用于职工浴室热水 / The heat warms the works' showers",
        period_start=month_start(today, -20),
        period_end=month_start(today, -14),
        carbon_mg=TONNE // 10,
        verifier="示例核查机构 / Example verification body",
        verification_document="DEMO-VER-2026-002",
        exclusivity_statement="该减排量未在其他机制申报、出售或抵销 / Claimed, sold and retired nowhere else",
    )
    return _given(stage, charity, project, NO_CLAIMS, carbon_mg=TONNE // 10, at=at)


def take_back(stage: Stage, gift: Gift, *, at: datetime, by: Actor) -> None:
    """Withdraw what nobody got of a gift."""
    reason = "复核发现部分期间已在其他平台申报 / days of it were found on another platform"
    stage.play(
        lambda call: withdraw(call, gift.id, cause="claimed_elsewhere", reason=reason).donation_id,
        at=at,
        actor=by,
    )


def plan_spending(stage: Stage, *, today: date, at: datetime, by: Actor) -> UUID:
    """Publish two lines of the spending plan; the id of the one that people get shares of."""
    commute = Line(
        key="green-travel",
        title_zh="绿色出行",
        title_en="Green travel",
        purpose_zh="奖励坚持乘坐公共交通的市民",
        purpose_en="For citizens who keep to public transport",
        budget_mg=TONNE,
        starts_on=month_start(today, -7),
        ends_on=month_start(today, 6),
    )
    winter = Line(
        key="winter-help",
        title_zh="冬季关怀",
        title_en="Winter help",
        purpose_zh="按需分给困难家庭",
        purpose_en="By need, for households in difficulty",
        budget_mg=2 * TONNE,
        starts_on=month_start(today, 1),
        ends_on=month_start(today, 4),
    )
    lines = [stage.play(partial(_planned, line), at=at, actor=by) for line in (commute, winter)]
    return lines[0]


def _planned(line: Line, call: Call) -> UUID:
    return plan(call, line).id


def _given(
    stage: Stage, charity: Charity, declaration: Declaration, claims: Claims, *, carbon_mg: int, at: datetime
) -> Gift:
    donor, publisher = charity.donor.actor, charity.publisher
    project = stage.play(lambda call: declare(call, declaration, claims).id, at=at, actor=donor)
    for kind in ("verification_report", "baseline"):
        content = one_page_pdf(f"{declaration.verification_document} {kind}: an example, no real report")
        stage.play(partial(_add, project, kind, content), at=at + timedelta(hours=1), actor=donor)
    why = "资料齐备 / the dossier is complete"
    stage.play(
        lambda call: approve_project(call, project, reason=why).id, at=at + timedelta(days=2), actor=publisher
    )
    given = stage.play(
        lambda call: donate(call, project, carbon_mg=carbon_mg).id, at=at + timedelta(days=3), actor=donor
    )
    stage.play(lambda call: fill_pool(call, stage.region), at=at + timedelta(days=3, minutes=1))
    return Gift(given, public_id(DONATION, given))


def _add(project_id: UUID, kind: str, content: bytes, call: Call) -> UUID:
    return add_document(call, find_project(call, project_id), kind=kind, content=content).id


def one_page_pdf(line: str) -> bytes:
    """A page of one line of ASCII, small and valid."""
    shown = f"BT /F1 14 Tf 60 760 Td ({line}) Tj ET".encode()
    parts = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        (
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R"
            b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>"
        ),
        b"<</Length %d>>stream\n%s\nendstream" % (len(shown), shown),
    )
    made, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(made))
        made += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    return made + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (size, table, size, len(made))
    )


def share_out(
    stage: Stage,
    citizens: Sequence[UUID],
    *,
    grams_each: int,
    reason: str,
    line: UUID,
    at: datetime,
    by: Actor,
) -> None:
    """Give each citizen a share of the pool, on a line of the plan."""
    stage.play(
        lambda call: allocate(
            call, citizens, carbon_mg_each=1000 * grams_each, reason=reason, campaign_id=line
        ),
        at=at,
        actor=by,
    )
