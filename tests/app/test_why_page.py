"""The page of one activity: for whoever has its link, in two languages, and nothing of a person on it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text

from app.factory import Product
from app.identity.sign_in import WechatUser, sign_in_citizen
from app.identity.tokens import issue
from app.public.why_words import arithmetic_in, why_shown
from carbon.activities.intake import take_chunk
from carbon.activities.links import LINK_LIFE, linked
from carbon.activities.replay import _CHECKS
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.database import create_engine
from kernel.identifiers import public_id
from tests.app.test_public_pages import HOSTILE, reading
from tests.carbon.city import SECRET, City, lines, plant_city, ride
from tests.conftest import NOW, REGION, Database

CARD = "card-of-the-citizen-017"
PLACES = '{"origin": "福田口岸", "destination": "罗湖"}'
NO_LINKS = ("x", "0" * 32, "A" * 64, "A" * 65, "A" * 4000, "字", "act_" + "0" * 26, "a%20b")
HTML = {"Accept": "text/html"}


class Rider:
    """A citizen with a session, and rides that their partner sent."""

    def __init__(self, product: Product, database: Database, city: City, number: int) -> None:
        self.product, self.database, self.city = product, database, city
        self.client: FlaskClient = product.flask.test_client()
        self.card = f"{CARD}-{number}"
        user = WechatUser(appid="wxstub0000000000", openid=f"demo-citizen-{number}")
        opened = database.run(lambda call: sign_in_citizen(call, user, region_id=REGION))
        with product.flask.app_context():
            token = issue(
                session_id=opened.session_id, refresh_id=opened.refresh_id, subject=opened.subject, now=NOW
            ).access_token
        self.headers = {"Authorization": f"Bearer {token}"}

        def bound(call: Call) -> None:
            hashed = hash_subject(SECRET, partner_id=city.partner_id, subject=self.card)
            owner = call.db.execute(
                text("SELECT citizen_id FROM identity WHERE subject = :name"), {"name": user.openid}
            ).scalar_one()
            cards = [CitizenCard(owner, hashed)]
            bind_many(call, find_partner(call, city.partner_id), cards, text_version="v1")

        database.run(bound)

    def rode(self, event: str, **more: Any) -> str:
        """A ride's public id."""
        line = lines(ride(event, self.card, **more))
        self.database.run(lambda call: take_chunk(call, self.city.intake(), line))
        found = self.database.rows(
            "SELECT id FROM activity WHERE source_event_id = :event ORDER BY revision", event=event
        )
        return public_id("act", found[-1].id)

    def ask(self, method: str, path: str) -> Any:
        return self.client.open(path, method=method, headers=self.headers)

    def link(self, activity: str) -> str:
        """The path of a new link's page."""
        told = self.ask("PUT", f"/v1/me/activities/{activity}/link")
        assert told.status_code == 200
        assert told.headers["Cache-Control"] == "no-store"
        return str(told.json["path"])


@pytest.fixture
def city(database: Database) -> City:
    return database.run(plant_city)


@pytest.fixture
def rider(product: Product, database: Database, city: City) -> Rider:
    return Rider(product, database, city, 1)


def test_a_citizen_shares_how_a_ride_was_counted_in_two_languages(product: Product, rider: Rider) -> None:
    path = rider.link(rider.rode("e1", facts=PLACES))
    chinese, english = reading(product, f"{path}?lang=zh"), reading(product, f"{path}?lang=en")
    assert '<html lang="zh-CN">' in chinese
    assert '<html lang="en">' in english
    for said in ("减排 467 克", "30 枚碳币", "10 公里", "扣减 16.7 枚碳币", "刚刚复算：一致", "出处"):
        assert said in chinese, said
    for said in ("467 g saved, 30 coins", "10 km", "cuts 16.7 coins", "replayed just now: equal", "Document"):
        assert said in english, said
    for exact in ("46.7 gCO2/person-km", "467,000,000,000 ng", "467,000 mg × 1000"):
        assert exact in chinese, exact
        assert exact in english, exact
    assert "深圳市低碳公共出行碳普惠方法学" in english
    told = rider.ask("GET", f"/v1/public/explanations/{path.removeprefix('/why/')}").json
    assert told["replay"]["digest"] in chinese
    assert told["tree"]["because"][0]["because"][0]["node"] == "kilograms"


