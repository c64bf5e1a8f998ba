"""What merchants and operators send about settlements, and are told."""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import marshmallow as ma
from marshmallow import fields

from kernel.http.fields import Day, Gives, Instant, PageQuery, PublicId, Several, Takes, Text, Whole
from merchants.offline_conflicts import CONFLICT
from merchants.onboarding import MERCHANT, STORE
from merchants.redemption import REDEMPTION
from merchants.settlement.adjustments import ADJUSTMENT, MOST_FEN
from merchants.settlement.agreement import MOST_CORRECTIONS, MOST_LINES, REJECTED, UPHELD
from merchants.settlement.history import GROUPS
from merchants.settlement.records import SETTLEMENT
from merchants.settlement.states import Standing, State, What
from merchants.terminals import TERMINAL
from rewards.catalogue.offering import FUNDER

PUBLICATION, CLERK = "pub", "clk"
_NOBODY = "01KA8Y2V7E8Q9N3M5R6T7W8X9Z"
BANK_STATEMENT = r"[A-Z0-9][A-Z0-9./_-]*"
"""One way to write a line of the bank's statement, so that it pays one settlement however it is typed."""
_DECISIONS = (Standing.APPROVED.value, Standing.REJECTED.value)


def _one_of(words: type[StrEnum], **more: Any) -> fields.String:
    return fields.String(validate=ma.validate.OneOf([word.value for word in words]), **more)


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What one funder owes more or less, and why."""

    funder_id: UUID
    payable_fen: int
    reason: str


class SettlementsQuery(PageQuery):
    """Which settlements."""

    merchant = PublicId(MERCHANT, load_default=None)
    state = _one_of(State, load_default=None)


class AdjustmentsQuery(PageQuery):
    """Which adjustments."""

    state = _one_of(Standing, load_default=None)


class HistoryQuery(PageQuery):
    """Which redemptions."""

    store = PublicId(STORE, load_default=None)
    terminal = PublicId(TERMINAL, load_default=None)
    clerk = PublicId(CLERK, load_default=None)
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)


class TotalsQuery(PageQuery):
    """Totals of which days, by what."""

    by = fields.String(load_default=GROUPS[0], validate=ma.validate.OneOf(GROUPS))
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)


class TakesSettlementLine(Takes):
    """A line, as the settlement names it."""

    what = _one_of(What, required=True)
    id = Text(required=True, most=40)


class TakesSettlementDispute(Takes):
    """What a merchant does not agree with; no lines mean all of it."""

    examples = MappingProxyType({"All of it": {"reason": "two days are missing", "lines": []}})
    reason = Text(required=True, least=2, most=1000)
    lines = Several(fields.Nested(TakesSettlementLine), most=MOST_LINES, required=True)


class TakesAdjustmentAmount(Takes):
    """An amount of one funder, + to the merchant."""

    into = Amount
    examples = MappingProxyType(
        {
            "Five yuan more": {
                "funder_id": f"fnd_{_NOBODY}",
                "payable_fen": 500,
                "reason": "a scan was lost when the till was changed",
            }
        }
    )
    funder_id = PublicId(FUNDER, required=True)
    payable_fen = Whole(least=-MOST_FEN, most=MOST_FEN, required=True)
    reason = Text(required=True, least=2, most=1000)


class TakesTakingBack(Takes):
    """A settled use to take back, and why."""

    examples = MappingProxyType(
        {
            "A bad loaf": {
                "redemption_id": f"red_{_NOBODY}",
                "reason": "the bread was bad, the customer left it",
            }
        }
    )
    redemption_id = PublicId(REDEMPTION, required=True)
    reason = Text(required=True, least=2, most=1000)


class TakesSettlementAnswer(Takes):
    """What a dispute comes to; upheld with its corrections, or rejected without."""

    examples = MappingProxyType(
        {
            "Rejected": {"ruling": REJECTED, "reason": "both days are in the lines", "corrections": []},
            "Upheld": {
                "ruling": UPHELD,
                "reason": "one scan is missing",
                "corrections": [
                    {"funder_id": f"fnd_{_NOBODY}", "payable_fen": 500, "reason": "the lost scan"}
                ],
            },
        }
    )
    ruling = fields.String(required=True, validate=ma.validate.OneOf((UPHELD, REJECTED)))
    reason = Text(required=True, least=2, most=1000)
    corrections = Several(fields.Nested(TakesAdjustmentAmount), most=MOST_CORRECTIONS, required=True)


class TakesSettlementPayment(Takes):
    """Which line of the bank's statement paid it; not kept of a settlement that comes to nothing."""

    examples = MappingProxyType({"A transfer": {"bank_statement_id": "ICBC-20261205-000417"}})
    bank_statement_id = Text(
        required=True,
        most=64,
        pattern=BANK_STATEMENT,
        metadata={
            "pattern": f"^{BANK_STATEMENT}$",
            "description": "Capital ASCII letters, digits and `. / _ -`, as the bank prints it.",
        },
    )


class TakesAdjustmentDecision(Takes):
    """Approved or rejected, and why."""

    examples = MappingProxyType({"Approved": {"decision": "approved", "reason": "the receipt was seen"}})
    decision = fields.String(required=True, validate=ma.validate.OneOf(_DECISIONS))
    reason = Text(required=True, least=2, most=1000)


