"""The one file of shipped comparisons: its rows by what they are asked as, and each as an answer shows it."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from carbon.factors.bundles import read_shipped
from carbon.factors.plain_yaml import read_plain_yaml
from kernel.errors import BrokenInvariant

FILE = "equivalences.yaml"
SOURCE_FIELDS = ("title", "publisher", "published_year", "url", "seen_in")
_Row = TypeVar("_Row")


def by_scenario(section: str, read: Callable[[Mapping[str, Any]], _Row]) -> Mapping[str, _Row]:
    """The rows of `figures` or `prices`; two that are asked as the same are a bug."""
    rows = read_plain_yaml(read_shipped(FILE))[section]
    found = {row["scenario"]: read(row) for row in rows}
    if len(found) != len(rows):
        raise BrokenInvariant(f"{FILE} has two {section} of one name")
    return found


def shown(row: Any) -> dict[str, Any]:
    """All that a row says, with every field of its source."""
    return {**vars(row), "source": {**dict.fromkeys(SOURCE_FIELDS), **row.source}}
