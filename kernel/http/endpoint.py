"""`@endpoint` is the only door from a URL to a service.

It does, in this order: who asks (401), may they (403), load (422), BEGIN, wait for a twin and replay,
the service, dump, remember, COMMIT. A refusal rolls all of it back, then what the service left to be
recorded about it is committed. See `docs/decisions/0004`.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import marshmallow as ma
import orjson
from flask import Flask, Response, current_app, request
from sqlalchemy.orm import Session
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import LengthRequired

from kernel.actor import Actor, ActorKind, NotPermitted, SignInNeeded
from kernel.call import Call
from kernel.clock import Clock
from kernel.database import Sessions, in_transaction
from kernel.errors import BrokenInvariant, NotFound, Refusal, require
from kernel.http.fields import PageQuery, Takes
from kernel.http.openapi import OPENED, Documented, Opened, bodies, notes
from kernel.http.problems import BodyMalformed, RequestInvalid, refused, request_id
from kernel.http.sentences import spoken
from kernel.idempotency import Answer, Attempt, check_key, claim, remember
from kernel.permission import Permission
from kernel.signing import KeyRing

DOOR = "tanpuhui.door"
READ_JSON = "tanpuhui.json"
LARGEST_JSON = 256 * 1024
MOST_ERRORS = 100
DEEPEST_JSON = 32
"""Levels of lists and objects in a body; no field has half as many."""


@dataclass(frozen=True)
class Door:
    """What the application lends every request: its database, clock, keys, and who asks."""

    sessions: Sessions
    clock: Clock
    keys: KeyRing
    identify: Callable[[], Actor]

    def call(self, session: Session, actor: Actor) -> Call:
        """The surroundings of one unit of work."""
        return Call(db=session, actor=actor, now=self.clock.now(), request_id=request_id(), keys=self.keys)


def install_door(app: Flask, door: Door) -> None:
    """Give `app` its door."""
    app.extensions[DOOR] = door


def door() -> Door:
    """The door of the application that serves this request."""
    found = current_app.extensions[DOOR]
    if not isinstance(found, Door):
        raise BrokenInvariant("the application has no door")
    return found


@dataclass(frozen=True)
class RawBody:
    """A body of bytes that is taken before the transaction begins: a slow sender holds no connection.

    `receive(unit, **path)` opens a context around the transaction, after the caller was admitted; its value
    is the face's body. `unit(work)` runs `work` in a short transaction of its own, for what must be judged
    before the first byte. The body's length must be announced (411).
    """

    receive: Callable[..., AbstractContextManager[Any]]
    media_types: tuple[str, ...] = ("application/octet-stream",)
    headers: tuple[Mapping[str, Any], ...] = ()
    """What goes beside the bytes, as OpenAPI describes a parameter."""


class StrictParser(FlaskParser):
    """Reads JSON by the letter: complete, UTF-8, no NaN, no lone surrogates, errors as pointers."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012 - webargs declares it so
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": ma.RAISE,
    }

    def load_json(self, req: Any, schema: ma.Schema) -> Any:
        """The parsed body; refuses `BodyMalformed`."""
        return read_json(req)

    def handle_error(self, error: ma.ValidationError, req: Any, schema: ma.Schema, **_: Any) -> Any:
        """Turn marshmallow's messages into pointers."""
        faults = islice(_pointed(error.messages), MOST_ERRORS)
        raise RequestInvalid([{**each, "detail": spoken(each["detail"], "en")} for each in faults]) from error


