"""Somebody who uses the product over HTTP: one client, one token, every answer looked at."""

import base64
import hashlib
import time
from typing import Any
from uuid import uuid4

import httpx

PATIENCE_S = 60
"""How long a visitor waits for a batch."""


class Unexpected(RuntimeError):  # noqa: N818 - named for what is the matter
    """An answer that the story did not count on; the message is what the product said."""


class Visitor:
    """Asks the product as one person, partner or till."""

    def __init__(self, url: str, token: str = "") -> None:
        """`token` is an access token, a partner's key or a till's secret."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """What a GET says."""
        return self._told(self._ask("GET", path, params=query))

    def read(self, path: str) -> bytes:
        """The bytes behind a path."""
        answer = self._ask("GET", path)
        if answer.is_error:
            raise Unexpected(_sentence(answer))
        return answer.content

    def post(self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None) -> Any:
        """What a POST says; every POST carries an idempotency key of its own unless one is given."""
        return self._told(self.send(path, body, key=key))

    def send(
        self, path: str, body: dict[str, Any] | None = None, *, key: str | None = None
    ) -> httpx.Response:
        """The answer of a POST, refusals included."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        return self._ask("POST", path, json=body, headers=headers)

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None, *, token: str, key: str
    ) -> tuple[int, dict[str, Any]]:
        """What a till asks, with its own secret; status and answer."""
        headers = {"Idempotency-Key": key, **({"Authorization": f"Bearer {token}"} if token else {})}
        answer = self._ask(method, path, json=body, headers=headers)
        return answer.status_code, answer.json() if answer.content else {}

    def put(self, path: str, content: bytes) -> Any:
        """Upload `content` with its digest (RFC 9530)."""
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        headers = {"Content-Digest": f"sha-256=:{digest}:", "Content-Type": "application/octet-stream"}
        return self._told(self._ask("PUT", path, content=content, headers=headers))

    def wait_for_batch(self, batch: str) -> dict[str, Any]:
        """Poll a batch until it is done; raises Unexpected when it failed or takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            told: dict[str, Any] = self.get(f"/v1/partner/batches/{batch}")
            if told["state"] == "done":
                return told
            if told["state"] == "failed":
                raise Unexpected(f"the batch failed: {told['failure']}")
            time.sleep(0.2)
        raise Unexpected(f"the batch is not done after {PATIENCE_S} s")

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise Unexpected(f"{self._http.base_url} does not answer: {error}") from error

    @staticmethod
    def _told(answer: httpx.Response) -> Any:
        if answer.is_error:
            raise Unexpected(_sentence(answer))
        return answer.json() if answer.content else None


def _sentence(answer: httpx.Response) -> str:
    where = f"{answer.request.method} {answer.request.url.path}: {answer.status_code}"
    try:
        told = answer.json()
    except ValueError:
        return where
    more = f"{told.get('detail') or ''} {told.get('errors') or ''}"
    return f"{where} {told.get('code')}: {told.get('title')} {more}"
