"""A home over HTTP: a partner registers and reads it, the night judges it, its people see why."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from app.factory import Product
from app.identity.sign_in import WechatUser, sign_in_citizen
from app.identity.tokens import issue
from app.schedule import SCHEDULE, Stop
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject
from carbon.partners.registry import find_partner, register_partner
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import parse_public_id
from tests.carbon.city import SECRET, City
from tests.carbon.households.street import IN_APRIL, REGISTERED, plant_street
from tests.conftest import REGION, Database

METER = {
    "number": "m-1",
    "kind": "electricity",
    "since": "2025-01-01",
    "modulus": 1_000_000,
    "resolution": 100,
}
HOME: dict[str, Any] = {
    "reference": "home-1",
    "standing": {"since": "2025-01-01", "price_tier": 1, "has_solar": False},
    "meters": [METER, {**METER, "number": "m-2", "point": "2"}],
    "members": [
        {"subject": "acc-11", "since": "2025-01-01", "share": 600},
        {"subject": "acc-12", "since": "2025-01-01", "share": 400},
    ],
}


def person(number: int) -> WechatUser:
    return WechatUser(appid="wxstub0000000000", openid=f"demo-citizen-{number:03d}")


@dataclass
class Home:
    """A partner and three people, two of whom live together."""

    product: Product
    database: Database
    city: City
    clock: FixedClock

    def ask(self, method: str, path: str, body: Any = None, *, who: int | None = None, key: str = "") -> Any:
        token = self.city.api_key if who is None else self.token(who)
        return self.product.flask.test_client().open(
            path,
            method=method,
            json=body,
            headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
        )

    def token(self, who: int) -> str:
        """Signed in at this moment: sessions end while months go by."""
        opened = self.database.run(
            lambda call: sign_in_citizen(call, person(who), region_id=REGION), now=self.clock.at
        )
        with self.product.flask.app_context():
            return issue(
                session_id=opened.session_id,
                refresh_id=opened.refresh_id,
                subject=opened.subject,
                now=self.clock.at,
            ).access_token

    def register(self, **change: Any) -> Any:
        key = f"register-{change.get('reference', 'home-1')}"
        return self.ask("POST", "/v1/partner/households", {**HOME, **change}, key=key)

    def read(self, *readings: tuple[str, str, int]) -> list[Any]:
        sent = [
            {
                "source_event_id": f"{meter}-{day}",
                "meter": meter,
                "kind": "electricity",
                "day": day,
                "register": shown,
            }
            for meter, day, shown in readings
        ]
        answer = self.ask("POST", "/v1/partner/readings", {"readings": sent})
        assert answer.status_code == 201, answer.json
        return [each["code"] or each["outcome"] for each in answer.json["items"]]

    def night(self) -> int:
        self.clock.advance(timedelta(days=1))
        line = next(each for each in SCHEDULE if each.name == "assess_households")
        return line.run(self.product, Stop())

    def periods(self, home: str, *, who: int = 0) -> Any:
        return self.ask("GET", f"/v1/me/households/{home}/periods", who=who).json["items"]

    def seen(self, *, who: int) -> tuple[list[Any], list[Any]]:
        """The people and meters of the own home."""
        (found,) = self.ask("GET", "/v1/me/households", who=who).json["items"]
        return (
            [(each["is_me"], each["share"], each["since"], each["until"]) for each in found["members"]],
            [(each["point"], each["since"], each["until"]) for each in found["meters"]],
        )


@pytest.fixture
def home(product: Product, database: Database, clock: FixedClock) -> Home:
    clock.at = REGISTERED
    made = Home(product, database, database.run(plant_street), clock)

    def people(call: Call) -> None:
        cards = []
        for number in range(3):
            opened = sign_in_citizen(call, person(number), region_id=REGION)
            hashed = hash_subject(SECRET, partner_id=made.city.partner_id, subject=f"acc-1{number + 1}")
            cards.append(CitizenCard(parse_public_id("ctz", opened.subject), hashed))
        bind_many(call, find_partner(call, made.city.partner_id), cards, text_version="v1")

    database.run(people, now=REGISTERED)
    return made


LAST_YEAR = (
    ("m-1", "2025-03-01", 0),
    ("m-1", "2025-04-01", 1_550),
    ("m-2", "2025-03-01", 0),
    ("m-2", "2025-04-01", 310),
)


def test_two_people_see_why_and_then_what(home: Home) -> None:
    told = home.register()
    assert (told.status_code, told.json["registered_at"]) == (201, "2026-03-05T02:00:00Z")
    assert home.register().headers["Idempotent-Replayed"] == "true"
    number = told.json["id"]
    home.clock.at = IN_APRIL
    assert home.read(*LAST_YEAR, ("m-1", "2026-03-01", 9_000), ("m-1", "2026-04-01", 10_240)) == ["taken"] * 6
    assert home.night() == 1
    waiting = home.periods(number)[0]
    assert (waiting["total"], waiting["lines"], waiting["reasons"]) == (0, [], ["reading_missing"])
    assert waiting["says"] == {
        "zh": "2 块电表中有 1 块自 2026 年 3 月 1 日起缺少读数,不能算作节约。",
        "en": "One of two electricity meters has no reading from 2026-03-01 on: that is not a saving.",
    }
    assert home.read(("m-2", "2026-03-01", 500), ("m-2", "2026-04-01", 810)) == ["taken"] * 2
    assert [home.night(), home.night()] == [1, 0]
    (saved,) = home.periods(number, who=1)
    assert (saved["revision"], saved["reasons"], saved["says"], saved["unit"]) == (2, [], None, "Wh")
    assert (saved["actual"], saved["baseline"]) == (155_000, {"name": "own_same_month", "amount": 186_000})
    line = saved["lines"][0]
    assert (line["line"], line["amount"], line["own_amount"], line["outcome"]) == (
        "saving",
        31_000,
        12_400,
        "credited",
    )
    mine = home.ask("GET", "/v1/me/activities", who=1).json["items"]
    assert [each["id"] for each in mine] == [line["activity_id"]]


def test_nobody_sees_who_the_others_are_or_anothers_home(home: Home) -> None:
    number = home.register().json["id"]
    mine = home.ask("GET", "/v1/me/households", who=0).json["items"]
    assert [(each["is_me"], each["share"], each["id"] is None) for each in mine[0]["members"]] == [
        (True, 600, False),
        (False, 400, True),
    ]
    assert home.ask("GET", "/v1/me/households", who=2).json["items"] == []
    assert home.ask("GET", f"/v1/me/households/{number}/periods", who=2).status_code == 404
    assert "acc-1" not in home.ask("GET", f"/v1/partner/households/{number}").get_data(as_text=True)


def test_who_moved_out_sees_no_month_after_that(home: Home) -> None:
    told = home.register().json
    home.clock.at = IN_APRIL
    left = told["members"][1]["id"]
    path = f"/v1/partner/households/{told['id']}/members/{left}/departure"
    assert home.ask("POST", path, {"on": "2026-03-01"}).status_code == 201
    again = home.ask("POST", path, {"on": "2026-03-02"})
    assert (again.status_code, again.json["code"]) == (409, "stay_ended")
    assert home.night() == 1
    assert [len(home.periods(told["id"], who=who)) for who in (0, 1)] == [1, 0]
    # Somebody moves in and out again, and a meter is replaced: none of it is told to who left before.
    person = {"subject": "acc-13", "since": "2026-03-20", "share": 500}
    moved_in = home.ask("POST", f"/v1/partner/households/{told['id']}/members", person)
    assert moved_in.status_code == 201
    third = moved_in.json["members"][-1]["id"]
    path = f"/v1/partner/households/{told['id']}/members/{third}/departure"
    assert home.ask("POST", path, {"on": "2026-04-02"}).status_code == 201
    swap = {**METER, "number": "m-3", "since": "2026-04-01", "first_register": 5, "last_register": 10_240}
    assert home.ask("POST", f"/v1/partner/households/{told['id']}/meters", swap).status_code == 201
    stay = ("2025-01-01", "2026-03-01")
    assert home.seen(who=1) == ([(False, 600, *stay), (True, 400, *stay)], [("1", *stay), ("2", *stay)])
    short = ("2026-03-20", "2026-04-01")
    assert home.seen(who=2) == (
        [(False, 600, "2026-03-20", "2026-04-02"), (True, 500, "2026-03-20", "2026-04-02")],
        [("1", *short), ("2", "2026-03-20", "2026-04-02"), ("1", "2026-04-01", "2026-04-02")],
    )
    (members, meters) = home.seen(who=0)
    assert [since for _, _, since, _ in members] == ["2025-01-01", "2025-01-01", "2026-03-20"]
    assert [until for *_, until in meters] == ["2026-04-01", None, None]


def test_another_partner_does_not_find_it(home: Home, database: Database) -> None:
    number = home.register().json["id"]
    other = database.run(lambda call: register_partner(call, name="another", region_id=REGION).api_key)
    home.city = City(home.city.partner_id, other)
    assert home.ask("GET", f"/v1/partner/households/{number}").status_code == 404
    assert home.ask("GET", "/v1/partner/households").json["items"] == []
    assert home.read(("m-1", "2026-03-01", 5)) == ["meter_unknown"]
    for end, body in (
        ("members", HOME["members"][0]),
        ("meters", METER),
        ("standings", HOME["standing"]),
        (f"members/hhm_{'0' * 26}/departure", {"on": "2026-03-01"}),
    ):
        assert home.ask("POST", f"/v1/partner/households/{number}/{end}", body).status_code == 404


@pytest.mark.parametrize(
    ("change", "status", "pointer"),
    [
        ({"meters": []}, 422, "/body/meters"),
        ({"members": []}, 422, "/body/members"),
        ({"members": [{**HOME["members"][0], "share": 0}]}, 422, "/body/members/0/share"),
        ({"members": [{**HOME["members"][0], "since": "2026-03-06"}]}, 422, "/body/members/0/since"),
        ({"meters": [{**METER, "modulus": 1}]}, 422, "/body/meters/0/modulus"),
        ({"meters": [{**METER, "first_register": 1_000_000}]}, 422, "/body/meters/0/first_register"),
        ({"meters": [{**METER, "last_register": 5}]}, 422, "/body/meters/0/last_register"),
        ({"meters": [{**METER, "kind": "coal"}]}, 422, "/body/meters/0/kind"),
        ({"standing": {**HOME["standing"], "has_solar": "no"}}, 422, "/body/standing/has_solar"),
        ({"members": [{**HOME["members"][0], "subject": "acc-99"}]}, 422, "/body/members/0/subject"),
        ({"meters": [METER, {**METER, "number": "m-9"}]}, 409, "/body/meters/1/point"),
        ({"meters": [METER, {**METER, "point": "9"}]}, 409, "/body/meters/1/number"),
    ],
)
def test_a_bad_home_is_refused_with_its_place(
    home: Home, change: dict[str, Any], status: int, pointer: str
) -> None:
    answer = home.register(**change)
    assert (answer.status_code, [each["pointer"] for each in answer.json["errors"]]) == (status, [pointer])
    assert home.register().status_code == 201
