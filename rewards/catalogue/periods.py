"""The stretches of the calendar in which a person's uses of a reward are counted."""

from datetime import date, timedelta

from rewards.catalogue.reward_states import LimitPeriod
from rewards.tables import WHOLE


def periods_of(limit_period: str | None, day: date) -> list[str]:
    """The periods in which a use on a day counts, in the order of their names, in which they are locked."""
    if limit_period is None:
        return [WHOLE]
    first = {
        LimitPeriod.DAY: day,
        LimitPeriod.WEEK: day - timedelta(days=day.weekday()),
        LimitPeriod.MONTH: day.replace(day=1),
    }[LimitPeriod(limit_period)]
    return sorted([f"{limit_period}/{first.isoformat()}", WHOLE])
