"""A settlement as a table for a spreadsheet, in both languages; whatever a cell says, it is never a formula.

Names that begin as a formula would are led by an apostrophe, in either width and behind blanks; numbers are
numbers. Lines are read page by page, each in a transaction of its own: a slow reader holds none, and the
lines of a closed settlement never change.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from kernel.call import Call
from kernel.clock import SHANGHAI
from kernel.errors import require
from kernel.identifiers import public_id
from kernel.paging import PageRequest
from merchants.settlement.errors import SettlementElsewhere
from merchants.settlement.lines import Line, more_lines
from merchants.settlement.records import SETTLEMENT, Told, settlement_of
from merchants.settlement.states import State, What

PAGE_LINES = 2000
Cell = str | int | Decimal | date | None
Run = Callable[[Callable[[Call], Any]], Any]
WORDS = {
    What.REDEMPTION: "核销 redemption",
    What.REVERSAL: "撤销 reversal",
    What.CONFLICT: "离线争议 offline conflict",
    What.ADJUSTMENT: "调整 adjustment",
    What.FEE: "手续费 fee",
    What.SUBSIDY: "补贴 subsidy",
}
COLUMNS = (
    "序号 No.",
    "类别 Line",
    "编号 Id",
    "营业日 Business day",
    "时间 Time (UTC+8)",
    "门店 Store",
    "收银端 Terminal",
    "碳币 Coins",
    "应付商户（元）To the merchant (CNY)",
    "归运营中心（元）To the centre (CNY)",
)
_FORMULA = re.compile(r"[=+\-@|%\t\r\n]")
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@dataclass(frozen=True)
class Sheet:
    """A closed settlement with the names of what its lines are about; `run` opens a transaction."""

    told: Told
    merchant: str
    stores: dict[UUID, str]
    terminals: dict[UUID, str]
    funders: dict[UUID, str]
    rule: dict[str, Any]
    run: Run

    def heading(self) -> list[str]:
        """The heading: fixed columns, then one a funder."""
        owed = [f"出资方应付（元）Owed by (CNY): {name}" for name in self.funders.values()]
        return [*COLUMNS, *map(plain, owed)]

    def pages(self) -> Iterator[Sequence[Line]]:
        """All lines in order, some at a time."""
        after: str | None = None
        while True:
            page = self.run(self._page(after))
            yield page.items
            after = page.next
            if after is None:
                return

    def _page(self, after: str | None) -> Callable[[Call], Any]:
        wanted = PageRequest(limit=PAGE_LINES, after=after)
        return lambda call: more_lines(call, self.told.id, wanted)

    def rows(self) -> Iterator[list[Cell]]:
        """Every line as cells."""
        number = 0
        for page in self.pages():
            for line in page:
                number += 1
                yield self._row(number, line)

    def _row(self, number: int, line: Line) -> list[Cell]:
        at: datetime = line.happened_at.astimezone(SHANGHAI)
        return [
            number,
            WORDS[line.what],
            line.public,
            line.business_day,
            at.strftime("%Y-%m-%d %H:%M:%S"),
            None if line.store_id is None else plain(self.stores[line.store_id]),
            None if line.terminal_id is None else plain(self.terminals[line.terminal_id]),
            thousandths(line.coin_milli),
            hundredths(line.payable_fen),
            hundredths(line.centre_fen),
            *(hundredths(line.shares.get(funder, 0)) for funder in self.funders),
        ]

    def summary(self) -> list[tuple[str, Cell]]:
        """What stands over the lines: label and value."""
        told = self.told
        owed = told.owed or []
        return [
            ("结算单 Settlement", public_id(SETTLEMENT, told.id)),
            ("商户 Merchant", plain(self.merchant)),
            ("起始日 First day", told.first_day),
            ("截止日 Last day", told.last_day),
            ("状态 State", told.state.value),
            ("明细行数 Lines", told.line_count),
            ("碳币 Coins", thousandths(told.coin_milli or 0)),
            ("应付商户（元）To the merchant (CNY)", hundredths(told.payable_fen or 0)),
            *(
                (
                    plain(f"出资方应付（元）Owed by (CNY): {self.funders[each['funder_id']]}"),
                    hundredths(each["fen"]),
                )
                for each in owed
            ),
            ("银行流水 Bank statement", plain((told.payment or {}).get("bank_statement_id", ""))),
            ("摘要 Digest (SHA-256)", told.digest),
        ]


def sheet_of(call: Call, settlement_id: UUID, run: Run) -> Sheet:
    """A closed settlement ready to be written; refuses, in this order: `NotFound`, `SettlementElsewhere`."""
    told = settlement_of(call, settlement_id)
    require(told.state is not State.OPEN, SettlementElsewhere(state=told.state.value))
    values = {"merchant": told.merchant_id, "region": told.region_id, "rule": told.rule_id}
    owed = {each["funder_id"] for each in told.owed or []}
    funders = {row.id: _both(row) for row in call.db.execute(_FUNDERS, values) if row.id in owed}
    one = call.db.execute(_MERCHANT, values).one()
    return Sheet(
        told=told,
        merchant=_both(one),
        stores={row.id: _both(row) for row in call.db.execute(_STORES, values)},
        terminals={row.id: row.label for row in call.db.execute(_TERMINALS, values)},
        funders=funders,
        rule=one.rule,
        run=run,
    )


def plain(said: str) -> str:
    """Text that a spreadsheet shows as it is: no formula in any width, nothing unseen."""
    seen = "".join(" " if unicodedata.category(letter) in _UNSEEN else letter for letter in said)
    first = unicodedata.normalize("NFKC", seen).lstrip()[:1]
    hidden = said[:1] in {"\t", "\r", "\n"}
    return f"'{seen}" if hidden or _FORMULA.match(first) else seen


def hundredths(fen: int) -> Decimal:
    """Fen as yuan, exact."""
    return Decimal(fen).scaleb(-2)


def thousandths(coin_milli: int) -> Decimal:
    """Milli-coins as coins, exact."""
    return Decimal(coin_milli).scaleb(-3)


def as_csv(sheet: Sheet) -> Iterator[bytes]:
    """CSV with a byte order mark, so that a spreadsheet takes it for UTF-8; some lines at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(sheet.heading())
    yield b"\xef\xbb\xbf"
    for number, row in enumerate(sheet.rows(), start=1):
        writer.writerow([_written(cell) for cell in row])
        if number % PAGE_LINES == 0:
            yield _emptied(buffer)
    yield _emptied(buffer)


def _written(cell: Cell) -> str | int:
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else cell


def _emptied(buffer: io.StringIO) -> bytes:
    data = buffer.getvalue().encode()
    buffer.seek(0)
    buffer.truncate()
    return data


def _both(row: Any) -> str:
    return f"{row.name_zh} {row.name_en}"


_MERCHANT = text(
    "SELECT m.name_zh, m.name_en, p.content AS rule FROM merchant m, publication p"
    " WHERE m.id = :merchant AND p.id = :rule"
)
_STORES = text("SELECT id, name_zh, name_en FROM store WHERE merchant_id = :merchant")
_TERMINALS = text("SELECT id, label FROM terminal WHERE merchant_id = :merchant")
_FUNDERS = text("SELECT id, name_zh, name_en FROM funder WHERE region_id = :region ORDER BY id")
