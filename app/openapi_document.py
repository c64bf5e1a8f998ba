"""Writes the OpenAPI document from the code, without a database: `python -m app.openapi_document FILE`."""

import sys
from functools import cache
from pathlib import Path

from app.commands import openapi_text
from app.factory import Product, create_product
from app.settings import Settings


def current_openapi() -> str:
    """The document of the code as it stands."""
    return openapi_text(current_product())


@cache
def current_product() -> Product:
    """The application on a database that is nowhere: enough to look at its addresses."""
    nowhere = Settings(
        environment="test",
        database_url="postgresql+psycopg://nowhere/",
        redis_url="redis://127.0.0.1:1",
        jwt_secret="-" * 32,
        key_ring_secret="00" * 32,
        card_hash_secret="-" * 32,
    )
    return create_product(nowhere)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(current_openapi(), encoding="utf-8")
