"""What a rule says, in a sentence of each language; the figures come from the rule itself."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from app.public.scenario_words import Words, listed, scenario_words, tier_words
from carbon.activities.hold_words import kilometres
from kernel.publications.shapes import RECORDS_A_DAY
from kernel.publications.tables import Publication
from kernel.units import show_grams

CLASSES: Mapping[str, Words] = MappingProxyType(
    {"standard": Words("普通碳币", "standard coins"), "promotional": Words("活动碳币", "promotional coins")}
)
_BEARERS = MappingProxyType(
    {"merchant": Words("商户", "the merchant"), "funders": Words("出资方", "the funders")}
)
_PERIODS = MappingProxyType({"day": Words("每日", "day"), "month": Words("每月", "calendar month")})
_SLOTS = MappingProxyType(
    {
        "five_minutes": Words("同一时间", "time"),
        "day": Words("每日", "day"),
        "month": Words("每月", "calendar month"),
    }
)
_OF = MappingProxyType(
    {
        "standard": Words("因子表与规则", "a factor table or a rule"),
        "factor_table": Words("因子表", "a factor table"),
    }
)
_MASSES = (("kg", "千克"), ("g", "克"))


def rule_in_words(rule: Publication, regions: Mapping[str, Words]) -> Words:
    """A rule as a sentence; `regions` names the regions that rules speak of."""
    said = _SAYERS.get(rule.kind)
    return Words(rule.title, rule.title) if said is None else said(rule.subject, rule.content, regions)


def coins_in_words(coins_milli: int) -> Words:
    """Milli-coins, exact and no longer than needed (`1500` is 1.5)."""
    whole, rest = divmod(coins_milli, 1000)
    figure = f"{whole:,}" + (f".{rest:03d}".rstrip("0") if rest else "")
    return Words(f"{figure} 枚碳币", f"{figure} {'coin' if coins_milli == 1000 else 'coins'}")


def grams_in_words(carbon_mg: int) -> Words:
    """Milligrams as grams or kilograms, exact."""
    figure, unit = show_grams(carbon_mg).split(" ")
    whole, point, rest = figure.partition(".")
    figure = f"{int(whole):,}{point}{rest}"
    return Words(f"{figure} {dict(_MASSES)[unit]}", f"{figure} {unit}")


def _class(name: str) -> Words:
    return CLASSES.get(name, Words(name, name))


def _coin_rate(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    grams, coins = grams_in_words(content["per_mg"]), coins_in_words(content["coins_milli"])
    return Words(
        f"{grams.zh} = {coins.zh}；不足部分舍去，不多发", f"{grams.en} = {coins.en}; the remainder is dropped"
    )


def _cap(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    what = listed([scenario_words(scenario) for scenario in content["scenarios"]])
    coins, period = coins_in_words(content["coins_milli"]), _PERIODS[content["period"]]
    return Words(
        f"每人{period.zh}合计最多 {coins.zh}：{what.zh}",
        f"at most {coins.en} a citizen and {period.en} together: {what.en}",
    )


def _validity(subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    months, coins = content["months"], _class(subject)
    return Words(
        f"{coins.zh}有效期至入账后第 {months} 个月的月末",
        f"{coins.en} are valid to the end of month {months} after crediting",
    )


def _prepare_lock(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    seconds = content["seconds"]
    return Words(f"扫码后为顾客保留 {seconds} 秒待确认", f"a scan reserves the voucher for {seconds} s")


def _owner_confirmation(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    fen, seconds = content["from_cost_fen"], content["seconds"]
    yuan = f"{fen // 100:,}.{fen % 100:02d}"
    return Words(
        f"成本 {yuan} 元及以上的兑换券，须本人在 {seconds} 秒内于手机确认后方可核销",
        f"a voucher that costs {yuan} yuan or more is used only after its owner said yes within {seconds} s",
    )


def _reversal_window(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    hours = content["hours"]
    return Words(f"核销后 {hours} 小时内可以冲正", f"a redemption may be reversed within {hours} h")


def _grace(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    days = content["days"]
    return Words(
        f"非本人原因而迟退的碳币宽限 {days} 天",
        f"coins that come back too late by no fault of the citizen live {days} more days",
    )


def _offline(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    face, total = (
        f"{content[name] // 100:,}.{content[name] % 100:02d}" for name in ("face_fen", "total_fen")
    )
    bears = _BEARERS[content["liable"]]
    return Words(
        f"断网时每台终端最多核销 {content['redemptions']} 张、合计 {total} 元，单张不超过 {face} 元，"
        f"{content['sync_hours']} 小时内补传；重复核销的损失由{bears.zh}承担，不由居民承担",
        f"without a network a terminal honours at most {content['redemptions']} vouchers and {total} yuan,"
        f" each up to {face} yuan, handed in within {content['sync_hours']} h; a second use is borne by"
        f" {bears.en}, never by the citizen",
    )


def _waiting_list(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    minutes = content["hold_minutes"]
    return Words(
        f"兑完的权益有退回时，为候补第一位保留 {minutes} 分钟",
        f"what comes back of a reward that is sold out is held for the first in the queue for {minutes} min",
    )


def _fallback(subject: str, content: Mapping[str, Any], regions: Mapping[str, Words]) -> Words:
    code = content["region_id"]
    what, where = scenario_words(subject), regions.get(code, Words(code, code))
    return Words(
        f"{what.zh}在本地没有因子时采用{where.zh}的因子",
        f"without a local factor, {what.en} takes the factor of {where.en}",
    )


def _spending_order(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    order = [_class(name) for name in content["classes"]]
    return Words(
        "先用" + "，再用".join(each.zh for each in order),
        "first " + ", then ".join(each.en for each in order) + " are spent",
    )


def _evidence_tier(subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    tier, share = tier_words(subject), content["share_permille"]
    percent = f"{share // 10}" + (f".{share % 10}" if share % 10 else "")
    return Words(
        f"证据等级“{tier.zh}”计入核算减排量的 {percent}%",
        f"evidence “{tier.en}” counts for {percent} % of the kilograms",
    )


def _trip_claims(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    what = listed([scenario_words(scenario) for scenario in content["scenarios"]])
    when = _SLOTS[content["slot"]]
    return Words(
        f"同一人{when.zh}只计一次，无论由谁报送：{what.zh}",
        f"one a citizen and {when.en}, whoever sends it: {what.en}",
    )


def _automatic_hold(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    what, most = listed([scenario_words(scenario) for scenario in content["scenarios"]]), content["most"]
    if content["measure"] == RECORDS_A_DAY:
        beyond = Words(f"同一人当日第 {most} 条之后的记录", f"of a citizen's day after the first {most}")
    else:
        fast = kilometres(most)
        beyond = Words(f"平均时速超过 {fast} 公里的记录", f"faster than {fast} km/h on average")
    return Words(
        f"先核查{beyond.zh}：{what.zh}；碳币暂不可用，市民可申诉，由人工作出结论",
        f"records {beyond.en} are held: {what.en}; the coins wait, the citizen may appeal, a person decides",
    )


def _calendar(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    year, off, worked = content["year"], len(content["holidays"]), len(content["workdays"])
    return Words(
        f"{year} 年放假 {off} 天、调休上班 {worked} 天；公示按此计算工作日",
        f"in {year}, {off} days off and {worked} weekend days that are worked; notices are counted by it",
    )


def _procedure(subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    days = content["notice_days"]
    steps = [
        (content["review"] == "third_person", Words("第三人审核", "a third person approves")),
        (days > 0, Words(f"公示 {days} 个工作日", f"{days} working days of public notice pass")),
        (
            days > 0 and content["objections"] == "must_be_answered",
            Words("答复全部异议", "every objection is answered"),
        ),
    ]
    asked = [words for is_asked, words in steps if is_asked]
    of = _OF.get(subject, Words(f"{subject} 类内容", f"what is of kind {subject}"))
    if not asked:
        return Words(f"{of.zh}由第二人发布", f"{of.en} is published by a second person")
    zh, en = "、".join(each.zh for each in asked), ", ".join(each.en for each in asked)
    return Words(f"{of.zh}发布前须经{zh}", f"before {of.en} is published, {en}")


def _reminders(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    days = sorted(content["days"], reverse=True)
    return Words(
        f"碳币和兑换券到期前 {'、'.join(map(str, days))} 天各提醒一次",
        f"owners are reminded {', '.join(map(str, days))} days before coins or a voucher end",
    )


_BASELINES = MappingProxyType(
    {
        "own_same_month": Words("自家往年同月", "the home's own same month of former years"),
        "city_person_day": Words("全市人均", "the city's use a person"),
        "own_seven_days": Words("自家此前七天", "the home's own seven days before"),
    }
)


def _household_saving(subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    what = scenario_words(subject)
    order = [_BASELINES.get(name, Words(name, name)) for name in content["baselines"]]
    tier, sun = content["price_tier_most"], content["solar"] == "excluded"
    return Words(
        f"{what.zh}的基准依次为"
        + "、".join(each.zh for each in order)
        + f"；第 {tier} 档以上电价{'和自有光伏' if sun else ''}的家庭不参与；缺任一表计的读数不算节约",
        f"{what.en} is measured against "
        + ", else ".join(each.en for each in order)
        + f"; homes above price tier {tier}{' or with solar panels' if sun else ''} take no part;"
        " a meter without readings is no saving",
    )


_PAYERS = MappingProxyType({**_BEARERS, "centre": Words("运营中心", "the operation centre")})


def _settlement(_subject: str, content: Mapping[str, Any], _regions: Mapping[str, Words]) -> Words:
    period = _settled_period(content["period"], content["last_day"])
    silent = content["silence"] == "confirms"
    extras = [_of_settlement(content, name) for name in ("fee", "subsidy")]
    days, window = content["close_days"], content["dispute_days"]
    return Words(
        f"商户{period.zh}结算一次，{days} 天后出账，{window} 天内可提异议"
        + ("，逾期视为确认" if silent else "")
        + "".join(each.zh for each in extras),
        f"merchants are settled for {period.en}, closed {days} days later, disputed within {window} days"
        + (" or else confirmed" if silent else "")
        + "".join(each.en for each in extras),
    )


def _settled_period(period: str, last_day: int) -> Words:
    if period == "daily":
        return Words("每日", "each day")
    if period == "weekly":
        return Words(f"每周（至周{'一二三四五六日'[last_day - 1]}）", f"each week up to its day {last_day}")
    return Words(f"每月（至 {last_day} 日或月末）", f"each month up to day {last_day} or its end")


def _of_settlement(content: Mapping[str, Any], name: str) -> Words:
    points, each = content[f"{name}_basis_points"], content[f"{name}_fen_each"]
    if not points and not each:
        return Words("", "")
    what = {"fee": Words("手续费", "fee"), "subsidy": Words("补贴", "subsidy")}[name]
    share, yuan = f"{points // 100}.{points % 100:02d}%", f"{each // 100}.{each % 100:02d}"
    parts = [Words(f"成本的 {share}", f"{share} of the cost")] if points else []
    parts += [Words(f"每笔 {yuan} 元", f"{yuan} yuan a use")] if each else []
    who = _PAYERS[content[f"{name}_bearer"]]
    return Words(
        f"；{what.zh}为{'加'.join(part.zh for part in parts)}，由{who.zh}承担",
        f"; a {what.en} of {' and '.join(part.en for part in parts)} is borne by {who.en}",
    )


_SAYERS: Mapping[str, Callable[[str, Mapping[str, Any], Mapping[str, Words]], Words]] = MappingProxyType(
    {
        "coin_rate": _coin_rate,
        "cap": _cap,
        "validity": _validity,
        "prepare_lock": _prepare_lock,
        "owner_confirmation": _owner_confirmation,
        "reversal_window": _reversal_window,
        "grace": _grace,
        "offline": _offline,
        "reminders": _reminders,
        "waiting_list": _waiting_list,
        "factor_fallback": _fallback,
        "evidence_tier": _evidence_tier,
        "trip_claims": _trip_claims,
        "automatic_hold": _automatic_hold,
        "spending_order": _spending_order,
        "working_calendar": _calendar,
        "publication_procedure": _procedure,
        "household_saving": _household_saving,
        "settlement": _settlement,
    }
)
