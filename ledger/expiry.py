"""Posting what has ended: late, twice or never, the outcome is the same.

Every spend first posts what is due on its own account, so only the posting time depends on this job.
"""

from sqlalchemy import text

from kernel.call import Call


def expire_due(call: Call, *, most: int = 1000) -> tuple[int, int]:
    """Expire up to `most` accounts whose day has come; returns (accounts, milli-coins).

    Call it again until no account is left; each call is a transaction of its own.
    """
    due = call.db.execute(_DUE, {"today": call.today, "most": most}).all()
    total = 0
    for row in due:
        # Holder order, one balance row at a time: it cannot deadlock with a spend, which locks one holder.
        total += call.db.execute(
            _EXPIRE,
            {"holder": row.holder_id, "account": row.account_id, "today": call.today, "now": call.now},
        ).scalar_one()
    return len(due), total


_DUE = text(
    "SELECT holder_id, account_id FROM ledger_balance WHERE next_expiry <= :today"
    " AND next_expiry < '9999-12-31' ORDER BY holder_id, account_id LIMIT :most"
)
_EXPIRE = text("SELECT ledger_expire(:holder, :account, :today, :now)")
