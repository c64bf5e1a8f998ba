"""YAML in which every scalar is the text that was printed.

No floats, no dates, no truth values are made by the reader: `46.70` stays `46.70` and `no` stays `no`.
The tree is built from parser events, so that what data files never need ends the reading at once: a
key that stands twice, an alias (which lets a small file grow without bound), a tag, a second document,
a depth that nobody writes.
"""

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from carbon.factors.printed_cells import LinedText
from kernel.errors import Kind, Refusal, require

BYTES_MAX = 1 << 20
_DEPTH_MAX = 12


class YamlNotPlain(Refusal):
    """The file is not YAML in the plain form that data files have."""

    kind = Kind.INVALID
    title_zh = "文件不是数据文件所用的纯文本 YAML"


def read_plain_yaml(data: bytes) -> dict[str, Any]:
    """The mapping in `data`; its leaves are texts, an empty value is an empty text. Refuses YamlNotPlain."""
    return _read(data, lambda event: str(event.value))


def read_lined_yaml(data: bytes) -> dict[str, Any]:
    """The same with leaves that know their line. Refuses YamlNotPlain."""
    return _read(data, lambda event: LinedText.at(event.value, event.start_mark.line + 1))


def _read(data: bytes, leaf: Callable[[Any], str]) -> dict[str, Any]:
    require(len(data) <= BYTES_MAX, YamlNotPlain(f"the file is larger than {BYTES_MAX} bytes"))
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        value = _build(yaml.parse(data, Loader=loader), leaf)
    except yaml.MarkedYAMLError as fault:
        raise _refuse(str(fault.problem), fault.problem_mark) from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise YamlNotPlain(type(fault).__name__) from None
    if not isinstance(value, dict):
        raise YamlNotPlain("the file is no mapping")
    return value


def _build(events: Iterator[Any], leaf: Callable[[Any], str]) -> Any:
    """The tree of one document: a stack of open lists and mappings, each with its pending key."""
    root: list[Any] = []
    open_parts: list[Any] = [root]
    keys: list[str | None] = [None]
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            open_parts.pop()
            keys.pop()
            continue
        if isinstance(event, yaml.AliasEvent):
            raise _refuse("an alias", event.start_mark)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            continue
        if event.tag is not None:
            raise _refuse("a tag", event.start_mark)
        if len(open_parts) == 1 and root:
            raise _refuse("a second document", event.start_mark)
        part = _part_of(event, leaf)
        _place(part, event, open_parts[-1], keys)
        if not isinstance(part, str):
            open_parts.append(part)
            keys.append(None)
            if len(open_parts) > _DEPTH_MAX:
                raise _refuse("nested too deep", event.start_mark)
    return root[0] if root else None


def _part_of(event: Any, leaf: Callable[[Any], str]) -> Any:
    if isinstance(event, yaml.MappingStartEvent):
        return {}
    if isinstance(event, yaml.SequenceStartEvent):
        return []
    return leaf(event)


def _place(part: Any, event: Any, into: Any, keys: list[str | None]) -> None:
    """Put a part where it belongs: into a list, under the pending key, or as that key."""
    if isinstance(into, list):
        into.append(part)
        return
    key = keys[-1]
    if key is not None:
        into[key] = part
        keys[-1] = None
        return
    if not isinstance(part, str):
        raise _refuse("a key that is no text", event.start_mark)
    if part in into:
        raise _refuse("a key that stands twice", event.start_mark)
    keys[-1] = str(part)


def _refuse(problem: str, mark: Any) -> YamlNotPlain:
    return YamlNotPlain(f"{problem}, line {mark.line + 1 if mark else 1}")
