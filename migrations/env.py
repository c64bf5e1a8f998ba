"""Runs migrations as the owner, with time limits, one transaction each, on the one shared metadata."""

# ruff: noqa: F401 - every tables module is imported for its tables

import os

from alembic import context
from sqlalchemy import Connection, text

import app.identity.tables
import app.notifications.tables
import app.notifications.webhooks.tables
import carbon.activities.recomputation.tables
import carbon.activities.tables
import carbon.donations.tables
import carbon.factors.tables
import carbon.households.tables
import carbon.partners.tables
import kernel.audit
import kernel.idempotency
import kernel.outgoing
import kernel.publications.tables
import kernel.signing
import kernel.tenancy
import ledger.tables
import merchants.asks.tables
import merchants.clerks.tables
import merchants.settlement.tables
import merchants.tables
import rewards.catalogue.tables
import rewards.tables
from kernel.database import Base, create_engine

LOCK_WAIT = "4s"
STATEMENT_LIMIT = "60s"
OTHERS = {"jobs"}
"""Schemas that are not ours to compare."""


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    return not (kind == "schema" and name in OTHERS)


def _run(connection: Connection) -> None:
    connection.execute(text(f"SET lock_timeout = '{LOCK_WAIT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_LIMIT}'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=_ours,
        compare_type=True,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    engine = create_engine(os.environ["DATABASE_URL"], as_owner=True)
    with engine.connect() as opened:
        _run(opened)
    engine.dispose()
