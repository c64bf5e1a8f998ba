"""A citizen with coins and a shop, in a few words."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from kernel.call import Call
from kernel.identifiers import new_id
from ledger.accounts import Account, CitizenAccounts, citizen_accounts, institution, open_account
from ledger.chart import Code, Kind, Unit
from ledger.holds import Held, HoldSet, hold, spend
from ledger.posting import Posted, Transfer, post
from ledger.statements import balances

REGION = "CN-GD-SZ"
LATER = date(2028, 12, 1)


@dataclass(frozen=True)
class Citizen:
    """A holder with accounts; every helper takes the call it works in."""

    id: UUID
    accounts: CitizenAccounts

    def earn(
        self, call: Call, amount: int, *, reference: str, ends: date = LATER, validity: str = "standard"
    ) -> Posted:
        """Credit coins."""
        issuance = institution(call, REGION, kind=Kind.ISSUANCE, unit=Unit.COIN)
        return post(
            call,
            Transfer(
                account=self.accounts.coins[validity],
                contra=issuance,
                amount=amount,
                code=Code.CREDIT,
                source="activity",
                reference=reference,
                occurred_at=call.now,
                expires_on=ends,
            ),
        )

    def set_of(self, reference: str) -> HoldSet:
        """The hold set of a voucher."""
        return HoldSet(holder_id=self.id, purpose="voucher", reference=reference)

    def hold(self, call: Call, amount: int, reference: str) -> list[Held]:
        """Set coins aside for a voucher."""
        return hold(call, self.set_of(reference), self.accounts.spending_order, amount=amount, until=None)

    def available(self, call: Call) -> dict[str, int]:
        """Available milli-coins by class."""
        return {b.validity_class: b.available for b in balances(call, self.id) if b.unit is Unit.COIN}


def citizen(call: Call, *, floor: int = 0) -> Citizen:
    """A new citizen."""
    holder = new_id()
    return Citizen(holder, citizen_accounts(call, holder, region_id=REGION, floor=floor))


def shop(call: Call) -> Account:
    """A merchant's coin account."""
    return open_account(call, new_id(), kind=Kind.MERCHANT, unit=Unit.COIN, region_id=REGION)


def redeem(call: Call, who: Citizen, till: Account, reference: str) -> int:
    """Spend the hold set of a voucher; milli-coins paid."""
    return spend(
        call, who.set_of(reference), till, code=Code.REDEEM, reference=reference, occurred_at=call.now
    ).amount
