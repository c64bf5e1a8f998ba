"""One part of a recomputation, posted in one transaction: all of its citizens, or none.

The part is computed again, and must come to exactly the figures that were approved, before anything is
locked and once more behind the locks: what moved meanwhile stops it. Locks are taken as everywhere: room
under caps, kilograms, coins. Kilograms are corrected in full; coins upward in full, downward as the policy
says, never from what a voucher holds. What the citizen keeps, the region's fund bears by a transfer of its
own. A part that was posted is found posted, by whoever comes later.
"""

from dataclasses import dataclass, replace
from uuid import UUID

import polars as pl
from sqlalchemy import text, update

from carbon.activities.adapters.frames import sha256
from carbon.activities.allotment import lock_usage, move_usage
from carbon.activities.recomputation.credits_behind import SOURCE, shares_to_take
from carbon.activities.recomputation.errors import FiguresMoved, RecomputationNotWaiting
from carbon.activities.recomputation.figures import (
    Scope,
    corrected,
    digest_of,
    figures_between,
    scope_of,
)
from carbon.activities.recomputation.jobs import PREFIX
from carbon.activities.recomputation.states import Policy, State
from carbon.activities.recomputation.tables import RecomputationPart
from carbon.activities.simulation.replay import PERIOD
from kernel.bulk_text import array_of, copy_in, select_frame
from kernel.call import Call
from kernel.errors import BrokenInvariant, require
from kernel.identifiers import public_id
from kernel.outgoing import announce
from kernel.publications.rules import first_invalid_day
from kernel.publications.tables import Publication
from ledger.accounts import institution
from ledger.bulk_accounts import ManyAccounts, lock_citizens, open_citizen_accounts
from ledger.bulk_posting import CreditRun, claim_batch, correct_claimed, post_claimed, transfer_ids
from ledger.chart import NO_CLASS, STANDARD, Code, Kind, Unit
from ledger.posting import Transfer, post
from ledger.reversal import take_back_many

LEAST = {Policy.UNSPENT: 0, Policy.FLOOR: None}
"""How far down a policy takes what is available, in milli-coins; None is the floor of the account."""


@dataclass(frozen=True)
class Order:
    """A recomputation that is under way."""

    recomputation_id: UUID
    table_id: UUID
    region_id: str
    policy: Policy
    scope: Scope


def post_part(call: Call, order: Order, part: RecomputationPart) -> int:
    """Post a part; how many activities were corrected, 0 where it was posted before.

    Refuses RecomputationNotWaiting (called off meanwhile), FiguresMoved, NotEnough (kilograms that are gone).
    """
    for setting in ("statement_timeout = '60s'", "lock_timeout = '10s'"):
        call.db.execute(text(f"SET LOCAL {setting}"))
    _require_running(call, order)
    claimed = call.db.execute(
        update(RecomputationPart)
        .where(
            RecomputationPart.recomputation_id == order.recomputation_id,
            RecomputationPart.number == part.number,
            RecomputationPart.posted_at.is_(None),
        )
        .values(posted_at=call.now)
        .execution_options(synchronize_session=False)
    )
    if claimed.rowcount != 1:  # type: ignore[attr-defined]  # cursor results have it
        return 0
    rows = _approved(call, order, part)
    citizens, span = rows["citizen_id"].unique().sort(), order.scope.past.span
    lock_usage(call, citizens, first_day=span.first_day.replace(day=1), last_day=span.last_day)
    lock_citizens(call, citizens)
    # Who came meanwhile may have been judged by a row that nobody had used before: it is looked for anew.
    table = call.db.get_one(Publication, order.table_id)
    order = replace(order, scope=scope_of(call, table, order.region_id))
    rows = _approved(call, order, part)
    for (region_id,), own in rows.group_by("region_id", maintain_order=True):
        _post(call, order, own, region_id=str(region_id), part=part.number)
    subject = public_id(PREFIX, order.recomputation_id)
    announce(call, "recomputation.posted", region_id=order.region_id, subject=subject, part=part.number)
    return rows.height


def _require_running(call: Call, order: Order) -> None:
    row = call.db.execute(_RUNNING, {"id": order.recomputation_id}).one()
    require(row.state == State.RUNNING, RecomputationNotWaiting(f"it is {row.state}"))
    require(row.table_state == "published", FiguresMoved("its table was corrected"))


def _approved(call: Call, order: Order, part: RecomputationPart) -> pl.DataFrame:
    """The corrected rows of the part as they are now; refuses FiguresMoved where they are others."""
    rows = corrected(figures_between(call, order.scope, part.after_citizen, part.until_citizen))
    require(digest_of(rows) == bytes(part.digest), FiguresMoved(f"part {part.number}"))
    return rows


