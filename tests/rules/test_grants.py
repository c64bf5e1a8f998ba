"""What the application's role may do to each table, written down: more is a mistake, less breaks a service.

Whoever adds a table adds it here, and says by a migration what of it may change.
"""

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from kernel.database import APP_ROLE, create_engine
from tests.conftest import Database, cloned_database

HISTORY = (
    "activity",
    "activity_basis",
    "activity_batch_line",
    "activity_batch_step",
    "activity_correction",
    "activity_reference",
    "activity_reversal",
    "audit_entry",
    "binding_refusal",
    "coin_regrace",
    "donation",
    "donation_document",
    "donation_event",
    "donation_withdrawal",
    "factor",
    "funder",
    "household_saving",
    "household_saving_line",
    "household_standing",
    "identity",
    "ledger_account",
    "ledger_checkpoint",
    "ledger_hold",
    "ledger_hold_end",
    "ledger_reference",
    "ledger_transfer",
    "merchant",
    "meter_reading",
    "objection_answer",
    "offline_conflict",
    "offline_record",
    "pool_allocation",
    "pool_serial_use",
    "pool_share",
    "publication_comment",
    "publication_objection",
    "publication_step",
    "recomputation_step",
    "redemption",
    "redemption_reversal",
    "reward_group",
    "reward_picture",
    "reward_price",
    "reward_step",
    "scan_refusal",
    "settlement_answer",
    "settlement_dispute",
    "settlement_line",
    "settlement_payment",
    "settlement_step",
    "signing_key",
    "staff",
    "voucher_code",
    "voucher_step",
    "webhook_attempt",  # goes with its delivery
)
"""Rows come and stay as they are."""
CHANGED = {
    "activity_batch": "cancelled_because chunks_done content_bytes content_digest content_lines failure"
    " failure_detail failure_pointer finished_at lease leased_until lines_done outcomes recent_lines"
    " recent_ms settled_line spool started_at state stations_digest stations_spool superseded tries worked_ms"
    " working_since",
    "activity_count": "records",
    "activity_hold": "appeal appealed_at decided_at decided_by decision_reason state",
    "activity_link": "ends_at made_at secret_digest",
    "binding": "ended_at",
    "cap_usage": "used",
    "citizen": "nickname",
    "clerk": "attempts citizen_id dismissed_at pin_hash window_started_at wrong_in_a_row",
    "clerk_shift": "end_cause ended_at",
    "coin_bucket": "credited expired",
    "consent": "withdrawn_at",
    "donation_project": "decided_at decided_by decision_reason state",
    "household": "assessed_no assessed_on assessed_to evidence_no",
    "household_member": "days",
    "household_meter": "days",
    "donation_registration": "ended_at",
    "idempotency": "body status",
    "ledger_balance": "frozen held next_expiry posted",
    "ledger_pending_leg": "rolled_into",
    "meter_claim": "ended_at",
    "outgoing": "taken_at",
    "partner": "evidence_tiers key_hash served_at state",
    "pool_book": "numbered",
    "pool_campaign": "allocated_mg",
    "pool_lot": "next_serial withdrawn_at",
    # Of a published row a trigger takes only its end: tests/app/test_publication_stays.py.
    "publication": "digest ends_on kid notice_from notice_until procedure_id published_at publisher_id"
    " review_round reviewer_id signature state withdrawn_by withdrawn_from",
    "recomputation": "approver_id cancelled_because digest finished_at state told",
    "recomputation_part": "posted_at",
    "region": "name_en name_zh",
    "reward": "picture_digest state",
    "reward_place": "ended_at held_until state",
    "reward_stock": "remaining",
    "reward_unit": "voucher_id",
    "reward_use": "used",
    "sign_in_attempts": "attempts window_started_at",
    "sign_in_session": "current_token end_cause ended_at expires_at",
    "store": "clerk_required linked_clerks_only manager_reverses",
    "settlement": "by_funder claimed_day claimed_id closed_at closed_by coin_milli digest dispute_until"
    " line_count payable_fen state",
    "settlement_adjustment": "decided_at decided_by decided_on decision_reason state",
    "terminal": "paired_at public_key revoked_at state token_digest",
    "voucher": "closes_at closing_to cycle lock_by lock_session locked_until offline_until state",
    "voucher_alias": "cycle digits_digest ends_at used_at",
    "webhook_delivery": "ended_at lease leased_until next_at state tries tries_left",
    "webhook_endpoint": "failing_since page_digest page_ends_at paused_because state verified_at",
    "webhook_secret": "ends_at",
}
"""Columns that may change, and no other of the table."""
DELETED = {
    *("idempotency", "outgoing", "reward_group_member", "sign_in_attempts", "trip_claim"),
    "webhook_delivery",
}
"""Answers, news and deliveries grown old, attempts that a sign-in ended, freed time, memberships over."""
FREED = {"reward_group_member", "trip_claim"}
FREED = {"reward_group_member", "trip_claim"}
"""Rows that come and go, and are never changed."""
NOT_OURS = {"alembic_version"}


