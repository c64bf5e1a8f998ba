"""Why a citizen has these coins and kilograms, down to the printed figure and its document.

The steps are derived again from the stored inputs and the factor row; `replay` says whether they give what
is stored, and by the rows that had to be used. Any changed number makes it fail.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, or_, select, text

from carbon.activities.crediting import credits_activities
from carbon.activities.explanation_corrections import told_corrections
from carbon.activities.explanation_holds import cited, told_hold
from carbon.activities.explanation_tree import tree_of
from carbon.activities.recomputation.telling import corrections_of, named_correction
from carbon.activities.replay import Replay, Replayer, posted_under
from carbon.activities.tables import Activity, ActivityReversal
from carbon.donations.allocation import explain_share, find_share
from carbon.factors.tables import Factor
from kernel.call import Call
from kernel.errors import NotFound
from kernel.identifiers import public_id
from kernel.publications.tables import Publication
from kernel.units import show_coins, show_grams
from ledger.chart import Code, Unit

MOST_ACTIVITIES = 200


def explain(call: Call, citizen_id: UUID, transfer_id: int) -> dict[str, Any]:
    """The tree behind a citizen's own transfer; refuses NotFound, for another's too.

    `kind` says what stands behind it: `activities` (`activities_count` of them; the first 200 are given
    and replayed), `pool_share`, `correction` (an activity its source corrected), `table_correction` (one that
    a factor table corrected, told as it was credited, with its corrections beside it), `plain` (spending,
    expiry and what gives it back, told in a sentence), or `unexplained`: a credit with nothing behind it,
    which is a finding. `replays_equal` is null where nothing was computed.
    """
    found = {"citizen": citizen_id, "transfer": transfer_id}
    transfer = call.db.execute(_TRANSFER, found).one_or_none()
    if transfer is None:
        raise NotFound("no such transfer")
    tree: dict[str, Any] = {
        "kind": "plain",
        "transfer": {
            "id": str(transfer.id),
            "code": transfer.code,
            "unit": transfer.unit,
            "amount": transfer.amount,
            "occurred_at": transfer.occurred_at.isoformat(),
            "recorded_at": transfer.recorded_at.isoformat(),
            "expires_on": None if transfer.expires_on is None else transfer.expires_on.isoformat(),
            "reverses_id": None if transfer.reverses_id is None else str(transfer.reverses_id),
        },
        "says": _SAYS[Code(transfer.code)],
        "activities": [],
        "activities_count": 0,
        "share": None,
        "replays_equal": None,
    }
    behind = _behind(call, citizen_id, transfer_id, transfer.reference)
    if not behind and Code(transfer.code) in _COMPUTED:
        behind = {"kind": "unexplained", "replays_equal": False}
    return {**tree, **behind}


def _behind(call: Call, citizen_id: UUID, transfer_id: int, reference: str) -> dict[str, Any]:
    corrected = named_correction(reference)
    if corrected is not None:
        return _corrected_by_table(call, citizen_id, *corrected)
    if credits_activities(reference):
        return _told(call, "activities", posted_under(citizen_id, transfer_id, reference))
    if find_share(call, citizen_id, transfer_id=transfer_id) is not None:
        share = explain_share(call, citizen_id, coin_transfer_id=transfer_id)
        return {"kind": "pool_share", "share": share, "replays_equal": share["replays"]}
    return _told(call, "correction", _taken_back_by(citizen_id, transfer_id))


def _told(call: Call, kind: str, query: Select[Activity]) -> dict[str, Any]:
    """The first activities of a query, and how many there are; empty when there is none."""
    first = query.order_by(Activity.occurred_at, Activity.id).limit(MOST_ACTIVITIES)
    activities = call.db.scalars(first).all()
    if not activities:
        return {}
    count = len(activities)
    if count == MOST_ACTIVITIES:
        count = call.db.scalar(select(func.count()).select_from(query.subquery())) or count
    replayer = Replayer(call)
    told = [explain_activity(call, activity, replayer) for activity in activities]
    return {
        "kind": kind,
        "activities": told,
        "activities_count": count,
        "replays_equal": all(each["replays_equal"] for each in told),
    }


def _corrected_by_table(call: Call, citizen_id: UUID, activity_id: UUID, number: int) -> dict[str, Any]:
    query = select(Activity).where(Activity.citizen_id == citizen_id, Activity.id == activity_id)
    says = next(
        each.says
        for each in corrections_of(call, citizen_id, [activity_id])[activity_id]
        if each.number == number
    )
    return {**_told(call, "table_correction", query), "says": says}


def _taken_back_by(citizen_id: UUID, transfer_id: int) -> Select[Activity]:
    """The activities that a transfer took back because their source corrected them."""
    return (
        select(Activity)
        .join(
            ActivityReversal,
            (ActivityReversal.citizen_id == Activity.citizen_id)
            & (ActivityReversal.activity_id == Activity.id),
        )
        .where(
            Activity.citizen_id == citizen_id,
            or_(
                ActivityReversal.coin_transfer_id == transfer_id,
                ActivityReversal.carbon_transfer_id == transfer_id,
            ),
        )
    )


def explain_activity(call: Call, activity: Activity, replayer: Replayer | None = None) -> dict[str, Any]:
    """One activity: its facts, steps, factor row, source, coin rate and cap, as figures and as a tree.

    What cannot be gone through again has no steps; `replay` says so.
    """
    row = call.db.get_one(Factor, activity.basis.factor_id)
    reversal = call.db.get(ActivityReversal, (activity.citizen_id, activity.id))
    replayer = replayer or Replayer(call)
    again = replayer.replay(activity)
    explained = {
        "id": public_id("act", activity.id),
        "scenario": activity.basis.scenario,
        "occurred_at": activity.occurred_at.isoformat(),
        "business_day": activity.business_day.isoformat(),
        "inputs": activity.inputs,
        "facts": activity.facts,
        "carbon_mg": activity.carbon_mg,
        "carbon": show_grams(activity.carbon_mg),
        "reason": activity.reason,
        "steps": [asdict(step) for step in again.steps],
        "factor": _factor(call, row, activity.basis.found_by),
        "evidence": _evidence(call, activity, again),
        "coins": _coins(call, activity, again, replayer),
        "hold": told_hold(call, activity, replayer),
        "entries": _entries(activity),
        "superseded": reversal is not None,
        "corrections": told_corrections(call, activity, partial(_factor, call)),
        "digest": activity.digest.hex(),
        "replays_equal": again.equal,
        "replay": {
            "equal": again.equal,
            "digest": None if again.digest is None else again.digest.hex(),
            "differs": list(again.differs),
        },
    }
    return {**explained, "tree": tree_of(explained)}


def explain_own(call: Call, citizen_id: UUID, activity_id: UUID) -> dict[str, Any]:
    """One of a citizen's own activities, also one that brought nothing; refuses NotFound for another's."""
    return explain_activity(call, own_activity(call, citizen_id, activity_id))


def own_activity(call: Call, citizen_id: UUID, activity_id: UUID) -> Activity:
    """A citizen's own activity; refuses NotFound, for another's too."""
    found = call.db.get(Activity, (citizen_id, activity_id))
    if found is None:
        raise NotFound("no such activity")
    return found


def replays_equal(call: Call, activity: Activity) -> bool:
    """Whether replay gives the stored milligrams, digest and coins, by the rows it had to use."""
    return Replayer(call).replay(activity).equal


def _entries(activity: Activity) -> list[dict[str, Any]]:
    """Where the ledger holds it, and how much of each entry is its own."""
    shares = (
        (Unit.COIN, activity.coin_transfer_id, activity.coin_milli),
        (Unit.CARBON, activity.carbon_transfer_id, activity.carbon_mg),
    )
    return [
        {"transfer_id": str(transfer_id), "unit": unit.value, "share": share}
        for unit, transfer_id, share in shares
        if transfer_id is not None
    ]


def _evidence(call: Call, activity: Activity, again: Replay) -> dict[str, Any]:
    rule_id = activity.basis.evidence_rule_id
    rule = None if rule_id is None else call.db.get_one(Publication, rule_id)
    return {
        "tier": activity.basis.evidence,
        "share_permille": again.share_permille,
        "rule": None if rule is None else cited(rule),
    }


def _factor(call: Call, row: Factor, found_by: str) -> dict[str, Any]:
    table = call.db.get_one(Publication, row.publication_id)
    return {
        "code": row.code,
        "value": row.value,
        "unit": row.unit,
        "value_ng": row.value_ng,
        "gas_set": row.gas_set,
        "method": row.method,
        "method_version": row.method_version,
        "data_year": row.data_year,
        "valid_from": row.valid_from.isoformat(),
        "valid_to": None if row.valid_to is None else row.valid_to.isoformat(),
        "verified": row.verified,
        "assumption": row.assumption,
        "found_by": found_by,
        "source": _part(row.notes, "source"),
        "seen_in_original": _part(row.notes, "seen_in_original") is True,
        "table": {"id": public_id("pub", table.id), **cited(table)},
    }


def _part(notes: Any, name: str) -> Any:
    """A part of what is noted beside a row; an empty one where nothing, or nothing of the kind, is."""
    return notes.get(name, {}) if isinstance(notes, dict) else {}


def _coins(call: Call, activity: Activity, again: Replay, replayer: Replayer) -> dict[str, Any]:
    """What is not as it was signed is not repeated: a rate has no figures then, a cap is left out."""
    basis = activity.basis
    rate = call.db.get_one(Publication, basis.coin_rule_id)
    figures = rate.content if replayer.rules(rate.id, "coin_rate") else {"coins_milli": None, "per_mg": None}
    cap = None if basis.cap_rule_id is None else call.db.get_one(Publication, basis.cap_rule_id)
    if cap is not None and not replayer.rules(cap.id, "cap"):
        cap = None
    return {
        "rate": {**figures, **cited(rate)},
        "cap": None if cap is None else {**cap.content, **cited(cap)},
        "before_cap_milli": again.coins_before_cap,
        "cut_milli": activity.coin_cut_milli,
        "credited_milli": activity.coin_milli,
        "credited": show_coins(activity.coin_milli),
    }


_COMPUTED = frozenset({Code.CREDIT, Code.CREDIT_CARBON, Code.ALLOCATE})
_OTHER = {
    "en": "A movement of the operation centre; its reason stands in the audit trail.",
    "zh": "运营中心的账务处理,原因记录在审计日志中。",
}
_SAYS: Mapping[Code, dict[str, str]] = defaultdict(
    lambda: _OTHER,
    {
        Code.CREDIT: {
            "en": "Coins for kilograms, at the published rate.",
            "zh": "按已发布的兑换率,由减排量换得的碳币。",
        },
        Code.CREDIT_CARBON: {
            "en": "Kilograms that were saved, in full: a cap limits coins only.",
            "zh": "全额记入的减排量:上限只限制碳币。",
        },
        Code.ALLOCATE: {
            "en": "A share of kilograms that enterprises gave to the public pool.",
            "zh": "企业捐入公益池的减排量中分得的份额。",
        },
        Code.REDEEM: {
            "en": "Coins a voucher held were spent when a merchant scanned it.",
            "zh": "兑换券被商户核销,其占用的碳币已使用。",
        },
        Code.REDEEM_REVERSAL: {
            "en": "A merchant undid a redemption; the coins came back.",
            "zh": "商户撤销了核销,碳币已退回。",
        },
        Code.EXPIRE: {
            "en": "Coins reached the published end of their validity unspent.",
            "zh": "碳币到达已公布的有效期末仍未使用。",
        },
        Code.EXPIRE_REVERSAL: {
            "en": "Coins that had ended were given back, because what they came from was taken back.",
            "zh": "相关入账被冲正,已到期的碳币予以恢复。",
        },
        Code.CORRECTION: {
            "en": "The partner corrected its record; the earlier credit was taken back and counted anew.",
            "zh": "合作方更正了记录,原入账已冲正并重新核算。",
        },
        Code.CLAW_BACK: {
            "en": "A credit was taken back, because its record does not hold any more.",
            "zh": "记录不再成立,相应入账被追回。",
        },
    },
)
"""What each code means, for the person who reads it."""
_TRANSFER = text(
    "SELECT id, code, unit, amount, reference, occurred_at, recorded_at, expires_on, reverses_id"
    " FROM ledger_transfer"
    " WHERE holder_id = :citizen AND id = :transfer"
)
