"""What the demo city publishes: regions, signing keys, factor tables and the rules of coins and vouchers.

Every table and rule is drafted by one operator and published by another, as in a real city.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from app.demo.correction import MISPRINTED, misprint
from app.demo.doubts import RULES as DOUBTS
from app.demo.regions import REGIONS
from app.demo.stage import Stage
from carbon.factors.bundle_files import read_shipped_bundle, shipped_bundle_names
from carbon.factors.factor_rows import Bundle
from carbon.factors.publication import draft_factor_table, publish_factor_table
from kernel.actor import Actor
from kernel.call import Call
from kernel.clock import day_bounds
from kernel.identifiers import new_id
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.shapes import SHAPES
from kernel.signing import Purpose
from kernel.tenancy import Region

TRANSIT = ["metro_ride", "bus_ride", "bus_ride_measured", "shared_bike_ride", "shared_ebike_ride"]
HOUSEHOLD = ["household_electricity_saving", "household_water_saving"]
RULES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("coin_rate", "standard", "1 碳币 = 10 克 / 1 coin for 10 g", {"coins_milli": 1000, "per_mg": 10_000}),
    (
        "cap",
        "transit",
        "出行每人每日 30 碳币 / transit: 30 coins a citizen and day",
        {"scenarios": TRANSIT, "period": "day", "coins_milli": 30_000},
    ),
    (
        "cap",
        "household",
        "家庭每人每月 100 碳币 / household: 100 coins a citizen and month",
        {"scenarios": HOUSEHOLD, "period": "month", "coins_milli": 100_000},
    ),
    ("validity", "standard", "入账后第 24 个月末 / to the end of the 24th month", {"months": 24}),
    ("validity", "promotional", "入账后第 3 个月末 / to the end of the 3rd month", {"months": 3}),
    ("prepare_lock", "standard", "扫码预留 60 秒 / a scan reserves for 60 s", {"seconds": 60}),
    ("reversal_window", "standard", "24 小时内可冲正 / reversal within 24 h", {"hours": 24}),
    ("grace", "standard", "退回碳币宽限 30 天 / 30 days of grace", {"days": 30}),
    ("reminders", "standard", "提前 30/7/1 天提醒 / reminders 30, 7 and 1 days ahead", {"days": [30, 7, 1]}),
    (
        "waiting_list",
        "standard",
        "候补保留 120 分钟 / what comes back is held for 120 min",
        {"hold_minutes": 120},
    ),
    (
        "offline",
        "standard",
        "断网核销每台终端 50 张、500 元 / offline: 50 vouchers, 500 yuan a terminal",
        {"face_fen": 2000, "redemptions": 50, "total_fen": 50_000, "sync_hours": 24, "liable": "funders"},
    ),
    (
        "settlement",
        "standard",
        "商户按月结算 / merchants are settled by the month",
        dict(SHAPES["settlement"].example),
    ),
    (
        "spending_order",
        "standard",
        "先用活动碳币 / promotional coins first",
        {"classes": ["promotional", "standard"]},
    ),
    (
        "household_saving",
        "household_electricity_saving",
        "家庭用电以自家往年同月为基准 / household electricity: the own same month of former years",
        {**SHAPES["household_saving"].example, "baselines": ["own_same_month", "city_person_day"]},
    ),
    *(
        ("factor_fallback", scenario, f"{scenario} → {region}", {"region_id": region})
        for scenario, region in (
            ("household_electricity_saving", "CN-GD"),
            ("household_water_saving", "CN"),
            ("shared_bike_ride", "CN"),
            ("shared_ebike_ride", "CN"),
            ("parcel_box_returned", "CN"),
        )
    ),
)
"""Kind, subject, title and content of each rule of the city."""
ELSEWHERE: tuple[tuple[str, str, str, str, dict[str, Any]], ...] = (
    (
        "CN-SH",
        "household_saving",
        "household_electricity_saving",
        "上海: 第三档与自有光伏不适用 / Shanghai: no third price tier, no solar panels",
        {**SHAPES["household_saving"].example, "price_tier_most": 2, "solar": "excluded"},
    ),
)
"""The same of other regions, whose worked examples ask for a rule; the region's code first."""
IN_FORCE_FROM = date(2024, 1, 1)
SOURCE = "示例城市运营规则 2024 年第 1 号 / Rules of the demo city, 2024 no. 1"
REASON = "经复核,同意发布 / checked by a second person"


def found_city(stage: Stage, *, at: datetime) -> None:
    """Enter the regions and make the first signing keys."""

    def work(call: Call) -> None:
        for region_id, parent, name_zh, name_en in REGIONS:
            row = Region(id=region_id, parent_id=parent, name_zh=name_zh, name_en=name_en, holder_id=new_id())
            call.db.add(row)
            call.db.flush()  # a child's foreign key needs its parent
        for purpose in Purpose:
            call.keys.add_key(call.db, purpose, now=call.now, signs_from=call.now)

    stage.play(work, at=at)


def publish_rules(stage: Stage, *, at: datetime, editor: Actor, publisher: Actor) -> None:
    """Draft and publish the city's rules."""
    here = [(stage.region, *rule) for rule in (*RULES, *DOUBTS)]

    def written(call: Call) -> list[Any]:
        return [
            draft(
                call,
                Draft(
                    region_id=region,
                    kind=kind,
                    subject=subject,
                    title=title,
                    content=content,
                    source=SOURCE,
                    effective_from=IN_FORCE_FROM,
                ),
            ).id
            for region, kind, subject, title, content in (*here, *ELSEWHERE)
        ]

    drafts = stage.play(written, at=at, actor=editor)
    stage.play(
        lambda call: [publish(call, each, reason=REASON) for each in drafts],
        at=at + timedelta(hours=1),
        actor=publisher,
    )


def publish_factors(stage: Stage, *, since: datetime, editor: Actor, publisher: Actor) -> None:
    """Draft and publish every shipped factor table, each no sooner than the day it is in force from.

    One is misprinted, and corrected later: see `correction`.
    """
    for bundle, at in sorted(_dated(since), key=lambda pair: pair[1]):

        def drafted(call: Call, bundle: Bundle = bundle) -> Any:
            return draft_factor_table(call, bundle).id

        table = stage.play(drafted, at=at, actor=editor)

        def published(call: Call, table: Any = table) -> None:
            publish_factor_table(call, table, reason=REASON)

        stage.play(published, at=at + timedelta(hours=1), actor=publisher)


def _dated(since: datetime) -> Iterator[tuple[Bundle, datetime]]:
    for name in shipped_bundle_names():
        bundle = misprint() if name == MISPRINTED else read_shipped_bundle(name)
        first = since if bundle.valid_from is None else day_bounds(bundle.valid_from)[0]
        yield bundle, max(since, first)
