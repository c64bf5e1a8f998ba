"""What may be told, to whom, and what stands in it: the one list of events.

A name ends with the version of its data: a field may be added under the same name, none changes or goes.
Data is ids and figures that the owner reads elsewhere too, and never says who the citizen is, where or when
they travelled, or what anybody wrote. It is put together when news is handed on, so a redemption pays
nothing for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import Row, TextClause, text

from app.notifications.webhooks.tables import PING
from carbon.activities.batch_records import BATCH
from carbon.partners.bindings import CONSENT
from kernel.call import Call
from kernel.identifiers import parse_public_id, public_id
from kernel.outgoing import News
from merchants.offline_conflicts import CONFLICT
from merchants.onboarding import STORE
from merchants.redemption import REDEMPTION
from merchants.settlement.records import SETTLEMENT
from merchants.terminals import TERMINAL
from rewards.vouchers import VOUCHER

MERCHANT_OWNER, PARTNER_OWNER = "merchant", "partner"
ENDPOINT = "whk"
EXAMPLE_ID = "01KA8Y2V7E8Q9N3M5R6T7W8X9Z"


@dataclass(frozen=True, kw_only=True)
class EventType:
    """One event: the announcement it is made of, how its owner is found, and its data.

    `finds` gives a row (`news_id`, `owner_kind`, `owner_id`, …) for each announcement of `:news`, whose
    subjects are `:things` and whose instants `:instants`.
    """

    name: str
    news: str
    prefix: str
    audience: frozenset[str]
    zh: str
    en: str
    finds: TextClause
    data: Callable[[Any], dict[str, Any]]
    example: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event for one owner."""

    type: EventType
    news: News
    owner_kind: str
    owner_id: UUID
    about: UUID
    """What it is about; an endpoint is not told of itself."""
    data: dict[str, Any]


def events_in(call: Call, news: Sequence[News]) -> list[Told]:
    """What of this news somebody may want to be told, one query an event."""
    by_id = {each.id: each for each in news}
    told: list[Told] = []
    for kind in EVENTS:
        mine = [each for each in news if each.event == kind.news]
        if not mine:
            continue
        asked = {
            "news": [each.id for each in mine],
            "things": [parse_public_id(kind.prefix, each.subject) for each in mine],
            "instants": [each.recorded_at for each in mine],
        }
        told += (_told(kind, by_id, row) for row in call.db.execute(kind.finds, asked))
    return told


def _told(kind: EventType, by_id: Mapping[UUID, News], row: Row[Any]) -> Told:
    news = by_id[row.news_id]
    return Told(
        type=kind,
        news=news,
        about=parse_public_id(kind.prefix, news.subject),
        owner_kind=row.owner_kind,
        owner_id=row.owner_id,
        data=kind.data(row),
    )


