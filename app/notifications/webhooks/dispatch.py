"""The sender: claims what is due, posts it side by side, notes how each attempt ended.

Threads only talk to the other side; every transaction is the caller's own, short, and none is open while
somebody is waited for. Any number of senders may run at once.
"""

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Protocol, TypeVar

import structlog

from app.notifications.webhooks.deliveries import MOST_DOUBTED, Claimed, claim, note
from app.notifications.webhooks.sending import Reach, Result, post
from app.notifications.webhooks.signing import signed_headers
from kernel.call import Call

Done = TypeVar("Done")
AT_ONCE = 2 * MOST_DOUBTED
"""Attempts of one sender at the same time."""
log = structlog.get_logger("webhooks")


class Run(Protocol):
    """Runs work in a transaction of its own."""

    def __call__(self, work: Callable[[Call], Done]) -> Done:
        """The work's value."""


def send_due(
    run: Run, reach: Reach, *, keep_on: Callable[[], bool] = lambda: True, most: int = 10_000
) -> int:
    """Send what is due until nothing is, or `keep_on` says no; returns how many attempts ended.

    What is under way when `keep_on` says no is waited for, a deadline at most. A bug in one attempt keeps no
    other from being noted; it is raised at the end.
    """
    begun = ended = 0
    bugs: list[BaseException] = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        flying: dict[Future[Result], Claimed] = {}
        while True:
            room = min(AT_ONCE - len(flying), most - begun)
            doubted = sum(each.doubted for each in flying.values())
            work = partial(claim, most=room, sound=len(flying) - doubted, doubted=doubted)
            claimed = run(work) if room and keep_on() else []
            begun += len(claimed)
            flying |= {threads.submit(attempt, each, reach): each for each in claimed}
            if not flying:
                break
            ready, _ = wait(flying, return_when=FIRST_COMPLETED)
            for each in ready:
                mine, bug = flying.pop(each), each.exception()
                if bug is None:
                    _keep(run, mine, each.result())
                    ended += 1
                else:
                    bugs.append(bug)
    if bugs:
        raise bugs[0]
    return ended


def attempt(claimed: Claimed, reach: Reach) -> Result:
    """Sign and post once."""
    sent_at_s = int(claimed.claimed_at.timestamp())
    headers = signed_headers(claimed.news_id, sent_at_s=sent_at_s, body=claimed.body, keys=claimed.keys)
    return post(claimed.url, headers, claimed.body, reach=reach, now=claimed.claimed_at)


def _keep(run: Run, claimed: Claimed, result: Result) -> None:
    run(partial(note, claimed=claimed, result=result))
    log.info(
        "webhook",
        type=claimed.event,
        outcome=result.outcome,
        status=result.status,
        ms=result.took_ms,
        number=claimed.number,
    )
