"""XML of strangers, walked within bounds: no document type, nothing deep, nothing endless.

Expat builds no tree and expands nothing of the sender's, but what it remembers (open elements, every name,
a token that has not ended) grows with the text, so each of these has its limit.
"""

from collections.abc import Iterable
from xml.parsers.expat import ExpatError, ParserCreate

from carbon.activities.adapters.errors import WorkbookTooLarge, WorkbookUnreadable
from kernel.errors import require

ELEMENTS_MAX = 3_000_000
"""Of the largest part: 50,000 rows of nineteen cells have two or three million."""
DEPTH_MAX = 64
NAMES_MAX = 2_000
"""Different names of elements and attributes; Excel knows some hundred."""
TOKEN_BYTES_MAX = 1 << 20
"""A tag, comment or the like that goes on for longer would be looked through again with every block."""


class Visitor:
    """Who is told what stands in a part, by local names: `c` for `x:c`. What it does not ask for passes."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """Characters between tags, in one piece or several."""


class _LocalNames(dict[str, str]):
    """Names without their prefix, each cut once."""

    def __missing__(self, name: str) -> str:
        self[name] = name.rpartition(":")[2]
        return self[name]


def walk(blocks: Iterable[bytes], visitor: Visitor, *, elements_max: int = ELEMENTS_MAX) -> None:
    """Tell `visitor` what stands in a part. Refuses WorkbookUnreadable, WorkbookTooLarge."""
    names: dict[str, str] = {}
    local = _LocalNames()
    # As every workbook has it; what the text says of its own encoding is not believed, a UTF-16 mark is.
    parser = ParserCreate("UTF-8", intern=names)
    parser.buffer_text = True
    elements = depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements, depth
        elements, depth = elements + 1, depth + 1
        if depth > DEPTH_MAX or elements > elements_max:
            raise WorkbookTooLarge("XML of too many elements")
        visitor.start(local[name], attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        visitor.end(local[name])

    def refuse(*_: object) -> None:
        raise WorkbookUnreadable("XML with a document type")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = visitor.text, refuse
    fed = 0
    try:
        for block in blocks:
            parser.Parse(block)
            fed += len(block)
            is_endless = fed - parser.CurrentByteIndex > TOKEN_BYTES_MAX
            require(not is_endless, WorkbookTooLarge("XML with a tag that does not end"))
            require(len(names) <= NAMES_MAX, WorkbookTooLarge("XML of too many names"))
        parser.Parse(b"", True)
    except ExpatError as error:
        raise WorkbookUnreadable("XML that is not well-formed") from error
