"""Recomputations at the desk: who may, what is refused, what a citizen reads, and what stays as it was."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from app.identity.roles import Role
from carbon.activities.recomputation import routes as face
from carbon.activities.recomputation.states import Policy
from carbon.activities.recomputation.work import do_waiting
from carbon.activities.simulation.simulation import Limits
from kernel.identifiers import new_id, parse_public_id, public_id
from kernel.publications.tables import Publication
from tests.app.desk import Desk, desk
from tests.carbon.city import ride
from tests.carbon.correcting_tables import REASON, TEXT, Corrected, corrected_text, in_force, with_rides

__all__ = ["desk"]
JOBS = "/v1/operator/recomputations"
TABLES = "/v1/operator/factor-tables"
CHECKED = {"reason": "checked", "nominal_start": "as the guide has it"}


@pytest.fixture
def city(desk: Desk) -> Corrected:
    return with_rides(desk.database, [1_000, 2_000])


def asked(desk: Desk, table_id: UUID, who: str = "editor", **more: Any) -> Any:
    body = {"table_id": public_id("pub", table_id), "policy": "unspent", "reason": REASON, **more}
    return desk.ask(who, "POST", JOBS, body)


def computed(desk: Desk, city: Corrected, table_id: UUID) -> dict[str, Any]:
    """A proposal of the editor's, as it stands after its dry run."""
    job = asked(desk, table_id).json["id"]
    assert do_waiting(city.database.run) == 1
    return dict(desk.ask("auditor", "GET", f"{JOBS}/{job}").json)


def approve(desk: Desk, job: dict[str, Any], who: str = "publisher", digest: str | None = None) -> Any:
    body = {"digest": digest or job["digest"], "reason": "as simulated"}
    return desk.ask(who, "POST", f"{JOBS}/{job['id']}/approval", body)


def test_one_proposes_another_approves_and_a_worker_posts(desk: Desk, city: Corrected) -> None:
    proposed = asked(desk, city.publish("93.4"))
    assert (proposed.status_code, proposed.json["state"], proposed.json["figures"]) == (201, "draft", None)
    assert do_waiting(city.database.run) == 1
    job = desk.ask("auditor", "GET", f"{JOBS}/{proposed.json['id']}").json
    assert job["state"] == "dry_run_done"
    assert job["figures"]["totals"]["carbon_mg_difference"] == 3 * 46_700
    assert (job["figures"]["activities_up"], job["figures"]["coin_milli_rise"]) == (2, 14_010)
    assert do_waiting(city.database.run) == 0
    approved = approve(desk, job)
    assert (approved.status_code, approved.json["state"]) == (201, "approved")
    assert do_waiting(city.database.run) == 1
    done = desk.ask("editor", "GET", f"{JOBS}/{job['id']}").json
    assert done["state"] == "done"
    assert [step["to_state"] for step in done["steps"]] == [
        *("draft", "dry_run_done", "approved", "running", "done")
    ]
    assert [row["id"] for row in desk.ask("auditor", "GET", JOBS).json["items"]] == [job["id"]]
    assert city.balances("coin") == [9_340, 18_680]
    city.everything_holds()


def test_nobody_approves_an_own_proposal_in_any_role(desk: Desk, city: Corrected) -> None:
    job = computed(desk, city, city.publish("93.4"))
    assert approve(desk, job, who="editor").json["code"] == "not_permitted"
    desk.callers["publisher"] = replace(desk.callers["publisher"], id=desk.callers["editor"].id)
    refused = approve(desk, job)
    assert (refused.status_code, refused.json["code"]) == (403, "author_cannot_approve")
    assert city.job(parse_public_id("rec", job["id"])).state == "dry_run_done"


def test_what_is_approved_is_what_was_read(desk: Desk, city: Corrected) -> None:
    table_id = city.publish("93.4")
    early = asked(desk, table_id).json
    refused = approve(desk, early, digest="0" * 64)
    assert (refused.status_code, refused.json["code"]) == (409, "recomputation_not_waiting")
    assert do_waiting(city.database.run) == 1
    refused = approve(desk, early, digest="0" * 64)
    assert (refused.status_code, refused.json["code"]) == (409, "figures_differ")
    assert refused.json["errors"][0]["pointer"] == "/body/digest"
    assert approve(desk, early, digest="zz").status_code == 422
    job = desk.ask("auditor", "GET", f"{JOBS}/{early['id']}").json
    assert approve(desk, job).status_code == 201
    refused = approve(desk, job)
    assert (refused.status_code, refused.json["code"]) == (409, "recomputation_not_waiting")


