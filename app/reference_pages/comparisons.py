"""What kilograms are compared with: standard coal, trees and prices, their formulas, sources and examples.

The figures are those that ship; an example of each is worked by the code that answers at the address.
"""

from collections.abc import Iterator
from inspect import cleandoc

from carbon.equivalences import prices
from carbon.equivalences.figures import TREES, Equivalence, shipped_equivalences
from carbon.equivalences.prices import PAID, PRICE, Price, price_of, shipped_prices
from carbon.examples import exact_decimal, round_half_up
from kernel.units import show_yuan


def comparisons_page() -> str:
    """Render the page in Markdown."""
    return "\n".join([*_opening(), *_figures(), *_prices()]) + "\n"


def _opening() -> Iterator[str]:
    yield "# Comparisons 折算与价格"
    yield ""
    yield "Written from the code by `python -m app.reference_pages`; a test compares. Comparisons are shown"
    yield "and cited, never credited: no coin is made of one, and none rules a region or a day. Everybody"
    yield "reads them at `GET /v1/public/equivalences?carbon_mg=…`. What is shown is rounded down; worked"
    yield "examples are exact."
    yield ""
    yield "本页由代码生成。折算与价格仅供展示和引用,不产生减排量或碳币;展示时向下取整。"
    yield ""


def _figures() -> Iterator[str]:
    yield "## Standard coal and trees 标准煤与树木"
    yield ""
    yield "```text"
    yield "standard coal [kgce] = amount × figure"
    yield "trees [tree-years]   = kilograms ÷ figure"
    yield "```"
    yield ""
    yield "| asked as 名称 | figure 数值 | basis 口径 | example 算例 | source 出处 |"
    yield "|---|---|---|---|---|"
    for each in shipped_equivalences().values():
        unit = "trees" if each.method == TREES else "kgce"
        inputs = {name: int(amount) for name, amount in each.example["inputs"].items()}
        expected = each.example["expected"]
        got = round_half_up(each.of(inputs), len(expected.partition(".")[2]))
        yield _row(each, f"{_listed(inputs)}: {got} {unit}")


def _prices() -> Iterator[str]:
    yield ""
    yield "## Prices of a kilogram 每千克价格"
    yield ""
    yield (
        cleandoc(prices.__doc__ or "")
        .partition("\n\n")[2]
        .replace("    price", "```text\nprice")
        .replace("    worth", "worth")
        .replace("[mg]⌋\n", "[mg]⌋\n```\n")
    )
    yield ""
    yield "| asked as 名称 | printed 数值 | basis 口径 | paid for 实付 | source 出处 |"
    yield "|---|---|---|---|---|"
    for each in shipped_prices().values():
        yield _row(each, f"{show_yuan(each.paid_fen)} CNY / {each.carbon_mg} mg")
    first = next(iter(shipped_prices().values()))
    paid_for = {"carbon_mg": first.carbon_mg, PAID: first.paid_fen}
    some = {"carbon_mg": 1_234_567}
    yield ""
    yield f"Worked 算例: {_listed(paid_for)} as `{PRICE}` is {exact_decimal(price_of(paid_for))} CNY/kg;"
    yield f"{_listed(some)} at `{first.scenario}` is {exact_decimal(first.worth(some))} CNY, shown as"
    yield f"{first.worth_fen(some['carbon_mg'])} fen."


def _row(each: Equivalence | Price, worked: str) -> str:
    figure = f"{each.value} {each.unit} | {each.basis}"
    return f"| `{each.scenario}`<br>{each.name_zh} | {figure} | {worked} | {_source(each)} |"


def _listed(inputs: dict[str, int]) -> str:
    return ", ".join(f"`{name}` {amount}" for name, amount in inputs.items())


def _source(each: Equivalence | Price) -> str:
    checked = "" if each.verified else "; not checked 未核对"
    url = each.source.get("url")
    title = each.source["title"]
    return f"{f'[{title}]({url})' if url else title}{checked}"
