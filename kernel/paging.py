"""Keyset pages only: `?limit=&after=` gives `{items, next}`, and `next` is opaque.

A cursor is bound to the filter it was made under; sent with another filter it is refused. No
offsets and no totals: both cost more the further one reads.
"""

import base64
import binascii
import contextlib
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

import orjson

from kernel.errors import Kind, Refusal
from kernel.units import INT64_MAX

Item = TypeVar("Item")
MOST = 200
DEFAULT = 50
_BINDING_LENGTH = 8


class WrongCursor(Refusal):
    """This cursor is not one of ours, or belongs to another query."""

    kind = Kind.INVALID
    title_zh = "翻页游标无效或不属于该查询"


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some items and the cursor of what follows, or None at the end."""

    items: Sequence[Item]
    next: str | None


@dataclass(frozen=True)
class PageRequest:
    """How many to give and after which cursor."""

    limit: int = DEFAULT
    after: str | None = None

    def position(self, binding: str, *kinds: type[UUID] | type[int]) -> tuple[Any, ...] | None:
        """The key values to continue after, each of its kind; None for the first page.

        Refuses `WrongCursor`. The mark keeps cursors and lists together, it is no seal: anybody can make
        one, so what follows it is believed only as far as its kinds say.
        """
        if self.after is None:
            return None
        try:
            raw = base64.urlsafe_b64decode(self.after + "=" * (-len(self.after) % 4))
            mark, position = raw[:_BINDING_LENGTH], orjson.loads(raw[_BINDING_LENGTH:])
        except (binascii.Error, ValueError) as error:
            raise WrongCursor(pointer="/query/after") from error
        if mark != _mark(binding) or not isinstance(position, list) or len(position) != len(kinds):
            raise WrongCursor(pointer="/query/after")
        return tuple(_key(value, kind) for value, kind in zip(position, kinds, strict=True))

    def page(self, rows: Sequence[Item], binding: str, key: Callable[[Item], list[str | int]]) -> Page[Item]:
        """Make a page of `rows`, which were asked with `limit + 1`."""
        items = rows[: self.limit]
        if len(rows) <= self.limit:
            return Page(items, None)
        raw = _mark(binding) + orjson.dumps(key(items[-1]))
        return Page(items, base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def _key(value: object, kind: type[UUID] | type[int]) -> UUID | int:
    if kind is int and type(value) is int and 0 <= value <= INT64_MAX:
        return value
    if kind is UUID and isinstance(value, str):
        with contextlib.suppress(ValueError):
            return UUID(value)
    raise WrongCursor(pointer="/query/after")


def _mark(binding: str) -> bytes:
    return hashlib.sha256(binding.encode()).digest()[:_BINDING_LENGTH]
