"""The edge: the table of the HTTP contract, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest

from api_gateway.main import create_app
from tests.harness.inprocess import running
from tests.harness.processes import free_port
from tests.integration.services.platform import Memory, Parts

if TYPE_CHECKING:
    from tests.integration.services.platform import Account, Platform


@pytest.fixture
async def inside(platform: Platform) -> httpx.AsyncClient:
    """A client of the gateway's inner port."""
    return httpx.AsyncClient(base_url=platform.gateway, timeout=20)


async def raw(port: int, request: bytes) -> bytes:
    """Send bytes that a client library would not, and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("/", "/blog/"),
        ("/blog/", "/blog/"),
        ("/blog/some/page", "/blog/some/page"),
        ("/blog/static/app.js?v=1", "/blog/static/app.js"),
        ("/blog/api/posts?offset=0&limit=20", "/blog/api/posts"),
        ("/blog/api/unknown", "/blog/api/unknown"),
        ("/blog/a%2Fb%20%ea%b0%80", "/blog/a%2Fb%20%ea%b0%80"),
    ],
)
async def test_what_goes_to_the_blog(edge: httpx.AsyncClient, path: str, arrives: str) -> None:
    response = await edge.get(path)
    assert response.status_code == 200
    assert response.json()["path"] == arrives
    assert response.json()["query"] == path.partition("?")[2]


@pytest.mark.parametrize("path", ["/blog", "/blog?lang=ko"])
async def test_blog_redirects(edge: httpx.AsyncClient, path: str) -> None:
    response = await edge.get(path)
    assert response.status_code == 308
    assert response.headers["location"] == path.replace("/blog", "/blog/")


INTERNAL = [
    "/metrics",
    "/stats",
    "/ready",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/docs/oauth2-redirect",
    "/verify",
    "/login",
    "/users",
    "/internal/verify-credentials",
    "/internal/accounts/1",
    "/.well-known/jwks.json",
    "/api",
    "/api/",
    "/api/unknown",
    "/api/metrics",
    "/api/verify",
    "/api/auth",
    "/api/auth/",
    "/api/auth/unknown",
    "/api/internal/verify-credentials",
    "/api/users/",
    "/api/users/verify-credentials",
    "/api/users/VERIFY-credentials",
    "/api/users/a/b",
    "/api/users/..",
    "/api/users/%2e%2e",
    "/api/users/..%2finternal%2fverify-credentials",
    "/api/users/%2e%2e/internal/verify-credentials",
    "/api//users",
    "//metrics",
    "/blog/../metrics",
    "/blog/%2e%2e/metrics",
    "/blog/..",
    "/blog/..%2fmetrics",
    "/blog/api/../../metrics",
    "/blogs",
    "/favicon.ico",
    "/%00",
]


@pytest.mark.parametrize("path", INTERNAL)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_is_not_at_the_edge(platform: Platform, method: str, path: str) -> None:
    request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answer = await raw(platform.parts.edge_port, request.encode())
    assert answer.startswith(b"HTTP/1.1 404 "), answer
    assert answer.endswith(b'{"detail":"Not found"}')


@pytest.mark.parametrize("path", ["/health", "/ready", "/stats", "/metrics", "/docs", "/openapi.json"])
async def test_what_is_inside_only(inside: httpx.AsyncClient, path: str) -> None:
    async with inside:
        assert (await inside.get(path)).status_code == 200


async def test_inside_has_the_edges_routes_too(inside: httpx.AsyncClient, account: Account) -> None:
    async with inside:
        assert (await inside.get(f"/api/users/{account.username}")).status_code == 200
        assert (await inside.get("/unknown")).json() == {"detail": "Not found"}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "FOO"])
async def test_other_methods_are_refused(platform: Platform, method: str) -> None:
    request = f"{method} /blog/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await raw(platform.parts.edge_port, request.encode())
    assert answer.startswith((b"HTTP/1.1 405 ", b"HTTP/1.1 400 "))


async def test_a_wrong_method_is_405(edge: httpx.AsyncClient) -> None:
    response = await edge.delete("/api/users")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_the_platform_is_healthy(edge: httpx.AsyncClient) -> None:
    response = await edge.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_it_is_not_while_a_service_is_away(platform: Platform) -> None:
    parts = Parts(platform.parts.postgres, None, "", platform.parts.folder, user_port=platform.parts.user_port)
    app = create_app(parts.gateway_settings(), Memory("api-gateway"))
    async with (
        running(app, parts.gateway_port, parts.edge_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.edge_port}") as client,
    ):
        responses = await asyncio.gather(*(client.get("/health") for _ in range(5)))
        for response in responses:
            assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
            assert response.headers["retry-after"] == "1"
        ready = await client.get(f"http://127.0.0.1:{parts.gateway_port}/ready")
        assert ready.status_code == 200
        assert ready.json()["checks"] == {
            "auth-service": "unavailable",
            "user-service": "ok",
            "blog-service": "unavailable",
        }


async def test_routes_not_paths_label_metrics(edge: httpx.AsyncClient, inside: httpx.AsyncClient) -> None:
    await edge.get("/api/users/somebody-unknown")
    await edge.get("/somewhere/else")
    async with inside:
        metrics = (await inside.get("/metrics")).text
    line = 'http_requests_total{method="GET",route="/api/users/{username}",service="api-gateway",status="404"}'
    assert line in metrics
    assert 'route="unmatched"' in metrics
    assert "somebody-unknown" not in metrics
    assert "somewhere" not in metrics


async def test_one_port_for_both_is_refused() -> None:
    port = free_port()
    with pytest.raises(ValueError, match="must differ"):
        Parts(None, None, "", None).gateway_settings(port=port, edge_port=port)  # type: ignore[arg-type]
