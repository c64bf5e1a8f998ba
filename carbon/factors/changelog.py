"""Every published factor table in one line: what it says otherwise than the one it follows."""

from collections.abc import Sequence
from typing import Any

from carbon.factors.catalogue import published_tables
from carbon.factors.row_changes import RowChange, What, percent_in_words
from carbon.factors.table_changes import compared, counted
from kernel.call import Call
from kernel.identifiers import public_id
from kernel.paging import Page, PageRequest
from kernel.publications.publishing import PREFIX
from kernel.publications.tables import Publication

_WORDS = {
    What.ADDED: ("added", "新增"),
    What.REMOVED: ("removed", "删除"),
    What.CHANGED: ("changed", "修改"),
    What.RECITED: ("cited anew", "出处更新"),
}


def changelog(call: Call, page: PageRequest, *, region_id: str | None = None) -> Page[dict[str, Any]]:
    """Tables that are or were published, of one region or of all, newest first, a line each."""
    found = published_tables(call, page, region_id=region_id)
    return Page([_entry(call, table) for table in found.items], found.next)


def _entry(call: Call, table: Publication) -> dict[str, Any]:
    other, rows, changes = compared(call, table)
    line_en, line_zh = _first(len(rows)) if other is None else _line(changes)
    return {
        "table": public_id(PREFIX, table.id),
        "against": None if other is None else public_id(PREFIX, other.id),
        "region": table.region_id,
        "subject": table.subject,
        "title": table.title,
        "effective_from": table.effective_from,
        "published_at": table.published_at,
        "counts": counted(changes, rows),
        "line_en": line_en,
        "line_zh": line_zh,
    }


def _first(rows: int) -> tuple[str, str]:
    return f"the first table of its subject, rows: {rows}", f"该主题的第一张表,共 {rows} 行"


def _line(changes: Sequence[RowChange]) -> tuple[str, str]:
    """How many rows of each sort, and between which percentages values moved."""
    if not changes:
        return "no row changed", "各行未变"
    counts = [(what, sum(change.what is what for change in changes)) for what in What]
    en = ", ".join(f"{count} {_WORDS[what][0]}" for what, count in counts if count)
    zh = "、".join(f"{_WORDS[what][1]} {count} 行" for what, count in counts if count)
    moves = [change.percent for change in changes if change.percent]
    if not moves:
        return en, zh
    least, most = percent_in_words(min(moves)), percent_in_words(max(moves))
    if least == most:
        return f"{en}; values moved by {least} %", f"{zh};数值变动 {least}%"
    return f"{en}; values moved by {least} % to {most} %", f"{zh};数值变动 {least}% 至 {most}%"
