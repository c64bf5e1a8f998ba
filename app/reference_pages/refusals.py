"""Every no of the product: its code, HTTP status, both titles, and the places that say it.

The classes are read off their catalogue, the places off the source: a refusal that nothing raises shows.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path

from carbon.activities.adapters.line_codes import ACTIVITY, LINE_CODES, Sentence
from carbon.activities.batch_results import SENTENCES
from kernel.errors import Refusal
from kernel.http.problems import FRAMEWORK_TITLES, INTERNAL_ERROR, INTERNAL_STATUS

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "merchants", "rewards", "carbon", "ledger", "kernel")


def refusals_page() -> str:
    """Render the page in Markdown."""
    return "\n".join((*_opening(), "", *_refusals(), "", *_framework(), "", *_lines())) + "\n"


@cache
def all_refusals() -> tuple[type[Refusal], ...]:
    """Every refusal of the code base, by status and code."""
    for path in _sources():
        if "Refusal" in path.read_text(encoding="utf-8") and path.name != "__main__.py":
            import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    # Tests make refusals of their own.
    own = (refusal for refusal in Refusal.catalogue.values() if refusal.__module__.split(".")[0] in FOLDERS)
    return tuple(sorted(own, key=lambda refusal: (refusal.kind.value, refusal.code)))


@cache
def places() -> Mapping[str, tuple[str, ...]]:
    """By the class's name, the functions that raise it, as `rewards/exchange.py exchange`."""
    named = {refusal.__name__ for refusal in all_refusals()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in _sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for name, function in _raised(tree, named):
            found[name].add(f"{path.relative_to(ROOT)} {function}".strip())
    return {name: tuple(sorted(where)) for name, where in found.items()}


def _sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


def _raised(tree: ast.AST, named: set[str], function: str = "") -> Iterator[tuple[str, str]]:
    """Names of classes that are made, raised, told by code or kept in a table, and the function around."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
        for said in _said(node):
            if isinstance(said, ast.Name) and said.id in named:
                yield said.id, function
        yield from _raised(node, named, ".".join(part for part in (function, inside) if part))


def _said(node: ast.AST) -> Iterator[ast.expr | None]:
    if isinstance(node, ast.Raise):
        yield node.exc
    elif isinstance(node, ast.Call):
        yield node.func
    elif isinstance(node, ast.Attribute) and node.attr == "code":
        yield node.value
    elif isinstance(node, ast.Dict):  # what another system's code stands for
        for value in node.values:
            yield from value.elts if isinstance(value, ast.Tuple) else (value,)


def _opening() -> Iterator[str]:
    yield "# Refusals 拒绝代码"
    yield ""
    yield "Written from the code by `python -m app.reference_pages`; a test compares. Every 4xx and 5xx"
    yield "answer is `application/problem+json` (RFC 9457): `code` is for programmes and never changes,"
    yield "`title` is the sentence below in the language of `Accept-Language`, `detail` and"
    yield "`errors[].pointer` say what of the request it is about, `facts` carry figures. A 503 and a 409"
    yield "`idempotency_key_in_use` may be sent again with the same Idempotency-Key."
    yield ""
    yield "本页由代码生成。所有错误回答均为 RFC 9457 格式;`code` 供程序判断,不会更改。"


def _refusals() -> Iterator[str]:
    yield "## By status 按状态码"
    status = None
    for refusal in all_refusals():
        if refusal.kind.value != status:
            status = refusal.kind.value
            yield from (
                "",
                f"### {status}",
                "",
                "| code 代码 | meaning 含义 | said by 出处 |",
                "|---|---|---|",
            )
        where = "<br>".join(f"`{place}`" for place in places().get(refusal.__name__, ()))
        yield f"| `{refusal.code}` | {refusal.title()}<br>{refusal.title('zh')} | {where} |"


def _framework() -> Iterator[str]:
    yield "## Said by the framework 框架给出的拒绝"
    yield ""
    yield "| status | code 代码 | meaning 含义 |"
    yield "|---|---|---|"
    for status, (code, title, title_zh) in FRAMEWORK_TITLES.items():
        yield f"| {status} | `{code}` | {title}<br>{title_zh} |"
    code, title, title_zh = INTERNAL_ERROR
    yield f"| {INTERNAL_STATUS} | `{code}` | {title}<br>{title_zh} |"
    yield ""
    yield "Any other 4xx of the framework is a `bad_request`, any other 5xx an `internal_error`; both keep"
    yield "their own status."


def _lines() -> Iterator[str]:
    yield "## Outcomes of lines 单行的处理结果"
    yield ""
    yield "A line of a batch is refused by itself and the rest goes on; a single record that is refused so is"
    yield "a 422 `line_refused` with the code in `facts.line_code`. A line may carry any code above, too."
    yield ""
    yield "| outcome or code 结果或代码 | meaning 含义 |"
    yield "|---|---|"
    for code, sentence in outcomes_of_lines().items():
        yield f"| `{code}` | {sentence.en}<br>{sentence.zh} |"


def outcomes_of_lines() -> dict[str, Sentence]:
    """What can become of a line, by outcome or code: outcomes first, then codes."""
    codes = {code: said for code, said in sorted(LINE_CODES.items()) if code != ACTIVITY}
    return SENTENCES | codes
