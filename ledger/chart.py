"""The chart: which kinds of account there are, and which code may move what from where to where.

Guarded kinds own a running balance and stand only on the owning side of a transfer; folded kinds
have no balance row, theirs is the sum over transfers. Read a line of `MOVES` as: under this code,
in this unit, a row of `owner` with `contra` on its other side may have this sign.
"""

from dataclasses import dataclass
from enum import StrEnum

from kernel.errors import BrokenInvariant


class Unit(StrEnum):
    """What an account counts, each in its smallest integer."""

    COIN = "coin"
    CARBON = "carbon"
    CNY = "cny"


class Kind(StrEnum):
    """What an account is for."""

    CITIZEN = "citizen"
    DONOR = "donor"
    POOL = "pool"
    CAMPAIGN = "campaign"
    MARKET_BATCH = "market_batch"
    EVENT = "event"
    ISSUANCE = "issuance"
    SOURCE = "source"
    MERCHANT = "merchant"
    CLEARING = "clearing"
    EXPIRED = "expired"
    SETTLED = "settled"
    RETIRED = "retired"
    CLAWED_BACK = "clawed_back"
    FUNDER = "funder"
    BANK = "bank"
    CENTRE = "centre"


GUARDED = frozenset({Kind.CITIZEN, Kind.DONOR, Kind.POOL, Kind.CAMPAIGN, Kind.MARKET_BATCH, Kind.EVENT})

STANDARD, PROMOTIONAL, NO_CLASS = "standard", "promotional", "-"
SPENDING_ORDER = (PROMOTIONAL, STANDARD)
"""Coins that end sooner are spent first; published with the coin rules."""


class Code(StrEnum):
    """Why something moved."""

    CREDIT = "CREDIT"
    CREDIT_CARBON = "CREDIT_CARBON"
    REDEEM = "REDEEM"
    REDEEM_REVERSAL = "REDEEM_REVERSAL"
    EXPIRE = "EXPIRE"
    EXPIRE_REVERSAL = "EXPIRE_REVERSAL"
    DONATE = "DONATE"
    ALLOCATE = "ALLOCATE"
    BONUS = "BONUS"
    ASSIGN = "ASSIGN"
    RETURN = "RETURN"
    RETIRE = "RETIRE"
    CORRECTION = "CORRECTION"
    CLAW_BACK = "CLAW_BACK"
    ADJUST = "ADJUST"
    PAYABLE = "PAYABLE"
    PAYABLE_REVERSAL = "PAYABLE_REVERSAL"
    SETTLE = "SETTLE"
    PAID = "PAID"
    FEE = "FEE"
    SUBSIDY = "SUBSIDY"


class Sign(StrEnum):
    """Which way the owner's side may move."""

    IN = "+"
    OUT = "-"
    BOTH = "+-"


@dataclass(frozen=True)
class Move:
    """One line of the chart."""

    code: Code
    unit: Unit
    owner: Kind
    sign: Sign
    contra: Kind
    when_frozen: bool = False
    to_floor: bool = False


