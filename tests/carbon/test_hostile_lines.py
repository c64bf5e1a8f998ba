"""Whatever a line says, it is refused alone: lines around it are taken, and the batch comes to its end."""

from typing import Any

import pytest

from tests.carbon.partner_client import RECORD, Partner, ndjson, rides

OTHER = {**RECORD, "source_event_id": "odd"}
DEEP = b'{"a":{"b":1},"subject":' + b"[" * 1000 + b"]" * 1000 + b"}\n"
"""As deep as the first reader goes; whether a field repeats is asked of another one."""
LINES: dict[bytes, tuple[str, str | None]] = {
    ndjson({**OTHER, "corrects_revision": 2**63 - 1}): ("revision_unknown", "/corrects_revision"),
    ndjson({**OTHER, "corrects_revision": 2**63 - 2}): ("revision_unknown", "/corrects_revision"),
    ndjson({**OTHER, "corrects_revision": 10_000}): ("revision_unknown", "/corrects_revision"),
    ndjson({**OTHER, "corrects_revision": 2**63}): ("number_too_large", "/corrects_revision"),
    ndjson({**OTHER, "quantity": 2**63 - 1}): ("quantity_above_limit", None),
    ndjson({**OTHER, "quantity": 2**64 - 1}): ("number_too_large", "/quantity"),
    ndjson({**OTHER, "corrects\0": 1}): ("field_unknown", "/corrects�"),
    ndjson({**OTHER, "inputs": {"\0\r\n": 1}}): ("field_unknown", "/inputs/���"),
    b'{"\\ud800":1}\n': ("line_not_json", None),
    DEEP: ("line_not_json", None),
}


def refused(partner: Partner, batch: dict[str, Any]) -> list[tuple[int, str, str | None]]:
    rows = partner.get(f"/{batch['id']}/lines", outcome="rejected").json["items"]
    return [(row["line"], row["code"], row["pointer"]) for row in rows]


@pytest.mark.parametrize(("line", "told"), LINES.items(), ids=lambda each: str(each)[:40])
def test_a_line_is_refused_alone(partner: Partner, line: bytes, told: tuple[str, str | None]) -> None:
    for time, outcome in enumerate(("credited", "duplicate")):
        batch = partner.send(rides(3) + line + rides(6)[len(rides(3)) :], reference=f"time {time}")
        assert batch["state"] == "done"
        assert refused(partner, batch) == [(4, *told)]
        assert [row["lines"] for row in batch["outcomes"] if row["outcome"] == outcome] == [6]
    assert partner.broken() == []


@pytest.mark.parametrize("line", LINES, ids=lambda each: str(each)[:40])
def test_a_record_of_its_own_is_refused_too(partner: Partner, line: bytes) -> None:
    client = partner.product.flask.test_client()
    body = b'{"record":' + line.strip() + b"}"
    kind = {"Content-Type": "application/json"}
    answer = client.post("/v1/partner/activities", data=body, headers={**partner.headers, **kind})
    assert 400 <= answer.status_code < 500
    assert partner.count("activity") == 0


def test_a_revision_beyond_all_numbers_is_refused_in_csv_too(partner: Partner) -> None:
    names = "source_event_id,subject,scenario,occurred_at,quantity,unit,corrects_revision"
    row = "{},card-017,metro_ride,2026-11-20T11:00:00+08:00,10000,m,{}"
    lines = [names, row.format("e1", ""), row.format("e2", 2**63 - 1), row.format("e3", "")]
    batch = partner.send("\n".join(lines).encode(), adapter="csv")
    assert refused(partner, batch) == [(3, "revision_unknown", "/corrects_revision")]
    assert (batch["state"], batch["accepted"]) == ("done", 2)
