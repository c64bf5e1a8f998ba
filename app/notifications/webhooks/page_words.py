"""What the page of an endpoint says, in one of two languages."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from app.notifications.webhooks.events import BY_NAME
from app.notifications.webhooks.history import DELIVERY, attempts, deliveries
from app.notifications.webhooks.signing import MESSAGE
from app.notifications.webhooks.tables import PING, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.identifiers import public_id
from kernel.paging import PageRequest

ON_A_PAGE = 20
STATES = {
    "waiting": {"zh": "待测试", "en": "waits for its ping"},
    "on": {"zh": "已启用", "en": "on"},
    "paused": {"zh": "已暂停", "en": "paused"},
}
PAUSES = {
    "owner": {"zh": "由您暂停", "en": "by its owner"},
    "failures": {"zh": "连续多日发送失败", "en": "it failed for days"},
    "gone": {"zh": "对方答复 410", "en": "it answered 410"},
}
DELIVERED = {
    "waiting": {"zh": "等待发送", "en": "waits"},
    "delivered": {"zh": "已送达", "en": "delivered"},
    "dead": {"zh": "未送达", "en": "not delivered"},
}
OUTCOMES = {
    "delivered": {"zh": "已接收", "en": "taken"},
    "refused": {"zh": "被拒绝", "en": "refused"},
    "slow": {"zh": "超时", "en": "too slow"},
    "unresolved": {"zh": "域名无法解析", "en": "the name leads nowhere"},
    "forbidden": {"zh": "地址不在公网", "en": "the address is not public"},
    "unreachable": {"zh": "无法连接", "en": "no connection"},
    "untrusted": {"zh": "证书不可信", "en": "certificate not trusted"},
    "garbled": {"zh": "答复不合协议", "en": "the answer is no HTTP"},
}
_PING = {"zh": "测试消息", "en": "a ping"}


def endpoint_shown(call: Call, endpoint: WebhookEndpoint, *, lang: str, after: str | None) -> dict[str, Any]:
    """The facts of the page. Refuses `WrongCursor`."""
    listed = deliveries(call, endpoint, PageRequest(limit=ON_A_PAGE, after=after))
    tried: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for each in attempts(call, [delivery.id for delivery in listed.items]):
        tried[each.delivery_id].append(_attempt(each, lang))
    return {
        "lang": lang,
        "url": endpoint.url,
        "description": endpoint.description,
        "state": endpoint.state,
        "state_word": STATES[endpoint.state][lang],
        "because": PAUSES[endpoint.paused_because][lang] if endpoint.paused_because else "",
        "events": [
            {"name": name, "says": BY_NAME[name].zh if lang == "zh" else BY_NAME[name].en}
            for name in endpoint.events
        ],
        "deliveries": [_delivery(each, tried[each.id], lang) for each in listed.items],
        "next": listed.next,
        "ends_at": shown_at(endpoint.page_ends_at),
    }


def _delivery(delivery: WebhookDelivery, tried: list[dict[str, Any]], lang: str) -> dict[str, Any]:
    kind = BY_NAME.get(delivery.event)
    says = _PING if kind is None else {"zh": kind.zh, "en": kind.en}
    return {
        "id": public_id(DELIVERY, delivery.id),
        "message_id": public_id(MESSAGE, delivery.news_id),
        "event": delivery.event,
        "says": says[lang].partition(";")[0],
        "state": delivery.state,
        "state_word": DELIVERED[delivery.state][lang],
        "happened_at": shown_at(delivery.happened_at),
        "next_at": shown_at(delivery.next_at),
        "attempts": tried,
        "may_go_again": delivery.event != PING and delivery.lease is None,
    }


def _attempt(attempt: WebhookAttempt, lang: str) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "began_at": shown_at(attempt.began_at),
        "took_ms": attempt.took_ms,
        "word": OUTCOMES[attempt.result][lang],
        "good": attempt.result == "delivered",
        "status": attempt.status,
        "answer": attempt.answer,
    }


def shown_at(instant: datetime | None) -> str:
    """An instant in Beijing time, to the second; empty where there is none."""
    return "" if instant is None else instant.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
