"""What tests of batches begin with: a partner with one card, and a small file of its rides."""

from pathlib import Path

import pytest

from app.factory import Product
from tests.carbon.partner_client import Partner, make_partner, rides
from tests.conftest import Database


@pytest.fixture
def partner(product: Product, database: Database, tmp_path: Path) -> Partner:
    """A partner of the product, over HTTP."""
    return make_partner(product, database, tmp_path / "uploads")


@pytest.fixture
def batch(partner: Partner) -> str:
    """A batch of six rides that waits for a worker."""
    opened = str(partner.open().json["id"])
    partner.upload(opened, rides(6))
    return opened
