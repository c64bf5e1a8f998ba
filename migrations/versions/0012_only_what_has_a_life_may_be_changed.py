"""only what has a life may be changed.

Until now the application's role might change any column of a table that is no history. A price of a voucher
already sold, the owner of a card or the floor of an account are not for it to change: by mistake or by
whoever takes its place. From here on it holds UPDATE column by column.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_CHANGES = {
    "activity_batch": "state, content_digest, content_bytes, spool, stations_digest, stations_spool, lines_done,"
    " chunks_done, outcomes, lease, leased_until, tries, failure, failure_pointer, failure_detail, finished_at",
    "binding": "ended_at",
    "cap_usage": "used",
    "citizen": "nickname",
    "coin_bucket": "credited, expired",
    "consent": "withdrawn_at",
    "donation_project": "state, decided_by, decided_at, decision_reason",
    "idempotency": "status, body",
    "ledger_balance": "posted, held, frozen, next_expiry",
    "ledger_pending_leg": "rolled_into",
    "outgoing": "taken_at",
    "partner": "state, key_hash",
    "region": "name_zh, name_en",  # a row lock asks for the right to change something
    "reward_stock": "remaining",
    "reward_use": "used",
    "sign_in_attempts": "attempts, window_started_at",
    "sign_in_session": "current_token, expires_at, ended_at, end_cause",
    "terminal": "state, token_digest, public_key, paired_at, revoked_at",
    "voucher": "state, cycle, lock_session, locked_until, lock_by",
    "voucher_alias": "digits_digest, cycle, ends_at, used_at",
}
_NOTHING = ("funder", "identity", "merchant", "reward", "signing_key", "staff", "store")


def upgrade() -> None:
    for table, columns in _CHANGES.items():
        op.execute(f"REVOKE UPDATE ON {table} FROM tanpuhui_app")
        op.execute(f"GRANT UPDATE ({columns}) ON {table} TO tanpuhui_app")
    op.execute(f"REVOKE UPDATE ON {', '.join(_NOTHING)} FROM tanpuhui_app")


def downgrade() -> None:
    for table, columns in _CHANGES.items():
        op.execute(f"REVOKE UPDATE ({columns}) ON {table} FROM tanpuhui_app")
    op.execute(f"GRANT UPDATE ON {', '.join((*_CHANGES, *_NOTHING))} TO tanpuhui_app")
