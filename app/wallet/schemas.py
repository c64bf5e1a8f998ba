"""What a holder reads of the ledger: integers for programmes, exact text for people."""

from marshmallow import fields

from kernel.http.fields import Day, Gives, Instant
from kernel.units import show_coins, show_grams, show_yuan
from ledger.chart import Unit

_SHOWN = {Unit.COIN: show_coins, Unit.CARBON: show_grams, Unit.CNY: show_yuan}


def shown(unit: Unit, amount: int) -> str:
    """An amount of the ledger as people read it."""
    return _SHOWN[unit](amount)


class GivesEnding(Gives):
    """Coins that end on a day unless they are spent before; the first day they are void."""

    expires_on = Day()
    amount = fields.Integer()


class GivesBalance(Gives):
    """One account: coin in milli-coins, carbon in milligrams CO2e."""

    unit = fields.String()
    validity_class = fields.String()
    posted = fields.Integer()
    held = fields.Integer()
    available = fields.Integer()
    available_shown = fields.Function(
        lambda balance: shown(balance.unit, balance.available), metadata={"type": "string"}
    )
    frozen = fields.Boolean()
    schedule = fields.List(fields.Nested(GivesEnding))


class GivesBalances(Gives):
    """All accounts of the caller."""

    as_of = Instant()
    accounts = fields.List(fields.Nested(GivesBalance))


class GivesNote(Gives):
    """What stands beside a line, for people."""

    zh = fields.String()
    en = fields.String()


class GivesTransfer(Gives):
    """One transfer, newest first; `transfer_id` opens its explanation."""

    transfer_id = fields.String()
    unit = fields.String()
    validity_class = fields.String()
    code = fields.String()
    amount = fields.Integer()
    amount_shown = fields.Function(lambda line: shown(line.unit, line.amount), metadata={"type": "string"})
    reverses_id = fields.Function(
        lambda line: None if line.reverses_id is None else str(line.reverses_id),
        metadata={"type": ["string", "null"]},
    )
    expires_on = Day(allow_none=True)
    occurred_at = Instant()
    recorded_at = Instant()
    note = fields.Nested(
        GivesNote, allow_none=True, metadata={"description": "of a correction: by which table, why, how much"}
    )


class GivesTransfers(Gives):
    """A page of transfers."""

    items = fields.List(fields.Nested(GivesTransfer))
    next = fields.String(allow_none=True)
