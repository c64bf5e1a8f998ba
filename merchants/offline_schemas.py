"""What a till takes along and hands in, and how cases are told."""

from types import MappingProxyType
from typing import Any

from marshmallow import fields

from kernel.http.fields import Gives, Instant, PublicId, Several, Takes, Text, Whole
from merchants.offline import MOST_RECORDS
from merchants.offline_conflicts import CONFLICT
from merchants.offline_records import MOST_COUNTER, Record
from merchants.onboarding import MERCHANT, STORE
from merchants.redemption import REDEMPTION
from merchants.terminals import TERMINAL
from rewards.voucher_codes import LENGTH
from rewards.vouchers import VOUCHER

_HASH, _SIGNATURE = r"[0-9a-f]{64}", r"[0-9a-f]{128}"


class TakesOfflineRecord(Takes):
    """A scan as the till wrote it; hashes and signature are hexadecimal."""

    counter = Whole(required=True, least=1, most=MOST_COUNTER)
    scanned_at_s = Whole(required=True, most=MOST_COUNTER)
    code = Text(required=True, least=LENGTH, most=LENGTH, pattern=r"[!-~]+")
    previous = Text(required=True, least=64, most=64, pattern=_HASH)
    signature = Text(required=True, least=128, most=128, pattern=_SIGNATURE)


class TakesOfflineRecords(Takes):
    """Records in the order of the till's chain."""

    examples = MappingProxyType(
        {
            "One scan": {
                "records": [
                    {
                        "counter": 1,
                        "scanned_at_s": 1_795_060_820,
                        "code": "CV1" + "A" * (LENGTH - 3),
                        "previous": "0" * 64,
                        "signature": "0" * 128,
                    }
                ]
            }
        }
    )
    records = Several(fields.Nested(TakesOfflineRecord), least=1, most=MOST_RECORDS, required=True)


def records_of(body: dict[str, Any]) -> list[Record]:
    """The records of a body."""
    return [
        Record(
            counter=each["counter"],
            scanned_at_s=each["scanned_at_s"],
            code=each["code"],
            previous=bytes.fromhex(each["previous"]),
            signature=bytes.fromhex(each["signature"]),
        )
        for each in body["records"]
    ]


class GivesVoucherKey(Gives):
    """A public key; what it signed is refused from `retired_at` on."""

    kid = Whole()
    algorithm = Text()
    public_key = Text()
    signs_from = fields.String()
    retired = fields.Boolean()
    retired_at = fields.String(allow_none=True)


class GivesOfflineRule(Gives):
    """The published rule; `most` is how many redemptions fit below both limits."""

    face_fen = Whole()
    redemptions = Whole()
    total_fen = Whole()
    sync_hours = Whole()
    liable = Text()
    most = Whole()


class GivesOfflineKit(Gives):
    """What a till keeps to judge without asking; `deny` are code ids in hexadecimal."""

    terminal_id = PublicId(TERMINAL)
    scope_no = Whole()
    server_time = Instant()
    accept_until = Instant()
    keys = fields.List(fields.Nested(GivesVoucherKey))
    deny = fields.List(fields.String())
    rule = fields.Nested(GivesOfflineRule)
    counter = Whole()
    chain_hash = Text()


class GivesOfflineOutcome(Gives):
    """What became of one record."""

    counter = Whole()
    outcome = Text()
    refusal = Text(allow_none=True)
    redemption_id = PublicId(REDEMPTION, allow_none=True)
    conflict_id = PublicId(CONFLICT, allow_none=True)


class GivesOfflineTaken(Gives):
    """The outcomes up to the first broken link, and where the till's chain ends here."""

    outcomes = fields.List(fields.Nested(GivesOfflineOutcome))
    broken_at = Whole(allow_none=True)
    counter = Whole()
    chain_hash = Text()


class GivesOfflineConflict(Gives):
    """A case: the offline scan, the other party, and who bears it."""

    id = PublicId(CONFLICT)
    cause = Text()
    terminal_id = PublicId(TERMINAL)
    counter = Whole()
    store_id = PublicId(STORE)
    merchant_id = PublicId(MERCHANT)
    voucher_id = PublicId(VOUCHER)
    cycle = Whole()
    scanned_at = Instant()
    recorded_at = Instant()
    other_redemption_id = PublicId(REDEMPTION, allow_none=True)
    other_terminal_id = PublicId(TERMINAL, allow_none=True)
    other_store_id = PublicId(STORE, allow_none=True)
    other_merchant_id = PublicId(MERCHANT, allow_none=True)
    other_by = Text(allow_none=True)
    liable = Text()
    cost_fen = Whole()


class GivesOfflineConflicts(Gives):
    """A page of cases."""

    items = fields.List(fields.Nested(GivesOfflineConflict))
    next = fields.String(allow_none=True)
