"""What each kind of rule says, field by field; a draft in any other shape is refused."""

from collections.abc import Callable, Mapping
from typing import Any

from kernel.errors import require
from kernel.publications.errors import RuleContentWrong, RuleKindUnknown

FACTOR_TABLE = "factor_table"
"""Its rows are checked where factors are known, when it is published."""
_MOST = 10**15


def _whole(least: int = 1, most: int = _MOST) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)


SHAPES: dict[str, Mapping[str, Callable[[Any], bool]]] = {
    "coin_rate": {"coins_milli": _whole(), "per_mg": _whole()},
    "cap": {
        "scenarios": _texts,
        "period": lambda value: value in ("day", "month"),
        "coins_milli": _whole(0),
    },
    "validity": {"months": _whole(1, 119)},
    "prepare_lock": {"seconds": _whole(1, 3600)},
    "reversal_window": {"hours": _whole(1, 24 * 31)},
    "grace": {"days": _whole(1, 366)},
    "factor_fallback": {"region_id": lambda value: isinstance(value, str) and bool(value)},
    "spending_order": {"classes": _texts},
}
"""Kind -> fields. Amounts are milli-coins and milligrams; a validity ends within ten years."""


def check_content(kind: str, content: Mapping[str, Any]) -> None:
    """Refuses RuleKindUnknown, and RuleContentWrong with the field at fault."""
    if kind == FACTOR_TABLE:
        require(isinstance(content.get("rows"), list), RuleContentWrong("rows are missing", pointer="/rows"))
        return
    shape = SHAPES.get(kind)
    if shape is None:
        raise RuleKindUnknown(f"{kind!r:.40}")
    for name, fits in shape.items():
        require(fits(content.get(name)), RuleContentWrong(f"{name} of {kind}", pointer=f"/content/{name}"))
    unknown = sorted(set(content) - set(shape))
    require(not unknown, RuleContentWrong(f"unknown: {', '.join(unknown)}", pointer="/content"))
