"""What a correction says to the citizen: which table put which one right, why, and what it came to.

The original stays as it was explained; a correction stands beside it, each with its transfers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from carbon.activities.recomputation.credits_behind import SOURCE
from kernel.call import Call
from kernel.units import show_coins, show_grams

Saying = dict[str, str]
"""A text in `zh` and in `en`."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """One correction of one activity."""

    activity_id: UUID
    number: int
    factor_id: UUID | None
    table_id: UUID
    table_title: str
    corrects_id: UUID
    corrects_title: str
    reason: str
    business_day: date
    carbon_mg_before: int
    carbon_mg_after: int
    coin_milli_before: int
    coin_milli_after: int
    coin_cut_milli_after: int
    coin_posted_milli: int
    borne_milli_after: int
    carbon_transfer_id: int | None
    coin_transfer_id: int | None
    recorded_at: datetime

    @property
    def says(self) -> Saying:
        """The sentence of a statement line."""
        return {"zh": _in_chinese(self), "en": _in_english(self)}


def corrections_of(call: Call, citizen_id: UUID, activities: Iterable[UUID]) -> dict[UUID, list[Told]]:
    """The corrections of a citizen's activities by tables, in their order."""
    found: dict[UUID, list[Told]] = {}
    values = {"citizen": citizen_id, "ids": list(activities)}
    for row in call.db.execute(_CORRECTIONS, values):
        found.setdefault(row.activity_id, []).append(_told(row))
    return found


def named_correction(reference: str) -> tuple[UUID, int] | None:
    """The activity and the number of the correction that a transfer's reference names, if it names one."""
    source, _, rest = reference.partition("/")
    parts = rest.split("/")
    return (UUID(parts[0]), int(parts[1])) if source == SOURCE and parts[0] != "fund" else None


def notes_of(call: Call, citizen_id: UUID, references: Iterable[str]) -> dict[str, Saying]:
    """What to say beside transfers of a citizen that corrected something, by reference."""
    named = {each: found for each in references if (found := named_correction(each)) is not None}
    told = corrections_of(call, citizen_id, {activity_id for activity_id, _ in named.values()})
    return {
        reference: each.says
        for reference, (activity_id, number) in named.items()
        for each in told.get(activity_id, [])
        if each.number == number
    }


def _told(row: Row[Any]) -> Told:
    return Told(**row._asdict())


def _in_chinese(told: Told) -> str:
    table, corrects = _part(told.table_title, 0), _part(told.corrects_title, 0)
    carbon = (
        "减排量不变"
        if told.carbon_mg_before == told.carbon_mg_after
        else f"减排量由 {show_grams(told.carbon_mg_before)} 更正为 {show_grams(told.carbon_mg_after)}"
    )
    coins = (
        "碳币不变"
        if told.coin_milli_before == told.coin_milli_after
        else f"碳币由 {show_coins(told.coin_milli_before)} 更正为 {show_coins(told.coin_milli_after)}"
    )
    borne = (
        f";其中 {show_coins(told.borne_milli_after)} 碳币由基金承担,不向您收回"
        if told.borne_milli_after
        else ""
    )
    return (
        f"因子表《{table}》更正了《{corrects}》(原因:{told.reason})。"
        f"您 {told.business_day.isoformat()} 的行为{carbon},{coins}{borne}。原记录保持不变。"
    )


def _in_english(told: Told) -> str:
    table, corrects = _part(told.table_title, -1), _part(told.corrects_title, -1)
    carbon = (
        "keeps its kilograms"
        if told.carbon_mg_before == told.carbon_mg_after
        else f"comes to {show_grams(told.carbon_mg_after)} instead of {show_grams(told.carbon_mg_before)}"
    )
    coins = (
        "the same coins"
        if told.coin_milli_before == told.coin_milli_after
        else f"{show_coins(told.coin_milli_after)} coins instead of {show_coins(told.coin_milli_before)}"
    )
    borne = (
        f"; a fund bears {show_coins(told.borne_milli_after)} coins, nobody asks them back"
        if told.borne_milli_after
        else ""
    )
    return (
        f"The factor table “{table}” corrects “{corrects}” ({told.reason}). What you did on"
        f" {told.business_day.isoformat()} {carbon} and brings {coins}{borne}."
        " The first record stays as it was."
    )


def _part(title: str, place: int) -> str:
    """A table's title is Chinese, a stroke, English."""
    return title.split(" / ")[place]


_CORRECTIONS = text(
    "SELECT c.activity_id, c.number, c.factor_id, t.id AS table_id, t.title AS table_title,"
    " o.id AS corrects_id, o.title AS corrects_title, t.content ->> 'correction_reason' AS reason,"
    " a.business_day, c.carbon_mg_before, c.carbon_mg_after, c.coin_milli_before, c.coin_milli_after,"
    " c.coin_cut_milli_after, c.coin_posted_milli, c.borne_milli_after, c.carbon_transfer_id,"
    " c.coin_transfer_id, c.recorded_at FROM activity_correction c"
    " JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id"
    " JOIN recomputation r ON r.id = c.recomputation_id JOIN publication t ON t.id = r.table_id"
    " JOIN publication o ON o.id = t.corrects_id"
    " WHERE c.citizen_id = :citizen AND c.activity_id = ANY (:ids) ORDER BY c.activity_id, c.number"
)
