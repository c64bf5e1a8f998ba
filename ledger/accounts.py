"""Opening and finding accounts. Opening twice gives the same account; nobody checks first."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.tenancy import known_region
from ledger.chart import GUARDED, NO_CLASS, SPENDING_ORDER, Kind, Unit
from ledger.errors import AccountUnknown


@dataclass(frozen=True, kw_only=True)
class Account:
    """An account as postings name it."""

    holder_id: UUID
    id: int
    kind: Kind
    unit: Unit
    validity_class: str = NO_CLASS

    @property
    def guarded(self) -> bool:
        """Whether it owns a running balance."""
        return self.kind in GUARDED


@dataclass(frozen=True, kw_only=True)
class CitizenAccounts:
    """What every citizen has: coins by validity class, and kilograms."""

    coins: dict[str, Account]
    carbon: Account

    @property
    def spending_order(self) -> list[Account]:
        """The coin accounts, soonest ending class first."""
        return [self.coins[validity_class] for validity_class in SPENDING_ORDER]


def open_account(
    call: Call,
    holder_id: UUID,
    *,
    kind: Kind,
    unit: Unit,
    region_id: str,
    validity_class: str = NO_CLASS,
    floor: int = 0,
) -> Account:
    """The holder's account of this kind, unit and class; opened when it is not there yet.

    `floor` (0 or less) is how far take-backs may push a new guarded account below zero.
    """
    key = {"holder": holder_id, "kind": kind.value, "unit": unit.value, "class": validity_class}
    row = call.db.execute(_FIND, key).one_or_none()
    if row is None:
        expires_into = None
        if kind in GUARDED and unit is Unit.COIN:
            expires_into = institution(call, region_id, kind=Kind.EXPIRED, unit=unit).id
        call.db.execute(_OPEN, {**key, "region": region_id, "into": expires_into, "now": call.now})
        row = call.db.execute(_FIND, key).one()
        if kind in GUARDED:
            call.db.execute(_OPEN_BALANCE, {"holder": holder_id, "id": row.id, "floor": floor})
    return _account(row)


def find_account(
    call: Call, holder_id: UUID, *, kind: Kind, unit: Unit, validity_class: str = NO_CLASS
) -> Account:
    """The holder's account; refuses `AccountUnknown`."""
    key = {"holder": holder_id, "kind": kind.value, "unit": unit.value, "class": validity_class}
    row = call.db.execute(_FIND, key).one_or_none()
    if row is None:
        raise AccountUnknown
    return _account(row)


def institution(call: Call, region_id: str, *, kind: Kind, unit: Unit) -> Account:
    """A region's own account, such as its issuance or its pool."""
    region = known_region(call.db, region_id)
    return open_account(call, region.holder_id, kind=kind, unit=unit, region_id=region_id)


def citizen_accounts(call: Call, citizen_id: UUID, *, region_id: str, floor: int = 0) -> CitizenAccounts:
    """Open (or find) a citizen's accounts; `floor` in milli-coins bounds what take-backs may leave owing."""
    coins = {
        name: open_account(
            call,
            citizen_id,
            kind=Kind.CITIZEN,
            unit=Unit.COIN,
            region_id=region_id,
            validity_class=name,
            floor=floor,
        )
        for name in SPENDING_ORDER
    }
    carbon = open_account(call, citizen_id, kind=Kind.CITIZEN, unit=Unit.CARBON, region_id=region_id)
    return CitizenAccounts(coins=coins, carbon=carbon)


def holder_accounts(call: Call, holder_id: UUID) -> list[Account]:
    """All accounts of a holder, in id order."""
    return [_account(row) for row in call.db.execute(_OF_HOLDER, {"holder": holder_id})]


def freeze(call: Call, account: Account, *, frozen: bool) -> None:
    """Stop spending from a guarded account, or allow it again; credits always arrive."""
    done = call.db.execute(
        text("UPDATE ledger_balance SET frozen = :frozen WHERE holder_id = :holder AND account_id = :id"),
        {"frozen": frozen, "holder": account.holder_id, "id": account.id},
    )
    if done.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        raise AccountUnknown


def _account(row: Row[tuple[UUID, int, str, str, str]]) -> Account:
    return Account(
        holder_id=row.holder_id,
        id=row.id,
        kind=Kind(row.kind),
        unit=Unit(row.unit),
        validity_class=row.validity_class,
    )


_COLUMNS = "SELECT holder_id, id, kind, unit, validity_class FROM ledger_account WHERE holder_id = :holder"
_FIND = text(f"{_COLUMNS} AND kind = :kind AND unit = :unit AND validity_class = :class")
_OF_HOLDER = text(f"{_COLUMNS} ORDER BY id")
_OPEN = text(
    "INSERT INTO ledger_account"
    " (holder_id, id, kind, unit, validity_class, region_id, expires_into, opened_at)"
    " VALUES (:holder, nextval('ledger_account_id'), :kind, :unit, :class, :region, :into, :now)"
    " ON CONFLICT (holder_id, kind, unit, validity_class) DO NOTHING"
)
_OPEN_BALANCE = text(
    "INSERT INTO ledger_balance (holder_id, account_id, floor) VALUES (:holder, :id, :floor)"
    " ON CONFLICT DO NOTHING"
)
