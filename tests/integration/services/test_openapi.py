"""Every operation of the OpenAPI documents, with input made to break it: no 5xx, nothing that is not documented."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest
import schemathesis
from fastapi import APIRouter, FastAPI
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from auth_service.sessions import endpoints as sessions
from blog_service.api import categories, comments, drafts, posts
from tests.harness.services import Services
from titanium_common.app import operations
from user_service.accounts import endpoints as accounts
from user_service.accounts import internal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemathesis.schemas import BaseSchema

    from tests.harness.postgres import Postgres
    from tests.harness.redis import Redis

Case: TypeAlias = schemathesis.Case[Any]

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIMITS = ("RATE_LIMIT_LOGIN", "RATE_LIMIT_ACCOUNT", "RATE_LIMIT_REGISTER", "RATE_LIMIT_WRITE", "RATE_LIMIT_PREVIEW")
POST = {"title": "A title", "content": "A text.", "category_id": 1}
BODY = {"username": "schema", "email": "schema@example.org", "password": "long enough"}


@pytest.fixture(scope="module")
def live(postgres: Postgres, redis_server: Redis, state_folder: Path) -> Iterator[Services]:
    """The services as processes: the tests here block the event loop that others share."""
    services = Services(
        state_folder / "openapi",
        postgres,
        redis_server,
        database=postgres.clone("openapi"),
        extra={**dict.fromkeys(LIMITS, ""), "ARGON2_MEMORY": "8192"},
    )
    services.start()
    httpx.post(services.edge + "/api/register", json=BODY).raise_for_status()
    bearer = {"authorization": f"Bearer {httpx.post(services.edge + '/api/login', json=BODY).json()['token']}"}
    # So that generated ids find something now and then.
    for path, body in (("posts", POST), ("posts/1/comments", {"content": "A comment."}), ("drafts", {})):
        httpx.post(f"{services.edge}/blog/api/{path}", json=body, headers=bearer).raise_for_status()
    yield services
    services.stop()


@pytest.fixture(scope="module")
def token(live: Services) -> str:
    """An access token."""
    result: str = httpx.post(live.edge + "/api/login", json=BODY).raise_for_status().json()["token"]
    return result


def document(*routers: APIRouter) -> BaseSchema:
    """The OpenAPI document of some routers; what is asked is the live service."""
    app = FastAPI()
    for router in routers:
        app.include_router(router)
    return schemathesis.openapi.from_dict(app.openapi())


auth_schema = document(sessions.router)
user_schema = document(accounts.router, internal.router)
blog_schema = document(posts.router, categories.router, comments.router, drafts.router)
operation_schema = document(operations())
few = settings(max_examples=25, suppress_health_check=list(HealthCheck), derandomize=True)


def check(case: Case, url: str, token: str) -> None:
    """Send it once with a token and once without."""
    case.call_and_validate(base_url=url, checks=CHECKS, headers={"Authorization": f"Bearer {token}"})
    case.call_and_validate(base_url=url, checks=CHECKS)


@auth_schema.parametrize()
@few
def test_auth_service(case: Case, live: Services, token: str) -> None:
    check(case, live.url("auth_service"), token)


@user_schema.parametrize()
@few
def test_user_service(case: Case, live: Services, token: str) -> None:
    check(case, live.url("user_service"), token)


@blog_schema.parametrize()
@few
def test_blog_service(case: Case, live: Services, token: str) -> None:
    check(case, live.url("blog_service"), token)


@operation_schema.parametrize()
@few
def test_api_gateway(case: Case, live: Services, token: str) -> None:
    check(case, live.url("api_gateway"), token)


def test_the_documents_know_the_errors(live: Services) -> None:
    async def read() -> dict[str, Any]:
        async with httpx.AsyncClient() as client:
            document: dict[str, Any] = (await client.get(live.url("auth_service") + "/openapi.json")).json()
            return document

    login = asyncio.run(read())["paths"]["/login"]["post"]["responses"]
    assert login.keys() >= {"200", "401", "403", "422", "429", "503"}
    example = login["401"]["content"]["application/json"]["examples"]["invalid_credentials"]["value"]
    assert example == {"status": "failed", "message": "Invalid username or password"}
    assert "application/problem+json" in login["401"]["content"]


# JSON as no client library would write it: half of a surrogate pair, NUL, numbers beyond any column, depth.
HOSTILE_JSON = (
    r'"\ud800"',
    r'"a\udfffb"',
    r'"\u0000"',
    r'"a\u0000b"',
    "1" + "0" * 30,
    "-" + "9" * 400,
    "1e400",
    "9223372036854775808",
    "NaN",
    "true",
    "null",
    "[]",
    "[" * 500 + "]" * 500,
    '"' + "가" * 30000 + '"',
)
# The same for paths and queries: surrogates and overlong forms as raw bytes, which no UTF-8 decoder takes.
HOSTILE_TEXT = (
    *("%00", "a%00b", "%ED%A0%80", "%C0%AF", "%FF", "%F0%9F%98%80", "%E2%80%AE", "%EA%B0%80" * 2000),
    *("-1", "0", "1" + "0" * 30, "9223372036854775807", "9223372036854775808", "1e3", "0x10", "%D9%A1", "1.0", "%20"),
)


def resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside an OpenAPI document."""
    for name in part.get("$ref", "#").split("/")[1:]:
        schema = schema[name]
    return schema if "$ref" in part else part


