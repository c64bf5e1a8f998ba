"""A refusal is a sentence with a code; a bug is a crash.

Every reason to say no is a class below `Refusal`. Its one-sentence docstring is the English title,
`title_zh` the Chinese one, and its kind decides the HTTP status in one table (here). Nothing else
in the product turns an exception into an answer.
"""

import re
from enum import Enum
from typing import Any, ClassVar

JsonFacts = dict[str, Any]


class Kind(Enum):
    """What sort of no it is; the value is the HTTP status."""

    BAD_REQUEST = 400
    UNAUTHENTICATED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405
    CONFLICT = 409
    GONE = 410
    TOO_LARGE = 413
    UNSUPPORTED_MEDIA = 415
    INVALID = 422
    TOO_MANY = 429
    UNAVAILABLE = 503


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not an error of ours
    """The request is refused."""

    kind: ClassVar[Kind] = Kind.INVALID
    code: ClassVar[str] = "refused"
    title_zh: ClassVar[str] = "请求被拒绝"
    abstract: ClassVar[bool] = True
    catalogue: ClassVar[dict[str, type["Refusal"]]] = {}

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        """Give the class its code and enter it in the catalogue that the reference page is made from."""
        super().__init_subclass__()
        cls.abstract = abstract
        if abstract:
            return
        if "code" not in cls.__dict__:
            cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        other = Refusal.catalogue.get(cls.code)
        if other is not None and other.__qualname__ != cls.__qualname__:
            raise BrokenInvariant(f"two refusals share the code {cls.code}")
        Refusal.catalogue[cls.code] = cls

    def __init__(self, detail: str = "", *, pointer: str | None = None, **facts: Any) -> None:
        """`detail` is for people, `pointer` names the field, `facts` are figures for programmes."""
        super().__init__(detail or self.title())
        self.detail = detail
        self.pointer = pointer
        self.facts: JsonFacts = facts

    @classmethod
    def title(cls, language: str = "en") -> str:
        """Return the one-sentence title in `en` or `zh`."""
        if language == "zh":
            return cls.title_zh
        return (cls.__doc__ or cls.__name__).strip().splitlines()[0]


class BrokenInvariant(Exception):  # noqa: N818 - named for what happened
    """Something that cannot be is: a bug, answered 500 with a request id and nothing else."""


class NotFound(Refusal):
    """Nothing by this id is here."""

    kind = Kind.NOT_FOUND
    title_zh = "没有找到"


class InvalidField(Refusal):
    """A field of the request is not acceptable."""

    kind = Kind.INVALID
    title_zh = "请求中的字段不符合要求"


class Busy(Refusal):
    """Others hold what this request needs; try again in a moment with the same key."""

    kind = Kind.UNAVAILABLE
    title_zh = "系统繁忙,请稍后用同一请求重试"


def require(condition: object, refusal: Refusal) -> None:
    """Raise `refusal` unless `condition` holds."""
    if not condition:
        raise refusal
