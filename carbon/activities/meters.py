"""An interval of a meter is credited once, whoever sends it and under whatever name.

Each fact that rests on readings claims the days between them: half-open, by a keyed hash of the meter and
what it counts, or of the account where no meter is named. An exclusion constraint stands behind it, so of
two that come at once one waits and finds the other's. A correction moves the claim; one that comes to
nothing gives the days back. Claims are made before references, because a refused line keeps no reference.

Who is refused is told the days and, of its own earlier record, the place: both named the meter, or are of one
account, so nothing is told of who else is a person's or lives in a home (decision 0033).
"""

import hmac
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Row, text

from carbon.activities.batch_records import BATCH
from carbon.activities.errors import MeterIntervalTaken
from carbon.activities.recognition import GOOD, refuse
from kernel.bulk_text import array_of, new_ids, select_frame
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.errors import Busy, require
from kernel.identifiers import new_id, public_id

LOOKS = 4
"""How often a line that lost looks for the winner, which may give its days back at that moment."""


@dataclass(frozen=True, kw_only=True)
class Claimant:
    """Who claims, for which region, from which batch, and the key of the hashes."""

    partner_id: UUID
    region_id: str
    secret: bytes
    batch_id: UUID | None


def claim_meters(call: Call, claimant: Claimant, frame: pl.DataFrame) -> pl.DataFrame:
    """Claim the intervals of good lines; refuse meter_interval_taken.

    Adds `meter_claim`, null without one, and `former_claims`, what a correction ended. A record
    that stands already is left to the references, which know it as a duplicate or as another.
    """
    frame = frame.with_columns(pl.lit(None, _FOUND[name]).alias(name) for name in _CLAIMS)
    wanted = frame.filter(GOOD & (METERED | (pl.col("revision") > 1)))
    if wanted.is_empty():
        return frame.drop("clash")
    wanted = _not_standing(call, claimant, wanted)
    corrections = wanted.filter(pl.col("revision") > 1)
    ordinary = wanted.filter(METERED & (pl.col("revision") == 1))
    found = pl.concat([_moved(call, claimant, corrections), _claimed(call, claimant, ordinary)])
    frame = frame.drop(_CLAIMS).join(found, on=["file_no", "line_no"], how="left", maintain_order="left")
    frame = frame.with_columns(detail=pl.coalesce("clash", "detail"))
    return refuse(frame, pl.col("clash").is_not_null(), MeterIntervalTaken.code, "/started_at").drop("clash")


def hash_meter(secret: bytes, *, counts: str, number: str) -> bytes:
    """What claims know a meter by: 32 bytes of its number and what it counts, one of READINGS' values."""
    return _hash(secret, "meter", counts, number)


def _hash(secret: bytes, by: str, counts: str, named: str) -> bytes:
    return hmac.digest(secret, f"{by}/{counts}/{named}".encode(), "sha256")


def end_unused(call: Call, frame: pl.DataFrame) -> pl.DataFrame:
    """End the claims of lines that were refused after all, by trips or references, and revive the former.

    Raises Busy where the days of the former went to another meanwhile: it has to be refused in its turn.
    """
    refused = frame.filter(~GOOD)
    unused = refused["meter_claim"].drop_nulls().to_list()
    former = refused["former_claims"].explode().drop_nulls().to_list()
    if unused:
        call.db.execute(_END, {"ids": [UUID(claim) for claim in unused], "now": call.now})
    if former:
        revived = call.db.execute(_REVIVE, {"ids": [UUID(claim) for claim in former]}).all()
        require(len(revived) == len(former), Busy("a meter's days are asked for", retry_after_s=1))
    return frame.drop("meter_claim", "former_claims")


def end_refused(call: Call, partner_id: UUID, source_event_id: str) -> None:
    """Give the days back that a refused fact had claimed."""
    call.db.execute(_END_REFUSED, {"partner": partner_id, "event": source_event_id, "now": call.now})


