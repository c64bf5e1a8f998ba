"""A stretch of time is credited once to a person and mode class, whoever sends it and under whatever name.

A published rule says which scenarios are of one class and in what slots they claim: five minutes (trips), a
day (a car-free day) or a month (what is deemed by the month). Without a rule nothing is claimed. A claim is a
row for each slot, with a key behind it, so of two that come at once one waits and finds the other's. Claims
are made before references, because a refused line keeps no reference (decision 0021).

A trip is refused as a whole when it overlaps another's; where one ends and the next begins inside a slot,
both are credited, and the slot is the first one's. A tap without a start is taken for its whole slot.

Who is refused is told the slot that both want. The first one's times and place are named where both came in
one chunk, from one card: of what stands no card is known, and who knew that the first was a record of another
card would know whose both cards are (decision 0033).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import delete

from carbon.activities.errors import TripClaimed, TripTooLong
from carbon.activities.meters import METERED, Claimant
from carbon.activities.recognition import GOOD, refuse
from carbon.activities.references import names_of
from carbon.activities.tables import TripClaim
from carbon.activities.trip_slots import SLOT_SECONDS, SLOTS_MOST, slots_of, spans_of
from kernel.bulk_text import (
    array_of,
    copied_whole,
    copy_in,
    execute_text,
    new_ids,
    select_frame,
    unless_taken,
)
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.errors import Busy
from kernel.publications.rules import TripClass

LOOKS = 4
"""How often lines that lost look for the winner, who may give its slots back at that moment."""
_KEY = ("citizen_id", "slot", "mode_class")
Key = tuple[str, int, str]
Fact = tuple[str, int]
"""An event and its revision."""


def claim_trips(
    call: Call, claimant: Claimant, frame: pl.DataFrame, classes: Sequence[TripClass], *, chunk: pl.DataFrame
) -> pl.DataFrame:
    """Claim the slots of good lines; refuse trip_too_long, trip_claimed.

    `frame` is a step of `chunk`, which is asked for the cards of those that came before it.
    Adds `first_slot` and `last_slot`, null without a claim, and `activity_id`, by which claims are known.
    What comes to nothing claims nothing; a correction moves the claim of what it corrects.
    """
    corrects = pl.col("revision") > 1
    has_corrections = not frame.filter(GOOD & corrects).is_empty()
    if not classes and not has_corrections:
        return frame
    frame = frame.with_row_index("trip").with_columns(activity_id=new_ids(frame.height))
    spans = spans_of(frame.filter(GOOD & ~METERED & (pl.col("carbon_mg") > 0)), classes)
    too_long = spans.filter(pl.col("slots") > SLOTS_MOST)["trip"]
    frame = refuse(frame, pl.col("trip").is_in(too_long.implode()), TripTooLong.code, "/started_at")
    slots = slots_of(spans.filter(pl.col("slots") <= SLOTS_MOST))
    free = not has_corrections and not slots.select(_KEY).is_duplicated().any()
    if not free or not copied_whole(call, "trip_claim", _as_rows(slots)):
        asking = pl.col("trip").is_in(slots["trip"].unique().implode())
        lines = frame.filter(GOOD & (corrects | asking))
        slots, clashes = _Claims(call, claimant, lines, chunk).settle(slots)
        clash = pl.col("trip").replace_strict(clashes, default=None, return_dtype=pl.String)
        frame = frame.with_columns(
            detail=pl.when(GOOD).then(pl.coalesce(clash, "detail")).otherwise("detail")
        )
        frame = refuse(frame, pl.col("trip").is_in(list(clashes)), TripClaimed.code, "/occurred_at")
    ends = slots.group_by("trip").agg(first_slot=pl.col("slot").min(), last_slot=pl.col("slot").max())
    return frame.join(ends, on="trip", how="left", maintain_order="left").drop("trip")


def free_unused(call: Call, frame: pl.DataFrame) -> pl.DataFrame:
    """Free the slots of lines that the references refused after all: a twin was there first."""
    if "first_slot" not in frame.columns:
        return frame
    unused = frame.filter(pl.col("first_slot").is_not_null() & ~GOOD)
    if not unused.is_empty():
        _free(call, unused.select("citizen_id", "activity_id", "first_slot", "last_slot"))
    return frame.drop("first_slot", "last_slot")


def free_refused(call: Call, citizen_id: UUID, activity_id: UUID) -> None:
    """Free the slots of an activity that was refused: who sends the true trip gets them."""
    call.db.execute(
        delete(TripClaim).where(TripClaim.citizen_id == citizen_id, TripClaim.activity_id == activity_id)
    )


@dataclass(frozen=True)
class _Holder:
    """Who has a slot, and from when until when (microseconds); its fact, where it is the same partner's.

    Its card and place are known where it came in the chunk at hand.
    """

    begins: int
    ends: int
    fact: Fact | None
    card: bytes | None
    place: str


class _Claims:
    """The lines of a step that want slots which others may have, or that correct what has some."""

    def __init__(self, call: Call, claimant: Claimant, lines: pl.DataFrame, chunk: pl.DataFrame) -> None:
        self._call, self._claimant, self._lines = call, claimant, lines
        batch = None if claimant.batch_id is None else str(claimant.batch_id)
        self._cards = chunk.select(*_PLACE, card="subject_hash", batch=pl.lit(batch, pl.String))

    def settle(self, slots: pl.DataFrame) -> tuple[pl.DataFrame, dict[int, str]]:
        """The slots that are claimed now, and of each line that lost who was first."""
        for _ in range(LOOKS):
            lines = self._not_standing()
            asked = slots.join(lines.select("trip"), on="trip", how="semi", maintain_order="left")
            formers = self._formers(lines)
            won, clashes = _share_out(lines, asked, self._standing(asked, formers))
            moved = formers.filter(~pl.col("trip").is_in(list(clashes)))
            if self._written(won, moved):
                return won, clashes
        raise Busy("others claim the same time", retry_after_s=1)

    def _written(self, won: pl.DataFrame, moved: pl.DataFrame) -> bool:
        """Free what is corrected and claim what was won, or neither."""

        def write() -> bool:
            # One by one and in order: of two that correct the same facts one waits for the other.
            for former in moved.sort("citizen_id", "activity_id").iter_slices(1):
                _free(self._call, former)
            copy_in(self._call, "trip_claim", _as_rows(won))
            return True

        return unless_taken(self._call, write) or False

    def _not_standing(self) -> pl.DataFrame:
        """Lines whose fact stands are left to the references: a duplicate, or another."""
        events = array_of(self._lines["source_event_id"])
        values = {"partner": self._claimant.partner_id, "events": events}
        schema = {"source_event_id": pl.String, "revision": pl.Int64}
        found = select_frame(self._call, _FACTS, values, schema=schema)
        return self._lines.join(found, on=list(schema), how="anti", maintain_order="left")

    def _formers(self, lines: pl.DataFrame) -> pl.DataFrame:
        """The activities that corrections correct, where they have claims."""
        newer = lines.filter(pl.col("revision") > 1)
        if newer.is_empty():
            return pl.DataFrame(schema={**_FORMER, "trip": pl.UInt32})
        values = names_of(self._claimant.partner_id, newer)
        found = select_frame(self._call, _FORMERS, values, schema=_FORMER)
        return found.join(newer.select("trip", "source_event_id"), on="source_event_id")

    def _standing(self, asked: pl.DataFrame, formers: pl.DataFrame) -> dict[Key, _Holder]:
        """Who has the slots already, but for what is corrected just now."""
        values = {
            "partner": self._claimant.partner_id,
            "citizens": array_of(asked["citizen_id"]),
            "slots": array_of(asked["slot"]),
            "classes": array_of(asked["mode_class"]),
        }
        found = select_frame(self._call, _HOLDERS, values, schema=_HOLDER)
        found = found.join(formers.select("activity_id"), on="activity_id", how="anti")
        # Null meets nothing: of records without a batch no two came together.
        found = found.join(self._cards, on=("batch", *_PLACE), how="left")
        return {_key(row): _holder(row) for row in found.iter_rows(named=True)}


def _share_out(
    lines: pl.DataFrame, asked: pl.DataFrame, standing: dict[Key, _Holder]
) -> tuple[pl.DataFrame, dict[int, str]]:
    """The slots that lines get in their order; only those that meet somebody are gone through one by one."""
    asked = asked.with_row_index("place")
    taken = pl.DataFrame(list(standing), schema=_KEYS, orient="row")
    meets = asked.select(_KEY).is_duplicated() | asked["place"].is_in(
        asked.join(taken, on=_KEY, how="semi")["place"].implode()
    )
    met = asked.filter(asked["trip"].is_in(asked.filter(meets)["trip"].unique().implode()))
    told = {trip: line for trip, *line in lines.select("trip", *_LINE).iter_rows()}
    holders, given, clashes = dict(standing), list[int](), dict[int, str]()
    for part in met.partition_by("trip", maintain_order=True):
        rows = list(part.iter_rows(named=True))
        trip = rows[0]["trip"]
        event, revision, file_no, line_no, card = told[trip]
        own, clash = _own_slots(rows, holders)
        if clash is None:
            given += [row["place"] for row in own]
            place = _place(file_no, line_no)
            for row in own:
                holders[_key(row)] = _Holder(row["begins"], row["ends"], (event, revision), card, place)
        elif holders[clash].fact != (event, revision):  # the same fact once more is for the references
            clashes[trip] = _told(clash, holders[clash], card)
    others = asked.join(met.select("place"), on="place", how="anti", maintain_order="left")
    return pl.concat([others, met.filter(pl.col("place").is_in(given))]).drop("place"), clashes


def _own_slots(
    rows: list[dict[str, Any]], holders: dict[Key, _Holder]
) -> tuple[list[dict[str, Any]], Key | None]:
    """The slots of a line that are free; or where one is in the way: it overlaps, or leaves the line none."""
    own, beside = [], None
    for row in rows:
        holder = holders.get(_key(row))
        if holder is None:
            own.append(row)
        elif not row["is_trip"] or (holder.begins < row["ends"] and row["begins"] < holder.ends):
            return [], _key(row)
        else:
            beside = _key(row)
    return own, None if own else beside


def _key(row: dict[str, Any]) -> Key:
    return row["citizen_id"], row["slot"], row["mode_class"]


def _holder(row: dict[str, Any]) -> _Holder:
    fact = (row["event"], row["revision"]) if row["is_ours"] else None
    return _Holder(row["begins"], row["ends"], fact, row["card"], _place(row["file_no"], row["line_no"]))


def _told(slot: Key, first: _Holder, card: bytes) -> str:
    """The first one's times and place for its own card; in one way for all others, whoever sent it."""
    if first.card != card:
        return f"first: {_moment(slot[1] * SLOT_SECONDS * 1_000_000)}, by an earlier record"
    return f"first: {_moment(first.begins)} until {_moment(first.ends)}, {first.place}"


