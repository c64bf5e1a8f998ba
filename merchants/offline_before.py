"""What a till handed in earlier, as far as it judges what it hands in now; the till's row is locked."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call

Use = tuple[UUID, int]
"""One use of a voucher: its id and the cycle."""


def latest_time(call: Call, terminal_id: UUID) -> datetime | None:
    """The latest time in the till's chain; a time that was refused as wrong is none."""
    return call.db.execute(_LATEST, {"terminal": terminal_id}).scalar_one()  # type: ignore[no-any-return]


def accepted_before(call: Call, terminal_id: UUID, vouchers: Collection[UUID]) -> dict[Use, bool]:
    """The uses of these vouchers that the till said it had honoured; true where each time came too late."""
    if not vouchers:
        return {}
    values = {"terminal": terminal_id, "vouchers": list(vouchers)}
    rows = call.db.execute(_ACCEPTED, values)
    return {(row.voucher_id, row.cycle): row.only_late for row in rows}


_LATEST = text(
    "SELECT max(scanned_at) FROM offline_record"
    " WHERE terminal_id = :terminal AND refusal IS DISTINCT FROM 'offline_clock_wrong'"
)
_ACCEPTED = text(
    "SELECT r.voucher_id, r.cycle, bool_and(f.cause IS NOT DISTINCT FROM 'late') AS only_late"
    " FROM offline_record r LEFT JOIN offline_conflict f"
    " ON f.terminal_id = r.terminal_id AND f.counter = r.counter"
    " WHERE r.terminal_id = :terminal AND r.outcome <> 'refused'"
    " AND r.voucher_id = ANY (CAST(:vouchers AS uuid[])) GROUP BY r.voucher_id, r.cycle"
)
