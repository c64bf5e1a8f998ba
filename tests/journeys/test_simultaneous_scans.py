"""Sixty-four requests at the same instant through a real server: one effect, clear words for the others."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from kernel.clock import SystemClock
from kernel.database import create_engine, sessions_on
from tests.conftest import Database, cloned_database, plant_region
from tests.journeys.served import PRICE_COIN_MILLI, Resident, Served, Town, bearer, plant_town

TILLS = 8
AT_ONCE = 64
MOST_WAITS = 20
Send = Callable[[httpx.Client], httpx.Response]


@dataclass(frozen=True)
class Street:
    """A served town; each test has a resident of its own."""

    served: Served
    town: Town
    database: Database

    def ask(self, resident: Resident, path: str) -> Any:
        answer = httpx.get(f"{self.served.url}{path}", headers=bearer(resident.token), timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def credit(self, resident: Resident) -> None:
        """Enough coins for many vouchers."""
        record = self.town.ride(resident, f"ride-{resident.card}", SystemClock().now())
        headers = bearer(self.town.city.api_key)
        url = f"{self.served.url}/v1/partner/activities"
        answer = httpx.post(url, json=record, headers=headers, timeout=20)
        assert (answer.status_code, answer.json().get("outcome")) == (201, "credited"), answer.text

    def code_of_new_voucher(self, resident: Resident) -> str:
        """What the phone shows of a voucher just exchanged."""
        self.credit(resident)
        with httpx.Client(timeout=20) as client:
            voucher = self.exchange(resident, f"exchange-{resident.card}")(client).json()["id"]
        return str(self.ask(resident, f"/v1/me/vouchers/{voucher}/codes")["items"][0]["text"])

    def exchange(self, resident: Resident, key: str) -> Send:
        """An exchange that waits for its twin as it is told to."""
        headers = bearer(resident.token, **{"Idempotency-Key": key})
        return self._asking("/v1/me/vouchers", {"reward_id": self.town.reward}, headers)

    def scan(self, till: str, code: str, key: str) -> Send:
        """A redemption in one step."""
        headers = bearer(till, **{"Idempotency-Key": key})
        return self._asking("/v1/terminal/redemptions", {"code": code}, headers)

    def _asking(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> Send:
        def send(client: httpx.Client) -> httpx.Response:
            for _ in range(MOST_WAITS):
                answer = client.post(f"{self.served.url}{path}", json=body, headers=headers)
                if answer.json().get("code") not in {"idempotency_key_in_use", "busy"}:
                    break
                time.sleep(0.2)
            return answer

        return send

    def count(self, statement: str, resident: Resident) -> int:
        """A figure about one resident."""
        return int(self.database.rows(statement, who=resident.id)[0].n)


@pytest.fixture(scope="module")
def street(cache_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    with cloned_database() as url:
        engine = create_engine(url)
        database = Database(url, engine, sessions_on(engine))
        database.run(plant_region)
        town = plant_town(database_url=url, cache_url=cache_url, residents=3, tills=TILLS)
        served = Served(url, cache_url, tmp_path_factory.mktemp("street") / "web.log")
        try:
            served.start()
            yield Street(served, town, database)
        finally:
            served.kill()
            engine.dispose()


def at_once(sends: Sequence[Send]) -> list[httpx.Response]:
    """Every send from a connection of its own, all let go at one instant."""
    gate = threading.Barrier(len(sends))

    def one(send: Send) -> httpx.Response:
        with httpx.Client(timeout=30) as client:
            gate.wait()
            return send(client)

    with ThreadPoolExecutor(len(sends)) as threads:
        return list(threads.map(one, sends))


def test_eight_tills_scan_one_voucher_eight_times_each_and_it_is_redeemed_once(street: Street) -> None:
    me = street.town.residents[0]
    code, tills = street.code_of_new_voucher(me), street.town.tills
    answers = at_once([street.scan(tills[turn % TILLS], code, f"scan-{turn:04}") for turn in range(AT_ONCE)])
    told = Counter((answer.status_code, answer.json().get("code")) for answer in answers)
    assert told == {(201, None): 1, (409, "voucher_redeemed"): 63}
    kinds = {answer.headers["Content-Type"] for answer in answers if answer.status_code != 201}
    assert kinds == {"application/problem+json"}
    assert street.count("SELECT count(*) AS n FROM redemption WHERE holder_id = :who", me) == 1
    assert street.count(_SPENT, me) == 1


def test_sixty_four_equal_requests_with_one_key_have_one_effect_and_one_answer(street: Street) -> None:
    me = street.town.residents[1]
    street.credit(me)
    answers = at_once([street.exchange(me, "one-key-for-all")] * AT_ONCE)
    assert Counter(answer.status_code for answer in answers) == {201: AT_ONCE}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == AT_ONCE - 1
    assert street.count("SELECT count(*) AS n FROM voucher WHERE holder_id = :who", me) == 1
    held = "SELECT sum(held) AS n FROM ledger_balance WHERE holder_id = :who"
    assert street.count(held, me) == PRICE_COIN_MILLI


def test_equal_scans_with_one_key_are_one_redemption_and_sixty_three_replays(street: Street) -> None:
    me = street.town.residents[2]
    code = street.code_of_new_voucher(me)
    answers = at_once([street.scan(street.town.tills[0], code, "one-scan-key")] * AT_ONCE)
    assert Counter(answer.status_code for answer in answers) == {201: AT_ONCE}
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == AT_ONCE - 1
    assert street.count(_SPENT, me) == 1


_SPENT = "SELECT count(*) AS n FROM ledger_transfer WHERE holder_id = :who AND code = 'REDEEM'"
