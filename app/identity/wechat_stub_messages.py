"""What WeChat checks of a subscription message before it counts: whom, which template, which values."""

import re
from typing import Any

LIMITS = {
    "thing": r"(?s).{1,20}",
    "number": r"(?=.{1,32}$)[0-9]+(\.[0-9]+)?",
    "letter": r"[A-Za-z]{1,32}",
    "symbol": r"[^\w\s]{1,5}",
    "character_string": r"[!-~]{1,32}",
    "time": r"([0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日 )?[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?",
    "date": r"[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日( [0-9]{1,2}:[0-9]{2})?",
    "amount": r"[¥$€£]?[0-9]{1,10}(\.[0-9]{1,2})?元?",
    "phone_number": r"[0-9+#*-]{1,17}",
    "car_number": r"[A-Z0-9\u4e00-\u9fff]{1,8}",
    "name": r"[\u4e00-\u9fff·]{1,10}|[A-Za-z .]{1,20}",
    "phrase": r"[\u4e00-\u9fff]{1,5}",
}
"""What a value may be, by the kind that begins its name: `thing3` is the third thing of its template."""


def wrong_value(data: Any) -> str | None:
    """The first field of a message that WeChat would not take, or None."""
    if not isinstance(data, dict) or not data:
        return "data"
    for name, given in data.items():
        kind = re.fullmatch(r"([a-z_]+?)[0-9]+", name, re.ASCII)
        value = given.get("value") if isinstance(given, dict) else None
        limit = LIMITS.get(kind[1]) if kind else None
        if limit is None or not isinstance(value, str) or not re.fullmatch(limit, value):
            return f"data.{name}.value"
    return None