def _post(call: Call, order: Order, rows: pl.DataFrame, *, region_id: str, part: int) -> None:
    accounts = open_citizen_accounts(call, rows["citizen_id"], region_id=region_id)
    rows = _claimed(call, _with_amounts(call, order, rows))
    _post_carbon(call, order, rows, accounts, region_id=region_id)
    _post_coins_up(call, order, rows, accounts, region_id=region_id)
    rows = _with_taken(call, order, rows, accounts)
    _keep(call, order, rows)
    _charge_the_fund(call, order, rows, region_id=region_id, part=part)
    capped = rows.filter(pl.col("cap_subject").is_not_null())
    difference = (pl.col("coin_after") - pl.col("coin_milli")).sum().alias("difference")
    own = accounts.of(Unit.COIN, STANDARD).rename({"holder_id": "citizen_id"})
    move_usage(call, capped.group_by(PERIOD).agg(difference).join(own, on="citizen_id"), region_id=region_id)


def _with_amounts(call: Call, order: Order, rows: pl.DataFrame) -> pl.DataFrame:
    """Add what moves, the name of the correction, and the transfers that the activity was credited with."""
    values = {"citizens": array_of(rows["citizen_id"]), "ids": array_of(rows["id"])}
    originals = select_frame(call, _ORIGINALS, values, schema=_ORIGINAL)
    factors = pl.DataFrame(
        {
            "judged": range(len(order.scope.judge.factor_ids)),
            "factor_id": [str(each) for each in order.scope.judge.factor_ids],
        },
        schema={"judged": pl.Int64, "factor_id": pl.String},
    )
    rise, borne = pl.col("coin_after") - pl.col("coin_milli"), pl.col("borne_milli")
    number = pl.col("corrections") + 1
    named = rows.join(originals, on=["citizen_id", "id"], how="left", maintain_order="left").join(
        factors, on="judged", how="left", maintain_order="left"
    )
    return named.with_columns(
        carbon=pl.col("carbon_after") - pl.col("carbon_mg"),
        up=(rise - borne).clip(lower_bound=0),
        repaid=pl.min_horizontal(rise.clip(lower_bound=0), borne),
        down=(-rise).clip(lower_bound=0),
        number=number,
        reference=pl.concat_str("id", pl.lit("/"), number),
    )


def _claimed(call: Call, rows: pl.DataFrame) -> pl.DataFrame:
    """Claim the references of what is posted by COPY; add `carbon_id` and `coin_id` of the transfers."""
    content = pl.concat_str("reference", "carbon_after", "coin_after", separator="|")
    posted = rows.filter((pl.col("carbon") != 0) | (pl.col("up") > 0))
    claims = posted.select(
        pl.col("citizen_id").alias("holder_id"),
        "reference",
        sha256(posted.select(text=content)["text"]).alias("payload_hash"),
    )
    claimed = claim_batch(call, SOURCE, claims)
    if claimed.ours.height != claims.height:
        raise BrokenInvariant("a correction stands in the ledger that no activity keeps")
    ours = claimed.ours.select("reference", pl.col("transfer_id").alias("first_id"))
    rows = rows.join(ours, on="reference", how="left", maintain_order="left")
    more = transfer_ids(call, rows.height).alias("more_id")
    is_first = pl.col("carbon") != 0
    return rows.with_columns(more).with_columns(
        carbon_id=pl.when(is_first).then("first_id"),
        coin_id=pl.when(pl.col("up") > 0).then(pl.when(is_first).then("more_id").otherwise("first_id")),
    )


def _post_carbon(
    call: Call, order: Order, rows: pl.DataFrame, accounts: ManyAccounts, *, region_id: str
) -> None:
    run = CreditRun(
        code=Code.CORRECTION,
        unit=Unit.CARBON,
        validity_class=NO_CLASS,
        contra=institution(call, region_id, kind=Kind.SOURCE, unit=Unit.CARBON),
        source=SOURCE,
        batch_id=order.recomputation_id,
        expires_on=None,
    )
    moved = rows.filter(pl.col("carbon") != 0)
    correct_claimed(call, run, _credits(call, moved, "carbon", original="carbon_transfer_id"), accounts)


