"""Posting what has ended: late, twice or never, the outcome is the same.

Every spend first posts what is due on its own account, so only the posting time depends on this job.
"""

from sqlalchemy import text

from kernel.call import Call


def expire_due(call: Call, *, most: int = 1000) -> tuple[int, int]:
    """Expire up to `most` accounts whose day has come; returns (accounts, milli-coins).

    Call it again until no account is left; each call is a transaction of its own.
    """
    row = call.db.execute(_EXPIRE, {"today": call.today, "most": most, "now": call.now}).one()
    return row.accounts, row.ended


# Those who wait longest, as the index of next_expiry has them: by holder each call would pass over all that
# the calls before it did, and on the first of a month everybody is due. Their rows are then locked in holder
# order, one after the other: spends lock the rows of one holder in the same order.
_EXPIRE = text(
    "SELECT count(*) AS accounts,"
    " CAST(coalesce(sum(ledger_expire(holder_id, account_id, :today, :now)), 0) AS bigint) AS ended"
    " FROM (SELECT holder_id, account_id FROM (SELECT holder_id, account_id FROM ledger_balance"
    " WHERE next_expiry <= :today AND next_expiry < '9999-12-31' ORDER BY next_expiry LIMIT :most) longest"
    " ORDER BY holder_id, account_id) due"
)
