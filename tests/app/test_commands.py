"""The command line, run against a whole product."""

from pathlib import Path

from app.commands import add_commands
from app.factory import Product
from carbon.activities.adapters.activity_fields import REQUIRED as REQUIRED_OF_LINES
from carbon.activities.adapters.shenzhen_tong.stations import _COLUMNS as OF_STATIONS
from carbon.activities.adapters.shenzhen_tong.taps import _REQUIRED as REQUIRED_OF_TAPS
from carbon.activities.adapters.utility_bills import COLUMNS as OF_BILLS
from carbon.examples import _COLUMNS as OF_EXAMPLES
from kernel.identifiers import public_id
from tests.carbon.city import OFFICIAL, plant_city
from tests.carbon.households.street import plant_street
from tests.conftest import REGION, ROOT, Database

LINES = """source_event_id,subject,scenario,occurred_at,quantity,unit
ride-0001,demo-card-0001,metro_ride,2026-11-19T08:00:00+08:00,10000,m
ride-0002,nobody-card,metro_ride,2026-11-19T08:00:00+08:00,10000,m
"""


def test_a_file_is_imported_once_and_its_outcomes_are_named(
    product: Product, database: Database, tmp_path: Path
) -> None:
    add_commands(product)
    city = database.run(lambda call: plant_city(call, OFFICIAL))
    file = tmp_path / "rides.csv"
    file.write_text(LINES)
    runner = product.flask.test_cli_runner()
    partner = public_id("ptn", city.partner_id)
    first = runner.invoke(args=["activities", "import", str(file), "--partner", partner])
    assert first.exit_code == 0, first.output
    assert "unbound_card" in first.output
    assert runner.invoke(args=["reconcile"]).exit_code == 0


def test_an_import_for_nobody_is_refused_with_its_code(product: Product, tmp_path: Path) -> None:
    add_commands(product)
    file = tmp_path / "rides.csv"
    file.write_text(LINES)
    for partner, code in (("vch_" + "0" * 26, "wrong_identifier"), ("ptn_" + "0" * 26, "not_found")):
        refused = product.flask.test_cli_runner().invoke(
            args=["activities", "import", str(file), "--partner", partner]
        )
        assert refused.exit_code == 1
        assert code in refused.output


def test_worked_examples_pass_with_their_factors_and_fail_without(
    product: Product, database: Database
) -> None:
    add_commands(product)
    vectors = ROOT / "tests" / "vectors" / "worked_examples.csv"
    runner = product.flask.test_cli_runner()
    without = runner.invoke(args=["carbon", "examples", str(vectors)])
    assert without.exit_code == 1
    assert "no_factor_in_force" in without.output
    database.run(lambda call: plant_city(call, OFFICIAL))
    some = runner.invoke(args=["carbon", "examples", str(vectors)])
    assert "W03" in next(line for line in some.output.splitlines() if line.endswith("pass"))


def test_a_price_and_a_home_that_is_left_out_are_examples_like_others(
    product: Product, database: Database, tmp_path: Path
) -> None:
    add_commands(product)
    database.run(plant_street)
    row = '{{""scenario"": ""household_electricity_saving"", ""saved_wh"": {}, ""price_tier"": {}}}'
    paid = '{""scenario"": ""a_voucher"", ""carbon_mg"": 30000000, ""paid_fen"": 4500}'
    lines = [
        "id,region,on,method,inputs,expected,unit",
        f'a,CN,2026-11-01,price,"{paid}",1.5,CNY/kg',
        *(
            f'{name},{REGION},2026-11-01,saving_electricity,"{row.format(saved, tier)}",{expected},kgCO2'
            for name, saved, tier, expected in (("b", 80_000, 3, "0"), ("c", 80_000, 4, "0"))
        ),
    ]
    file = tmp_path / "more.csv"
    file.write_text("\n".join(lines))
    runner = product.flask.test_cli_runner()
    passed = runner.invoke(args=["carbon", "examples", str(file)])
    assert (passed.exit_code, passed.output.splitlines()[-1]) == (0, "3 of 3 pass"), passed.output
    assert passed.output.count("pass price_tier_excluded") == 2
    for right, wrong in (
        (",1.5,", ",1.6,"),
        (",0,kgCO2", ",1,kgCO2"),
        ('price_tier"": 4', 'price_tier"": 2'),
    ):
        file.write_text("\n".join(lines).replace(right, wrong, 1))
        failed = runner.invoke(args=["carbon", "examples", str(file)])
        assert (failed.exit_code, failed.output.splitlines()[-1]) == (1, "2 of 3 pass"), failed.output


def test_an_import_of_taps_asks_for_its_station_list(product: Product, tmp_path: Path) -> None:
    file = tmp_path / "taps.csv"
    file.write_text("card_no\n", encoding="utf-8")
    add_commands(product)
    with product.flask.app_context():
        refused = product.flask.test_cli_runner().invoke(
            args=["activities", "import", str(file), "--partner", "ptn_x", "--adapter", "shenzhen_tong"]
        )
    assert refused.exit_code == 2
    assert "--stations" in refused.output


def test_a_file_of_examples_with_other_columns_is_told_which_are_missing(
    product: Product, tmp_path: Path
) -> None:
    file = tmp_path / "examples.csv"
    file.write_text("id,region,inputs\n1,CN,x\n", encoding="utf-8")
    add_commands(product)
    with product.flask.app_context():
        refused = product.flask.test_cli_runner().invoke(args=["carbon", "examples", str(file)])
    assert refused.exit_code == 1
    assert "missing: on, method, expected, unit" in refused.output


def test_help_names_every_column_that_a_file_must_have(product: Product) -> None:
    runner = product.flask.test_cli_runner()
    add_commands(product)
    with product.flask.app_context():
        for command, columns in (
            (["activities", "import"], (*REQUIRED_OF_LINES, *REQUIRED_OF_TAPS, *OF_STATIONS, *OF_BILLS)),
            (["carbon", "examples"], OF_EXAMPLES),
        ):
            said = runner.invoke(args=[*command, "--help"]).output
            assert [name for name in columns if name not in said] == []
