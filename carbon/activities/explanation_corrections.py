"""What factor tables made of an activity after it was credited, with the steps by which they came to it."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from carbon.activities.evidence import WHOLE, share_step
from carbon.activities.recomputation.telling import Told, corrections_of
from carbon.activities.tables import Activity
from carbon.factors.lookup import in_use
from carbon.factors.tables import Factor
from carbon.methodologies.assessment import Assessment, Step
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import public_id
from kernel.publications.tables import Publication
from kernel.units import floor_to_milli_coins, floor_to_share

TellFactor = Callable[[Factor, str], dict[str, Any]]
"""A factor row and how it was found, as explanations give it."""


def told_corrections(call: Call, activity: Activity, tell_factor: TellFactor) -> list[dict[str, Any]]:
    """The corrections of an activity by factor tables, the first one first."""
    found = corrections_of(call, activity.citizen_id, [activity.id]).get(activity.id, [])
    return [_told(call, activity, told, tell_factor) for told in found]


def _told(call: Call, activity: Activity, told: Told, tell_factor: TellFactor) -> dict[str, Any]:
    row = None if told.factor_id is None else call.db.get_one(Factor, told.factor_id)
    again = None if row is None else _assessed_by(row, activity)
    share = _share_permille(call, activity)
    rate = call.db.get_one(Publication, activity.basis.coin_rule_id).content
    coins = floor_to_milli_coins(told.carbon_mg_after, coins_milli=rate["coins_milli"], per_mg=rate["per_mg"])
    counted = None if again is None else floor_to_share(again.carbon_mg, share_permille=share)
    return {
        "number": told.number,
        "table": {"id": public_id("pub", told.table_id), "title": told.table_title},
        "corrects": {"id": public_id("pub", told.corrects_id), "title": told.corrects_title},
        "reason": told.reason,
        "says": told.says,
        "carbon_mg_before": told.carbon_mg_before,
        "carbon_mg_after": told.carbon_mg_after,
        "coin_milli_before": told.coin_milli_before,
        "coin_milli_after": told.coin_milli_after,
        "coin_posted_milli": told.coin_posted_milli,
        "coin_borne_milli": told.borne_milli_after,
        "carbon_transfer_id": None if told.carbon_transfer_id is None else str(told.carbon_transfer_id),
        "coin_transfer_id": None if told.coin_transfer_id is None else str(told.coin_transfer_id),
        "recorded_at": told.recorded_at.isoformat(),
        "steps": [asdict(step) for step in _steps(again, share)],
        "factor": None if row is None else tell_factor(row, activity.basis.found_by),
        "replays_equal": counted in (None, told.carbon_mg_after)
        and coins == told.coin_milli_after + told.coin_cut_milli_after,
    }


def _assessed_by(row: Factor, activity: Activity) -> Assessment | None:
    """The inputs by another row; None where its method refuses them, so that they come to nothing."""
    used = in_use(row)
    try:
        return used.method.assess(activity.inputs, used.factor)
    except Refusal:
        return None


def _share_permille(call: Call, activity: Activity) -> int:
    rule = activity.basis.evidence_rule_id
    return WHOLE if rule is None else int(call.db.get_one(Publication, rule).content["share_permille"])


def _steps(again: Assessment | None, share: int) -> tuple[Step, ...]:
    if again is None:
        return ()
    return (
        again.steps if share == WHOLE else (*again.steps, share_step(again.carbon_mg, share_permille=share))
    )
