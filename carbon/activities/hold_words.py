"""Why a rule holds an activity, as its citizen reads it; the figures are the rule's and the record's own."""

from dataclasses import dataclass

from kernel.publications.rules import HoldRule
from kernel.publications.shapes import RECORDS_A_DAY


@dataclass(frozen=True)
class Reason:
    """The same in both languages."""

    zh: str
    en: str


def reason(rule: HoldRule, measured: int) -> Reason:
    """What a citizen is told of a hold by a rule."""
    if rule.measure == RECORDS_A_DAY:
        return Reason(
            f"当日第 {measured} 条同类记录;已发布的规则核查每日第 {rule.most} 条之后的记录。",
            f"Record {measured} of this kind on that day; a published rule checks what comes after"
            f" {rule.most}.",
        )
    fast, most = kilometres(measured), kilometres(rule.most)
    return Reason(
        f"平均时速 {fast} 公里;已发布的规则核查时速超过 {most} 公里的行程。",
        f"{fast} km/h on average; a published rule checks trips above {most} km/h.",
    )


def kilometres(metres: int) -> str:
    """Metres as kilometres, exact."""
    whole, rest = divmod(metres, 1000)
    return f"{whole}" + (f".{rest:03d}".rstrip("0") if rest else "")
