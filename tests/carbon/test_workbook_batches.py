"""A workbook over HTTP and from the command line: taken as the same records in any other form."""

import gzip
import io
import json
import random
import re
from datetime import datetime
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import pytest

from app.commands import add_commands
from app.factory import Product
from carbon.activities.adapters.line_codes import LINE_CODES
from carbon.activities.adapters.workbook.lookups import TEXT_CHARACTERS_MAX
from carbon.activities.adapters.workbook.parts import BYTES_MAX, INFLATED_BYTES_MAX
from carbon.activities.adapters.workbook.sheet import COLUMNS_MAX, ROWS_MAX
from kernel.errors import Refusal
from kernel.identifiers import public_id
from tests.carbon.adapters.workbook_files import (
    COLUMNS,
    by_hand,
    inline,
    parts_of,
    rows,
    saved,
    table,
    zipped,
)
from tests.carbon.partner_client import BATCHES, RECORD, Partner, ndjson
from tests.conftest import ROOT

ELEVEN = datetime(2026, 11, 20, 11)  # noqa: DTZ001 - a cell has no zone
ROW = ["e1", "card-017", "metro_ride", ELEVEN, 10_000, "m"]
CSV = ",".join(COLUMNS).encode() + b"\ne1,card-017,metro_ride,2026-11-20T11:00:00+08:00,10000,m\n"


def counts(batch: Any) -> dict[tuple[str, str | None], int]:
    return {(each["outcome"], each["code"]): each["lines"] for each in batch["outcomes"]}


@pytest.mark.parametrize(
    "order", [("csv", "ndjson", "xlsx"), ("xlsx", "csv", "ndjson"), ("ndjson", "xlsx", "csv")]
)
def test_one_record_in_three_forms_is_credited_once(partner: Partner, order: tuple[str, ...]) -> None:
    bodies = {"csv": CSV, "ndjson": ndjson(RECORD), "xlsx": saved(table(ROW))}
    sent = [partner.send(bodies[adapter], adapter, reference=adapter) for adapter in order]
    assert [counts(batch) for batch in sent] == [
        {("credited", None): 1},
        {("duplicate", "duplicate"): 1},
        {("duplicate", "duplicate"): 1},
    ]
    assert partner.count("activity") == 1
    differs = saved(table([*ROW[:4], 10_001, "m"]))
    assert counts(partner.send(differs, "xlsx", "d")) == {("rejected", "record_differs"): 1}
    assert partner.broken() == []


def test_what_became_of_a_row_is_told_by_the_number_that_the_spreadsheet_shows(partner: Partner) -> None:
    book = table(ROW, ["e2", *ROW[1:3], ELEVEN.date(), *ROW[4:]], [], ["e3", 6_212_345_678_901_234, *ROW[2:]])
    for column, value in enumerate(["e1", *ROW[1:]], start=1):
        book.active.cell(9, column, value)
    shown = partner.send(saved(book), "xlsx")
    assert (shown["state"], shown["lines_done"]) == ("done", 4)
    lines = partner.get(f"/{shown['id']}/lines").json["items"]
    assert [(line["line"], line["outcome"], line["code"], line["pointer"]) for line in lines] == [
        (2, "credited", None, None),
        (3, "rejected", "time_not_readable", "/occurred_at"),
        (5, "rejected", "digits_lost", "/subject"),
        (9, "duplicate", "duplicate_in_file", None),
    ]
    assert all(line["text_zh"] and line["text_en"] for line in lines)
    assert partner.broken() == []


def test_a_batch_of_many_rows_is_taken_in_lanes_and_goes_on_after_it_was_put_down(partner: Partner) -> None:
    data = saved(table(*([f"e{number}", *ROW[1:]] for number in range(2_500))))
    batch = partner.open(adapter="xlsx").json["id"]
    assert partner.upload(batch, data).status_code == 200
    answers = iter([True, True, False])
    assert partner.work(keep_on=lambda: next(answers, False), chunk_lines=1_000) == 0
    assert partner.get(f"/{batch}").json["lines_done"] == 2_000
    assert partner.work() == 1
    shown = partner.get(f"/{batch}").json
    assert (shown["state"], counts(shown)) == ("done", {("credited", None): 2_500})
    assert partner.count("activity") == 2_500
    assert partner.broken() == []


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (CSV, "workbook_unreadable", "not a whole zip"),
        (saved(table(ROW))[:-100], "workbook_unreadable", "not a whole zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "workbook_unreadable", "password"),
        (by_hand('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'), "workbook_too_large", "Z50000"),
        (by_hand(rows('<c t="s"><v>9</v></c>')), "workbook_unreadable", "cell A2"),
        (saved(table(ROW, header=("日期", "卡号"))), "header_differs", "missing: source_event_id"),
        (saved(table(header=())), "file_empty", None),
    ],
    ids=[
        "csv",
        "half a workbook",
        "an old workbook",
        "opposite corners",
        "no such text",
        "header",
        "nothing",
    ],
)
def test_a_workbook_refused_as_a_whole_makes_the_batch_failed(
    partner: Partner, body: bytes, code: str, detail: str | None
) -> None:
    shown = partner.send(body, "xlsx")
    assert (shown["state"], shown["failure"]["code"], shown["lines_done"]) == ("failed", code, 0)
    assert detail is None or detail in shown["failure"]["detail"]
    assert shown["failure"]["text_zh"] == Refusal.catalogue[code].title("zh")
    assert partner.files() == []
    assert partner.count("activity") == 0
    assert partner.work() == 0


