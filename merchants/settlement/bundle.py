"""All of a settlement in one JSON document, from which the one-file verifier makes digest and sums again."""

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any

import orjson

from kernel.identifiers import public_id
from merchants.settlement.files import Sheet
from merchants.settlement.lines import Line
from merchants.settlement.records import SETTLEMENT

FORMAT = "tanpuhui-settlement/1"


def bundle(sheet: Sheet) -> Iterator[bytes]:
    """The document, some lines at a time."""
    yield orjson.dumps(_head(sheet))[:-1] + b',"lines":['
    before = b""
    for page in sheet.pages():
        if page:
            yield before + _lines(page)
            before = b","
    yield b"]}"


def _head(sheet: Sheet) -> dict[str, Any]:
    told = sheet.told
    return {
        "format": FORMAT,
        "settlement_id": public_id(SETTLEMENT, told.id),
        "merchant_id": public_id("mer", told.merchant_id),
        "rule_id": public_id("pub", told.rule_id),
        "rule": sheet.rule,
        "first_day": told.first_day.isoformat(),
        "last_day": told.last_day.isoformat(),
        "line_count": told.line_count,
        "coin_milli": told.coin_milli,
        "payable_fen": told.payable_fen,
        "by_funder": _shares(told.owed or []),
        "digest": told.digest,
        "names": {
            **{public_id("fnd", each): name for each, name in sheet.funders.items()},
            **{public_id("sto", each): name for each, name in sheet.stores.items()},
        },
    }


def _lines(page: Sequence[Line]) -> bytes:
    return b",".join(orjson.dumps(_told(line)) for line in page)


def _told(line: Line) -> dict[str, Any]:
    return {
        "what": line.what.value,
        "id": line.public,
        "store_id": None if line.store_id is None else public_id("sto", line.store_id),
        "terminal_id": None if line.terminal_id is None else public_id("trm", line.terminal_id),
        "business_day": line.business_day.isoformat(),
        "happened_at": line.happened_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "coin_milli": line.coin_milli,
        "payable_fen": line.payable_fen,
        "centre_fen": line.centre_fen,
        "by_funder": _shares(line.by_funder),
    }


def _shares(shares: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"funder_id": public_id("fnd", each["funder_id"]), "fen": each["fen"]} for each in shares]