def read_json(req: Any) -> Any:
    """The body as JSON, whole, bounded, no name twice in one object.

    Refuses `BodyMalformed`, and `RequestInvalid` where it is nested too deeply.
    """
    if req.mimetype != "application/json":
        raise _malformed("the body must be application/json")
    if req.content_length is not None and req.content_length > LARGEST_JSON:
        raise _malformed(f"the body is larger than {LARGEST_JSON} bytes")
    # A body that comes in chunks says no length; it is refused where it passes the limit.
    req.max_content_length = LARGEST_JSON
    data = req.get_data(cache=True)
    if req.content_length is not None and len(data) != req.content_length:
        raise _malformed("the body is shorter than Content-Length says")
    try:
        read = orjson.loads(data)
        json.loads(data, object_pairs_hook=_with_each_name_once, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise _malformed("the body is not JSON") from error
    if data.count(b"[") + data.count(b"{") > DEEPEST_JSON:
        _refuse_deep(read)
    req.environ[READ_JSON] = read
    return read


def _refuse_deep(read: Any) -> None:
    """What is read is written again here and there, and writers give up where readers do not yet."""
    level = [_Place(None, "body", read)] if isinstance(read, dict | list) else []
    for _ in range(DEEPEST_JSON):
        level = [inner for place in level for inner in place.inside()]
    if level:
        raise RequestInvalid([{"pointer": level[0].pointer(), "detail": "is nested too deeply"}])


class _Place(NamedTuple):
    """A list or an object of a body, and where it stands."""

    around: "_Place | None"
    name: str | int
    value: Any

    def inside(self) -> Iterator["_Place"]:
        named = self.value.items() if isinstance(self.value, dict) else enumerate(self.value)
        return (_Place(self, name, value) for name, value in named if isinstance(value, dict | list))

    def pointer(self) -> str:
        before = "" if self.around is None else self.around.pointer()
        return f"{before}/{str(self.name).replace('~', '~0').replace('/', '~1')}"


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> None:
    """Of two values under one name every reader would choose another."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise _malformed("a name stands twice in one object")


def _malformed(detail: str) -> BodyMalformed:
    return BodyMalformed(detail, pointer="/body")


def _pointed(messages: Any, at: str = "") -> Any:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            part = {"json": "/body", "_schema": ""}.get(str(name), f"/{name}")
            yield from _pointed(inner, at + part)
    elif isinstance(messages, list):
        for message in messages:
            yield {"pointer": at or "/body", "detail": str(message)}
    else:
        yield {"pointer": at or "/body", "detail": str(messages)}


class Routes(Documented):
    """A room's routes."""

    ARGUMENTS_PARSER = StrictParser()


def endpoint(
    routes: Routes,
    method: str,
    rule: str,
    *,
    needs: Permission | None,
    summary: str,
    takes: type[ma.Schema] | None = None,
    query: type[ma.Schema] | None = None,
    gives: type[ma.Schema] | None = None,
    status: int = 200,
    idempotent: bool = False,
    no_store: bool = False,
    raw: RawBody | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Open `method rule` to callers that hold `needs` (or `PUBLIC`).

    The service's face gets `(call, [body], [query], **path)` and returns what `gives` dumps (plain JSON
    without it), or a finished Response. `idempotent` asks for an Idempotency-Key and answers a replay
    with the first answer. `no_store` keeps the answer out of every cache. `raw` takes a body of bytes.
    """
    if idempotent and (needs is None or raw is not None):
        raise BrokenInvariant(f"{rule}: an anonymous caller has no idempotency keys, a stream no stored hash")

    dumper = None if gives is None else gives()  # a schema is built once, it costs more than its work

    def decorate(face: Callable[..., Any]) -> Callable[..., Any]:
        def answered(*loaded: Any, **path: Any) -> Response:
            actor = request.environ["tanpuhui.actor"]
            attempt = _attempt(actor, f"{method} {rule}", path) if idempotent else None
            unit = _Unit(face, actor, loaded, path, dumper, status, attempt)
            outcome = in_transaction(door().sessions, unit.run)
            response = refused(outcome) if isinstance(outcome, Refusal) else _response(outcome, unit)
            if no_store or request.method != "GET":
                response.headers["Cache-Control"] = "no-store"
            return response

        loaded = _named(answered if raw is None else _with_bytes(raw, answered), face)
        if query is not None:
            loaded = routes.arguments(query, location="query")(loaded)
        if takes is not None:
            examples = takes.examples if issubclass(takes, Takes) else {}
            loaded = routes.arguments(takes, **bodies(examples))(loaded)
        loaded = routes.response(status, gives)(loaded)
        bytes_ = ((), ()) if raw is None else (raw.media_types, raw.headers)
        said = notes(needs=needs, idempotent=idempotent, media_types=bytes_[0], headers=bytes_[1])
        loaded = routes.doc(summary=summary, **said)(loaded)
        loaded._apidoc[OPENED] = Opened(  # noqa: SLF001 - flask-smorest keeps its notes there
            needs=needs,
            takes_json=takes is not None,
            takes_query=query is not None,
            pages=query is not None and issubclass(query, PageQuery),
            takes_bytes=raw is not None,
            has_path="<" in rule,
            idempotent=idempotent,
            steps=(face,) if raw is None else (face, raw.receive),
        )

        outside = _named(_guarded(loaded, needs), face)
        outside._apidoc = loaded._apidoc  # type: ignore[attr-defined]  # noqa: SLF001 - flask-smorest keeps its notes there
        outside.needs = needs  # type: ignore[attr-defined]  # the rules test reads it
        routes.route(rule, methods=[method])(outside)
        return face

    return decorate


def _guarded(loaded: Callable[..., Any], needs: Permission | None) -> Callable[..., Any]:
    """Who may not call is told so before anything of the request is read."""

    def outside(**path: Any) -> Any:
        actor = door().identify()
        if needs is not None and not actor.permits(needs):
            raise SignInNeeded if actor.kind is ActorKind.ANONYMOUS else NotPermitted(needed=needs.value)
        require(all("\0" not in str(part) for part in path.values()), NotFound())  # no column holds it
        request.environ["tanpuhui.actor"] = actor
        return loaded(**path)

    return outside


def _named(inner: Callable[..., Any], face: Callable[..., Any]) -> Callable[..., Any]:
    """Give `inner` the name that its face has in the document and in traces."""
    inner.__name__, inner.__doc__, inner.__module__ = face.__name__, face.__doc__, face.__module__
    return inner


def _with_bytes(raw: RawBody, answered: Callable[..., Response]) -> Callable[..., Response]:
    """The face's answer, given inside what receives the bytes; no transaction is open while they come."""

    def inside(*loaded: Any, **path: Any) -> Response:
        if request.content_length is None:
            raise LengthRequired
        actor = request.environ["tanpuhui.actor"]

        def unit(work: Callable[[Call], Any]) -> Any:
            return in_transaction(door().sessions, lambda session: work(door().call(session, actor)))

        with raw.receive(unit, **path) as body:
            return answered(body, *loaded, **path)

    return inside


@dataclass
class _Unit:
    """One request's work inside one transaction."""

    face: Callable[..., Any]
    actor: Actor
    loaded: tuple[Any, ...]
    path: dict[str, Any]
    gives: ma.Schema | None
    status: int
    attempt: Attempt | None
    replayed: bool = False

    def run(self, session: Session) -> Answer | Response | Refusal:
        call = door().call(session, self.actor)
        self.replayed = False
        try:
            if self.attempt is not None:
                first = claim(session, self.attempt, now=call.now)
                if first is not None:
                    self.replayed = True
                    return first
            result = self.face(call, *self.loaded, **self.path)
            session.flush()  # what the database refuses must be refused here, not at the commit
            if isinstance(result, Response):
                return result
            answer = Answer(self.status, self._dump(result))
            if self.attempt is not None:
                remember(session, self.attempt, answer)
        except Refusal as refusal:
            # Nothing stands before the unit, so all of it goes; what is recorded about the refusal is a
            # transaction of its own, committed before the answer.
            session.rollback()
            for record in call.aftermath:
                record(call)
            return refusal
        return answer

    def _dump(self, result: Any) -> bytes:
        if result is None:
            return b""
        return orjson.dumps(result if self.gives is None else self.gives.dump(result))


def _response(outcome: Answer | Response, unit: _Unit) -> Response:
    if isinstance(outcome, Response):
        return outcome
    kind = "application/json" if outcome.body else None
    response = Response(outcome.body, outcome.status, content_type=kind)
    if unit.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def _attempt(actor: Actor, route: str, path: dict[str, Any]) -> Attempt:
    key = check_key(request.headers.get("Idempotency-Key"))
    body = request.environ.get(READ_JSON)  # what an address does not take is not read
    named = orjson.dumps(
        [sorted((name, str(value)) for name, value in path.items()), body], option=orjson.OPT_SORT_KEYS
    )
    return Attempt(
        principal=actor.principal,
        route=route,
        key=key,
        payload_hash=hashlib.sha256(named).digest(),
    )
