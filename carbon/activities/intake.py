"""The one way in: a chunk of lines becomes activities, kilograms and coins in the caller's transaction.

A single record is a chunk of one. Every line comes out with an outcome: `credited`, `assessed` (an
activity of zero grams), `duplicate`, or `rejected` with its code. Each step of a chunk takes its locks in the
order meters, trips, references, counts of holds, caps, balances (kilograms of all its citizens, then coins of
all, by key; coins last, because a citizen who spends some waits to the end of the chunk); a cap limits coins
only, never kilograms.
"""

from dataclasses import dataclass
from functools import cached_property
from uuid import UUID

import polars as pl

from carbon.activities.adapters.line_codes import LINE_CODES
from carbon.activities.allotment import allot_coins
from carbon.activities.assessment import assess_frame
from carbon.activities.automatic_holds import hold_marked, mark_held
from carbon.activities.basis import with_basis
from carbon.activities.corrections import lower_caps, take_back_corrected
from carbon.activities.crediting import claim_credits, post_credits
from carbon.activities.duplicates import refuse_standing
from carbon.activities.errors import LineRefused
from carbon.activities.evidence import weigh
from carbon.activities.given_back import refuse_more
from carbon.activities.holds import refuse_held
from carbon.activities.meters import Claimant, claim_meters, end_unused
from carbon.activities.recognition import GOOD, recognise
from carbon.activities.references import (
    DUPLICATE,
    claim_references,
    note_orphans,
    number_revisions,
    refuse_repeated,
)
from carbon.activities.steps import in_steps
from carbon.activities.subjects import SubjectHashes
from carbon.activities.trips import claim_trips, free_unused
from carbon.partners.errors import PartnerSuspended
from carbon.partners.registry import ACTIVE, find_partner
from carbon.partners.tables import Partner
from kernel.bulk_text import copy_in, written_bytes, written_instant
from kernel.call import Call
from kernel.errors import Refusal, require
from kernel.identifiers import new_id
from kernel.publications.rules import STANDARD, IntakeRules, coin_rate, intake_rules
from ledger.bulk_accounts import lock_citizens, open_citizen_accounts
from ledger.chart import Unit

CREDITED, ASSESSED, REJECTED = "credited", "assessed", "rejected"
ZERO = "below_one_milligram"
_SAID = ("outcome", "code", "pointer", "detail")
OUTCOME = ("file_no", "line_no", *_SAID, "activity_id", "supersedes")


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Whose lines, under which batch (None for a single record), and the key of card hashes."""

    partner_id: UUID
    card_secret: bytes
    batch_id: UUID | None = None

    @cached_property
    def subjects(self) -> SubjectHashes:
        """The partner's numbers, hashed; remembered while this is."""
        return SubjectHashes(self.card_secret, partner_id=self.partner_id)


def take_activity(call: Call, intake: Intake, line: pl.DataFrame) -> dict[str, object]:
    """Take one record (a frame of one line, as adapters give it); returns its row of OUTCOME.

    A rejected line is raised as the refusal it stands for; a duplicate is an outcome.
    """
    row = take_chunk(call, intake, line).row(0, named=True)
    if row["outcome"] != REJECTED:
        return row
    refusal = Refusal.catalogue.get(row["code"])
    if refusal is not None:
        raise refusal(row["detail"] or "", pointer=row["pointer"])
    sentence = LINE_CODES.get(row["code"])
    raise LineRefused(sentence.en if sentence else "", pointer=row["pointer"], line_code=row["code"])


def take_chunk(call: Call, intake: Intake, frame: pl.DataFrame) -> pl.DataFrame:
    """Take a chunk of lines; returns a row of OUTCOME for each, in their order, for `keep_lines`.

    Refuses NotFound (partner), PartnerSuspended and NoRuleInForce (coin rate, validity) as a whole.
    """
    partner = find_partner(call, intake.partner_id)
    require(partner.state == ACTIVE, PartnerSuspended())
    if "reason" not in frame.columns:
        frame = frame.with_columns(reason=pl.lit(None, pl.String))
    frame = recognise(call, frame.with_columns(arrived=GOOD), intake.subjects)
    frame = number_revisions(assess_frame(call, frame, region_id=partner.region_id))
    rules = _rules_of(call, frame, partner.region_id)
    frame = weigh(frame, partner.evidence_tiers, rules.evidence_tiers)
    frame = refuse_standing(call, frame, intake.subjects)
    steps = in_steps(frame, claims_trips=bool(rules.trip_classes))
    taken = pl.concat([_take(call, intake, step, partner, rules, chunk=frame) for step in steps])
    return frame.select("file_no", "line_no").join(
        taken, on=["file_no", "line_no"], how="left", maintain_order="left"
    )


def _rules_of(call: Call, frame: pl.DataFrame, region_id: str) -> IntakeRules:
    """What rules the days of the lines that are good."""
    day = pl.col("business_day")
    first, last = frame.filter(GOOD).select(day.min().alias("first"), day.max().alias("last")).row(0)
    return (
        IntakeRules([], [], [], [])
        if first is None
        else intake_rules(call, region_id, first=first, last=last)
    )


