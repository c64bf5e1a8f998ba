"""Evidence of a tier counts for its published share of the kilograms; what nobody published is refused."""

from datetime import date, timedelta
from io import BytesIO
from typing import Any

import orjson
import pytest

from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.errors import EvidenceMissing, EvidenceNotGranted, EvidenceUnknown
from carbon.activities.explanation import explain_activity, replays_equal
from carbon.activities.intake import take_activity, take_chunk
from carbon.activities.tables import Activity
from carbon.partners.registry import find_partner, grant_evidence
from kernel.call import Call
from tests.carbon.city import City, as_operator, lines, plant_city, publish_rule, ride
from tests.carbon.test_intake import broken
from tests.conftest import NOW

HALF = {"share_permille": 500}


@pytest.fixture
def city(call: Call) -> City:
    planted = plant_city(call)
    planted.bind(call, ["card-017"])
    return planted


def grant(call: Call, city: City, *tiers: str) -> None:
    grant_evidence(as_operator(call), city.partner_id, tiers=tiers, reason="a contract")


def take(call: Call, city: City, event: str, **more: Any) -> Activity:
    taken = take_activity(call, city.intake(), lines(ride(event, **more)))
    return call.db.query(Activity).filter(Activity.id == taken["activity_id"]).one()


def test_a_self_check_in_brings_half_the_kilograms_and_so_half_the_coins(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", HALF)
    verified = take(call, city, "e1", metres=10_000)
    grant(call, city, "self_check_in")
    checked_in = take(call, city, "e2", metres=10_000)
    assert (verified.carbon_mg, verified.coin_milli) == (467_000, 46_700 - verified.coin_cut_milli)
    assert checked_in.carbon_mg == 233_500
    assert checked_in.coin_milli + checked_in.coin_cut_milli == 23_350
    assert (verified.basis.evidence, checked_in.basis.evidence) == ("device_verified", "self_check_in")
    assert broken(call) == []


def test_what_is_left_over_of_a_share_is_floored_away(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", {"share_permille": 333})
    grant(call, city, "self_check_in")
    assert take(call, city, "e1", metres=1).carbon_mg == 46 * 333 // 1000


def test_the_explanation_shows_the_share_and_replays(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", HALF)
    grant(call, city, "self_check_in")
    activity = take(call, city, "e1", metres=10_001)
    told = explain_activity(call, activity)
    assert told["replays_equal"]
    assert told["evidence"]["tier"] == "self_check_in"
    assert told["evidence"]["share_permille"] == 500
    assert told["evidence"]["rule"]["title"] == "evidence_tier self_check_in"
    last = told["steps"][-1]
    assert (last["value_before_rounding"], last["value_after"], last["unit"]) == ("233523", "233523", "mg")
    with call.db.no_autoflush:  # no role may write that
        activity.carbon_mg += 1
        assert not replays_equal(call, activity)
        call.db.expire(activity)


def test_full_evidence_has_no_step_of_its_own(call: Call, city: City) -> None:
    told = explain_activity(call, take(call, city, "e1"))
    assert told["evidence"] == {"tier": "device_verified", "share_permille": 1000, "rule": None}
    assert "share" not in told["steps"][-1]["title_en"]


def test_the_share_is_that_of_the_day_of_the_ride(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", HALF, since=date(2026, 1, 1))
    publish_rule(call, "evidence_tier", "self_check_in", {"share_permille": 250}, since=date(2026, 11, 19))
    grant(call, city, "self_check_in")
    before = take(call, city, "e1", metres=1000, occurred_at=NOW - timedelta(days=2))
    after = take(call, city, "e2", metres=1000, occurred_at=NOW - timedelta(days=1))
    assert (before.carbon_mg, after.carbon_mg) == (23_350, 11_675)
    with pytest.raises(EvidenceUnknown):
        take(call, city, "e3", occurred_at=NOW - timedelta(days=400))


def test_a_tier_without_a_rule_is_refused_and_never_counts_in_full(call: Call, city: City) -> None:
    grant(call, city, "self_check_in", "device_verified")
    with pytest.raises(EvidenceUnknown) as refused:
        take(call, city, "e1", evidence="self_check_in")
    assert refused.value.pointer == "/evidence"
    assert take(call, city, "e1", evidence="device_verified").carbon_mg == 467_000


def test_who_is_granted_self_check_ins_cannot_claim_a_device(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", HALF)
    grant(call, city, "self_check_in")
    with pytest.raises(EvidenceNotGranted):
        take(call, city, "e1", evidence="device_verified")
    assert take(call, city, "e1", evidence="self_check_in").carbon_mg == 233_500


def test_of_several_tiers_a_record_states_one(call: Call, city: City) -> None:
    publish_rule(call, "evidence_tier", "self_check_in", HALF)
    grant(call, city, "self_check_in", "device_verified")
    with pytest.raises(EvidenceMissing):
        take(call, city, "e1")


def test_what_stands_is_a_duplicate_whatever_the_contract_says_now(call: Call, city: City) -> None:
    take(call, city, "e1")
    grant(call, city, "self_check_in")
    again = take_chunk(call, city.intake(), lines(ride("e1"), ride("e2")))
    assert again["code"].to_list() == ["duplicate", "evidence_unknown"]


def test_a_partner_that_nobody_granted_anything_is_taken_as_before(call: Call, city: City) -> None:
    assert find_partner(call, city.partner_id).evidence_tiers == ["device_verified"]


RECORD = {
    "source_event_id": "e1",
    "subject": "card-017",
    "scenario": "metro_ride",
    "occurred_at": "2026-11-20T08:00:00+08:00",
    "quantity": 1000,
    "unit": "m",
}


def read(record: dict[str, Any], form: Any) -> dict[str, Any]:
    csv = ",".join(record) + "\n" + ",".join(map(str, record.values())) + "\n"
    data = csv.encode() if form == "csv" else orjson.dumps(record)
    return next(read_activity_lines(BytesIO(data), form=form)).row(0, named=True)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_the_tier_is_content_and_a_record_without_one_reads_as_before(form: str) -> None:
    without, stated = read(RECORD, form), read({**RECORD, "evidence": "self_check_in"}, form)
    assert without["payload"] == 'metro_ride|-|1795132800000000|{"distance_m":1000}'
    assert stated["payload"] == f"{without['payload']}|self_check_in"
    assert (without["evidence"], stated["evidence"]) == (None, "self_check_in")
    wrong = read({**RECORD, "evidence": "Self!"}, form)
    assert (wrong["outcome"], wrong["pointer"]) == ("text_not_plain", "/evidence")
