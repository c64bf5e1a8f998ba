"""The demo city, made small: it keeps every invariant, and each thing a visitor looks for is there."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.commands import run_reconciliation
from app.demo.guide import guide
from app.demo.seed import Town, outline, play
from app.demo.stage import Stage
from app.demo.transit import Transit
from app.demo_commands import add_demo_commands
from app.factory import Product, create_product
from app.product_calls import run
from app.replay_command import every_credit
from kernel.clock import FixedClock
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from merchants.settlement.records import settlements
from merchants.settlement.rederiving import rederive
from rewards.catalogue.reward_states import RewardKind
from rewards.voucher_states import State
from tests.conftest import NOW, ROOT, cloned_database, settings_for

TAPS = ROOT / "tests" / "vectors" / "transit_sample.csv"


@pytest.fixture(scope="module")
def empty_product(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product on a database without a region."""
    with cloned_database() as url:
        settings = replace(settings_for(url, cache_url), tanpuhui_data=tmp_path_factory.mktemp("data"))
        made = create_product(settings, clock=FixedClock(NOW))
        yield made
        made.close()


@pytest.fixture(scope="module")
def town(empty_product: Product) -> Town:
    """A city of forty."""
    return play(Stage(empty_product), now=NOW, citizens=40)


SETTLED = (
    "SELECT -sum(amount) FILTER (WHERE unit = 'cny') AS fen,"
    " -sum(amount) FILTER (WHERE unit = 'coin') AS coin"
    " FROM ledger_transfer WHERE code = 'SETTLE'"
)


def counted(product: Product, statement: str) -> dict[str, int]:
    """Two columns of a query, as a dictionary."""
    return run(product, lambda call: {row[0]: row[1] for row in call.db.execute(text(statement))})


def test_a_city_played_through_the_services_keeps_every_invariant(empty_product: Product, town: Town) -> None:
    assert town.residents
    broken = {each.check.name: each.findings for each in run_reconciliation(empty_product) if not each.holds}
    assert broken == {}


def test_every_state_of_a_voucher_is_on_show(empty_product: Product, town: Town) -> None:
    assert town.market.rewards
    states = counted(empty_product, "SELECT state, count(*) FROM voucher GROUP BY state")
    assert set(states) == {state.value for state in State}


def test_the_shelf_has_every_kind_a_picture_each_a_seat_taken_and_a_queue(
    empty_product: Product, town: Town
) -> None:
    assert len(town.market.rewards) == 12
    kinds = counted(empty_product, "SELECT kind, count(*) FROM reward WHERE state = 'published' GROUP BY 1")
    assert set(kinds) == {kind.value for kind in RewardKind}
    assert sum(kinds.values()) == 12
    pictured = "SELECT 'pictures', count(DISTINCT picture_digest) FROM reward"
    assert counted(empty_product, pictured) == {"pictures": 12}
    places = "SELECT state, count(*) FROM reward_place GROUP BY 1"
    assert counted(empty_product, places) == {"waiting": 2}
    seats = "SELECT (voucher_id IS NULL)::text, count(*) FROM reward_unit GROUP BY 1"
    assert counted(empty_product, seats) == {"true": 5, "false": 1}
    prices = "SELECT 'versions', max(no) FROM reward_price"
    assert counted(empty_product, prices) == {"versions": 2}


def test_the_pages_of_the_shelf_show_it_and_a_picture_is_served(empty_product: Product, town: Town) -> None:
    client = empty_product.flask.test_client()
    page = client.get("/rewards").get_data(as_text=True)
    pictures = re.findall(r'<img src="(/v1/public/pictures/[0-9a-f]{64})" alt=""', page)
    assert len(set(pictures)) == 12
    with client.get(pictures[0]) as shown:
        assert (shown.status_code, shown.mimetype) == (200, "image/webp")
    for reward in town.market.rewards.values():
        address = f"/rewards/{public_id('rwd', reward)}"
        assert address in page
        assert client.get(address).status_code == 200


def test_the_last_month_is_settled_paid_by_one_and_disputed_by_another_and_made_again(
    empty_product: Product, town: Town
) -> None:
    assert town.market.shops
    states = counted(empty_product, "SELECT state, count(*) FROM settlement GROUP BY state")
    assert states == {"paid": 1, "disputed": 1, "closed": 1}
    told = run(empty_product, lambda call: list(settlements(call, PageRequest()).items))
    assert all(each.line_count and each.line_count > 5 for each in told)
    for each in told:
        made = run(empty_product, partial(rederive, settlement_id=each.id))
        assert made.equal, made.differing
    sums = run(empty_product, lambda call: call.db.execute(text(SETTLED)).one())
    assert (sum(each.payable_fen or 0 for each in told), sum(each.coin_milli or 0 for each in told)) == (
        sums.fen,
        sums.coin,
    )