def _not_standing(call: Call, claimant: Claimant, wanted: pl.DataFrame) -> pl.DataFrame:
    values = {"partner": claimant.partner_id, "events": array_of(wanted["source_event_id"])}
    schema = {"source_event_id": pl.String, "revision": pl.Int64}
    standing = select_frame(call, _STANDING, values, schema=schema)
    return wanted.join(standing, on=["source_event_id", "revision"], how="anti", maintain_order="left")


def _claimed(call: Call, claimant: Claimant, lines: pl.DataFrame) -> pl.DataFrame:
    """Claim ordinary lines together, the earlier line first."""
    if lines.is_empty():
        return pl.DataFrame(schema=_FOUND)
    lines = _hashed(claimant.secret, lines).with_columns(
        first_day=_FIRST, end_day=_END_DAY, claim_id=new_ids(lines.height)
    )
    return _insert(call, claimant, lines)


def _insert(call: Call, claimant: Claimant, lines: pl.DataFrame) -> pl.DataFrame:
    """`meter_claim` of those that got their days, `clash` of those whose days another fact has."""
    parts, left = [], lines
    for _ in range(LOOKS):
        values = _arrays(call, claimant, left)
        won = select_frame(call, _CLAIM, values, schema={"claim_id": pl.String})
        got = left.join(won, on="claim_id", how="semi")
        parts.append(got.select(*_PLACE, meter_claim="claim_id", clash=_NONE, former_claims=_NO_FORMER))
        left = left.join(won, on="claim_id", how="anti", maintain_order="left")
        if left.is_empty():
            return pl.concat(parts)
        clashes = select_frame(call, _CLASHES, _arrays(call, claimant, left), schema=_CLASH)
        parts.append(_told(left, clashes))
        left = left.join(clashes, on="claim_id", how="anti", maintain_order="left")
        if left.is_empty():
            return pl.concat(parts)
    raise Busy("others claim these meters", retry_after_s=1)


def _told(lines: pl.DataFrame, clashes: pl.DataFrame) -> pl.DataFrame:
    """Name the first one: its days, and where it stands if it came from the same partner."""
    place = pl.concat_str(
        pl.lit(", "),
        pl.col("batch").replace_strict(
            {batch: public_id(BATCH, UUID(batch)) for batch in clashes["batch"].drop_nulls().unique()},
            default=None,
            return_dtype=pl.String,
        ),
        pl.format(" file {} line {}", "first_file", "first_line"),
    )
    days = pl.format("first: {} until before {}", "taken_from", "taken_to")
    named = pl.concat_str(days, place.fill_null(""))
    # The same fact once more is for the references to name.
    clash = pl.when(~pl.col("is_same")).then(named)
    joined = lines.select("file_no", "line_no", "claim_id").join(clashes, on="claim_id")
    return joined.select(*_PLACE, meter_claim=_NONE, clash=clash, former_claims=_NO_FORMER)


def _moved(call: Call, claimant: Claimant, lines: pl.DataFrame) -> pl.DataFrame:
    """Corrections, one after the other: the former claim ends, and revives if the new one gets no days."""
    if lines.is_empty():
        return pl.DataFrame(schema=_FOUND)
    values = {"partner": claimant.partner_id, "events": lines["source_event_id"].to_list()}
    former = {row.source_event_id: row for row in call.db.execute(_FORMER, values)}
    known = pl.col("source_event_id").is_in(list(former))
    lines = _hashed(claimant.secret, lines.filter(known | METERED)).with_columns(
        first_day=_FIRST, end_day=_END_DAY, claim_id=pl.lit(None, pl.String), metered=METERED
    )
    parts = [
        _move(call, claimant, line, former.get(line["source_event_id"].item()))
        for line in lines.iter_slices(1)
    ]
    return pl.concat([pl.DataFrame(schema=_FOUND), *parts])


