"""A workbook is a zip of parts; here it is opened, and its parts are found, within bounds.

Nothing is ever unpacked to the disk: a part is a name that another part points to, read block by block,
and never further than the zip says that it goes. What nothing points to is not read at all.
"""

import posixpath
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from carbon.activities.adapters.errors import FileEmpty, FileTooLarge, WorkbookTooLarge, WorkbookUnreadable
from carbon.activities.adapters.workbook.xml_walk import Visitor, walk
from kernel.errors import require

BYTES_MAX = 8 << 20
"""50,000 rows of our columns deflate to 3 MB."""
INFLATED_BYTES_MAX = 64 << 20
ENTRIES_MAX = 1_000
_RELATIONSHIPS_MAX = 10_000
_BLOCK = 64 << 10
_ENTRY = b"PK\x01\x02"
_OLD_FORMAT = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = 1


@dataclass(frozen=True)
class Part:
    """A part that another one points to: its name in the zip, and what it is to that one (`worksheet`)."""

    name: str
    kind: str


def open_parts(data: bytes) -> ZipFile:
    """The zip of a workbook, judged by what it says of itself; close it.

    Refuses, in order: FileTooLarge, FileEmpty, WorkbookUnreadable, WorkbookTooLarge.
    """
    require(len(data) <= BYTES_MAX, FileTooLarge(f"{BYTES_MAX >> 20} MiB", limit_bytes=BYTES_MAX))
    require(data, FileEmpty())
    if data.startswith(_OLD_FORMAT):
        raise WorkbookUnreadable("an old .xls, or a workbook with a password: save it as .xlsx without one")
    # The list of entries is read whole before any can be looked at.
    require(data.count(_ENTRY) <= ENTRIES_MAX, WorkbookTooLarge(f"more than {ENTRIES_MAX:,} entries"))
    try:
        book = ZipFile(BytesIO(data))
    except (BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise WorkbookUnreadable("not a whole zip") from error
    inflated = sum(entry.file_size for entry in book.infolist())
    limit = f"inflates to more than {INFLATED_BYTES_MAX >> 20} MiB"
    require(inflated <= INFLATED_BYTES_MAX, WorkbookTooLarge(limit))
    return book


def part_blocks(book: ZipFile, name: str) -> Iterator[bytes]:
    """A part, block by block, at most as many bytes as the zip says. Refuses WorkbookUnreadable."""
    try:
        entry = _entry(book, name)
        with book.open(entry) as part:
            while block := part.read(_BLOCK):
                yield block
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise WorkbookUnreadable("a part of the zip is broken") from error


def related(book: ZipFile, source: str = "") -> dict[str, Part]:
    """The parts that `source` (or the zip itself) points to, by their ids. Refuses WorkbookUnreadable."""
    folder, file = posixpath.split(source)
    found = _Relationships(folder)
    blocks = part_blocks(book, posixpath.join(folder, "_rels", f"{file}.rels"))
    walk(blocks, found, elements_max=_RELATIONSHIPS_MAX)
    return found.parts


def _entry(book: ZipFile, name: str) -> ZipInfo:
    """The one entry of this name; programs differ in how they write upper and lower case, and slashes."""
    found = [entry for entry in book.infolist() if entry.filename.replace("\\", "/").lower() == name.lower()]
    require(len(found) == 1, WorkbookUnreadable("a part is missing, or stands twice"))
    entry = found[0]
    is_plain = not entry.flag_bits & _ENCRYPTED and entry.compress_type in {ZIP_STORED, ZIP_DEFLATED}
    require(is_plain, WorkbookUnreadable("a part of the zip is encrypted, or packed in an unusual way"))
    return entry


class _Relationships(Visitor):
    """What the `.rels` of a part says."""

    def __init__(self, folder: str) -> None:
        self.parts: dict[str, Part] = {}
        self._folder = folder

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            target = posixpath.join("/", self._folder, attributes.get("Target", ""))
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.parts[attributes.get("Id", "")] = Part(posixpath.normpath(target).lstrip("/"), kind)