def test_the_browsers_language_is_taken_and_a_third_is_refused(product: Product, rider: Rider) -> None:
    path, client = rider.link(rider.rode("e1")), product.flask.test_client()

    def opened(tongues: str) -> str:
        return client.get(path, headers={**HTML, "Accept-Language": tongues}).get_data(as_text=True)

    assert '<html lang="en">' in opened("en-GB,en;q=0.9")
    assert '<html lang="zh-CN">' in opened("zh-TW,zh;q=0.9,en;q=0.1")
    assert '<html lang="zh-CN">' in opened("fr")
    assert client.get(f"{path}?lang=fr", headers=HTML).status_code == 422
    answer = client.get(path, headers=HTML)
    assert "Accept-Language" in answer.headers["Vary"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_nothing_behind_a_link_tells_who_where_or_at_what_hour(
    product: Product, database: Database, rider: Rider
) -> None:
    activity = rider.rode("ride-e1", facts=PLACES, occurred_at=NOW - timedelta(minutes=73))
    path = rider.link(activity)
    shown = reading(product, path) + rider.ask("GET", path.replace("/why/", "/v1/public/explanations/")).text
    row = database.rows("SELECT citizen_id, coin_transfer_id, basis_id FROM activity")[0]
    citizen = public_id("ctz", row.citizen_id)
    for private in (
        citizen,
        str(row.citizen_id),
        activity,
        "ride-e1",
        CARD,
        "福田口岸",
        "罗湖",
        "10:47",
        "02:47",
    ):
        assert private not in shown, private
    assert "transfer_id" not in shown
    told = database.run(lambda call: linked(call, path.removeprefix("/why/")))
    assert {"id", "occurred_at", "facts", "entries"} & set(told) == set()
    assert "福田口岸" not in str(told)
    assert "2026-11-20" in shown


def test_what_opens_nothing_looks_the_same(product: Product, rider: Rider) -> None:
    activity = rider.rode("e1")
    ended, replaced = rider.link(rider.rode("e2")), rider.link(activity)
    standing = rider.link(activity)
    (other,) = rider.database.rows("SELECT id FROM activity WHERE source_event_id = 'e2'")
    assert rider.ask("DELETE", f"/v1/me/activities/{public_id('act', other.id)}/link").status_code == 204
    known = {standing.removeprefix("/why/")}
    shown = set()
    for link in (*NO_LINKS, ended.removeprefix("/why/"), replaced.removeprefix("/why/")):
        assert link not in known
        page = reading(product, f"/why/{link}", 404)
        shown.add(re.sub(r"<code>[0-9a-z]{20,}</code>", "", page))
        problem = product.flask.test_client().get(f"/v1/public/explanations/{link}")
        told: Any = problem.json
        assert (problem.status_code, told["code"], told["detail"]) == (
            404,
            "not_found",
            "no such link",
        )
    assert len(shown) == 1
    reading(product, standing)


def test_a_link_ends_by_itself_and_when_the_citizen_says_so(
    product: Product, clock: FixedClock, database: Database, rider: Rider
) -> None:
    activity = rider.rode("e1")
    path = rider.link(activity)
    clock.advance(LINK_LIFE - timedelta(seconds=1))
    reading(product, path)
    clock.advance(timedelta(seconds=1))
    reading(product, path, 404)
    clock.at = NOW
    again = rider.link(activity)
    assert again != path
    for _ in range(2):
        assert rider.ask("DELETE", f"/v1/me/activities/{activity}/link").status_code == 204
        reading(product, again, 404)
    deeds = [row.action for row in database.rows("SELECT action FROM audit_entry ORDER BY id")]
    assert [deed for deed in deeds if "share" in deed] == ["activity.share"] * 2 + ["activity.unshare"]
    assert path.removeprefix("/why/") not in str(database.rows("SELECT l::text FROM activity_link l"))
    assert path.removeprefix("/why/") not in str(database.rows("SELECT a::text FROM audit_entry a"))


def test_another_citizens_activity_is_neither_shown_nor_shared_nor_closed(
    product: Product, database: Database, city: City, rider: Rider
) -> None:
    activity = rider.rode("e1")
    path = rider.link(activity)
    stranger = Rider(product, database, city, 2)
    for method, end in (("GET", "explanation"), ("PUT", "link"), ("DELETE", "link")):
        for named in (activity, "act_" + "0" * 26):
            answer = stranger.ask(method, f"/v1/me/activities/{named}/{end}")
            assert (answer.status_code, answer.json["detail"]) == (404, "no such activity")
        assert stranger.ask(method, f"/v1/me/activities/{path[5:]}/{end}").status_code == 422
    reading(product, path)


def test_of_two_links_made_at_once_one_stands(product: Product, database: Database, rider: Rider) -> None:
    activity, together = rider.rode("e1"), Barrier(6)

    def made(_: int) -> str:
        together.wait()
        client = product.flask.test_client()
        answer = client.put(f"/v1/me/activities/{activity}/link", headers=rider.headers)
        assert answer.status_code == 200
        return str(answer.get_json()["path"])

    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(made, range(6)))
    opened = [product.flask.test_client().get(path, headers=HTML).status_code for path in paths]
    assert sorted(opened) == [200, *[404] * 5]
    assert len(database.rows("SELECT 1 FROM activity_link")) == 1


