"""`flask carbon replay` says what differs by name, and gives one digest over what came out."""

import re

from click.testing import Result
from sqlalchemy import text

from app.carbon_commands import add_carbon_commands
from app.factory import Product
from carbon.activities.intake import take_chunk
from kernel.database import create_engine
from tests.carbon.city import lines, plant_city, ride
from tests.conftest import Database


def replay(product: Product) -> Result:
    return product.flask.test_cli_runner().invoke(args=["carbon", "replay"])


def test_credits_give_one_digest_until_one_is_changed(product: Product, database: Database) -> None:
    add_carbon_commands(product)
    city = database.run(plant_city)
    database.run(lambda call: city.bind(call, ["card-017"]))
    rides = lines(ride("e1", metres=1_000), ride("e2", metres=2_000), ride("e3", metres=0))
    database.run(lambda call: take_chunk(call, city.intake(), rides))
    first, again = replay(product), replay(product)
    assert first.exit_code == 0, first.output
    assert re.fullmatch(r"3 credits gone through, 0 differ, digest [0-9a-f]{64}\n", first.output)
    assert again.output == first.output
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE activity SET carbon_mg = 46701 WHERE source_event_id = 'e1'"))
    owner.dispose()
    broken = replay(product)
    assert broken.exit_code == 1
    # What was posted with it does not add up to the entry any more.
    named = re.findall(r"^DIFFERS act_\w{26}: (.*)$", broken.output, re.MULTILINE)
    assert sorted(named) == ["entry", "entry, kilograms"]
    assert ", 2 differ, " in broken.output
