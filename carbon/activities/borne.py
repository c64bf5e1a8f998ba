"""What a fund bears of an activity that a table lowered: of a refused one the fund is paid back.

A table takes what the citizen has free; what was held or spent at that moment stays, and the region's fund
pays for it. A refusal takes that too, as far as it is there now, and the fund gets back what was taken.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from carbon.activities.tables import Activity
from kernel.call import Call
from kernel.errors import BrokenInvariant
from ledger.accounts import Account, institution
from ledger.chart import Code, Kind, Unit
from ledger.posting import Transfer, post
from ledger.reversal import take_back

SOURCE = "take-back-borne"
"""Of the ledger's references: `<activity>/<place>`, and `fund/<activity>` for what the fund gets."""


@dataclass(frozen=True)
class Borne:
    """Which coins of an activity a fund bears: the credits that they lie in, and how much of each."""

    activity_id: UUID
    region_id: str
    credits: list[tuple[int, int]]


def beyond(credits_: list[tuple[int, int]], *, justified: int, borne: int) -> list[tuple[int, int]]:
    """What is left of credits behind the first `justified` milli-coins: what a fund bears."""
    left, found = justified, []
    for credit_id, there in credits_:
        used = min(left, there)
        left -= used
        if there > used:
            found.append((credit_id, there - used))
    if sum(amount for _, amount in found) != borne:
        raise BrokenInvariant("a fund bears other coins of an activity than lie in its credits")
    return found


def pay_back(call: Call, account: Account, borne: Borne) -> None:
    """Take from the citizen's `account` what a fund bears, down to its floor, and give it to the fund."""
    taken = sum(
        take_back(
            call,
            account,
            credit_id=credit_id,
            amount=amount,
            source=SOURCE,
            reference=f"{borne.activity_id}/{place}",
        ).taken
        for place, (credit_id, amount) in enumerate(borne.credits)
    )
    if taken:
        post(
            call,
            Transfer(
                account=institution(call, borne.region_id, kind=Kind.FUNDER, unit=Unit.COIN),
                contra=institution(call, borne.region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
                amount=taken,
                code=Code.CORRECTION,
                source=SOURCE,
                reference=f"fund/{borne.activity_id}",
                occurred_at=call.now,
            ),
        )


def coins_at_stake(call: Call, activity: Activity) -> int:
    """Milli-coins that a refusal would take: what it came to last, and what a fund bears of it.

    The caller holds the lock of the balance: nobody corrects it by a table meanwhile.
    """
    values = {"citizen": activity.citizen_id, "activity": activity.id}
    newest = call.db.execute(_NEWEST, values).scalar_one_or_none()
    return activity.coin_milli if newest is None else int(newest)


_NEWEST = text(
    "SELECT coin_milli_after + borne_milli_after FROM activity_correction"
    " WHERE citizen_id = :citizen AND activity_id = :activity ORDER BY number DESC LIMIT 1"
)
