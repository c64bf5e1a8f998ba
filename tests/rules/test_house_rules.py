"""Rules about the code base that nobody has to remember."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from sqlalchemy import Float, Numeric

from app.openapi_document import current_product
from kernel.database import Base
from kernel.permission import Permission
from tests.conftest import ROOT

for _path in sorted(ROOT.rglob("tables.py")):
    if ".venv" not in _path.parts:
        import_module(".".join(_path.relative_to(ROOT).with_suffix("").parts))

FOLDERS = ("app", "merchants", "rewards", "carbon", "ledger", "kernel")
LONGEST_FUNCTION = 70
CLOCK_READERS = {"now", "utcnow", "today", "time", "time_ns"}
BANNED_NAMES = {"utils", "helpers", "common", "manager", "service", "models", "base", "misc"}
WITHOUT_REGION = {
    "region": "it is the tenant itself",
    "signing_key": "terminals of every region check with one ring",
    "idempotency": "keys are the caller's own",
    "ledger_balance": "its account says the region",
    "ledger_transfer": "its account says the region",
    "ledger_reference": "its holder's account says the region",
    "ledger_hold": "its account says the region",
    "ledger_hold_end": "its account says the region",
    "ledger_pending_leg": "its account says the region",
    "ledger_checkpoint": "its account says the region",
    "coin_bucket": "its account says the region",
    "coin_regrace": "its account says the region",
    "cap_usage": "its account says the region",
    "pool_share": "its allocation says the region",
    "activity": "its basis says the region",
    "activity_link": "its activity says the region",
    "activity_reversal": "its activity says the region",
    "activity_correction": "its activity says the region",
    "recomputation_part": "its recomputation says the region",
    "activity_reference": "its partner says the region",
    "trip_claim": "its activity says the region",
    "activity_batch_line": "its batch says the region",
    "webhook_secret": "its endpoint says the region",
    "webhook_attempt": "its delivery says the region",
}


def sources() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from (ROOT / folder).rglob("*.py")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_only_the_clock_reads_the_clock() -> None:
    readers = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources()
        if path.relative_to(ROOT).as_posix() != "kernel/clock.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCK_READERS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"datetime", "date", "time"}
    ]
    assert readers == []


def test_no_module_is_called_a_grab_bag() -> None:
    assert [str(path.relative_to(ROOT)) for path in sources() if path.stem in BANNED_NAMES] == []


def test_every_module_with_code_opens_with_its_idea() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.stat().st_size and not ast.get_docstring(tree(path))
    ]
    assert silent == []


def test_app_itself_is_empty_so_that_importing_a_part_starts_nothing() -> None:
    assert (ROOT / "app" / "__init__.py").read_text() == ""


def test_no_column_is_a_float_and_every_time_has_a_zone() -> None:
    for table in Base.metadata.tables.values():
        for column in table.columns:
            assert not isinstance(column.type, Float | Numeric), f"{table.name}.{column.name}"
            assert getattr(column.type, "timezone", True), f"{table.name}.{column.name}"


def test_every_table_says_its_region_or_why_not() -> None:
    silent = {
        name for name, table in Base.metadata.tables.items() if "region_id" not in table.columns
    } - WITHOUT_REGION.keys()
    assert silent == set()


@pytest.mark.parametrize("rule", [str(rule) for rule in current_product().flask.url_map.iter_rules()])
def test_every_address_goes_through_the_door_or_is_a_known_plain_one(rule: str) -> None:
    app = current_product().flask
    plain = {
        "/healthz",
        "/readyz",
        "/metrics",
        "/docs",
        "/docs/start.js",
        "/docs/assets/<path:name>",
        "/openapi.json",
    }
    if rule in plain:
        return
    for found in app.url_map.iter_rules():
        if str(found) == rule:
            view = app.view_functions[found.endpoint]
            assert hasattr(view, "needs"), rule
            assert view.needs is None or isinstance(view.needs, Permission)
