"""What can be done to one voucher, each operation a unit of work at its own time, and the voucher it meets.

One more operation is one more entry of `OPERATIONS`. Times stand at the end of the voucher's last day, where
a scan that began a second before midnight meets the expiry that began at midnight.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from kernel.actor import ActorKind
from kernel.call import Call
from kernel.identifiers import new_id
from kernel.signing import Purpose
from ledger.statements import balances
from merchants.offline import hand_in
from merchants.offline_records import NO_RECORD, Record, signed_bytes
from merchants.onboarding import add_merchant, add_store
from merchants.redemption import confirm, prepare, redeem
from merchants.redemption_reversal import reverse
from merchants.settlement.closing import close_next
from merchants.tables import Terminal
from merchants.terminals import new_terminal, pair
from rewards.exchange import exchange
from rewards.live_codes import live_codes, new_alias
from rewards.tables import VoucherCode
from rewards.voucher_codes import ONLINE_ONLY, issue, seconds, steps
from rewards.vouchers import Key, cancel, close_due, deactivate, expire_due, owned
from tests.conftest import NOW, Database
from tests.ledger.world import Citizen
from tests.merchants.offline_world import publish_offline_rule
from tests.merchants.settlement_world import publish_terms
from tests.merchants.world import Market, customer, market
from tests.rewards.world import acting, as_citizen, shelf

SECOND = timedelta(seconds=1)
PREPARED_FOR = timedelta(seconds=60)
"""How long a till may keep a voucher to itself, by the rule of the tests."""


class Since(IntEnum):
    """How far a voucher has come when the two meet it; the further of their two wishes."""

    ISSUED = 0
    PREPARED = 1
    REDEEMED = 2
    CLOSING = 3


class Sort(IntEnum):
    """Which voucher the two meet; again the further of their two wishes."""

    OF_ANY_STORE = 0
    OF_ONE_STORE = 1
    """No code of it was shown yet that a till may honour without asking."""
    TAKEN_ALONG = 2
    """Such codes are on the phone, and two tills without a network honoured one."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One voucher, and what tills know of it."""

    place: Market
    who: Citizen
    key: Key
    code: str
    ends_at: datetime
    session: UUID | None = None
    redemption: UUID | None = None
    closes_at: datetime | None = None
    scans: tuple[tuple[UUID, Record], ...] = ()
    """Of two tills without a network that both honoured it; a side hands in the first that it is given."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A unit of work on the voucher of a case; the state that it wants, and when it is asked."""

    does: Callable[[Case, Call], str]
    wants: Since = Since.ISSUED
    at: Callable[[Case], datetime] = lambda case: case.ends_at - SECOND
    of: Sort = Sort.OF_ANY_STORE
    of_all: bool = False
    """It concerns all that a merchant honoured: the voucher is honoured by a merchant of its own."""


def _prepare(case: Case, call: Call) -> str:
    prepare(case.place.at_till(call, case.place.second_till), case.code)
    return "prepared"


def _confirm(case: Case, call: Call) -> str:
    confirm(case.place.at_till(call), case.session or new_id())
    return "redeemed"


def _redeem(case: Case, call: Call) -> str:
    redeem(case.place.at_till(call), case.code)
    return "redeemed"


def _reverse(case: Case, call: Call) -> str:
    done = reverse(case.place.at_till(call), case.redemption or new_id(), reason="wrong item")
    return "reversed, lives" if done.lives_again else "reversed, ended"


def _expire(_case: Case, call: Call) -> str:
    return f"{expire_due(call)} expired"


def _close(_case: Case, call: Call) -> str:
    return f"{close_due(call)} closed"


def _cancel(case: Case, call: Call) -> str:
    back = cancel(as_citizen(call, case.who), case.key.voucher_id)
    return f"cancelled, {back.amount} back"


def _deactivate(case: Case, call: Call) -> str:
    back = deactivate(acting(call, ActorKind.OPERATOR), case.key, reason="withdrawn")
    return f"deactivated, {back.amount} back"


def _codes(case: Case, call: Call) -> str:
    return f"{len(live_codes(as_citizen(call, case.who), case.key.voucher_id))} codes"


def _alias(case: Case, call: Call) -> str:
    return f"{len(new_alias(as_citizen(call, case.who), case.key.voucher_id).digits)} digits"


def _settle(case: Case, call: Call) -> str:
    return f"{close_next(call, case.place.merchant_id)} settled"


def _hand_in(case: Case, call: Call) -> str:
    till, record = case.scans[0]
    return hand_in(case.place.at_till(call, till), [record]).outcomes[0].outcome


OPERATIONS: dict[str, Operation] = {
    "prepare": Operation(does=_prepare),
    "confirm": Operation(does=_confirm, wants=Since.PREPARED),
    "redeem": Operation(does=_redeem),
    "reverse": Operation(does=_reverse, wants=Since.REDEEMED),
    "expire": Operation(does=_expire, at=lambda case: case.ends_at),
    "cancel": Operation(does=_cancel),
    "deactivate": Operation(does=_deactivate),
    "codes": Operation(does=_codes),
    "alias": Operation(does=_alias),
    "codes to take along": Operation(does=_codes, of=Sort.OF_ONE_STORE),
    "hand in": Operation(
        does=_hand_in, of=Sort.TAKEN_ALONG, at=lambda case: (case.closes_at or case.ends_at) - SECOND
    ),
    "close": Operation(
        does=_close, of=Sort.TAKEN_ALONG, wants=Since.CLOSING, at=lambda case: case.closes_at or case.ends_at
    ),
    "settle": Operation(
        does=_settle, wants=Since.REDEEMED, at=lambda case: case.ends_at + timedelta(hours=24), of_all=True
    ),
}


