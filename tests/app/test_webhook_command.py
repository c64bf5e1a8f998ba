"""A receiver on a developer's machine: it takes what is signed and never stands in production."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.commands import add_commands
from app.factory import Product
from app.notifications.webhooks.kit.webhook_verifier import key_of
from app.notifications.webhooks.loopback_tls import SERVER, kept_for_localhost
from app.notifications.webhooks.reach import YES, reach_of
from app.notifications.webhooks.sending import Reach, post
from app.notifications.webhooks.signing import signed_headers
from app.webhook_command import listener
from kernel.clock import FixedClock
from kernel.identifiers import new_id
from tests.conftest import NOW, settings_for

SECRET = "whsec_dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0="
BODY = b'{"type":"endpoint.ping.v1","timestamp":"2026-11-20T04:00:00Z","data":{}}'


@contextmanager
def listening(data: Path) -> Iterator[tuple[str, list[str]]]:
    """Its address and what it says."""
    said: list[str] = []
    with listener(data, port=0, secrets=[SECRET], say=said.append, clock=FixedClock(NOW)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://localhost:{server.server_port}/", said
        server.shutdown()
        thread.join(10)


def test_it_takes_what_is_signed_and_refuses_what_is_not(tmp_path: Path) -> None:
    settings = replace(settings_for("", ""), tanpuhui_data=tmp_path, webhook_allow_loopback=YES)
    headers = signed_headers(new_id(), sent_at_s=int(NOW.timestamp()), body=BODY, keys=[key_of(SECRET)])
    with listening(tmp_path) as (url, said):
        reach = reach_of(settings)
        assert post(url, headers, BODY, reach=reach, now=NOW).status == 204
        assert post(url, headers, BODY + b" ", reach=reach, now=NOW).status == 400
        assert post(url, headers, b"a" * 300_000, reach=reach, now=NOW).status in {413, None}
        # Whose settings do not say so reaches nothing of this machine, and trusts no such certificate.
        public = reach_of(replace(settings, webhook_allow_loopback="no"))
        assert post(url, headers, BODY, reach=public, now=NOW).outcome in {"forbidden", "unresolved"}
        own = replace(reach, trust=Reach().trust)
        assert post(url, headers, BODY, reach=own, now=NOW).outcome == "untrusted"
    assert said == [f"{headers['webhook-id']} endpoint.ping.v1 {{}}", "refused: signature_wrong"]


def test_the_certificate_is_made_once_and_its_key_is_the_owners(tmp_path: Path) -> None:
    first = (kept_for_localhost(tmp_path) / SERVER).read_bytes()
    assert (kept_for_localhost(tmp_path) / SERVER).read_bytes() == first
    assert (tmp_path / "webhook-loopback" / SERVER).stat().st_mode & 0o077 == 0


def test_production_has_no_such_receiver(product: Product) -> None:
    made: Any = replace(product, settings=replace(product.settings, environment="production"))
    add_commands(made)
    told = product.flask.test_cli_runner().invoke(args=["webhooks", "listen", "--secret", SECRET])
    assert told.exit_code == 1
    assert "no place in production" in told.output


@pytest.mark.parametrize("port", ["80", "70000", "http"])
def test_a_port_that_is_nobodys_is_refused(product: Product, port: str) -> None:
    add_commands(product)
    told = product.flask.test_cli_runner().invoke(
        args=["webhooks", "listen", "--secret", SECRET, "--port", port]
    )
    assert told.exit_code == 2
