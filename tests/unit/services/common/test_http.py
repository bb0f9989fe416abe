"""Calls from one service to another."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.harness.processes import free_port
from titanium_common.context import new_context, reset_current, set_current
from titanium_common.http import ServiceClient, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Server:
    """Answers with what it is told, one answer a connection."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        answer = self.answers.pop(0)
        if answer == b"hang":
            await asyncio.sleep(3)
        writer.write(answer)
        writer.close()


def ok(body: bytes = b'{"a":1}', status: str = "200 OK") -> bytes:
    """An answer."""
    return b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server."""
    result = Server()
    listener = await asyncio.start_server(result.handle, "127.0.0.1", 0)
    result.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    yield result
    listener.close()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ServiceClient]:
    """A client of it."""
    result = ServiceClient("other", server.url, timeout=0.5)
    yield result
    await result.close()


async def test_a_call(server: Server, client: ServiceClient) -> None:
    server.answers = [ok(), ok(b"", "204 No Content")]
    assert await client.request("GET", "/x") == (200, {"a": 1})
    assert await client.request("DELETE", "/x", expect=frozenset({204})) == (204, None)


async def test_identifiers_go_along(server: Server, client: ServiceClient) -> None:
    server.answers = [ok()]
    token = set_current(new_context(b"r1", b"", b""))
    try:
        await client.request("POST", "/x", json={"b": 1}, headers={"x-more": "1"})
    finally:
        reset_current(token)
    (request,) = server.requests
    for line in (b"x-request-id: r1", b"traceparent: 00-", b"x-more: 1", b"content-type: application/json"):
        assert line in request.lower()


@pytest.mark.parametrize(("method", "tries"), [("GET", 2), ("POST", 1)])
async def test_a_broken_connection_is_tried_again_where_that_is_safe(
    server: Server, client: ServiceClient, method: str, tries: int
) -> None:
    server.answers = [b"", ok()]
    if tries == 1:
        with pytest.raises(UpstreamUnavailable):
            await client.request(method, "/x")
    else:
        assert (await client.request(method, "/x"))[0] == 200
    assert len(server.requests) == tries


async def test_too_slow_is_503_and_not_tried_again(server: Server, client: ServiceClient) -> None:
    server.answers = [b"hang", ok()]
    with pytest.raises(UpstreamUnavailable):
        await client.request("GET", "/x")
    assert len(server.requests) == 1


async def test_an_unexpected_status_is_503(server: Server, client: ServiceClient) -> None:
    server.answers = [ok(status="500 Oh")]
    with pytest.raises(UpstreamUnavailable) as caught:
        await client.request("GET", "/x")
    assert caught.value.headers == {"Retry-After": "1"}


async def test_no_connection_is_503() -> None:
    client = ServiceClient("other", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UpstreamUnavailable):
        await client.request("POST", "/x")
    await client.close()
    await client.close()
