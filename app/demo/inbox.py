"""What the demo city's citizens were told: reminders of what ends, and what became of their vouchers."""

from datetime import datetime
from functools import partial

from app.demo.stage import Stage
from app.notifications.news import tell_news
from app.notifications.reminders import go_on, open_rounds
from kernel.call import Call
from kernel.outgoing import take_news
from ledger.expiry import expire_due


def remind(stage: Stage, *, at: datetime) -> None:
    """A run of the jobs that tell: first the news, then round after round of reminders."""

    def news(call: Call) -> int:
        found = take_news(call)
        tell_news(call, found)
        return len(found)

    while stage.play(news, at=at):
        pass
    rounds = stage.play(open_rounds, at=at)
    while stage.play(expire_due, at=at)[0]:
        pass
    for each in rounds:
        while stage.play(partial(go_on, each=each), at=at):
            pass
