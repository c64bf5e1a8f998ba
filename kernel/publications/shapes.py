"""What each kind of rule says, field by field; a draft in any other shape is refused."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kernel.errors import require
from kernel.publications.errors import RuleContentWrong, RuleKindUnknown
from kernel.publications.rates import beyond_limits
from kernel.publications.working_calendars import FIRST_YEAR, LAST_YEAR, calendar_fault

SLOTS = ("five_minutes", "day", "month")
RECORDS_A_DAY, METRES_AN_HOUR = "records_a_day", "metres_an_hour"
FACTOR_TABLE = "factor_table"
"""Its rows are checked where factors are known, when it is published."""
_MOST = 10**15
_MONTHS = 12
_WEEKDAYS = 7


@dataclass(frozen=True)
class Part:
    """One field of a rule: what fits it, and the same as JSON Schema says it."""

    fits: Callable[[Any], bool]
    schema: Mapping[str, Any]
    is_: str
    """What fits, as a refusal says it."""


def _whole(says: str, least: int = 1, most: int = _MOST) -> Part:
    schema = {"type": "integer", "minimum": least, "maximum": most, "description": says}
    return Part(
        lambda value: type(value) is int and least <= value <= most,
        schema,
        f"a whole number from {least} to {most}",
    )


def _text(says: str) -> Part:
    return Part(
        lambda value: isinstance(value, str) and bool(value),
        {"type": "string", "minLength": 1, "description": says},
        "a text",
    )


def _texts(says: str) -> Part:
    def fit(value: Any) -> bool:
        return (
            isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)
        )

    items = {"type": "string", "minLength": 1}
    return Part(fit, {"type": "array", "minItems": 1, "items": items, "description": says}, "a list of texts")


def _days(says: str) -> Part:
    def fit(value: Any) -> bool:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)

    items = {"type": "string", "format": "date"}
    return Part(fit, {"type": "array", "items": items, "description": says}, "a list of days")


def _some_of(says: str, *options: str) -> Part:
    def fit(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and len(value) == len({*map(str, value)} & {*options})

    schema = {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "string", "enum": list(options)},
        "description": says,
    }
    return Part(fit, schema, f"a list of some of {', '.join(options)}, each once")


def _by_month(says: str) -> Part:
    items = {"type": "integer", "minimum": 0, "maximum": _MOST}
    return Part(
        lambda value: (
            isinstance(value, list)
            and len(value) == _MONTHS
            and all(type(each) is int and 0 <= each <= _MOST for each in value)
        ),
        {"type": "array", "minItems": _MONTHS, "maxItems": _MONTHS, "items": items, "description": says},
        f"{_MONTHS} whole numbers from 0 to {_MOST}",
    )


def _choice(says: str, *options: str) -> Part:
    schema = {"type": "string", "enum": list(options), "description": says}
    return Part(lambda value: value in options, schema, f"one of {', '.join(options)}")


@dataclass(frozen=True)
class Shape:
    """A kind of rule: what it rules, what its subject names, its fields, and one content of them."""

    says: str
    subject: str
    parts: Mapping[str, Part]
    example: Mapping[str, Any]


SHAPES: Mapping[str, Shape] = {
    "coin_rate": Shape(
        "How many coins kilograms are worth",
        "`standard`",
        {
            "coins_milli": _whole("milli-coins that `per_mg` milligrams bring"),
            "per_mg": _whole("milligrams CO2e"),
        },
        {"coins_milli": 1000, "per_mg": 10_000},
    ),
    "cap": Shape(
        "The most coins a citizen gets for some scenarios in a day or month; kilograms are never capped",
        "a name of yours for the group, such as `transit`",
        {
            "scenarios": _texts("each once; a scenario has one cap at a time"),
            "period": _choice("of the calendar, in Shanghai's days", "day", "month"),
            "coins_milli": _whole("milli-coins a citizen and period", 0),
        },
        {"scenarios": ["metro_ride", "bus_ride"], "period": "day", "coins_milli": 30_000},
    ),
    "validity": Shape(
        "When coins end: with the last day of so many months after the month they came in",
        "the class of coins: `standard` or `promotional`",
        {"months": _whole("calendar months", 1, 119)},
        {"months": 24},
    ),
    "prepare_lock": Shape(
        "How long a scan reserves a voucher before it is confirmed",
        "`standard`",
        {"seconds": _whole("seconds", 1, 3600)},
        {"seconds": 60},
    ),
    "reversal_window": Shape(
        "How long a merchant may undo a redemption",
        "`standard`",
        {"hours": _whole("hours", 1, 24 * 31)},
        {"hours": 24},
    ),
    "grace": Shape(
        "How long coins live that come back when their own day is over",
        "`standard`",
        {"days": _whole("days", 1, 366)},
        {"days": 30},
    ),
    "factor_fallback": Shape(
        "Whose factor a scenario takes where this region has published none",
        "the scenario",
        {"region_id": _text("another region that is known here")},
        {"region_id": "CN"},
    ),
    "evidence_tier": Shape(
        "How much of the assessed kilograms, and so of the coins, counts for evidence of a tier",
        "the tier, such as `self_check_in`; without a rule only `device_verified` counts, in full",
        {"share_permille": _whole("thousandths of the assessed kilograms that count", 1, 1000)},
        {"share_permille": 500},
    ),
    "trip_claims": Shape(
        "Of which scenarios a citizen has one at a time, whoever sends it; without a rule that is not asked",
        "the mode class, such as `rail`",
        {
            "scenarios": _texts("which are alike: one excludes the others at that time"),
            "slot": _choice("what one claims: trips their time, others whole days or months", *SLOTS),
        },
        {"scenarios": ["metro_ride"], "slot": "five_minutes"},
    ),
    "automatic_hold": Shape(
        "Which records are put on hold as they come in, until a person decides; nothing is without a rule",
        "a name of yours, such as `cycling_speed`; a successor goes on counting where this one ends",
        {
            "scenarios": _texts("each once; what is counted or measured together"),
            "measure": _choice(
                "a citizen's new records of a day, or how fast one was between its start and its end",
                RECORDS_A_DAY,
                METRES_AN_HOUR,
            ),
            "most": _whole("records a day, or metres an hour: what is beyond it is held", 1, 1_000_000),
        },
        {"scenarios": ["shared_bike_ride"], "measure": METRES_AN_HOUR, "most": 45_000},
    ),
    "offline": Shape(
        "What terminals may honour without asking, and who bears a voucher that was honoured twice",
        "`standard`",
        {
            "face_fen": _whole("the dearest voucher that is honoured offline, in fen"),
            "redemptions": _whole("the most a terminal honours until it hands them in", 1, 200),
            "total_fen": _whole("the most of them in fen, each counted as the dearest"),
            "sync_hours": _whole("hours within which they are handed in", 1, 24 * 7),
            "liable": _choice("who bears a second use: the merchant, or the funders", "merchant", "funders"),
        },
        {"face_fen": 2000, "redemptions": 50, "total_fen": 50_000, "sync_hours": 24, "liable": "funders"},
    ),
    "waiting_list": Shape(
        "How long a reward that came back is held for the citizen who waits for it longest",
        "`standard`",
        {"hold_minutes": _whole("minutes; by the reward's hours of exchange, if it has any", 5, 4320)},
        {"hold_minutes": 120},
    ),
    "settlement": Shape(
        "When merchants are settled, what that costs and brings, and how long they may dispute it",
        "`standard`",
        {
            "period": _choice("how long a period is", "daily", "weekly", "monthly"),
            "last_day": _whole(
                "the last day of a week (1 is Monday) or of a month (a month that is shorter ends on its own"
                " last day); of a day it says nothing",
                1,
                31,
            ),
            "close_days": _whole("days after the last day of a period until it is closed", 1, 60),
            "dispute_days": _whole("days after the closing within which a merchant may dispute it", 1, 60),
            "silence": _choice("what silence until then does", "confirms", "waits"),
            "fee_basis_points": _whole(
                "of the cost of uses that stand, in hundredths of a percent", 0, 10_000
            ),
            "fee_fen_each": _whole("besides, fen a use that stands", 0, 1_000_000),
            "fee_bearer": _choice("who pays the fee to the operation centre", "merchant", "funders"),
            "subsidy_basis_points": _whole("of the same cost, for the merchant", 0, 10_000),
            "subsidy_fen_each": _whole("besides, fen a use that stands, for the merchant", 0, 1_000_000),
            "subsidy_bearer": _choice("who pays the subsidy", "funders", "centre"),
        },
        {
            "period": "monthly",
            "last_day": 31,
            "close_days": 3,
            "dispute_days": 10,
            "silence": "confirms",
            "fee_basis_points": 60,
            "fee_fen_each": 0,
            "fee_bearer": "merchant",
            "subsidy_basis_points": 0,
            "subsidy_fen_each": 10,
            "subsidy_bearer": "funders",
        },
    ),
    "spending_order": Shape(
        "Which coins are spent first",
        "`standard`",
        {"classes": _texts("`promotional` and `standard`, each once, first spent first")},
        {"classes": ["promotional", "standard"]},
    ),
    "working_calendar": Shape(
        "Which days of a year are worked, as the State Council arranges them",
        "`year_` and the year, such as `year_2027`",
        {
            "year": _whole("the year", FIRST_YEAR, LAST_YEAR),
            "holidays": _days("days that are not worked; Saturdays and Sundays need not be named"),
            "workdays": _days("Saturdays and Sundays that are worked (调休)"),
        },
        {"year": 2027, "holidays": ["2027-01-01"], "workdays": ["2027-01-03"]},
    ),
    "publication_procedure": Shape(
        "What comes between a draft and its publication",
        "`standard`, or a kind of publication that goes its own way, such as `factor_table`",
        {
            "review": _choice("who must approve a draft first", "third_person", "nobody"),
            "notice_days": _whole("working days of public notice", 0, 60),
            "objections": _choice("what objections do", "must_be_answered", "are_noted"),
        },
        {"review": "third_person", "notice_days": 7, "objections": "must_be_answered"},
    ),
    "household_saving": Shape(
        "How a household's saving is measured, and who may save; base units are Wh, ml or kJ",
        "the scenario, such as `household_electricity_saving`",
        {
            "baselines": _some_of(
                "what use is compared with: the first that can be had",
                "own_same_month",
                "city_person_day",
                "own_seven_days",
            ),
            "where_not_below": _choice(
                "where use is not below a baseline: no saving, or a look at the next one", "stop", "next"
            ),
            "own_years": _whole("years of the own past whose same month counts", 1, 2),
            "city_person_day": _by_month("base units that a person uses a day here, from January on"),
            "standard_use_permille": _whole(
                "of the city's use: what a frugal home uses less has a line of its own; 0 is none", 0, 1000
            ),
            "maintenance_periods": _whole("successes in a row before a level is held", 1, 24),
            "maintenance_below_permille": _whole("of the baseline: a success saves as much", 1, 1000),
            "maintenance_permille": _whole(
                "of what was saved in those: who holds the level has it once; 0 is none", 0, 1000
            ),
            "person_day_least": _whole("base units a person and day; who uses less does not live there", 0),
            "price_tier_most": _whole("homes in a higher tier of the price save nothing", 1, 9),
            "solar": _choice("homes with solar panels", "excluded", "eligible"),
            "use_day_most": _whole("base units a meter and day that are plausible"),
            "reading_days_most": _whole("days between two readings that are shared out evenly", 1, 400),
            "settle_days": _whole("days after a month before it is judged", 0, 90),
        },
        {
            "baselines": ["own_same_month", "city_person_day"],
            "where_not_below": "stop",
            "own_years": 2,
            "city_person_day": [2600, 2600, 2600, 2800, 3400, 4400, 5200, 5200, 4300, 3400, 2800, 2600],
            "standard_use_permille": 500,
            "maintenance_periods": 2,
            "maintenance_below_permille": 50,
            "maintenance_permille": 200,
            "person_day_least": 300,
            "price_tier_most": 2,
            "solar": "excluded",
            "use_day_most": 100_000,
            "reading_days_most": 62,
            "settle_days": 2,
        },
    ),
}
"""Every kind of rule. Amounts are milli-coins and milligrams; a validity ends within ten years."""


def check_content(kind: str, content: Mapping[str, Any]) -> None:
    """Refuses RuleKindUnknown, and RuleContentWrong with the field at fault."""
    if kind == FACTOR_TABLE:
        require(isinstance(content.get("rows"), list), RuleContentWrong("rows are missing", pointer="/rows"))
        return
    shape = SHAPES.get(kind)
    if shape is None:
        raise RuleKindUnknown(f"{kind!r:.40}")
    for name, part in shape.parts.items():
        wrong = RuleContentWrong(f"{name} of a {kind} is {part.is_}", pointer=f"/content/{name}")
        require(part.fits(content.get(name)), wrong)
    unknown = sorted(set(content) - set(shape.parts))
    require(not unknown, RuleContentWrong(f"unknown: {', '.join(unknown)}", pointer="/content"))
    too_much = beyond_limits(content) if kind == "coin_rate" else None
    require(too_much is None, RuleContentWrong(too_much or "", pointer="/content/coins_milli"))
    fault = calendar_fault(content) if kind == "working_calendar" else None
    if kind == "settlement" and content["period"] == "weekly":
        wrong = RuleContentWrong("last_day of a week is 1 to 7", pointer="/content/last_day")
        require(content["last_day"] <= _WEEKDAYS, wrong)
    if fault is not None:
        raise RuleContentWrong(f"{fault[0]} of a {kind} are {fault[1]}", pointer=f"/content/{fault[0]}")


def content_schema() -> dict[str, Any]:
    """`content` as JSON Schema: one object a kind."""
    kinds = [
        {
            "title": kind,
            "description": f"{shape.says}. The subject is {shape.subject}.",
            "type": "object",
            "properties": {name: dict(part.schema) for name, part in shape.parts.items()},
            "required": list(shape.parts),
            "additionalProperties": False,
            "examples": [dict(shape.example)],
        }
        for kind, shape in SHAPES.items()
    ]
    return {"description": "What a rule of its kind says.", "oneOf": kinds}
