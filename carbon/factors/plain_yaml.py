"""YAML in which every scalar is the text that was printed.

No floats, no dates, no truth values are made by the reader: `46.70` stays `46.70` and `no` stays `no`.
A key that stands twice and an alias (which can grow a small file without bound) are refused.
"""

from typing import Any

import yaml

from kernel.errors import Kind, Refusal, require

BYTES_MAX = 4 << 20


class YamlNotPlain(Refusal):
    """The file is not YAML in the plain form that data files have."""

    kind = Kind.INVALID
    title_zh = "文件不是数据文件所用的纯文本 YAML"


class _PlainLoader(yaml.BaseLoader):
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own signature
        names = [key.value for key, _ in node.value]
        if len(set(map(str, names))) != len(names):
            raise yaml.YAMLError("a key stands twice")
        return super().construct_mapping(node, deep=deep)


def read_plain_yaml(data: bytes) -> dict[str, Any]:
    """The mapping in `data`; its leaves are texts. Refuses YamlNotPlain."""
    require(len(data) <= BYTES_MAX, YamlNotPlain("the file is too large"))
    try:
        value = yaml.load(data, Loader=_PlainLoader)  # noqa: S506 - a BaseLoader makes only texts, lists and mappings
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as problem:
        raise YamlNotPlain(f"{type(problem).__name__}") from None
    if not isinstance(value, dict):
        raise YamlNotPlain("the file is no mapping")
    return value
