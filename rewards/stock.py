"""Stock that the whole city may draw from at once: sixteen rows instead of one hot row.

A draw is a conditional update whose row count is checked, with a CHECK behind it. While much is left
any slot serves; near the end everybody walks the slots upwards, in one order, so nobody waits in a ring.
"""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from rewards.errors import OutOfStock
from rewards.tables import SLOTS

PLENTY = 32
"""A slot that holds this much is taken from at random; below it, the lowest that is not empty."""


def fill(call: Call, reward_id: UUID, *, region_id: str, total: int) -> None:
    """Spread `total` over the slots of a new reward."""
    shares = [total // SLOTS + (slot < total % SLOTS) for slot in range(SLOTS)]
    call.db.execute(
        _FILL, [_row(reward_id, slot, share, region_id=region_id) for slot, share in enumerate(shares)]
    )


def chance_of(voucher_id: UUID) -> int:
    """The number of a voucher that spreads draws and returns over the slots."""
    return voucher_id.int & 0xFFFF


def draw(call: Call, reward_id: UUID, *, chance: int) -> None:
    """Take one; `chance` spreads the draws over the slots. Refuses `OutOfStock`."""
    drawn = call.db.execute(_DRAW, {"reward": reward_id, "chance": chance, "plenty": PLENTY}).scalar_one()
    require(drawn, OutOfStock())


def put_back(call: Call, ended: Iterable[tuple[UUID, UUID]]) -> None:
    """Give one back for each (reward, voucher) that ended unused: one update a slot, in slot order.

    Whoever holds a slot keeps the city from it, so this is the last thing a unit of work does.
    """
    slots = Counter((reward, chance_of(voucher) % SLOTS) for reward, voucher in ended)
    if not slots:
        return
    rows = [
        {"reward": reward, "slot": slot, "items": items} for (reward, slot), items in sorted(slots.items())
    ]
    done = call.db.execute(_PUT_BACK, rows)
    if done.rowcount != len(rows):  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a reward has all its slots")


def _row(reward_id: UUID, slot: int, share: int, *, region_id: str) -> dict[str, object]:
    return {"reward": reward_id, "slot": slot, "region": region_id, "remaining": share}


_FILL = text(
    "INSERT INTO reward_stock (reward_id, slot, region_id, remaining)"
    " VALUES (:reward, :slot, :region, :remaining)"
)
_DRAW = text("SELECT reward_draw(:reward, :chance, :plenty)")
_PUT_BACK = text(
    "UPDATE reward_stock SET remaining = remaining + :items WHERE reward_id = :reward AND slot = :slot"
)
