"""Threads on real PostgreSQL: one approval, one publication, and no objection slips in beside a signature."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Barrier, Event
from typing import Any
from uuid import UUID

from kernel.actor import Actor, ActorKind
from kernel.call import Call
from kernel.errors import Busy, Refusal
from kernel.identifiers import new_id
from kernel.publications.notice import answer, give_notice, raise_objection
from kernel.publications.publishing import Draft, draft, publish
from kernel.publications.review import approve, comment, send_back, submit
from kernel.publications.withdrawal import withdraw
from tests.app.procedure import RATE, plant_procedure
from tests.conftest import NOW, REGION, Database

AFTER = NOW + timedelta(days=20)
"""When a notice that was given at NOW is over."""
TURNS = 6
TRIES = 100


def somebody(kind: ActorKind = ActorKind.OPERATOR) -> Actor:
    return Actor(kind=kind, id=new_id(), region_id=REGION)


def drafted(database: Database) -> UUID:
    proposal = Draft(
        region_id=REGION,
        kind="coin_rate",
        subject="standard",
        title="a rate",
        content=RATE["content"],
        source="a test",
        effective_from=NOW.date() + timedelta(days=90),
    )
    return database.run(lambda call: draft(call, proposal).id, actor=somebody())


def under_review(database: Database) -> UUID:
    made = drafted(database)
    database.run(lambda call: submit(call, made, reason="test"), actor=somebody())
    return made


def on_notice(database: Database) -> UUID:
    made = under_review(database)
    database.run(lambda call: approve(call, made, reason="test"), actor=somebody())
    database.run(lambda call: give_notice(call, made, reason="test"), actor=somebody())
    return made


def at_once(*works: Callable[[], Any]) -> list[str]:
    """What each came to: `done`, or a refusal's code. Whoever is told to come again does."""
    gate = Barrier(len(works))

    def attempt(work: Callable[[], Any]) -> str:
        gate.wait()
        for _ in range(TRIES):
            try:
                work()
            except Busy:
                continue
            except Refusal as refusal:
                return refusal.code
            return "done"
        return Busy.code

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(attempt, works))


def states(database: Database, publication: UUID) -> list[str]:
    steps = "SELECT state FROM publication_step WHERE publication_id = :id ORDER BY id"
    return [row.state for row in database.rows(steps, id=publication)]


Work = Callable[[Call], object]


def each_by_another(database: Database, works: Sequence[Work], *, late: bool = False) -> list[str]:
    """What works came to that people of their own did at once."""
    now = AFTER if late else NOW
    return at_once(*(partial(database.run, work, actor=somebody(), now=now) for work in works))


def test_of_reviewers_at_once_one_approves(database: Database) -> None:
    database.run(plant_procedure)
    for _ in range(TURNS):
        made = under_review(database)
        works = [partial(approve, publication_id=made, reason="race")] * 4
        outcomes = each_by_another(database, works)
        assert sorted(outcomes) == ["already_approved"] * 3 + ["done"]
        assert states(database, made).count("approved") == 1


def test_what_is_approved_and_returned_at_once_is_one_of_both_in_an_order(database: Database) -> None:
    database.run(plant_procedure)
    for _ in range(TURNS):
        made = under_review(database)
        outcomes = each_by_another(
            database,
            [
                partial(approve, publication_id=made, reason="race"),
                partial(send_back, publication_id=made, reason="race"),
            ],
        )
        (row,) = database.rows("SELECT state, reviewer_id FROM publication WHERE id = :id", id=made)
        assert (row.state, row.reviewer_id) == ("draft", None)
        taken = states(database, made)[2:]
        if outcomes == ["done", "done"]:
            assert taken == ["approved", "returned"]
        else:
            assert (outcomes, taken) == (["not_under_review", "done"], ["returned"])


def test_a_draft_is_submitted_once_and_noticed_once(database: Database) -> None:
    database.run(plant_procedure)
    for _ in range(TURNS):
        made = drafted(database)
        submitted = each_by_another(database, [partial(submit, publication_id=made, reason="race")] * 4)
        assert sorted(submitted) == ["done"] + ["not_a_draft"] * 3
        database.run(partial(approve, publication_id=made, reason="test"), actor=somebody())
        noticed = each_by_another(database, [partial(give_notice, publication_id=made, reason="race")] * 4)
        assert sorted(noticed) == ["done"] + ["not_under_review"] * 3
        (row,) = database.rows("SELECT review_round FROM publication WHERE id = :id", id=made)
        assert row.review_round == 1


def test_of_publishers_at_once_one_publishes(database: Database) -> None:
    database.run(plant_procedure)
    made = on_notice(database)
    works = [lambda call: publish(call, made, reason="race")] * 8
    outcomes = each_by_another(database, works, late=True)
    assert sorted(outcomes) == ["done"] + ["not_a_draft"] * 7
    assert states(database, made).count("published") == 1


