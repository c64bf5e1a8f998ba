"""`Call` is everything a service may know about its surroundings: database, caller, time, keys.

It is the first argument of every service. A service never commits; the door that made the call does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy.orm import Session

from kernel.actor import Actor
from kernel.clock import business_day
from kernel.signing import KeyRing


@dataclass(frozen=True, kw_only=True)
class Call:
    """One unit of work. `now` is aware UTC and stands still while the work runs."""

    db: Session
    actor: Actor
    now: datetime
    request_id: str
    keys: KeyRing
    aftermath: list[Callable[["Call"], None]] = field(default_factory=list)

    @property
    def today(self) -> date:
        """The Shanghai business day of `now`."""
        return business_day(self.now)

    @property
    def region(self) -> str:
        """The region the caller acts in."""
        return self.actor.known_region

    def after_refusal(self, record: Callable[["Call"], None]) -> None:
        """Run `record` and commit it if the work is refused and rolled back (failed scans, counters)."""
        self.aftermath.append(record)