def test_an_approval_sent_twice_is_one(desk: Desk, city: Corrected) -> None:
    job = computed(desk, city, city.publish("93.4"))
    body = {"digest": job["digest"], "reason": "as simulated"}
    key = new_id().hex
    first, again = (
        desk.ask("publisher", "POST", f"{JOBS}/{job['id']}/approval", body, key=key) for _ in range(2)
    )
    assert (first.json, again.headers["Idempotent-Replayed"]) == (again.json, "true")


def test_one_recomputation_by_a_table_is_under_way_at_a_time(desk: Desk, city: Corrected) -> None:
    table_id = city.publish("93.4")
    first = asked(desk, table_id).json
    refused = asked(desk, table_id)
    assert (refused.status_code, refused.json["code"]) == (409, "recomputation_open")
    why = {"reason": "not today"}
    called_off = desk.ask("publisher", "POST", f"{JOBS}/{first['id']}/cancellation", why)
    assert (called_off.status_code, called_off.json["state"]) == (201, "cancelled")
    assert called_off.json["cancelled_because"] == "not today"
    refused = desk.ask("publisher", "POST", f"{JOBS}/{first['id']}/cancellation", why)
    assert (refused.status_code, refused.json["code"]) == (409, "recomputation_not_waiting")
    assert asked(desk, table_id).status_code == 201


def test_only_a_published_table_that_corrects_another_changes_credits(desk: Desk, city: Corrected) -> None:
    official = city.database.run(in_force)
    assert asked(desk, official).json["code"] == "not_a_correction"
    first = city.publish("93.4")
    city.publish("50.0")
    assert asked(desk, first).json["code"] == "not_a_correction"
    assert asked(desk, new_id()).json["code"] == "not_found"
    assert asked(desk, first, policy="nothing").status_code == 422
    named = f"{TABLES}/{public_id('pub', official)}/recomputation"
    assert desk.ask("auditor", "GET", named).json["code"] == "not_a_correction"


def test_figures_of_a_table_are_read_without_a_proposal(desk: Desk, city: Corrected) -> None:
    named = f"{TABLES}/{public_id('pub', city.publish('93.4'))}/recomputation"
    before = city.count("audit_entry"), city.count("recomputation")
    told = desk.ask("auditor", "GET", named)
    assert (told.status_code, told.json["totals"]["activities_changed"]) == (200, 2)
    assert (city.count("audit_entry"), city.count("recomputation")) == before
    for owner in city.owners.values():
        assert str(owner) not in told.get_data(as_text=True)


def test_another_regions_operators_see_and_touch_nothing(desk: Desk, city: Corrected) -> None:
    job = computed(desk, city, city.publish("93.4"))
    desk.hire("stranger", Role.OPERATOR_PUBLISHER, region="CN-GD")
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/approval", {"digest": job["digest"], "reason": "as simulated"}),
        ("POST", "/cancellation", {"reason": "not ours"}),
    ):
        answer = desk.ask("stranger", method, f"{JOBS}/{job['id']}{path}", body)
        assert (answer.status_code, answer.json["code"]) == (404, "not_found"), path
    assert desk.ask("stranger", "GET", JOBS).json["items"] == []


def sits_down(desk: Desk, city: Corrected, card: str = "card-000") -> None:
    """The citizen reads."""
    desk.callers["citizen"] = replace(desk.callers["citizen"], id=city.owners[card])


def read(desk: Desk, path: str) -> Any:
    answer = desk.ask("citizen", "GET", path)
    assert answer.status_code == 200, answer.json
    return answer.json


