"""Work of several threads at once, whose results come in the order in which it was given."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_order(works: Iterable[Callable[[], Result]], *, threads: int) -> Generator[Result]:
    """What the works give, in their order; at most `threads` of them are begun ahead.

    `works` is read by whoever asks, who does the work as well where there are no threads. An error comes
    where its result would have.
    """
    if not threads:
        yield from (work() for work in works)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="in-order") as pool:
        begun: deque[Future[Result]] = deque()
        try:
            for work in works:
                begun.append(pool.submit(work))
                if len(begun) > threads:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
