"""Every carbon method: its formula, inputs, units, refusals and an example worked through to the milligram.

The description is the method's module, the figures are rows of the shipped factor tables, and the steps are
those a citizen is shown. Where no table has a row of a method, the example says that its figure is made up.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from inspect import cleandoc
from pkgutil import iter_modules

from carbon import methodologies
from carbon.factors.bundle_files import read_shipped_bundle, shipped_bundle_names
from carbon.factors.factor_rows import FactorRow
from carbon.methodologies.inputs import KNOWN_INPUTS
from carbon.methodologies.method import FACTOR_REFUSALS, INPUT_REFUSALS, Method
from carbon.methodologies.registry import METHODS
from carbon.methodologies.unit_algebra import things_of
from kernel.errors import Refusal
from kernel.units import INT64_MAX, NANOGRAMS_PER_MILLIGRAM

FOLDER = "docs/reference/methods"


@dataclass(frozen=True)
class Example:
    """A printed factor, inputs in our unit names, and a sentence on where they come from."""

    value: str
    unit: str
    inputs: Mapping[str, int]
    says: str


UNSHIPPED: Mapping[str, Example] = {
    "charging": Example(
        "0.25", "kgCO2/kWh", {"charged_wh": 18_500}, "The figure is made up: no shipped table has one."
    ),
    "deemed_monthly": Example(
        "12.5", "kgCO2/month", {"months": 6}, "The figure is made up: no shipped table has one."
    ),
    "emission_area": Example(
        "50", "kgCO2/m2", {"area_m2": 60}, "The figure is made up: no shipped table has one."
    ),
    "project": Example(
        "1", "kg/verified-kg", {"verified_mg": 1_234_567}, "The factor is one by definition; no table has it."
    ),
}
"""Examples of the methods that no shipped factor table uses."""


def method_pages() -> dict[str, Callable[[], str]]:
    """The page of each method and the list of them, by their paths."""
    pages = {f"{FOLDER}/{name}.md": partial(method_page, method) for name, method in METHODS.items()}
    return {f"{FOLDER}/README.md": methods_page, **pages}


def methods_page() -> str:
    """Render the list in Markdown."""
    return "\n".join(_list()) + "\n"


def method_page(method: Method) -> str:
    """Render the page of one method in Markdown."""
    parts = (_opening, _formula, _inputs, _factors, _refusals, _worked)
    return "\n\n".join("\n".join(part(method)) for part in parts) + "\n"


def example_of(method: Method) -> Example:
    """The first example of the method's first shipped row, or the one made up for it."""
    rows = shipped_rows(method)
    if not rows:
        return UNSHIPPED[method.name]
    row, example = rows[0], rows[0].examples[0]
    says = f"`{row.code}` {row.name_zh} ({row.name_en}). {_sentence(example.source)}"
    return Example(row.value, row.unit, dict(example.inputs), says)


def shipped_rows(method: Method) -> tuple[FactorRow, ...]:
    """The rows of shipped factor tables that the method computes, in the order of their files."""
    wanted = (method.name, method.version)
    return tuple(row for row in _all_rows() if (row.method, row.method_version) == wanted)


@cache
def _all_rows() -> tuple[FactorRow, ...]:
    return tuple(row for name in shipped_bundle_names() for row in read_shipped_bundle(name).rows)


def _list() -> Iterator[str]:
    yield "# Carbon methods 减排量核算方法"
    yield ""
    yield "Written from the code by `python -m app.reference_pages`; a test compares. A method makes a"
    yield "quantity out of the inputs of an activity; a published factor makes milligrams of it, rounded"
    yield "down once. Methods whose name begins with `emission` count what is given off and credit nobody."
    yield ""
    yield "本页由代码生成。方法由输入得出数量,数量乘以已发布的因子,向下取整一次得到毫克。"
    yield ""
    yield "| method 方法 | what 含义 | quantity 数量 |"
    yield "|---|---|---|"
    for name, method in METHODS.items():
        quantities = "<br>".join(f"`{each}`" for each in _quantities(method))
        yield f"| [`{name}`]({name}.md) | {method.title_en}<br>{method.title_zh} | {quantities} |"


def _opening(method: Method) -> Iterator[str]:
    yield f"# `{method.name}` {method.title_zh}"
    yield ""
    yield f"Version {method.version}: {method.title_en}. Written from the code by"
    yield "`python -m app.reference_pages`; a test compares. 本页由代码生成。"
    yield ""
    yield cleandoc(_module_of(method))


