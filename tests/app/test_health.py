"""What the machine that watches the service reads, and which database the service never starts on."""

import pytest
from sqlalchemy import text

from app import health
from app.openapi_document import current_product
from kernel import database as kernel_database
from kernel.errors import BrokenInvariant
from tests.conftest import Database


def test_every_answer_is_counted_and_timed() -> None:
    client = current_product().flask.test_client()
    client.get("/healthz")
    lines = client.get("/metrics").get_data(as_text=True).splitlines()
    for name in (
        'http_requests_total{method="GET",route="/healthz",status="200"}',
        "http_request_seconds_count",
    ):
        (line,) = (line for line in lines if line.startswith(name) and "/healthz" in line)
        assert float(line.rpartition(" ")[2]) >= 1


def test_the_service_does_not_start_on_a_server_that_is_too_old_or_forgets(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' own server gives up durability, so a real start refuses it."""
    with pytest.raises(BrokenInvariant, match=r"fsync.* off: acknowledged writes could be lost"):
        health.refuse_unsafe_database(database.sessions)
    monkeypatch.setattr(kernel_database, "SERVER_VERSION", 99)
    with pytest.raises(BrokenInvariant, match=r"PostgreSQL \d+\.\d+.* is too old"):
        health.refuse_unsafe_database(database.sessions)


@pytest.mark.parametrize(
    "loaded",
    [
        (
            "INSERT INTO ledger_checkpoint (account_id, up_to_xact, amount, recorded_at)"
            " VALUES (1, '4611686018427387904', 0, now())"
        ),
        (
            "INSERT INTO outgoing (id, region_id, event, subject, facts, recorded_at, xact)"
            " SELECT gen_random_uuid(), id, 'reward.published', 'rwd_1', '{}', now(), '4611686018427387904'"
            " FROM region LIMIT 1"
        ),
    ],
)
def test_the_service_does_not_start_on_a_server_that_numbers_afresh(
    database: Database, monkeypatch: pytest.MonkeyPatch, loaded: str
) -> None:
    """As after a dump was loaded: its rows name transactions that this server will number in years."""
    monkeypatch.setattr(health, "unsafe_durability", lambda _session: [])
    health.refuse_unsafe_database(database.sessions)
    database.run(lambda call: call.db.execute(text(loaded)))
    with pytest.raises(BrokenInvariant, match="numbers its transactions afresh"):
        health.refuse_unsafe_database(database.sessions)
