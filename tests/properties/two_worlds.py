"""One city in which the same things happen twice: record by record, and in files.

Everything lies in one transaction that is rolled back. Between the two worlds stands a savepoint, so both
begin with the same rows down to their ids, and what they leave can be compared as it stands. A unit of work
is a session whose commit is a savepoint; a lock lets one thread at a time have the connection, so lanes come
one after the other here.
"""

import csv
import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from io import BytesIO
from typing import Any, TypeVar
from uuid import UUID

import orjson
import polars as pl
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from carbon.activities.adapters.activity_fields import OPTIONAL, REQUIRED
from carbon.activities.adapters.activity_lines import read_activity_lines
from carbon.activities.adapters.utility_bills import COLUMNS, read_bills
from carbon.activities.batch_results import every_line
from carbon.activities.imports import ImportOrder, import_file
from carbon.activities.intake import take_activity
from carbon.methodologies.inputs import INPUTS
from carbon.partners.bindings import CitizenCard, bind_many, hash_subject, withdraw_consent
from carbon.partners.registry import find_partner, grant_evidence, register_partner
from carbon.partners.tables import Binding
from carbon.reconciliation import CHECKS
from kernel.call import Call
from kernel.errors import Refusal
from kernel.identifiers import new_id
from ledger.accounts import Account, find_account
from ledger.chart import STANDARD, Code, Kind, Unit
from ledger.holds import HoldSet, hold, spend
from ledger.reconciliation import CHECKS as LEDGER_CHECKS
from ledger.reconciliation import reconcile
from ledger.statements import balances
from tests.carbon.city import OFFICIAL, RETROSPECTIVE, SECRET, City, as_operator, publish_rule, publish_tables
from tests.conftest import NOW, REGION, Database, at, make_call
from tests.ledger.world import shop

Result = TypeVar("Result")
Record = dict[str, Any]
Left = dict[str, list[dict[str, Any]]]
"""Rows of a world by what they are about."""
WATER = "tap_water_national.yaml"
HANDED_ON = NOW - timedelta(days=3)
"""When a card went from one citizen to another; between the two days after it a consent was not there."""
CITIZENS = 3
OWN = tuple(f"own-{number}" for number in range(CITIZENS))
SECOND = "second-0"
"""Another card of the first citizen."""
OTHERS = ("handed-on", "given-back", "nobodys", "withdrawn", "came-back")


@dataclass(frozen=True)
class Told:
    """What became of a line."""

    outcome: str
    code: str | None
    pointer: str | None

    def as_one(self) -> "Told":
        """As the same record alone would be told: an earlier line of the file is an earlier record.

        A line that repeats another names no field in a file.
        """
        code = _IN_FILE.get(self.code or "")
        return self if code is None else Told(self.outcome, code, _POINTERS[code])


