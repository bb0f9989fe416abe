"""Every operation of the OpenAPI documents, with input made to break it: no 5xx, nothing that is not documented."""

from __future__ import annotations

import asyncio
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
BODY = {"username": "schema", "email": "schema@example.org", "password": "long enough"}


@pytest.fixture(scope="module")
def live(postgres: Postgres, redis_server: Redis, state_folder: Path) -> Iterator[Services]:
    """The services as processes: the tests here block the event loop that others share."""
    services = Services(
        state_folder / "openapi",
        postgres,
        redis_server,
        database=postgres.clone("openapi"),
        extra={"RATE_LIMIT_LOGIN": "", "RATE_LIMIT_ACCOUNT": "", "RATE_LIMIT_REGISTER": "", "ARGON2_MEMORY": "8192"},
        names=("user_service", "auth_service", "api_gateway"),
    )
    services.start()
    httpx.post(services.edge + "/api/register", json=BODY).raise_for_status()
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
operation_schema = document(operations())
few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


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
