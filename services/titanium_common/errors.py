"""Errors that know their status, machine code and body, and tell OpenAPI about themselves.

A client that sends `Accept: application/problem+json` gets RFC 9457 problem details, all others
the contract's body.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import asyncpg
import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

PROBLEM = "application/problem+json"
RETRY_AFTER = 1
"""Seconds after which a client may try again when something is not available."""
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class JsonResponse(Response):
    """JSON by orjson; what FastAPI does not validate or that is ready to be sent."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Serialise `content`; bytes are taken to be JSON already."""
        return content if isinstance(content, bytes) else orjson.dumps(content)


class ServiceError(Exception):
    """Base of all errors that a client is told about.

    Subclasses set `status` and `detail`; `code` is the class's name in snake case unless set.
    """

    status: int = 500
    code: str = "internal_error"
    detail: Any = "Internal server error"
    """What the client reads; never text from a library or the database."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "code" not in cls.__dict__:
            cls.code = _WORDS.sub("_", cls.__name__.removesuffix("Error")).lower()

    def __init__(self, detail: Any = None, *, headers: Mapping[str, str] | None = None) -> None:
        """Make the error.

        Args:
            detail: replaces the class's text.
            headers: headers of the answer.
        """
        if detail is not None:
            self.detail = detail
        self.headers = dict(headers or {})
        super().__init__(str(self.detail))

    def body(self) -> dict[str, Any]:
        """The contract's body of the answer."""
        return {"detail": self.detail}

    def message(self) -> str:
        """The error in one sentence."""
        return self.detail if isinstance(self.detail, str) else str(type(self).detail)

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The body as OpenAPI shows it."""
        return cls().body()


class BadRequest(ServiceError):
    """The request cannot be understood."""

    status = 400
    detail = "Bad request"


class Unauthorized(ServiceError):
    """No valid access token."""

    status = 401
    detail = "Not authenticated"

    def __init__(self, detail: Any = None, *, headers: Mapping[str, str] | None = None) -> None:
        """Add the challenge that RFC 9110 asks for."""
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer", **(headers or {})})


class Forbidden(ServiceError):
    """The user is known but may not do this."""

    status = 403
    detail = "Forbidden"


class NotFound(ServiceError):
    """Nothing here."""

    status = 404
    detail = "Not found"


class Conflict(ServiceError):
    """The request does not fit the present state."""

    status = 409
    detail = "Conflict"


class ContentTooLarge(ServiceError):
    """The body is larger than the service accepts."""

    status = 413
    detail = "Content too large"


class UnprocessableInput(ServiceError):
    """The input is well-formed but cannot be accepted."""

    status = 422
    detail = "Input cannot be accepted"


class TooManyRequests(ServiceError):
    """A rate limit is used up."""

    status = 429
    detail = "Too many requests, try again later"


class ServiceUnavailable(ServiceError):
    """Something this service needs is away; the request can be repeated."""

    status = 503
    detail = "Service temporarily unavailable, try again"

    def __init__(self, detail: Any = None, *, headers: Mapping[str, str] | None = None) -> None:
        """Tell when to come back."""
        super().__init__(detail, headers={"Retry-After": str(RETRY_AFTER), **(headers or {})})


class DatabaseUnavailable(ServiceUnavailable):
    """PostgreSQL cannot be reached or does not answer in time."""


class RequestTimeout(ServiceUnavailable):
    """The request took longer than `request_timeout`."""

    detail = "The request took too long, try again"


def responses(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses` of an endpoint that may end in any of `errors`."""
    result: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        entry = result.setdefault(
            error.status,
            {
                "description": "",
                "content": {
                    "application/json": {"schema": {"type": "object"}, "examples": {}},
                    PROBLEM: {"schema": _PROBLEM_SCHEMA},
                },
            },
        )
        summary = (error.__doc__ or error.code).strip().splitlines()[0]
        entry["description"] = f"{entry['description']} {summary}".strip()
        entry["content"]["application/json"]["examples"][error.code] = {"summary": summary, "value": error.example()}
    return result


_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def accepts_problem(accept: str) -> bool:
    """Whether the client asked for RFC 9457 problem details."""
    return PROBLEM in accept


def error_response(error: ServiceError, accept: str = "") -> Response:
    """The answer that tells a client about `error`.

    Args:
        error: what happened.
        accept: the request's `Accept` header.
    """
    if not accepts_problem(accept):
        return JsonResponse(error.body(), status_code=error.status, headers=error.headers)
    problem: dict[str, Any] = {
        "type": f"urn:titanium:problem:{error.code}",
        "title": (type(error).__doc__ or error.code).strip().splitlines()[0].rstrip("."),
        "status": error.status,
        "detail": error.message(),
        "code": error.code,
    }
    if isinstance(error.detail, list | tuple):
        problem["errors"] = error.detail
    return JsonResponse(problem, status_code=error.status, headers=error.headers, media_type=PROBLEM)


class InvalidInput(ServiceError):
    """The input does not fit the schema."""

    status = 422
    detail: Any = "The input does not fit the schema"

    @classmethod
    def example(cls) -> dict[str, Any]:
        """One entry for each field that does not fit."""
        return {"detail": [{"type": "missing", "loc": ["body", "username"], "msg": "Field required"}]}


def _printable(text: object) -> str:
    return str(text).encode("utf-8", "replace").decode("utf-8")[:500]


def _validation_error(error: RequestValidationError) -> InvalidInput:
    # Neither the input nor its context is repeated: it may be a password, or something JSON cannot hold.
    return InvalidInput(
        [
            {
                "type": _printable(item["type"]),
                "loc": [part if isinstance(part, int) else _printable(part) for part in item["loc"]],
                "msg": _printable(item["msg"]),
            }
            for item in list(error.errors())[:50]
        ]
    )


class _HttpError(ServiceError):
    """The request cannot be served."""

    def __init__(self, error: HTTPException) -> None:
        super().__init__(error.detail, headers=error.headers)
        self.status = error.status_code
        self.code = f"http_{error.status_code}"


class UnreadableBody(InvalidInput):
    """The body cannot be parsed."""

    detail: Any = ({"type": "json_invalid", "loc": ["body"], "msg": "The body cannot be parsed"},)

    def message(self) -> str:
        """The error in one sentence."""
        return "The body cannot be parsed"


# 400 is how FastAPI says that its parser gave up: too deeply nested, say. It is no other error than bad JSON.
_KNOWN: dict[int, type[ServiceError]] = {400: UnreadableBody, 404: NotFound, 413: ContentTooLarge}


def add_error_handlers(app: FastAPI) -> None:
    """Turn every exception into the answer it stands for."""

    async def service_error(request: Request, error: ServiceError) -> Response:
        return error_response(error, request.headers.get("accept", ""))

    async def http_error(request: Request, error: HTTPException) -> Response:
        known = _KNOWN.get(error.status_code)
        return await service_error(request, known(headers=error.headers) if known else _HttpError(error))

    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        return await service_error(request, _validation_error(error))

    async def data_error(request: Request, error: asyncpg.DataError) -> Response:
        # The last net below validation: PostgreSQL refused a value, so the input was wrong. Its words stay here.
        log.warning("PostgreSQL refused a value: %s", type(error).__name__)
        return await service_error(request, UnprocessableInput())

    app.add_exception_handler(ServiceError, service_error)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, http_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, validation_error)  # type: ignore[arg-type]
    app.add_exception_handler(asyncpg.DataError, data_error)
