"""The days of a home's meters are claimed once, beside those of bills: who comes second is told the first.

A saving claims the days of every meter that it rests on, all or none. It keeps its claims while it brings
somebody something, through all its revisions; when nothing is left of it they end, and the days are free.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.identifiers import new_id


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Half-open days of one meter."""

    meter_hash: bytes
    first_day: date
    end_day: date


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """Whose claims they are: the saving's name and revision."""

    region_id: str
    partner_id: UUID
    source_event_id: str
    revision: int


def claim(call: Call, claimant: Claimant, wanted: Sequence[Claim]) -> str | None:
    """Hold exactly these claims; None when they are held, or else which days were taken first.

    Claims that the saving holds already stay; what it does not want any more ends.
    """
    named = {"partner": claimant.partner_id, "event": claimant.source_event_id}
    held = {
        (bytes(row.meter_hash), row.first_day, row.end_day): row.id for row in call.db.execute(_HELD, named)
    }
    keys = {(each.meter_hash, each.first_day, each.end_day) for each in wanted}
    call.db.execute(_END, {"ids": [held[key] for key in held.keys() - keys], "now": call.now})
    # In the order of meters, as bills claim them: two who want the same wait in one direction only.
    got: list[UUID] = []
    for meter_hash, first_day, end_day in sorted(keys - held.keys()):
        values = {
            **vars(claimant),
            "id": new_id(),
            "hash": meter_hash,
            "first": first_day,
            "end": end_day,
            "now": call.now,
        }
        if call.db.execute(_CLAIM, values).first() is None:
            call.db.execute(_END, {"ids": got, "now": call.now})
            return _told(call, values)
        got.append(values["id"])
    return None


def end_claims(call: Call, claimant: Claimant) -> None:
    """Give all days back."""
    claim(call, claimant, [])


def _told(call: Call, values: dict[str, Any]) -> str:
    row = call.db.execute(_FIRST, values).first()
    if row is None:
        return ""  # whoever had them gave them back at this moment
    return f"first: {row.first_day} until before {row.end_day}"


_HELD = text(
    "SELECT id, meter_hash, lower(days) AS first_day, upper(days) AS end_day FROM meter_claim"
    " WHERE partner_id = :partner AND source_event_id = :event AND ended_at IS NULL"
)
_END = text("UPDATE meter_claim SET ended_at = :now WHERE id = ANY (:ids)")
_CLAIM = text(
    "INSERT INTO meter_claim (id, region_id, meter_hash, days, partner_id, source_event_id, revision,"
    " claimed_at) VALUES (:id, :region_id, :hash, daterange(:first, :end), :partner_id, :source_event_id,"
    " :revision, :now) ON CONFLICT DO NOTHING RETURNING 1"
)
_FIRST = text(
    "SELECT lower(days) AS first_day, upper(days) AS end_day FROM meter_claim WHERE region_id = :region_id"
    " AND meter_hash = :hash AND days && daterange(:first, :end) AND ended_at IS NULL ORDER BY 1 LIMIT 1"
)
