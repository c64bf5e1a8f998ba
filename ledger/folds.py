"""The balance of an account that has no balance row: a checkpoint and what was posted behind it.

A checkpoint counts every transfer of a transaction below its watermark. The watermark is the oldest
transaction still running, so whatever lies below it is finished and nothing can slip in behind; a
time delay could not promise that. Checkpoints are cumulative and only ever added. A server that numbers
its transactions afresh, as one does into which a dump is loaded, must not go on with them: the start of the
service refuses it.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from kernel.call import Call
from kernel.errors import BrokenInvariant
from ledger.accounts import Account
from ledger.tables import GUARDED_KINDS


@dataclass(frozen=True)
class Rolled:
    """How many accounts got a new checkpoint, and up to which transaction."""

    accounts: int
    up_to_xact: int


def fold_balance(call: Call, account: Account) -> int:
    """Sum a folded account in its smallest unit: its own rows as they are, rows against it mirrored."""
    if account.guarded:
        raise BrokenInvariant(f"a {account.kind} has a running balance")
    key = {"holder": account.holder_id, "account": account.id}
    return int(call.db.execute(_FOLD, key).scalar_one())


def roll_checkpoints(call: Call) -> Rolled:
    """Write a new checkpoint for every folded account that moved since the last one.

    Two at once are harmless: what they write is a total, not a difference. An account without
    movement keeps its old row, which still says the truth about everything up to the newest watermark.
    """
    row = call.db.execute(_ROLL, {"now": call.now}).one()
    return Rolled(row.accounts, row.up_to)


def marks_lie_ahead(session: Session) -> bool:
    """Whether a checkpoint counts transactions that this server has not numbered yet."""
    return bool(session.execute(_AHEAD).scalar_one())


_AHEAD = text(
    "SELECT EXISTS (SELECT FROM ledger_checkpoint WHERE up_to_xact > pg_snapshot_xmax(pg_current_snapshot()))"
)
# The greatest by the type's own order, which an index has; the number that it is made into has none.
_LATEST = (
    "coalesce((SELECT CAST(CAST(up_to_xact AS text) AS bigint) FROM ledger_checkpoint"
    " ORDER BY ledger_checkpoint.up_to_xact DESC LIMIT 1), 0)"  # not the cast, which takes the column's name
)
_NUMBER = "CAST(CAST(t.xact AS text) AS bigint)"  # as the index ix_ledger_transfer_xact has it
_FOLD = text(
    f"""
    SELECT coalesce((SELECT c.amount FROM ledger_checkpoint c WHERE c.account_id = :account
            ORDER BY c.up_to_xact DESC LIMIT 1), 0)
        + coalesce((SELECT sum(t.amount) FROM ledger_transfer t WHERE t.holder_id = :holder
            AND t.account_id = :account AND {_NUMBER} >= {_LATEST}), 0)
        - coalesce((SELECT sum(t.amount) FROM ledger_transfer t WHERE t.contra_id = :account
            AND {_NUMBER} >= {_LATEST}), 0)
    """  # noqa: S608 - put together from constants above
)
_ROLL = text(
    f"""
    WITH mark AS (SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xact),
    moved AS (
        SELECT t.account_id, t.contra_id, sum(t.amount) AS amount FROM ledger_transfer t
        WHERE {_NUMBER} >= {_LATEST} AND t.xact < (SELECT xact FROM mark)
        GROUP BY t.account_id, t.contra_id),
    sides AS (
        SELECT account_id, amount FROM moved UNION ALL SELECT contra_id, -amount FROM moved),
    added AS (
        SELECT s.account_id, sum(s.amount) AS amount FROM sides s
        JOIN ledger_account a ON a.id = s.account_id AND a.kind NOT IN ({GUARDED_KINDS})
        GROUP BY s.account_id),
    written AS (
        INSERT INTO ledger_checkpoint (account_id, up_to_xact, amount, recorded_at)
        SELECT d.account_id, mark.xact, d.amount + coalesce((SELECT c.amount FROM ledger_checkpoint c
            WHERE c.account_id = d.account_id ORDER BY c.up_to_xact DESC LIMIT 1), 0), :now
        FROM added d CROSS JOIN mark ON CONFLICT DO NOTHING RETURNING 1)
    SELECT (SELECT count(*) FROM written) AS accounts,
        CAST(CAST((SELECT xact FROM mark) AS text) AS bigint) AS up_to
    """  # noqa: S608 - put together from constants above
)
