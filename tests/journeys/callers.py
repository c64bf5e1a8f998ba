"""Everybody who may call the product, each beside a neighbour of the same role, and what is theirs.

All of them hold real tokens of a real product on a planted town; `caller_for` finds who may use an address,
`ids` are things of the first caller's by the name an address gives them.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.demo.charity import one_page_pdf
from app.factory import TERMINAL_PERMISSIONS, Product, create_product
from app.identity.roles import PERMISSIONS, Role
from app.identity.sign_in import SignedIn, add_staff, sign_in_staff
from app.identity.tokens import issue
from app.notifications.inbox import MESSAGE, Telling, tell
from app.notifications.tables import Message
from app.notifications.webhooks.deliveries import prepare_deliveries
from app.notifications.webhooks.events import ENDPOINT
from app.notifications.webhooks.history import DELIVERY
from app.notifications.webhooks.schemas import TakesWebhook
from app.notifications.webhooks.tables import WebhookDelivery, WebhookEndpoint
from carbon.activities.batch_records import BATCH, Content, Opening, move, open_batch
from carbon.activities.batch_states import State
from carbon.donations.schemas import TakesDeclaration
from carbon.factors.bundles import read_shipped
from carbon.partners.registry import PERMISSIONS as PARTNER_PERMISSIONS
from carbon.partners.registry import register_partner
from kernel.call import Call
from kernel.clock import SystemClock, business_day
from kernel.database import create_engine, in_transaction, sessions_on
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id, parse_public_id, public_id
from kernel.outgoing import News
from kernel.paging import PageRequest
from kernel.permission import Permission
from merchants.onboarding import add_merchant, add_store
from merchants.settlement.closing import close_next
from merchants.settlement.records import settlements
from merchants.terminals import new_terminal, pair
from tests.carbon.city import OFFICIAL
from tests.conftest import REGION, cloned_database, make_call, plant_region, settings_for
from tests.journeys.offers import plant_offers
from tests.journeys.proposals import heard_proposal, plant_notices, plant_terms, proposed_recomputation
from tests.journeys.served import Town, bearer, plant_town

PASSWORD = "correct horse battery 017"
STAFF = (
    *(Role.CLERK, Role.DONOR, Role.OPERATOR_EDITOR),
    *(Role.OPERATOR_REVIEWER, Role.OPERATOR_PUBLISHER, Role.OPERATOR_AUDITOR),
)
RULE: dict[str, Any] = {
    "subject": "standard",
    "kind": "coin_rate",
    "title": "A rate to come",
    "content": {"coins_milli": 900, "per_mg": 10_000},
    "source": "a test",
}
PROJECT: dict[str, Any] = dict(TakesDeclaration.examples["A retrofit"])


HOME: dict[str, Any] = {
    "reference": "home",
    "standing": {"since": "2025-01-01", "price_tier": 1, "has_solar": False},
    "meters": [
        {"number": "m", "kind": "electricity", "since": "2025-01-01", "modulus": 10**6, "resolution": 100}
    ],
    "members": [{"subject": "", "since": "2025-01-01"}],
}


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    role: str
    token: str
    permissions: frozenset[Permission]


@dataclass
class Crowd:
    """A product with a planted town, callers, their neighbours, and what the callers own."""

    product: Product
    town: Town
    database_url: str
    callers: list[Caller]
    neighbours: dict[str, Caller]
    ids: dict[str, str]

    def caller_for(self, needed: Permission | None) -> Caller | None:
        """Who may; None where anybody may."""
        if needed is None:
            return None
        return next(caller for caller in self.callers if needed in caller.permissions)

    def outsider(self, needed: Permission) -> Caller:
        """Who may not."""
        return next(caller for caller in self.callers if needed not in caller.permissions)

    def send(self, caller: Caller | None, method: str, path: str, **more: Any) -> TestResponse:
        """One request, with a fresh Idempotency-Key unless one (or None) is given."""
        headers = {"Idempotency-Key": new_id().hex, **more.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        if caller is not None:
            headers = bearer(caller.token, **headers)
        return self.product.flask.test_client().open(path, method=method, headers=headers, **more)

    def make(self, role: str, path: str, body: Any, method: str = "POST") -> Any:
        """Something that must work."""
        caller = next(each for each in self.callers if each.role == role)
        answer = self.send(caller, method, path, json=body)
        assert answer.status_code in {200, 201}, (path, answer.json)
        return answer.json


@contextmanager
def crowd(cache_url: str) -> Iterator[Crowd]:
    """A database of its own with everybody in it."""
    with cloned_database() as url:
        engine = create_engine(url, pool_size=1)
        try:
            in_transaction(sessions_on(engine), lambda session: plant_region(_on(session)))
        finally:
            engine.dispose()
        town = plant_town(database_url=url, cache_url=cache_url, residents=2, tills=2)
        product = create_product(settings_for(url, cache_url))
        try:
            made = in_transaction(
                product.door.sessions, lambda session: _people(product, town, url, _on(session))
            )
            _belongings(made)
            yield made
        finally:
            product.close()


def coming_day(number: int = 0) -> str:
    """A day on which a rule may start."""
    return (business_day(SystemClock().now()) + timedelta(days=30 + number)).isoformat()


def _on(session: Session) -> Call:
    return make_call(session, now=SystemClock().now())


def _people(product: Product, town: Town, url: str, call: Call) -> Crowd:
    with product.flask.app_context():
        merchant = call.db.execute(text("SELECT id FROM merchant")).scalar_one()
        enterprise = new_id()
        staff = [_staff(call, role, REGION, {Role.CLERK: merchant, Role.DONOR: enterprise}) for role in STAFF]
        elsewhere = {Role.CLERK: new_id(), Role.DONOR: new_id()}
        others = [
            _staff(call, role, "CN-GD" if role not in elsewhere else REGION, elsewhere) for role in STAFF
        ]
    plant_notices(call)
    plant_terms(call)
    other_key = register_partner(call, name="another partner", region_id=REGION).api_key
    store = add_store(
        call, add_merchant(call, name_zh="另一家", name_en="Another"), name_zh="店", name_en="S"
    )
    other_till = pair(call, new_terminal(call, store.id, label="till").code).token
    mine, theirs = town.residents
    citizen = PERMISSIONS[Role.CITIZEN]
    return Crowd(
        product,
        town,
        url,
        [
            Caller("citizen", mine.token, citizen),
            Caller("partner", town.city.api_key, PARTNER_PERMISSIONS),
            Caller("till", town.tills[0], TERMINAL_PERMISSIONS),
            *staff,
        ],
        {
            "citizen": Caller("citizen", theirs.token, citizen),
            "partner": Caller("partner", other_key, PARTNER_PERMISSIONS),
            "till": Caller("till", other_till, TERMINAL_PERMISSIONS),
            **{other.role: other for other in others},
        },
        {
            "ctz": public_id("ctz", mine.id),
            "rwd": town.reward,
            "ptn": public_id("ptn", town.city.partner_id),
            "mer": public_id("mer", merchant),
            "payer": public_id("fnd", call.db.execute(text("SELECT id FROM funder")).scalar_one()),
        },
    )


def _staff(call: Call, role: Role, region: str, organisations: dict[Role, UUID]) -> Caller:
    name = f"demo-{role.value}-{new_id().hex[-12:]}"
    add_staff(
        call,
        username=name,
        password=PASSWORD,
        role=role,
        region_id=region,
        organisation_id=organisations.get(role),
    )
    found = sign_in_staff(call, username=name, password=PASSWORD)
    if not isinstance(found, SignedIn):
        raise BrokenInvariant("somebody who was let in cannot sign in")
    tokens = issue(
        session_id=found.session_id, refresh_id=found.refresh_id, subject=found.subject, now=call.now
    )
    return Caller(role.value, tokens.access_token, PERMISSIONS[role])


def make_home(crowd: Crowd, number: int) -> None:
    """A home of the first citizen, with a meter of its own."""
    home = {
        **HOME,
        "reference": f"home-{number}",
        "meters": [{**HOME["meters"][0], "number": f"m-{number:03d}"}],
        "members": [{**HOME["members"][0], "subject": crowd.town.residents[0].card}],
    }
    made = crowd.make("partner", "/v1/partner/households", home)
    crowd.ids |= {"household": made["id"], "member": made["members"][0]["id"]}


def _belongings(crowd: Crowd) -> None:
    """One of everything an address can name, and three of what lists show."""
    make, ids = crowd.make, crowd.ids
    for number in range(3):
        ride = crowd.town.ride(crowd.town.residents[0], f"ride-{number}", SystemClock().now())
        ids["act"] = ids["activity"] = make("partner", "/v1/partner/activities", ride)["activity_id"]
    for number in range(3):
        ids["voucher"] = make("citizen", "/v1/me/vouchers", {"reward_id": ids["rwd"]})["id"]
        batch = {"reference": f"r{number}", "adapter": "shenzhen_tong"}
        ids["batch"] = make("partner", "/v1/partner/batches", batch)["id"]
        rule = {**RULE, "effective_from": coming_day(number)}
        ids["rule"] = make("operator_editor", "/v1/operator/rules", rule)["id"]
        project = {**PROJECT, "project_key": f"demo-{number}"}
        ids["project"] = make("donor", "/v1/operator/donation-projects", project)["id"]
        make_home(crowd, number)
    _charity(crowd)
    ids["settlement"] = settled(crowd)
    ids["adjustment"] = adjusted(crowd)
    ids["redemption"] = redeemed(crowd)
    ids["voucher"] = make("citizen", "/v1/me/vouchers", {"reward_id": ids["rwd"]})["id"]
    table = {"form": "yaml", "text": read_shipped(OFFICIAL).decode().replace("2021", "2022")}
    ids["table"] = make("operator_editor", "/v1/operator/factor-tables", table)["id"]
    names = {"name_zh": "示例", "name_en": "Example"}
    ids["fnd"] = make("operator_editor", "/v1/funders", names)["id"]
    ids["merchant"] = make("operator_editor", "/v1/merchants", names)["id"]
    ids["store"] = make("operator_editor", f"/v1/merchants/{ids['merchant']}/stores", names)["id"]
    clerk = {"number": "99", "role": "cashier", "pin": "618240"}
    ids["clerk"] = make("operator_editor", f"/v1/merchants/{ids['merchant']}/clerks", clerk)["id"]
    path = f"/v1/stores/{ids['store']}/terminals"
    ids["terminal"] = make("operator_editor", path, {"label": "till"})["terminal_id"]
    for name, path in (("binding", "/v1/me/bindings"), ("named", "/v1/me/consents")):
        ids[name] = make("citizen", path, None, "GET")["items"][0]["id"]
    ids["partner"] = ids["ptn"]
    ids["publication"], ids["objection"] = heard_proposal(make, coming_day(40))
    ids["notice"] = ids["publication"]
    doubt = {"citizen_id": ids["ctz"], "activity_id": ids["act"], "reason_zh": "示例", "reason_en": "why"}
    _webhook(crowd)
    ids["hold"] = make("operator_editor", "/v1/operator/holds", doubt)["id"]
    ids["recomputation"] = proposed_recomputation(make)
    ids["message"] = told_message(crowd)
    plant_offers(make, ids)


def told_message(crowd: Crowd) -> str:
    """Something that the first citizen was told."""
    citizen = parse_public_id("ctz", crowd.ids["ctz"])
    facts = {"validity_class": "standard", "coin_milli": 1, "expires_on": "2026-01-01"}
    told = Telling(holder_id=citizen, region_id=REGION, kind="coins_expired", subject="standard", facts=facts)
    with crowd.product.door.sessions.begin() as session:
        call = _on(session)
        tell(call, [told])
        read = select(Message.id).where(Message.holder_id == citizen).limit(1)
        return public_id(MESSAGE, session.scalars(read).one())


def _webhook(crowd: Crowd) -> None:
    """An endpoint of the partner, and what was sent to it: a ping, and a batch that ended."""
    example = TakesWebhook.examples["A partner's"]
    made = crowd.make("partner", "/v1/webhooks", dict(example))["webhook"]["id"]
    crowd.make("partner", f"/v1/webhooks/{made}/ping", None)
    endpoint_id = parse_public_id(ENDPOINT, made)

    def work(session: Session) -> UUID:
        call = _on(session)
        endpoint = call.db.get_one(WebhookEndpoint, endpoint_id)
        endpoint.state, endpoint.verified_at = "on", call.now
        opening = Opening(reference="told", adapter="csv")
        batch = open_batch(call, endpoint.owner_id, opening, begun=Content(digest=bytes(32), lines=1))
        move(call, batch, State.DONE, reason="every line was taken")
        news = News(
            id=new_id(),
            region_id=REGION,
            event="batch.done",
            subject=public_id(BATCH, batch.id),
            facts={},
            recorded_at=call.now,
        )
        call.db.flush()
        prepare_deliveries(call, [news])
        found = select(WebhookDelivery.id).where(WebhookDelivery.news_id == news.id)
        return call.db.scalars(found).one()

    delivery = in_transaction(crowd.product.door.sessions, work)
    crowd.ids |= {"webhook": made, "delivery": public_id(DELIVERY, delivery)}


def redeemed(crowd: Crowd) -> str:
    """A voucher bought and redeemed now."""
    voucher = crowd.make("citizen", "/v1/me/vouchers", {"reward_id": crowd.ids["rwd"]})["id"]
    codes = crowd.make("citizen", f"/v1/me/vouchers/{voucher}/codes", None, "GET")
    scan = {"code": codes["items"][0]["text"]}
    return str(crowd.make("till", "/v1/terminal/redemptions", scan)["id"])


def settled(crowd: Crowd) -> str:
    """A voucher redeemed today, and the settlement of it as it will be closed in some weeks."""
    crowd.ids["used"] = redeemed(crowd)

    def close(session: Session) -> str:
        merchant = parse_public_id("mer", crowd.ids["mer"])
        call = make_call(session, now=SystemClock().now() + timedelta(days=60))
        while close_next(call, merchant):
            pass
        return public_id("stl", settlements(call, PageRequest(limit=1)).items[0].id)

    return in_transaction(crowd.product.door.sessions, close)


def adjusted(crowd: Crowd) -> str:
    """An adjustment that somebody proposed."""
    path = f"/v1/operator/settlements/{crowd.ids['settlement']}/adjustments"
    amount = {"funder_id": crowd.ids["payer"], "payable_fen": 500, "reason": "a lost scan"}
    return str(crowd.make("operator_editor", path, amount)["id"])


def _charity(crowd: Crowd) -> None:
    """A dossier's document, and a gift of another project."""
    make, ids, projects = crowd.make, crowd.ids, "/v1/operator/donation-projects"
    report = one_page_pdf("an example")
    mark = b64encode(sha256(report).digest()).decode()
    document: Any = crowd.send(
        next(each for each in crowd.callers if each.role == "donor"),
        "PUT",
        f"{projects}/{ids['project']}/documents/baseline",
        data=report,
        headers={"Content-Digest": f"sha-256=:{mark}:"},
    ).json
    ids["document"], ids["kind"], ids["serial"] = document["id"], "baseline", "1"
    given = make("donor", projects, {**PROJECT, "project_key": "demo-given"})["id"]
    make("operator_publisher", f"{projects}/{given}/approval", {"reason": "complete"})
    deed = {"carbon_mg": 50_000_000, "statement_version": "v1"}
    ids["donation"] = make("donor", f"{projects}/{given}/donations", deed)["id"]
