"""Scans that a till accepted without asking are handed in: judged by the rules of the till, then redeemed.

Records come in the order of the till's chain; what continues the chain up to the first broken link is taken
in one transaction, and a record that was taken before is answered as before. The first record by receipt
uses the voucher, even one that is closing; every later one is a case with both parties, or refused where the
till itself handed the use in before. Vouchers are locked citizen by citizen, in the citizens' order, as
everywhere.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Row, select, text

from kernel.call import Call
from kernel.errors import NotFound, Refusal, require
from kernel.publications.rules import OfflineRule
from kernel.signing import Purpose, SigningKey, VerificationKeys
from ledger.errors import AccountFrozen
from merchants.errors import (
    OfflineChainBroken,
    OfflineClockWrong,
    OfflineNotAllowed,
    TerminalNotPaired,
    TerminalWithoutKey,
)
from merchants.offline_before import Use, accepted_before, latest_time
from merchants.offline_conflicts import FROZEN, LATE, Other, open_case, other_party
from merchants.offline_kit import LIST_AGE, ChainEnd, chain_end
from merchants.offline_records import Record, bytes_of, hash_of
from merchants.offline_rules import Ruled, RulesOfDays
from merchants.redemption import honour
from merchants.terminals import KnownTerminal, calling_terminal
from rewards.errors import CodeSeen, VoucherForAnotherMerchant
from rewards.presented_codes import Shown, taken
from rewards.voucher_codes import GRACE_S, CodeFrame, Till, verify_offline
from rewards.voucher_states import HELD
from rewards.vouchers import Key

MOST_RECORDS = 200
_GRACE = timedelta(seconds=GRACE_S)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one record: redeemed, a case, or refused by name."""

    counter: int
    outcome: str
    refusal: str | None = None
    redemption_id: UUID | None = None
    conflict_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What was taken: the outcomes up to the first broken link, and where the chain ends here."""

    outcomes: Sequence[Outcome]
    broken_at: int | None
    counter: int
    chain_hash: str


@dataclass(frozen=True)
class _Judged:
    """A record whose code was read by the till's rules: its use of a voucher, or why it is refused."""

    record: Record
    refusal: Refusal | None = None
    frame: CodeFrame | None = None
    ruled: Ruled | None = None
    key: Key | None = None
    cycle: int = 0


def hand_in(call: Call, records: Sequence[Record]) -> Taken:
    """Take the calling till's records, in their order.

    Refuses, in this order: `TerminalNotPaired`, `TerminalWithoutKey`, `OfflineChainBroken` when not even
    the first continues the chain, `OfflineNotAllowed` when no day of new records had a rule.
    """
    terminal = calling_terminal(call)
    public_key = _lock_till(call, terminal)
    end = chain_end(call, terminal.id)
    known = list(takewhile(lambda record: record.counter <= end.counter, records))
    outcomes = _as_before(call, terminal, known)
    fresh: list[Record] = []
    if len(outcomes) == len(known):
        fresh = _continuing(records[len(known) :], terminal, public_key, end)
    took = len(outcomes) + len(fresh)
    if records and took == 0:
        raise OfflineChainBroken(counter=end.counter, chain_hash=end.record_hash.hex())
    outcomes += _take(call, terminal, fresh)
    last = fresh[-1] if fresh else None
    return Taken(
        outcomes=outcomes,
        broken_at=records[took].counter if took < len(records) else None,
        counter=end.counter if last is None else last.counter,
        chain_hash=(end.record_hash if last is None else hash_of(last, terminal.id)).hex(),
    )


def _lock_till(call: Call, terminal: KnownTerminal) -> Ed25519PublicKey:
    """One batch of a till at a time; the key it made when it was paired."""
    row = call.db.execute(_LOCK_TILL, {"terminal": terminal.id}).one_or_none()
    if row is None:
        raise TerminalNotPaired
    require(row.public_key is not None, TerminalWithoutKey())
    return Ed25519PublicKey.from_public_bytes(bytes(row.public_key))


def _as_before(call: Call, terminal: KnownTerminal, known: Sequence[Record]) -> list[Outcome]:
    """The answers of records that stand, up to the first that is another record of the same number."""
    values = {"terminal": terminal.id, "counters": [record.counter for record in known]}
    stands = {row.counter: row for row in call.db.execute(_STANDING, values)} if known else {}
    outcomes = []
    for record in known:
        row = stands.get(record.counter)
        if row is None or bytes(row.record_hash) != hash_of(record, terminal.id):
            break
        outcomes.append(_outcome(row))
    return outcomes