def _move(call: Call, claimant: Claimant, line: pl.DataFrame, former: Row[Any] | None) -> pl.DataFrame:
    row = line.row(0, named=True)
    named = {"event": row["source_event_id"], "revision": row["revision"], "partner": claimant.partner_id}
    none = pl.DataFrame(schema=_FOUND)
    if call.db.execute(_STANDS, {**named, "citizen": row["citizen_id"]}).one_or_none() is None:
        return none  # revision_unknown, as the references will say
    ended = list(call.db.execute(_END_FORMER, {**named, "now": call.now}).scalars())
    former_claims = pl.lit([str(each) for each in ended], pl.List(pl.String))
    if row["carbon_mg"] == 0:
        return line.select(*_PLACE, meter_claim=_NONE, clash=_NONE, former_claims=former_claims)
    line = line.with_columns(claim_id=pl.lit(str(new_id())))
    if former is not None:
        line = _as_former(line, former)
    found = _insert(call, claimant, line)
    if found["clash"].is_null().item():
        return found.with_columns(former_claims=former_claims)
    if ended:
        call.db.execute(_REVIVE, {"ids": ended})
    return found


def _as_former(line: pl.DataFrame, former: Row[Any]) -> pl.DataFrame:
    """What a correction does not name stays: the meter, and the days when it names no readings."""
    if line["meter"].is_null().item():
        line = line.with_columns(meter_hash=pl.lit(bytes(former.meter_hash), pl.Binary))
    if not line["metered"].item():
        line = line.with_columns(first_day=pl.lit(former.first_day), end_day=pl.lit(former.end_day))
    return line


def _hashed(secret: bytes, lines: pl.DataFrame) -> pl.DataFrame:
    """Add `meter_hash`: of the meter for all partners alike, of the account for its partner."""
    lines = lines.with_columns(
        counts=pl.coalesce(
            *(pl.when(pl.col(name).is_not_null()).then(pl.lit(counts)) for name, counts in READINGS.items()),
            pl.lit("wh"),
        ),
        named=pl.coalesce("meter", pl.col("subject_hash").bin.encode("hex")),
        by=pl.when(pl.col("meter").is_null()).then(pl.lit("account")).otherwise(pl.lit("meter")),
    )
    keys = lines.select("by", "counts", "named").unique()
    hashes = [_hash(secret, *key) for key in keys.iter_rows()]
    keys = keys.with_columns(meter_hash=pl.Series(hashes, dtype=pl.Binary))
    return lines.join(keys, on=["by", "counts", "named"], how="left", maintain_order="left")


def _arrays(call: Call, claimant: Claimant, lines: pl.DataFrame) -> dict[str, Any]:
    return {
        "region": claimant.region_id,
        "partner": claimant.partner_id,
        "batch": claimant.batch_id,
        "now": call.now,
        **{name: array_of(lines[name]) for name in _KEYS},
    }


