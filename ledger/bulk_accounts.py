"""Opening the accounts of many citizens in three statements, whatever their number."""

from collections.abc import Sequence
from uuid import UUID

import polars as pl
from sqlalchemy import text

from kernel.call import Call
from ledger.accounts import institution
from ledger.chart import NO_CLASS, SPENDING_ORDER, Kind, Unit

CARBON = "carbon"


def open_citizen_accounts(
    call: Call, citizens: Sequence[UUID], *, region_id: str, floor: int = 0
) -> pl.DataFrame:
    """Open what is missing of every citizen's accounts, as `citizen_accounts` does for one.

    `floor` (milli-coins, 0 or less) bounds what take-backs may leave owing on a new coin account.
    Returns a row a citizen: `holder_id` (text), an account id for each validity class, and `carbon`.
    """
    expired = institution(call, region_id, kind=Kind.EXPIRED, unit=Unit.COIN)
    holders = sorted(str(citizen) for citizen in set(citizens))
    values = {
        "holders": holders,
        "units": [Unit.COIN.value for _ in SPENDING_ORDER] + [Unit.CARBON.value],
        "classes": [*SPENDING_ORDER, NO_CLASS],
        "kind": Kind.CITIZEN.value,
        "region": region_id,
        "into": expired.id,
        "now": call.now,
        "floor": floor,
    }
    call.db.execute(_OPEN, values)
    call.db.execute(_OPEN_BALANCES, values)
    names = {**{name: name for name in SPENDING_ORDER}, NO_CLASS: CARBON}
    columns: dict[str, dict[str, int]] = {name: {} for name in names.values()}
    for row in call.db.execute(_FOUND, values):
        columns[names[row.validity_class]][row.holder] = row.id
    return pl.DataFrame(
        {
            "holder_id": holders,
            **{name: [ids[holder] for holder in holders] for name, ids in columns.items()},
        },
        schema={"holder_id": pl.String, **dict.fromkeys(columns, pl.Int64)},
    )


_OPEN = text(
    "INSERT INTO ledger_account"
    " (holder_id, id, kind, unit, validity_class, region_id, expires_into, opened_at)"
    " SELECT h.id, nextval('ledger_account_id'), :kind, c.unit, c.class, :region,"
    "  CASE WHEN c.unit = 'coin' THEN CAST(:into AS bigint) END, :now"
    " FROM unnest(CAST(:holders AS uuid[])) WITH ORDINALITY AS h (id, place)"
    " CROSS JOIN unnest(CAST(:units AS text[]), CAST(:classes AS text[]))"
    "  WITH ORDINALITY AS c (unit, class, place)"
    " ORDER BY h.place, c.place"
    " ON CONFLICT (holder_id, kind, unit, validity_class) DO NOTHING"
)
_OPEN_BALANCES = text(
    "INSERT INTO ledger_balance (holder_id, account_id, floor)"
    " SELECT a.holder_id, a.id, CASE WHEN a.unit = 'coin' THEN CAST(:floor AS bigint) ELSE 0 END"
    " FROM ledger_account a JOIN unnest(CAST(:holders AS uuid[])) AS h (id) ON h.id = a.holder_id"
    " WHERE a.kind = :kind ORDER BY a.holder_id, a.id ON CONFLICT DO NOTHING"
)
_FOUND = text(
    "SELECT CAST(a.holder_id AS text) AS holder, a.id, a.validity_class FROM ledger_account a"
    " JOIN unnest(CAST(:holders AS uuid[])) AS h (id) ON h.id = a.holder_id WHERE a.kind = :kind"
)
