"""Coins of many citizens set aside at once: what `holds` does for one reference, for a frame of them."""

import polars as pl

from kernel.bulk_text import array_of, execute_text, select_frame
from kernel.call import Call


def available_of(call: Call, accounts: pl.DataFrame) -> dict[str, int]:
    """What a hold may set aside of each account (`holder_id` as text, `account_id`), below zero too.

    The balances stay locked until the end of the transaction, and what is due is posted. Of a frozen account
    nothing can be set aside.
    """
    if accounts.is_empty():
        return {}
    accounts = accounts.sort("holder_id", "account_id")
    values = {**_keys(accounts), "today": call.today, "now": call.now}
    execute_text(call, _EXPIRE, values)
    found = select_frame(call, _AVAILABLE, values, schema={"holder_id": pl.String, "available": pl.Int64})
    return dict(found.iter_rows())


def hold_many(call: Call, wanted: pl.DataFrame, *, purpose: str) -> None:
    """Set `amount` aside of each row's account under its `reference`, in the order of the rows.

    The caller has the amounts from `available_of` in this transaction, so they are there.
    """
    if wanted.is_empty():
        return
    values = {
        **_keys(wanted),
        "amounts": array_of(wanted["amount"]),
        "references": array_of(wanted["reference"]),
        "purpose": purpose,
        "today": call.today,
        "now": call.now,
    }
    execute_text(call, _HOLD, values)


def _keys(frame: pl.DataFrame) -> dict[str, str]:
    return {"holders": array_of(frame["holder_id"]), "accounts": array_of(frame["account_id"])}


_EXPIRE = (
    "SELECT count(x.due) FROM unnest(CAST(%(holders)s AS uuid[]), CAST(%(accounts)s AS bigint[]))"
    " AS k (holder, account)"
    " CROSS JOIN LATERAL ledger_expire(k.holder, k.account, %(today)s, %(now)s) AS x (due)"
)
_AVAILABLE = (
    "SELECT b.holder_id, CASE WHEN b.frozen THEN 0 ELSE b.posted - b.held END"
    " FROM unnest(CAST(%(holders)s AS uuid[]), CAST(%(accounts)s AS bigint[])) AS k (holder, account)"
    " JOIN ledger_balance b ON b.holder_id = k.holder AND b.account_id = k.account"
)
_HOLD = (
    "SELECT count(h.hold_id) FROM unnest(CAST(%(holders)s AS uuid[]), CAST(%(accounts)s AS bigint[]),"
    " CAST(%(amounts)s AS bigint[]), CAST(%(references)s AS text[]))"
    " AS k (holder, account, amount, reference)"
    " CROSS JOIN LATERAL ledger_hold_coins(k.holder, ARRAY[k.account], k.amount, %(purpose)s, k.reference,"
    " NULL, %(today)s, %(now)s) AS h"
)
