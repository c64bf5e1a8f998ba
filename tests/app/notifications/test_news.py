"""Each listener finds whose news it is and says it from what stands: one message, to the right person."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from sqlalchemy import select

from app.notifications.inbox import Told, inbox
from app.notifications.news import tell_news
from carbon.activities.holds import appeal, decide
from carbon.activities.intake import take_chunk
from carbon.donations.allocation import allocate
from kernel.actor import ActorKind
from kernel.call import Call
from kernel.identifiers import new_id, public_id
from kernel.outgoing import News, Outgoing
from kernel.paging import PageRequest
from merchants.asks.asking import override
from rewards.catalogue.waiting import PLACE, join_queue, lapse_due, offer_next
from rewards.vouchers import cancel
from tests.carbon.city import lines, ride
from tests.carbon.correcting_tables import with_rides
from tests.carbon.donations.test_donations import KILOGRAM, given, person, plant_rules
from tests.carbon.test_automatic_holds import THREE_A_DAY
from tests.carbon.test_automatic_holds import later as an_hour_later
from tests.carbon.test_automatic_holds import plant as plant_ruled
from tests.carbon.test_holds import PUBLISHER, by, held, of, plant
from tests.conftest import NOW, Database, at
from tests.merchants.clerk_world import OTHER_PIN, staff_of
from tests.merchants.test_asks import asked, publish_ask_rule
from tests.merchants.world import customer, market
from tests.rewards.test_waiting import sold_out
from tests.rewards.world import acting, as_citizen, publish_rules, rich_citizen


def hear(call: Call) -> int:
    """Tell all news that this unit of work announced, as the schedule does behind the commit."""
    call.db.flush()
    rows = call.db.scalars(select(Outgoing).order_by(Outgoing.id)).all()
    return tell_news(
        call,
        [
            News(
                id=row.id,
                region_id=row.region_id,
                event=row.event,
                subject=row.subject,
                facts=row.facts,
                recorded_at=row.recorded_at,
            )
            for row in rows
        ],
    )


def read_by(call: Call, who: UUID) -> list[Told]:
    """A citizen's messages, oldest first."""
    page = inbox(acting(call, ActorKind.CITIZEN, who), PageRequest(limit=200))
    return list(reversed(page.items))


def test_the_owner_of_a_dear_voucher_is_asked_and_reads_who_said_yes_instead(call: Call) -> None:
    place = market(call)
    publish_ask_rule(call)
    me, other = customer(call), customer(call)
    staff_of(call, place)
    key, prepared, question = asked(call, place, me)
    over = override(place.at_till(call), prepared.session, number="01", pin=OTHER_PIN, reason="no battery")
    assert over is None
    assert hear(call) == 2
    first, second = read_by(call, me.id)
    assert (first.kind, first.subject) == ("voucher_asked", key.public)
    assert first.facts["ask"] == public_id("ask", question.id)
    assert "say yes or no before 2026-" in first.says["en"]
    assert (second.kind, second.facts["reason"]) == ("voucher_overridden", "no battery")
    assert second.says["zh"].endswith("原因:no battery")
    assert read_by(call, other.id) == []
    assert hear(call) == 0


def test_who_waited_reads_until_when_it_is_held_and_that_it_went_on(call: Call) -> None:
    publish_rules(call)
    reward, owner, key = sold_out(call)
    me = rich_citizen(call)
    place = join_queue(as_citizen(call, me), reward)
    cancel(as_citizen(call, owner), key.voucher_id)
    assert offer_next(call) == 1
    assert lapse_due(at(call, NOW + timedelta(days=2))) == 1
    hear(call)
    assert [(each.kind, each.subject) for each in read_by(call, me.id)] == [
        ("reward_held", public_id(PLACE, place.id)),
        ("reward_hold_lapsed", public_id(PLACE, place.id)),
    ]
    assert "is held for you until 2026-" in read_by(call, me.id)[0].says["en"]


def test_a_rules_hold_is_told_as_an_operators_is(call: Call) -> None:
    city, citizen = plant_ruled(call, many=THREE_A_DAY)
    taken = take_chunk(
        an_hour_later(call), city.intake(), lines(*(ride(name, metres=1_000) for name in "abcd"))
    )
    assert taken["outcome"].to_list() == ["credited"] * 4
    hear(call)
    (only,) = read_by(call, citizen)
    assert (only.kind, only.facts["coin_milli"]) == ("activity_held", 4_670)
    assert "Record 4 of this kind on that day" in only.says["en"]


def test_a_hold_and_its_decision_are_told(call: Call) -> None:
    _, citizen, activity = plant(call)
    row = held(call, citizen, activity)
    appeal(by(call, of(citizen)), activity, words="I was on the train")
    decide(by(call, PUBLISHER), row.id, into="refused", reason="no such train")
    hear(call)
    first, second = read_by(call, citizen)
    assert (first.kind, first.facts["activity_id"]) == ("activity_held", public_id("act", activity))
    assert (second.kind, second.facts["reason"]) == ("activity_refused", "no such train")


def test_a_correction_is_told_with_its_sums(database: Database) -> None:
    city = with_rides(database, [10_000, 20_000])
    city.recompute(city.publish("93.4"))
    database.run(hear)
    for owner in city.owners.values():
        (only,) = database.run(partial(read_by, who=owner))
        assert (only.kind, only.facts["activities"]) == ("coins_corrected", 1)
        assert only.facts["carbon_mg"] > 0


def test_a_share_of_the_pool_is_told(call: Call) -> None:
    plant_rules(call)
    given(call)
    citizen = new_id()
    allocate(person(call), [citizen], carbon_mg_each=KILOGRAM, reason="public welfare day")
    hear(call)
    (only,) = read_by(call, citizen)
    assert (only.kind, only.facts) == ("donation_received", {"carbon_mg": KILOGRAM, "coin_milli": 100_000})
