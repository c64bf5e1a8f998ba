"""The one way to write a transfer, in one round trip, guarded by its balance and its reference.

Same reference and content: the first transfer is returned. Other content is refused. What moves
between two guarded accounts goes through `clearing` as two rows of one movement.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text
from sqlalchemy.exc import DBAPIError

from kernel.call import Call
from kernel.canonical import canonical_bytes, digest
from kernel.errors import BrokenInvariant
from kernel.identifiers import new_id
from ledger.accounts import Account, institution
from ledger.chart import Code, Kind, Move, Unit, allowed_move
from ledger.errors import refusal_behind


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """What to move: `amount` in the account's smallest unit, + to the account, - from it.

    `expires_on` is what the policy says for credited coins; the bucket may end later, never earlier.
    """

    account: Account
    contra: Account
    amount: int
    code: Code
    source: str
    reference: str
    occurred_at: datetime
    expires_on: date | None = None
    movement_id: UUID | None = None
    batch_id: UUID | None = None
    reverses_id: int | None = None
    beyond: int | None = None
    """The account at the far end of a movement, so that one reference cannot name two takers."""

    @property
    def payload_hash(self) -> bytes:
        """SHA-256 of what makes two sends of one reference the same thing."""
        return digest(
            canonical_bytes(
                "transfer/1",
                self.account.id,
                self.contra.id,
                self.amount,
                self.code.value,
                self.occurred_at,
                self.beyond,
            )
        )


@dataclass(frozen=True)
class Posted:
    """The transfer that stands, whether it stood before, and the day its coins end."""

    transfer_id: int
    replayed: bool
    expires_on: date | None


def post(call: Call, transfer: Transfer) -> Posted:
    """Post one transfer.

    Refuses, in this order: `ContentDiffers`, `AccountUnknown`, `AccountFrozen`, `NotEnough`.
    """
    account, contra, move = transfer.account, transfer.contra, check_move(transfer)
    row = run_posting(
        call,
        _POST,
        {
            "holder": account.holder_id,
            "account": account.id,
            "contra": contra.id,
            "amount": transfer.amount,
            "unit": account.unit.value,
            "code": transfer.code.value,
            "source": transfer.source,
            "reference": transfer.reference,
            "hash": transfer.payload_hash,
            "movement": transfer.movement_id,
            "batch": transfer.batch_id,
            "reverses": transfer.reverses_id,
            "expires_on": transfer.expires_on,
            "occurred": transfer.occurred_at,
            "today": call.today,
            "now": call.now,
            "guarded": account.guarded,
            "when_frozen": move.when_frozen,
            "to_floor": move.to_floor,
        },
    )[0]
    return Posted(row.transfer_id, row.replayed, row.bucket)


def check_move(transfer: Transfer) -> Move:
    """The line of the chart that lets it move; raises BrokenInvariant where none does."""
    account, contra = transfer.account, transfer.contra
    if account.unit is not contra.unit:
        raise BrokenInvariant(f"{account.unit} cannot move against {contra.unit}")
    move = allowed_move(
        code=transfer.code, unit=account.unit, owner=account.kind, contra=contra.kind, amount=transfer.amount
    )
    _check_end(transfer)
    return move


def _check_end(transfer: Transfer) -> None:
    """Coins that arrive have a day on which they end, nothing else has, and take-backs know their credit."""
    account = transfer.account
    ends = account.guarded and account.unit is Unit.COIN and account.kind is Kind.CITIZEN
    if (transfer.expires_on is not None) is not (ends and transfer.amount > 0):
        raise BrokenInvariant(
            f"{transfer.code} of {transfer.amount} {account.unit} and {transfer.expires_on}"
        )
    if ends and transfer.code in {Code.CLAW_BACK, Code.EXPIRE, Code.EXPIRE_REVERSAL, Code.REDEEM_REVERSAL}:
        raise BrokenInvariant(f"{transfer.code} of coins has a function of its own")


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What goes from one guarded account to another under one code."""

    giver: Account
    taker: Account
    amount: int
    code: Code
    source: str
    reference: str
    occurred_at: datetime
    expires_on: date | None = None


