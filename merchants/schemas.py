"""What tills and merchants send and are told."""

from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from marshmallow import fields

from kernel.http.fields import Day, Gives, Instant, PublicId, Several, Takes, Text, Whole
from merchants.offline_conflicts import CONFLICT
from merchants.onboarding import MERCHANT, STORE
from merchants.redemption import REDEMPTION
from merchants.redemption_batches import MOST_CODES
from merchants.terminals import TERMINAL
from rewards.voucher_codes import LONGEST_SCAN
from rewards.vouchers import VOUCHER

SESSION = "ses"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What a scanner read or a clerk typed."""

    code: str


@dataclass(frozen=True, kw_only=True)
class Scans:
    """What a scanner read, one after the other."""

    codes: list[str]


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Which reservation to use."""

    session: UUID


@dataclass(frozen=True, kw_only=True)
class Why:
    """A reason."""

    reason: str


class TakesScan(Takes):
    """A scan."""

    into = Scan
    examples = MappingProxyType({"The digits under a code": {"code": "881234567890123456"}})
    code = Text(required=True, most=LONGEST_SCAN)


class TakesScans(Takes):
    """Scans that are used together or not at all."""

    into = Scans
    examples = MappingProxyType(
        {"The digits under two codes": {"codes": ["881234567890123456", "880000000000000000"]}}
    )
    codes = Several(Text(most=LONGEST_SCAN), least=1, most=MOST_CODES, required=True)


class TakesConfirmation(Takes):
    """A confirmation."""

    into = Confirmation
    examples = MappingProxyType({"A session": {"session": f"{SESSION}_01KA8Y2V7E8Q9N3M5R6T7W8X9Z"}})
    session = PublicId(SESSION, required=True)


class TakesWhy(Takes):
    """A reason."""

    into = Why
    examples = MappingProxyType({"A reason": {"reason": "the till was scanned twice"}})
    reason = Text(required=True, least=2, most=300)


class TakesNames(Takes):
    """The two names of a merchant or store."""

    examples = MappingProxyType({"A bakery": {"name_zh": "示例面包坊", "name_en": "Example bakery"}})
    name_zh = Text(required=True, most=60)
    name_en = Text(required=True, most=120)


class TakesTill(Takes):
    """A till to add."""

    examples = MappingProxyType({"A till": {"label": "till 1"}})
    label = Text(required=True, most=60)


class TakesPairing(Takes):
    """A pairing code typed at a till, and the public key made there."""

    examples = MappingProxyType({"A code": {"code": "ABCDEFGHJKMN"}})
    code = Text(required=True, most=32)
    public_key = Text(most=64, load_default=None)


class GivesPrepared(Gives):
    """What would be used, and until when it is reserved."""

    session = PublicId(SESSION)
    voucher_id = PublicId(VOUCHER)
    title_zh = Text()
    title_en = Text()
    coin_milli = Whole()
    confirm_before = Instant()
    answer_by = Instant(
        allow_none=True, metadata={"description": "until when the owner, who is asked first, may say yes"}
    )


class GivesRedeemed(Gives):
    """A redemption that stands."""

    id = PublicId(REDEMPTION)
    voucher_id = PublicId(VOUCHER)
    cycle = Whole()
    title_zh = Text()
    title_en = Text()
    coin_milli = Whole()
    payable_fen = Whole()
    redeemed_at = Instant()
    reversible_until = Instant()


class GivesRedeemedTogether(Gives):
    """Redemptions that stand, in the order of the codes."""

    items = fields.List(fields.Nested(GivesRedeemed))


class GivesReversed(Gives):
    """A redemption undone."""

    redemption_id = PublicId(REDEMPTION)
    voucher_id = PublicId(VOUCHER)
    coin_milli = Whole()
    payable_fen = Whole()
    lives_again = fields.Boolean()


class GivesLine(Gives):
    """One line of a statement: of a redemption or its reversal, or of an offline conflict."""

    redemption_id = PublicId(REDEMPTION, attribute="used_id", allow_none=True)
    conflict_id = PublicId(CONFLICT, allow_none=True)
    what = Text()
    store_id = PublicId(STORE)
    terminal_id = PublicId(TERMINAL)
    coin_milli = Whole()
    payable_fen = Whole()
    happened_at = Instant()


class GivesFunderTotal(Gives):
    """What one funder owes."""

    funder_id = PublicId("fnd")
    payable_fen = Whole()


class GivesStatement(Gives):
    """A merchant's day: figures over all lines, the first of the lines, and where the others are."""

    merchant_id = PublicId(MERCHANT)
    day = Day()
    line_count = Whole()
    lines = fields.List(fields.Nested(GivesLine))
    next = fields.String(allow_none=True)
    coin_milli = Whole()
    payable_fen = Whole()
    by_funder = fields.List(fields.Nested(GivesFunderTotal))
    digest = Text()


class GivesLines(Gives):
    """Some lines of a statement and where those behind them are."""

    items = fields.List(fields.Nested(GivesLine))
    next = fields.String(allow_none=True)


class GivesMerchant(Gives):
    """A merchant's id."""

    id = PublicId(MERCHANT)


class GivesStore(Gives):
    """A store's id and the number its codes carry."""

    id = PublicId(STORE)
    scope_no = Whole()


class GivesPairing(Gives):
    """A code to type at a new till, shown once."""

    terminal_id = PublicId(TERMINAL)
    code = Text()
    ends_at = Instant()


class GivesPaired(Gives):
    """The till's id and its secret, given once."""

    terminal_id = PublicId(TERMINAL)
    token = Text()
