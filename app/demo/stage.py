"""Where the demo's history is played: the product's own services, at instants of the past.

Nothing is written past the services, so the demo city keeps every rule that a real one keeps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import TypeVar

from sqlalchemy.orm import Session

from app.factory import Product
from app.settings import Settings
from kernel.actor import Actor, system_actor
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.database import in_transaction
from kernel.identifiers import new_id

Result = TypeVar("Result")


@dataclass(frozen=True)
class Stage:
    """A built product whose clock is where the story says."""

    product: Product

    @property
    def settings(self) -> Settings:
        """The settings of the product."""
        return self.product.settings

    @property
    def region(self) -> str:
        """The demo city."""
        return self.product.settings.region

    @property
    def card_secret(self) -> bytes:
        """What card and account numbers are hashed with."""
        return self.product.settings.card_hash_secret.encode()

    def play(self, work: Callable[[Call], Result], *, at: datetime, actor: Actor | None = None) -> Result:
        """One unit of work, committed, at `at`; by the system of the city unless somebody else acts."""
        caller = actor or system_actor(self.region)

        def opened(session: Session) -> Result:
            keys = self.product.door.keys
            return work(
                Call(db=session, actor=caller, now=at.astimezone(UTC), request_id=new_id().hex, keys=keys)
            )

        return in_transaction(self.product.door.sessions, opened)


def shanghai(day: date, clock: str) -> datetime:
    """An instant of a business day, such as `08:15`."""
    return datetime.combine(day, time.fromisoformat(clock), tzinfo=SHANGHAI)


def month_start(day: date, months: int) -> date:
    """The first day of the month that lies `months` after (or before) the month of `day`."""
    month = day.year * 12 + day.month - 1 + months
    return date(month // 12, month % 12 + 1, 1)
