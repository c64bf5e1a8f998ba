"""A partner puts a month of records right by one file; it and the citizens see what became of them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import request

from app.factory import Product
from app.identity.roles import PERMISSIONS, Role
from carbon.activities.chunks import CORRECTIONS_MOST
from kernel.actor import Actor, ActorKind
from kernel.http.endpoint import install_door
from tests.carbon.partner_client import RECORD, Partner, make_partner, ndjson
from tests.conftest import REGION, Database

CARDS = [f"card-{number:03}" for number in range(100)]
RECORDS = 2_000
PER_METRE_MG = 46.7
WITHDRAWN, TWICE, CHAIN, CLASH, AHEAD = 3, 20, 22, 23, 10
CORRECTED_BEFORE = {AHEAD, AHEAD + 1}
"""Records that an earlier, smaller file corrected already."""
EMPTY = set(range(100, 150))
"""Records that turn out to have been nothing at all."""


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    made = make_partner(product, database, tmp_path / "uploads", *CARDS)
    mine = product.door.identify

    def identify() -> Actor:
        """Citizens of the small city have no sign-in; whoever names one is that citizen."""
        citizen = request.headers.get("X-Citizen")
        if citizen is None:
            return mine()
        held = PERMISSIONS[Role.CITIZEN]
        return Actor(kind=ActorKind.CITIZEN, id=UUID(citizen), region_id=REGION, permissions=held)

    install_door(product.flask, replace(product.door, identify=identify))
    return made


def record(number: int, metres: int, corrects: int | None = None) -> dict[str, Any]:
    """Two rides a card on each of ten days."""
    more = {} if corrects is None else {"corrects_revision": corrects}
    return {
        **RECORD,
        "source_event_id": f"ride-{number}",
        "subject": CARDS[number % len(CARDS)],
        "occurred_at": f"2026-11-{number // 200 + 1:02}T{number // 100 % 2 + 11}:00:00+08:00",
        "quantity": metres,
        **more,
    }


def outcomes(batch: Any) -> dict[tuple[str, str | None], int]:
    return {(row["outcome"], row["code"]): row["lines"] for row in batch["outcomes"]}


def mine(partner: Partner, card: str, path: str) -> Any:
    client = partner.product.flask.test_client()
    headers = {"X-Citizen": str(partner.owners[card])}
    return client.get(
        f"/v1/me/{path}", headers=headers, query_string={"limit": 200} if "/" not in path else {}
    ).json


CORRECTIONS = (
    *(
        record(number, 0 if number in EMPTY | {WITHDRAWN} else 1_500, 2 if number in CORRECTED_BEFORE else 1)
        for number in range(RECORDS)
    ),
    record(TWICE, 1_500, 1),
    record(CHAIN, 1_400, 2),
    record(CLASH, 1_700, 1),
    record(AHEAD, 1_700, 1),
    {**record(0, 1_500, 1), "source_event_id": "never-sent"},
)


def test_a_file_of_corrections_takes_the_place_of_two_thousand_records(partner: Partner) -> None:
    first = partner.send(ndjson(*(record(number, 2_000) for number in range(RECORDS))), reference="month")
    assert (outcomes(first), first["superseded"]) == ({("credited", None): RECORDS}, 0)
    early = partner.send(ndjson(*(record(number, 1_800, 1) for number in CORRECTED_BEFORE)), reference="some")
    assert (outcomes(early), early["superseded"]) == ({("credited", None): 2}, 2)

    told = partner.send(ndjson(*CORRECTIONS), reference="month, put right")

    zero = len(EMPTY) + 1
    assert outcomes(told) == {
        ("credited", None): RECORDS - zero + 1,
        ("assessed", "below_one_milligram"): zero,
        ("duplicate", "duplicate"): 1,
        ("rejected", "record_differs"): 2,
        ("rejected", "revision_unknown"): 1,
    }
    assert sum(outcomes(told).values()) == told["lines_done"] == len(CORRECTIONS)
    assert told["superseded"] == RECORDS + 1
    _lines_say_what_they_replaced(partner, told["id"])
    _every_reversal_names_what_it_takes_back(partner)
    _a_citizen_sees_both(partner)
    assert partner.broken() == []


def _lines_say_what_they_replaced(partner: Partner, batch: str) -> None:
    said = partner.get(f"/{batch}/lines.csv").data.decode("utf-8-sig")
    details = Counter(line.rsplit(",", 1)[1].strip() for line in said.splitlines()[1:])
    assert details["in the place of revision 1"] == RECORDS - len(CORRECTED_BEFORE)
    assert details["in the place of revision 2"] == len(CORRECTED_BEFORE) + 1
    rest = partner.get(f"/{batch}/lines", outcome="rejected").json["items"]
    assert [(row["line"], row["code"], row["pointer"]) for row in rest] == [
        (RECORDS + 3, "record_differs", "/source_event_id"),
        (RECORDS + 4, "record_differs", "/source_event_id"),
        (RECORDS + 5, "revision_unknown", "/corrects_revision"),
    ]


def _every_reversal_names_what_it_takes_back(partner: Partner) -> None:
    former = "JOIN activity a ON a.citizen_id = v.citizen_id AND a.id = v.activity_id"
    newer = "JOIN activity n ON n.citizen_id = v.citizen_id AND n.id = v.superseded_by"
    found = partner.database.rows(
        "SELECT count(*) AS reversals, count(*) FILTER (WHERE n.revision = a.revision + 1"  # noqa: S608 - our own
        " AND n.source_event_id = a.source_event_id) AS linked, count(*) FILTER (WHERE"
        " c.reverses_id = a.coin_transfer_id AND k.reverses_id = a.carbon_transfer_id"
        " AND c.amount = -v.coin_milli AND k.amount = -v.carbon_mg) AS posted"
        f" FROM activity_reversal v {former} {newer}"
        " LEFT JOIN ledger_transfer c ON c.holder_id = v.citizen_id AND c.id = v.coin_transfer_id"
        " LEFT JOIN ledger_transfer k ON k.holder_id = v.citizen_id AND k.id = v.carbon_transfer_id"
    )[0]
    everything = RECORDS + 1 + len(CORRECTED_BEFORE)
    assert tuple(found) == (everything, everything, everything)
    standing = partner.database.rows(
        "SELECT carbon_mg, count(*) AS n FROM activity a WHERE NOT EXISTS (SELECT 1 FROM activity_reversal v"
        " WHERE v.citizen_id = a.citizen_id AND v.activity_id = a.id) GROUP BY 1"
    )
    zero = len(EMPTY) + 1
    assert {row.carbon_mg: row.n for row in standing} == {
        0: zero,
        int(1_400 * PER_METRE_MG): 1,
        int(1_500 * PER_METRE_MG): RECORDS - zero - 1,
    }


def _a_citizen_sees_both(partner: Partner) -> None:
    """The card of `WITHDRAWN` has twenty rides, two a day: one is withdrawn, the others are shortened."""
    card = CARDS[WITHDRAWN]
    lived = mine(partner, card, "activities")["items"]
    assert Counter((row["superseded"], row["carbon_mg"] > 0) for row in lived) == {
        (True, True): 20,
        (False, True): 19 - len([n for n in EMPTY if n % 100 == WITHDRAWN]),
        (False, False): 1 + len([n for n in EMPTY if n % 100 == WITHDRAWN]),
    }
    lines = mine(partner, card, "transfers")["items"]
    by_id = {line["transfer_id"]: line for line in lines}
    undone = [line for line in lines if line["reverses_id"] is not None]
    assert Counter((line["unit"], line["code"]) for line in undone) == {
        ("coin", "CLAW_BACK"): 20,
        ("carbon", "CORRECTION"): 20,
    }
    for line in undone:
        original = by_id[line["reverses_id"]]
        assert (original["unit"], original["code"]) == (
            line["unit"],
            "CREDIT" if line["unit"] == "coin" else "CREDIT_CARBON",
        )
    (explained,) = {
        mine(partner, card, f"transfers/{line['transfer_id']}/explanation")["kind"] for line in undone[:4]
    }
    assert explained == "correction"
    (carbon,) = [each for each in mine(partner, card, "balances")["accounts"] if each["unit"] == "carbon"]
    rides = sum(row["carbon_mg"] for row in lived if not row["superseded"])
    assert carbon["available"] == rides == sum(line["amount"] for line in lines if line["unit"] == "carbon")


def test_the_file_again_changes_nothing(partner: Partner) -> None:
    few = CORRECTIONS[:4]
    partner.send(ndjson(*(record(number, 2_000) for number in range(4))), reference="month")
    partner.send(ndjson(*few), reference="right")
    before = (partner.count("activity"), partner.count("ledger_transfer"), partner.count("activity_reversal"))
    again = partner.send(ndjson(*few), reference="right again")
    assert (outcomes(again), again["superseded"]) == ({("duplicate", "duplicate"): 4}, 0)
    after = (partner.count("activity"), partner.count("ledger_transfer"), partner.count("activity_reversal"))
    assert after == before
    assert partner.broken() == []


def test_balances_are_locked_for_a_few_corrections_at_a_time(partner: Partner) -> None:
    """However large chunks are at that hour: each correction is taken back by itself."""
    count = 2 * CORRECTIONS_MOST + 1
    partner.send(ndjson(*(record(number, 2_000) for number in range(count))), reference="month")
    partner.send(ndjson(*(record(number, 1_500, 1) for number in range(count))), reference="right")
    (batch,) = partner.database.rows(
        "SELECT lines_done, chunks_done, superseded FROM activity_batch WHERE reference = 'right'"
    )
    assert tuple(batch) == (count, 3, count)