def test_rides_and_bills_are_credited_and_what_is_not_has_a_reason(
    empty_product: Product, town: Town
) -> None:
    assert town.transit.id != town.water.id
    outcomes = counted(
        empty_product,
        "SELECT key, sum(value::int)::int FROM activity_batch, jsonb_each_text(outcomes) GROUP BY key",
    )
    assert outcomes["credited"] > 1000
    assert {"rejected/unbound_card", "rejected/entry_paired", "rejected/entry_without_exit"} <= set(outcomes)
    scenarios = counted(
        empty_product,
        "SELECT b.scenario, count(*) FROM activity a JOIN activity_basis b ON b.id = a.basis_id"
        " WHERE a.carbon_mg > 0 GROUP BY 1",
    )
    assert set(scenarios) == {
        "metro_ride",
        "bus_ride",
        "household_electricity_saving",
        "household_water_saving",
        "shared_bike_ride",
    }


def test_every_credit_replays_equal(empty_product: Product, town: Town) -> None:
    """Each is gone through, and none is left out: what the ledger was credited with is what replayed."""
    assert town.residents
    replayed = list(every_credit(empty_product))
    assert {each.name: each.differs for each in replayed if each.differs} == {}
    with empty_product.door.sessions() as session:
        credits_ = session.execute(
            text(
                "SELECT t.id FROM ledger_transfer t JOIN ledger_account a"
                " ON a.holder_id = t.holder_id AND a.id = t.account_id WHERE a.kind = 'citizen'"
                " AND t.amount > 0 AND t.code IN ('CREDIT', 'CREDIT_CARBON', 'ALLOCATE')"
            )
        ).scalars()
        assert sorted(credits_) == sorted({number for each in replayed for number in each.transfers})
    assert len(replayed) > 1000
    assert all(each.digest for each in replayed)


def test_a_home_that_two_people_share_waits_for_a_reading(empty_product: Product, town: Town) -> None:
    assert len(town.home.people) == 2
    reasons = counted(
        empty_product,
        "SELECT coalesce(figures->'reasons'->>0, ''), count(*) FROM household_saving GROUP BY 1",
    )
    assert reasons == {"": 6, "reading_missing": 1}
    lines = counted(empty_product, "SELECT result, count(*) FROM household_saving_line GROUP BY 1")
    assert lines == {"credited": 12}


def test_a_misprint_was_corrected_and_the_citizens_read_it(empty_product: Product, town: Town) -> None:
    states = counted(empty_product, "SELECT state, count(*) FROM recomputation GROUP BY state")
    assert states == {"done": 1}
    corrected = counted(
        empty_product,
        "SELECT citizen_id, count(*) FROM activity_correction"
        " WHERE carbon_mg_after < carbon_mg_before GROUP BY 1",
    )
    homes = [home.id for home in town.residents if home.account is not None]
    assert set(corrected) <= set(homes)
    assert len(corrected) > len(homes) // 2


def test_a_ride_that_two_apps_saw_is_one_and_a_doubted_one_is_held_with_an_appeal(
    empty_product: Product, town: Town
) -> None:
    assert len(town.apps) == 2
    rides: dict[str, Any] = counted(
        empty_product,
        "SELECT a.source_event_id, b.evidence FROM activity a JOIN activity_basis b ON b.id = a.basis_id"
        " WHERE b.scenario = 'shared_bike_ride'",
    )
    assert rides == {
        "lock-1": "device_verified",
        "check-2": "self_check_in",
        "lock-2": "device_verified",
    }
    held: dict[str, Any] = counted(
        empty_product,
        "SELECT a.source_event_id, concat_ws(' ', h.state, h.rule_id IS NOT NULL, h.appeal IS NOT NULL)"
        " FROM activity_hold h JOIN activity a ON a.citizen_id = h.citizen_id AND a.id = h.activity_id",
    )
    assert held == {"lock-2": "held t t", "check-2": "held f f"}


def test_coins_of_an_old_share_of_the_pool_have_ended(empty_product: Product, town: Town) -> None:
    assert town.gift.certificate.startswith("don_")
    codes = counted(empty_product, "SELECT code, count(*)::int FROM ledger_transfer GROUP BY code")
    assert {"DONATE", "ALLOCATE", "EXPIRE", "REDEEM", "REDEEM_REVERSAL", "PAYABLE"} <= set(codes)


def test_the_demo_file_names_logins_keys_and_tills(empty_product: Product, town: Town) -> None:
    told = outline(town, empty_product.settings)
    assert json.loads(json.dumps(told)) == told
    login = told["operators"]["editor"]
    answer = empty_product.flask.test_client().post("/v1/sessions/password", json=login)
    assert answer.status_code == 201
    token = told["merchants"]["bakery"]["tills"]["一店 / First store"]["token"]
    denied = empty_product.flask.test_client().get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert denied.status_code == 403