def _take(
    call: Call,
    intake: Intake,
    frame: pl.DataFrame,
    partner: Partner,
    rules: IntakeRules,
    *,
    chunk: pl.DataFrame,
) -> pl.DataFrame:
    """Claim and credit the lines of a step; their outcomes."""
    claimant = Claimant(
        partner_id=partner.id,
        region_id=partner.region_id,
        secret=intake.card_secret,
        batch_id=intake.batch_id,
    )
    frame = refuse_held(call, refuse_repeated(frame), partner.id)
    frame = note_orphans(call, frame, partner_id=partner.id)
    # After the look for orphans: what came to stand between the two would pass here, and is Busy there.
    frame = refuse_more(
        call, frame, partner_id=partner.id, region_id=partner.region_id, found_caps=rules.caps
    )
    frame = claim_meters(call, claimant, frame)
    frame = claim_trips(call, claimant, frame, rules.trip_classes, chunk=chunk)
    frame = claim_references(call, frame, partner_id=partner.id)
    frame = free_unused(call, end_unused(call, frame))
    rows = frame.filter(GOOD)
    if not rows.is_empty():
        _credit(call, intake, rows, partner.region_id, rules)
    return _outcomes(frame)


def _credit(call: Call, intake: Intake, rows: pl.DataFrame, region_id: str, rules: IntakeRules) -> None:
    accounts = open_citizen_accounts(call, rows["citizen_id"], region_id=region_id)
    own = accounts.of(Unit.COIN, STANDARD).rename({"holder_id": "citizen_id"})
    rows = rows.join(own, on="citizen_id", how="left", maintain_order="left")
    rows = mark_held(call, rows, rules.hold_rules, region_id=region_id)
    rate = coin_rate(call, region_id, day=call.today)
    corrected = lower_caps(call, intake.partner_id, rows)
    rows = allot_coins(call, rows, region_id=region_id, rate=rate, found_caps=rules.caps)
    credits_ = claim_credits(call, rows)
    kept = with_basis(
        call,
        credits_.rows,
        region_id=region_id,
        partner_id=intake.partner_id,
        coin_rule_id=rate.rule_id,
    )
    _keep_activities(call, intake, kept)
    batch_id = intake.batch_id or new_id()
    if corrected:
        # A correction may take coins of one to whom nothing is credited. Locked only then, after the coins
        # of others, they would be out of the order that all keep: so all of these are locked at once.
        lock_citizens(call, rows["citizen_id"].unique().sort())
    post_credits(call, credits_.postings, accounts, region_id=region_id, batch_id=batch_id)
    take_back_corrected(call, corrected, accounts, region_id=region_id)
    hold_marked(call, kept, rules.hold_rules, region_id=region_id)


def _keep_activities(call: Call, intake: Intake, rows: pl.DataFrame) -> None:
    kept = rows.sort("citizen_id", "activity_id").select(
        "citizen_id",
        pl.col("activity_id").alias("id"),
        "basis_id",
        "source_event_id",
        "revision",
        written_instant("started_at"),
        written_instant("occurred_at"),
        "business_day",
        "inputs",
        "facts",
        "carbon_mg",
        "coin_milli",
        "coin_cut_milli",
        written_bytes("digest"),
        "coin_transfer_id",
        "carbon_transfer_id",
        _reason().alias("reason"),
        pl.lit(None if intake.batch_id is None else str(intake.batch_id), pl.String).alias("batch_id"),
        "file_no",
        "line_no",
        pl.lit(call.now.isoformat()).alias("recorded_at"),
    )
    copy_in(call, "activity", kept)


def _reason() -> pl.Expr:
    return pl.when(pl.col("carbon_mg") == 0).then(pl.coalesce("reason", pl.lit(ZERO)))


def _outcomes(frame: pl.DataFrame) -> pl.DataFrame:
    repeated = pl.col("outcome").is_in([DUPLICATE, "duplicate_in_file"])
    outcome = (
        pl.when(GOOD & (pl.col("carbon_mg") > 0))
        .then(pl.lit(CREDITED))
        .when(GOOD)
        .then(pl.lit(ASSESSED))
        .when(repeated)
        .then(pl.lit(DUPLICATE))
        .otherwise(pl.lit(REJECTED))
    )
    code = pl.when(GOOD).then(_reason()).otherwise("outcome")
    activity = pl.when(GOOD).then("activity_id")
    supersedes = GOOD & (pl.col("revision") > 1)
    return frame.with_columns(outcome=outcome, code=code, activity_id=activity, supersedes=supersedes).select(
        OUTCOME
    )


def keep_lines(call: Call, batch_id: UUID, outcomes: pl.DataFrame) -> None:
    """Keep the lines of a batch that became no activity. The caller has locked the batch: each comes once."""
    left = outcomes.filter(pl.col("activity_id").is_null())
    begins = (pl.col("line_no").diff() != 1) | pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift()) for name in ("file_no", *_SAID)
    )
    runs = left.group_by(begins.fill_null(value=True).cum_sum().alias("run"), maintain_order=True).agg(
        pl.col("file_no", "line_no", *_SAID).last(), lines=pl.len()
    )
    copy_in(
        call, "activity_batch_line", runs.drop("run").with_columns(batch_id=pl.lit(str(batch_id), pl.String))
    )
