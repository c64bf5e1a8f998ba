"""Clerks, shifts, batches and refused scans over HTTP, as tills, managers and operators send them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.factory import Product
from app.identity.roles import Role
from app.identity.sign_in import SignedIn, add_staff, sign_in_staff
from app.identity.tokens import issue
from kernel.call import Call
from kernel.clock import FixedClock
from kernel.identifiers import new_id, public_id
from merchants.terminals import new_terminal, pair
from tests.conftest import NOW, REGION, Database
from tests.merchants.clerk_world import PIN, WRONG_PIN
from tests.merchants.offline_world import Town, found_town
from tests.merchants.test_round_trips import statements
from tests.merchants.world import sound

PASSWORD = "correct horse battery 017"
Ask = Callable[..., Any]


@pytest.fixture
def town(product: Product, database: Database, clock: FixedClock) -> Town:
    return found_town(product, database, clock)


@pytest.fixture
def ask(town: Town) -> Ask:
    """One request with somebody's token."""

    def asked(token: str, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key or new_id().hex}
        return town.product.flask.test_client().open(path, method=method, json=body, headers=headers)

    return asked


def staff_token(town: Town, role: Role, merchant: UUID | None = None) -> str:
    """Somebody who signed in with a password."""
    name = f"demo-{new_id().hex[-12:]}"

    def work(call: Call) -> SignedIn:
        add_staff(
            call, username=name, password=PASSWORD, role=role, region_id=REGION, organisation_id=merchant
        )
        found = sign_in_staff(call, username=name, password=PASSWORD)
        assert isinstance(found, SignedIn)
        return found

    opened = town.run(work)
    with town.product.flask.app_context():
        return issue(
            session_id=opened.session_id, refresh_id=opened.refresh_id, subject=opened.subject, now=NOW
        ).access_token


def till_token(town: Town) -> str:
    return str(town.run(lambda call: pair(call, new_terminal(call, town.store_id, label="till").code)).token)


def code_of(town: Town) -> str:
    me = town.citizen()
    return town.codes(me, town.buy(me))[0]


def shift_at(ask: Ask, till: str, number: str = "07", pin: str = PIN) -> str:
    opened = ask(till, "POST", "/v1/terminal/shifts", {"number": number, "pin": pin})
    assert opened.status_code == 201, opened.json
    assert opened.headers["Cache-Control"] == "no-store"
    return f"{till}.{opened.json['token']}"


def test_a_managers_clerk_signs_in_redeems_and_signs_out(town: Town, ask: Ask) -> None:
    manager, till = staff_token(town, Role.MERCHANT_MANAGER, town.merchant_id), till_token(town)
    clerks = f"/v1/merchants/{public_id('mer', town.merchant_id)}/clerks"
    entered = ask(manager, "POST", clerks, {"number": "07", "role": "cashier", "pin": PIN})
    assert entered.status_code == 201, entered.json
    again = ask(manager, "POST", clerks, {"number": "07", "role": "cashier", "pin": PIN})
    assert (again.status_code, again.json["code"]) == (409, "clerk_number_taken")
    asked = {"clerk_required": True, "linked_clerks_only": False, "manager_reverses": True}
    store = public_id("sto", town.store_id)
    told = ask(manager, "POST", f"/v1/stores/{store}/clerk-rules", asked)
    assert told.json == {"id": store, **asked}
    use = "/v1/terminal/redemptions"
    assert ask(till, "POST", use, {"code": code_of(town)}).json["code"] == "clerk_needed"
    at_till = shift_at(ask, till)
    done = ask(at_till, "POST", use, {"code": code_of(town)})
    assert done.status_code == 201, done.json
    undo = f"{use}/{done.json['id']}/reversal"
    assert ask(at_till, "POST", undo, {"reason": "wrong item"}).json["code"] == "manager_needed"
    assert ask(manager, "POST", undo, {"reason": "wrong item"}).status_code == 201
    assert ask(at_till, "DELETE", "/v1/terminal/shifts/current").status_code == 204
    over = ask(at_till, "POST", use, {"code": code_of(town)})
    assert (over.status_code, over.json["code"]) == (401, "shift_over")
    listed = ask(manager, "GET", clerks).json["items"]
    assert [(each["number"], each["role"], each["linked"]) for each in listed] == [("07", "cashier", False)]
    assert ask(staff_token(town, Role.CLERK, town.merchant_id), "GET", clerks).status_code == 403
    town.run(sound)


