"""A source corrects itself: the new revision is credited, then what the corrected one brought is taken back.

Both happen in one transaction and in this order, so that only the difference is ever out of reach: taken
back first, spent coins would be borne by the fund in full and credited once more. What is out of reach
(spent, or held by a voucher, which keeps its value) a fund bears, and the reversal says how much. A later
revision of the same fact pays the fund back first, so repeating corrections creates nothing. What a table
corrected since is taken back with it: the credits that it brought first (see `recomputation`).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import insert

from carbon.activities.allotment import give_back_usage
from carbon.activities.borne import Borne, beyond, pay_back
from carbon.activities.recomputation.credits_behind import credits_of
from carbon.activities.tables import ActivityReversal
from kernel.call import Call
from kernel.errors import BrokenInvariant, Busy
from kernel.identifiers import new_id
from kernel.publications.rules import Cap, cap_by_id
from ledger.accounts import Account, find_account, institution
from ledger.bulk_accounts import ManyAccounts
from ledger.chart import NO_CLASS, STANDARD, Code, Kind, Unit
from ledger.posting import Transfer, post
from ledger.reversal import take_back

SOURCE, LATE = "take-back", "take-back-late"
"""Of the ledger's references: by the activity, and by the activity and the revision that paid."""


@dataclass(frozen=True)
class Corrected:
    """An activity that a newer revision supersedes."""

    row: Row[Any]
    superseded_by: UUID
    least: tuple[int, int] | None = None
    """Milligrams and milli-coins that must stand of it, because its card was given back."""


@dataclass(frozen=True)
class _Standing:
    """What an activity came to last, by its source or by a table that corrected it since."""

    carbon_mg: int
    coin_milli: int
    credits: list[tuple[int, int]]
    """The coin credits behind it and what is left of each, in the order in which they are taken back."""
    borne_milli: int = 0
    """What is left of them beyond `coin_milli`: a fund bears it."""


def lower_caps(call: Call, partner_id: UUID, rows: pl.DataFrame) -> list[Corrected]:
    """Find the activities that `rows` correct and lower what caps count for them."""
    newer = rows.filter(pl.col("revision") > 1).sort("citizen_id", "source_event_id")
    if newer.is_empty():
        return []
    corrected = _corrected(call, partner_id, newer)
    caps: dict[UUID, Cap] = {}
    for row in (each.row for each in corrected):
        if row.cap_rule_id is not None:
            if row.cap_rule_id not in caps:
                caps[row.cap_rule_id] = cap_by_id(call, row.cap_rule_id)
            give_back_usage(
                call,
                citizen_id=str(row.citizen_id),
                cap=caps[row.cap_rule_id],
                region_id=row.region_id,
                day=row.business_day,
                activity_id=row.id,
            )
    return corrected


def _corrected(call: Call, partner_id: UUID, newer: pl.DataFrame) -> list[Corrected]:
    """What each of these lines corrects, in their order."""
    values = {
        "partner": partner_id,
        "events": newer["source_event_id"].to_list(),
        "revisions": (newer["revision"] - 1).to_list(),
    }
    found = call.db.execute(_CORRECTED, values).all()
    if len(found) != newer.height:
        raise BrokenInvariant("a correction was claimed whose former revision does not stand")
    ids = newer["activity_id"].to_list()
    least: list[tuple[int, int] | None] = [None] * newer.height
    if "coin_most" in newer.columns:
        least = [
            None if coins is None else (carbon, coins)
            for carbon, coins in newer.select("carbon_mg", "coin_most").iter_rows()
        ]
    return [
        Corrected(row, UUID(newer_id), at_least)
        for row, newer_id, at_least in zip(found, ids, least, strict=True)
    ]