def hostile_requests(schema: dict[str, Any]) -> Iterator[tuple[str, str, str, str | None]]:
    """Method, template, path with query, and body of requests that put something hostile in each place there is."""
    for template, operations_here in schema["paths"].items():
        for method, operation in operations_here.items():
            places = operation.get("parameters", [])
            plain = template
            for place in places:
                if place["in"] == "path":
                    plain = plain.replace("{" + place["name"] + "}", "1")
            body = operation.get("requestBody")
            fields: dict[str, Any] = {}
            if body:
                fields = resolve(schema, body["content"]["application/json"]["schema"]).get("properties", {})
            known = {**POST, **BODY, "content": "A text.", "current_password": "wrong", "new_password": "long enough"}
            valid = {name: json.dumps(known.get(name, "text")) for name in fields}
            whole = "{" + ",".join(f'"{name}":{value}' for name, value in valid.items()) + "}"
            for place, text in itertools.product(places, HOSTILE_TEXT):
                if place["in"] == "path":
                    target = template.replace("{" + place["name"] + "}", text)
                    for other in places:
                        target = target.replace("{" + other["name"] + "}", "1")
                    yield method, template, target, whole if body else None
                elif place["in"] == "query":
                    yield method, template, f"{plain}?{place['name']}={text}", whole if body else None
            for name, text in itertools.product(fields, HOSTILE_JSON):
                yield method, template, plain, whole.replace(f'"{name}":{valid[name]}', f'"{name}":{text}')
            for text in (*HOSTILE_JSON, "", "{", whole[:-1], '{"\\ud800":1}') if body else ():
                yield method, template, plain, text


@pytest.mark.parametrize("name", ["user_service", "auth_service", "blog_service"])
def test_hostile_input_everywhere(name: str, live: Services, token: str) -> None:
    """No 5xx, and no status that the service's own document does not know, whatever is put wherever."""
    wrong: list[str] = []
    count = 0
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    with httpx.Client(base_url=live.url(name), timeout=20, headers=headers) as client:
        schema = client.get("/openapi.json").json()
        for method, template, target, body in hostile_requests(schema):
            content = None if body is None else body.encode()
            # As bytes: httpx would tidy the path up.
            url = httpx.URL(live.url(name)).copy_with(raw_path=target.encode())
            response = client.request(method, url, content=content)
            count += 1
            known = schema["paths"][template][method]["responses"]
            # A path that cannot be decoded, or that has become another one, belongs to no operation.
            elsewhere = response.status_code in (400, 404) and "?" not in target and target != template
            if response.status_code >= 500 or not (str(response.status_code) in known or elsewhere):
                wrong.append(f"{response.status_code} {method} {target[:80]} {(body or '')[:80]}")
    print(f"\n{name}: {count} requests")
    assert not wrong, f"{len(wrong)} of {count}:\n" + "\n".join(wrong[:20])
    assert count > 50
