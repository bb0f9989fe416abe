"""Errors, as clients and OpenAPI see them."""

from __future__ import annotations

import orjson
import pytest

from titanium_common import errors
from titanium_common.errors import (
    InvalidInput,
    NotFound,
    ServiceError,
    ServiceUnavailable,
    TooManyRequests,
    Unauthorized,
    error_response,
    responses,
)


class TeapotError(ServiceError):
    """Short and stout.

    More about it.
    """

    status = 418
    detail = "I'm a teapot"


@pytest.mark.parametrize(
    ("error", "code"),
    [(TeapotError, "teapot"), (NotFound, "not_found"), (TooManyRequests, "too_many_requests")],
)
def test_the_name_is_the_code(error: type[ServiceError], code: str) -> None:
    assert error.code == code


def test_the_contracts_body_is_the_default() -> None:
    response = error_response(TeapotError(headers={"X-Pot": "1"}), "*/*")
    assert (response.status_code, response.body) == (418, b'{"detail":"I\'m a teapot"}')
    assert response.headers["x-pot"] == "1"
    assert response.headers["content-type"] == "application/json"


def test_problem_details_for_those_who_ask() -> None:
    response = error_response(TeapotError("empty"), "text/html, application/problem+json")
    assert response.headers["content-type"] == "application/problem+json"
    assert orjson.loads(response.body) == {
        "type": "urn:titanium:problem:teapot",
        "title": "Short and stout",
        "status": 418,
        "detail": "empty",
        "code": "teapot",
    }


def test_problem_details_of_input() -> None:
    problem = orjson.loads(error_response(InvalidInput([{"loc": ["body"]}]), errors.PROBLEM).body)
    assert problem["errors"] == [{"loc": ["body"]}]
    assert problem["detail"] == "The input does not fit the schema"


def test_headers_that_belong() -> None:
    assert Unauthorized().headers == {"WWW-Authenticate": "Bearer"}
    assert ServiceUnavailable(headers={"Retry-After": "9"}).headers == {"Retry-After": "9"}
    assert ServiceUnavailable().headers == {"Retry-After": "1"}


def test_openapi_learns_from_the_classes() -> None:
    class OtherTeapot(TeapotError):
        """Tall."""

    documented = responses(TeapotError, OtherTeapot, NotFound)
    assert documented.keys() == {418, 404}
    assert documented[418]["description"] == "Short and stout. Tall."
    examples = documented[418]["content"]["application/json"]["examples"]
    assert examples["teapot"]["value"] == {"detail": "I'm a teapot"}
    assert examples.keys() == {"teapot", "other_teapot"}
    assert responses(InvalidInput)[422]["content"]["application/json"]["examples"]["invalid_input"]["value"]["detail"]