def move(call: Call, movement: Movement, *, region_id: str) -> Posted:
    """Debit the giver under its guard; credit a citizen at once, a pool or batch by the rolling job.

    Returns the debit leg. Refuses as `post` does; a replay of the same content moves nothing.
    """
    clearing = institution(call, region_id, kind=Kind.CLEARING, unit=movement.giver.unit)
    movement_id = new_id()
    debit = post(
        call,
        Transfer(
            account=movement.giver,
            contra=clearing,
            amount=-movement.amount,
            code=movement.code,
            source=movement.source,
            reference=f"{movement.reference}/out",
            occurred_at=movement.occurred_at,
            movement_id=movement_id,
            beyond=movement.taker.id,
        ),
    )
    if debit.replayed:
        return debit
    if movement.taker.kind is Kind.CITIZEN:
        post(
            call,
            Transfer(
                account=movement.taker,
                contra=clearing,
                amount=movement.amount,
                code=movement.code,
                source=movement.source,
                reference=f"{movement.reference}/in",
                occurred_at=movement.occurred_at,
                expires_on=movement.expires_on,
                movement_id=movement_id,
            ),
        )
        return debit
    call.db.execute(
        _PENDING,
        {
            "movement": movement_id,
            "holder": movement.taker.holder_id,
            "account": movement.taker.id,
            "amount": movement.amount,
            "code": movement.code.value,
            "now": call.now,
        },
    )
    return debit


def roll_pending_legs(call: Call, account: Account, *, region_id: str, code: Code) -> int:
    """Post all waiting credit legs of a pool, campaign or batch as one transfer; returns the sum.

    The rows are locked while they are summed, so two rolls never post one leg twice.
    """
    waiting = call.db.execute(_WAITING, {"account": account.id, "code": code.value}).all()
    total = sum(row.amount for row in waiting)
    if not total:
        return 0
    roll = new_id()
    posted = post(
        call,
        Transfer(
            account=account,
            contra=institution(call, region_id, kind=Kind.CLEARING, unit=account.unit),
            amount=total,
            code=code,
            source="roll",
            reference=str(roll),
            occurred_at=call.now,
        ),
    )
    call.db.execute(_ROLLED, {"ids": [row.movement_id for row in waiting], "transfer": posted.transfer_id})
    return int(total)


def run_posting(call: Call, statement: TextClause, values: dict[str, Any]) -> list[Row[Any]]:
    """Call a posting function; its SQLSTATE becomes the refusal it stands for."""
    try:
        return list(call.db.execute(statement, values).all())
    except DBAPIError as error:
        refusal = refusal_behind(error)
        if refusal is not None:
            raise refusal from error
        raise


_POST = text(
    "SELECT transfer_id, replayed, bucket FROM ledger_post(:holder, :account, :contra, :amount, :unit, :code,"
    " :source, :reference, :hash, CAST(:movement AS uuid), CAST(:batch AS uuid), CAST(:reverses AS bigint),"
    " CAST(:expires_on AS date), :occurred, :today, :now, :guarded, :when_frozen, :to_floor)"
)
_PENDING = text(
    "INSERT INTO ledger_pending_leg (movement_id, holder_id, account_id, amount, code, recorded_at)"
    " VALUES (:movement, :holder, :account, :amount, :code, :now)"
)
_WAITING = text(
    "SELECT movement_id, amount FROM ledger_pending_leg"
    " WHERE account_id = :account AND code = :code AND rolled_into IS NULL"
    " ORDER BY movement_id LIMIT 10000 FOR UPDATE"
)
_ROLLED = text("UPDATE ledger_pending_leg SET rolled_into = :transfer WHERE movement_id = ANY (:ids)")