def _continuing(
    records: Sequence[Record], terminal: KnownTerminal, key: Ed25519PublicKey, end: ChainEnd
) -> list[Record]:
    """The records that continue the chain, each signed by the till over the one before."""
    counter, before, whole = end.counter, end.record_hash, list[Record]()
    for record in records:
        if record.counter != counter + 1 or record.previous != before or not _signed(record, terminal, key):
            break
        whole.append(record)
        counter, before = record.counter, hash_of(record, terminal.id)
    return whole


def _signed(record: Record, terminal: KnownTerminal, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(record.signature, bytes_of(record, terminal.id))
    except InvalidSignature:
        return False
    return True


def _take(call: Call, terminal: KnownTerminal, records: Sequence[Record]) -> list[Outcome]:
    """Judge and use each, write it down, and answer in the order of the chain."""
    if not records:
        return []
    rules = RulesOfDays(call, terminal.region_id)
    read = _read_all(call, terminal, records, rules)
    require(rules.any(), OfflineNotAllowed())
    uses: dict[UUID, list[_Judged]] = defaultdict(list)
    outcomes: dict[int, Outcome] = {}
    vouchers: set[UUID] = set()
    for judged in read:
        if judged.key is None:
            outcomes[judged.record.counter] = _refuse(call, terminal, judged)
        else:
            uses[judged.key.holder_id].append(judged)
            vouchers.add(judged.key.voucher_id)
    accepted = accepted_before(call, terminal.id, vouchers)
    for _, of_one in sorted(uses.items()):
        keys = sorted({judged.key for judged in of_one if judged.key}, key=lambda key: key.voucher_id)
        for key in keys:
            taken(call, key)
        for judged in of_one:
            outcomes[judged.record.counter] = _use(call, terminal, judged, accepted)
    return [outcomes[record.counter] for record in records]


def _read_all(
    call: Call, terminal: KnownTerminal, records: Sequence[Record], rules: RulesOfDays
) -> list[_Judged]:
    """Each record by the rules of the till at its own time; then which use of which voucher it names."""
    keys, judged, latest = _Keys(call), list[_Judged](), latest_time(call, terminal.id)
    for record in records:
        at = record.scanned_at
        store = Till(scope_no=terminal.scope_no, seen=lambda _code_id: False)
        try:
            back = latest is not None and at < latest - _GRACE
            require(at <= call.now + _GRACE and not back, OfflineClockWrong())
            latest = at if latest is None else max(at, latest)
            frame = verify_offline(record.code, keys=keys.believed(at - LIST_AGE), till=store, now=at)
            ruled = rules.ruled(frame)
            require(ruled is not None, OfflineNotAllowed())
        except Refusal as refusal:
            judged.append(_Judged(record, refusal))
        else:
            judged.append(_Judged(record, frame=frame, ruled=ruled))
    return _named(call, judged)


def _named(call: Call, judged: list[_Judged]) -> list[_Judged]:
    code_ids = [each.frame.code_id for each in judged if each.frame is not None]
    rows = call.db.execute(_CODES, {"codes": code_ids}).all() if code_ids else []
    by_code = {bytes(row.code_id): row for row in rows}
    named = []
    for each in judged:
        row = None if each.frame is None else by_code.get(each.frame.code_id)
        if each.frame is not None and row is None:
            named.append(_Judged(each.record, NotFound()))
        elif row is not None:
            key = Key(holder_id=row.holder_id, voucher_id=row.voucher_id)
            named.append(replace(each, key=key, cycle=row.cycle))
        else:
            named.append(each)
    return named


class _Keys:
    """The voucher keys as a till could know them at any instant; read once."""

    def __init__(self, call: Call) -> None:
        rows = call.db.scalars(
            select(SigningKey).where(SigningKey.purpose == Purpose.VOUCHER_CODE.value)
        ).all()
        self._public = {row.kid: Ed25519PublicKey.from_public_bytes(row.public_key) for row in rows}
        self._retired_at = {row.kid: row.retired_at for row in rows if row.retired_at is not None}

    def believed(self, listed_at: datetime) -> VerificationKeys:
        """With the oldest list a till may hold; a key that was retired before it was made is refused."""
        retired = frozenset(kid for kid, at in self._retired_at.items() if at <= listed_at)
        return VerificationKeys(self._public, retired)


def _use(call: Call, terminal: KnownTerminal, judged: _Judged, accepted: dict[Use, bool]) -> Outcome:
    """Use the voucher that a record names, or open a case; its rows and the till's are locked.

    A use that the till handed in before is refused; only where every time came too late, and so cost
    nobody but the merchant, a scan in time still uses the voucher.
    """
    record, key, ruled = judged.record, judged.key, judged.ruled
    if key is None or ruled is None:
        raise NotFound
    voucher = taken(call, key)
    ours = voucher.merchant_id in {None, terminal.merchant_id} and voucher.region_id == terminal.region_id
    if not ours:
        return _refuse(call, terminal, _Judged(record, VoucherForAnotherMerchant()))
    arrived = ruled.in_time(voucher, now=call.now)
    live, use = voucher.state in HELD and voucher.cycle == judged.cycle, (key.voucher_id, judged.cycle)
    if use in accepted and not (live and arrived and accepted[use]):
        return _refuse(call, terminal, replace(judged, refusal=CodeSeen()))
    accepted[use] = live and not arrived
    if live and arrived:
        return _redeem(call, terminal, judged, voucher, ruled.rule)
    cause, other = (LATE, Other()) if live else other_party(call, voucher, cycle=judged.cycle)
    return _dispute(
        call, terminal, judged, voucher, cause=cause, other=other, rule=ruled.rule, late=not arrived
    )


def _dispute(
    call: Call,
    terminal: KnownTerminal,
    judged: _Judged,
    voucher: Shown,
    *,
    cause: str,
    other: Other,
    rule: OfflineRule,
    late: bool = False,
) -> Outcome:
    counter = _write(call, terminal, judged, outcome="conflict")
    case = open_case(
        call,
        terminal,
        voucher,
        judged.record,
        cycle=judged.cycle,
        cause=cause,
        other=other,
        rule=rule,
        late=late,
    )
    return Outcome(counter=counter, outcome="conflict", conflict_id=case)


def _redeem(
    call: Call, terminal: KnownTerminal, judged: _Judged, voucher: Shown, rule: OfflineRule
) -> Outcome:
    savepoint = call.db.begin_nested()
    try:
        done = honour(call, terminal, voucher)
        savepoint.commit()
    except AccountFrozen:
        savepoint.rollback()
        return _dispute(call, terminal, judged, voucher, cause=FROZEN, other=Other(), rule=rule)
    counter = _write(call, terminal, judged, outcome="redeemed", redemption_id=done.id)
    return Outcome(counter=counter, outcome="redeemed", redemption_id=done.id)


def _refuse(call: Call, terminal: KnownTerminal, judged: _Judged) -> Outcome:
    refusal = "not_found" if judged.refusal is None else judged.refusal.code
    counter = _write(call, terminal, judged, outcome="refused", refusal=refusal)
    return Outcome(counter=counter, outcome="refused", refusal=refusal)


def _write(call: Call, terminal: KnownTerminal, judged: _Judged, *, outcome: str, **rest: Any) -> int:
    record = judged.record
    values = {
        "terminal": terminal.id,
        "counter": record.counter,
        "region": terminal.region_id,
        "store": terminal.store_id,
        "code": record.code,
        "scanned": record.scanned_at,
        "now": call.now,
        "previous": record.previous,
        "signature": record.signature,
        "hash": hash_of(record, terminal.id),
        "outcome": outcome,
        "refusal": None,
        "voucher": None if judged.key is None else judged.key.voucher_id,
        "cycle": None if judged.key is None else judged.cycle,
        "redemption_id": None,
        **rest,
    }
    call.db.execute(_WRITE, values)
    return record.counter


def _outcome(row: Row[Any]) -> Outcome:
    return Outcome(
        counter=row.counter,
        outcome=row.outcome,
        refusal=row.refusal,
        redemption_id=row.redemption_id,
        conflict_id=row.conflict_id,
    )


_LOCK_TILL = text(
    "SELECT public_key FROM terminal WHERE id = :terminal AND state = 'paired' FOR NO KEY UPDATE"
)
_STANDING = text(
    "SELECT r.counter, r.record_hash, r.outcome, r.refusal, r.redemption_id, f.id AS conflict_id"
    " FROM offline_record r LEFT JOIN offline_conflict f"
    " ON f.terminal_id = r.terminal_id AND f.counter = r.counter"
    " WHERE r.terminal_id = :terminal AND r.counter = ANY (CAST(:counters AS bigint[]))"
)
_CODES = text(
    "SELECT code_id, holder_id, voucher_id, cycle FROM voucher_code"
    " WHERE code_id = ANY (CAST(:codes AS bytea[]))"
)
_WRITE = text(
    "INSERT INTO offline_record (terminal_id, counter, region_id, store_id, code, scanned_at, received_at,"
    " previous_hash, signature, record_hash, outcome, refusal, voucher_id, cycle, redemption_id)"
    " VALUES (:terminal, :counter, :region, :store, :code, :scanned, :now, :previous, :signature, :hash,"
    " :outcome, CAST(:refusal AS text), CAST(:voucher AS uuid), CAST(:cycle AS integer),"
    " CAST(:redemption_id AS uuid))"
)
