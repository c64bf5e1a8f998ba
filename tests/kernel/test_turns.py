"""Turns: equal requests wait among their own, whoever asks for something else is next."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import pytest

from kernel.http.turns import LARGEST_COMPARED, LATELY, REST_MOST, Turns

AT_ONCE = 4


@dataclass
class House:
    """An application that works until it is told to be done, and notes in which order it was begun."""

    at_once: int = AT_ONCE
    turns: Turns = field(init=False)
    begun: list[str] = field(default_factory=list)
    gates: dict[str, threading.Semaphore] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(64))
    now: float = 0.0
    """What its clock says."""
    rests: list[float] = field(default_factory=list)
    """Seconds that were rested, in their order; nobody waits for them."""

    def __post_init__(self) -> None:
        self.turns = Turns(
            self._application, at_once=self.at_once, clock=lambda: self.now, sleep=self.rests.append
        )

    def _application(self, environ: dict[str, Any], _start: Any) -> list[bytes]:
        body = environ["wsgi.input"].read().decode()
        with self.changed:
            self.begun.append(body)
            self.changed.notify_all()
        assert self.gates.setdefault(body, threading.Semaphore(0)).acquire(timeout=60)
        if body == "breaks":
            raise ValueError(body)
        return [body.encode()]

    def ask(self, body: str) -> Future[str]:
        """One request; it has taken its place in a lane when this returns."""
        before = self._queued()
        asked = self.pool.submit(self._asked, body)
        while self._queued() == before:
            assert not asked.done()
        return asked

    def _queued(self) -> int:
        lanes = list(self.turns._lanes.values())
        return sum(lane.at_work + len(lane.waiting) for lane in lanes)

    def _asked(self, body: str) -> str:
        answer = self.turns(_environ(body), lambda *_: None)
        try:
            return b"".join(answer).decode()
        finally:
            answer.close()  # type: ignore[attr-defined]  # WSGI asks for it

    def finish(self, body: str) -> None:
        self.gates.setdefault(body, threading.Semaphore(0)).release()

    def wait_for(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, timeout=60)


def _environ(body: str, **more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/me/vouchers",
        "QUERY_STRING": "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body.encode()),
        **more,
    }


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    for body in set(made.begun) | {"hot", "other", "breaks"}:
        for _ in range(64):
            made.finish(body)
    made.pool.shutdown()


FREE = AT_ONCE - 1
"""What a lane takes before it is a crowd."""


def test_who_wants_something_else_is_let_in_and_the_crowd_waits_meanwhile(house: House) -> None:
    crowd = [house.ask("hot") for _ in range(20)]
    house.wait_for(lambda: len(house.begun) == FREE)
    other, gone = house.ask("other"), set[Future[str]]()
    house.wait_for(lambda: house.begun == ["hot"] * FREE + ["other"])
    for _ in range(FREE):
        house.finish("hot")
        assert next(as_completed(set(crowd) - gone)).result() == "hot"
        gone |= {each for each in crowd if each.done()}
    assert house.begun == ["hot"] * FREE + ["other"]
    house.finish("other")
    assert other.result() == "other"
    for _ in range(20 - FREE):
        house.finish("hot")
    assert [each.result() for each in crowd] == ["hot"] * 20
    assert house.begun == ["hot"] * FREE + ["other"] + ["hot"] * (20 - FREE)
    assert house.turns._lanes == {}


def test_a_crowd_is_not_kept_waiting_for_ever(house: House) -> None:
    crowd = [house.ask("hot") for _ in range(20)]
    house.wait_for(lambda: len(house.begun) == FREE)
    house.ask("other 0")
    house.wait_for(lambda: len(house.begun) == AT_ONCE)
    for number in range(1, AT_ONCE):
        house.ask(f"other {number}")
        house.finish("hot")
        house.wait_for(lambda number=number: house.begun[-1] == f"other {number}")  # type: ignore[misc]
    assert house.begun[FREE:] == [f"other {number}" for number in range(AT_ONCE)]
    house.finish("other 0")
    house.wait_for(lambda: house.begun[-1] == "hot")
    assert len(crowd) == 20
    for number in range(AT_ONCE):
        house.finish(f"other {number}")


def test_lanes_that_wait_take_turns(house: House) -> None:
    asked = [house.ask(body) for body in ("a", "b", "c", "d", "a", "b", "c", "d", "e")]
    house.wait_for(lambda: len(house.begun) == AT_ONCE)
    for place, body in enumerate("abcda", start=AT_ONCE + 1):
        house.finish(body)
        house.wait_for(lambda place=place: len(house.begun) == place)  # type: ignore[misc]
    assert sorted(house.begun[:4]) == list("abcd")
    assert house.begun[4:] == list("abcde")
    for body in "bcde":
        house.finish(body)
    assert sorted(each.result() for each in asked) == sorted("abcdabcde")


def test_a_bug_gives_its_place_back(house: House) -> None:
    for _ in range(3 * AT_ONCE):
        broken = house.ask("breaks")
        house.finish("breaks")
        with pytest.raises(ValueError, match="breaks"):
            broken.result()
    fine = house.ask("other")
    house.finish("other")
    assert fine.result() == "other"


@pytest.mark.parametrize("how", ["closed", "closed twice", "dropped"])
def test_an_answer_that_is_never_sent_gives_its_place_back_once(how: str) -> None:
    turns = Turns(lambda _environ, _start: [b"part"], at_once=1)
    for _ in range(3):
        answer = turns(_environ("x"), lambda *_: None)
        for _ in range(("dropped", "closed", "closed twice").index(how)):
            answer.close()  # type: ignore[attr-defined]  # WSGI asks for it
        del answer
    assert turns._at_work == 0


def test_what_a_lane_is_told_by_is_the_request_and_never_the_caller() -> None:
    def lanes(*asked: dict[str, Any]) -> int:
        turns = Turns(lambda _environ, _start: [], at_once=99)
        kept = [turns(each, lambda *_: None) for each in asked]
        seen = len(turns._lanes)
        del kept
        return seen

    long = "x" * (LARGEST_COMPARED + 1)
    assert lanes(_environ("a"), _environ("a", HTTP_AUTHORIZATION="Bearer other")) == 1
    assert lanes(_environ("a"), _environ("b")) == 2
    assert lanes(_environ("a"), _environ("a", PATH_INFO="/")) == 2
    assert lanes(_environ("a"), _environ("a", REQUEST_METHOD="PUT")) == 2
    assert lanes(_environ("a"), _environ("a", QUERY_STRING="q")) == 2
    assert lanes(_environ(long), _environ(long)) == 2
    assert lanes(_environ("a", CONTENT_LENGTH="x"), _environ("a", CONTENT_LENGTH="x")) == 2
    assert lanes(_environ("", CONTENT_LENGTH=""), _environ("")) == 1
    mine, yours = ({"REQUEST_METHOD": "GET", "HTTP_AUTHORIZATION": who} for who in ("mine", "yours"))
    assert lanes(_environ("", **mine), _environ("", **mine)) == 1
    assert lanes(_environ("", **mine), _environ("", **yours)) == 2


def test_a_few_equals_leave_one_place_to_others(house: House) -> None:
    equals = [house.ask("hot") for _ in range(AT_ONCE)]
    house.wait_for(lambda: len(house.begun) == AT_ONCE - 1)
    other = house.ask("other")
    house.wait_for(lambda: house.begun[-1] == "other")
    for body in ("other", *["hot"] * AT_ONCE):
        house.finish(body)
    assert [each.result() for each in (other, *equals)] == ["other", *["hot"] * AT_ONCE]


@pytest.mark.parametrize(
    ("took", "since_another", "rests"),
    [
        (0.02, 0.01, [0.02]),
        (2 * LATELY, 0.01, [REST_MOST]),
        (2 * LATELY, LATELY, [REST_MOST]),
        (2 * LATELY, LATELY + 0.01, []),
    ],
    ids=["as long as it worked", "never long", "for a while", "alone it goes on"],
)
def test_a_crowd_rests_while_others_come(
    house: House, took: float, since_another: float, rests: list[float]
) -> None:
    house.now = 100 - took
    crowd = [house.ask("hot") for _ in range(20)]
    house.wait_for(lambda: len(house.begun) == FREE)
    house.now = 100 - since_another
    other = house.ask("other")
    house.wait_for(lambda: house.begun[-1] == "other")
    house.finish("other")
    assert other.result() == "other"
    house.now = 100.0
    for _ in range(FREE):  # the last of these calls one more: of a crowd one is worked on
        house.finish("hot")
    house.wait_for(lambda: house.begun == ["hot"] * FREE + ["other", "hot"])
    assert len(crowd) == 20
    assert house.rests == pytest.approx(rests)


def test_a_crowd_does_not_keep_the_only_place_while_it_rests() -> None:
    house = House(at_once=1)
    crowd, other = [house.ask("hot") for _ in range(5)], house.ask("other")
    for place in range(6):
        house.wait_for(lambda place=place: len(house.begun) == place + 1)  # type: ignore[misc]
        house.now += 0.01
        house.finish(house.begun[place])
    assert [each.result() for each in (*crowd, other)] == ["hot"] * 5 + ["other"]
    assert "other" in house.begun[:3]
    assert house.rests == []
    house.pool.shutdown()


def test_crowds_do_not_wait_for_each_other(house: House) -> None:
    for _ in range(2 * AT_ONCE + 2):
        house.ask("hot")
        house.ask("other")
    house.wait_for(lambda: {"hot", "other"} <= set(house.begun))
    for body in ("hot", "other") * AT_ONCE:
        house.finish(body)
    house.wait_for(lambda: min(house.begun.count("hot"), house.begun.count("other")) > AT_ONCE)


@pytest.mark.parametrize("body", ["", "x", "y" * LARGEST_COMPARED, "z" * (LARGEST_COMPARED + 1)])
def test_the_application_reads_the_whole_body(body: str) -> None:
    read: list[bytes] = []

    def application(environ: dict[str, Any], _start: Any) -> list[bytes]:
        read.append(environ["wsgi.input"].read())
        return []

    Turns(application, at_once=1)(_environ(body), lambda *_: None)
    assert read == [body.encode()]


def test_an_address_of_any_bytes_has_a_lane() -> None:
    turns = Turns(lambda _environ, _start: [b"ok"], at_once=1)
    assert list(turns(_environ("", PATH_INFO="/\udcff\xe9"), lambda *_: None)) == [b"ok"]
