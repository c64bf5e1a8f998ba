"""Fields that take exactly what they say: whole numbers that are numbers, text without traps.

JSON's looseness ends here: `true`, `1.0`, `"12"`, `１２`, NUL and lone surrogates are refused with a
sentence, and every number and text has bounds.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import marshmallow as ma
from marshmallow import EXCLUDE, RAISE, fields, post_load

from kernel.clock import parse_day, parse_instant
from kernel.errors import Refusal
from kernel.identifiers import parse_public_id, public_id
from kernel.units import INT64_MAX

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029]")
LONGEST_TEXT = 2000


class Takes(ma.Schema):
    """A request body or query; unknown fields are refused. `into` is the frozen dataclass it becomes.

    `examples` are whole bodies by what they show; each of them really works, ids aside.
    """

    into: ClassVar[type[Any] | None] = None
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})

    class Meta:
        """Unknown fields are mistakes."""

        unknown = RAISE

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return self.into(**data) if self.into is not None else data


class Gives(ma.Schema):
    """A response: every field stands in it, `null` where nothing is known; later there may be more."""

    class Meta:
        """A client ignores what it does not know."""

        unknown = EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Only the document asks whether a field of an answer is required."""
        field_obj.required = True


class Whole(fields.Integer):
    """A JSON integer within bounds; never text, never a fraction, never a boolean."""

    def __init__(self, *, least: int = 0, most: int = INT64_MAX, **rest: Any) -> None:
        """`least` and `most` are inclusive."""
        self.least, self.most = least, most
        super().__init__(validate=ma.validate.Range(least, most), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> int:
        if (
            type(value) is str
            and isinstance(self.parent, QuerySchema)
            and re.fullmatch(r"-?[0-9]{1,19}", value)
        ):
            return int(value)
        if type(value) is not int:
            raise ma.ValidationError("must be a whole number")
        return value


class YesOrNo(fields.Boolean):
    """JSON's `true` or `false`; never a number or a word for it."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> bool:
        if type(value) is not bool:
            raise ma.ValidationError("must be true or false")
        return value


class Text(fields.String):
    """Text of bounded length without control characters and lone surrogates."""

    def __init__(
        self, *, least: int = 1, most: int = LONGEST_TEXT, pattern: str | None = None, **rest: Any
    ) -> None:
        """`pattern` is matched whole and in ASCII."""
        self._pattern = re.compile(pattern, re.ASCII) if pattern else None
        super().__init__(validate=ma.validate.Length(least, most), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> str:
        if not isinstance(value, str):
            raise ma.ValidationError("must be text")
        if _CONTROL.search(value) or any("\ud800" <= character <= "\udfff" for character in value):
            raise ma.ValidationError("holds characters that are not text")
        if value and not value.strip():
            raise ma.ValidationError("is blank")
        if self._pattern is not None and not self._pattern.fullmatch(value):
            raise ma.ValidationError("is not in the form that belongs here")
        return value


class Several(fields.List[Any]):
    """A list of bounded length; one that is too long is refused before its items are looked at."""

    def __init__(self, of: ma.fields.Field[Any], *, least: int = 0, most: int, **rest: Any) -> None:
        """`least` and `most` are inclusive."""
        self._most = most
        super().__init__(of, validate=ma.validate.Length(least, most), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        if isinstance(value, list) and len(value) > self._most:
            raise ma.ValidationError(f"has more than {self._most} items")
        return super()._deserialize(value, attr, data, **rest)


class PublicId(fields.Field[UUID]):
    """`prefix_` and 26 characters outside, a UUID inside."""

    def __init__(self, prefix: str, **rest: Any) -> None:
        """`prefix` says what kind of thing it names."""
        self.prefix = prefix
        metadata = {"type": "string", "pattern": f"^{prefix}_[0-9A-HJKMNP-TV-Z]{{26}}$"}
        super().__init__(metadata={**metadata, **rest.pop("metadata", {})}, **rest)

    def _serialize(self, value: UUID | None, attr: str | None, obj: Any, **rest: Any) -> str | None:
        return None if value is None else public_id(self.prefix, value)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> UUID:
        if not isinstance(value, str):
            raise ma.ValidationError("must be an id")
        try:
            return parse_public_id(self.prefix, value)
        except Refusal as refusal:
            raise ma.ValidationError(refusal.detail) from refusal


class Instant(fields.Field[datetime]):
    """ISO 8601 with a zone; UTC with `Z` on the way out."""

    def __init__(self, **rest: Any) -> None:
        """Takes what every field takes."""
        metadata = {"type": "string", "format": "date-time"}
        super().__init__(metadata={**metadata, **rest.pop("metadata", {})}, **rest)

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **rest: Any) -> str | None:
        return None if value is None else value.isoformat().replace("+00:00", "Z")

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any
    ) -> datetime:
        try:
            return parse_instant(value)
        except (ValueError, TypeError) as error:
            raise ma.ValidationError(
                "must be an instant with a zone, as 2026-11-01T08:30:00+08:00"
            ) from error


class Day(fields.Field[date]):
    """A calendar day, `YYYY-MM-DD`."""

    def __init__(self, **rest: Any) -> None:
        """Takes what every field takes."""
        metadata = {"type": "string", "format": "date"}
        super().__init__(metadata={**metadata, **rest.pop("metadata", {})}, **rest)

    def _serialize(self, value: date | None, attr: str | None, obj: Any, **rest: Any) -> str | None:
        return None if value is None else value.isoformat()

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> date:
        try:
            return parse_day(value)
        except (ValueError, TypeError) as error:
            raise ma.ValidationError("must be a day, such as 2026-11-01") from error


class QuerySchema(Takes):
    """Query parameters: numbers arrive as text there."""


class PageQuery(QuerySchema):
    """`?limit=&after=` of every list."""

    limit = Whole(least=1, most=200, load_default=50)
    after = Text(most=512, load_default=None)


class FaultSchema(Gives):
    """One fault: where (a JSON pointer below /body, /query, /path or /header) and what."""

    pointer = fields.String()
    detail = fields.String()


class ProblemSchema(Gives):
    """RFC 9457, as every 4xx and 5xx answers; `code` is for programmes and never changes."""

    type = fields.String(metadata={"description": "`/problems#` and the code"})
    title = fields.String(metadata={"description": "the code's sentence, in the language asked for"})
    status = fields.Integer()
    code = fields.String()
    detail = fields.String(metadata={"description": "what of this request it is about; may be empty"})
    facts = fields.Dict(metadata={"description": "figures for programmes"})
    request_id = fields.String()
    errors = fields.List(fields.Nested(FaultSchema))
