"""What happens around every request."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter, Request
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import StreamingResponse

from tests.harness.inprocess import running
from tests.harness.processes import free_port
from titanium_common import telemetry
from titanium_common.app import create_app, state
from titanium_common.logs import AccessLog
from titanium_common.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

SETTINGS = {"max_body_size": 2048, "request_timeout": 0.3}
router = APIRouter(prefix="/x")


@router.get("/items/{item}")
async def item(item: int, request: Request) -> dict[str, int]:
    """A route with a parameter."""
    request.scope["titanium"].log["item_kind"] = "test"
    request.scope["titanium"].headers.append((b"x-extra", b"1"))
    return {"item": item}


@router.get("/boom")
async def boom() -> None:
    """A bug."""
    raise RuntimeError("the password is hunter2")


@router.get("/timeout")
async def timeout() -> None:
    """A TimeoutError of its own."""
    raise TimeoutError


@router.get("/slow")
async def slow() -> None:
    """Takes too long."""
    await asyncio.sleep(5)


@router.get("/half")
async def half(how: str) -> StreamingResponse:
    """Breaks off within its answer."""

    async def body() -> AsyncIterator[bytes]:
        yield b"half"
        if how == "boom":
            raise RuntimeError
        await asyncio.sleep(5)

    return StreamingResponse(body())


@router.post("/read")
async def read(request: Request) -> dict[str, int]:
    """Reads its body."""
    return {"size": len(await request.body())}


@pytest.fixture
def stream() -> io.BytesIO:
    """Where access lines go."""
    return io.BytesIO()


@pytest.fixture
def app(stream: io.BytesIO) -> FastAPI:
    """A service with limits that tests can reach."""
    return create_app(Settings(**SETTINGS), title="test", routers=[router], access_log=AccessLog("svc", stream))  # type: ignore[arg-type]


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    port = free_port()
    async with running(app, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as result:
        yield result


def lines(app: FastAPI, stream: io.BytesIO) -> list[dict[str, Any]]:
    """The access lines so far."""
    for middleware in app.user_middleware:
        middleware.kwargs["access_log"].flush()  # type: ignore[attr-defined]
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def sample(app: FastAPI, name: str, **labels: str) -> float | None:
    """A metric."""
    return app.state.metrics.registry.get_sample_value(name, {"service": "service", **labels})  # type: ignore[no-any-return]


async def test_a_request_is_counted_by_route_and_logged(
    app: FastAPI, client: httpx.AsyncClient, stream: io.BytesIO
) -> None:
    response = await client.get("/x/items/7?token=secret", headers={"x-request-id": "r1"})
    assert response.headers["x-request-id"] == "r1"
    assert response.headers["x-extra"] == "1"
    assert response.headers["x-content-type-options"] == "nosniff"
    labels = {"method": "GET", "route": "/x/items/{item}"}
    assert sample(app, "http_requests_total", status="200", **labels) == 1
    assert sample(app, "http_request_duration_seconds_count", **labels) == 1
    assert sample(app, "http_requests_in_flight") == 0
    (line,) = lines(app, stream)
    assert (line["route"], line["path"], line["status"], line["item_kind"]) == (
        "/x/items/{item}",
        "/x/items/7",
        200,
        "test",
    )
    assert (line["request_id"], line["client"]) == ("r1", "127.0.0.1")
    assert "secret" not in json.dumps(line)


async def test_operation_is_not_logged(app: FastAPI, client: httpx.AsyncClient, stream: io.BytesIO) -> None:
    for path in ("/health", "/ready", "/metrics", "/stats"):
        assert (await client.get(path)).status_code == 200
    assert lines(app, stream) == []


async def test_addresses_are_not_logged(app: FastAPI, client: httpx.AsyncClient, stream: io.BytesIO) -> None:
    await client.get("/x/somebody@example.org")
    assert "somebody" not in json.dumps(lines(app, stream))


@pytest.mark.parametrize(("path", "status"), [("/x/boom", 500), ("/x/timeout", 500), ("/x/slow", 503), ("/none", 404)])
async def test_whatever_happens_is_counted_as_what_the_client_got(
    app: FastAPI, client: httpx.AsyncClient, path: str, status: int
) -> None:
    response = await client.get(path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert "hunter2" not in response.text
    route = path if path != "/none" else "unmatched"
    assert sample(app, "http_requests_total", method="GET", route=route, status=str(status)) == 1
    assert app.state.metrics.errors == (status >= 500)


async def test_slow_ones_are_told_to_come_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/x/slow", headers={"accept": "application/problem+json"})
    assert response.headers["retry-after"] == "1"
    assert response.json()["code"] == "request_timeout"


@pytest.mark.parametrize("how", ["boom", "slow"])
async def test_half_an_answer_does_not_look_whole(client: httpx.AsyncClient, how: str) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"/x/half?how={how}")


async def test_methods_do_not_multiply_metrics(app: FastAPI, client: httpx.AsyncClient) -> None:
    await client.request("PROPFIND", "/x/boom")
    assert sample(app, "http_requests_total", method="OTHER", route="/x/boom", status="405") == 1


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(2048, 200), (2049, 413)])
async def test_the_size_of_a_body(client: httpx.AsyncClient, size: int, status: int, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 2000
        yield b"x" * (size - 2000)

    response = await client.post("/x/read", content=chunks() if chunked else b"x" * size)
    assert response.status_code == status
    if status == 413:
        assert response.json() == {"detail": "Content too large"}


async def test_a_failing_check_is_told(app: FastAPI, client: httpx.AsyncClient) -> None:
    async def fail() -> None:
        raise OSError

    async def hang() -> None:
        await asyncio.sleep(9)

    app.state.watched = {"optional": fail}
    response = await client.get("/ready")
    assert (response.status_code, response.json()["checks"]) == (200, {"optional": "unavailable"})
    app.state.checks = {"needed": fail}
    assert (await client.get("/ready")).json() == {
        "status": "not ready",
        "checks": {"optional": "unavailable", "needed": "unavailable"},
    }
    app.state.checks = {"needed": hang}
    assert (await client.get("/ready")).status_code == 503
    app.state.checks = {}
    app.state.draining = True
    assert (await client.get("/ready")).json()["status"] == "draining"
    assert (await client.get("/health")).status_code == 200


async def test_stats(client: httpx.AsyncClient) -> None:
    await client.get("/x/boom")
    stats = (await client.get("/stats")).json()
    assert (stats["service"], stats["version"], stats["requests_total"], stats["errors_total"]) == (
        "service",
        "dev",
        1,
        1,
    )


async def test_the_parts_can_be_had(app: FastAPI) -> None:
    request = Request({"type": "http", "app": app, "headers": []})
    assert state(request).settings.service == "service"


async def test_traces_go_to_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(telemetry, "OTLPSpanExporter", lambda **_: exporter)
    settings = Settings(**SETTINGS, otel_exporter_otlp_endpoint="http://collector:4318")  # type: ignore[arg-type]
    app = create_app(settings, title="test", routers=[router], access_log=AccessLog("svc", io.BytesIO()))
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    port = free_port()
    async with running(app, port), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await client.get("/x/items/7", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        await client.get("/x/boom")
    one, two = exporter.get_finished_spans()
    assert one.name == "GET /x/items/{item}"
    assert f"{one.context.trace_id:032x}" == trace
    assert one.parent is not None
    assert f"{one.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert one.attributes is not None
    assert one.attributes["http.response.status_code"] == 200
    assert not two.status.is_ok
    assert two.attributes is not None
    assert two.attributes["error.type"] == "RuntimeError"
