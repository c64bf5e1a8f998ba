"""Files that are no workbook, or one made to hurt: refused with a code, and soon, and in bounded memory."""

import io
import os
import random
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from carbon.activities.adapters.activity_lines import read_activity_sheet
from carbon.activities.adapters.workbook.cells import _refusing
from carbon.activities.adapters.workbook.lookups import FORMATS_MAX, TEXTS_MAX, SheetBounds
from carbon.activities.adapters.workbook.parts import BYTES_MAX, ENTRIES_MAX, INFLATED_BYTES_MAX
from carbon.activities.adapters.workbook.plain import plain_copy
from carbon.activities.adapters.workbook.sheet import COLUMNS_MAX, ROWS_MAX, cell_name, column_name
from carbon.activities.adapters.workbook.xml_walk import DEPTH_MAX, NAMES_MAX, TOKEN_BYTES_MAX, Visitor, walk
from kernel.errors import Refusal
from tests.carbon.adapters.workbook_files import by_hand, inline, parts_of, rows, saved, table, zipped
from tests.conftest import ROOT

EVENT = inline("e1", "c", "metro_ride", "2026-11-20T11:00:00+08:00", "1", "m")
SOUND = by_hand(rows(EVENT))


def read(data: bytes) -> pl.DataFrame:
    return pl.concat(read_activity_sheet(io.BytesIO(data)))


def stated(data: bytes, offset: int, value: int, *, signature: bytes) -> bytes:
    """A zip whose headers with this signature state another figure."""
    changed = bytearray(data)
    place = -1
    while (place := data.find(signature, place + 1)) >= 0:
        struct.pack_into("<I", changed, place + offset, value)
    return bytes(changed)


def of_sheet(text: str, **more: Any) -> Callable[[], bytes]:
    return lambda: by_hand(sheet=text, **more)


def of_cells(cells: str, **more: Any) -> Callable[[], bytes]:
    return lambda: by_hand(rows() + cells, **more)


