"""An explained activity as a tree to read: entry, coin rate, kilograms, steps, factor row, document.

Each node says in Chinese and English what it is, gives its arithmetic in exact decimals, and names what it
rests on in `because`. It is made from the figures of the explanation alone, and holds nothing of a person.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from carbon.activities.batch_results import sentence
from carbon.factors.lookup import OWN_REGION
from carbon.methodologies.inputs import INPUTS
from carbon.methodologies.registry import METHODS
from kernel.units import show_coins, show_grams

Figures = Mapping[str, Any]
_MASSES = {"kg": "千克", "g": "克"}
_GASES = {"CO2": "二氧化碳", "CO2e": "二氧化碳当量"}
_PERIODS = {"day": ("每日", "day"), "month": ("每月", "calendar month")}

_DECIDED = {
    "held": ("碳币暂不可用,可以申诉。", "The coins wait for a decision; you may appeal."),
    "released": ("已解除。", "It was released."),
    "refused": ("已驳回,入账已收回。", "It was refused, and the credit taken back."),
}


def tree_of(explained: Figures) -> dict[str, Any]:
    """The tree of one activity, its root the entry in the ledger."""
    coins, kilograms = explained["coins"], _kilograms(explained)
    zh, en = _entered(explained)
    because = [_rate(coins, explained["carbon_mg"], kilograms)]
    if coins["cap"] is not None:
        because.append(_cap(coins))
    if explained["hold"] is not None:
        because.append(_hold(explained["hold"]))
    return _node(
        "entry",
        title=("入账", "Entry"),
        says=(zh, en),
        value=(str(coins["credited_milli"]), "milli-coin"),
        because=because,
    )


def _entered(explained: Figures) -> tuple[str, str]:
    coins, mass = explained["coins"], _mass(explained)
    if explained["carbon_mg"] == 0:
        why = sentence("assessed", explained["reason"])
        return f"减排量为零,没有入账。{why.zh}。", f"Nothing was credited. {why.en}"
    return (
        f"{mass[0]}全额入账,另入账 {coins['credited']} 碳币。",
        f"{mass[1]} were credited in full, and {coins['credited']} coins.",
    )


def _rate(coins: Figures, carbon_mg: int, kilograms: dict[str, Any]) -> dict[str, Any]:
    rate, before = coins["rate"], coins["before_cap_milli"]
    title = ("兑换率", "Coin rate")
    if before is None:
        said = ("兑换率无法复核。", "The coin rate cannot be gone through again.")
        return _node("coin_rate", title=title, says=said, cites=_rule(rate), because=[kilograms])
    each, for_each = show_coins(rate["coins_milli"]), rate["per_mg"]
    return _node(
        "coin_rate",
        title=title,
        says=(
            f"每 {grams_zh(for_each)}兑换 {each} 碳币,不足千分之一枚的部分舍去。",
            f"{each} coins for each {show_grams(for_each)}; what is below a thousandth of a coin is dropped.",
        ),
        arithmetic=f"{carbon_mg} mg × {rate['coins_milli']} milli-coin ÷ {for_each} mg"
        f" = {_floored(carbon_mg * rate['coins_milli'], for_each)} milli-coin",
        value=(str(before), "milli-coin"),
        cites=_rule(rate),
        because=[kilograms],
    )


def _cap(coins: Figures) -> dict[str, Any]:
    cap, cut = coins["cap"], coins["cut_milli"]
    most, (zh, en) = show_coins(cap["coins_milli"]), _PERIODS[cap["period"]]
    return _node(
        "cap",
        title=("上限", "Cap"),
        says=(
            f"每人{zh}合计最多 {most} 碳币,本次"
            + (f"扣减 {show_coins(cut)} 碳币;减排量不受上限影响。" if cut else "未扣减。"),
            f"At most {most} coins a citizen and {en} together; "
            + (
                f"{show_coins(cut)} coins were cut here, kilograms never are."
                if cut
                else "nothing was cut here."
            ),
        ),
        arithmetic=f"{coins['credited_milli'] + cut} milli-coin − {cut} milli-coin"
        f" = {coins['credited_milli']} milli-coin",
        value=(str(coins["credited_milli"]), "milli-coin"),
        cites=_rule(cap),
    )


def _hold(hold: Figures) -> dict[str, Any]:
    rule, (zh, en) = hold["rule"], _DECIDED[hold["state"]]
    return _node(
        "hold",
        title=("核查", "Hold"),
        says=(f"{hold['reason_zh']}{zh}", f"{hold['reason_en']} {en}"),
        arithmetic=None
        if rule is None or rule["most"] is None
        else f"{hold['measured']} > {rule['most']} ({rule['measure']})",
        value=(str(hold["coin_milli"]), "milli-coin"),
        cites=None if rule is None else _rule(rule),
    )


def _kilograms(explained: Figures) -> dict[str, Any]:
    factor, mass = explained["factor"], _mass(explained)
    method = METHODS.get(factor["method"])
    zh, en = (method.title_zh, method.title_en) if method is not None else (factor["method"],) * 2
    return _node(
        "kilograms",
        title=("减排量", "Kilograms"),
        says=(
            f"{mass[0]}。方法:{zh}(第 {factor['method_version']} 版)。",
            f"{mass[1]}, by the method: {en} (version {factor['method_version']}).",
        ),
        value=(str(explained["carbon_mg"]), "mg"),
        because=[
            *(_step(step, explained) for step in explained["steps"]),
            *([] if explained["steps"] else [_factor(factor)]),
        ],
    )


def _step(step: Figures, explained: Figures) -> dict[str, Any]:
    factor, because = explained["factor"], []
    if step["expression"] == f"{factor['value']} {factor['unit']}":
        because = [_factor(factor)]
    elif step is explained["steps"][0]:
        because = [_input(name, value) for name, value in sorted(explained["inputs"].items())]
    before, after = step["value_before_rounding"], step["value_after"]
    result = after if before == after else f"{before} → {after}"
    shared = explained["evidence"]["rule"] if step is explained["steps"][-1] else None
    return _node(
        "step",
        title=(step["title_zh"], step["title_en"]),
        arithmetic=f"{step['expression']} = {result} {step['unit']}",
        value=(after, step["unit"]),
        cites=None if shared is None else _rule(shared),
        because=because,
    )


def _input(name: str, value: int) -> dict[str, Any]:
    known = INPUTS.get(name)
    title, unit = ((name, name), "") if known is None else ((known.title_zh, known.title_en), known.unit)
    return _node("input", title=title, arithmetic=f"{name} = {value}", value=(str(value), unit))


def _factor(factor: Figures) -> dict[str, Any]:
    table, where = factor["table"], factor["found_by"]
    region = where.partition(":")[2]
    zh, en = (
        ("本地区当日生效的因子。", "The region's own factor, in force on that day.")
        if where == OWN_REGION
        else (
            f"本地区没有因子,按已发布的规则采用 {region} 的因子。",
            f"The region has none; a published rule takes that of {region}.",
        )
    )
    if factor["assumption"]:
        zh, en = f"{zh}假设:{factor['assumption']}", f"{en} Assumption: {factor['assumption']}"
    return _node(
        "factor",
        title=("因子", "Factor"),
        says=(zh, en),
        arithmetic=f"{factor['code']} = {factor['value']} {factor['unit']} {factor['gas_set']}",
        value=(factor["value"], factor["unit"]),
        cites=_rule(table),
        because=[_document(factor)],
    )


def _document(factor: Figures) -> dict[str, Any]:
    source = factor["source"] if isinstance(factor["source"], dict) else {}
    return _node(
        "document",
        title=("出处", "Document"),
        says=("原文已核对。", "Seen in the original.")
        if factor["seen_in_original"]
        else ("未见原文。", "Not seen in the original."),
        cites={
            **dict.fromkeys(_CITED),
            **{name: source.get(name) for name in _CITED if name != "digest"},
        },
    )


_CITED = ("title", "publisher", "document_number", "published_year", "page", "url", "quotation", "digest")


def _rule(publication: Figures) -> dict[str, Any]:
    """A publication of the region: what it rests on in its own words, and its digest."""
    return {
        **dict.fromkeys(_CITED),
        "title": publication["title"],
        "publisher": publication["source"],
        "digest": publication["digest"],
    }


def _node(
    name: str,
    *,
    title: tuple[str, str],
    says: tuple[str, str] | None = None,
    arithmetic: str | None = None,
    value: tuple[str, str] | None = None,
    cites: dict[str, Any] | None = None,
    because: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "node": name,
        "title": _both(title),
        "says": None if says is None else _both(says),
        "arithmetic": arithmetic,
        "value": None if value is None else value[0],
        "unit": None if value is None else value[1],
        "cites": cites,
        "because": list(because),
    }


def _both(words: tuple[str, str]) -> dict[str, str]:
    zh, en = words
    return {"zh": zh, "en": en}


def _mass(explained: Figures) -> tuple[str, str]:
    """The kilograms with the gases that their factor counts: CO2 alone is not CO2e."""
    gases = explained["factor"]["gas_set"]
    return f"{grams_zh(explained['carbon_mg'])}{_GASES[gases]}", f"{explained['carbon']} {gases}"


def grams_zh(carbon_mg: int) -> str:
    """Milligrams as Chinese readers say them, exact."""
    figure, unit = show_grams(carbon_mg).split(" ")
    return f"{figure} {_MASSES[unit]}"


def _floored(product: int, by: int) -> str:
    """The quotient and what the floor leaves of it: an exact decimal, or a fraction where it has no end."""
    whole, rest = divmod(product, by)
    if not rest:
        return str(whole)
    for places in range(1, 19):
        if rest * 10**places % by == 0:
            return f"{whole}.{rest * 10**places // by:0{places}d} → {whole}"
    return f"{product}/{by} → {whole}"
