"""Stock that the whole city may draw from at once: sixteen rows instead of one hot row.

A draw is a conditional update whose row count is checked, with a CHECK behind it. While much is left
any slot serves; near the end everybody walks the slots upwards, in one order, so nobody waits in a ring.
A reward may have other counters beside the whole, of a day or of a store: an item is drawn from each of
its counters, in the order of their names, and goes back to the same ones.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.errors import BrokenInvariant
from rewards.tables import SLOTS, WHOLE

PLENTY = 32
"""A slot that holds this much is taken from at random; below it, the lowest that is not empty."""


def store_part(scope_no: int) -> str:
    """The counter of one store."""
    return f"store/{scope_no}"


def day_part(day: date) -> str:
    """The counter of one business day; the first who buys on the day fills it."""
    return f"day/{day.isoformat()}"


def fill(call: Call, reward_id: UUID, *, region_id: str, total: int, part: str = WHOLE) -> None:
    """Spread `total` over the slots of a counter of a new reward."""
    values = {"reward": reward_id, "part": part, "region": region_id, "total": total, "slots": SLOTS}
    call.db.execute(_FILL, values)


def chance_of(voucher_id: UUID) -> int:
    """The number of a voucher that spreads draws and returns over the slots."""
    return voucher_id.int & 0xFFFF


def put_back(call: Call, ended: Iterable[tuple[UUID, str, UUID]]) -> None:
    """Give one back for each (reward, counter, voucher) that ended unused: one update a slot, in order.

    Whoever holds a slot keeps the city from it, so this is the last thing a unit of work does.
    """
    slots = Counter((reward, part, chance_of(voucher) % SLOTS) for reward, part, voucher in ended)
    if not slots:
        return
    rows = [
        {"reward": reward, "part": part, "slot": slot, "items": items}
        for (reward, part, slot), items in sorted(slots.items())
    ]
    done = call.db.execute(_PUT_BACK, rows)
    if done.rowcount != len(rows):  # type: ignore[attr-defined]  # cursor results have it
        raise BrokenInvariant("a reward has all its slots")


_FILL = text(
    "INSERT INTO reward_stock (reward_id, part, slot, region_id, remaining)"
    " SELECT CAST(:reward AS uuid), :part, s, :region,"
    " CAST(:total AS bigint) / :slots + (s < CAST(:total AS bigint) % :slots)::int"
    " FROM generate_series(0, :slots - 1) s"
)
_PUT_BACK = text(
    "UPDATE reward_stock SET remaining = remaining + :items"
    " WHERE reward_id = :reward AND part = :part AND slot = :slot"
)
