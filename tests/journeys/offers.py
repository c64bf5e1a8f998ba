"""Rewards that the addresses of the catalogue can name: drafts, sold ones, ones that people wait for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kernel.clock import SystemClock

Make = Callable[..., Any]


def drafted_reward(make: Make, funder: str, **change: Any) -> str:
    """A draft's id."""
    body = {
        "title_zh": "示例",
        "title_en": "Example",
        "price_coin_milli": 1000,
        "cost_fen": 100,
        "funding": [{"funder_id": funder, "parts": 1}],
        "valid_days": 30,
        "limit_per_person": 10,
        "stock": 10,
        "sells_from": "2026-01-01T00:00:00Z",
        "sells_until": (SystemClock().now() + timedelta(days=300)).isoformat(timespec="seconds"),
    }
    return str(make("operator_editor", "/v1/rewards", {**body, **change})["id"])


def published_reward(make: Make, funder: str, **change: Any) -> str:
    """The id of a reward on the shelf."""
    reward = drafted_reward(make, funder, **change)
    seen = {"reason": "for an example", "picture_sha256": None}
    make("operator_publisher", f"/v1/rewards/{reward}/publication", seen)
    return reward


def plant_offers(make: Make, ids: dict[str, str]) -> None:
    """A group, three drafts, and places in queues."""
    group = {"name_zh": "学生", "name_en": "Students", "terms_zh": "在读证明", "terms_en": "A school says so"}
    for _ in range(3):
        sold_out = published_reward(make, ids["fnd"], stock=0, waits=True)
        ids["place"] = make("citizen", f"/v1/rewards/{sold_out}/places", None)["id"]
        ids["reward"] = drafted_reward(make, ids["fnd"])
        ids["group"] = ids["grp"] = make("operator_editor", "/v1/operator/groups", group)["id"]