def test_an_operator_who_publishes_undoes_a_use_of_the_region_and_one_who_edits_does_not(
    town: Town, ask: Ask
) -> None:
    use = "/v1/terminal/redemptions"
    done = ask(till_token(town), "POST", use, {"code": code_of(town)})
    undo = f"{use}/{done.json['id']}/reversal"
    asked = [
        ask(staff_token(town, role), "POST", undo, {"reason": "wrong shop"})
        for role in (Role.OPERATOR_EDITOR, Role.OPERATOR_AUDITOR, Role.OPERATOR_PUBLISHER)
    ]
    assert [each.status_code for each in asked] == [403, 403, 201]
    town.run(sound)


def test_linked_clerks_only_goes_with_a_clerk_required(town: Town, ask: Ask) -> None:
    store = public_id("sto", town.store_id)
    asked = {"clerk_required": False, "linked_clerks_only": True, "manager_reverses": False}
    told = ask(staff_token(town, Role.OPERATOR_EDITOR), "POST", f"/v1/stores/{store}/clerk-rules", asked)
    assert (told.status_code, told.json["errors"][0]["pointer"]) == (422, "/body/linked_clerks_only")


def test_a_wrong_pin_is_counted_although_it_is_refused(town: Town, ask: Ask) -> None:
    editor, till = staff_token(town, Role.OPERATOR_EDITOR), till_token(town)
    clerks = f"/v1/merchants/{public_id('mer', town.merchant_id)}/clerks"
    ask(editor, "POST", clerks, {"number": "07", "role": "cashier", "pin": PIN})
    body = {"number": "07", "pin": WRONG_PIN}
    told = [ask(till, "POST", "/v1/terminal/shifts", body) for _ in range(6)]
    assert [each.json["code"] for each in told] == ["pin_wrong"] * 5 + ["too_many_pins"]
    assert told[5].headers["Retry-After"] == "900"
    trivial = ask(editor, "POST", clerks, {"number": "08", "role": "cashier", "pin": "123456"})
    assert (trivial.status_code, trivial.json["code"]) == (422, "pin_trivial")
    assert trivial.json["errors"][0]["pointer"] == "/body/pin"


@pytest.mark.parametrize("tail", [".", ".x", ".tps_", ".tps_" + "a" * 43, "..", ".tps_a.tps_b"])
def test_a_secret_with_a_made_up_shift_behind_it_opens_nothing(town: Town, ask: Ask, tail: str) -> None:
    till = till_token(town)
    told = ask(till + tail, "POST", "/v1/terminal/redemptions", {"code": "8"})
    # A dot with nothing behind is the till alone.
    assert told.json["code"] == ("code_wrong_length" if tail == "." else "shift_over")


def test_a_batch_is_answered_again_under_its_key_and_names_what_is_at_fault(town: Town, ask: Ask) -> None:
    till, batches = till_token(town), "/v1/terminal/redemption-batches"
    codes = [code_of(town) for _ in range(10)]
    first = ask(till, "POST", batches, {"codes": codes}, key="batch-0001")
    again = ask(till, "POST", batches, {"codes": codes}, key="batch-0001")
    assert (first.status_code, len(first.json["items"])) == (201, 10)
    assert (again.json, again.headers["Idempotent-Replayed"]) == (first.json, "true")
    fresh = code_of(town)
    told = ask(till, "POST", batches, {"codes": [fresh, codes[3]]}, key="batch-0002")
    assert (told.status_code, told.json["code"]) == (409, "voucher_redeemed")
    assert told.json["errors"][0]["pointer"] == "/body/codes/1"
    assert ask(till, "POST", batches, {"codes": [fresh]}, key="batch-0002").status_code == 201
    for wrong in ([], [fresh] * 11, "codes", [7], [None]):
        assert ask(till, "POST", batches, {"codes": wrong}).status_code == 422
    assert len(town.rows("redemption")) == 11
    town.run(sound)


