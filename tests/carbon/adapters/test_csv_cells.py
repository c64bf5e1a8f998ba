"""Plain chunks are read in bulk; whatever comes, the cells are those of the careful way, line by line."""

from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carbon.activities.adapters import csv_cells
from carbon.activities.adapters.csv_cells import read_cells, split_cells, split_header
from carbon.activities.adapters.text_lines import LineChunk, read_chunks, split_lines

NAMES = ["first", "second", "third"]
PLAIN = (b"a", b"0", b",", b",,", b",,", b"\n", b"x,y,z\n", b"1,,\n", b",,\n", b" ", b"\t", b"\r\n")
ODD = (b"\r", b'"', b"\x00", b"\x7f", b"\xff", "碳".encode(), b"\xef\xbb\xbf", b"#", b"NULL", b"'", b"\\")
PIECES = st.sampled_from(PLAIN + ODD)


@given(st.lists(PIECES, max_size=24).map(b"".join), st.sampled_from([1, 7]), st.sampled_from([8, 100]))
@example(b"x,y,z\n1,2,3", 7, 100)
@example(b"x,y,z\n\n1,2,3\n", 7, 100)
@example(b"x,y\n1,2,3,4\n", 7, 100)
@example(b"x,y,z,\n1,2\n", 7, 100)
@example(b"x,y,z\r\n1,2,3\r\n", 7, 100)
@example(b",,\n,,\n", 7, 100)
@example(b"1,2,3\n", 7, 8)
@example(b"123,456,7\n", 7, 8)
@example(b'"x,y",z\n', 7, 100)
def test_cells_are_those_of_the_careful_way(data: bytes, first_line_no: int, most: int) -> None:
    chunk = LineChunk(first_line_no, data)
    lines = split_lines(data, file_no=3, first_line_no=first_line_no, line_bytes_max=most)
    careful = split_cells(lines, NAMES).drop("text")
    assert read_cells(chunk, NAMES, file_no=3, line_bytes_max=most).equals(careful)


@pytest.mark.parametrize("data", [b"x,y,z\n1,,3\n", b"x,y,z", b"x,y,z\r\n1,2,3\r\n", b" x ,NULL,#\n"])
def test_plain_lines_are_not_split_one_by_one(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(csv_cells, "split_lines")
    assert read_cells(LineChunk(2, data), NAMES).height == data.count(b"\n") + (not data.endswith(b"\n"))


def rest_of(data: bytes, *, chunk_bytes: int) -> tuple[list[tuple[object, ...]], LineChunk]:
    header, rest = split_header(read_chunks(BytesIO(data), chunk_bytes=chunk_bytes))
    return header.rows(), rest


@pytest.mark.parametrize("blank", [b"", b"\n", b"\n \t\r\n\n", b"\r\n" * 50])
@pytest.mark.parametrize("chunk_bytes", [5, 1000])
def test_the_header_is_the_first_line_that_is_not_blank(blank: bytes, chunk_bytes: int) -> None:
    rows, rest = rest_of(blank + b"a,b\n1,2\n3,4\n", chunk_bytes=chunk_bytes)
    number = blank.count(b"\n") + 1
    assert rows == [(1, number, "a,b", None)]
    assert rest.first_line_no == number + 1
    assert b"1,2\n3,4\n".startswith(rest.data)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"  ", b"\n \t\n  "])
def test_blank_lines_have_no_header(data: bytes) -> None:
    rows, rest = rest_of(data, chunk_bytes=100)
    assert (rows, rest.data) == ([], b"")


def test_a_header_may_stand_alone_and_behind_a_byte_order_mark() -> None:
    rows, rest = rest_of(b"\xef\xbb\xbf\na,b", chunk_bytes=100)
    assert rows == [(1, 2, "a,b", None)]
    assert (rest.first_line_no, rest.data) == (3, b"")
