"""A partner of the small city over HTTP: it opens batches, uploads files, and reads what became of them."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

from app.factory import Product
from carbon.activities.batches import take_waiting_batches
from carbon.activities.byte_bodies import UPLOADS
from carbon.reconciliation import CHECKS
from kernel.call import Call
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from tests.carbon.city import SECRET, City, plant_city
from tests.conftest import Database

Result = TypeVar("Result")
RECORD: dict[str, Any] = {
    "source_event_id": "e1",
    "subject": "card-017",
    "scenario": "metro_ride",
    "occurred_at": "2026-11-20T11:00:00+08:00",
    "quantity": 10_000,
    "unit": "m",
}
BATCHES = "/v1/partner/batches"


def content_digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def ndjson(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def rides(count: int, **change: Any) -> bytes:
    return ndjson(*({**RECORD, "source_event_id": f"e{number}", **change} for number in range(count)))


@dataclass
class Partner:
    """The product, a partner's key, and the folder of uploads."""

    product: Product
    database: Database
    city: City
    uploads: Path
    owners: dict[str, Any] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.city.api_key}"}

    def open(self, reference: str = "2026-11-20", adapter: str = "ndjson", **more: Any) -> Any:
        body = {"reference": reference, "adapter": adapter, **more}
        return self.product.flask.test_client().post(BATCHES, json=body, headers=self.headers)

    def put(self, url: str, body: bytes, **headers: str) -> Any:
        sent = {**self.headers, "Content-Digest": content_digest(body), **headers}
        length = {"CONTENT_LENGTH": sent.pop("Content-Length", str(len(body)))}
        client = self.product.flask.test_client()
        return client.put(url, input_stream=BytesIO(body), headers=sent, environ_overrides=length)

    def upload(self, batch: str, body: bytes, *, zipped: bool = False, part: str = "content") -> Any:
        if zipped:
            body = gzip.compress(body)
            return self.put(f"{BATCHES}/{batch}/{part}", body, **{"Content-Encoding": "gzip"})
        return self.put(f"{BATCHES}/{batch}/{part}", body)

    def cancel(self, batch: str, key: str | None = None, **body: Any) -> Any:
        client = self.product.flask.test_client()
        headers = self.headers if key is None else {"Authorization": f"Bearer {key}"}
        return client.post(f"{BATCHES}/{batch}/cancellation", json=body, headers=headers)

    def get(self, url: str = "", **query: Any) -> Any:
        client = self.product.flask.test_client()
        return client.get(f"{BATCHES}{url}", headers=self.headers, query_string=query)

    def push(self, record: Any) -> Any:
        client = self.product.flask.test_client()
        return client.post("/v1/partner/activities", json={"record": record}, headers=self.headers)

    def work(self, run: Callable[..., Any] | None = None, **more: Any) -> int:
        """One worker's call."""
        return take_waiting_batches(
            run or self.database.run, card_secret=SECRET, uploads=self.uploads, **more
        )

    def send(self, body: bytes, adapter: str = "ndjson", reference: str = "whole") -> Any:
        """Open, upload, import; returns the batch as the partner reads it afterwards."""
        batch = self.open(reference, adapter).json["id"]
        answer = self.upload(batch, body)
        assert answer.status_code == 200, answer.json
        self.work()
        return self.get(f"/{batch}").json

    def files(self) -> list[str]:
        return sorted(path.name for path in self.uploads.iterdir()) if self.uploads.exists() else []

    def count(self, table: str) -> int:
        found = self.database.rows(f"SELECT count(*) AS n FROM {table}")  # noqa: S608 - a test's own table
        return int(found[0].n)

    def broken(self) -> list[str]:
        outcomes = self.database.run(lambda call: reconcile(call, (*LEDGER_CHECKS, *CHECKS)))
        return [outcome.check.name for outcome in outcomes if not outcome.holds]


def make_partner(product: Product, database: Database, uploads: Path, *cards: str) -> Partner:
    """A partner of a planted city whose cards are bound; its uploads lie in `uploads`."""
    product.flask.config[UPLOADS] = uploads
    city = database.run(plant_city)

    def bind(call: Call) -> dict[str, Any]:
        return city.bind(call, cards or ("card-017",))

    return Partner(product, database, city, uploads, database.run(bind))
