"""Over HTTP: an owner's endpoints are its own, secrets are shown once, and the page is its link's."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from app.factory import Product
from app.identity.roles import Role
from app.identity.sign_in import SignedIn, add_staff, sign_in_staff
from app.identity.tokens import issue
from app.notifications.webhooks.dispatch import send_due
from app.notifications.webhooks.events import EVENTS
from app.notifications.webhooks.history import PAGE_LIFE
from app.notifications.webhooks.kit.webhook_verifier import verify
from app.notifications.webhooks.tables import MOST_ENDPOINTS
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import new_id, public_id
from merchants.onboarding import add_merchant
from tests.app.notifications.webhooks.receiver import TAKEN, receiver
from tests.app.notifications.webhooks.test_deliveries import REFUSES, handed_on
from tests.app.notifications.webhooks.world import batches_done
from tests.conftest import NOW, REGION, Database

WANTED: dict[str, Any] = {
    "url": "https://hooks.example.com/in",
    "events": ["batch.done.v1"],
    "description": "imports",
}
TILLS: dict[str, Any] = {**WANTED, "events": ["voucher.redeemed.v1"]}


class Office:
    """A served product and callers of every kind, by name."""

    def __init__(self, product: Product, database: Database) -> None:
        self.product, self.database, self.tokens = product, database, {}
        for name in ("partner", "other partner"):
            made = database.run(partial(register_partner, name=name, region_id=REGION))
            self.tokens[name] = made.api_key
            setattr(self, name.replace(" ", "_"), made.partner.id)
        self.merchant = database.run(lambda call: add_merchant(call, name_zh="示例", name_en="Example"))
        for name, role, region in (
            ("manager", Role.MERCHANT_MANAGER, REGION),
            ("operator", Role.OPERATOR_EDITOR, REGION),
            ("operator elsewhere", Role.OPERATOR_EDITOR, "CN-GD"),
            ("publisher", Role.OPERATOR_PUBLISHER, REGION),
        ):
            self.tokens[name] = self._hired(name, role, region)

    partner: Any
    other_partner: Any

    def _hired(self, name: str, role: Role, region: str) -> str:
        def work(call: Call) -> SignedIn:
            merchant = self.merchant if role is Role.MERCHANT_MANAGER else None
            password = "correct horse battery 017"
            username = f"demo-{name.replace(' ', '-')}"
            add_staff(
                call,
                username=username,
                password=password,
                role=role,
                region_id=region,
                organisation_id=merchant,
            )
            opened = sign_in_staff(call, username=username, password=password)
            assert isinstance(opened, SignedIn)
            return opened

        opened = self.database.run(work)
        with self.product.flask.app_context():
            return issue(
                session_id=opened.session_id, refresh_id=opened.refresh_id, subject=opened.subject, now=NOW
            ).access_token

    def ask(self, who: str, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[who]}", "Idempotency-Key": key or new_id().hex}
        return self.product.flask.test_client().open(path, method=method, json=body, headers=headers)

    def added(self, who: str = "partner", body: Any = None) -> Any:
        answer = self.ask(who, "POST", "/v1/webhooks", body or WANTED)
        assert answer.status_code == 201, answer.json
        return answer.json

    def at(self, url: str) -> None:
        """Let every endpoint stand where a test's server does, and be switched on."""
        self.database.run(
            lambda call: call.db.execute(
                text("UPDATE webhook_endpoint SET state = 'on', verified_at = :now"), {"now": NOW}
            )
        )
        owner_sql = "UPDATE webhook_endpoint SET url = :url"
        from kernel.database import create_engine  # noqa: PLC0415 - the owner alone may change an address

        owner = create_engine(self.database.url, as_owner=True)
        with owner.begin() as connection:
            connection.execute(text(owner_sql), {"url": url})
        owner.dispose()


@pytest.fixture
def office(product: Product, database: Database) -> Office:
    return Office(product, database)


def test_an_endpoint_is_taken_in_shown_and_deleted_and_its_secret_is_shown_once(office: Office) -> None:
    answer = office.ask(
        "partner", "POST", "/v1/webhooks", {**WANTED, "url": "HTTPS://Hooks.Example.com:443/in"}
    )
    made = answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    assert (made["webhook"]["url"], made["webhook"]["state"]) == ("https://hooks.example.com/in", "waiting")
    assert made["webhook"]["partner_id"] == public_id("ptn", office.partner)
    assert made["webhook"]["merchant_id"] is None
    path = f"/v1/webhooks/{made['webhook']['id']}"
    listed = office.ask("partner", "GET", "/v1/webhooks").json["items"]
    assert listed == [office.ask("partner", "GET", path).json] == [made["webhook"]]
    assert "whsec_" not in office.ask("partner", "GET", path).get_data(as_text=True)
    assert office.ask("partner", "DELETE", path).status_code == 204
    assert office.ask("partner", "DELETE", path).status_code == 404
    assert office.ask("partner", "GET", "/v1/webhooks").json["items"] == []
    actions = [row.action for row in office.database.rows("SELECT action FROM audit_entry ORDER BY id")]
    assert actions[-2:] == ["webhook.register", "webhook.delete"]


