"""Files of a settlement open clean, are whole however long, and are made again from the ledger."""

import csv
import importlib.util
import io
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import openpyxl
import pytest
from sqlalchemy import text

from kernel.call import Call
from kernel.paging import PageRequest
from merchants.onboarding import add_store
from merchants.settlement import settlement_verifier
from merchants.settlement.adjustments import Correction, decide, propose
from merchants.settlement.bundle import bundle
from merchants.settlement.closing import close_next
from merchants.settlement.errors import SettlementElsewhere, WorkbookTooLarge
from merchants.settlement.files import Sheet, as_csv, plain, sheet_of
from merchants.settlement.lines import all_lines, summed
from merchants.settlement.records import Told, settlements
from merchants.settlement.rederiving import rederive
from merchants.settlement.states import Standing
from merchants.settlement.workbook import MOST_LINES, as_xlsx
from merchants.terminals import new_terminal, pair
from tests.conftest import NOW, at
from tests.merchants.settlement_world import (
    CLOSING,
    closed,
    operator,
    publish_terms,
    sound,
    undone,
    used,
)
from tests.merchants.world import Market, customer, market

EVIL = (
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    " =1+1",
    "\u3000＝1",
    "\ufeff=1",
    "\u200b=1",
    "|calc",
    "%0a=1",
)


@pytest.fixture
def place(call: Call) -> Market:
    made = market(call)
    publish_terms(call, fee_basis_points=125, subsidy_fen_each=10)
    return made


def _sheet(call: Call, told: Told) -> Sheet:
    def run(work: Callable[[Call], Any]) -> Any:
        return work(call)

    return sheet_of(call, told.id, run)


def _settled(call: Call, place: Market, uses: int = 4) -> Told:
    me = customer(call, 100_000)
    done = [used(call, place, me) for _ in range(uses)]
    undone(call, place, done[0].id, now=NOW + timedelta(minutes=3))
    return closed(call, place)[0]


def _bundle(call: Call, told: Told) -> dict[str, Any]:
    return dict(json.loads(b"".join(bundle(_sheet(call, told)))))


@pytest.mark.parametrize("evil", EVIL)
def test_what_would_be_a_formula_is_led_by_an_apostrophe(evil: str) -> None:
    assert plain(evil).startswith("'")
    assert not set(plain(evil)) & set("\t\r\n\ufeff\u200b")


@pytest.mark.parametrize("good", ["一店 First", "till 1", "8-12 Main Street", "A=B", "", "示例＝店"])
def test_what_is_no_formula_stays_as_it_is(good: str) -> None:
    assert plain(good) == good


def test_the_csv_has_every_line_in_both_languages_with_numbers_as_numbers(call: Call, place: Market) -> None:
    told = _settled(call, place)
    data = b"".join(as_csv(_sheet(call, told)))
    assert data.startswith(b"\xef\xbb\xbf")
    heading, *rows = csv.reader(io.StringIO(data.decode("utf-8-sig")))
    assert heading[1:4] == ["类别 Line", "编号 Id", "营业日 Business day"]
    assert heading[10:] == [
        f"出资方应付（元）Owed by (CNY): {name}"
        for _, name in sorted(zip(place.funders, ("公共资金 Public fund", "赞助方 Sponsor"), strict=True))
    ]
    assert len(rows) == told.line_count
    assert sum(Decimal(row[8]) for row in rows) == Decimal(told.payable_fen or 0) / 100
    assert sum(Decimal(row[7]) for row in rows) == Decimal(told.coin_milli or 0) / 1000
    assert {row[1].partition(" ")[2] for row in rows} == {"redemption", "reversal", "fee", "subsidy"}


def test_the_workbook_opens_with_figures_and_lines_and_no_formula(call: Call, place: Market) -> None:
    evil_store = add_store(call, place.merchant_id, name_zh='=HYPERLINK("http://x")', name_en="x")
    evil_till = pair(call, new_terminal(call, evil_store.id, label="＝cmd|calc").code).terminal_id
    told = _settled(call, replace(place, till=evil_till))
    book = openpyxl.load_workbook(io.BytesIO(b"".join(as_xlsx(_sheet(call, told)))))
    figures, lines = book.worksheets
    assert figures["B8"].value == (told.payable_fen or 0) / 100
    rows = list(lines.iter_rows(min_row=2))
    assert len(rows) == told.line_count
    assert {cell.data_type for row in rows for cell in row} <= {"s", "n", "d"}
    assert rows[0][5].value == '\'=HYPERLINK("http://x") x'
    assert rows[0][6].value == "'＝cmd|calc"
    assert isinstance(rows[0][8].value, int | float)
    assert rows[0][8].number_format == "0.00"
    assert sum(Decimal(str(row[8].value)) for row in rows) == Decimal(told.payable_fen or 0) / 100


def test_a_workbook_is_bounded_and_the_csv_is_not(call: Call, place: Market) -> None:
    told = _settled(call, place)
    sheet = replace(_sheet(call, told), told=replace(told, line_count=MOST_LINES + 1))
    with pytest.raises(WorkbookTooLarge):
        as_xlsx(sheet)


def test_an_open_settlement_has_no_files(call: Call, place: Market) -> None:
    me = customer(call, 100_000)
    for _ in range(3):
        used(call, place, me)
    close_next(at(call, CLOSING), place.merchant_id, most=1)
    (opened,) = settlements(call, PageRequest(), state="open").items
    with pytest.raises(SettlementElsewhere):
        _sheet(call, opened)
    with pytest.raises(SettlementElsewhere):
        rederive(call, opened.id)