@dataclass(frozen=True)
class World:
    """A city with one citizen who buys again and again: of any store, or of one whose tills may go alone."""

    place: Market
    who: Citizen
    of_this_store: UUID


def found_world(call: Call) -> World:
    """Rules, two stores with tills, two rewards of which a voucher lasts until the next midnight but one."""
    publish_offline_rule(call)
    publish_terms(call, close_days=1)
    place = market(call, valid_days=1, stock=100_000)
    return World(place, customer(call, 1_000_000_000), _only_here(call, place))


def _only_here(call: Call, place: Market) -> UUID:
    made = shelf(call, valid_days=1, stock=100_000, merchant_id=place.merchant_id, scope_no=place.scope_no)
    return made.reward_id


def _own_merchant(call: Call, place: Market) -> Market:
    """A merchant with a store and two tills, who honoured nothing yet."""
    merchant = add_merchant(call, name_zh="示例书店", name_en="Example bookshop")
    store = add_store(call, merchant, name_zh="一店", name_en="First")
    tills = [pair(call, new_terminal(call, store.id, label="till").code).terminal_id for _ in range(2)]
    return replace(place, merchant_id=merchant, scope_no=store.scope_no, till=tills[0], second_till=tills[1])


def new_case(call: Call, world: World, since: Since, sort: Sort, *, of_all: bool = False) -> Case:
    """A voucher of its own, as far as the two want it; its code is that of the last step before midnight."""
    place, who = (_own_merchant(call, world.place) if of_all else world.place), world.who
    reward = place.reward_id
    if sort is not Sort.OF_ANY_STORE:
        reward = _only_here(call, place) if of_all else world.of_this_store
    key = exchange(as_citizen(call, who), reward)
    ends_at = owned(as_citizen(call, who), key.voucher_id).ends_at
    last = replace(call, now=ends_at - SECOND)
    if sort is Sort.TAKEN_ALONG:
        code = live_codes(as_citizen(last, who), key.voucher_id)[0].text
    else:
        code = _code(last, key)
    made = Case(place=place, who=who, key=key, code=code, ends_at=ends_at)
    if sort is Sort.TAKEN_ALONG:
        made = replace(made, scans=tuple(_scanned(call, made) for _ in range(2)))
    if since is Since.CLOSING:
        back = cancel(as_citizen(last, who), key.voucher_id)
        return replace(made, closes_at=back.closes_at)
    if since >= Since.PREPARED:
        # It lapses at midnight, so that the expiry finds it.
        before = replace(call, now=ends_at - PREPARED_FOR)
        made = replace(made, session=prepare(place.at_till(before), code).session)
    if since >= Since.REDEEMED:
        made = replace(made, redemption=confirm(place.at_till(last), made.session or new_id()).id)
    return made


def _code(call: Call, key: Key) -> str:
    """What the phone shows, made without its asking for it."""
    known = select(VoucherCode.code_id).where(VoucherCode.voucher_id == key.voucher_id)
    return issue(
        call.keys.signer(call.db, Purpose.VOUCHER_CODE, now=call.now),
        code_id=bytes(call.db.execute(known).scalar_one()),
        scope_no=ONLINE_ONLY,
        not_after=steps(call.now, ends_at=call.now + SECOND)[0],
    )


def _scanned(call: Call, case: Case) -> tuple[UUID, Record]:
    """A till with a key of its own, and the scan that it signed in the last second of the voucher's day."""
    private = Ed25519PrivateKey.generate()
    store = call.db.get_one(Terminal, case.place.till).store_id
    made = new_terminal(call, store, label="offline")
    till = pair(call, made.code, public_key=private.public_key().public_bytes_raw().hex()).terminal_id
    at = seconds(case.ends_at - SECOND)
    signed = signed_bytes(till, previous=NO_RECORD, counter=1, scanned_at_s=at, code=case.code)
    return till, Record(
        counter=1, scanned_at_s=at, code=case.code, previous=NO_RECORD, signature=private.sign(signed)
    )


def sweep(call: Call) -> None:
    """End what a schedule left alive, so that the next meets nothing but its own voucher."""
    later = replace(call, now=NOW + timedelta(days=10))
    while expire_due(later) or close_due(later):
        pass


def found(database: Database, case: Case) -> dict[str, Any]:
    """What stands after a schedule: the voucher, its uses, and what its citizen holds for it."""

    def work(call: Call) -> dict[str, Any]:
        mine = owned(as_citizen(replace(call, now=NOW), case.who), case.key.voucher_id)
        coins = [each for each in balances(call, case.who.id) if each.unit.value == "coin"]
        return {"state": mine.state.value, "cycle": mine.cycle, "held": sum(each.held for each in coins)}

    values = {"voucher": case.key.voucher_id}
    return {
        **database.run(work),
        **{name: database.rows(query, **values)[0].n for name, query in _COUNTED.items()},
    }


_COUNTED = {
    "uses": "SELECT count(*) AS n FROM redemption WHERE voucher_id = :voucher",
    "reversals": "SELECT count(*) AS n FROM redemption_reversal b JOIN redemption r ON r.id = b.redemption_id"
    " WHERE r.voucher_id = :voucher",
    "cases": "SELECT count(*) AS n FROM offline_conflict WHERE voucher_id = :voucher",
    "lines": "SELECT count(*) AS n FROM settlement_line l JOIN redemption r ON r.id = l.subject_id"
    " WHERE r.voucher_id = :voucher",
    "steps": "SELECT count(*) AS n FROM voucher_step WHERE voucher_id = :voucher",
}
