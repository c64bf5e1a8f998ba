"""A drafted table against what was credited, over HTTP: who asks, what changes, that nothing is written."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.identity.roles import Role
from carbon.activities import routes as face
from carbon.activities.intake import take_chunk
from carbon.activities.simulation.simulation import Limits, Question, read_only, simulate
from carbon.factors.bundles import read_shipped
from carbon.factors.publication import draft_factor_table
from carbon.factors.tables import Factor
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.database import Base
from kernel.identifiers import parse_public_id, public_id
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.city import (
    OFFICIAL,
    RULES,
    City,
    as_operator,
    lines,
    plant_city,
    publish_rule,
    publish_tables,
    ride,
)
from tests.conftest import REGION, Database
from tests.properties.test_simulation import another

__all__ = ["desk"]
TABLES = "/v1/operator/factor-tables"
TEXT = read_shipped(OFFICIAL).decode()
DOUBLED = (
    TEXT.replace('value: "46.7"', 'value: "93.4"')
    .replace('expected: "0.467"', 'expected: "0.934"')
    .replace('expected: "576.6049"', 'expected: "1153.2098"')
)
NOTHING = (
    TEXT.replace('value: "46.7"', 'value: "0"')
    .replace('expected: "0.467"', 'expected: "0"')
    .replace('expected: "576.6049"', 'expected: "0"')
)
_HEAD, _METRO, _MEASURED, _BUS = TEXT.split("  - code: ")
WITHOUT_METRO = f"{_HEAD}  - code: {_MEASURED}  - code: {_BUS}"
NOVEMBER = {"first_day": "2026-11-01", "last_day": "2026-11-30"}
A_KILOMETRE = 46_700
CAP = 30_000
CITIZENS = 12
LISTS = ("by_scenario", "by_region", "by_month", "by_decile", "rises", "falls", "without_row", "refused")


def history(database: Database, citizens: int = CITIZENS) -> City:
    """Each of some citizens rode, a kilometre more than the one before, and the first also none at all."""
    city = database.run(plant_city)
    cards = [f"card-{number:03}" for number in range(citizens)]
    database.run(lambda call: city.bind(call, cards))
    rides = [ride(f"e{number}", card, metres=1_000 * (number + 1)) for number, card in enumerate(cards)]
    unknown = ride("none", cards[0], metres=0)
    database.run(lambda call: take_chunk(call, city.intake(), lines(*rides, unknown)))
    return city


def draft(desk: Desk, text_: str, who: str = "editor") -> str:
    answer = desk.ask(who, "POST", TABLES, {"form": "yaml", "text": text_})
    assert answer.status_code == 201, answer.json
    return str(answer.json["id"])


def ask(desk: Desk, table: str, who: str = "editor", **body: Any) -> Any:
    return desk.ask(who, "POST", f"{TABLES}/{table}/simulation", body or NOVEMBER)


def told(desk: Desk, text_: str, **body: Any) -> dict[str, Any]:
    answer = ask(desk, draft(desk, text_), **body)
    assert answer.status_code == 200, answer.json
    return dict(answer.json)


def coins(carbon_mg: int) -> int:
    return min(carbon_mg // 10, CAP)


def test_a_doubled_factor_doubles_kilograms_and_coins_up_to_the_cap(desk: Desk) -> None:
    history(desk.database)
    result = told(desk, DOUBLED)
    once = [A_KILOMETRE * (number + 1) for number in range(CITIZENS)]
    before, after = sum(map(coins, once)), sum(coins(2 * each) for each in once)
    assert result["totals"] == {
        "activities": CITIZENS + 1,
        "activities_judged_anew": CITIZENS + 1,
        "activities_changed": CITIZENS,
        "activities_order_unknown": 0,
        "citizens": CITIZENS,
        "carbon_mg_before": sum(once),
        "carbon_mg_after": 2 * sum(once),
        "carbon_mg_difference": sum(once),
        "coin_milli_before": before,
        "coin_milli_after": after,
        "coin_milli_difference": after - before,
    }
    sums = {name: value for name, value in result["totals"].items() if name.startswith(("carbon", "coin"))}
    shown = {"activities": CITIZENS + 1, **sums}
    assert result["by_scenario"] == [{"scenario": "metro_ride", **shown}]
    assert result["by_region"] == [{"region": REGION, **shown}]
    assert result["by_month"] == [{"month": "2026-11", **shown}]
    assert (result["citizens_capped_before"], result["citizens_capped_after"]) == (6, 9)
    assert [row["code"] for row in result["rows_unused"]] == ["SZ-BUS-2021", "SZ-BUS-RIDE-4KM"]
    assert (result["standing"], result["without_row"], result["refused"]) == ("draft", [], [])


def test_who_gains_and_loses_is_told_in_whole_figures_and_by_nobodys_name(desk: Desk) -> None:
    history(desk.database)
    answer = ask(desk, draft(desk, DOUBLED))
    rises = answer.json["rises"]
    assert [row["number"] for row in rises] == list(range(1, CITIZENS + 1))
    assert rises[0] == {
        "number": 1,
        "carbon_kg_before": 0,
        "carbon_kg_after": 0,
        "coins_before": 14,
        "coins_after": 28,
    }
    assert answer.json["falls"] == []
    body = answer.get_data(as_text=True)
    named = desk.database.rows("SELECT DISTINCT citizen_id FROM activity")
    assert len(named) == CITIZENS
    for row in named:
        assert str(row.citizen_id) not in body
        assert public_id("", row.citizen_id).lstrip("_") not in body
    assert "card-" not in body


def test_of_few_citizens_nobody_is_told_apart(desk: Desk) -> None:
    history(desk.database, citizens=9)
    result = told(desk, DOUBLED)
    assert (result["totals"]["citizens"], result["totals"]["activities_changed"]) == (9, 9)
    assert (result["rises"], result["falls"], result["by_decile"]) == ([], [], [])


def test_deciles_are_tenths_by_kilograms_and_add_up(desk: Desk) -> None:
    history(desk.database, citizens=105)
    result = told(desk, DOUBLED)
    tenths = result["by_decile"]
    assert [row["decile"] for row in tenths] == list(range(1, 11))
    assert sum(row["citizens"] for row in tenths) == 105
    assert {row["citizens"] for row in tenths} == {10, 11}
    assert sorted(row["carbon_mg_before"] for row in tenths) == [row["carbon_mg_before"] for row in tenths]
    for name in ("carbon_mg_before", "carbon_mg_after", "coin_milli_before", "coin_milli_after"):
        assert sum(row[name] for row in tenths) == result["totals"][name]
    assert len(result["rises"]) == 20


def test_a_draft_that_loses_a_scenario_says_what_would_have_no_row(desk: Desk) -> None:
    history(desk.database)
    result = told(desk, WITHOUT_METRO)
    lost = {
        "scenario": "metro_ride",
        "code": "SZ-METRO-2021",
        "activities": CITIZENS + 1,
        "carbon_mg_before": result["totals"]["carbon_mg_before"],
        "coin_milli_before": result["totals"]["coin_milli_before"],
    }
    assert result["without_row"] == [lost]
    assert (result["refused"], result["rises"]) == ([], [])
    assert (result["totals"]["carbon_mg_after"], result["totals"]["coin_milli_after"]) == (0, 0)
    assert len(result["falls"]) == CITIZENS
    assert result["falls"][0]["coins_before"] == 30
    assert len(result["rows_unused"]) == 2


def test_a_factor_of_zero_leaves_the_activities_and_no_kilograms(desk: Desk) -> None:
    history(desk.database)
    result = told(desk, NOTHING)
    assert (result["totals"]["carbon_mg_after"], result["totals"]["coin_milli_after"]) == (0, 0)
    assert result["totals"]["coin_milli_difference"] == -result["totals"]["coin_milli_before"] < 0
    assert (result["without_row"], result["refused"], result["citizens_capped_after"]) == ([], [], 0)


def test_what_the_method_would_refuse_is_counted_by_its_code(desk: Desk) -> None:
    history(desk.database)
    stricter = TEXT.replace('    value: "46.7"', '    quantity_min: 3000\n    value: "46.7"')
    result = told(desk, stricter)
    below = {"activities": 3, "carbon_mg_before": 3 * A_KILOMETRE, "coin_milli_before": 3 * 4_670}
    assert result["refused"] == [{"scenario": "metro_ride", "code": "quantity_below_limit", **below}]
    assert result["totals"]["carbon_mg_difference"] == -3 * A_KILOMETRE
    assert result["without_row"] == []


def test_a_span_without_activities_is_empty_and_no_fault(desk: Desk) -> None:
    history(desk.database)
    for days in (
        {"first_day": "2020-01-01", "last_day": "2020-12-31"},
        {"first_day": "9999-12-01", "last_day": "9999-12-30"},
        {"first_day": "0001-01-02", "last_day": "0001-01-02"},
    ):
        result = told(desk, DOUBLED, **days)
        assert set(result["totals"].values()) == {0}
        lists = (
            "by_scenario",
            "by_region",
            "by_month",
            "by_decile",
            "rises",
            "falls",
            "without_row",
            "refused",
        )
        assert [result[name] for name in lists] == [[]] * len(lists)
        assert len(result["rows_unused"]) == 3


def test_a_table_counts_from_its_own_day_unless_another_is_asked_for(desk: Desk) -> None:
    history(desk.database)
    table = draft(desk, DOUBLED.replace("2021-12-01", "2027-01-01"))
    its_own = ask(desk, table).json
    assert (its_own["totals"]["activities_judged_anew"], its_own["totals"]["carbon_mg_difference"]) == (0, 0)
    earlier = ask(desk, table, **NOVEMBER, starting_on="2026-11-01").json
    assert earlier["totals"]["carbon_mg_after"] == 2 * earlier["totals"]["carbon_mg_before"]
    too_late = ask(desk, table, **NOVEMBER, starting_on="2026-11-21").json
    assert too_late["totals"]["activities_judged_anew"] == 0


def test_only_who_reads_the_regions_tables_may_ask(desk: Desk) -> None:
    history(desk.database)
    table = draft(desk, DOUBLED)
    desk.hire("elsewhere", Role.OPERATOR_EDITOR, region="CN-GD")
    asked = {
        who: ask(desk, table, who) for who in ("", "citizen", "donor", "elsewhere", "publisher", "auditor")
    }
    assert {who: answer.status_code for who, answer in asked.items()} == {
        "": 401,
        "citizen": 403,
        "donor": 403,
        "elsewhere": 404,
        "publisher": 200,
        "auditor": 200,
    }


def test_a_region_above_sees_what_its_own_table_would_change_below(desk: Desk) -> None:
    history(desk.database)
    desk.hire("national", Role.OPERATOR_EDITOR, region="CN")
    above = draft(desk, DOUBLED.replace("region: CN-GD-SZ", "region: CN"), "national")
    unmoved = ask(desk, above, "national").json
    assert (unmoved["totals"]["activities"], unmoved["totals"]["activities_judged_anew"]) == (CITIZENS + 1, 0)
    assert [row["region"] for row in unmoved["by_region"]] == [REGION]


def test_a_rule_is_no_table_and_an_unknown_id_is_not_found(desk: Desk) -> None:
    history(desk.database)
    rule = desk.database.rows("SELECT id FROM publication WHERE kind = 'cap' LIMIT 1")[0].id
    answers = [ask(desk, each) for each in (public_id("pub", rule), "pub_" + "0" * 26, "x")]
    assert [(answer.status_code, answer.json["code"]) for answer in answers] == [
        (409, "not_a_factor_table"),
        (404, "not_found"),
        (422, "wrong_identifier"),
    ]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({"first_day": "2026-11-30", "last_day": "2026-11-01"}, "span_backwards", "/body/last_day"),
        ({"first_day": "2025-11-01", "last_day": "2026-11-02"}, "span_too_long", "/body/last_day"),
        ({"first_day": "2026-02-30", "last_day": "2026-11-02"}, "request_invalid", "/body/first_day"),
        ({"last_day": "2026-11-02"}, "request_invalid", "/body/first_day"),
        ({**NOVEMBER, "citizen": "x"}, "request_invalid", "/body/citizen"),
        ({**NOVEMBER, "starting_on": 5}, "request_invalid", "/body/starting_on"),
    ],
)
def test_a_span_that_cannot_be_is_refused_with_its_place(
    desk: Desk, body: dict[str, Any], code: str, pointer: str
) -> None:
    answer = ask(desk, draft(desk, DOUBLED), **body)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert answer.json["errors"][0]["pointer"] == pointer


def test_366_days_are_taken_and_more_activities_than_allowed_are_not(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(desk.database)
    table = draft(desk, DOUBLED)
    whole_year = {"first_day": "2025-11-30", "last_day": "2026-11-30"}
    assert ask(desk, table, **whole_year).json["totals"]["activities"] == CITIZENS + 1
    monkeypatch.setattr(face, "REQUEST", Limits(activities=CITIZENS))
    refused = ask(desk, table)
    assert (refused.status_code, refused.json["code"]) == (422, "too_many_to_simulate")
    assert refused.json["facts"]["most"] == CITIZENS


def test_a_request_looks_through_so_many_activities_whatever_it_asks_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(desk.database)
    table = draft(desk, DOUBLED)
    before = {"first_day": "2025-11-01", "last_day": "2025-11-30"}
    monkeypatch.setattr(face, "REQUEST", Limits(looked_through=CITIZENS + 1))
    assert ask(desk, table, **before).json["totals"]["activities"] == 0
    monkeypatch.setattr(face, "REQUEST", Limits(looked_through=CITIZENS))
    refused = ask(desk, table, **before)
    assert (refused.status_code, refused.json["code"]) == (422, "too_many_to_simulate")
    assert refused.json["facts"]["most"] == CITIZENS


def test_nothing_is_written_and_could_not_be(desk: Desk) -> None:
    history(desk.database)
    table = draft(desk, DOUBLED)
    counts = [f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in sorted(Base.metadata.tables)]  # noqa: S608 - our own tables
    rows = " UNION ALL ".join(counts)
    before = desk.database.rows(rows)
    assert ask(desk, table).json["totals"]["activities_changed"] == CITIZENS
    assert desk.database.rows(rows) == before

    def write(call: Call) -> None:
        with read_only(call):
            call.db.execute(text("UPDATE publication SET ends_on = ends_on"))

    with pytest.raises(DBAPIError, match="read-only"):
        desk.database.run(write)

    def write_afterwards(call: Call) -> None:
        with read_only(call):
            call.db.scalar(select(func.count()).select_from(Factor))
        publish_rule(call, "grace", "standard", {"days": 3})

    desk.database.run(write_afterwards)


def test_a_month_counts_whole_where_the_span_begins_within_it(call: Call) -> None:
    for kind, subject, content in RULES:
        if kind != "cap":
            publish_rule(call, kind, subject, content)
    monthly = {"scenarios": ["metro_ride"], "period": "month", "coins_milli": 40_000}
    publish_rule(call, "cap", "transit", monthly)
    publish_tables(call, OFFICIAL)
    registered = register_partner(call, name="demo transit", region_id=REGION)
    city = City(registered.partner.id, registered.api_key)
    city.bind(call, ["card-017"])
    early = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
    take_chunk(
        call, city.intake(), lines(ride("e1", metres=5_000, occurred_at=early), ride("e2", metres=5_000))
    )
    late = Question(first_day=datetime(2026, 11, 15, tzinfo=UTC).date(), last_day=call.today)
    in_force = call.db.query(Publication).filter(Publication.kind == "factor_table").one()
    same = simulate(call, in_force, late)["totals"]
    assert (same["activities"], same["coin_milli_before"], same["coin_milli_difference"]) == (1, 16_650, 0)
    assert same["activities_order_unknown"] == 0
    doubled = draft_factor_table(as_operator(call), another("93.4", "107.6"))
    more = simulate(call, doubled, late)["totals"]
    assert (more["coin_milli_before"], more["coin_milli_after"]) == (16_650, 0)
    assert parse_public_id("pub", simulate(call, doubled, late)["table_id"]) == doubled.id
