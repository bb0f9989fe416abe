"""Debian's Chromium without a window, driven by Playwright's library."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.async_api import async_playwright

from tests.harness.binaries import find_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from playwright.async_api import Browser, StorageState

# The sandbox needs rights that root in a container lacks; only pages of ours are opened. The rest keeps it from
# talking to anybody else.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser while the block runs; make a context in it for each visitor.

    Raises:
        MissingProgramError: Chromium is not installed; the message says how to mend it.
    """
    program = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, headless=True, args=FLAGS)
        yield browser
        await browser.close()


def logged_in(edge: str, username: str, cookies: httpx.Cookies) -> StorageState:
    """What a browser keeps of a login: the cookie that the edge set, and the page's hint whose it is."""
    cookie = {"domain": urlsplit(edge).hostname, "path": "/", "expires": -1, "httpOnly": True, "secure": False}
    state: Any = {
        "cookies": [{**cookie, "name": one.name, "value": one.value, "sameSite": "Strict"} for one in cookies.jar],
        "origins": [{"origin": edge, "localStorage": [{"name": "titanium.user", "value": username}]}],
    }
    kept: StorageState = state
    return kept
