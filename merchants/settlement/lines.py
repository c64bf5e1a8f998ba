"""The lines of a settlement as everybody reads them, in one order, and the digest over them.

The digest is SHA-256 over the head and then each line, all in canonical bytes, so that anybody who has the
lines makes it again: the product from the ledger, an auditor from the bundle.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from kernel.call import Call
from kernel.canonical import canonical_bytes
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest
from merchants.offline_conflicts import CONFLICT
from merchants.redemption import REDEMPTION
from merchants.settlement.states import USES, What

AT_ONCE = 1000
WHATS = tuple(What)
PREFIXES = {
    What.REDEMPTION: REDEMPTION,
    What.REVERSAL: REDEMPTION,
    What.CONFLICT: CONFLICT,
    What.ADJUSTMENT: "adj",
    What.FEE: "stl",
    What.SUBSIDY: "stl",
}
"""What the ids of lines are ids of."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a settlement is of."""

    settlement_id: UUID
    merchant_id: UUID
    first_day: date
    last_day: date
    rule_id: UUID


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing settled; `shares` is what each funder owes for it."""

    what: What
    subject_id: UUID
    store_id: UUID | None
    terminal_id: UUID | None
    business_day: date
    happened_at: datetime
    coin_milli: int
    payable_fen: int
    centre_fen: int
    shares: Mapping[UUID, int]

    @property
    def redemption_id(self) -> UUID | None:
        """The redemption it is about."""
        return self.subject_id if self.what in USES else None

    @property
    def conflict_id(self) -> UUID | None:
        """The offline case it is about."""
        return self.subject_id if self.what is What.CONFLICT else None

    @property
    def adjustment_id(self) -> UUID | None:
        """The adjustment it is."""
        return self.subject_id if self.what is What.ADJUSTMENT else None

    @property
    def public(self) -> str:
        """The id of what it is about, as the outside sees it."""
        return public_id(PREFIXES[self.what], self.subject_id)

    @property
    def by_funder(self) -> list[dict[str, Any]]:
        """The shares as a list."""
        return [{"funder_id": funder, "fen": fen} for funder, fen in sorted(self.shares.items())]

    @property
    def place(self) -> tuple[datetime, bytes, str]:
        """Where it stands among the others."""
        return self.happened_at, self.subject_id.bytes, self.what.value


@dataclass
class Sums:
    """What lines come to, counted while they pass by, and the digest of those that passed."""

    head: Head
    lines: int = 0
    coin_milli: int = 0
    payable_fen: int = 0
    centre_fen: int = 0
    owed: dict[UUID, int] = field(default_factory=dict)
    _sha256: Any = None

    def __post_init__(self) -> None:
        self._sha256 = hashlib.sha256(_head_bytes(self.head))

    def add(self, line: Line) -> None:
        """Count one more line, in order."""
        self.lines += 1
        self.coin_milli += line.coin_milli
        self.payable_fen += line.payable_fen
        self.centre_fen += line.centre_fen
        for funder, fen in line.shares.items():
            self.owed[funder] = self.owed.get(funder, 0) + fen
        self._sha256.update(_line_bytes(line))

    def digest(self) -> bytes:
        """SHA-256 over the head and every line so far."""
        return bytes(self._sha256.digest())

    def by_funder(self) -> list[dict[str, Any]]:
        """What each funder owes over all, as it is stored."""
        return [{"funder_id": str(funder), "fen": fen} for funder, fen in sorted(self.owed.items())]


def summed(head: Head, lines: Iterable[Line]) -> Sums:
    """Everything that lines in their order come to."""
    sums = Sums(head)
    for line in lines:
        sums.add(line)
    return sums


def _head_bytes(head: Head) -> bytes:
    named = (head.settlement_id, head.merchant_id, head.first_day, head.last_day, head.rule_id)
    return canonical_bytes("settlement/1", *named)


def _line_bytes(line: Line) -> bytes:
    return canonical_bytes(
        "settlement-line/1",
        line.what.value,
        line.subject_id,
        line.store_id,
        line.terminal_id,
        line.business_day,
        line.happened_at,
        line.coin_milli,
        line.payable_fen,
        line.centre_fen,
        tuple((funder, fen) for funder, fen in sorted(line.shares.items())),
    )


def all_lines(call: Call, settlement_id: UUID) -> Iterator[Line]:
    """Every line in order; only some are in memory."""
    rows = call.db.execute(_ALL, {"settlement": settlement_id}, execution_options={"yield_per": AT_ONCE})
    return map(as_line, rows)


def more_lines(call: Call, settlement_id: UUID, page: PageRequest) -> Page[Line]:
    """Lines behind a cursor; refuses `WrongCursor`. The caller knows that they may be read."""
    binding = f"settlement/{settlement_id}"
    subject, what = page.position(binding, UUID, int) or (None, None)
    values: dict[str, Any] = {"settlement": settlement_id, "most": page.limit + 1}
    if subject is not None:
        known = isinstance(what, int) and what < len(WHATS)
        values |= {"subject": subject, "what": WHATS[what].value if known else ""}
    rows = call.db.execute(_FIRST if subject is None else _AFTER, values)
    return page.page([as_line(row) for row in rows], binding, _position)


def _position(line: Line) -> list[str | int]:
    return [str(line.subject_id), WHATS.index(line.what)]


def as_line(row: Row[Any]) -> Line:
    """A row of `settlement_line` as everybody reads it."""
    return Line(
        what=What(row.what),
        subject_id=row.subject_id,
        store_id=row.store_id,
        terminal_id=row.terminal_id,
        business_day=row.business_day,
        happened_at=row.happened_at,
        coin_milli=row.coin_milli,
        payable_fen=row.payable_fen,
        centre_fen=row.centre_fen,
        shares={UUID(share["funder_id"]): share["fen"] for share in row.shares},
    )


_ORDER = "happened_at, subject_id, what"
_ALL = text(f"SELECT * FROM settlement_line WHERE settlement_id = :settlement ORDER BY {_ORDER}")  # noqa: S608 - our own text
_FIRST = text(
    f"SELECT * FROM settlement_line WHERE settlement_id = :settlement ORDER BY {_ORDER} LIMIT :most"  # noqa: S608 - our own text
)
_AFTER = text(
    "SELECT * FROM settlement_line WHERE settlement_id = :settlement"  # noqa: S608 - our own text
    f" AND ({_ORDER}) > (SELECT {_ORDER} FROM settlement_line WHERE settlement_id = :settlement"
    f" AND subject_id = :subject AND what = :what) ORDER BY {_ORDER} LIMIT :most"
)