def _post_coins_up(
    call: Call, order: Order, rows: pl.DataFrame, accounts: ManyAccounts, *, region_id: str
) -> None:
    run = CreditRun(
        code=Code.CORRECTION,
        unit=Unit.COIN,
        validity_class=STANDARD,
        contra=institution(call, region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
        source=SOURCE,
        batch_id=order.recomputation_id,
        expires_on=first_invalid_day(call, region_id, validity_class=STANDARD, credited_on=call.today),
    )
    moved = rows.filter(pl.col("up") > 0).with_columns(coin=pl.col("up"))
    post_claimed(call, run, _credits(call, moved, "coin", original="coin_transfer_id"), accounts)


def _credits(call: Call, rows: pl.DataFrame, amount: str, *, original: str) -> pl.DataFrame:
    return rows.select(
        pl.col("citizen_id").alias("holder_id"),
        pl.col(f"{amount}_id").alias("transfer_id"),
        pl.col(amount).alias("amount"),
        "reference",
        pl.lit(call.now).dt.cast_time_unit("us").alias("occurred_at"),
        pl.col(original).alias("reverses_id"),
    )


def _with_taken(call: Call, order: Order, rows: pl.DataFrame, accounts: ManyAccounts) -> pl.DataFrame:
    """Take coins as the policy says; add `taken`, and its transfer where something was."""
    falling = rows.filter(pl.col("down") > 0)
    if order.policy is Policy.FUND or falling.is_empty():
        return rows.with_columns(taken=pl.lit(0, pl.Int64))
    own = accounts.of(Unit.COIN, STANDARD)
    names = falling.select("citizen_id", "id", "reference")
    shares = shares_to_take(call, falling).join(names, on=["citizen_id", "id"], maintain_order="left")
    shares = shares.rename({"citizen_id": "holder_id"}).join(own, on="holder_id", maintain_order="left")
    named = shares.with_columns(reference=pl.concat_str("reference", pl.lit("/"), "place"))
    taken = take_back_many(call, named, code=Code.CORRECTION, source=SOURCE, least=LEAST[order.policy])
    sums = taken.group_by("id").agg(
        pl.col("taken").sum(), pl.col("transfer_id").drop_nulls().first().alias("taken_id")
    )
    found = rows.join(sums, on="id", how="left", maintain_order="left")
    return found.with_columns(pl.col("taken").fill_null(0), coin_id=pl.coalesce("coin_id", "taken_id")).drop(
        "taken_id"
    )


def _keep(call: Call, order: Order, rows: pl.DataFrame) -> None:
    kept = rows.select(
        "citizen_id",
        pl.col("id").alias("activity_id"),
        "number",
        pl.lit(str(order.recomputation_id)).alias("recomputation_id"),
        "factor_id",
        pl.col("carbon_mg").alias("carbon_mg_before"),
        pl.col("carbon_after").alias("carbon_mg_after"),
        pl.col("coin_milli").alias("coin_milli_before"),
        pl.col("coin_after").alias("coin_milli_after"),
        (pl.col("earned_after") - pl.col("coin_after")).alias("coin_cut_milli_after"),
        (pl.col("up") - pl.col("taken")).alias("coin_posted_milli"),
        pl.col("borne_milli").alias("borne_milli_before"),
        _BORNE.alias("borne_milli_after"),
        pl.col("carbon_id").alias("carbon_transfer_id"),
        pl.col("coin_id").alias("coin_transfer_id"),
        pl.lit(call.now.isoformat()).alias("recorded_at"),
    )
    copy_in(call, "activity_correction", kept)


def _charge_the_fund(call: Call, order: Order, rows: pl.DataFrame, *, region_id: str, part: int) -> None:
    """The fund pays for what citizens keep unjustified, and gets back what is justified again."""
    borne = int(rows.select((_BORNE - pl.col("borne_milli")).sum()).item())
    if not borne:
        return
    post(
        call,
        Transfer(
            account=institution(call, region_id, kind=Kind.FUNDER, unit=Unit.COIN),
            contra=institution(call, region_id, kind=Kind.ISSUANCE, unit=Unit.COIN),
            amount=-borne,
            code=Code.CORRECTION,
            source=SOURCE,
            reference=f"fund/{order.recomputation_id}/{part}",
            occurred_at=call.now,
            batch_id=order.recomputation_id,
        ),
    )


_BORNE = pl.col("borne_milli") - pl.col("repaid") + pl.col("down") - pl.col("taken")
_ORIGINAL = {
    "citizen_id": pl.String,
    "id": pl.String,
    "coin_transfer_id": pl.Int64,
    "carbon_transfer_id": pl.Int64,
    "coin_credited": pl.Int64,
}
_ORIGINALS = (
    "SELECT a.citizen_id, a.id, a.coin_transfer_id, a.carbon_transfer_id, a.coin_milli"
    " FROM unnest(CAST(%(citizens)s AS uuid[]), CAST(%(ids)s AS uuid[])) AS k (citizen, id)"
    " JOIN activity a ON a.citizen_id = k.citizen AND a.id = k.id"
)
_RUNNING = text(
    "SELECT r.state, p.state AS table_state FROM recomputation r JOIN publication p ON p.id = r.table_id"
    " WHERE r.id = :id FOR SHARE OF r"
)
