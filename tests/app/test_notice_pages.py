"""Notices as anybody opens them: what is proposed, until when one may object, what objections came to."""

from datetime import timedelta
from typing import Any

import pytest

from app.public.rule_words import rule_in_words
from kernel.clock import FixedClock
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.app.procedure import (
    LAST_DAY,
    WHY,
    answer_to,
    done,
    objection,
    on_notice,
    plant_procedure,
    step,
    verdict,
)
from tests.app.test_public_pages import HOSTILE, reading
from tests.carbon.test_factor_routes import TABLES, TEXT, YES

__all__ = ["desk"]


def table_on_notice(desk: Desk) -> str:
    table = str(done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"])
    done(step(desk, "editor", table, "submission"))
    done(verdict(desk, table))
    done(step(desk, "publisher", table, "notice"))
    return table


def test_nothing_on_notice_is_said(desk: Desk) -> None:
    assert "目前没有公示中的内容" in reading(desk.product, "/notices")
    assert "目前没有公示中的内容" in reading(desk.product, "/notices?region=CN-GD")
    reading(desk.product, "/notices?region=CN-XX", 404)
    reading(desk.product, "/notices/pub_" + "0" * 26, 404)


def test_a_table_on_notice_is_read_whole_with_its_objections(desk: Desk, clock: FixedClock) -> None:
    desk.database.run(plant_procedure)
    table, rule = table_on_notice(desk), on_notice(desk)
    listing = reading(desk.product, "/notices")
    for said in (f"/notices/{table}", f"/notices/{rule}", LAST_DAY, "公示中", "Coin rate", "拟自 2027-01-01"):
        assert said in listing, said
    first = done(objection(desk, table, text=HOSTILE))["id"]
    second = done(objection(desk, table, "donor", text="nobody has answered this"))["id"]
    assert first != second
    done(answer_to(desk, table, first))
    page = reading(desk.product, f"/notices/{table}")
    for said in (
        "SZ-METRO-2021",
        "46.7",
        "共 2 件，待答复 1 件",
        "it is the same as before",
        "未采纳",
        "如何提出异议",
    ):
        assert said in page, said
    assert "nobody has answered this" not in page
    assert "alert(1)" in page
    assert "发布于" not in page
    clock.advance(timedelta(days=20))
    over = reading(desk.product, f"/notices/{table}")
    assert "公示期满" in over
    assert "如何提出异议" not in over
    done(answer_to(desk, table, second))
    done(step(desk, "publisher", table, "publication", YES))
    reading(desk.product, f"/notices/{table}", 404)
    published = reading(desk.product, f"/factors/{table}")
    for said in ("公示 put on notice", "审核通过 approved", "发布于"):
        assert said in published, said


def test_a_rule_on_notice_is_said_in_words(desk: Desk) -> None:
    desk.database.run(plant_procedure)
    page = reading(desk.product, f"/notices/{on_notice(desk)}")
    assert "10 克 = 2 枚碳币" in page
    assert "尚无异议" in page
    rules = reading(desk.product, "/rules")
    assert "因子表与规则发布前须经第三人审核、公示 7 个工作日、答复全部异议" in rules


def test_a_withdrawn_table_and_rule_say_so_and_why(desk: Desk) -> None:
    table = done(desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": TEXT}))["id"]
    done(step(desk, "publisher", table, "publication", YES))
    body = {"from_day": "2026-11-30", "reason": "the document was withdrawn"}
    done(step(desk, "publisher", table, "withdrawal", body))
    page = reading(desk.product, f"/factors/{table}")
    assert "自 2026-11-30 起撤回" in page
    assert "the document was withdrawn" in page
    desk.database.run(lambda call: plant_procedure(call, subject="grace"))
    rule = next(
        each["id"]
        for each in desk.ask("", "GET", "/v1/public/rules").json["items"]
        if each["kind"] == "working_calendar"
    )
    done(step(desk, "publisher", rule, "withdrawal", {"from_day": "2026-11-30", **WHY}))
    assert "自 2026-11-30 起撤回" in reading(desk.product, "/rules")


@pytest.mark.parametrize(
    ("kind", "subject", "content", "zh", "en"),
    [
        (
            "working_calendar",
            "year_2026",
            {"year": 2026, "holidays": ["2026-01-01"] * 3, "workdays": ["2026-01-04"] * 2},
            "2026 年放假 3 天、调休上班 2 天",
            "in 2026, 3 days off and 2 weekend days",
        ),
        (
            "publication_procedure",
            "factor_table",
            {"review": "nobody", "notice_days": 5, "objections": "are_noted"},
            "因子表发布前须经公示 5 个工作日",
            "before a factor table is published, 5 working days of public notice pass",
        ),
        (
            "publication_procedure",
            "grace",
            {"review": "nobody", "notice_days": 0, "objections": "must_be_answered"},
            "grace 类内容由第二人发布",
            "of kind grace is published by a second person",
        ),
    ],
)
def test_calendars_and_procedures_are_said_with_their_own_figures(
    kind: str, subject: str, content: dict[str, Any], zh: str, en: str
) -> None:
    said = rule_in_words(Publication(kind=kind, subject=subject, content=content, title="t"), {})
    assert zh in said.zh
    assert en in said.en