def test_twenty_thousand_lines_become_files_in_bounded_memory(call: Call, place: Market) -> None:
    told = _settled(call, place)
    call.db.execute(
        text(
            "INSERT INTO settlement_line (subject_id, what, settlement_id, region_id, store_id, terminal_id,"
            " business_day, happened_at, coin_milli, payable_fen, centre_fen, shares)"
            " SELECT gen_random_uuid(), what, settlement_id, region_id, store_id, terminal_id, business_day,"
            " happened_at, coin_milli, payable_fen, centre_fen, shares"
            " FROM settlement_line, generate_series(1, 5000)"
            " WHERE what = 'redemption'"
        )
    )
    sheet = _sheet(call, told)
    written: tuple[Callable[[Sheet], Any], ...] = (as_csv, as_xlsx, bundle)
    for write in written:
        tracemalloc.start()
        size = sum(len(chunk) for chunk in write(sheet))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size > 500_000
        assert most < 16_000_000, write.__name__


def test_a_settlement_is_made_again_from_the_ledger_and_any_change_shows(call: Call, place: Market) -> None:
    told = _settled(call, place)
    made = rederive(call, told.id)
    assert made.equal
    assert made.differing == []
    assert (made.digest, made.settled_fen) == (told.digest, told.payable_fen)
    sound(call)


def test_an_adjustment_is_made_again_with_its_coins(call: Call, place: Market) -> None:
    told = _settled(call, place)
    lines = list(all_lines(call, told.id))
    boss, other = replace(at(call, CLOSING), actor=operator()), replace(at(call, CLOSING), actor=operator())
    used_one = next(line for line in lines if line.what == "redemption" and _stands(lines, line.subject_id))
    for correction in (
        Correction(reason="bad bread", redemption_id=used_one.subject_id),
        Correction(reason="a lost scan", funder_id=place.funders[1], payable_fen=70),
    ):
        made = propose(boss, told.id, correction)
        decide(other, made.id, decision=Standing.APPROVED, reason="seen")
    later = CLOSING + timedelta(days=1)
    for _ in range(2):
        used(call, place, customer(call), now=later)
    small, next_one = closed(call, place, now=later + timedelta(days=2))
    assert (small.payable_fen, small.line_count) == (70, 1)
    again = rederive(call, next_one.id)
    assert again.equal, again.differing
    assert settlement_verifier.faults(_bundle(call, next_one)) == []


def _stands(lines: list[Any], redemption: UUID) -> bool:
    return not any(line.what == "reversal" and line.subject_id == redemption for line in lines)


def test_an_auditor_makes_it_again_from_the_bundle_with_nothing_but_python(
    call: Call, place: Market, tmp_path: Path
) -> None:
    told = _settled(call, place)
    file = tmp_path / "bundle.json"
    file.write_bytes(b"".join(bundle(_sheet(call, told))))
    spec = importlib.util.find_spec("merchants.settlement.settlement_verifier")
    assert spec is not None
    assert spec.origin is not None
    command = [sys.executable, "-I", spec.origin, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[1:]) == (0, ["equal", told.digest])
    spoiled = json.loads(file.read_text(encoding="utf-8"))
    spoiled["lines"][0]["payable_fen"] += 1
    file.write_text(json.dumps(spoiled), encoding="utf-8")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1


def test_every_figure_of_a_bundle_that_is_changed_is_found(call: Call, place: Market) -> None:
    told = _settled(call, place)
    whole = json.dumps(_bundle(call, told))
    assert settlement_verifier.faults(json.loads(whole)) == []
    for number, line in enumerate(json.loads(whole)["lines"]):
        for field in line:
            spoiled = json.loads(whole)
            spoiled["lines"][number][field] = _other(line[field], field)
            assert settlement_verifier.faults(spoiled), (line["what"], field)
        spoiled = json.loads(whole)
        del spoiled["lines"][number]
        assert settlement_verifier.faults(spoiled)
        spoiled = json.loads(whole)
        spoiled["lines"].append(line)
        assert settlement_verifier.faults(spoiled)
    for field in ("settlement_id", "merchant_id", "rule_id", "first_day", "last_day"):
        spoiled = json.loads(whole)
        spoiled[field] = _other(spoiled[field], field)
        assert settlement_verifier.faults(spoiled), field
    for field in ("fee_basis_points", "subsidy_fen_each"):
        spoiled = json.loads(whole)
        spoiled["rule"][field] += 100
        assert settlement_verifier.faults(spoiled), field


def _other(value: Any, field: str) -> Any:
    if field == "what":
        return "conflict"
    if isinstance(value, int):
        return value + 1
    if isinstance(value, list):
        return [*value, {"funder_id": "fnd_00000000000000000000000001", "fen": 1}]
    if value is None:
        return "sto_00000000000000000000000001"
    days = {"business_day", "first_day", "last_day"}
    if field in days:
        return "2026-01-01"
    return "2026-11-20T04:00:00.000001Z" if field == "happened_at" else value[:-1] + "76"[value[-1] == "7"]


def test_the_digest_is_over_the_lines_in_their_order(call: Call, place: Market) -> None:
    told = _settled(call, place)
    lines = list(all_lines(call, told.id))
    assert summed(told.head, lines).digest().hex() == told.digest
    assert summed(told.head, lines[::-1]).digest().hex() != told.digest
    assert lines == sorted(lines, key=lambda line: line.place)
