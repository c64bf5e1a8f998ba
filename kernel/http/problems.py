"""One error format: RFC 9457 `application/problem+json` on every 4xx and 5xx, from wherever it comes.

`{type, title, status, code, detail, facts, request_id, errors: [{pointer, detail}]}`. Titles come in
the language the caller asks for; a bug answers 500 with a request id and nothing else.
"""

import re
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from kernel.database import translated
from kernel.errors import Busy, Kind, Refusal
from kernel.http.sentences import spoken
from kernel.identifiers import new_id

MEDIA_TYPE = "application/problem+json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_log = structlog.get_logger("problem")
FRAMEWORK_TITLES = {
    400: ("bad_request", "The request could not be understood.", "请求无法理解"),
    401: ("sign_in_needed", "Sign in first; the request carries no valid credentials.", "请先登录"),
    403: ("not_permitted", "Your role does not include this.", "您的角色没有这项权限"),
    404: ("not_found", "Nothing by this address is here.", "没有找到"),
    405: ("method_not_allowed", "This address does not take this method.", "该地址不支持此方法"),
    408: ("request_timeout", "The request took too long to arrive.", "请求超时"),
    406: ("not_acceptable", "This address has no such form of what is there.", "没有所要求的表示形式"),
    411: (
        "length_required",
        "The length of the body must be announced (Content-Length).",
        "请用 Content-Length 声明内容长度",
    ),
    413: ("request_too_large", "The request is larger than this address takes.", "请求内容过大"),
    414: ("address_too_long", "The address is longer than the service takes.", "请求地址过长"),
    415: ("media_type_unsupported", "This address does not take this media type.", "不支持的内容类型"),
    416: ("range_not_satisfiable", "The file has no such range.", "请求的范围不在文件之内"),
    417: ("expectation_failed", "The service cannot do what the Expect header asks.", "无法满足 Expect 首部"),
    422: ("request_invalid", "The request has fields that are not acceptable.", "请求中的字段不符合要求"),
    429: ("too_many_requests", "Too many requests; wait as long as Retry-After says.", "请求过于频繁"),
    431: ("headers_too_large", "The headers are larger than the service takes.", "请求首部过大"),
    503: ("busy", "Others hold what this request needs; try again in a moment.", "系统繁忙,请稍后重试"),
}
INTERNAL_STATUS = 500
INTERNAL_ERROR = ("internal_error", "Something broke on our side.", "系统内部错误")


class RequestInvalid(Refusal):
    """The request has fields that are not acceptable."""

    kind = Kind.INVALID
    title_zh = "请求中的字段不符合要求"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        """`errors`: a pointer and a sentence for each field."""
        super().__init__(errors[0]["detail"] if errors else "")
        self.errors = errors


class BodyMalformed(Refusal):
    """The body is not what its headers say it is."""

    kind = Kind.BAD_REQUEST
    title_zh = "请求体与声明不符或已损坏"


def request_id() -> str:
    """The caller's X-Request-Id when it is a harmless word, else a fresh id; the same for one request."""
    if "request_id" not in g:
        given = request.headers.get("X-Request-Id", "")
        g.request_id = given if _REQUEST_ID.fullmatch(given) else new_id().hex
    return str(g.request_id)


def refused(refusal: Refusal) -> Response:
    """The answer that says why not."""
    language = _language()
    errors = getattr(refusal, "errors", None)
    if errors is None and refusal.pointer:
        errors = [{"pointer": refusal.pointer, "detail": refusal.detail or refusal.title(language)}]
    if language != "en":
        errors = [_in(language, error) for error in errors or []]
    response = problem(
        status=refusal.kind.value,
        code=refusal.code,
        title=refusal.title(language),
        detail=refusal.detail if language == "en" else spoken(refusal.detail, language),
        facts=refusal.facts,
        errors=errors or [],
    )
    if refusal.kind is Kind.UNAUTHENTICATED:
        response.headers["WWW-Authenticate"] = "Bearer"
    wait = refusal.facts.get("retry_after_s")
    if wait is not None:
        response.headers["Retry-After"] = str(wait)
    return response


def _in(language: str, error: Any) -> Any:
    """A fault with its sentence in `language`; those of a file are rows of their own and stay."""
    return {**error, "detail": spoken(error["detail"], language)} if isinstance(error, dict) else error


def problem(
    *,
    status: int,
    code: str,
    title: str,
    detail: str = "",
    facts: dict[str, Any] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """A problem document as a response."""
    body = {
        "type": f"/problems#{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "facts": facts or {},
        "request_id": request_id(),
        "errors": errors or [],
    }
    response = Response(orjson.dumps(body), status, content_type=MEDIA_TYPE)
    response.headers["Content-Language"] = "zh" if _language() == "zh" else "en"
    response.headers["Cache-Control"] = "no-store"
    return response


def framework_problem(error: HTTPException) -> Response:
    """The same format for what the framework refuses; Allow, Retry-After and the like are kept."""
    status = error.code or 500
    other = INTERNAL_ERROR if status >= INTERNAL_STATUS else FRAMEWORK_TITLES[400]
    code, title, title_zh = FRAMEWORK_TITLES.get(status, other)
    response = problem(status=status, code=code, title=title_zh if _language() == "zh" else title)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "WWW-Authenticate", "Content-Range"}:
            response.headers[name] = value
    return response


def answer_all_errors(app: Flask) -> None:
    """Let every error of `app` leave through this file."""

    def on_refusal(error: Refusal) -> Response:
        return refused(error)

    def on_http(error: HTTPException) -> Response:
        return framework_problem(error)

    def on_bug(error: Exception) -> Response:
        if isinstance(error, DBAPIError):
            known = translated(error)
            if isinstance(known, Refusal):
                return refused(known)
        if isinstance(error, PoolTimeout):
            return refused(Busy("all database connections are in use", retry_after_s=1))
        # The exception's text may carry a value somebody sent; its type and place do not.
        _log.error("bug", error=type(error).__name__, at=_place(error), request_id=request_id())
        if app.testing:
            app.extensions.setdefault("bugs", []).append(error)
        code, title, title_zh = INTERNAL_ERROR
        return problem(status=INTERNAL_STATUS, code=code, title=title_zh if _language() == "zh" else title)

    app.register_error_handler(Refusal, on_refusal)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(Exception, on_bug)


def _place(error: Exception) -> str:
    at = error.__traceback__
    last = ""
    while at is not None:
        last = f"{at.tb_frame.f_code.co_filename.rsplit('/', 2)[-1]}:{at.tb_lineno}"
        at = at.tb_next
    return last


def _language() -> str:
    best = request.accept_languages.best_match(["en", "zh", "zh-CN", "zh-Hans"])
    return "zh" if best and best.startswith("zh") else "en"
