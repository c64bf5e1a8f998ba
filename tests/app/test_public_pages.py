"""What anybody can open."""

import json
from pathlib import Path

from openapi_spec_validator import validate

from app.factory import Product
from app.openapi_document import current_openapi
from kernel.errors import Refusal


def test_it_is_alive_ready_and_counted(product: Product) -> None:
    client = product.flask.test_client()
    assert client.get("/healthz").get_json() == {"status": "alive"}
    assert client.get("/readyz").get_json() == {"faults": [], "status": "ready"}
    assert (
        b'http_requests_total{method="GET",route="/readyz",status="200"} 1.0' in client.get("/metrics").data
    )


def test_it_is_not_ready_without_its_cache(product: Product) -> None:
    product.cache.connection_pool.disconnect()
    product.cache.connection_pool.connection_kwargs["path"] = "/nowhere"
    answer = product.flask.test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["faults"]) == (503, ["the cache does not answer"])


def test_every_refusal_stands_on_the_page_of_problems(product: Product) -> None:
    page = product.flask.test_client().get("/problems").get_data(as_text=True)
    assert all(f'id="{code}"' in page for code in Refusal.catalogue)


def test_public_keys_show_no_private_half(product: Product) -> None:
    keys = product.flask.test_client().get("/v1/public/keys").get_json()
    assert set(keys) == {"voucher_code", "publication", "certificate"}
    assert set(keys["voucher_code"][0]) == {"kid", "algorithm", "public_key", "retired"}


def test_the_docs_page_loads_nothing_from_outside(product: Product) -> None:
    client = product.flask.test_client()
    for path in (
        "/docs",
        "/docs/start.js",
        "/docs/assets/swagger-ui.css",
        "/docs/assets/swagger-ui-bundle.js",
    ):
        with client.get(path) as answer:
            assert answer.status_code == 200
    page = client.get("/docs").get_data(as_text=True)
    assert "http://" not in page
    assert "https://" not in page


def test_the_openapi_document_is_valid_and_current() -> None:
    text = current_openapi()
    document = json.loads(text)
    validate(document)
    assert document["openapi"] == "3.1.0"
    committed = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
    assert committed.read_text(encoding="utf-8") == text, "run `make openapi`"
