"""Why an activity's coins are set aside, as its explanation tells it: by whom or by which rule, and how far.

Who held or decided is not told; the words are those that the citizen reads beside the activity.
"""

from typing import Any

from carbon.activities.replay import Replayer
from carbon.activities.tables import Activity, ActivityHold
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.publications.publishing import PREFIX
from kernel.publications.rules import AUTOMATIC_HOLD
from kernel.publications.tables import Publication


def told_hold(call: Call, activity: Activity, replayer: Replayer) -> dict[str, Any] | None:
    """The hold of an activity; None where it never was on hold.

    A rule that is not as it was signed has no figures.
    """
    held = call.db.get(ActivityHold, (activity.citizen_id, activity.id))
    if held is None:
        return None
    rule = None if held.rule_id is None else call.db.get_one(Publication, held.rule_id)
    figures = {} if rule is None or not replayer.rules(rule.id, AUTOMATIC_HOLD) else rule.content
    return {
        "state": held.state,
        "reason_zh": held.reason_zh,
        "reason_en": held.reason_en,
        "coin_milli": held.coin_milli,
        "held_at": held.held_at.isoformat(),
        "measured": held.measured,
        "rule": None
        if rule is None
        else {
            "id": public_id(PREFIX, rule.id),
            "measure": figures.get("measure"),
            "most": figures.get("most"),
            **cited(rule),
        },
    }


def cited(publication: Publication) -> dict[str, Any]:
    """What a publication rests on, and its digest."""
    return {
        "title": publication.title,
        "source": publication.source,
        "assumption": publication.assumption,
        "effective_from": publication.effective_from.isoformat(),
        "digest": None if publication.digest is None else publication.digest.hex(),
    }