def test_no_secret_of_an_endpoint_stands_anywhere_in_the_database(office: Office) -> None:
    secrets = [office.added()["secret"]]
    path = f"/v1/webhooks/{office.ask('partner', 'GET', '/v1/webhooks').json['items'][0]['id']}"
    secrets.append(office.ask("partner", "POST", f"{path}/secret").json["secret"])
    link = office.ask("partner", "POST", f"{path}/page").json["path"].rpartition("/")[2]
    for table in ("webhook_secret", "webhook_endpoint", "audit_entry", "idempotency", "outgoing"):
        told = str(office.database.rows(f"SELECT {table}::text AS row FROM {table}"))  # noqa: S608 - our tables
        for secret in (*secrets, *(each.removeprefix("whsec_") for each in secrets), link):
            assert secret not in told, table


@pytest.mark.parametrize("who", ["other partner", "manager", "operator elsewhere"])
def test_whose_it_is_not_finds_nothing(office: Office, who: str) -> None:
    made = office.added()["webhook"]["id"]
    path = f"/v1/webhooks/{made}"
    delivery = office.ask("partner", "POST", f"{path}/ping").json["id"]
    asked = [
        ("GET", path, None),
        ("DELETE", path, None),
        *(("POST", f"{path}/{end}", None) for end in ("ping", "secret", "pause", "resumption", "page")),
        ("GET", f"{path}/deliveries", None),
        ("GET", f"{path}/deliveries/{delivery}", None),
        ("POST", f"{path}/deliveries/{delivery}/redelivery", None),
        ("POST", f"{path}/replays", {"since": "2026-11-01T00:00:00Z", "which": "all"}),
    ]
    for method, address, body in asked:
        assert office.ask(who, method, address, body).status_code == 404, address
    assert office.ask(who, "GET", "/v1/webhooks").json["items"] == []
    assert office.ask("publisher", "GET", path).status_code == 403
    own = office.added("other partner")["webhook"]["id"]
    crossed = office.ask("other partner", "GET", f"/v1/webhooks/{own}/deliveries/{delivery}")
    assert crossed.status_code == 404


def test_an_operator_names_the_owner_and_owners_name_nobody(office: Office) -> None:
    merchant, partner = public_id("mer", office.merchant), public_id("ptn", office.partner)
    made = office.added("operator", {**TILLS, "merchant_id": merchant})["webhook"]
    assert office.ask("manager", "GET", f"/v1/webhooks/{made['id']}").json == made
    assert office.ask("operator", "GET", f"/v1/webhooks/{made['id']}").json["merchant_id"] == merchant
    assert office.added("operator", {**WANTED, "partner_id": partner})["webhook"]["partner_id"] == partner
    for who, body in (
        ("operator", TILLS),
        ("operator", {**TILLS, "merchant_id": merchant, "partner_id": partner}),
        ("manager", {**TILLS, "merchant_id": merchant}),
        ("partner", {**WANTED, "partner_id": partner}),
    ):
        answer = office.ask(who, "POST", "/v1/webhooks", body)
        assert (answer.status_code, answer.json["code"]) == (422, "webhook_owner_missing")
    elsewhere = office.ask("operator elsewhere", "POST", "/v1/webhooks", {**TILLS, "merchant_id": merchant})
    assert elsewhere.status_code == 404


def test_events_are_those_of_the_owner(office: Office) -> None:
    for who, audience in (("partner", "partner"), ("manager", "merchant")):
        for each in EVENTS:
            answer = office.ask(who, "POST", "/v1/webhooks", {**WANTED, "events": [each.name]})
            if audience in each.audience:
                assert answer.status_code == 201
                office.ask(who, "DELETE", f"/v1/webhooks/{answer.json['webhook']['id']}")
            else:
                assert answer.json["code"] == "webhook_event_not_yours"
                assert answer.json["errors"][0]["pointer"] == "/body/events/0"


