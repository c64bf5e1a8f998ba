"""A table in the form in which it is sent in: what is read back from it is the same draft.

One line a row, with a line more for each further example. What was printed otherwise than it was read
stands as printed.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from carbon.factors.bundle_lines import COLUMNS, EXAMPLE_FIELDS, ROW_FIELDS, SOURCE_FIELDS, guarded
from carbon.factors.factor_rows import FactorRow, WorkedExample
from carbon.factors.publication import ASSUMPTION
from carbon.factors.table_changes import rows_of
from kernel.publications.tables import Publication


def bundle_csv(table: Publication) -> str:
    """The table as CSV with the columns that a draft takes."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    for cells in _lines(table):
        writer.writerow({name: guarded(text) for name, text in cells.items()})
    return out.getvalue()


def _lines(table: Publication) -> Iterator[dict[str, str]]:
    title_zh, _, title_en = table.title.partition(" / ")
    own = {
        "table_name": table.content["name"],
        "table_subject": table.subject.removesuffix(ASSUMPTION) if table.assumption else table.subject,
        "table_region": table.region_id,
        "table_title_zh": title_zh,
        "table_title_en": title_en,
        "table_note": _cell(table.content["note"]),
        "table_assumption": _cell(table.assumption),
    }
    for row in rows_of(table):
        first, *more = [_example(each) for each in row.examples] or [{}]
        yield own | _row(row) | first
        yield from more


def _row(row: FactorRow) -> dict[str, str]:
    stated = {name: _cell(getattr(row, name)) for name in ROW_FIELDS}
    source = {f"source_{name}": _cell(getattr(row.source, name)) for name in SOURCE_FIELDS}
    return stated | source | {"value": row.value_printed or row.value, "gas_set": row.gas_set.value}


def _example(example: WorkedExample) -> dict[str, str]:
    cells = {f"example_{name}": _cell(getattr(example, name)) for name in EXAMPLE_FIELDS}
    return cells | {"example_inputs": json.dumps(dict(example.inputs))}


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, date):
        return value.isoformat()
    # A record of CSV is one line, so a line break in a text becomes a space.
    return "" if value is None else str(value).replace("\n", " ")