_BY_METER = "meter"
READINGS = {
    "baseline_wh": "wh",
    "baseline_ml": "ml",
    "baseline_gas_ml": "gas_ml",
    "baseline_kj": "kj",
    "generated_wh": "generated_wh",
}
"""Inputs that rest on the readings of a meter, and what it counts: one account may have a meter of each."""
METERED = pl.any_horizontal(pl.col(name).is_not_null() for name in ("meter", *READINGS))
_FIRST = pl.coalesce(pl.col("started_at").dt.convert_time_zone(SHANGHAI.key).dt.date(), "business_day")
_END_DAY = pl.max_horizontal("business_day", _FIRST + pl.duration(days=1))
_KEYS = {
    "claim_id": "uuid",
    "meter_hash": "bytea",
    "first_day": "date",
    "end_day": "date",
    "source_event_id": "text",
    "revision": "int",
    "file_no": "int",
    "line_no": "bigint",
}
_PLACE = ("file_no", "line_no")
_CLAIMS = ("meter_claim", "clash", "former_claims")
_FOUND: dict[str, Any] = {
    "file_no": pl.Int32,
    "line_no": pl.Int64,
    "meter_claim": pl.String,
    "clash": pl.String,
    "former_claims": pl.List(pl.String),
}
_NONE, _NO_FORMER = pl.lit(None, pl.String), pl.lit(None, pl.List(pl.String))
_CLASH = {
    "claim_id": pl.String,
    "is_same": pl.Boolean,
    "taken_from": pl.Date,
    "taken_to": pl.Date,
    "batch": pl.String,
    "first_file": pl.Int64,
    "first_line": pl.Int64,
}
_UNNEST = (
    f"unnest({', '.join(f'CAST(%({name})s AS {kind}[])' for name, kind in _KEYS.items())})"
    f" AS k ({', '.join(_KEYS)})"
)
# In the order of meters, so that two chunks wait for each other in one direction only, then of lines.
_CLAIM = (
    "INSERT INTO meter_claim (id, region_id, meter_hash, days, partner_id, source_event_id, revision,"  # noqa: S608 - our own text
    " batch_id, file_no, line_no, claimed_at) SELECT k.claim_id, %(region)s, k.meter_hash,"
    " daterange(k.first_day, k.end_day), %(partner)s, k.source_event_id, k.revision, %(batch)s, k.file_no,"
    f" k.line_no, %(now)s FROM {_UNNEST} ORDER BY k.meter_hash, k.file_no, k.line_no"
    " ON CONFLICT DO NOTHING RETURNING id"
)
_CLASHES = (
    "SELECT k.claim_id, c.is_same, c.first_day, c.end_day, c.batch_id, c.file_no, c.line_no"  # noqa: S608 - our own text
    f" FROM {_UNNEST} CROSS JOIN LATERAL (SELECT m.partner_id IS NOT DISTINCT FROM %(partner)s"
    " AND m.source_event_id = k.source_event_id AND m.revision = k.revision AS is_same,"
    " lower(m.days) AS first_day, upper(m.days) AS end_day,"
    " CASE WHEN m.partner_id = %(partner)s THEN m.batch_id END AS batch_id, m.file_no, m.line_no"
    " FROM meter_claim m WHERE m.region_id = %(region)s AND m.meter_hash = k.meter_hash"
    " AND m.days && daterange(k.first_day, k.end_day) AND m.ended_at IS NULL"
    " ORDER BY is_same DESC, lower(m.days) LIMIT 1) c"
)
_STANDING = (
    "SELECT source_event_id, revision FROM activity_reference WHERE partner_id = %(partner)s"
    " AND source_event_id = ANY (CAST(%(events)s AS text[]))"
)
_STANDS = text(
    "SELECT 1 FROM activity_reference WHERE partner_id = :partner AND source_event_id = :event"
    " AND revision = :revision - 1 AND citizen_id = :citizen"
)
_FORMER = text(
    "SELECT DISTINCT ON (source_event_id) source_event_id, meter_hash, lower(days) AS first_day,"
    " upper(days) AS end_day FROM meter_claim WHERE partner_id = :partner AND source_event_id = ANY (:events)"
    " ORDER BY source_event_id, revision DESC, id DESC"
)
_END_FORMER = text(
    "UPDATE meter_claim SET ended_at = :now WHERE partner_id = :partner AND source_event_id = :event"
    " AND revision < :revision AND ended_at IS NULL RETURNING id"
)
_END_REFUSED = text(
    "UPDATE meter_claim SET ended_at = :now WHERE partner_id = :partner AND source_event_id = :event"
    " AND ended_at IS NULL"
)
_END = text("UPDATE meter_claim SET ended_at = :now WHERE id = ANY (:ids)")
_REVIVE = text(
    "UPDATE meter_claim c SET ended_at = NULL WHERE id = ANY (:ids) AND NOT EXISTS"
    " (SELECT 1 FROM meter_claim o WHERE o.region_id = c.region_id AND o.meter_hash = c.meter_hash"
    " AND o.days && c.days AND o.ended_at IS NULL) RETURNING id"
)
