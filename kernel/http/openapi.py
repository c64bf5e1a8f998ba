"""What the OpenAPI document says of an address beyond its schemas: headers, examples, and every no.

The refusals are read off the code: from an address's face through the functions it calls to the classes
they raise. A method's and the database's are not followed, so `default` stays for what is not listed.
"""

import dis
import functools
import inspect
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from flask_smorest import Api, Blueprint

from kernel.actor import NotPermitted, SignInNeeded
from kernel.errors import Busy, NotFound, Refusal
from kernel.http.fields import ProblemSchema
from kernel.http.problems import FRAMEWORK_TITLES, MEDIA_TYPE, BodyMalformed, RequestInvalid
from kernel.idempotency import KeyInUse, KeyMalformed, KeyMissing, KeyReused
from kernel.paging import WrongCursor
from kernel.permission import Permission

OPENED = "opened"
"""Where `@endpoint` leaves its `Opened` among flask-smorest's notes."""
_ROOT = str(Path(__file__).parents[2])
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_WAITS = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "schema": {"type": "string", "minLength": 8, "maxLength": 128},
    "description": "Chosen by the caller; the same key again gives the first answer.",
}


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An address as its door knows it. `steps` are the functions of ours that a request runs through."""

    needs: Permission | None
    takes_json: bool
    takes_query: bool
    pages: bool
    takes_bytes: bool
    has_path: bool
    idempotent: bool
    steps: tuple[Any, ...]


def notes(
    *,
    needs: Permission | None,
    idempotent: bool,
    media_types: tuple[str, ...] = (),
    headers: tuple[Mapping[str, Any], ...] = (),
) -> dict[str, Any]:
    """Who may call, and what goes beside the body; `media_types` are those of a body of bytes."""
    said: dict[str, Any] = {"x-permission": needs.value if needs is not None else "public"}
    said["security"] = [] if needs is None else [{"bearer": []}]
    parameters = [
        *([_IDEMPOTENCY_KEY] if idempotent else []),
        *({"in": "header", **each} for each in headers),
    ]
    if parameters:
        said["parameters"] = parameters
    if media_types:
        content = {media: {"schema": {"type": "string", "format": "binary"}} for media in media_types}
        said["requestBody"] = {"required": True, "content": content}
    return said


class Documented(Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """A blueprint whose addresses list what they refuse, by status and code."""

    def __init__(self, *given: Any, **named: Any) -> None:
        """Takes what a Blueprint takes."""
        super().__init__(*given, **named)
        self._prepare_doc_cbks.append(_with_refusals)


class ProblemApi(Api):  # type: ignore[misc]  # flask-smorest ships no types
    """flask-smorest's registry with our error format and our paging in the document."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        default = {"description": "Any other refusal, or a fault of ours.", "content": _PROBLEM}
        self.spec.components.schema("Problem", schema=ProblemSchema)
        self.spec.components.response(self.DEFAULT_ERROR_RESPONSE_NAME, default)

    def _register_pagination_header(self) -> None:
        """Pages are `{items, next}`; there is no header."""


def refusals_of(*steps: Any) -> frozenset[type[Refusal]]:
    """Every refusal that these functions, and those they call, name other than to catch it."""
    seen: set[FunctionType] = set()
    found: set[type[Refusal]] = set()
    waiting = list(steps)
    while waiting:
        each = waiting.pop()
        if isinstance(each, functools.partial):
            waiting += (each.func, *each.args, *each.keywords.values())
        elif isinstance(each, Mapping):
            waiting += each.values()
        elif isinstance(each, tuple | list):
            waiting += each
        elif isinstance(each, type) and issubclass(each, Refusal):
            found.add(each)
        elif callable(each):
            function = inspect.unwrap(each)
            if isinstance(function, FunctionType) and _is_ours(function) and function not in seen:
                seen.add(function)
                waiting += _named(function)
    return frozenset(refusal for refusal in found if not refusal.abstract)


def _is_ours(function: FunctionType) -> bool:
    file = function.__code__.co_filename
    return file.startswith(_ROOT) and "site-packages" not in file


@functools.cache
def _named(function: FunctionType) -> tuple[Any, ...]:
    """What a function reads of its module and of the functions around it."""
    own = function.__globals__
    around = (cell.cell_contents for cell in function.__closure__ or ())
    return (*(own[name] for name in set(_globals(function.__code__)) if name in own), *around)


def _globals(code: CodeType) -> Iterator[str]:
    names: list[str] = []
    for step in dis.get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            names.append(step.argval)
        elif step.opname == "CHECK_EXC_MATCH":  # what is caught here is not raised here
            names = names[:-1]
    yield from names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _globals(inner)


def _with_refusals(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    opened = doc_info.get(OPENED)
    if isinstance(opened, Opened):
        answers = doc.setdefault("responses", {})
        answers.pop(RequestInvalid.kind.value, None)
        by_status: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for refusal in refusals_of(*_of_the_door(opened), *opened.steps):
            by_status[refusal.kind.value][refusal.code] = refusal.title()
        if opened.takes_bytes:
            code, title, _zh = FRAMEWORK_TITLES[HTTPStatus.LENGTH_REQUIRED]
            by_status[HTTPStatus.LENGTH_REQUIRED][code] = title
        answers.update({status: _answer(status, codes) for status, codes in sorted(by_status.items())})
    return doc


def _of_the_door(opened: Opened) -> Iterator[type[Refusal]]:
    """What the door itself says before, around and after the service."""
    yield Busy
    if opened.needs is not None:
        yield from (SignInNeeded, NotPermitted)
    if opened.takes_json:
        yield from (BodyMalformed, RequestInvalid)
    if opened.takes_query:
        yield RequestInvalid
    if opened.pages:
        yield WrongCursor
    if opened.has_path:
        yield NotFound
    if opened.idempotent:
        yield from (KeyMissing, KeyMalformed, KeyInUse, KeyReused)


def _answer(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    lines = [f"- `{code}`: {title}" for code, title in sorted(codes.items())]
    answer: dict[str, Any] = {
        "description": "\n".join((HTTPStatus(status).phrase, "", *lines)),
        "content": _PROBLEM,
    }
    return answer | ({"headers": _RETRY_AFTER} if status in _WAITS else {})


def bodies(examples: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Example bodies by what they show, as flask-smorest's `arguments` takes them."""
    if not examples:
        return {}
    if len(examples) == 1:
        return {"example": next(iter(examples.values()))}
    named = {_slug(title): {"summary": title, "value": body} for title, body in examples.items()}
    return {"examples": named}


def _slug(title: str) -> str:
    return "_".join(title.lower().split())
