"""The accounts of many citizens: found in one statement, and what is missing opened in two more."""

from dataclasses import dataclass

import polars as pl
from sqlalchemy import text

from kernel.bulk_text import array_of, select_frame
from kernel.call import Call
from ledger.accounts import institution
from ledger.chart import NO_CLASS, SPENDING_ORDER, Kind, Unit

CARBON = "carbon"


@dataclass(frozen=True)
class ManyAccounts:
    """Citizens' accounts as they stand; who holds this has them from `open_citizen_accounts`."""

    frame: pl.DataFrame
    """A row a citizen: `holder_id` (text), an account id for each validity class, and `carbon`."""

    def of(self, unit: Unit, validity_class: str) -> pl.DataFrame:
        """`holder_id` and the `account_id` of this unit and class."""
        name = CARBON if unit is Unit.CARBON else validity_class
        return self.frame.select("holder_id", pl.col(name).alias("account_id"))


def open_citizen_accounts(call: Call, citizens: pl.Series, *, region_id: str, floor: int = 0) -> ManyAccounts:
    """Open what is missing of every citizen's accounts, as `citizen_accounts` does for one.

    `citizens` are ids as text; one may stand there more than once.
    `floor` (milli-coins, 0 or less) bounds what take-backs may leave owing on a new coin account.
    """
    holders = citizens.unique().sort()
    found = _found(call, holders)
    missing = holders.filter(~holders.is_in(found["holder_id"].implode()))
    if not missing.is_empty():
        _open(call, missing, region_id=region_id, floor=floor)
        found = pl.concat([found, _found(call, missing)])
    return ManyAccounts(found.sort("holder_id"))


def lock_citizens(call: Call, citizens: pl.Series) -> None:
    """Keep others from the balances of these citizens, kilograms before coins, as credits are posted."""
    for unit in (Unit.CARBON, Unit.COIN):
        values = {"citizens": array_of(citizens), "kind": Kind.CITIZEN.value, "unit": unit.value}
        call.db.execute(_LOCK, values)


def _open(call: Call, holders: pl.Series, *, region_id: str, floor: int) -> None:
    expired = institution(call, region_id, kind=Kind.EXPIRED, unit=Unit.COIN)
    values = {
        "holders": array_of(holders),
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


def _found(call: Call, holders: pl.Series) -> pl.DataFrame:
    """A row for each holder whose accounts are all open."""
    call.db.flush()  # accounts that the unit of work holds back
    values = {"holders": array_of(holders), "kind": Kind.CITIZEN.value}
    schema = {"holder_id": pl.String, **dict.fromkeys((*SPENDING_ORDER, CARBON), pl.Int64)}
    return select_frame(call, _FOUND, values, schema=schema).drop_nulls()


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
_LOCK = text(
    "SELECT 1 FROM ledger_account a"
    " JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id"
    " WHERE a.holder_id = ANY (CAST(:citizens AS uuid[])) AND a.kind = :kind AND a.unit = :unit"
    " ORDER BY b.holder_id, b.account_id FOR UPDATE OF b"
)
_CLASSES = ", ".join(
    f"max(a.id) FILTER (WHERE a.validity_class = '{name}') AS c{place}"
    for place, name in enumerate((*SPENDING_ORDER, NO_CLASS))
)
_FOUND = (
    f"SELECT h.id, c.* FROM unnest(CAST(%(holders)s AS uuid[])) AS h (id)"  # noqa: S608 - our own text
    f" CROSS JOIN LATERAL (SELECT {_CLASSES} FROM ledger_account a"
    " WHERE a.holder_id = h.id AND a.kind = %(kind)s) c"
)
