"""`flask carbon replay`: every credit gone through once more, and one digest over all of them."""

import hashlib
import sys
from collections.abc import Callable, Iterator

import click

from app.factory import Product
from app.product_calls import run
from carbon.activities.replay_all import Replayed, replay_activities, replay_shares
from kernel.call import Call

AT_ONCE = 500
MOST_NAMED = 20


def add_replay(product: Product, carbon: click.Group) -> None:
    """Hang `replay` on the group `carbon`."""

    @carbon.command("replay")
    def replay_() -> None:
        """Go through every credit once more; exit 1 when one does not give what stands.

        The inputs are computed again, by the factor and the rules that ruled, and held against the
        ledger. The digest is over what came out, in the order of the rows: equal rows give an equal one.
        """
        marks, count, broken = hashlib.sha256(), 0, 0
        for each in every_credit(product):
            count += 1
            marks.update(each.place[1].bytes + (each.digest or b""))
            if each.differs:
                broken += 1
                if broken <= MOST_NAMED:
                    click.echo(f"DIFFERS {each.name}: {', '.join(each.differs)}")
        click.echo(f"{count:,} credits gone through, {broken:,} differ, digest {marks.hexdigest()}")
        sys.exit(1 if broken else 0)


def every_credit(product: Product) -> Iterator[Replayed]:
    """Every activity and every share of a pool, replayed, a small transaction at a time."""
    for replay in (replay_activities, replay_shares):
        yield from _each(product, replay)


def _each(product: Product, replay: Callable[..., list[Replayed]]) -> Iterator[Replayed]:
    after = None
    while True:

        def some(call: Call, after: tuple[object, object] | None = after) -> list[Replayed]:
            return replay(call, after=after, most=AT_ONCE)

        told = run(product, some)
        yield from told
        if len(told) < AT_ONCE:
            return
        after = told[-1].place