def lying_about_its_size() -> bytes:
    """A sheet of 100 MB that says it has a hundred bytes, in both of its headers."""
    bomb = by_hand(rows(EVENT) + "<row/>" * (100 << 20 // 6 >> 4))
    small = stated(bomb, 22, 100, signature=b"PK\x03\x04")
    return stated(small, 24, 100, signature=b"PK\x01\x02")


def encrypted_by_flag() -> bytes:
    changed = bytearray(SOUND)
    place = -1
    while (place := SOUND.find(b"PK\x01\x02", place + 1)) >= 0:
        changed[place + 8] |= 1
    return bytes(changed)


def twice_the_same_part() -> bytes:
    sink = io.BytesIO(SOUND)
    with zipfile.ZipFile(sink, "a") as target, pytest.warns(UserWarning, match="Duplicate"):
        target.writestr("xl/worksheets/sheet1.xml", "<worksheet/>")
    return sink.getvalue()


LAUGHS = "<!DOCTYPE a [" + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "ha" * 50}">' for n in range(10)
)
UNREADABLE: dict[str, Callable[[], bytes]] = {
    "text": lambda: b"source_event_id,subject\n",
    "random bytes": lambda: random.Random(1).randbytes(100_000),  # noqa: S311 - the same each time
    "an old workbook": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4_096),
    "a zip of something else": lambda: zipped({"a.txt": "a"}),
    "a zip of nothing": lambda: zipped({}),
    "no end": lambda: SOUND[: len(SOUND) * 2 // 3],
    "no beginning": lambda: SOUND[200:],
    "a broken part": lambda: SOUND.replace(SOUND[60:90], bytes(30)),
    "a false checksum": lambda: stated(SOUND, 16, 7, signature=b"PK\x01\x02"),
    "an encrypted part": encrypted_by_flag,
    "an unusual packing": lambda: zipped(parts_of(rows()), method=zipfile.ZIP_LZMA),
    "one name twice": twice_the_same_part,
    "less than it holds": lying_about_its_size,
    "no sheet": lambda: zipped({k: v for k, v in parts_of().items() if "sheet1" not in k}),
    "a sheet outside": lambda: by_hand(
        rows(), related=parts_of()["xl/_rels/workbook.xml.rels"].replace("worksheets/", "../../../etc/")
    ),
    "no tags": of_sheet("hello"),
    "an open tag": of_sheet("<worksheet><sheetData>"),
    "two roots": of_sheet("<worksheet/><worksheet/>"),
    "laughs": of_sheet(f"{LAUGHS}]><worksheet><sheetData>&a9;</sheetData></worksheet>"),
    "laughs in the texts": lambda: zipped(
        parts_of(rows()) | {"xl/sharedStrings.xml": f"{LAUGHS}]><sst><si><t>&a9;</t></si></sst>"}
    ),
    "a file of the machine": of_sheet(
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><worksheet>&x;</worksheet>'
    ),
    "an entity of nobody": of_cells('<row><c t="str"><v>&x;</v></c></row>'),
    "no UTF-8": lambda: zipped(parts_of() | {"xl/worksheets/sheet1.xml": b"<worksheet>\xff</worksheet>"}),
    "cells out of order": of_cells('<row r="4"><c r="B4"><v>1</v></c><c r="A4"><v>1</v></c></row>'),
    "rows out of order": of_cells(f'<row r="9">{EVENT}</row><row r="8">{EVENT}</row>'),
    "a cell twice": of_cells('<row r="4"><c r="B4"><v>1</v></c><c r="B4"><v>2</v></c></row>'),
    "a cell of another row": of_cells('<row r="4"><c r="B7"><v>1</v></c></row>'),
    "a cell of no row": of_cells('<row r="4"><c r="B"><v>1</v></c></row>'),
    "a row of no number": of_cells('<row r="-1"><c><v>1</v></c></row>'),
    "a row beyond numbers": of_cells('<row r="99999999999"><c><v>1</v></c></row>'),
    "a text that is not there": of_cells('<row><c t="s"><v>1</v></c></row>', texts="<si><t>a</t></si>"),
    "a text before the first": of_cells('<row><c t="s"><v>-1</v></c></row>', texts="<si><t>a</t></si>"),
    "a text in other digits": of_cells('<row><c t="s"><v>\uff10</v></c></row>', texts="<si><t>a</t></si>"),
    "a number that is none": of_cells("<row><c><v>12a</v></c></row>"),
    "a number without an end": of_cells(f"<row><c><v>{'1' * 5_000_000}</v></c></row>"),
    "NaN": of_cells('<row><c s="1"><v>NaN</v></c></row>'),
    "truth that is none": of_cells('<row><c t="b"><v>2</v></c></row>'),
    "a kind of nobody": of_cells('<row><c t="zz"><v>2</v></c></row>'),
}
TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "a bomb": lambda: by_hand(rows(EVENT) + " " * INFLATED_BYTES_MAX),
    "a bomb beside the sheet": lambda: zipped(
        parts_of(rows()) | {"xl/media/image.bmp": bytes(INFLATED_BYTES_MAX)}
    ),
    "many entries": lambda: zipped(parts_of() | dict.fromkeys(map(str, range(ENTRIES_MAX)), "")),
    "opposite corners": of_cells('<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
    "one row too many": of_cells(f'<row r="{ROWS_MAX + 1}"><c><v>1</v></c></row>'),
    "one column too many": of_cells('<row r="9"><c r="AA9"><v>1</v></c></row>'),
    "columns without names": of_cells(f"<row>{'<c><v>1</v></c>' * (COLUMNS_MAX + 1)}</row>"),
    "rows without numbers": of_cells("<row/>" * ROWS_MAX + "<row><c><v>1</v></c></row>"),
    "one text in many cells": of_cells(
        ("<row>" + '<c t="s"><v>0</v></c>' * 20 + "</row>") * 1_000,
        texts=f"<si><t>{'x' * 1_000_000}</t></si>",
    ),
    "many texts": lambda: by_hand(rows(), texts="<si/>" * (TEXTS_MAX + 1)),
    "much text": lambda: by_hand(rows(), texts=f"<si><t>{'x' * 1_000}</t></si>" * 17_000),
    "many formats": lambda: by_hand(
        rows(), styles=f"<styleSheet><cellXfs>{'<xf/>' * (FORMATS_MAX + 1)}</cellXfs></styleSheet>"
    ),
    "many sheets": lambda: by_hand(rows(), workbook=f"<workbook>{'<sheet/>' * 500_001}</workbook>"),
    "many relationships": lambda: by_hand(
        rows(), related=f"<Relationships>{'<Relationship/>' * 10_001}</Relationships>"
    ),
    "deep elements": of_sheet("<a>" * (DEPTH_MAX + 1)),
    "many names": of_sheet(f"<worksheet>{''.join(f'<a{n}/>' for n in range(20 * NAMES_MAX))}</worksheet>"),
    "many attributes": of_sheet(
        "<worksheet>" + "".join(f'<a b{n}="" />' for n in range(20 * NAMES_MAX)) + "</worksheet>"
    ),
    "a tag without an end": of_sheet(f'<worksheet a="{"x" * 2 * TOKEN_BYTES_MAX}"/>'),
    "a comment without an end": of_sheet(f"<worksheet><!--{'x' * 2 * TOKEN_BYTES_MAX}--></worksheet>"),
}


