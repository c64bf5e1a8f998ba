"""Every kind of message: the facts it is made of and the sentences made of them when it is read.

A new kind is one entry here, and either a listener in `news.py` (something happened and was announced) or a
call of `inbox.tell` by a job. Facts are what the sentences need and no more: amounts as integers with
their unit in the name, days and instants as ISO text; no names of people, no places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from kernel.clock import SHANGHAI
from kernel.units import show_coins, show_grams

Facts = Mapping[str, Any]
INSTANTS = frozenset({"answer_by", "held_until"})
"""Facts that are instants; they are shown in Shanghai time."""
Saying = dict[str, str]
"""A text in `zh` and in `en`."""


@dataclass(frozen=True)
class Kind:
    """What a kind is made of, when it is told, and how it is said."""

    facts: frozenset[str]
    when: str
    zh: Callable[[Facts], str]
    en: Callable[[Facts], str]

    def says(self, facts: Facts) -> Saying:
        """The sentences of one message."""
        return {"zh": self.zh(facts), "en": self.en(facts)}


def _kind(
    facts: str, when: str, *, zh: str | Callable[[Facts], str], en: str | Callable[[Facts], str]
) -> Kind:
    return Kind(frozenset(facts.split()), when, _sentence(zh), _sentence(en))


def _sentence(said: str | Callable[[Facts], str]) -> Callable[[Facts], str]:
    """A template over what is shown of the facts, or a function where one sentence does not do."""
    return said if callable(said) else lambda facts: said.format(**_shown(facts))


def _shown(facts: Facts) -> dict[str, str]:
    """The facts as people read them; of the first invalid day, the last valid one beside it."""
    shown = {name: str(value) for name, value in facts.items()}
    for name, value in facts.items():
        if name.endswith("coin_milli"):
            shown[name.removesuffix("_milli")] = show_coins(value)
        elif name.endswith("carbon_mg"):
            shown[name.removesuffix("_mg")] = show_grams(value)
        elif name in INSTANTS:
            shown[name] = datetime.fromisoformat(value).astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        elif name == "expires_on":
            shown["last_day"] = (date.fromisoformat(value) - timedelta(days=1)).isoformat()
    return shown


def _either(name: str, nonzero: str, zero: str) -> Callable[[Facts], str]:
    """One template where a fact is not 0, another where it is."""
    return lambda facts: (nonzero if facts[name] else zero).format(**_shown(facts))


def _fates(said: str, *, ended: str, graced: str) -> Callable[[Facts], str]:
    """A sentence, and one more each for coins that ended and for coins that were given grace."""

    def say(facts: Facts) -> str:
        parts = (
            said,
            ended if facts["ended_coin_milli"] else "",
            graced if facts.get("graced_coin_milli") else "",
        )
        return "".join(parts).format(**_shown(facts))

    return say


_FATES_ZH = {
    "ended": "其中 {ended_coin} 已过有效期,同时失效。",
    "graced": "其中 {graced_coin} 因系统处理延迟而过有效期,给予宽限。",
}
_FATES_EN = {
    "ended": " {ended_coin} of them were past their day and have ended.",
    "graced": " {graced_coin} of them were past their day because we were late, and have days of grace.",
}

KINDS: Mapping[str, Kind] = {
    "coins_expiring": _kind(
        "validity_class coin_milli expires_on days_ahead",
        "so many days before coins end as the rule `reminders` says; the amount is that of its day",
        zh="{coin} 碳币的有效期到 {last_day},未使用将于次日失效。",
        en="{coin} coins are valid to the end of {last_day} and end then unless they are spent.",
    ),
    "coins_expired": _kind(
        "validity_class coin_milli expires_on",
        "coins have ended",
        zh="{coin} 碳币有效期已满({last_day}),现已失效。",
        en="{coin} coins have ended; their last day was {last_day}.",
    ),
    "voucher_expiring": _kind(
        "title_zh title_en coin_milli expires_on days_ahead",
        "so many days before a voucher ends as the rule `reminders` says",
        zh="兑换券「{title_zh}」的有效期到 {last_day},请及时使用。",
        en="Your voucher “{title_en}” is valid to the end of {last_day}.",
    ),
    "voucher_expired": _kind(
        "title_zh title_en coin_milli ended_coin_milli graced_coin_milli",
        "a voucher has ended unused and its coins came back; what of them was past its day has ended with it,"
        " or has days of grace where only our lateness made it so",
        zh=_fates("兑换券「{title_zh}」到期未用,{coin} 碳币已退回。", **_FATES_ZH),
        en=_fates("Your voucher “{title_en}” ended unused and {coin} coins came back.", **_FATES_EN),
    ),
    "voucher_cancelled": _kind(
        "title_zh title_en coin_milli ended_coin_milli graced_coin_milli",
        "a cancelled voucher that had to wait for offline scans has ended and its coins came back; what of"
        " them ended meanwhile is said",
        zh=_fates("您取消的兑换券「{title_zh}」已结束,{coin} 碳币已退回。", **_FATES_ZH),
        en=_fates("Your cancelled voucher “{title_en}” has ended and {coin} coins came back.", **_FATES_EN),
    ),
    "voucher_deactivated": _kind(
        "title_zh title_en coin_milli graced_coin_milli reason",
        "an operator withdrew a voucher; its coins came back, those past their day with days of grace",
        zh=_either(
            "graced_coin_milli",
            "兑换券「{title_zh}」已停用,{coin} 碳币已退回,其中 {graced_coin} 已过有效期、给予宽限。"
            "原因:{reason}",
            "兑换券「{title_zh}」已停用,{coin} 碳币已退回。原因:{reason}",
        ),
        en=_either(
            "graced_coin_milli",
            "Your voucher “{title_en}” was withdrawn and {coin} coins came back, {graced_coin} of them past"
            " their day with days of grace. The reason: {reason}",
            "Your voucher “{title_en}” was withdrawn and {coin} coins came back. The reason: {reason}",
        ),
    ),
    "voucher_reversed": _kind(
        "title_zh title_en coin_milli lives_again expires_on",
        "a redemption was reversed: the voucher may be used again, or has ended and its coins came back",
        zh=_either(
            "lives_again",
            "兑换券「{title_zh}」的核销已冲正,可继续使用至 {last_day}。",
            "兑换券「{title_zh}」的核销已冲正;该券已过有效期,{coin} 碳币已退回。",
        ),
        en=_either(
            "lives_again",
            "The use of your voucher “{title_en}” was undone; it is valid to the end of {last_day}.",
            "The use of your voucher “{title_en}” was undone; it has ended, and {coin} coins came back.",
        ),
    ),
    "voucher_asked": _kind(
        "title_zh title_en ask answer_by",
        "a till wants to redeem a voucher of which the owner is asked first",
        zh="有门店请求核销兑换券「{title_zh}」,请在 {answer_by} 前确认或拒绝。",
        en="A store wants to redeem your voucher “{title_en}”: say yes or no before {answer_by}.",
    ),
    "voucher_overridden": _kind(
        "title_zh title_en reason",
        "a manager at the till said yes in the owner's place",
        zh="店长代您确认了兑换券「{title_zh}」的核销。原因:{reason}",
        en="A manager confirmed the use of your voucher “{title_en}” in your place. The reason: {reason}",
    ),
    "reward_held": _kind(
        "title_zh title_en held_until",
        "an item that came back is held for who waited longest",
        zh="您候补的「{title_zh}」已为您保留至 {held_until},请及时兑换。",
        en="“{title_en}”, which you waited for, is held for you until {held_until}.",
    ),
    "reward_hold_lapsed": _kind(
        "title_zh title_en",
        "an item was held for who waited, and was not exchanged in time",
        zh="「{title_zh}」的保留时间已过,已转给下一位。",
        en="“{title_en}” was held for you and was not exchanged in time; it went to the next in line.",
    ),
    "coins_corrected": _kind(
        "activities coin_milli carbon_mg",
        "a correcting factor table was applied; each line of the statement says why",
        zh="因子表更正,重新核算了您的 {activities} 条行为:碳币 {coin},减排量 {carbon}。逐条原因见明细。",
        en="A factor table was corrected and {activities} of your activities were counted anew:"
        " {coin} coins, {carbon}. Your statement gives the reason line by line.",
    ),
    "activity_held": _kind(
        "activity_id coin_milli reason_zh reason_en",
        "an operator or a published rule put an activity on hold; one appeal is open",
        zh="您的一条行为正在核查,{coin} 碳币暂不可用。原因:{reason_zh}。您可申诉一次。",
        en="One of your activities is being looked into and {coin} coins are set aside. The reason:"
        " {reason_en}. You may appeal once.",
    ),
    "activity_released": _kind(
        "activity_id coin_milli reason",
        "an activity on hold was found to be in order",
        zh="核查已结束,{coin} 碳币恢复可用。结论:{reason}",
        en="The activity that was looked into stands, and {coin} coins are yours again."
        " The decision: {reason}",
    ),
    "activity_refused": _kind(
        "activity_id coin_milli reason",
        "an activity on hold was refused and its credit taken back",
        zh="核查已结束,该行为未通过,碳币与减排量已收回。结论:{reason}",
        en="The activity that was looked into was refused; its coins and kilograms were taken back."
        " The decision: {reason}",
    ),
    "donation_received": _kind(
        "carbon_mg coin_milli",
        "a share of the public pool was credited",
        zh="您收到公益池分配的减排量 {carbon} 和 {coin} 碳币。",
        en="You received {carbon} and {coin} coins from the public pool.",
    ),
}