def test_a_workbook_is_no_csv(partner: Partner) -> None:
    shown = partner.send(saved(table(ROW)), "csv")
    assert (shown["state"], shown["failure"]["code"]) == ("failed", "header_differs")


def test_a_workbook_is_not_judged_by_lines(partner: Partner) -> None:
    picture = random.Random(1).randbytes(3 << 20).replace(b"\n", b"-")  # noqa: S311 - noise, not a secret
    data = zipped(
        parts_of(rows(inline(*map(str, ROW[:3]), RECORD["occurred_at"], "1", "m"))) | {"a.png": picture}
    )
    assert counts(partner.send(data, "xlsx")) == {("credited", None): 1}
    csv = partner.open("as csv", "csv").json["id"]
    assert partner.upload(csv, data).json["code"] == "upload_line_too_long"


def test_a_workbook_may_come_as_gzip(partner: Partner) -> None:
    batch = partner.open(adapter="xlsx").json["id"]
    data = saved(table(ROW))
    answer = partner.upload(batch, data, zipped=True)
    assert (answer.status_code, answer.json["content_bytes"]) == (200, len(data))
    assert partner.upload(batch, data).status_code == 200, "the same content"
    assert partner.work() == 1


@pytest.mark.parametrize("adapter", ["xlsx", "csv"])
def test_a_workbook_has_a_lower_limit_than_lines_and_is_told_before_it_is_sent(
    partner: Partner, adapter: str
) -> None:
    batch = partner.open(adapter=adapter).json["id"]
    url = f"{BATCHES}/{batch}/content"
    told = partner.put(url, b"x", **{"Content-Length": str(BYTES_MAX + 1)})
    inflated = partner.put(url, gzip.compress(b"x\n" * (BYTES_MAX // 2 + 1)), **{"Content-Encoding": "gzip"})
    if adapter == "csv":
        assert told.json["code"] == "upload_incomplete"
        assert inflated.status_code == 200
        return
    for answer, pointer in ((told, "/header/Content-Length"), (inflated, "/body")):
        assert (answer.status_code, answer.json["code"]) == (413, "upload_too_large")
        assert answer.json["errors"][0]["pointer"] == pointer
        assert answer.json["facts"]["limit_bytes"] == BYTES_MAX
    assert partner.files() == []
    assert partner.get(f"/{batch}").json["state"] == "created"


def test_the_document_says_that_a_workbook_is_taken(product: Product) -> None:
    document = json.loads(product.flask.test_client().get("/openapi.json").data)
    put = document["paths"][f"{BATCHES}/{{batch}}/content"]["put"]["requestBody"]["content"]
    assert "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" in put


def test_the_table_of_the_guide_is_taken_and_its_limits_are_ours(partner: Partner) -> None:
    guide = (ROOT / "docs/partners.md").read_text(encoding="utf-8")
    _, section = guide.split("\n## A workbook", maxsplit=1)
    section, _ = section.split("\n## ", maxsplit=1)
    header, _, *records = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    )
    assert tuple(header) == COLUMNS
    typed = [[_typed(cell) for cell in record] for record in records]
    assert counts(partner.send(saved(table(*typed)), "xlsx")) == {("rejected", "unbound_card"): len(records)}
    limits = f"{BYTES_MAX >> 20} MiB a workbook, {INFLATED_BYTES_MAX >> 20} MiB unpacked; {ROWS_MAX:,} rows"
    assert limits in section
    assert f"A to {ascii_uppercase[COLUMNS_MAX - 1]}; {TEXT_CHARACTERS_MAX >> 20} million" in section
    codes = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", section)) - set(COLUMNS)
    assert codes <= {*LINE_CODES, *Refusal.catalogue}


def _typed(cell: str) -> Any:
    """What a spreadsheet makes of what is typed."""
    if cell.isdigit():
        return int(cell)
    if re.fullmatch(r"[0-9-]+ [0-9:]+", cell):
        return datetime.fromisoformat(cell)
    return cell


def test_a_workbook_is_imported_from_the_command_line(partner: Partner, tmp_path: Path) -> None:
    add_commands(partner.product)
    file = tmp_path / "rides.xlsx"
    file.write_bytes(saved(table(ROW, ["e2", "nobody", *ROW[2:]])))
    whose = ["--partner", public_id("ptn", partner.city.partner_id), "--adapter", "xlsx"]
    runner = partner.product.flask.test_cli_runner()
    first = runner.invoke(args=["activities", "import", str(file), *whose])
    assert first.exit_code == 0, first.output
    assert "unbound_card" in first.output
    file.write_bytes(io.BytesIO(b"PK").getvalue())
    second = runner.invoke(args=["activities", "import", str(file), *whose, "--reference", "again"])
    assert second.exit_code == 1
    assert "workbook_unreadable" in second.output