def instant_text(at: datetime) -> str:
    """An instant as bodies say it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _redeemed(row: Any) -> dict[str, Any]:
    return {
        "redemption_id": public_id(REDEMPTION, row.redemption_id),
        "voucher_id": public_id(VOUCHER, row.voucher_id),
        "store_id": public_id(STORE, row.store_id),
        "terminal_id": public_id(TERMINAL, row.terminal_id),
        "payable_fen": row.cost_fen,
    }


def _reversed(row: Any) -> dict[str, Any]:
    return {**_redeemed(row), "lives_again": row.outcome == "issued"}


def _conflict(row: Any) -> dict[str, Any]:
    return {
        "conflict_id": public_id(CONFLICT, row.id),
        "store_id": public_id(STORE, row.store_id),
        "terminal_id": public_id(TERMINAL, row.terminal_id),
        "cause": row.cause,
        "liable": row.liable,
        "cost_fen": row.cost_fen,
    }


def _settled(row: Any) -> dict[str, Any]:
    return {
        "settlement_id": public_id(SETTLEMENT, row.id),
        "first_day": row.first_day.isoformat(),
        "last_day": row.last_day.isoformat(),
        "lines": row.line_count,
        "coin_milli": row.coin_milli,
        "payable_fen": row.payable_fen,
        "digest": row.digest.hex(),
    }


def _batch(row: Any) -> dict[str, Any]:
    return {
        "batch_id": public_id(BATCH, row.id),
        "state": row.state,
        "lines_done": row.lines_done,
        "failure": row.failure,
    }


def _consent(row: Any) -> dict[str, Any]:
    return {"consent_id": public_id(CONSENT, row.id), "withdrawn_at": instant_text(row.withdrawn_at)}


def _endpoint(row: Any) -> dict[str, Any]:
    return {"endpoint_id": public_id(ENDPOINT, row.id), "paused_because": row.paused_because}


_GIVEN = (
    "unnest(CAST(:news AS uuid[]), CAST(:things AS uuid[]), CAST(:instants AS timestamptz[]))"
    " AS n (news_id, thing, instant)"
)
_OF_REDEMPTION = (
    "'merchant' AS owner_kind, r.merchant_id AS owner_id, r.id AS redemption_id, r.voucher_id, r.store_id,"
    " r.terminal_id, r.cost_fen"
)
# A voucher may be used anew after a reversal; the use that was announced is the one of that instant.
_FIND_REDEEMED = text(
    f"SELECT n.news_id, {_OF_REDEMPTION} FROM {_GIVEN}"  # noqa: S608 - our own text
    " JOIN redemption r ON r.voucher_id = n.thing AND r.redeemed_at = n.instant"
)
_FIND_REVERSED = text(
    f"SELECT n.news_id, {_OF_REDEMPTION}, v.outcome FROM {_GIVEN}"  # noqa: S608 - our own text
    " JOIN redemption r ON r.id = n.thing JOIN redemption_reversal v ON v.redemption_id = r.id"
)
_FIND_CONFLICT = text(
    "SELECT n.news_id, 'merchant' AS owner_kind, c.merchant_id AS owner_id, c.id, c.store_id, c.terminal_id,"  # noqa: S608 - our own text
    f" c.cause, c.liable, c.cost_fen FROM {_GIVEN} JOIN offline_conflict c ON c.id = n.thing"
)
_FIND_SETTLEMENT = text(
    "SELECT n.news_id, 'merchant' AS owner_kind, s.merchant_id AS owner_id, s.id, s.first_day, s.last_day,"  # noqa: S608 - our own text
    f" s.line_count, s.coin_milli, s.payable_fen, s.digest FROM {_GIVEN} JOIN settlement s ON s.id = n.thing"
)
_FIND_BATCH = text(
    "SELECT n.news_id, 'partner' AS owner_kind, b.partner_id AS owner_id, b.id, b.state, b.lines_done,"  # noqa: S608 - our own text
    f" b.failure FROM {_GIVEN} JOIN activity_batch b ON b.id = n.thing"
)
_FIND_CONSENT = text(
    "SELECT n.news_id, 'partner' AS owner_kind, c.partner_id AS owner_id, c.id, c.withdrawn_at"  # noqa: S608 - our own text
    f" FROM {_GIVEN} JOIN consent c ON c.id = n.thing WHERE c.withdrawn_at IS NOT NULL"
)
_FIND_ENDPOINT = text(
    "SELECT n.news_id, e.owner_kind, e.owner_id, e.id, e.paused_because"  # noqa: S608 - our own text
    f" FROM {_GIVEN} JOIN webhook_endpoint e ON e.id = n.thing WHERE e.state = 'paused'"
)
_OF_BATCH: Mapping[str, Any] = {
    "batch_id": f"{BATCH}_{EXAMPLE_ID}",
    "state": "done",
    "lines_done": 1200,
    "failure": None,
}
_OF_USE: Mapping[str, Any] = {
    "redemption_id": f"{REDEMPTION}_{EXAMPLE_ID}",
    "voucher_id": f"{VOUCHER}_{EXAMPLE_ID}",
    "store_id": f"{STORE}_{EXAMPLE_ID}",
    "terminal_id": f"{TERMINAL}_{EXAMPLE_ID}",
    "payable_fen": 500,
}
_OF_SETTLEMENT: Mapping[str, Any] = {
    "settlement_id": f"{SETTLEMENT}_{EXAMPLE_ID}",
    "first_day": "2026-11-01",
    "last_day": "2026-11-30",
    "lines": 3,
    "coin_milli": 9000,
    "payable_fen": 1500,
    "digest": "0" * 64,
}

EVENTS: tuple[EventType, ...] = (
    EventType(
        name="voucher.redeemed.v1",
        news="voucher.redeemed",
        prefix=VOUCHER,
        audience=frozenset({MERCHANT_OWNER}),
        zh="一张券在本商户核销",
        en="a voucher was used at one of the merchant's tills",
        finds=_FIND_REDEEMED,
        data=_redeemed,
        example=_OF_USE,
    ),
    EventType(
        name="redemption.reversed.v1",
        news="redemption.reversed",
        prefix=REDEMPTION,
        audience=frozenset({MERCHANT_OWNER}),
        zh="一次核销被撤销",
        en="a redemption was undone; `lives_again` says whether the voucher may be used once more",
        finds=_FIND_REVERSED,
        data=_reversed,
        example={**_OF_USE, "lives_again": True},
    ),
    EventType(
        name="offline.conflict.v1",
        news="offline.conflict",
        prefix=CONFLICT,
        audience=frozenset({MERCHANT_OWNER}),
        zh="一笔离线核销与先前的使用冲突",
        en="an offline scan met a voucher that was used or gone before",
        finds=_FIND_CONFLICT,
        data=_conflict,
        example={
            "conflict_id": f"{CONFLICT}_{EXAMPLE_ID}",
            "store_id": f"{STORE}_{EXAMPLE_ID}",
            "terminal_id": f"{TERMINAL}_{EXAMPLE_ID}",
            "cause": "redeemed",
            "liable": "merchant",
            "cost_fen": 300,
        },
    ),
    EventType(
        name="settlement.closed.v1",
        news="settlement.closed",
        prefix=SETTLEMENT,
        audience=frozenset({MERCHANT_OWNER}),
        zh="一期结算单已出账,可确认或提出异议",
        en="a period was closed: the settlement waits to be confirmed or disputed",
        finds=_FIND_SETTLEMENT,
        data=_settled,
        example=_OF_SETTLEMENT,
    ),
    EventType(
        name="settlement.paid.v1",
        news="settlement.paid",
        prefix=SETTLEMENT,
        audience=frozenset({MERCHANT_OWNER}),
        zh="一期结算单已付款",
        en="a settlement was paid",
        finds=_FIND_SETTLEMENT,
        data=_settled,
        example=_OF_SETTLEMENT,
    ),
    EventType(
        name="batch.done.v1",
        news="batch.done",
        prefix=BATCH,
        audience=frozenset({PARTNER_OWNER}),
        zh="一个批次处理完毕",
        en="every line of a batch was taken; its outcomes are at /v1/partner/batches",
        finds=_FIND_BATCH,
        data=_batch,
        example=_OF_BATCH,
    ),
    EventType(
        name="batch.failed.v1",
        news="batch.failed",
        prefix=BATCH,
        audience=frozenset({PARTNER_OWNER}),
        zh="一个批次整体被拒",
        en="a batch was refused as a whole; `failure` is the refusal's code",
        finds=_FIND_BATCH,
        data=_batch,
        example={**_OF_BATCH, "state": "failed", "failure": "file_too_large"},
    ),
    EventType(
        name="consent.withdrawn.v1",
        news="consent.withdrawn",
        prefix=CONSENT,
        audience=frozenset({PARTNER_OWNER}),
        zh="一位居民撤回授权(不透露是谁)",
        en="a citizen withdrew consent; whose it was is not told, later records answer `consent_missing`",
        finds=_FIND_CONSENT,
        data=_consent,
        example={"consent_id": f"{CONSENT}_{EXAMPLE_ID}", "withdrawn_at": "2026-11-20T04:00:00Z"},
    ),
    EventType(
        name="endpoint.paused.v1",
        news="webhook.paused",
        prefix=ENDPOINT,
        audience=frozenset({MERCHANT_OWNER, PARTNER_OWNER}),
        zh="您的另一个接收地址已暂停",
        en="another endpoint of yours was paused, because it failed for days or answered 410",
        finds=_FIND_ENDPOINT,
        data=_endpoint,
        example={"endpoint_id": f"{ENDPOINT}_{EXAMPLE_ID}", "paused_because": "failures"},
    ),
)
BY_NAME: Mapping[str, EventType] = MappingProxyType({each.name: each for each in EVENTS})
EVERY_NAME = (PING, *BY_NAME)


def documented() -> dict[str, Any]:
    """Every event as OpenAPI 3.1 describes what we send (`webhooks`)."""
    return {each.name: {"post": _documented(each)} for each in EVENTS}


def _documented(kind: EventType) -> dict[str, Any]:
    properties: dict[str, Any] = {name: _shape(value) for name, value in kind.example.items()}
    body = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": kind.name},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "required": list(properties), "properties": properties},
        },
    }
    example = {"type": kind.name, "timestamp": "2026-11-20T04:00:00Z", "data": dict(kind.example)}
    header = {"in": "header", "required": True, "schema": {"type": "string"}}
    return {
        "summary": kind.en,
        "parameters": [{**header, "name": f"webhook-{name}"} for name in ("id", "timestamp", "signature")],
        "requestBody": {"content": {"application/json": {"schema": body, "example": example}}},
        "responses": {
            "2XX": {"description": "It is safe with you; it is not sent again."},
            "410": {"description": "Nobody wants it any more: the endpoint is paused."},
            "default": {"description": "Anything else, or nothing: it is sent again."},
        },
    }


def _shape(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, str):
        return {"type": ["string", "null"]}
    return {"type": "boolean" if isinstance(value, bool) else "integer"}