@pytest.fixture(scope="module")
def owner() -> Iterator[Connection]:
    with cloned_database() as url:
        engine = create_engine(url, as_owner=True)
        with engine.connect() as connection:
            yield connection
        engine.dispose()


def privileges(owner: Connection, privilege: str) -> set[str]:
    """Tables of ours of which the role holds the privilege as a whole."""
    found = owner.execute(
        text(
            "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege(:role, c.oid, :privilege)"
        ),
        {"role": APP_ROLE, "privilege": privilege},
    )
    return set(found.scalars())


def test_every_table_is_history_or_says_what_of_it_changes(owner: Connection) -> None:
    there = set(owner.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).scalars())
    assert there - NOT_OURS == {*HISTORY, *CHANGED, *FREED}
    assert not CHANGED.keys() & set(HISTORY)


def test_rows_may_be_read_and_added_and_hardly_any_be_deleted(owner: Connection) -> None:
    assert privileges(owner, "SELECT") == privileges(owner, "INSERT") == {*HISTORY, *CHANGED, *FREED}
    assert privileges(owner, "DELETE") == DELETED
    for never in ("TRUNCATE", "TRIGGER", "REFERENCES"):
        assert privileges(owner, never) == set()


def test_exactly_the_written_columns_may_be_changed(owner: Connection) -> None:
    assert privileges(owner, "UPDATE") == set()
    found = owner.execute(
        text(
            "SELECT c.relname AS name,"
            " string_agg(a.attname, ' ' ORDER BY a.attname COLLATE \"C\") AS columns"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
            " AND NOT a.attisdropped WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND has_column_privilege(:role, c.oid, a.attnum, 'UPDATE')"
            " GROUP BY 1"
        ),
        {"role": APP_ROLE},
    )
    assert {row.name: row.columns for row in found} == CHANGED


def test_the_role_owns_nothing_and_is_nobody_special(owner: Connection) -> None:
    role = owner.execute(text("SELECT * FROM pg_roles WHERE rolname = :role"), {"role": APP_ROLE}).one()
    assert not any((role.rolsuper, role.rolcreatedb, role.rolcreaterole, role.rolbypassrls))
    owned = text(
        "SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = :role"
    )
    assert owner.execute(owned, {"role": APP_ROLE}).scalar_one() == 0
    for schema in ("public", "jobs"):
        may = text("SELECT has_schema_privilege(:role, :schema, 'CREATE')")
        assert not owner.execute(may, {"role": APP_ROLE, "schema": schema}).scalar_one()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_transfer SET amount = 1",
        "DELETE FROM ledger_transfer",
        "UPDATE ledger_balance SET floor = -1",
        "UPDATE voucher SET price_coin_milli = 1",
        "UPDATE staff SET role = 'operator_publisher'",
        "UPDATE publication SET content = '{}'",
        "TRUNCATE audit_entry",
        "DROP TABLE audit_entry",
        "ALTER TABLE ledger_transfer DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ],
)
def test_the_application_is_refused_by_the_database_itself(database: Database, statement: str) -> None:
    with database.engine.connect() as connection, pytest.raises(DBAPIError) as refused:
        connection.execute(text(statement))
    assert getattr(refused.value.orig, "sqlstate", "") == "42501"  # insufficient privilege
