"""Acts 1 to 4: a table is published, a citizen comes, partners push records, every gram says why."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from app.demo.stage import month_start, shanghai
from app.demo.transit import STATIONS, Tap, Transit, bus_tap, tap_file
from app.story.cast import Story
from app.story.visitor import Visitor

TABLE = Path(__file__).with_name("table.yaml")
BILLS = "account,meter,period_start,period_end,reading_start,reading_end,unit,baseline"
ORIGIN, DESTINATION = "北苑", "大学城"
SHARED_G = 1000
"""What the pool gives the citizen: a kilogram."""


def is_published(story: Story) -> None:
    """Act 1: one operator drafts a factor table with its source, another one publishes it."""
    tell, operators = story.tell, story.cast.demo["operators"]
    tell.step(1, "An operator publishes a factor table 运营中心发布排放因子表")
    first = _next_free_day(story)
    text = TABLE.read_text(encoding="utf-8").replace("FIRST_DAY", first)
    editor, publisher = story.cast.staff(operators["editor"]), story.cast.staff(operators["publisher"])
    draft = editor.post("/v1/operator/factor-tables", {"form": "yaml", "text": text})
    tell.say(f"drafted: {draft['title']}, in force from {first}")
    path = f"/v1/operator/factor-tables/{draft['id']}/publication"
    own = editor.send(path, {"reason": "自行发布 / by its own author"})
    tell.holds(own.status_code == 403, f"Its author cannot publish it: {own.json()['title']}")
    checked = {
        "reason": "来源已核对 / the source was checked",
        "nominal_start": "来源未写起始日,自采用日起生效 / in force once taken over",
    }
    table = publisher.post(path, checked)
    tell.say(f"published by another person; SHA-256 {table['digest']}")
    shown = story.cast.anybody().get(f"/v1/public/factor-tables/{draft['id']}")
    row = shown["rows"][0]
    tell.say(f"{row['name_zh']}: {row['value']} {row['unit']}, source: {row['source']['title']}")
    tell.holds(shown["digest"] == table["digest"], "Anybody reads the same digest in the public catalogue.")


def comes(story: Story) -> Visitor:
    """Act 2: sign-in with WeChat, a consent for each source, a card and an account bound."""
    tell, cast = story.tell, story.cast
    tell.step(2, "A citizen signs in, consents and binds 居民登录、授权、绑定")
    citizen = cast.citizen()
    me = citizen.get("/v1/me")
    tell.say(f"signed in with WeChat as {me['id']}")
    subjects = {"transit": cast.card, "electricity": cast.account, "water": cast.account}
    offered = {each["partner_id"]: each for each in citizen.get("/v1/me/data-partners")["items"]}
    for name, subject in subjects.items():
        partner = offered[cast.demo["partners"][name]["id"]]
        order = {"partner_id": partner["partner_id"], "subject_number": subject}
        early = citizen.send("/v1/me/bindings", order)
        refused = early.json().get("code")
        tell.holds(refused == "consent_missing", f"{partner['name']}: no binding without consent.")
        text = partner["consent_text"]
        tell.say(f"reads: {text['zh']}")
        consent = {"partner_id": partner["partner_id"], "text_version": text["version"]}
        citizen.post("/v1/me/consents", consent)
        citizen.post("/v1/me/bindings", order)
        tell.say(f"consents to version {text['version']} and binds")
    return citizen


def are_pushed(story: Story) -> None:
    """Act 3: every record is credited exactly once or refused with a reason."""
    tell, cast = story.tell, story.cast
    tell.step(3, "Partners push records 数据合作方推送记录")
    start, end = month_start(story.today, -1), month_start(story.today, 0)
    power = f"{cast.account},E{cast.run},{start},{end},1200.0,1387.6,kWh,188.8"
    water = f"{cast.account},W{cast.run},{start},{end},310.0,321.5,m3,13.5"
    files = {
        "transit": tap_file(_taps(story), closed=story.today),
        "electricity": f"{BILLS}\n{power}\n".encode(),
        "water": f"{BILLS}\n{water}\n".encode(),
    }
    for name, data in files.items():
        partner, reference = cast.partner(name), f"story-{cast.run}"
        outcomes = _push(story, partner, name, reference, data)
        tell.table("outcome", "lines", rows=([_named(each), each["lines"]] for each in outcomes))
        again = _push(story, partner, name, f"{reference}-again", data)
        credited = sum(each["lines"] for each in again if each["outcome"] == "credited")
        tell.holds(credited == 0, f"{name}: the same records under another reference credit nothing.")
    boxes = {
        "source_event_id": f"box-{cast.run}",
        "subject": cast.card,
        "scenario": "parcel_box_returned",
        "occurred_at": shanghai(story.yesterday, "20:00").isoformat(),
        "quantity": 2,
        "unit": "piece",
    }
    one = cast.partner("transit").post("/v1/partner/activities", {"record": boxes})
    tell.holds(one["outcome"] == "credited", "A single record: two parcel boxes returned.")
    twice = cast.partner("transit").post("/v1/partner/activities", {"record": boxes})
    tell.holds(twice["outcome"] == "duplicate", "The same record again is a duplicate.")


def is_given(story: Story, citizen: Visitor) -> None:
    """Act 3, its second half: an enterprise's kilogram reaches the citizen through the pool."""
    tell, cast = story.tell, story.cast
    shown = cast.anybody().get(f"/v1/public/certificates/{cast.demo['certificate']}")
    said = shown["certificate"]
    tell.say(f"{said['enterprise']} gave {said['carbon_shown']} ({said['project']})")
    tell.holds(shown["holds"], f"The certificate's signature holds: {cast.demo['urls']['certificate']}")
    publisher = cast.staff(cast.demo["operators"]["publisher"])
    order = {
        "citizen_ids": [citizen.get("/v1/me")["id"]],
        "carbon_mg_each": 1000 * SHARED_G,
        "reason": "新居民欢迎活动 / welcome to the city",
    }
    allocation = publisher.post("/v1/operator/pool/allocations", order)
    tell.say(f"allocation {allocation['id']}: {allocation['carbon_shown']} of it go to our citizen")