def test_refused_scans_are_shown_to_the_merchant_and_the_region(town: Town, ask: Ask) -> None:
    first, second = till_token(town), till_token(town)
    code = code_of(town)
    for till, shown in ((first, code), (first, code), (second, code), (second, "8")):
        ask(till, "POST", "/v1/terminal/redemptions", {"code": shown})
    town.later(hours=24)
    ask(second, "POST", "/v1/terminal/redemptions", {"code": code})
    clerk = staff_token(town, Role.CLERK, town.merchant_id)
    editor = staff_token(town, Role.OPERATOR_EDITOR)
    town.clock.at = NOW  # their tokens are of that hour
    path = "/v1/merchant/scan-refusals"

    def told(query: str = "", who: str = clerk, path: str = path) -> list[str]:
        answer = ask(who, "GET", f"{path}?{query}")
        assert answer.status_code == 200, answer.json
        return [each["refusal"] for each in answer.json["items"]]

    everything = ["code_too_old", "code_wrong_length", "voucher_redeemed", "voucher_redeemed"]
    assert told() == told(who=editor, path="/v1/operator/scan-refusals") == everything
    row = ask(clerk, "GET", f"{path}?refusal=voucher_redeemed").json["items"][0]
    assert (row["title_en"], row["title_zh"]) == ("This voucher was already redeemed.", "该券已核销")
    assert row["voucher_id"].startswith("vch_")
    assert told("day=2026-11-20") == everything[1:]
    assert told("day=2026-11-21&refusal=code_too_old") == everything[:1]
    assert told(f"terminal={row['terminal_id']}") == everything[:3]
    assert told(f"store={row['store_id']}") == everything
    assert told(f"store={public_id('sto', new_id())}") == []
    page = ask(clerk, "GET", f"{path}?limit=3").json
    rest = ask(clerk, "GET", f"{path}?limit=3&after={page['next']}").json
    assert [each["refusal"] for each in page["items"] + rest["items"]] == everything
    assert rest["next"] is None
    other = ask(clerk, "GET", f"{path}?limit=3&day=2026-11-20&after={page['next']}")
    assert (other.status_code, other.json["code"]) == (422, "wrong_cursor")
    stranger = staff_token(town, Role.CLERK, new_id())
    assert told(who=stranger) == []
    merchant = public_id("mer", town.merchant_id)
    assert told(f"merchant={merchant}", editor, "/v1/operator/scan-refusals") == everything
    assert told(f"merchant={public_id('mer', new_id())}", editor, "/v1/operator/scan-refusals") == []
    for wrong in ("day=yesterday", "store=x", "refusal=A", "merchant=" + merchant):
        assert ask(clerk, "GET", f"{path}?{wrong}").status_code == 422


def test_a_redemption_by_a_clerk_costs_one_look_at_the_shift_more(town: Town, ask: Ask) -> None:
    editor, till = staff_token(town, Role.OPERATOR_EDITOR), till_token(town)
    clerks = f"/v1/merchants/{public_id('mer', town.merchant_id)}/clerks"
    ask(editor, "POST", clerks, {"number": "07", "role": "cashier", "pin": PIN})
    at_till = shift_at(ask, till)
    counts = []
    for token in (till, at_till, till, at_till):
        code = code_of(town)
        with statements(town.product.engine) as sent:
            assert ask(token, "POST", "/v1/terminal/redemptions", {"code": code}).status_code == 201
        counts.append(len(sent))
    assert counts[3] == counts[2] + 1