def test_a_citizen_reads_which_table_why_and_how_much(desk: Desk, city: Corrected) -> None:
    sits_down(desk, city)
    city.spend(city.hold("card-000", 4_000))
    city.correct("23.3")
    lines = read(desk, "/v1/me/transfers")["items"]
    corrections = [line for line in lines if line["code"] == "CORRECTION"]
    assert {line["unit"]: line["amount"] for line in corrections} == {"carbon": -23_400, "coin": -670}
    assert {line["note"] is None for line in lines if line["code"] != "CORRECTION"} == {True}
    zh, en = corrections[0]["note"]["zh"], corrections[0]["note"]["en"]
    named = TEXT.partition("title_zh: ")[2].partition("\n")[0]
    assert zh == (
        f"因子表《{named}》更正了《{named}》(原因:{REASON})。您 2026-11-20 的行为"
        "减排量由 46.7 g 更正为 23.3 g,碳币由 4.67 更正为 2.33;其中 1.67 碳币由基金承担,不向您收回。"
        "原记录保持不变。"
    )
    assert "46.7 g" in en
    assert "a fund bears 1.67 coins" in en
    credit = {line["unit"]: line for line in lines if line["code"] == "CREDIT_CARBON"}["carbon"]
    linked = {line["unit"]: line["reverses_id"] for line in corrections}
    assert linked["carbon"] == credit["transfer_id"]


@pytest.mark.parametrize("policy", Policy)
def test_trap_20_what_was_displayed_stays_and_the_correction_stands_beside_it(
    desk: Desk, city: Corrected, policy: Policy
) -> None:
    """Trap 20: a corrected factor changes no history that was shown."""
    sits_down(desk, city)
    shown = {line["transfer_id"]: line for line in read(desk, "/v1/me/transfers")["items"]}
    trees = {each: read(desk, f"/v1/me/transfers/{each}/explanation") for each in shown}
    activities = read(desk, "/v1/me/activities")
    city.correct("23.3", policy)
    city.correct("93.4", policy)
    now = {line["transfer_id"]: line for line in read(desk, "/v1/me/transfers")["items"]}
    assert {each: now[each] for each in shown} == shown
    assert read(desk, "/v1/me/activities") == activities
    for each, tree in trees.items():
        again = read(desk, f"/v1/me/transfers/{each}/explanation")
        corrections = [row.pop("corrections") for row in again["activities"]]
        for row in tree["activities"]:
            assert row.pop("corrections") == []
        assert again == tree
        assert again["replays_equal"] is True
        assert [row["carbon_mg_after"] for row in corrections[0]] == [23_300, 93_400]
        assert [row["replays_equal"] for row in corrections[0]] == [True, True]
        assert corrections[0][0]["factor"]["value"] == "23.3"


def test_a_correction_opens_into_the_first_record_and_itself(desk: Desk, city: Corrected) -> None:
    sits_down(desk, city)
    city.correct("93.4")
    lines = read(desk, "/v1/me/transfers")["items"]
    for line in (line for line in lines if line["code"] == "CORRECTION"):
        tree = read(desk, f"/v1/me/transfers/{line['transfer_id']}/explanation")
        assert (tree["kind"], tree["replays_equal"]) == ("table_correction", True)
        assert tree["says"] == line["note"]
        (activity,) = tree["activities"]
        assert activity["carbon_mg"] == 46_700
        assert activity["factor"]["value"] == "46.7"
        (correction,) = activity["corrections"]
        assert correction["reason"] == REASON
        assert line["transfer_id"] in {correction["carbon_transfer_id"], correction["coin_transfer_id"]}


def test_a_mutated_correction_fails_its_replay(desk: Desk, city: Corrected) -> None:
    from sqlalchemy import text  # noqa: PLC0415 - only here

    from kernel.database import create_engine  # noqa: PLC0415 - only here

    sits_down(desk, city)
    city.correct("93.4")
    owner = create_engine(city.database.url, as_owner=True)
    with owner.begin() as connection:
        connection.execute(text("UPDATE activity_correction SET carbon_mg_after = carbon_mg_after + 1"))
    owner.dispose()
    line = next(line for line in read(desk, "/v1/me/transfers")["items"] if line["code"] == "CORRECTION")
    tree = read(desk, f"/v1/me/transfers/{line['transfer_id']}/explanation")
    assert tree["activities"][0]["corrections"][0]["replays_equal"] is False


def drafted(desk: Desk, text_: str) -> Any:
    return desk.ask("editor", "POST", TABLES, {"form": "yaml", "text": text_})