def take_back_corrected(
    call: Call, corrected: list[Corrected], accounts: ManyAccounts, *, region_id: str
) -> None:
    """Post the take-backs of `lower_caps`'s findings and keep a reversal for each.

    `accounts` are those of the lines that correct: of the same citizens, whom the caller has locked. Refuses
    Busy when one of the activities was refused, put on hold or lowered by a table meanwhile.
    """
    if not corrected:
        return
    coins = dict(accounts.of(Unit.COIN, STANDARD).iter_rows())
    carbon = dict(accounts.of(Unit.CARBON, NO_CLASS).iter_rows())
    contra = institution(call, region_id, kind=Kind.SOURCE, unit=Unit.CARBON)
    standing = _standing(call, [each.row for each in corrected])
    _refuse_held_meanwhile(call, corrected)
    _refuse_lowered_meanwhile(corrected, standing)
    reversals = []
    for each in corrected:
        account = _account(each.row, coins, unit=Unit.COIN, validity_class=STANDARD)
        of_carbon = _account(each.row, carbon, unit=Unit.CARBON)
        reversals.append(_taken_back(call, each, standing[each.row.id], (account, of_carbon, contra)))
        _pay_the_fund_back(call, each, account)
    if not _kept(call, reversals):
        raise Busy("one of these was refused at this moment", retry_after_s=1)


def _refuse_held_meanwhile(call: Call, corrected: list[Corrected]) -> None:
    """Refuse Busy when one was put on hold after `refuse_held` looked: holds need the same locks."""
    values = {
        "citizens": [each.row.citizen_id for each in corrected],
        "ids": [each.row.id for each in corrected],
    }
    if call.db.execute(_HELD, values).first() is not None:
        raise Busy("one of these was put on hold at this moment", retry_after_s=1)


def _refuse_lowered_meanwhile(corrected: list[Corrected], standing: dict[UUID, _Standing]) -> None:
    """Refuse Busy when a table lowered what a given-back card may only lower, after `refuse_more` looked."""
    for each in corrected:
        stands = standing[each.row.id]
        carbon_mg, coin_milli = each.least or (0, 0)
        if stands.carbon_mg < carbon_mg or stands.coin_milli < coin_milli:
            raise Busy("one of these was lowered by a table at this moment", retry_after_s=1)


def lower_cap_of(call: Call, citizen_id: UUID, activity_id: UUID) -> None:
    """Lower what its cap counts for an activity that is to be taken back."""
    row = call.db.execute(_ONE, {"citizen": citizen_id, "activity": activity_id}).one()
    if row.cap_rule_id is not None:
        give_back_usage(
            call,
            citizen_id=str(citizen_id),
            cap=cap_by_id(call, row.cap_rule_id),
            region_id=row.region_id,
            day=row.business_day,
            activity_id=activity_id,
        )