@pytest.mark.parametrize(
    ("build", "code"),
    [
        *(pytest.param(build, "workbook_unreadable", id=name) for name, build in UNREADABLE.items()),
        *(pytest.param(build, "workbook_too_large", id=name) for name, build in TOO_LARGE.items()),
        pytest.param(lambda: b"", "file_empty", id="nothing"),
        pytest.param(lambda: SOUND + bytes(BYTES_MAX), "file_too_large", id="more bytes than a workbook has"),
    ],
)
def test_a_bad_workbook_is_refused_as_a_whole_and_soon(build: Callable[[], bytes], code: str) -> None:
    data = build()
    begun = time.process_time()
    with pytest.raises(Refusal) as refused:
        read(data)
    assert (refused.value.code, bool(refused.value.detail)) == (code, code != "file_empty")
    assert time.process_time() - begun < 20


WIDE = SheetBounds(rows=7, columns=54, cell_characters=5)


@pytest.mark.parametrize("name", ["A7", "Z1", "AA1", "AZ1", "BA1", "BB7"])
def test_a_sheet_may_be_as_wide_as_its_reader_says_and_a_cell_stands_where_it_says(name: str) -> None:
    row = int(name[-1])
    copy = plain_copy(by_hand(f'<row r="{row}"><c r="{name}" t="e"><v>#N/A</v></c></row>'), WIDE)
    (place,) = (at for at, mark in enumerate(copy.marks_of(row - 1)) if mark)
    assert cell_name(row - 1, place) == name
    assert (copy.rows, len(copy.marks)) == (row, row * 54)


@pytest.mark.parametrize("name", ["A8", "BC1", "ZZ1", "XFD1", "AAA1"])
def test_a_cell_beyond_what_its_reader_takes_is_refused_with_the_last_place_there_is(name: str) -> None:
    with pytest.raises(Refusal, match="beyond BB7") as refused:
        plain_copy(by_hand(f'<row r="{name[-1]}"><c r="{name}"><v>1</v></c></row>'), WIDE)
    assert refused.value.code == "workbook_too_large"


def test_columns_are_named_as_spreadsheets_name_them() -> None:
    names = [column_name(column) for column in range(26 + 26 * 26 + 1)]
    assert (names[0], names[25], names[26], names[51], names[52]) == ("A", "Z", "AA", "AZ", "BA")
    assert (names[701], names[702], len(set(names))) == ("ZZ", "AAA", len(names))


def test_a_text_is_cut_where_its_reader_says_shared_or_not() -> None:
    cells = '<row><c t="s"><v>0</v></c>' + inline("123456") + "</row>"
    told = plain_copy(by_hand(cells, texts="<si><r><t>123</t></r><r><t>456</t></r></si>"), WIDE).workbook
    with zipfile.ZipFile(io.BytesIO(told)) as book:
        assert book.read("xl/worksheets/sheet1.xml").count(b">12345<") == 2


def test_what_a_sheet_says_of_its_own_size_is_not_believed() -> None:
    for told in ("A1:XFD1048576", "A1", "B7:A1", "nonsense"):
        sheet = f'<worksheet><dimension ref="{told}"/><sheetData>{rows(EVENT)}</sheetData></worksheet>'
        assert read(by_hand(sheet=sheet)).height == 1


def test_what_nothing_points_to_is_neither_read_nor_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strangers = dict.fromkeys(
        ("../../outside.xml", "/outside.xml", "C:\\outside.xml", "xl/vbaProject.bin"), "x"
    )
    assert read(zipped(strangers | parts_of(rows(EVENT)))).height == 1
    assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.parent.glob("outside*")) == []


