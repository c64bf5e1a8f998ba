"""A thousand attacks on up to fifty tills without a network: every second use is found, no cap is passed."""

from collections import Counter, defaultdict
from random import Random

from app.factory import Product
from kernel.clock import FixedClock
from merchants.redemption_reversal import reverse
from merchants.simulated_terminal import CAP_REACHED, DRIFTED, QUEUED, REDEEMED, RESTARTED, SimulatedTerminal
from rewards.vouchers import Key, cancel, close_due
from tests.conftest import Database
from tests.ledger.world import Citizen
from tests.merchants.offline_world import COST_FEN, Town, found_town
from tests.merchants.world import sound
from tests.rewards.world import as_citizen

ATTACKS, TILLS, ROUNDS = 1000, 50, 5
MOST = 12
CAP_FEN = MOST * COST_FEN
ACCEPTED = {QUEUED, REDEEMED}


class Gang:
    """Citizens who show a voucher to several tills before these can talk, and what was honoured."""

    def __init__(self, town: Town, dice: Random) -> None:
        self.town, self.dice = town, dice
        self.honoured: dict[Key, int] = defaultdict(int)
        self.attacked: list[tuple[Citizen, Key]] = []
        self.said: Counter[str] = Counter()
        self.members = [town.citizen() for _ in range(40)]

    def attack(self, tills: list[SimulatedTerminal], online: SimulatedTerminal) -> None:
        """Buy a voucher and use it wherever nobody can ask; sometimes with a twist."""
        town, dice, me = self.town, self.dice, self.dice.choice(self.members)
        key = town.buy(me)
        codes = town.codes(me, key)
        self.attacked.append((me, key))
        twist = dice.choice(("none", "none", "online", "cancel", "reverse"))
        shown_to = dice.sample(tills, dice.randint(2, 5))
        if twist == "online" and self._show(online, key, codes[0]):
            twist = "used"
        if twist == "reverse" and self._show(online, key, codes[0]):
            (used,) = town.database.rows(
                "SELECT id FROM redemption WHERE voucher_id = :id", id=key.voucher_id
            )
            town.run(lambda call: reverse(call, used.id, reason="wrong item"))
            self.honoured[key] -= 1
        if twist == "cancel":
            town.run(lambda call: cancel(as_citizen(call, me), key.voucher_id))
        for till in shown_to:
            self._show(till, key, dice.choice(codes[:2]))

    def _show(self, till: SimulatedTerminal, key: Key, code: str) -> bool:
        told = till.scan(code)
        self.said[told] += 1
        self.honoured[key] += told in ACCEPTED
        return told in ACCEPTED


def _misfortune(dice: Random, till: SimulatedTerminal) -> None:
    """Some clocks are set, some tills lose power in the middle of a shift."""
    fate = dice.random()
    if fate < 0.1:
        till.clocks.set_by_s += dice.choice((-7200, 31, 3600))
    elif fate < 0.2:
        till.lose_power()
        till.start()


def test_of_a_thousand_attacks_on_fifty_tills_every_second_use_is_found_below_the_cap(
    product: Product, database: Database, clock: FixedClock
) -> None:
    dice = Random(20261120)  # noqa: S311 - the same thousand attacks each time
    town = found_town(product, database, clock, redemptions=MOST, total_fen=CAP_FEN)
    gang, tills = Gang(town, dice), [town.till() for _ in range(TILLS)]
    online = town.till()
    for _ in range(ROUNDS):
        for till in tills:
            till.connected = False
        for number in range(ATTACKS // ROUNDS):
            gang.attack(tills, online)
            if number == ATTACKS // ROUNDS // 2:
                for till in tills:
                    _misfortune(dice, till)
        assert all(len(till.queue) * COST_FEN <= CAP_FEN for till in tills)
        dice.shuffle(tills)
        for till in tills:
            till.connected = True
            till.sync()
            assert till.queue == []
        town.later(hours=25)  # the next shift; what closes has closed
        while town.run(close_due):
            pass
        for till in (*tills, online):
            till.refresh()
    _all_found(town, gang)
    assert gang.said.keys() >= {QUEUED, REDEEMED, CAP_REACHED, DRIFTED, RESTARTED}
    town.run(sound)


def _all_found(town: Town, gang: Gang) -> None:
    """What was honoured is one standing redemption a voucher, and a case for each of the rest."""
    standing = Counter(
        row.voucher_id
        for row in town.database.rows(
            "SELECT r.voucher_id FROM redemption r LEFT JOIN redemption_reversal b ON b.redemption_id = r.id"
            " WHERE b.redemption_id IS NULL"
        )
    )
    cases = Counter(row.voucher_id for row in town.rows("offline_conflict"))
    refused = [row for row in town.rows("offline_record") if row.outcome == "refused"]
    assert (len(gang.attacked), refused) == (ATTACKS, [])
    assert max(standing.values()) == 1
    for key, times in gang.honoured.items():
        assert standing[key.voucher_id] + cases[key.voucher_id] == times
    assert cases.total() > ATTACKS // 2
    lost: dict[object, list[int]] = defaultdict(list)
    for row in town.rows("offline_conflict"):
        assert (row.other_terminal_id is None) != (row.other_principal is None)
        lost[row.terminal_id, row.business_day].append(row.cost_fen)
    assert max(sum(each) for each in lost.values()) <= CAP_FEN