@pytest.mark.parametrize(
    "url", ["http://hooks.example.com/", "https://localhost:9443/", "https://10.0.0.1/aa"]
)
def test_an_address_that_is_not_public_is_refused_with_its_pointer(office: Office, url: str) -> None:
    answer = office.ask("partner", "POST", "/v1/webhooks", {**WANTED, "url": url})
    assert (answer.status_code, answer.json["code"]) == (422, "webhook_url_refused")
    assert answer.json["errors"][0]["pointer"] == "/body/url"


def test_an_owner_has_a_handful_however_many_ask_at_once(office: Office) -> None:
    start = threading.Barrier(8)

    def add(_: int) -> int:
        start.wait(30)
        return int(office.ask("partner", "POST", "/v1/webhooks", WANTED).status_code)

    with ThreadPoolExecutor(8) as threads:
        told = sorted(threads.map(add, range(8)))
    assert told == [201] * MOST_ENDPOINTS + [409] * (8 - MOST_ENDPOINTS)
    listed = office.ask("partner", "GET", "/v1/webhooks").json["items"]
    assert len(listed) == MOST_ENDPOINTS
    office.ask("partner", "DELETE", f"/v1/webhooks/{listed[2]['id']}")
    assert office.ask("partner", "POST", "/v1/webhooks", WANTED).status_code == 201
    assert office.ask("partner", "POST", "/v1/webhooks", WANTED).json["code"] == "too_many_webhooks"


def test_secrets_rotated_at_once_leave_two_that_sign(office: Office) -> None:
    made = office.added()
    path = f"/v1/webhooks/{made['webhook']['id']}/secret"
    start = threading.Barrier(4)

    def rotate(_: int) -> str:
        start.wait(30)
        answer = office.ask("partner", "POST", path)
        assert answer.status_code == 201, answer.json
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json["former_signs_until"] == "2026-11-21T04:00:00Z"
        return str(answer.json["secret"])

    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(rotate, range(4)))) == 4
    rows = office.database.rows("SELECT ends_at FROM webhook_secret")
    assert len([row for row in rows if row.ends_at is None]) == 1
    assert len([row for row in rows if row.ends_at is not None and row.ends_at > NOW]) == 1


def test_from_the_first_ping_to_a_delivery_sent_again(office: Office, database: Database) -> None:
    made = office.added()
    path = f"/v1/webhooks/{made['webhook']['id']}"
    assert office.ask("partner", "POST", f"{path}/resumption").json["code"] == "webhook_not_verified"
    assert office.ask("partner", "POST", f"{path}/pause").json["code"] == "webhook_not_on"
    ping = office.ask("partner", "POST", f"{path}/ping").json
    assert office.ask("partner", "POST", f"{path}/ping").json["id"] == ping["id"]
    refused = office.ask("partner", "POST", f"{path}/deliveries/{ping['id']}/redelivery")
    assert refused.json["code"] == "ping_not_sent_again"
    with receiver(REFUSES) as server:
        office.at(server.url)
        database.run(lambda call: batches_done(call, office.partner))
        assert handed_on(database) == 1
        assert send_due(database.run, server.reach) == 2
        (told,) = office.ask("partner", "GET", f"{path}/deliveries?state=waiting").json["items"]
        followed = office.ask("partner", "GET", f"{path}/deliveries/{told['id']}").json
        assert followed["delivery"] == told
        assert [(each["number"], each["status"], each["answer"]) for each in followed["attempts"]] == [
            (1, 500, "no")
        ]
        assert followed["attempts"][0]["took_ms"] >= 0
        server.says = TAKEN
        key = new_id().hex
        again = f"{path}/deliveries/{told['id']}/redelivery"
        answers = [office.ask("partner", "POST", again, key=key) for _ in range(2)]
        assert [each.status_code for each in answers] == [201, 201]
        assert answers[1].headers["Idempotent-Replayed"] == "true"
        assert send_due(database.run, server.reach) == 1
        event = verify(
            server.got[-1].headers, server.got[-1].body, secrets=[made["secret"]], now_s=int(NOW.timestamp())
        )
        assert event["id"] == told["message_id"]
        assert followed["body"].encode() == server.got[-1].body
        since = {"since": "2026-11-01T00:00:00Z", "which": "all"}
        replayed = office.ask("partner", "POST", f"{path}/replays", since).json
        assert replayed == {"count": 1, "more": False, "next": None}
        for after in ("nothing of ours", "e30", page_cursor(office, path)):
            wrong = office.ask("partner", "POST", f"{path}/replays", {**since, "after": after})
            assert (wrong.status_code, wrong.json["code"]) == (422, "wrong_cursor")
            assert wrong.json["errors"][0]["pointer"] == "/body/after"
        assert send_due(database.run, server.reach) == 1
    assert office.ask("partner", "POST", f"{path}/pause").json["state"] == "paused"
    assert office.ask("partner", "POST", f"{path}/resumption").json["state"] == "on"
    assert office.ask("partner", "POST", f"{path}/resumption").json["code"] == "webhook_not_paused"