def test_parts_may_be_written_in_another_case_and_with_other_slashes() -> None:
    odd = {
        name.replace("/", "\\").replace("shared", "Shared"): text
        for name, text in parts_of(rows(EVENT)).items()
    }
    assert read(zipped(odd)).height == 1


def test_a_part_has_so_many_elements_and_no_more() -> None:
    walk([b"<a>", b"<b/>" * 98, b"<x:c/></a>"], Visitor(), elements_max=100)
    with pytest.raises(Refusal, match="too many elements"):
        walk([b"<a>", b"<b/>" * 100, b"</a>"], Visitor(), elements_max=100)


def test_a_part_in_utf_16_is_read_and_another_encoding_is_not() -> None:
    sheet = f"<worksheet><sheetData>{rows(EVENT)}</sheetData></worksheet>"
    parts = parts_of()
    assert read(zipped(parts | {"xl/worksheets/sheet1.xml": sheet.encode("utf-16")})).height == 1
    foreign = b'<?xml version="1.0" encoding="cp037"?>' + sheet.encode("cp037")
    assert code_of(zipped(parts | {"xl/worksheets/sheet1.xml": foreign})) == "workbook_unreadable"
    believed = b'<?xml version="1.0" encoding="cp037"?>' + sheet.encode()
    assert code_of(zipped(parts | {"xl/worksheets/sheet1.xml": believed})) == "read"


def test_a_panic_of_the_library_is_a_refusal_and_an_interruption_is_none() -> None:
    with pytest.raises(Refusal, match="cannot be read"), _refusing():
        raise pl.exceptions.PanicException  # as every library that comes over the same bridge raises it
    for ours in (KeyboardInterrupt, MemoryError, AssertionError):
        with pytest.raises(ours), _refusing():
            raise ours


@pytest.mark.parametrize("seed", range(4))
def test_a_workbook_with_scattered_faults_is_read_or_refused(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 - the same each time
    good = saved(table(["e1", "c", "metro_ride", "2026-11-20T11:00:00+08:00", 1, "m"]))
    with zipfile.ZipFile(io.BytesIO(good)) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    found = set()
    for _ in range(75):
        name = chosen.choice([each for each in parts if "theme" not in each])
        text = bytearray(parts[name])
        for _ in range(chosen.randint(1, 3)):
            at = chosen.randrange(len(text))
            text[at : at + chosen.choice((0, 1, 4))] = chosen.choice(FAULTS)
        found.add(code_of(zipped(parts | {name: bytes(text)})))
    assert {"read", "workbook_unreadable"} <= found
    assert found <= {"read", "workbook_unreadable", "workbook_too_large", "header_differs", "file_empty"}


def code_of(data: bytes) -> str:
    try:
        read(data)
    except Refusal as refusal:
        return refusal.code
    return "read"


FAULTS = (
    b"",
    b"<",
    b">",
    b'"',
    b"&",
    b"9",
    b"999999999",
    b"-",
    b"e400",
    b'r="',
    b"<v>",
    b"</c>",
    b"\x00",
    b"\xff",
    b"XFD",
)
LARGEST = f"""
    import io, resource, sys
    sys.path[:0] = [{str(ROOT)!r}]
    from carbon.activities.adapters.activity_lines import read_activity_sheet
    from tests.carbon.adapters.workbook_files import by_hand, rows

    def peak_kib():
        (line,) = [each for each in open("/proc/self/status") if each.startswith("VmHWM")]
        return int(line.split()[1])

    last = '<c r="Z{ROWS_MAX}"><v>1</v></c>'
    texts = "<si><t>" + "x" * 1000 + "</t></si>"
    many = '<c t="s"><v>0</v></c>' * 26
    data = by_hand(rows(*[many] * 600) + '<row r="{ROWS_MAX}">' + last + "</row>", texts=texts)
    before = peak_kib()
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    lines = sum(frame.height for frame in read_activity_sheet(io.BytesIO(data)))
    print(lines, before >> 10, peak_kib() >> 10)
"""


def test_a_workbook_that_claims_all_it_may_takes_less_than_300_mb() -> None:
    told = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LARGEST)],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "POLARS_MAX_THREADS": "2"},
    )
    lines, before, peak = map(int, told.stdout.split())
    assert lines == 601
    assert before < peak < 300
