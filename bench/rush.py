"""`make bench-rush`: ten thousand citizens for a hundred items, and how long another reward's buyers wait.

Rounds take turns, quiet and with a rush; in all of them exchanges of another reward arrive evenly, each on a
connection of its own, and each waits from the moment at which it was to begin. A rush is a process of its
own with 200 clients at a time; whoever is told to wait comes again when told to. Every rush has a reward of
its own, and what was sold, charged and held is counted in the database.
"""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.factory import Product
from app.identity.sign_in import WechatUser, sign_in_citizen
from app.identity.tokens import issue
from app.product_calls import run
from bench.arrivals import Arrival, arrivals
from bench.city import REGION, City, Person, found_city, give_coins, offer
from bench.disk import syncs_beside
from bench.figures import Figure, Measured
from bench.ground import load, run_bench, say, surroundings_of
from bench.interference import percentile
from bench.served import Clients, asked_again, served
from kernel.call import Call
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id, parse_public_id, public_id

AT_A_TIME = 500
TRIES_MOST = 60


@dataclass(frozen=True, kw_only=True)
class Rush:
    """How many citizens come for how many items, how often, and how another reward is asked for meanwhile."""

    citizens: int = 10_000
    items: int = 100
    parallel: int = 200
    rounds: int = 3
    quiet_seconds: float = 20
    per_second: float = 15