def test_the_guide_shows_a_newcomer_every_login_and_key(empty_product: Product, town: Town) -> None:
    told = {**outline(town, empty_product.settings), "urls": {"product": "http://127.0.0.1:8080"}}
    shown = "\n".join(guide(told))
    assert set(re.findall(r'"(?:password|key|token|pin)": "([^"]+)"', json.dumps(told))) <= set(shown.split())
    assert "\n    product   http://127.0.0.1:8080\n" in shown
    assert f"\n    http://127.0.0.1:8080{told['why']['path']}\n" in shown


def test_the_guide_leads_to_a_page_that_says_why_a_ride_became_coins(
    empty_product: Product, town: Town
) -> None:
    shared = outline(town, empty_product.settings)["why"]
    client = empty_product.flask.test_client()
    page = client.get(f"{shared['path']}?lang=en", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "replayed just now: equal" in page.get_data(as_text=True)
    assert town.residents[0].card not in page.get_data(as_text=True)


def test_the_province_has_a_table_on_notice_with_an_objection_answered(
    empty_product: Product, town: Town
) -> None:
    client = empty_product.flask.test_client()

    def read(path: str) -> dict[str, Any]:
        return dict(client.get(path).get_json())

    (notice,) = read("/v1/notices")["items"]
    assert (notice["id"], notice["region"], notice["open"]) == (town.province.notice, "CN-GD", True)
    assert (notice["objections_raised"], notice["objections_unanswered"]) == (2, 1)
    told = read(f"/v1/notices/{notice['id']}")
    assert told["changes"]["counts"]["changed"] == 1
    listed = read("/v1/public/factor-tables?region=CN-GD")["items"]
    first = next(each for each in listed if each["subject"] == "own_bottle/assumption")
    assert (first["standing"], first["id"] == told["changes"]["against"]) == ("in_force", True)
    assert "自带水瓶" in client.get("/notices").get_data(as_text=True)
    steps = read(f"/v1/public/factor-tables/{first['id']}")["steps"]
    taken = " ".join(each["state"] for each in steps)
    assert taken == "draft in_review approved public_notice published"


def test_fares_of_the_demo_network_follow_the_tariff() -> None:
    transit = Transit()
    tap = transit.ride("CARD1", origin="北苑", destination="渡头", at=NOW)[1]
    path = transit.network.find_path(origin="北苑", destination="渡头")
    assert path is not None
    assert 12_000 < path.metres <= 18_000
    assert tap.fare_fen == 500


def test_a_share_of_a_files_cards_is_bound_and_the_same_ones_again_are_not(
    empty_product: Product, town: Town, tmp_path: Path
) -> None:
    add_demo_commands(empty_product)
    runner = empty_product.flask.test_cli_runner()
    partner = public_id("ptn", town.transit.id)
    file = tmp_path / "taps.csv"
    file.write_bytes(TAPS.read_bytes())
    half = runner.invoke(args=["demo", "bind-cards", str(file), "--partner", partner, "--share", "50"])
    assert half.exit_code == 0, half.output
    cards, chosen, bound = (int(word) for word in half.output.split() if word.isdigit())
    assert 0 < chosen == bound < cards
    again = runner.invoke(args=["demo", "bind-cards", str(file), "--partner", partner, "--share", "100"])
    assert f"{cards} cards, {cards} chosen, {cards - bound} bound now" in again.output


def test_a_clerk_of_the_demo_signs_in_at_a_till_and_has_honoured_something(
    empty_product: Product, town: Town
) -> None:
    shop = outline(town, empty_product.settings)["merchants"]["coffee"]
    (till,) = shop["tills"].values()
    client = empty_product.flask.test_client()
    for clerk in shop["clerks"]:
        opened = client.post(
            "/v1/terminal/shifts",
            json={"number": clerk["number"], "pin": clerk["pin"]},
            headers={"Authorization": f"Bearer {till['token']}"},
        )
        assert (opened.status_code, opened.json and opened.json["role"]) == (201, clerk["role"])
    honoured = counted(
        empty_product,
        "SELECT c.number, count(*) FROM redemption r JOIN clerk c ON c.id = r.clerk_id GROUP BY 1",
    )
    assert set(honoured) == {"07"}


def test_the_bakery_was_told_until_its_own_system_went_away(town: Town, empty_product: Product) -> None:
    with empty_product.door.sessions() as session:
        rows = session.execute(
            text(
                "SELECT d.event, d.state, a.result FROM webhook_delivery d"
                " LEFT JOIN webhook_attempt a ON a.delivery_id = d.id"
            )
        ).all()
        endpoint = session.execute(text("SELECT state, url FROM webhook_endpoint")).one()
    assert (endpoint.state, endpoint.url[:18]) == ("on", "https://localhost:")
    ended = Counter((row.event.split(".")[0], row.result) for row in rows if row.result)
    assert ended["endpoint", "delivered"] == 1
    assert ended["voucher", "delivered"] + ended["redemption", "delivered"] == 3
    assert ended["voucher", "unreachable"] + ended["redemption", "unreachable"] == 2