_IN_FILE = {"duplicate_in_file": "duplicate", "content_differs_in_file": "record_differs"}
_POINTERS = {"duplicate": None, "record_differs": "/source_event_id"}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A published rule of the example."""

    kind: str
    subject: str
    content: Mapping[str, Any]
    since: date = date(2018, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What happens after a file: all `spend` or `hold`, or `wait`; one does the others.

    Those are `withdraw`, `consent`, `give_back` and `hand_on`.
    """

    what: str
    citizen: int = 0
    days: int = 0


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Records that come together, the form of their file and its chunks, and what happens afterwards."""

    records: tuple[Record, ...]
    form: str = "ndjson"
    chunk_lines: int = 1000
    lanes: int = 1
    deed: Deed | None = None


@dataclass
class Ground:
    """The planted city, and the moment."""

    connection: Connection
    city: City
    citizens: tuple[UUID, ...]
    till: Account
    now: datetime = NOW
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, work: Callable[[Call], Result]) -> Result:
        """One unit of work."""
        with (
            self.lock,
            Session(
                self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
            ) as session,
        ):
            result = work(make_call(session, now=self.now))
            session.commit()
            return result

    @contextmanager
    def world(self) -> Iterator[None]:
        """What happens inside is undone."""
        point, self.now = self.connection.begin_nested(), NOW
        try:
            yield
        finally:
            point.rollback()

    def publish(self, rules: Sequence[Rule]) -> None:
        """Put rules in force."""
        for rule in rules:
            self.run(
                lambda call, rule=rule: publish_rule(  # type: ignore[misc]  # bound now
                    call, rule.kind, rule.subject, dict(rule.content), since=rule.since
                )
            )

    def grant(self, tiers: Sequence[str]) -> None:
        """Say which evidence tiers the partner may claim."""
        self.run(
            lambda call: grant_evidence(
                as_operator(call), self.city.partner_id, tiers=tiers, reason="an example"
            )
        )

    def one_by_one(self, parcels: Sequence[Parcel]) -> list[list[Told]]:
        """Take each record in a unit of work of its own, as the route does."""
        return [
            self._after(parcel, [self._one(parcel.form, record) for record in parcel.records])
            for parcel in parcels
        ]

    def in_files(self, parcels: Sequence[Parcel]) -> list[list[Told]]:
        """Take each parcel as a file."""
        return [
            self._after(parcel, self._file(parcel, f"file-{number}")) for number, parcel in enumerate(parcels)
        ]

    def _after(self, parcel: Parcel, told: list[Told]) -> list[Told]:
        if parcel.deed is not None:
            self._happen(parcel.deed)
        return told

    def _one(self, form: str, record: Record) -> Told:
        if form == "utility_bills":
            line = pl.concat(read_bills(BytesIO(as_csv(form, [record]))))
        else:
            line = next(read_activity_lines(BytesIO(orjson.dumps(record)), form="ndjson"))
        try:
            row = self.run(lambda call: take_activity(call, self.city.intake(), line))
        except Refusal as refused:
            return Told("rejected", refused.facts.get("line_code", refused.code), refused.pointer)
        return Told(str(row["outcome"]), row["code"], row["pointer"])  # type: ignore[arg-type]  # text or None

    def _file(self, parcel: Parcel, name: str) -> list[Told]:
        write = as_ndjson if parcel.form == "ndjson" else as_csv
        order = ImportOrder(
            partner_id=self.city.partner_id,
            adapter=parcel.form,
            reference=name,
            card_secret=SECRET,
            chunk_lines=parcel.chunk_lines,
            lanes=parcel.lanes,
        )
        done = import_file(self.run, BytesIO(write(parcel.form, parcel.records)), order)
        lines = [line for page in every_line(self.run, done.batch_id) for line in page]
        assert done.lines == len(lines) == len(parcel.records)
        return [Told(line.outcome, line.code, line.pointer).as_one() for line in lines]

    def _happen(self, deed: Deed) -> None:
        if deed.what == "wait":
            self.now += timedelta(days=deed.days)
            return
        who = self.citizens[deed.citizen]
        self.run(lambda call: self._deed(call, deed.what, who))

    def _deed(self, call: Call, what: str, who: UUID) -> None:
        if what == "withdraw":
            withdraw_consent(call, who, self.city.partner_id)
        elif what == "consent":
            bind(call, self.city, who)
        elif what == "hand_on":
            end_binding(call, self.city, OWN[self.citizens.index(who)])
            bind(call, self.city, self.citizens[-1], OWN[self.citizens.index(who)])
        elif what == "give_back":
            end_binding(call, self.city, OWN[self.citizens.index(who)])
        else:
            for each in self.citizens:
                self._set_aside(call, each, spent=what == "spend")

    def _set_aside(self, call: Call, who: UUID, *, spent: bool) -> None:
        """Hold everything that the citizen has for a voucher, and maybe redeem it."""
        available = sum(each.available for each in balances(call, who) if each.unit is Unit.COIN)
        if not available:
            return
        held = HoldSet(holder_id=who, purpose="voucher", reference=f"{new_id()}/0")
        account = find_account(call, who, kind=Kind.CITIZEN, unit=Unit.COIN, validity_class=STANDARD)
        hold(call, held, [account], amount=available, until=None)
        if spent:
            spend(call, held, self.till, code=Code.REDEEM, reference=held.reference, occurred_at=call.now)

    def left(self) -> Left:
        """What stands in the world, in an order of its own."""
        found = {name: self.connection.execute(text(query)).mappings() for name, query in _LEFT.items()}
        return {name: sorted(map(dict, rows), key=repr) for name, rows in found.items()}

    def broken(self) -> dict[str, Any]:
        """Which invariants do not hold, with what was found."""
        outcomes = self.run(lambda call: reconcile(call, (*LEDGER_CHECKS, *CHECKS)))
        return {outcome.check.name: outcome.findings for outcome in outcomes if not outcome.holds}


def plant(database: Database) -> tuple[City, tuple[UUID, ...], Account]:
    """A city of some citizens with cards of every kind; its coin rate and caps come with each example."""
    city = database.run(_plant_city)
    citizens = tuple(new_id() for _ in range(CITIZENS + 4))
    database.run(lambda call: _plant_cards(call, city, citizens))
    return city, citizens, database.run(shop)


def _plant_city(call: Call) -> City:
    publish_rule(call, "validity", "standard", {"months": 24})
    publish_rule(call, "validity", "promotional", {"months": 3})
    publish_rule(call, "factor_fallback", "household_water_saving", {"region_id": "CN"})
    publish_tables(call, OFFICIAL, RETROSPECTIVE, WATER)
    registered = register_partner(call, name="demo transit", region_id=REGION)
    return City(registered.partner.id, registered.api_key)


def _plant_cards(call: Call, city: City, citizens: tuple[UUID, ...]) -> None:
    first = at(call, HANDED_ON - timedelta(days=30))
    leaver, returner, heir = citizens[CITIZENS:-1]
    for citizen, card in zip(citizens, OWN, strict=False):
        bind(first, city, citizen, card)
    bind(first, city, citizens[0], SECOND)
    bind(first, city, citizens[1], "handed-on", "given-back")
    bind(first, city, leaver, "withdrawn")
    bind(first, city, returner, "came-back")
    then = at(call, HANDED_ON)
    end_binding(then, city, "handed-on")
    end_binding(then, city, "given-back")
    bind(then, city, heir, "handed-on")
    withdraw_consent(then, leaver, city.partner_id)
    withdraw_consent(then, returner, city.partner_id)
    bind(at(call, HANDED_ON + timedelta(days=2)), city, returner)


def bind(call: Call, city: City, citizen: UUID, *cards: str) -> None:
    """Consent, unless a consent is open, and bind cards."""
    hashed = [
        CitizenCard(citizen, hash_subject(SECRET, partner_id=city.partner_id, subject=card))
        for card in cards or (f"only-consent-{citizen}",)
    ]
    bind_many(call, find_partner(call, city.partner_id), hashed, text_version="v1")


def end_binding(call: Call, city: City, card: str) -> None:
    """End what binds a card."""
    hashed = hash_subject(SECRET, partner_id=city.partner_id, subject=card)
    call.db.flush()  # bindings that the unit of work holds back
    open_ones = call.db.query(Binding).filter(Binding.subject_hash == hashed, Binding.ended_at.is_(None))
    for binding in open_ones:
        binding.ended_at = call.now


def as_ndjson(_form: str, records: Sequence[Record]) -> bytes:
    """A file of records as they are."""
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def as_csv(form: str, records: Sequence[Record]) -> bytes:
    """The same records as cells."""
    flat = [{**record, **record.get("inputs", {})} for record in records]
    names = [*_COLUMNS[form], *(name for name in INPUTS if any(name in row for row in flat))]
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([["" if row.get(name) is None else row[name] for name in names] for row in flat])
    return sink.getvalue().encode()


_COLUMNS = {"csv": (*REQUIRED, *OPTIONAL), "utility_bills": COLUMNS}
_LEFT = {
    "activities": (
        "SELECT a.source_event_id, a.revision, a.citizen_id, b.region_id, b.partner_id, b.scenario,"
        " b.found_by, b.factor_id, b.coin_rule_id, b.cap_rule_id, a.started_at, a.occurred_at,"
        " a.business_day, a.inputs, a.facts, a.carbon_mg, a.coin_milli, a.coin_cut_milli,"
        " b.evidence, b.evidence_rule_id, encode(a.digest, 'hex') AS digest, a.reason,"
        " a.coin_transfer_id IS NULL AS no_coins_posted,"
        " a.carbon_transfer_id IS NULL AS no_carbon_posted, a.recorded_at"
        " FROM activity a JOIN activity_basis b ON b.id = a.basis_id"
    ),
    "references": (
        "SELECT r.source_event_id, r.revision, r.citizen_id, encode(r.payload_hash, 'hex') AS payload_hash,"
        " a.source_event_id AS of_event, a.revision AS of_revision FROM activity_reference r"
        " LEFT JOIN activity a ON a.citizen_id = r.citizen_id AND a.id = r.activity_id"
    ),
    "reversals": (
        "SELECT a.source_event_id, a.revision, n.source_event_id AS by_event, n.revision AS by_revision,"
        " v.coin_milli, v.coin_absorbed_milli, v.carbon_mg, v.coin_transfer_id IS NULL AS no_coins_posted,"
        " v.carbon_transfer_id IS NULL AS no_carbon_posted, v.recorded_at FROM activity_reversal v"
        " LEFT JOIN activity a ON a.citizen_id = v.citizen_id AND a.id = v.activity_id"
        " LEFT JOIN activity n ON n.citizen_id = v.citizen_id AND n.id = v.superseded_by"
    ),
    "balances": (
        "SELECT a.holder_id, a.kind, a.unit, a.validity_class, b.posted, b.held, b.floor, b.frozen,"
        " b.next_expiry FROM ledger_account a"
        " LEFT JOIN ledger_balance b ON b.holder_id = a.holder_id AND b.account_id = a.id"
    ),
    # Credits are grouped in files; what is taken back is posted for each activity alone.
    "transfers": (
        "SELECT a.holder_id, a.kind, a.unit, a.validity_class, c.holder_id AS contra_holder,"
        " c.kind AS contra, t.code, t.expires_on, t.recorded_at, sum(t.amount) AS amount,"
        " CASE WHEN t.code NOT IN ('CREDIT', 'CREDIT_CARBON') THEN count(*) END AS postings"
        " FROM ledger_transfer t"
        " JOIN ledger_account a ON a.holder_id = t.holder_id AND a.id = t.account_id"
        " JOIN ledger_account c ON c.id = t.contra_id GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9"
    ),
    "buckets": (
        "SELECT a.holder_id, a.kind, a.validity_class, k.expires_on, k.credited, k.expired FROM coin_bucket k"
        " JOIN ledger_account a ON a.holder_id = k.holder_id AND a.id = k.account_id"
    ),
    "caps": "SELECT holder_id, region_id, subject, period, period_start, used FROM cap_usage",
    "counts": "SELECT citizen_id, region_id, subject, business_day, records FROM activity_count",
    "holds": (
        "SELECT h.citizen_id, a.source_event_id, a.revision, h.region_id, h.state, h.reason_zh, h.reason_en,"
        " h.coin_milli, h.held_by, h.held_at, h.rule_id, h.measured, l.amount, l.purpose, l.recorded_at"
        " FROM activity_hold h"
        " LEFT JOIN activity a ON a.citizen_id = h.citizen_id AND a.id = h.activity_id"
        " LEFT JOIN ledger_hold l ON l.holder_id = h.citizen_id"
        " AND l.reference = CAST(h.activity_id AS text)"
    ),
    "trips": (
        "SELECT c.citizen_id, c.slot, c.mode_class, a.source_event_id, a.revision FROM trip_claim c"
        " LEFT JOIN activity a ON a.citizen_id = c.citizen_id AND a.id = c.activity_id"
    ),
    "meters": (
        "SELECT source_event_id, revision, encode(meter_hash, 'hex') AS meter, CAST(days AS text) AS days,"
        " claimed_at, ended_at FROM meter_claim"
    ),
}
