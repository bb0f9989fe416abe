"""How requests and answers are passed on, and what happens when they cannot be."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from api_gateway.main import create_app
from tests.harness.inprocess import running
from tests.integration.services.platform import Memory, Parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.integration.services.platform import Platform

Handler = "Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]"


def sent(response: httpx.Response) -> dict[str, list[str]]:
    """The headers that arrived at the stub."""
    result: dict[str, list[str]] = {}
    for name, value in response.json()["headers"]:
        result.setdefault(name, []).append(value)
    return result


async def test_headers_of_the_connection_stay_here(edge: httpx.AsyncClient) -> None:
    response = await edge.get(
        "/blog/api/x",
        headers={
            "connection": "keep-alive, x-private",
            "x-private": "1",
            "te": "trailers",
            "proxy-authorization": "Basic x",
            "upgrade": "websocket",
            "x-kept": "1",
            "accept-encoding": "br",
            "user-agent": "test",
        },
    )
    arrived = sent(response)
    for name in ("x-private", "te", "proxy-authorization", "upgrade", "keep-alive"):
        assert name not in arrived
    assert arrived["x-kept"] == ["1"]
    assert arrived["accept-encoding"] == ["br"]
    assert arrived["user-agent"] == ["test"]
    assert response.headers["x-stub"] == "1"
    for name in ("x-hop", "keep-alive"):
        assert name not in response.headers


async def test_the_client_is_who_the_gateway_says(platform: Platform, edge: httpx.AsyncClient) -> None:
    response = await edge.get(
        "/blog/api/x",
        headers={
            "x-forwarded-for": "203.0.113.9",
            "x-forwarded-host": "evil.example",
            "x-forwarded-proto": "https",
            "x-real-ip": "203.0.113.9",
            "forwarded": "for=203.0.113.9",
        },
    )
    arrived = sent(response)
    assert arrived["x-forwarded-for"] == ["127.0.0.1"]
    assert arrived["x-forwarded-proto"] == ["http"]
    assert arrived["x-forwarded-host"] == [f"127.0.0.1:{platform.parts.edge_port}"]
    assert "x-real-ip" not in arrived
    assert "forwarded" not in arrived


@asynccontextmanager
async def gateway(
    platform: Platform, *, blog_port: int = 0, **settings: object
) -> AsyncIterator[tuple[httpx.AsyncClient, Memory]]:
    """A gateway of our own before the same services, or before another blog."""
    old = platform.parts
    parts = Parts(
        old.postgres,
        None,
        "",
        old.folder,
        user_port=old.user_port,
        auth_port=old.auth_port,
        blog_port=blog_port or old.blog_port,
    )
    log = Memory("api-gateway")
    app = create_app(parts.gateway_settings(**settings), log)
    async with (
        running(app, parts.gateway_port, parts.edge_port),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{parts.edge_port}", timeout=20) as client,
    ):
        yield client, log


async def test_behind_a_proxy_it_believes_the_proxy(platform: Platform) -> None:
    async with gateway(platform, trusted_proxies=1) as (client, log):
        response = await client.get(
            "/blog/api/x",
            headers={
                "x-forwarded-for": "1.2.3.4, 203.0.113.9",
                "x-forwarded-host": "blog.example.org",
                "x-forwarded-proto": "https",
            },
        )
        arrived = sent(response)
        assert arrived["x-forwarded-for"] == ["203.0.113.9"]
        assert arrived["x-forwarded-proto"] == ["https"]
        assert arrived["x-forwarded-host"] == ["blog.example.org"]
        assert '"client":"203.0.113.9"' in log.text()


async def test_identifiers_go_all_the_way(edge: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    response = await edge.get(
        "/blog/api/x",
        headers={
            "x-request-id": "abc-123",
            "traceparent": f"00-{trace}-00f067aa0ba902b7-01",
            "tracestate": "vendor=1",
        },
    )
    arrived = sent(response)
    assert arrived["x-request-id"] == ["abc-123"]
    assert arrived["tracestate"] == ["vendor=1"]
    version, trace_id, span_id, flags = arrived["traceparent"][0].split("-")
    assert (version, trace_id, flags) == ("00", trace, "01")
    assert span_id != "00f067aa0ba902b7"
    assert response.headers.get_list("x-request-id") == ["abc-123"]


@pytest.mark.parametrize("value", ["with space", "x" * 200, "a\tb", "<script>"])
async def test_identifiers_that_are_none_are_replaced(edge: httpx.AsyncClient, value: str) -> None:
    response = await edge.get("/blog/api/x", headers={"x-request-id": value, "traceparent": value})
    assert response.headers["x-request-id"] != value
    assert len(response.headers["x-request-id"]) == 32


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_methods_and_bodies_arrive(edge: httpx.AsyncClient, method: str) -> None:
    body = b"" if method == "GET" else bytes(range(256)) * 100
    response = await edge.request(method, "/blog/api/x?a=1&a=%20", content=body)
    assert response.json()["method"] == method
    assert response.json()["body"].encode("latin-1") == body
    assert response.json()["query"] == "a=1&a=%20"


async def test_head_has_no_body(edge: httpx.AsyncClient) -> None:
    response = await edge.head("/blog/api/x")
    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["content-length"]) > 0
    assert (await edge.get("/blog/api/x")).status_code == 200


async def test_a_body_in_chunks_arrives(edge: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 1000

    response = await edge.post("/blog/api/x", content=chunks())
    assert len(response.json()["body"]) == 10_000


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_413(edge: httpx.AsyncClient, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    response = await edge.post("/blog/api/x", content=chunks() if chunked else b"x" * (1024 * 1024 + 1))
    assert (response.status_code, response.json()) == (413, {"detail": "Content too large"})


async def test_a_long_answer_is_passed_on_as_it_comes(edge: httpx.AsyncClient) -> None:
    size = 0
    async with edge.stream("GET", "/blog/api/stream?chunks=200") as response:
        async for chunk in response.aiter_bytes():
            size += len(chunk)
    assert size == 200 * 65536


async def test_cookies_of_one_client_do_not_reach_another(platform: Platform, edge: httpx.AsyncClient) -> None:
    response = await edge.get("/blog/api/x", headers={"cookie": "a=1"})
    assert sent(response)["cookie"] == ["a=1"]
    async with httpx.AsyncClient(base_url=platform.edge) as another:
        assert "cookie" not in sent(await another.get("/blog/api/x"))


@asynccontextmanager
async def server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A blog-service that behaves badly."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await handle(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(connection, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_connection_is_503(platform: Platform, method: str) -> None:
    async with gateway(platform, blog_port=1) as (client, _):
        response = await client.request(method, "/blog/api/posts")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"


async def test_a_broken_connection_is_502(platform: Platform) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with server(hang_up) as port, gateway(platform, blog_port=port) as (client, _):
        for method in ("GET", "POST"):
            response = await client.request(method, "/blog/api/posts")
            assert (response.status_code, response.json()) == (
                502,
                {"detail": "The service broke off the connection"},
            )


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"])
async def test_half_an_answer_is_502(platform: Platform, answer: bytes) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with server(handle) as port, gateway(platform, blog_port=port) as (client, _):
        assert (await client.post("/blog/api/posts")).status_code == 502


async def test_half_of_a_long_answer_does_not_look_whole(platform: Platform) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        await writer.drain()

    async with server(handle) as port, gateway(platform, blog_port=port) as (client, _):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/blog/api/posts")


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"])
async def test_no_answer_in_time_is_504(platform: Platform, head: bytes) -> None:
    async def sleep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await asyncio.sleep(5)

    async with server(sleep) as port, gateway(platform, blog_port=port, upstream_timeout=0.3) as (client, _):
        began = time.monotonic()
        response = await client.get("/blog/api/posts")
        assert (response.status_code, response.json()) == (504, {"detail": "The service did not answer in time"})
        assert time.monotonic() - began < 2


async def test_the_services_own_503_is_passed_on(platform: Platform) -> None:
    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with server(handle) as port, gateway(platform, blog_port=port) as (client, _):
        response = await client.get("/blog/api/posts")
        assert (response.status_code, response.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(("method", "tries", "status"), [("GET", 2, 200), ("HEAD", 2, 200), ("POST", 1, 502)])
async def test_only_what_can_be_repeated_is(platform: Platform, method: str, tries: int, status: int) -> None:
    seen = 0

    async def fail_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            writer.transport.abort()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with server(fail_once) as port, gateway(platform, blog_port=port) as (client, _):
        response = await client.request(method, "/blog/api/posts")
        assert (seen, response.status_code) == (tries, status)


async def test_a_client_that_leaves_is_499(platform: Platform) -> None:
    async def sleep(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(5)

    async with server(sleep) as port, gateway(platform, blog_port=port, upstream_timeout=0.5) as (client, log):
        _, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        writer.write(b"POST /blog/api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await asyncio.sleep(0.3)
        assert '"status":499' in log.text()


async def test_problem_details_for_those_who_ask(platform: Platform) -> None:
    async with gateway(platform, blog_port=1) as (client, _):
        response = await client.get("/blog/api/posts", headers={"accept": "application/problem+json"})
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "upstream_away"
        assert response.json()["status"] == 503