def test_of_withdrawals_at_once_one_counts(database: Database) -> None:
    database.run(plant_procedure)
    made = on_notice(database)
    database.run(lambda call: publish(call, made, reason="test"), actor=somebody(), now=AFTER)
    days = [AFTER.date() + timedelta(days=30 + number) for number in range(6)]
    works = [partial(withdraw, publication_id=made, from_day=day, reason="race") for day in days]
    outcomes = each_by_another(database, works, late=True)
    assert sorted(outcomes) == ["already_withdrawn"] * 5 + ["done"]
    assert states(database, made).count("withdrawn") == 1


def test_a_person_who_objects_many_times_at_once_objected_once(database: Database) -> None:
    database.run(plant_procedure)
    made, citizen = on_notice(database), somebody(ActorKind.CITIZEN)
    works = [lambda: database.run(lambda call: raise_objection(call, made, body="no"), actor=citizen)] * 8
    assert sorted(at_once(*works)) == ["already_objected"] * 7 + ["done"]


def test_an_objection_is_answered_once(database: Database) -> None:
    database.run(plant_procedure)
    made = on_notice(database)
    raised = database.run(
        lambda call: raise_objection(call, made, body="no").id, actor=somebody(ActorKind.CITIZEN)
    )
    works = [
        partial(answer, objection_id=raised, ruling=ruling, body="so")
        for ruling in ("dismissed", "upheld") * 3
    ]
    assert sorted(each_by_another(database, works)) == ["already_answered"] * 5 + ["done"]


def test_an_objection_that_is_being_raised_stops_the_publication_that_waits_for_it(
    database: Database,
) -> None:
    """The objection came on the last day and is not committed yet when the publisher comes a day later."""
    database.run(plant_procedure)
    made = on_notice(database)
    raised, go_on = Event(), Event()

    def slow(call: Call) -> None:
        raise_objection(call, made, body="no")
        call.db.flush()
        raised.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        citizen = pool.submit(lambda: database.run(slow, actor=somebody(ActorKind.CITIZEN)))
        assert raised.wait(30)
        publisher = pool.submit(
            lambda: at_once(
                lambda: database.run(
                    lambda call: publish(call, made, reason="race"), actor=somebody(), now=AFTER
                )
            )
        )
        _wait_for_a_waiter(database)
        go_on.set()
        citizen.result()
        assert publisher.result() == ["objections_unanswered"]
    (row,) = database.rows("SELECT state FROM publication WHERE id = :id", id=made)
    assert row.state == "public_notice"


def test_an_objection_waits_for_the_publication_and_finds_nothing_on_notice(database: Database) -> None:
    database.run(plant_procedure)
    made = on_notice(database)
    published, go_on = Event(), Event()

    def slow(call: Call) -> None:
        publish(call, made, reason="race")
        published.set()
        assert go_on.wait(30)

    with ThreadPoolExecutor(2) as pool:
        publisher = pool.submit(lambda: database.run(slow, actor=somebody(), now=AFTER))
        assert published.wait(30)
        citizen = pool.submit(
            lambda: at_once(
                lambda: database.run(
                    lambda call: raise_objection(call, made, body="no"), actor=somebody(ActorKind.CITIZEN)
                )
            )
        )
        _wait_for_a_waiter(database)
        go_on.set()
        publisher.result()
        assert citizen.result() == ["not_found"]
    assert database.rows("SELECT FROM publication_objection") == []


def test_objections_and_publications_in_any_order_never_leave_a_published_row_with_an_open_one(
    database: Database,
) -> None:
    database.run(plant_procedure)
    for _ in range(TURNS):
        made = on_notice(database)

        def publishing(call: Call, made: UUID = made) -> None:
            publish(replace(call, now=AFTER), made, reason="race")

        def objecting(call: Call, made: UUID = made) -> None:
            raise_objection(call, made, body="no")

        outcomes = each_by_another(database, [publishing, objecting, objecting, objecting])
        (row,) = database.rows("SELECT state FROM publication WHERE id = :id", id=made)
        raised = outcomes[1:].count("done")
        if row.state == "published":
            assert (outcomes[0], raised) == ("done", 0)
            database.run(
                partial(
                    withdraw,
                    publication_id=made,
                    from_day=AFTER.date() + timedelta(days=1),
                    reason="next turn",
                ),
                actor=somebody(),
                now=AFTER,
            )
        else:
            assert (outcomes[0], raised) == ("objections_unanswered", 3)


def test_comments_at_once_stay_within_their_number(database: Database, monkeypatch: Any) -> None:
    monkeypatch.setattr("kernel.publications.review.MOST_COMMENTS", 3)
    database.run(plant_procedure)
    made = under_review(database)
    works = [lambda call: comment(call, made, body="hello", about=None)] * 8
    assert sorted(each_by_another(database, works)) == ["done"] * 3 + ["too_many_comments"] * 5


def _wait_for_a_waiter(database: Database) -> None:
    """Until somebody stands behind a lock; whether one was seen there decides nothing."""
    waiting = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    for _ in range(300):
        if database.rows(waiting)[0].n:
            return