class GivesFunderShare(Gives):
    """What one funder owes."""

    funder_id = PublicId(FUNDER)
    fen = Whole(least=-(2**63))


class GivesSettlementLine(Gives):
    """One thing settled: what it is about, and what it comes to for merchant, funders and centre."""

    what = fields.String(metadata={"enum": [what.value for what in What]})
    redemption_id = PublicId(REDEMPTION, allow_none=True)
    conflict_id = PublicId(CONFLICT, allow_none=True)
    adjustment_id = PublicId(ADJUSTMENT, allow_none=True)
    store_id = PublicId(STORE, allow_none=True)
    terminal_id = PublicId(TERMINAL, allow_none=True)
    business_day = Day()
    happened_at = Instant()
    coin_milli = Whole(least=-(2**63))
    payable_fen = Whole(least=-(2**63))
    centre_fen = Whole(least=-(2**63))
    by_funder = fields.List(fields.Nested(GivesFunderShare))


class GivesSettlementLines(Gives):
    """Some lines and where those behind them are."""

    items = fields.List(fields.Nested(GivesSettlementLine))
    next = fields.String(allow_none=True)


class GivesSettlementDispute(Gives):
    """What a merchant did not agree with."""

    lines = fields.List(fields.Dict())
    reason = fields.String()
    recorded_at = fields.String()


class GivesSettlementAnswer(Gives):
    """What it came to."""

    ruling = fields.String()
    reason = fields.String()
    recorded_at = fields.String()


class GivesSettlementPayment(Gives):
    """What paid it; where nothing was to pay, the settlement's own id stands for the bank's."""

    bank_statement_id = fields.String()
    paid_fen = Whole()
    recorded_at = fields.String()


class GivesSettlement(Gives):
    """A settlement; figures are null while it is open."""

    id = PublicId(SETTLEMENT)
    merchant_id = PublicId(MERCHANT)
    rule_id = PublicId(PUBLICATION)
    first_day = Day()
    last_day = Day()
    state = fields.String(metadata={"enum": [state.value for state in State]})
    opened_at = Instant()
    closed_at = Instant(allow_none=True)
    dispute_until = Instant(allow_none=True)
    line_count = Whole(allow_none=True)
    coin_milli = Whole(allow_none=True)
    payable_fen = Whole(allow_none=True)
    by_funder = fields.List(fields.Nested(GivesFunderShare), attribute="owed", allow_none=True)
    digest = fields.String(allow_none=True)
    dispute = fields.Nested(GivesSettlementDispute, allow_none=True)
    answer = fields.Nested(GivesSettlementAnswer, allow_none=True)
    payment = fields.Nested(GivesSettlementPayment, allow_none=True)


class GivesSettlements(Gives):
    """Some settlements, newest first."""

    items = fields.List(fields.Nested(GivesSettlement))
    next = fields.String(allow_none=True)


class GivesAdjustment(Gives):
    """A correction of a settlement that is closed, and the settlement that has its line."""

    id = PublicId(ADJUSTMENT)
    merchant_id = PublicId(MERCHANT)
    settlement_id = PublicId(SETTLEMENT)
    redemption_id = PublicId(REDEMPTION, allow_none=True)
    coin_milli = Whole(least=-(2**63))
    payable_fen = Whole(least=-(2**63))
    by_funder = fields.List(fields.Nested(GivesFunderShare), attribute="owed")
    reason = fields.String()
    state = fields.String(metadata={"enum": [state.value for state in Standing]})
    proposed_at = Instant()
    decided_at = Instant(allow_none=True)
    decision_reason = fields.String(allow_none=True)
    settled_in = PublicId(SETTLEMENT, allow_none=True)


class GivesAdjustments(Gives):
    """Some adjustments, newest first."""

    items = fields.List(fields.Nested(GivesAdjustment))
    next = fields.String(allow_none=True)


class GivesUse(Gives):
    """A redemption, its reversal and its settlement, if there are."""

    redemption_id = PublicId(REDEMPTION)
    store_id = PublicId(STORE)
    terminal_id = PublicId(TERMINAL)
    clerk_id = PublicId(CLERK, allow_none=True)
    business_day = Day()
    redeemed_at = Instant()
    coin_milli = Whole()
    payable_fen = Whole()
    reversible_until = Instant()
    reversed_at = Instant(allow_none=True)
    settlement_id = PublicId(SETTLEMENT, allow_none=True)


class GivesUses(Gives):
    """Some redemptions, newest first."""

    items = fields.List(fields.Nested(GivesUse))
    next = fields.String(allow_none=True)


class GivesUseTotal(Gives):
    """What one store, terminal, clerk or day came to: redemptions less reversals."""

    store_id = PublicId(STORE, allow_none=True)
    terminal_id = PublicId(TERMINAL, allow_none=True)
    clerk_id = PublicId(CLERK, allow_none=True)
    day = Day(allow_none=True)
    redemptions = Whole()
    reversals = Whole()
    coin_milli = Whole(least=-(2**63))
    payable_fen = Whole(least=-(2**63))


class GivesUseTotals(Gives):
    """Some totals, in the order of what they are by."""

    items = fields.List(fields.Nested(GivesUseTotal))
    next = fields.String(allow_none=True)