def _module_of(method: Method) -> str:
    """The opening of the module that defines the method."""
    for found in iter_modules(methodologies.__path__, f"{methodologies.__name__}."):
        module = import_module(found.name)
        if any(each is method for each in vars(module).values()):
            return module.__doc__ or ""
    raise LookupError(method.name)


def _formula(method: Method) -> Iterator[str]:
    measure = method.measure
    divisor = measure.parts * NANOGRAMS_PER_MILLIGRAM
    yield "## Formula 公式"
    yield ""
    yield "```text"
    yield f"carbon [mg] = ⌊quantity [{measure.counted_in}] × factor [ng/{measure}] ÷ {divisor}⌋"
    for place, quantity in enumerate(_quantities(method)):
        yield f"{f'quantity [{measure.counted_in}] =' if place == 0 else '  or'} {quantity}"
    yield "```"
    yield ""
    yield f"Source 出处: {method.source}."


def _quantities(method: Method) -> list[str]:
    return [each.expression.format(**{name: name for name in each.names}) for each in method.input_sets]


def _inputs(method: Method) -> Iterator[str]:
    ways = [" and ".join(f"`{item.name}`" for item in each.inputs) for each in method.input_sets]
    yield "## Inputs 输入"
    yield ""
    yield f"Whole numbers of base units: {', or '.join(ways)}. 输入均为基本单位的整数。"
    yield ""
    yield "| input 输入 | unit 单位 | meaning 含义 | most 上限 |"
    yield "|---|---|---|---|"
    for name in (item.name for each in method.input_sets for item in each.inputs):
        item = KNOWN_INPUTS[name]
        most = "2^63 − 1" if item.most == INT64_MAX else str(item.most)
        yield f"| `{name}` | {item.unit} | {item.title_en}<br>{item.title_zh} | {most} |"


def _factors(method: Method) -> Iterator[str]:
    things = ", ".join(f"`{thing}`" for thing in things_of(method.measure))
    yield "## Factor 因子"
    yield ""
    yield f"A factor's unit is a mass (`mg`, `g`, `kg`, `t`, with `CO2` or `CO2e`) by one of {things}. Its"
    yield f"base unit is `{method.measure}`: in that it is a whole number of nanograms, or refused."
    rows = shipped_rows(method)
    if not rows:
        yield "No shipped table has a factor of this method. 随附因子表中没有该方法的因子。"
        return
    yield ""
    yield "| shipped factor 随附因子 | region 地区 | value 数值 | from 起 | source 出处 |"
    yield "|---|---|---|---|---|"
    for row in rows:
        assumed = f"<br>assumption 假设: {row.assumption}" if row.assumption else ""
        value = f"{row.value} {row.unit}"
        cited = f"{row.source.title}{assumed}"
        yield f"| `{row.code}` {row.name_zh} | {row.region} | {value} | {row.valid_from} | {cited} |"


def _refusals(method: Method) -> Iterator[str]:
    yield "## Refusals 拒绝"
    for title, refusals in (
        ("Of a printed factor, in this order 因子", FACTOR_REFUSALS),
        (f"Of an activity given to `{method.name}`, in this order 行为", INPUT_REFUSALS),
    ):
        yield from ("", f"{title}:", "", "| code 代码 | meaning 含义 |", "|---|---|")
        yield from (_refusal(each) for each in refusals)


def _refusal(refusal: type[Refusal]) -> str:
    return f"| `{refusal.code}` | {refusal.title()}<br>{refusal.title('zh')} |"


def _worked(method: Method) -> Iterator[str]:
    example = example_of(method)
    factor = method.factor(value=example.value, unit=example.unit)
    assessment = method.assess(example.inputs, factor)
    inputs = ", ".join(f"`{name}` {amount}" for name, amount in assessment.inputs)
    yield "## Worked example 算例"
    yield ""
    yield f"{inputs}, factor {example.value} {example.unit}. {example.says}"
    yield ""
    yield "| step 步骤 | arithmetic 算式 | exact 精确值 | after 取值 | unit 单位 |"
    yield "|---|---|---|---|---|"
    for step in assessment.steps:
        values = f"{step.value_before_rounding} | {step.value_after} | {step.unit}"
        yield f"| {step.title_en}<br>{step.title_zh} | {step.expression} | {values} |"
    yield ""
    stored = "Stored 入账" if method.credits else "Given off 排放"
    yield f"{stored}: {assessment.carbon_mg} mg."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