def take_back_refused(call: Call, citizen_id: UUID, activity_id: UUID) -> bool:
    """Take back what an activity came to, and what a fund bears of it; the caller has locked its citizen.

    False, and the caller undoes it, when it was taken back before.
    """
    row = call.db.execute(_ONE, {"citizen": citizen_id, "activity": activity_id}).one()
    coins = find_account(call, citizen_id, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    carbon = find_account(call, citizen_id, kind=Kind.CITIZEN, unit=Unit.CARBON)
    contra = institution(call, row.region_id, kind=Kind.SOURCE, unit=Unit.CARBON)
    standing = _standing(call, [row])[activity_id]
    taken = _taken_back(call, Corrected(row, new_id()), standing, (coins, carbon, contra))
    if standing.borne_milli:
        left = beyond(standing.credits, justified=standing.coin_milli, borne=standing.borne_milli)
        pay_back(call, coins, Borne(activity_id, row.region_id, left))
    return _kept(call, [taken])


def _taken_back(
    call: Call, each: Corrected, standing: _Standing, accounts: tuple[Account, Account, Account]
) -> dict[str, Any]:
    """Post what one activity came to the other way; its reversal.

    `accounts` are the citizen's of coins and of kilograms, and where those came from.
    """
    row, (of_coins, of_carbon, contra) = each.row, accounts
    carbon_id = None
    # Kilograms before coins, as credits are posted: two who hold one of both each would wait for ever.
    if standing.carbon_mg:
        carbon_id = _take_carbon_back(call, row, of_carbon, contra, amount=standing.carbon_mg)
    absorbed, coin_id = _take_share_back(call, row, of_coins, standing)
    return {
        "citizen_id": row.citizen_id,
        "activity_id": row.id,
        "superseded_by": each.superseded_by,
        "coin_milli": standing.coin_milli,
        "coin_absorbed_milli": absorbed,
        "carbon_mg": standing.carbon_mg,
        "coin_transfer_id": coin_id,
        "carbon_transfer_id": carbon_id,
        "recorded_at": call.now,
    }


def _kept(call: Call, reversals: list[dict[str, Any]]) -> bool:
    """Keep reversals; False when one of the activities has one already."""
    statement = insert(ActivityReversal).on_conflict_do_nothing().returning(ActivityReversal.activity_id)
    return len(call.db.execute(statement, reversals).all()) == len(reversals)


def _standing(call: Call, rows: list[Row[Any]]) -> dict[UUID, _Standing]:
    """What each of these activities came to last; their citizens are locked, so no table corrects them."""
    plain = {
        row.id: _Standing(row.carbon_mg, row.coin_milli, [(row.coin_transfer_id, row.coin_milli)])
        for row in rows
    }
    return {**plain, **_corrected_by_tables(call, rows)}


def _corrected_by_tables(call: Call, rows: list[Row[Any]]) -> dict[UUID, _Standing]:
    ids = {"citizens": [row.citizen_id for row in rows], "ids": [row.id for row in rows]}
    newest = {row.activity_id: row for row in call.db.execute(_NEWEST, ids)}
    if not newest:
        return {}
    asked = pl.DataFrame(
        [
            (str(row.citizen_id), str(row.id), row.coin_transfer_id, row.coin_milli)
            for row in rows
            if row.id in newest
        ],
        schema={"citizen_id": pl.String, "id": pl.String, **_CREDITED},
        orient="row",
    )
    behind: dict[UUID, list[tuple[int, int]]] = {}
    for row in credits_of(call, asked).iter_rows(named=True):
        behind.setdefault(UUID(row["id"]), []).append((row["credit_id"], row["left"]))
    return {
        activity_id: _Standing(
            row.carbon_mg_after, row.coin_milli_after, behind.get(activity_id, []), row.borne_milli_after
        )
        for activity_id, row in newest.items()
    }


def _take_share_back(
    call: Call, row: Row[Any], account: Account, standing: _Standing
) -> tuple[int, int | None]:
    """Take what stands from one credit after the other; what a fund absorbs, and the first transfer."""
    left, absorbed, transfer_id = standing.coin_milli, 0, None
    for place, (credit_id, there) in enumerate(standing.credits):
        amount = min(left, there)
        if amount:
            reference = str(row.id) if place == 0 else f"{row.id}/{place}"
            taken = take_back(
                call, account, credit_id=credit_id, amount=amount, source=SOURCE, reference=reference
            )
            left, absorbed = left - amount, absorbed + taken.absorbed
            transfer_id = transfer_id or taken.transfer_id
    if left:
        raise BrokenInvariant("an activity has more coins than the credits behind it")
    return absorbed, transfer_id


def _account(row: Row[Any], ids: dict[str, int], *, unit: Unit, validity_class: str = NO_CLASS) -> Account:
    return Account(
        holder_id=row.citizen_id,
        id=ids[str(row.citizen_id)],
        kind=Kind.CITIZEN,
        unit=unit,
        validity_class=validity_class,
    )


def _pay_the_fund_back(call: Call, corrected: Corrected, account: Account) -> None:
    """Take back what earlier reversals of this fact left to the fund, as far as the citizen has it now.

    The reversals keep their figure of that day; what is paid later stands in the ledger beside them.
    """
    row = corrected.row
    if row.revision == 1:
        return  # nothing was reversed before
    values = {
        "citizen": row.citizen_id,
        "partner": row.partner_id,
        "event": row.source_event_id,
        "revision": row.revision,
        "source": LATE,
    }
    for borne in call.db.execute(_BORNE, values).all():
        take_back(
            call,
            account,
            credit_id=borne.coin_transfer_id,
            amount=borne.owing,
            source=LATE,
            reference=f"{borne.id}/{corrected.superseded_by}",
        )


def _take_carbon_back(call: Call, row: Row[Any], account: Account, contra: Account, *, amount: int) -> int:
    return post(
        call,
        Transfer(
            account=account,
            contra=contra,
            amount=-amount,
            code=Code.CORRECTION,
            source=SOURCE,
            reference=f"carbon/{row.id}",
            occurred_at=call.now,
            reverses_id=row.carbon_transfer_id,
        ),
    ).transfer_id


_CREDITED = {"coin_transfer_id": pl.Int64, "coin_credited": pl.Int64}
_NEWEST = text(
    "SELECT DISTINCT ON (c.citizen_id, c.activity_id) c.* FROM unnest(CAST(:citizens AS uuid[]),"
    " CAST(:ids AS uuid[])) AS k (citizen, id) JOIN activity_correction c ON c.citizen_id = k.citizen"
    " AND c.activity_id = k.id ORDER BY c.citizen_id, c.activity_id, c.number DESC"
)
_HELD = text(
    "SELECT FROM unnest(CAST(:citizens AS uuid[]), CAST(:ids AS uuid[])) AS k (citizen, id)"
    " JOIN activity_hold h ON h.citizen_id = k.citizen AND h.activity_id = k.id AND h.state <> 'released'"
    " LIMIT 1"
)
_COLUMNS = (
    "SELECT a.citizen_id, a.id, b.partner_id, a.source_event_id, a.revision, b.region_id, a.business_day,"
    " b.cap_rule_id, a.coin_milli, a.carbon_mg, a.coin_transfer_id, a.carbon_transfer_id"
)
_ONE = text(
    f"{_COLUMNS} FROM activity a JOIN activity_basis b ON b.id = a.basis_id"
    " WHERE a.citizen_id = :citizen AND a.id = :activity"
)
_CORRECTED = text(
    "SELECT c.* FROM unnest(CAST(:events AS text[]), CAST(:revisions AS int[])) WITH ORDINALITY"  # noqa: S608 - our own text
    f" AS k (event, revision, place) CROSS JOIN LATERAL ({_COLUMNS}"
    " FROM activity_reference r"
    " JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " JOIN activity_basis b ON b.id = a.basis_id"
    " WHERE r.partner_id = :partner AND r.source_event_id = k.event AND r.revision = k.revision LIMIT 1) c"
    " ORDER BY k.place"
)
_BORNE = text(
    "SELECT * FROM (SELECT a.citizen_id, a.id, a.coin_transfer_id,"
    # What a table took of the credit since, or brought beside it, is not to be had from it.
    " least(v.coin_absorbed_milli, a.coin_milli + coalesce((SELECT CAST(sum(t.amount) AS bigint)"
    " FROM ledger_account w JOIN ledger_transfer t ON t.holder_id = w.holder_id AND t.account_id = w.id"
    " AND t.reverses_id = a.coin_transfer_id AND t.amount < 0"
    " AND starts_with(t.reference, 'correction/' || a.id || '/')"
    " WHERE w.holder_id = a.citizen_id AND w.unit = 'coin'), 0))"
    " - coalesce((SELECT CAST(-sum(t.amount) AS bigint)"
    " FROM ledger_reference l JOIN ledger_transfer t"
    " ON t.holder_id = l.holder_id AND t.id = l.transfer_id AND t.reverses_id = a.coin_transfer_id"
    " WHERE l.holder_id = a.citizen_id AND l.source = :source"
    " AND starts_with(l.reference, a.id || '/')), 0) AS owing"
    " FROM activity_reference r JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " JOIN activity_reversal v ON v.citizen_id = a.citizen_id AND v.activity_id = a.id"
    " WHERE r.partner_id = :partner AND r.source_event_id = :event AND r.revision < :revision"
    " AND r.citizen_id = :citizen AND v.coin_absorbed_milli > 0 ORDER BY r.revision) b WHERE b.owing > 0"
)
