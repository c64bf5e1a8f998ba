"""A record and its correction in one file come to the same, wherever the borders of chunks lie."""

from typing import Any

import pytest

from carbon.activities.steps import STEPS_MOST
from kernel.call import Call
from tests.carbon.city import City, lines, plant_city, ride
from tests.carbon.partner_client import RECORD, Partner, ndjson
from tests.carbon.test_intake import activities, broken, take


@pytest.fixture
def city(call: Call) -> City:
    made = plant_city(call)
    made.bind(call, ["card-017"])
    return made


def record(event: str, metres: int, corrects: int | None = None) -> dict[str, Any]:
    more = {} if corrects is None else {"corrects_revision": corrects}
    return {**RECORD, "source_event_id": event, "quantity": metres, **more}


def sent(partner: Partner, body: bytes, **more: Any) -> list[tuple[int, str, str | None]]:
    batch = partner.open().json["id"]
    partner.upload(batch, body)
    partner.work(**more)
    items = partner.get(f"/{batch}/lines").json["items"]
    return [(row["line"], row["outcome"], row["code"]) for row in items]


FILE = ndjson(
    record("e1", 1_000),
    record("e2", 700),
    record("e1", 900, 1),
    record("e3", 1_000, 1),  # its record comes later: it was never taken
    record("e1", 800, 2),
    record("e3", 600),
    record("e1", 800, 2),
    record("e9", 2_000, 4),
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_chunk_borders_make_no_difference(partner: Partner, size: int) -> None:
    outcomes = sent(partner, FILE, chunk_lines=size)
    assert [(line, outcome) for line, outcome, _ in outcomes] == [
        (1, "credited"),
        (2, "credited"),
        (3, "credited"),
        (4, "rejected"),
        (5, "credited"),
        (6, "credited"),
        (7, "duplicate"),
        (8, "rejected"),
    ]
    assert {code for _, outcome, code in outcomes if outcome == "rejected"} == {"revision_unknown"}
    standing = partner.database.rows(
        "SELECT sum(a.carbon_mg) AS mg, sum(a.coin_milli) AS coins FROM activity a WHERE NOT EXISTS"
        " (SELECT 1 FROM activity_reversal r WHERE r.activity_id = a.id)"
    )[0]
    assert (standing.mg, standing.coins) == (98_070, 9_807)
    assert partner.broken() == []


def test_a_fact_corrected_very_often_in_one_file_ends_where_it_should(partner: Partner) -> None:
    times = 2 * STEPS_MOST + 5
    body = ndjson(record("e1", 4_000), *(record("e1", 4_000 - each, each) for each in range(1, times)))
    assert {outcome for _, outcome, _ in sent(partner, body)} == {"credited"}
    assert partner.count("activity") == times
    assert partner.database.rows("SELECT chunks_done FROM activity_batch")[0].chunks_done == 3
    assert partner.broken() == []


def test_other_lines_of_the_chunk_keep_their_order_and_outcomes(call: Call, city: City) -> None:
    rows = [ride(f"e{number}", metres=1_000) for number in range(5)]
    unbound = ride("x", "card-018", metres=1_000)
    outcomes = take(call, city, *rows, unbound, ride("e3", metres=2_000, corrects_revision=1), rows[0])
    assert outcomes == [
        *["credited"] * 5,
        "rejected/unbound_card",
        "credited",
        "duplicate/duplicate",
    ]
    assert lines(*rows).height == 5
    assert len(activities(call)) == 6
    assert broken(call) == []