@dataclass(frozen=True, kw_only=True)
class Played:
    """One round: what went on, how those who wanted another reward fared, and what the crowd was told."""

    beside: str
    answered: list[Arrival]
    syncs_ms: list[float]
    """How long the disk took to make a page durable, again and again meanwhile."""
    crowd: dict[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The round in a table."""
        waits = sorted(each.wait_ms for each in self.answered)
        seen = {"beside": self.beside, "requests": len(waits)}
        seen |= {f"p{most}_ms": percentile(waits, most) for most in (50, 99)}
        seen |= {"sync_p99_ms": percentile(sorted(self.syncs_ms), 99), "sync_most_ms": max(self.syncs_ms)}
        return {**seen, **{name: value for name, value in self.crowd.items() if name != "waits_ms"}}


def main() -> int:
    """Measure, print and keep; returns the exit status."""
    return run_bench(lambda product, data: measure_rush(product, data=data, rush=Rush()), kept="rush.json")


def measure_rush(product: Product, *, data: Path, rush: Rush) -> Measured:
    """All rounds on an empty schema, and what was sold in them."""
    surroundings = surroundings_of(product)
    say("a city is founded …")
    city = found_city(product, citizens=200, tills=1)
    say(f"{rush.citizens} citizens sign in …")
    crowd = sign_in_many(product, rush.citizens)
    with served(product.settings, data) as clients, _crowd_process() as process:
        stage = _Stage(product, city, clients, crowd, rush, process, data)
        stage.warm_up()
        played = list(_rounds(stage))
    figures = _figures(played)
    return Measured(
        figures,
        {**surroundings, "load_after": load()},
        {"rush_rounds": [each.row() for each in played]},
    )


def sign_in_many(product: Product, count: int) -> list[Person]:
    """Citizens with coins and sessions, many a transaction."""
    people: list[Person] = []

    def work(numbers: range, call: Call) -> list[Person]:
        signed = [
            sign_in_citizen(
                call, WechatUser(appid="wxbench0000000000", openid=f"rush-{number}"), region_id=REGION
            )
            for number in numbers
        ]
        with product.flask.app_context():
            made = [
                Person(
                    id=parse_public_id("ctz", each.subject),
                    card="",
                    token=issue(
                        session_id=each.session_id,
                        refresh_id=each.refresh_id,
                        subject=each.subject,
                        now=call.now,
                    ).access_token,
                )
                for each in signed
            ]
        give_coins(call, made)
        return made

    for first in range(0, count, AT_A_TIME):
        numbers = range(first, min(count, first + AT_A_TIME))
        people += run(product, partial(work, numbers))
    return people


@dataclass
class _Stage:
    """The served city, the crowd, and the numbers of those who want another reward."""

    product: Product
    city: City
    clients: Clients
    crowd: list[Person]
    rush: Rush
    process: "subprocess.Popen[str]"
    folder: Path
    """On the disk that PostgreSQL writes to."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def buy_other(self, number: int) -> None:
        """An exchange of the unrelated reward; who is put off comes again."""
        people = self.city.people
        body = {"reward_id": public_id("rwd", self.city.reward_id)}
        token, key = people[number % len(people)].token, f"bench-other-{number:08}"
        asked_again(
            lambda: self.clients.post_once("/v1/me/vouchers", body, token=token, key=key), tries=TRIES_MOST
        )

    def warm_up(self) -> None:
        """The first requests of a server import and connect."""
        for _ in range(40):
            self.buy_other(next(self.numbers))

    def come(self, reward: UUID) -> dict[str, Any]:
        """Let the whole crowd come for one reward."""
        asked = {
            "port": self.clients.port,
            "reward": public_id("rwd", reward),
            "parallel": self.rush.parallel,
            "asks": [[who.token, new_id().hex] for who in self.crowd],
        }
        stdin, stdout = self.process.stdin, self.process.stdout
        if stdin is None or stdout is None:
            raise BrokenInvariant("the crowd has ears and a mouth")
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        return dict(json.loads(stdout.readline()))


@contextmanager
def _crowd_process() -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "bench.rush_clients"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _rounds(stage: _Stage) -> Iterator[Played]:
    """Quiet, rush, quiet, rush."""
    for number in range(stage.rush.rounds):
        say(f"round {number + 1} of {stage.rush.rounds} …")
        yield _quiet(stage)
        yield _beside_a_rush(stage)


def _quiet(stage: _Stage) -> Played:
    ends = time.monotonic() + stage.rush.quiet_seconds
    with syncs_beside(stage.folder) as syncs:
        answered = _others(stage, lambda: time.monotonic() < ends)
    return Played(beside="nothing", answered=answered, syncs_ms=syncs)


def _beside_a_rush(stage: _Stage) -> Played:
    reward = run(stage.product, lambda call: offer(call, stock=stage.rush.items))
    crowd: dict[str, Any] = {}
    rushing = threading.Thread(target=lambda: crowd.update(stage.come(reward)))
    with syncs_beside(stage.folder) as syncs:
        rushing.start()
        answered = _others(stage, rushing.is_alive)
        rushing.join()
    sold = run(stage.product, lambda call: call.db.execute(_SOLD, {"reward": reward}).one())
    waits = crowd["waits_ms"]
    crowd |= {"vouchers": sold.vouchers, "held_coin_milli": int(sold.held or 0)}
    crowd |= {"crowd_p50_ms": percentile(waits, 50), "crowd_p99_ms": percentile(waits, 99)}
    if (sold.vouchers, crowd["told"].get("201")) != (stage.rush.items, stage.rush.items):
        raise BrokenInvariant(f"of {stage.rush.items} items were sold: {crowd}")
    return Played(beside="rush", answered=answered, syncs_ms=syncs, crowd=crowd)


def _others(stage: _Stage, while_: Any) -> list[Arrival]:
    return arrivals(
        stage.buy_other, numbers=stage.numbers, per_second=stage.rush.per_second, least=2, while_=while_
    )


def _figures(played: list[Played]) -> list[Figure]:
    rushes = [each for each in played if each.beside == "rush"]
    figures = []
    for most in (50, 99):
        quiet, rushed = (percentile(_waits(played, beside), most) for beside in ("nothing", "rush"))
        name = f"other_reward_quiet_p{most}"
        figures += [
            Figure(name=name, value=quiet, unit="ms"),
            Figure(
                name=f"other_reward_in_rush_p{most}",
                value=rushed,
                unit="ms",
                control=name,
                ratio=rushed / quiet,
            ),
        ]
    for beside, name in (("nothing", "quiet"), ("rush", "in_rush")):
        syncs = sorted(ms for each in played if each.beside == beside for ms in each.syncs_ms)
        figures.append(Figure(name=f"disk_sync_{name}_p99", value=percentile(syncs, 99), unit="ms"))
    answers = sum(sum(each.crowd["told"].values()) for each in rushes)
    return [
        *figures,
        Figure(name="rush_sold", value=float(rushes[0].crowd["vouchers"]), unit="items"),
        Figure(name="rush_answers", value=answers / sum(each.crowd["seconds"] for each in rushes), unit="/s"),
        Figure(name="rush_put_off", value=sum(each.crowd["busy"] for each in rushes) / answers, unit="each"),
    ]


def _waits(played: list[Played], beside: str) -> list[float]:
    return sorted(one.wait_ms for each in played if each.beside == beside for one in each.answered)


_SOLD = text(
    "SELECT count(*) AS vouchers, sum(h.amount) AS held FROM voucher v"
    " JOIN ledger_hold h ON h.holder_id = v.holder_id AND h.reference = v.id || '/0'"
    " WHERE v.reward_id = :reward"
)

if __name__ == "__main__":
    sys.exit(main())