def test_an_activity_that_brought_nothing_says_why(product: Product, rider: Rider) -> None:
    path = rider.link(rider.rode("e1", metres=0))
    assert "减排量不足一毫克" in reading(product, f"{path}?lang=zh")
    english = reading(product, f"{path}?lang=en")
    assert "Nothing was credited. The saving is below one milligram." in english
    assert "replayed just now: equal" in english


def test_a_corrected_ride_says_that_it_was_taken_back(product: Product, rider: Rider) -> None:
    path = rider.link(rider.rode("e1"))
    rider.rode("e1", metres=2_000, corrects_revision=1)
    page = reading(product, f"{path}?lang=en")
    assert "467 g saved" in page
    assert "taken back" in page
    assert "replayed just now: equal" in page


def test_a_changed_row_is_said_not_to_replay(product: Product, database: Database, rider: Rider) -> None:
    path = rider.link(rider.rode("e1"))
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE activity SET inputs = '{\"distance_m\": 20000}'"))
    owner.dispose()
    page = reading(product, f"{path}?lang=en")
    assert "replayed just now: not equal" in page
    assert "What does not fit: the kilograms, the digest" in page
    assert "刚刚复算：不一致" in reading(product, f"{path}?lang=zh")


def test_a_hostile_source_is_only_a_source(product: Product, database: Database, rider: Rider) -> None:
    path = rider.link(rider.rode("e1"))
    owner = create_engine(database.url, as_owner=True)
    with owner.begin() as connection:
        for name, value in (("title", HOSTILE), ("url", "javascript:alert(1)"), ("quotation", HOSTILE)):
            connection.execute(
                text(
                    "UPDATE factor SET notes ="
                    " jsonb_set(notes, ARRAY['source', :name], to_jsonb(CAST(:value AS text)))"
                ),
                {"name": name, "value": value},
            )
    owner.dispose()
    page = reading(product, path)
    assert "&lt;script&gt;" in page
    assert 'href="javascript' not in page
    assert "https://example.org/a" not in page
    with owner.begin() as connection:
        connection.execute(
            text("UPDATE factor SET notes = jsonb_set(notes, '{source,url}', '\"https://example.org/a\"')")
        )
    owner.dispose()
    assert 'href="https://example.org/a" rel="noreferrer noopener nofollow"' in reading(product, path)


def test_every_part_of_a_replay_has_words() -> None:
    from app.public.why_words import _DIFFERS  # noqa: PLC0415 - the list itself is looked at

    assert set(_DIFFERS) == {*_CHECKS, "kilograms", "digest", "coins"}
    assert why_shown.__doc__


@pytest.mark.parametrize(
    ("lang", "text_", "shown"),
    [
        ("zh", "467000 mg × 1000 milli-coin", "467,000 mg × 1000 毫碳币"),
        ("en", "467000 mg × 1000 milli-coin", "467,000 mg × 1000 milli-coin"),
        ("en", "576511500000 ng = 576511.5 → 576511 mg", "576,511,500,000 ng = 576,511.5 → 576,511 mg"),
        ("en", "0.123456 kg", "0.123456 kg"),
        ("zh", "3 trip × 2 ng/trip", "3 次 × 2 ng/次"),
    ],
)  # fmt: skip
def test_long_figures_are_grouped_and_stay_exact(lang: str, text_: str, shown: str) -> None:
    assert arithmetic_in(lang, text_) == shown
