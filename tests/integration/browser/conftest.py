"""One platform and one browser for all tests; for each test visitors of its own, whose browsers must not complain."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.harness.binaries import MissingProgramError, find_chromium
from tests.harness.browser import chromium
from tests.harness.throwaway import throwaway_platform
from tests.integration.browser.visitor import Visitor, Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from playwright.async_api import Browser

    from tests.harness.services import Services

# Every account has a client of its own, and making this takes 50 ms.
_TLS = ssl.create_default_context()


@pytest.fixture(scope="session")
def blog() -> Iterator[Services]:
    """The running platform."""
    try:
        find_chromium()
        with throwaway_platform() as services:
            yield services
        return
    except MissingProgramError as error:
        missing = str(error)
    pytest.fail(missing, pytrace=False)


@pytest.fixture(scope="session")
async def browser(blog: Services) -> AsyncIterator[Browser]:
    """Chromium; after the platform, so that what is missing on this machine is said once and in one line."""
    assert blog.edge
    async with chromium() as running:
        yield running


@pytest.fixture
async def enter(browser: Browser, blog: Services) -> AsyncIterator[Callable[..., Awaitable[Visitor]]]:
    """Open a browser of one's own: `enter(writer)` is logged in; further arguments are Playwright's for a context."""
    async with AsyncExitStack() as stack:
        visitors: list[Visitor] = []

        async def open_one(writer: Writer | None = None, **options: object) -> Visitor:
            visitor = await stack.enter_async_context(Visitor.enter(browser, blog.edge, writer, options))
            visitors.append(visitor)
            return visitor

        yield open_one
        for visitor in visitors:
            visitor.assert_untroubled()


@pytest.fixture
async def reader(enter: Callable[..., Awaitable[Visitor]]) -> Visitor:
    """Somebody who is not logged in."""
    return await enter()


@pytest.fixture
async def writer(blog: Services) -> AsyncIterator[Writer]:
    """An account, able to write through the API."""
    async with httpx.AsyncClient(base_url=blog.edge, timeout=20, verify=_TLS) as client:
        yield await Writer.register(client)


@pytest.fixture
async def other(blog: Services) -> AsyncIterator[Writer]:
    """Somebody else's account."""
    async with httpx.AsyncClient(base_url=blog.edge, timeout=20, verify=_TLS) as client:
        yield await Writer.register(client)


@pytest.fixture
async def member(enter: Callable[..., Awaitable[Visitor]], writer: Writer) -> Visitor:
    """A browser in which `writer` is logged in."""
    return await enter(writer)
