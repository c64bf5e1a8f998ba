"""How often a hot request asks the database: counted, so that it cannot creep up unseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.permission import Permission
from merchants.onboarding import add_merchant, add_store
from merchants.terminals import new_terminal, pair
from tests.merchants.test_voucher_routes import City, city
from tests.rewards.world import actor, shelf

__all__ = ["city"]

UNIT = ["BEGIN", "claim of the key", "the answer kept", "COMMIT"]
"""What every request that moves value does around its own work."""


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What is sent to the database meanwhile, one entry a round trip."""
    sent: list[str] = []

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(" ".join(statement.split())[:80])

    heard = {"before_cursor_execute": executed}
    for name in ("begin", "commit", "rollback"):
        heard[name] = lambda *_, _name=name: sent.append(_name.upper())
    for name, listener in heard.items():
        event.listen(engine, name, listener)
    try:
        yield sent
    finally:
        for name, listener in heard.items():
            event.remove(engine, name, listener)


def _till(call: Call) -> str:
    merchant = add_merchant(call, name_zh="示例", name_en="Example")
    store = add_store(call, merchant, name_zh="一店", name_en="First")
    return pair(call, new_terminal(call, store.id, label="till").code).token


@pytest.fixture
def bought(city: City) -> tuple[str, str, str]:
    """A till's secret, a reward, and a voucher of it; every connection, cache and plan is warm."""
    till = city.database.run(_till)
    reward = public_id("rwd", city.database.run(shelf).reward_id)
    for _ in range(2):
        voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
        scanned = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": _code(city, voucher)})
        assert scanned.status_code == 201, scanned.json
    voucher = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward}).json["id"]
    return till, reward, voucher


def _code(city: City, voucher: str) -> str:
    return str(city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}/codes").json["items"][0]["text"])


def test_an_exchange_reads_once_and_writes_once(city: City, bought: tuple[str, str, str]) -> None:
    _, reward, _ = bought
    with statements(city.database.engine) as sent:
        answer = city.ask("citizen", "POST", "/v1/me/vouchers", {"reward_id": reward})
    assert answer.status_code == 201
    # One for the reward and its rules, one that writes, and one that shows the voucher.
    assert len(sent) <= len(UNIT) + 3, sent


def test_a_redemption_takes_the_voucher_once_and_writes_once(
    city: City,
    bought: tuple[str, str, str],
) -> None:
    till, _, voucher = bought
    code = _code(city, voucher)
    with statements(city.database.engine) as sent:
        answer = city.ask(till, "POST", "/v1/terminal/redemptions", {"code": code})
    assert answer.status_code == 201, answer.json
    assert len(_after_the_door(sent)) <= len(UNIT) + 2, sent


def test_preparing_and_confirming_cost_what_a_redemption_costs(
    city: City,
    bought: tuple[str, str, str],
) -> None:
    till, _, voucher = bought
    code = _code(city, voucher)
    with statements(city.database.engine) as prepared:
        session = city.ask(till, "POST", "/v1/terminal/redemptions/prepare", {"code": code}).json["session"]
    with statements(city.database.engine) as confirmed:
        answer = city.ask(till, "POST", "/v1/terminal/redemptions/confirm", {"session": session})
    assert answer.status_code == 201, answer.json
    assert len(_after_the_door(prepared)) <= len(UNIT) + 2, prepared
    assert len(_after_the_door(confirmed)) <= len(UNIT) + 2, confirmed


def test_a_till_that_was_revoked_since_the_door_is_refused_and_reserves_nothing(
    city: City,
    bought: tuple[str, str, str],
) -> None:
    till, _, voucher = bought
    code = _code(city, voucher)
    city.database.run(_revoke_all)
    for rule, body in (("", {"code": code}), ("/prepare", {"code": code})):
        answer = city.ask(till, "POST", f"/v1/terminal/redemptions{rule}", body)
        assert answer.status_code in {401, 403}, answer.json
    caller = city.callers["late"] = _late_till(city)
    assert caller.permits(Permission.TERMINAL_REDEEM)
    answer = city.ask("late", "POST", "/v1/terminal/redemptions", {"code": code})
    assert answer.json["code"] == "terminal_not_paired"
    shown = city.ask("citizen", "GET", f"/v1/me/vouchers/{voucher}")
    assert shown.json["state"] == "issued"


def _revoke_all(call: Call) -> None:
    call.db.execute(text("UPDATE terminal SET state = 'revoked', revoked_at = :now"), {"now": call.now})


def _late_till(city: City) -> Actor:
    """The till as the door admitted it a moment before it was revoked."""
    row = city.database.rows("SELECT id, merchant_id FROM terminal")[0]
    return replace(
        actor(ActorKind.TERMINAL, row.id, row.merchant_id),
        permissions=frozenset({Permission.TERMINAL_REDEEM}),
    )


def _after_the_door(sent: list[str]) -> list[str]:
    """Without the look at the caller's secret, which is a transaction of its own that writes nothing."""
    return sent[sent.index("ROLLBACK") + 1 :]