def says_why(story: Story, citizen: Visitor) -> None:
    """Act 4: the citizen reads the balance and why each credit is what it is; every number replays."""
    tell = story.tell
    tell.step(4, "The citizen sees grams, coins and why 居民看到克数、碳币和原因")
    accounts = citizen.get("/v1/me/balances")["accounts"]
    tell.table(
        "account",
        "available",
        rows=([f"{each['unit']} {each['validity_class']}", each["available_shown"]] for each in accounts),
    )
    transfers = citizen.get("/v1/me/transfers")["items"]
    trees = [citizen.get(f"/v1/me/transfers/{each['transfer_id']}/explanation") for each in transfers]
    # Kilograms and coins of one action are two transfers with one explanation.
    activities = list({each["id"]: each for tree in trees for each in tree["activities"]}.values())
    for activity in activities:
        for line in _reasons(activity):
            tell.say(line)
    scenarios = {each["scenario"] for each in activities}
    wanted = {"metro_ride", "bus_ride", "household_electricity_saving", "household_water_saving"}
    tell.holds(wanted <= scenarios, "Rides, electricity and water are explained down to the document.")
    tell.holds(
        activities and all(each["replays_equal"] for each in activities),
        "Every one of them replays to the same number and digest.",
    )
    shares = [tree["share"] for tree in trees if tree["kind"] == "pool_share"][:1]
    for share in shares:
        giver = share["given_by"][0]["project"]
        tell.say(f"from the pool: {share['carbon_shown']} → {share['coin_shown']} coins, given by {giver}")
    tell.holds(
        shares and all(each["replays"] for each in shares), "The donated kilogram is explained and replays."
    )
    cut = sum(each["coins"]["cut_milli"] for each in activities)
    tell.say(f"the caps cut {cut / 1000:.3f} coins; the kilograms stay whole")


def _next_free_day(story: Story) -> str:
    """The first day that no telling of this story has published a table for yet."""
    known = story.cast.anybody().get("/v1/public/factor-tables", region=story.cast.demo["region"], limit=200)
    taken = [each["effective_from"] for each in known["items"] if each["subject"] == "parcel_boxes"]
    last = max(taken, default=None)
    if last is None or last < story.today.isoformat():
        return story.today.isoformat()
    return (story.today.fromisoformat(last) + timedelta(days=1)).isoformat()


def _taps(story: Story) -> list[Tap]:
    """A day of our citizen: a ride there, a bus, an entry that never came out, and somebody unknown."""
    transit, card, day = Transit(), story.cast.card, story.yesterday
    there = transit.ride(card, origin=ORIGIN, destination=DESTINATION, at=shanghai(day, "08:05"))
    lost = transit.ride(card, origin=DESTINATION, destination=ORIGIN, at=shanghai(day, "18:10"))[0]
    stranger = transit.ride(
        f"NOBODY{story.cast.run}", origin="西市", destination="南湖", at=shanghai(day, "09:00")
    )
    return [*there, bus_tap(card, shanghai(day, "12:30")), lost, *stranger]


def _push(story: Story, partner: Visitor, name: str, reference: str, data: bytes) -> list[dict[str, Any]]:
    adapter = story.cast.demo["partners"][name]["adapter"]
    batch = partner.post("/v1/partner/batches", {"reference": reference, "adapter": adapter})
    if adapter == "shenzhen_tong":
        partner.put(f"/v1/partner/batches/{batch['id']}/stations", STATIONS.read_bytes())
    partner.put(f"/v1/partner/batches/{batch['id']}/content", data)
    done = partner.wait_for_batch(batch["id"])
    outcomes: list[dict[str, Any]] = done["outcomes"]
    return outcomes


def _named(outcome: dict[str, Any]) -> str:
    return ": ".join(filter(None, (outcome["outcome"], outcome.get("code"))))


def _reasons(activity: dict[str, Any]) -> Iterator[str]:
    facts, factor, coins = activity["facts"] or {}, activity["factor"], activity["coins"]
    came_to = f"{activity['carbon']} → {coins['credited']} coins"
    yield f"{activity['scenario']} on {activity['business_day']}: {came_to}"
    for name, value in facts.items():
        yield f"     {name}: {value}"
    for step in activity["steps"]:
        yield f"     {step['title_en']}: {step['expression']} = {step['value_after']} {step['unit']}"
    yield f"     factor {factor['value']} {factor['unit']} ({factor['code']}), {factor['source']['title']}"
    if factor["assumption"]:
        yield f"     assumption: {factor['assumption']}"
    if coins["cut_milli"]:
        yield f"     the cap cut {coins['cut_milli'] / 1000:.3f} coins: {coins['cap']['title']}"
