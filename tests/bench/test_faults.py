"""Every line of a file full of faults comes to what its fault must come to."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from app.factory import Product
from bench.faults import FAULTS, mixed
from bench.records import cards
from carbon.activities.batch_results import every_line
from kernel.identifiers import parse_public_id
from tests.carbon.partner_client import make_partner
from tests.conftest import Database

IN_ONE_CHUNK = {"duplicate_in_file": "duplicate", "content_differs_in_file": "record_differs"}


@pytest.mark.parametrize("chunk_lines", [333, 10_000])
def test_every_line_gets_the_code_of_its_fault(
    product: Product, database: Database, tmp_path: Path, chunk_lines: int
) -> None:
    partner = make_partner(product, database, tmp_path / "uploads", *cards(40))
    body, expected = mixed(2_000, citizens=40, month=1)
    batch = partner.open().json["id"]
    assert partner.upload(batch, body).status_code == 200
    assert partner.work(chunk_lines=chunk_lines) == 1
    rows = [row for page in every_line(database.run, parse_public_id("bat", batch)) for row in page]
    came_to = pl.DataFrame(
        {
            "line": [row.line for row in rows],
            "code": [IN_ONE_CHUNK.get(row.code or "", row.code) or row.outcome for row in rows],
        }
    )
    assert came_to.equals(expected)
    assert Counter(came_to["code"]) == dict.fromkeys(
        (*FAULTS, "credited", "duplicate", "record_differs"), 100
    )
    assert partner.broken() == []
