"""A source corrects itself: the new revision is credited, then what the corrected one brought is taken back.

Both happen in one transaction and in this order, so that only the difference is ever out of reach: taken
back first, spent coins would be borne by the fund in full and credited once more. What is out of reach
(spent, or held by a voucher, which keeps its value) a fund bears, and the reversal says how much. A later
revision of the same fact pays the fund back first, so repeating corrections creates nothing.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl
from sqlalchemy import Row, text

from carbon.activities.allotment import give_back_usage
from carbon.activities.tables import ActivityReversal
from kernel.call import Call
from kernel.publications.rules import cap_by_id
from ledger.accounts import find_account, institution
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.posting import Transfer, post
from ledger.reversal import TakenBack, take_back

SOURCE, LATE = "take-back", "take-back-late"
"""Of the ledger's references: by the activity, and by the activity and the revision that paid."""


@dataclass(frozen=True)
class Corrected:
    """An activity that a newer revision supersedes."""

    row: Row[Any]
    superseded_by: UUID


def lower_caps(call: Call, partner_id: UUID, rows: pl.DataFrame) -> list[Corrected]:
    """Find the activities that `rows` correct and lower what caps count for them."""
    newer = rows.filter(pl.col("revision") > 1).sort("citizen_id", "source_event_id")
    corrected = []
    for event, revision, activity in newer.select("source_event_id", "revision", "activity_id").iter_rows():
        values = {"partner": partner_id, "event": event, "revision": revision - 1}
        row = call.db.execute(_CORRECTED, values).one()
        if row.cap_rule_id is not None and row.coin_milli:
            found = cap_by_id(call, row.cap_rule_id)
            give_back_usage(
                call,
                citizen_id=str(row.citizen_id),
                cap=found,
                region_id=row.region_id,
                day=row.business_day,
                coin_milli=row.coin_milli,
            )
        corrected.append(Corrected(row, UUID(activity)))
    return corrected


def take_back_corrected(call: Call, corrected: list[Corrected], *, region_id: str) -> None:
    """Post the take-backs of `lower_caps`'s findings and keep a reversal for each."""
    for each in corrected:
        row, absorbed, coin_id, carbon_id = each.row, 0, None, None
        # Kilograms before coins, as credits are posted: two who hold one of both each would wait for ever.
        if row.carbon_mg:
            carbon_id = _take_carbon_back(call, row, region_id)
        if row.coin_milli:
            taken = _take_coins_back(call, row, amount=row.coin_milli, source=SOURCE, reference=str(row.id))
            absorbed, coin_id = taken.absorbed, taken.transfer_id
        _pay_the_fund_back(call, each)
        call.db.add(
            ActivityReversal(
                citizen_id=row.citizen_id,
                activity_id=row.id,
                superseded_by=each.superseded_by,
                coin_milli=row.coin_milli,
                coin_absorbed_milli=absorbed,
                carbon_mg=row.carbon_mg,
                coin_transfer_id=coin_id,
                carbon_transfer_id=carbon_id,
                recorded_at=call.now,
            )
        )


def _pay_the_fund_back(call: Call, corrected: Corrected) -> None:
    """Take back what earlier reversals of this fact left to the fund, as far as the citizen has it now.

    The reversals keep their figure of that day; what is paid later stands in the ledger beside them.
    """
    row = corrected.row
    values = {
        "citizen": row.citizen_id,
        "partner": row.partner_id,
        "event": row.source_event_id,
        "revision": row.revision,
        "source": LATE,
    }
    for borne in call.db.execute(_BORNE, values).all():
        _take_coins_back(
            call,
            borne,
            amount=borne.owing,
            source=LATE,
            reference=f"{borne.id}/{corrected.superseded_by}",
        )


def _take_coins_back(call: Call, row: Row[Any], *, amount: int, source: str, reference: str) -> TakenBack:
    account = find_account(call, row.citizen_id, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
    return take_back(
        call,
        account,
        credit_id=row.coin_transfer_id,
        amount=amount,
        source=source,
        reference=reference,
    )


def _take_carbon_back(call: Call, row: Row[Any], region_id: str) -> int:
    return post(
        call,
        Transfer(
            account=find_account(call, row.citizen_id, kind=Kind.CITIZEN, unit=Unit.CARBON),
            contra=institution(call, region_id, kind=Kind.SOURCE, unit=Unit.CARBON),
            amount=-row.carbon_mg,
            code=Code.CORRECTION,
            source=SOURCE,
            reference=f"carbon/{row.id}",
            occurred_at=call.now,
            reverses_id=row.carbon_transfer_id,
        ),
    ).transfer_id


_CORRECTED = text(
    "SELECT a.citizen_id, a.id, b.partner_id, a.source_event_id, a.revision, b.region_id, a.business_day,"
    " b.cap_rule_id, a.coin_milli, a.carbon_mg, a.coin_transfer_id, a.carbon_transfer_id"
    " FROM activity_reference r"
    " JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    " JOIN activity_basis b ON b.id = a.basis_id"
    " WHERE r.partner_id = :partner AND r.source_event_id = :event AND r.revision = :revision"
)
_BORNE = text(
    "SELECT * FROM (SELECT a.citizen_id, a.id, a.coin_transfer_id, v.coin_absorbed_milli"
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