def test_a_table_says_what_it_corrects_and_why_and_takes_its_place(desk: Desk, city: Corrected) -> None:
    official = city.database.run(in_force)
    made = drafted(desk, corrected_text(official, "93.4"))
    assert made.status_code == 201, made.json
    assert made.json["history"]["corrects"] == [public_id("pub", official)]
    assert made.json["correction_reason"] == REASON
    changes = desk.ask("editor", "GET", f"{TABLES}/{made.json['id']}/changes").json
    assert changes["against"] == public_id("pub", official)
    path = f"{TABLES}/{made.json['id']}/publication"
    published = desk.ask("publisher", "POST", path, CHECKED).json
    assert (published["standing"], published["effective_from"]) == ("in_force", "2021-12-01")
    old = desk.ask("editor", "GET", f"{TABLES}/{public_id('pub', official)}").json
    assert (old["standing"], old["history"]["corrected_by"]) == ("corrected", [made.json["id"]])
    assert (old["effective_from"], old["proof"]["holds"]) == ("2021-12-01", True)
    assert old["steps"][-1]["state"] == "corrected"
    assert city.rode(ride("late", "card-000", metres=1_000)) == ["credited"]
    carbon = city.database.rows("SELECT carbon_mg FROM activity WHERE source_event_id = 'late'")
    assert [row.carbon_mg for row in carbon] == [93_400]


def test_a_table_that_ended_is_corrected_inside_its_days(desk: Desk, city: Corrected) -> None:
    official = city.database.run(in_force)
    later = TEXT.replace("2021-12-01", "2026-11-15")
    successor = drafted(desk, later).json["id"]
    path = f"{TABLES}/{successor}/publication"
    assert desk.ask("publisher", "POST", path, CHECKED).status_code == 201
    correction = drafted(desk, corrected_text(official, "93.4"))
    assert correction.status_code == 201, correction.json
    path = f"{TABLES}/{correction.json['id']}/publication"
    published = desk.ask("publisher", "POST", path, CHECKED).json
    assert (published["standing"], published["ends_on"]) == ("superseded", "2026-11-15")
    assert desk.ask("editor", "GET", f"{TABLES}/{successor}").json["standing"] == "in_force"


def test_figures_at_once_are_of_no_more_activities_than_a_request_looks_through(
    desk: Desk, city: Corrected, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{TABLES}/{public_id('pub', city.publish('93.4'))}/recomputation"
    monkeypatch.setattr(face, "REQUEST", Limits(looked_through=2))
    assert desk.ask("auditor", "GET", path).json["totals"]["activities"] == 2
    monkeypatch.setattr(face, "REQUEST", Limits(looked_through=1))
    refused = desk.ask("auditor", "GET", path)
    assert (refused.status_code, refused.json["code"]) == (422, "too_many_to_simulate")
    assert "a proposal take any number" in refused.json["detail"]


def test_what_no_table_can_correct_is_refused(desk: Desk, city: Corrected) -> None:
    official = city.database.run(in_force)
    sent = corrected_text(official, "93.4")
    without_reason = sent.replace(f"correction_reason: {REASON}\n", "")
    assert drafted(desk, without_reason).json["errors"][0]["pointer"] == "/correction_reason"
    for wrong in ("pub_00000000000000000000000000", "nothing", "vch_00000000000000000000000000"):
        refused = drafted(desk, sent.replace(public_id("pub", official), wrong))
        assert (refused.status_code, refused.json["code"]) == (409, "not_correctable"), wrong
    other = drafted(desk, sent.replace("subject: transport", "subject: something"))
    assert other.json["code"] == "not_correctable"
    head, metro, measured, _ = sent.split("  - code: ")
    less = drafted(desk, f"{head}  - code: {metro}  - code: {measured}")
    assert (less.status_code, less.json["code"]) == (422, "correction_covers_less")
    shorter = drafted(desk, sent.replace("valid_from: 2021-12-01", "valid_from: 2022-01-01", 1))
    assert shorter.json["code"] == "correction_covers_less"


def test_of_two_corrections_of_one_table_the_first_counts(desk: Desk, city: Corrected) -> None:
    official = city.database.run(in_force)
    first, second = (drafted(desk, corrected_text(official, grams)).json["id"] for grams in ("93.4", "23.3"))
    assert desk.ask("publisher", "POST", f"{TABLES}/{first}/publication", CHECKED).status_code == 201
    refused = desk.ask("publisher", "POST", f"{TABLES}/{second}/publication", CHECKED)
    assert (refused.status_code, refused.json["code"]) == (409, "not_correctable")
    rows = city.database.rows(
        "SELECT state FROM publication WHERE id = :id", id=parse_public_id("pub", second)
    )
    assert rows[0].state == "draft"
    states = city.database.run(
        lambda call: [each.state for each in call.db.query(Publication).filter_by(kind="factor_table")]
    )
    assert sorted(states) == ["corrected", "draft", "published"]
