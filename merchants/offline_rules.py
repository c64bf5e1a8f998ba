"""Which published rule judges a scan that a till accepted without asking, and until when it may arrive.

It is the rule of the day on which the code was shown, whenever the record comes: what is withdrawn or
published later changes nothing of it. The day is read off the code's not-after, which we signed, so no till
chooses its rule by the time it writes down.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from kernel.call import Call
from kernel.clock import business_day
from kernel.publications.rules import OfflineRule, offline_rule
from rewards.presented_codes import Shown
from rewards.voucher_codes import GRACE_S, PREFETCHED, STEP_S, CodeFrame


@dataclass(frozen=True)
class Ruled:
    """The rule that judges a record, and the last instant at which the record is in time."""

    rule: OfflineRule
    arrive_by: datetime

    def in_time(self, voucher: Shown, *, now: datetime) -> bool:
        """Whether a record that arrives now is; never once its voucher waits for no records any more."""
        waits_until = voucher.offline_until
        return now <= self.arrive_by and (waits_until is None or now < waits_until)


class RulesOfDays:
    """The region's offline rules by day, each read once."""

    def __init__(self, call: Call, region_id: str) -> None:
        self._call, self._region_id = call, region_id
        self._by_day: dict[date, OfflineRule | None] = {}
        self.on(call.today)

    def on(self, day: date) -> OfflineRule | None:
        """The rule of a day."""
        if day not in self._by_day:
            self._by_day[day] = offline_rule(self._call, self._region_id, day=day)
        return self._by_day[day]

    def ruled(self, frame: CodeFrame) -> Ruled | None:
        """The rule of the day on which a code was shown, else of the day on which it was handed out.

        Around midnight these may be two. Which of the two promised the hours to hand in, the code does not
        say: the longer ones count, and what was really promised is kept with the voucher.
        """
        shown = business_day(frame.not_after - timedelta(seconds=STEP_S))
        handed_out = business_day(frame.not_after - timedelta(seconds=PREFETCHED * STEP_S))
        found = [rule for rule in (self.on(shown), self.on(handed_out)) if rule is not None]
        if not found:
            return None
        hours = max(rule.sync_hours for rule in found)
        return Ruled(found[0], frame.not_after + timedelta(seconds=GRACE_S, hours=hours))

    def any(self) -> bool:
        """Whether any day that was asked for, or today, has a rule."""
        return any(rule is not None for rule in self._by_day.values())