MOVES = (
    Move(Code.CREDIT, Unit.COIN, Kind.CITIZEN, Sign.IN, Kind.ISSUANCE, when_frozen=True),
    Move(Code.CREDIT_CARBON, Unit.CARBON, Kind.CITIZEN, Sign.IN, Kind.SOURCE, when_frozen=True),
    Move(Code.CREDIT_CARBON, Unit.CARBON, Kind.DONOR, Sign.IN, Kind.SOURCE, when_frozen=True),
    Move(Code.REDEEM, Unit.COIN, Kind.CITIZEN, Sign.OUT, Kind.MERCHANT),
    Move(Code.REDEEM_REVERSAL, Unit.COIN, Kind.CITIZEN, Sign.IN, Kind.MERCHANT, when_frozen=True),
    Move(Code.EXPIRE, Unit.COIN, Kind.CITIZEN, Sign.OUT, Kind.EXPIRED, when_frozen=True),
    Move(Code.EXPIRE_REVERSAL, Unit.COIN, Kind.CITIZEN, Sign.IN, Kind.EXPIRED, when_frozen=True),
    Move(Code.DONATE, Unit.CARBON, Kind.DONOR, Sign.OUT, Kind.CLEARING),
    Move(Code.DONATE, Unit.CARBON, Kind.POOL, Sign.IN, Kind.CLEARING, when_frozen=True),
    Move(Code.ALLOCATE, Unit.CARBON, Kind.POOL, Sign.OUT, Kind.CLEARING),
    Move(Code.ALLOCATE, Unit.CARBON, Kind.CITIZEN, Sign.IN, Kind.CLEARING, when_frozen=True),
    Move(Code.BONUS, Unit.COIN, Kind.CAMPAIGN, Sign.OUT, Kind.CLEARING),
    Move(Code.BONUS, Unit.COIN, Kind.CITIZEN, Sign.IN, Kind.CLEARING, when_frozen=True),
    Move(Code.ASSIGN, Unit.CARBON, Kind.CITIZEN, Sign.OUT, Kind.CLEARING),
    Move(Code.ASSIGN, Unit.CARBON, Kind.MARKET_BATCH, Sign.IN, Kind.CLEARING),
    Move(Code.ASSIGN, Unit.CARBON, Kind.EVENT, Sign.IN, Kind.CLEARING),
    Move(Code.RETURN, Unit.CARBON, Kind.MARKET_BATCH, Sign.OUT, Kind.CLEARING),
    Move(Code.RETURN, Unit.CARBON, Kind.CITIZEN, Sign.IN, Kind.CLEARING, when_frozen=True),
    Move(Code.RETIRE, Unit.CARBON, Kind.MARKET_BATCH, Sign.OUT, Kind.RETIRED),
    Move(Code.RETIRE, Unit.CARBON, Kind.EVENT, Sign.OUT, Kind.RETIRED),
    Move(Code.RETIRE, Unit.CARBON, Kind.POOL, Sign.OUT, Kind.RETIRED),
    Move(Code.CORRECTION, Unit.COIN, Kind.CITIZEN, Sign.BOTH, Kind.ISSUANCE, True, True),
    Move(Code.CORRECTION, Unit.COIN, Kind.FUNDER, Sign.BOTH, Kind.ISSUANCE),
    Move(Code.CORRECTION, Unit.CARBON, Kind.CITIZEN, Sign.BOTH, Kind.SOURCE, True, True),
    Move(Code.CLAW_BACK, Unit.COIN, Kind.CITIZEN, Sign.OUT, Kind.ISSUANCE, True, True),
    Move(Code.CLAW_BACK, Unit.CARBON, Kind.CITIZEN, Sign.OUT, Kind.CLAWED_BACK, True, True),
    Move(Code.CLAW_BACK, Unit.CARBON, Kind.DONOR, Sign.OUT, Kind.CLAWED_BACK, when_frozen=True),
    Move(Code.CLAW_BACK, Unit.CARBON, Kind.POOL, Sign.OUT, Kind.CLAWED_BACK, when_frozen=True),
    Move(Code.ADJUST, Unit.COIN, Kind.CITIZEN, Sign.BOTH, Kind.ISSUANCE, when_frozen=True),
    Move(Code.ADJUST, Unit.CARBON, Kind.CITIZEN, Sign.BOTH, Kind.SOURCE, when_frozen=True),
    Move(Code.ADJUST, Unit.COIN, Kind.CITIZEN, Sign.IN, Kind.MERCHANT, when_frozen=True),
    Move(Code.ADJUST, Unit.CNY, Kind.MERCHANT, Sign.BOTH, Kind.FUNDER),
    Move(Code.PAYABLE, Unit.CNY, Kind.MERCHANT, Sign.IN, Kind.FUNDER),
    Move(Code.PAYABLE_REVERSAL, Unit.CNY, Kind.MERCHANT, Sign.OUT, Kind.FUNDER),
    Move(Code.SETTLE, Unit.CNY, Kind.MERCHANT, Sign.OUT, Kind.SETTLED),
    Move(Code.SETTLE, Unit.COIN, Kind.MERCHANT, Sign.OUT, Kind.SETTLED),
    Move(Code.PAID, Unit.CNY, Kind.SETTLED, Sign.OUT, Kind.BANK),
    Move(Code.FEE, Unit.CNY, Kind.MERCHANT, Sign.OUT, Kind.CENTRE),
    Move(Code.FEE, Unit.CNY, Kind.FUNDER, Sign.OUT, Kind.CENTRE),
    Move(Code.SUBSIDY, Unit.CNY, Kind.MERCHANT, Sign.IN, Kind.FUNDER),
    Move(Code.SUBSIDY, Unit.CNY, Kind.MERCHANT, Sign.IN, Kind.CENTRE),
)

_INDEX = {(move.code, move.unit, move.owner, move.contra): move for move in MOVES}


def allowed_move(*, code: Code, unit: Unit, owner: Kind, contra: Kind, amount: int) -> Move:
    """The line of the chart that lets `amount` move; anything else is a bug of the caller."""
    move = _INDEX.get((code, unit, owner, contra))
    if move is None or amount == 0 or ("+" if amount > 0 else "-") not in move.sign.value:
        raise BrokenInvariant(f"the chart has no {code} of {amount} {unit} on {owner} against {contra}")
    return move
