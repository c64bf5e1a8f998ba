"""What the machine that watches the service reads."""

from app.openapi_document import current_product


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
