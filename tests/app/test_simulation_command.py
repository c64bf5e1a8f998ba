"""`flask carbon simulate`, run against a whole product."""

from datetime import date
from uuid import UUID

from app.commands import add_commands
from app.factory import Product
from carbon.factors.publication import draft_factor_table
from kernel.call import Call
from kernel.identifiers import public_id
from tests.carbon.city import as_operator
from tests.carbon.test_simulation import CITIZENS, history
from tests.conftest import Database
from tests.properties.test_simulation import another


def drafted(call: Call) -> UUID:
    return draft_factor_table(as_operator(call), another("93.4", "107.6")).id


def test_a_drafted_table_is_simulated_and_printed(product: Product, database: Database) -> None:
    add_commands(product)
    history(database)
    table = public_id("pub", database.run(drafted))
    asked = ["carbon", "simulate", table, "--first", "2020-01-01", "--last", "2026-11-30"]
    done = product.flask.test_cli_runner(env={"COLUMNS": "200"}).invoke(args=asked)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"{CITIZENS + 1} activities of {CITIZENS} citizens" in said
    for words in ("metro_ride", "2026-11", "largest rises", "never used: SZ-BUS-RIDE-4KM", "7.2852 kg"):
        assert words in said, done.output


def test_what_cannot_be_simulated_is_refused_with_its_code(product: Product, database: Database) -> None:
    add_commands(product)
    history(database, citizens=1)
    table = public_id("pub", database.run(drafted))
    cap = database.rows("SELECT id FROM publication WHERE kind = 'cap' LIMIT 1")[0].id
    days = ("--first", "2026-11-01", "--last", "2026-11-30")
    for args, code in (
        (("pub_" + "0" * 26, *days), "not_found"),
        (("ptn_" + "0" * 26, *days), "wrong_identifier"),
        ((public_id("pub", cap), *days), "not_a_factor_table"),
        ((table, "--first", str(date(2026, 11, 2)), "--last", str(date(2026, 11, 1))), "span_backwards"),
    ):
        refused = product.flask.test_cli_runner().invoke(args=["carbon", "simulate", *args])
        assert refused.exit_code == 1
        assert code in refused.output
    no_day = product.flask.test_cli_runner().invoke(
        args=["carbon", "simulate", table, "--first", "yesterday", "--last", "2026-11-30"]
    )
    assert no_day.exit_code == 2
    assert "must be a day" in no_day.output