def _place(file_no: int, line_no: int) -> str:
    return f"file {file_no} line {line_no}"


def _moment(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC).astimezone(SHANGHAI)
    return moment.strftime("%Y-%m-%d %H:%M")


def _as_rows(slots: pl.DataFrame) -> pl.DataFrame:
    """In the order of their key, so that two chunks wait for each other in one direction only."""
    return slots.select(*_KEY, "activity_id").sort(_KEY)


def _free(call: Call, claims: pl.DataFrame) -> None:
    values = {
        "citizens": array_of(claims["citizen_id"]),
        "activities": array_of(claims["activity_id"]),
        "first": array_of(claims["first_slot"]),
        "last": array_of(claims["last_slot"]),
    }
    execute_text(call, _FREE, values)


_PLACE = ("file_no", "line_no")
_LINE = ("source_event_id", "revision", *_PLACE, "subject_hash")
_KEYS = {"citizen_id": pl.String, "slot": pl.Int64, "mode_class": pl.String}
_FORMER = {
    "source_event_id": pl.String,
    "citizen_id": pl.String,
    "activity_id": pl.String,
    "first_slot": pl.Int64,
    "last_slot": pl.Int64,
}
_HOLDER = {
    **_KEYS,
    "activity_id": pl.String,
    "begins": pl.Int64,
    "ends": pl.Int64,
    "is_ours": pl.Boolean,
    "event": pl.String,
    "revision": pl.Int64,
    "batch": pl.String,
    "file_no": pl.Int32,
    "line_no": pl.Int64,
}
_FACTS = (
    "SELECT source_event_id, revision FROM activity_reference WHERE partner_id = %(partner)s"
    " AND source_event_id = ANY (CAST(%(events)s AS text[]))"
)
_HAS_START = "a.started_at < a.occurred_at"
_OF_SLOT = f"CAST(c.slot AS bigint) * {SLOT_SECONDS * 1_000_000}"
_MICROSECONDS = "CAST(extract(epoch FROM {}) * 1000000 AS bigint)"
_HOLDERS = (
    "SELECT c.citizen_id, c.slot, c.mode_class, c.activity_id,"  # noqa: S608 - our own text
    f" CASE WHEN {_HAS_START} THEN {_MICROSECONDS.format('a.started_at')} ELSE {_OF_SLOT} END,"
    f" CASE WHEN {_HAS_START} THEN {_MICROSECONDS.format('a.occurred_at')}"
    f" ELSE {_OF_SLOT} + {SLOT_SECONDS * 1_000_000} END,"
    " b.partner_id = %(partner)s, a.source_event_id, a.revision, a.batch_id, a.file_no, a.line_no"
    " FROM unnest(CAST(%(citizens)s AS uuid[]), CAST(%(slots)s AS int[]), CAST(%(classes)s AS text[]))"
    " AS k (citizen, slot, class) JOIN trip_claim c"
    " ON c.citizen_id = k.citizen AND c.slot = k.slot AND c.mode_class = k.class"
    " JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id"
    " JOIN activity_basis b ON b.id = a.basis_id"
)
# Days and months reach back as far as the inputs say, a trip no further than the month it began in.
_FORMERS = (
    "SELECT k.event, a.citizen_id, a.id, s.first, s.last FROM unnest(CAST(%(events)s AS text[]),"  # noqa: S608 - our own text
    " CAST(%(revisions)s AS int[]), CAST(%(citizens)s AS uuid[])) AS k (event, revision, citizen)"
    " JOIN activity_reference r ON r.partner_id = %(partner)s AND r.source_event_id = k.event"
    " AND r.revision = k.revision - 1 AND r.citizen_id = k.citizen"
    " JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " CROSS JOIN LATERAL (SELECT CASE WHEN a.inputs ?| ARRAY['standing_hours', 'months'] THEN 0 ELSE"
    f" CAST(extract(epoch FROM coalesce(a.started_at, a.occurred_at) - interval '32 days') AS bigint)"
    f" / {SLOT_SECONDS} END AS first,"
    f" CAST(extract(epoch FROM a.occurred_at) AS bigint) / {SLOT_SECONDS} AS last) s"
    " WHERE EXISTS (SELECT 1 FROM trip_claim c WHERE c.citizen_id = a.citizen_id"
    " AND c.slot BETWEEN s.first AND s.last AND c.activity_id = a.id)"
)
_FREE = (
    "DELETE FROM trip_claim c USING unnest(CAST(%(citizens)s AS uuid[]), CAST(%(activities)s AS uuid[]),"
    " CAST(%(first)s AS int[]), CAST(%(last)s AS int[])) AS k (citizen, activity, first, last)"
    " WHERE c.citizen_id = k.citizen AND c.slot BETWEEN k.first AND k.last AND c.activity_id = k.activity"
)
