"""Several threads, one order, and never far ahead."""

import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from kernel.side_by_side import in_order


def test_results_come_in_the_order_of_the_works_whichever_ends_first() -> None:
    """The first work waits for the second: in one thread it would wait for ever."""
    second_is_done = threading.Event()

    def first() -> int:
        assert second_is_done.wait(timeout=20)
        return 1

    def second() -> int:
        second_is_done.set()
        return 2

    assert list(in_order([first, second, lambda: 3], threads=2)) == [1, 2, 3]


def test_works_are_read_no_further_ahead_than_there_are_threads() -> None:
    read: list[int] = []

    def works() -> Iterator[Callable[[], int]]:
        for number in range(9):
            read.append(number)
            yield partial(int, number)

    results = in_order(works(), threads=2)
    assert read == []
    for number in range(9):
        assert next(results) == number
        assert len(read) == min(9, number + 3)
    assert list(results) == []


def test_an_error_comes_in_its_place_and_ends_it() -> None:
    def broken() -> int:
        raise ZeroDivisionError

    works: list[Callable[[], int]] = [partial(int, 1), broken, partial(int, 3)]
    results = in_order(works, threads=2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []


def test_who_stops_asking_leaves_no_thread_behind() -> None:
    def pause() -> bool:
        return threading.Event().wait(0.01)

    results = in_order([pause] * 50, threads=3)
    next(results)
    results.close()
    assert [each.name for each in threading.enumerate() if each.name.startswith("in-order")] == []


def test_without_threads_each_work_is_done_by_whoever_asks() -> None:
    done: list[threading.Thread] = []

    def work() -> int:
        done.append(threading.current_thread())
        return len(done)

    results = in_order([work] * 3, threads=0)
    assert next(results) == 1
    assert done == [threading.current_thread()]
    assert list(results) == [2, 3]
