"""What is said of a field, in house sentences of both languages.

marshmallow's phrases never reach a reader: each is matched here and said anew. A sentence that is not in
the table goes out as it is, so that nothing is lost; a test sends what is wrong and looks for such.
"""

import re
from typing import NamedTuple


class Phrase(NamedTuple):
    """What may be said, as a pattern, and how it reads; `{0}` is what the pattern caught."""

    said: re.Pattern[str]
    en: str
    zh: str
    again: re.Pattern[str]
    """The English sentence itself: a refusal carries it, and only its answer knows the language."""


def spoken(sentence: str, language: str) -> str:
    """A sentence about a field in `en` or `zh`; one that nobody knows stays as it is."""
    for phrase in _PHRASES:
        caught = phrase.said.fullmatch(sentence) or phrase.again.fullmatch(sentence)
        if caught is not None:
            parts = [spoken(part, language) for part in caught.groups()]
            return (phrase.zh if language == "zh" else phrase.en).format(*parts)
    return sentence


def _pattern_of(english: str) -> re.Pattern[str]:
    """What the sentence was made from; a choice may be of several words."""
    part = "(.+)" if "one of" in english else r"(\S+)"
    return re.compile(re.sub(r"\\{\d\\}", lambda _: part, re.escape(english)))


def _phrase(said: str | None, en: str, zh: str) -> Phrase:
    again = _pattern_of(en)
    return Phrase(again if said is None else re.compile(said), en, zh, again)


_MARSHMALLOW = (
    (r"Missing data for required field\.", "is missing", "缺少该字段"),
    (r"Field may not be null\.", "must not be null", "不能为 null"),
    (r"Unknown field\.", "is no field of this request", "请求中没有这个字段"),
    (r"Not a valid (?:string|text)\.", "must be text", "必须是文本"),
    (r"Not a valid (?:integer|number)\.", "must be a whole number", "必须是整数"),
    (r"Not a valid list\.", "must be a list", "必须是列表"),
    (r"(?:Not a valid mapping|Invalid input|Invalid) type\.", "must be an object", "必须是对象"),
    (r"Not a valid boolean\.", "must be true or false", "必须是 true 或 false"),
    (r"Not a valid utf-8 string\.", "must be UTF-8", "必须是 UTF-8 文本"),
    (r"Must be one of: (.+)\.", "is one of {0}", "应为下列之一:{0}"),
    (
        r"Must be greater than or equal to (-?\d+) and less than or equal to (-?\d+)\.",
        "is from {0} to {1}",
        "应在 {0} 至 {1} 之间",
    ),
    (r"Must be greater than or equal to (-?\d+)\.", "is at least {0}", "不得小于 {0}"),
    (r"Must be less than or equal to (-?\d+)\.", "is at most {0}", "不得大于 {0}"),
    (r"Length must be between (\d+) and (\d+)\.", "is {0} to {1} long", "长度应为 {0} 至 {1}"),
    (r"Shorter than minimum length (\d+)\.", "is at least {0} long", "长度不得小于 {0}"),
    (r"Longer than maximum length (\d+)\.", "is at most {0} long", "长度不得大于 {0}"),
    (r"Length must be (\d+)\.", "is {0} long", "长度应为 {0}"),
    (r"Invalid value\.", "is not acceptable", "不符合要求"),
)
_REWORDED = (
    (r"expected (\w+_) and (\d+) characters", "is {0} and {1} characters", "应为 {0} 加 {1} 个字符"),
    (r"the number is too large for an id", "is too large for an id", "超出编号的范围"),
    (r"has more than (\d+) (?:items|entries)", "has more than {0} items", "超过 {0} 项"),
    (r"(must be an instant with a zone), as (\S+)", "{0}, as {1}", "必须是带时区的时刻,如 {1}"),
    (r"(must be a day), such as (\S+)", "{0}, such as {1}", "必须是日期,如 {1}"),
    (r"(\w+) of a (\w+) is (.+)", "{0} of a {1} is {2}", "{1} 的 {0} 应为{2}"),
    (r"unknown: (.+)", "unknown: {0}", "没有这些字段:{0}"),
)
_OURS = (
    # fields
    ("must be an id", "必须是编号"),
    ("must be true or false", "必须是 true 或 false"),
    ("holds characters that are not text", "含有不允许的字符"),
    ("is not in the form that belongs here", "格式不正确"),
    ("is blank", "不能只有空白"),
    ("must lie after {0}", "必须晚于 {0}"),
    ("is named twice", "重复出现"),
    ("is too large", "数值过大"),
    ("is nested too deeply", "嵌套层数过多"),
    ("must be a whole number, a text or a list of these", "必须是整数、文本或二者的列表"),
    # rules
    ("a whole number from {0} to {1}", " {0} 至 {1} 的整数"),
    ("one of {0}", "下列之一:{0}"),
    ("the subject is one of {0}", "对象应为下列之一:{0}"),
    ("a list of texts", "文本列表"),
    ("a text", "文本"),
    # bodies
    ("the body must be application/json", "请求体须为 application/json"),
    ("the body is larger than {0} bytes", "请求体超过 {0} 字节"),
    ("the body is shorter than Content-Length says", "请求体短于 Content-Length 声明的长度"),
    ("the body is not JSON", "请求体不是 JSON"),
    ("a name stands twice in one object", "同一对象中有重复的名称"),
)
_PHRASES = tuple(
    _phrase(*phrase) for phrase in (*_MARSHMALLOW, *_REWORDED, *((None, en, zh) for en, zh in _OURS))
)