def page_cursor(office: Office, path: str) -> str:
    """A cursor of ours that belongs to another list."""
    return str(office.ask("partner", "GET", f"{path}/deliveries?limit=1").json["next"])


def page_of(office: Office, path: str, *, lang: str = "en", method: str = "GET", to: str = "") -> Any:
    headers = {"Accept": "text/html"}
    address = f"{path}{to}?lang={lang}"
    return office.product.flask.test_client().open(address, method=method, headers=headers)


def test_the_page_shows_what_was_sent_and_sends_it_again(office: Office, database: Database) -> None:
    made = office.added(body={**WANTED, "description": "<b>imports</b>"})
    path = f"/v1/webhooks/{made['webhook']['id']}"
    hostile = b"HTTP/1.1 500 No\r\nContent-Length: 25\r\n\r\n<script>alert(1)</script>"
    with receiver(hostile) as server:
        office.at(server.url)
        database.run(lambda call: batches_done(call, office.partner))
        assert handed_on(database) == 1
        assert send_due(database.run, server.reach) == 1
        link = office.ask("partner", "POST", f"{path}/page").json["path"]
        shown = page_of(office, link)
        html = shown.get_data(as_text=True)
        assert shown.status_code == 200
        assert "form-action 'self'" in shown.headers["Content-Security-Policy"]
        assert shown.headers["Cache-Control"] == "no-store"
        assert shown.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert "&lt;b&gt;imports" in html
        assert "<script" not in html
        assert made["secret"] not in html
        assert "refused 500" in html
        assert "Send now" in html
        assert "立即发送" in page_of(office, link, lang="zh").get_data(as_text=True)
        (action,) = re.findall(r'<form method="post" action="([^"]+)"', html)
        server.says = TAKEN
        browser = office.product.flask.test_client()
        back = browser.post(action, headers={"Accept": "text/html"})
        assert back.status_code == 303
        assert back.headers["Location"].startswith(f"{link}?lang=en#whd_")
        assert back.headers["Cache-Control"] == "no-store"
        assert send_due(database.run, server.reach) == 1
        assert "taken 204" in page_of(office, link).get_data(as_text=True)


def test_what_opens_nothing_looks_the_same(office: Office, clock: FixedClock) -> None:
    made = office.added()["webhook"]["id"]
    path = f"/v1/webhooks/{made}"
    delivery = office.ask("partner", "POST", f"{path}/ping").json["id"]
    first = office.ask("partner", "POST", f"{path}/page").json["path"]
    second = office.ask("partner", "POST", f"{path}/page").json["path"]
    assert page_of(office, second).status_code == 200

    def closed(link: str) -> None:
        seen = {page_of(office, link).status_code}
        seen.add(page_of(office, link, method="POST", to=f"/deliveries/{delivery}/redelivery").status_code)
        assert seen == {404}

    for link in (first, "/webhooks/unknown", f"/webhooks/{'a' * 65}", "/webhooks/é"):
        closed(link)
    other = office.added("other partner")["webhook"]["id"]
    theirs = office.ask("other partner", "POST", f"/v1/webhooks/{other}/page").json["path"]
    crossed = page_of(office, theirs, method="POST", to=f"/deliveries/{delivery}/redelivery")
    assert crossed.status_code == 404
    clock.advance(PAGE_LIFE - timedelta(seconds=1))
    assert page_of(office, second).status_code == 200
    clock.advance(timedelta(seconds=1))
    closed(second)
    third = office.ask("other partner", "POST", f"/v1/webhooks/{other}/page").json["path"]
    office.ask("other partner", "DELETE", f"/v1/webhooks/{other}")
    closed(third)


def test_a_page_goes_on_behind_twenty(office: Office, database: Database) -> None:
    made = office.added()["webhook"]["id"]
    office.at("https://hooks.example.com/in")
    database.run(partial(batches_done, partner_id=office.partner, count=25))
    assert handed_on(database) == 25
    link = office.ask("partner", "POST", f"/v1/webhooks/{made}/page").json["path"]
    html = page_of(office, link).get_data(as_text=True)
    (cursor,) = re.findall(r'after=([^"]+)"', html)
    more = office.product.flask.test_client().get(
        f"{link}?lang=en&after={cursor}", headers={"Accept": "text/html"}
    )
    seen = re.findall(r'<li id="(whd_\w+)"', html + more.get_data(as_text=True))
    assert len(seen) == len(set(seen)) == 25
