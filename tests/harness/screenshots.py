"""Takes the pictures of the blog that the documentation shows.

usage: scripts/screenshots [FOLDER]    docs/images unless given
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.harness import demo
from tests.harness.binaries import MissingProgramError
from tests.harness.browser import chromium, logged_in
from tests.harness.services import ROOT
from tests.harness.throwaway import throwaway_platform

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from playwright.async_api import Browser, Page, StorageState

LIMIT = 200_000
"""Bytes that a picture may have: the documentation is read over slow lines as well."""
POST = "One miss, one query: single-flight in thirty lines"
WINDOW = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}


class Camera:
    """Takes pictures of one blog."""

    def __init__(self, browser: Browser, edge: str, folder: Path) -> None:
        self._browser = browser
        self._edge = edge
        self._folder = folder

    async def open(self, path: str, **options: Any) -> Page:
        """Open an address in a browser of its own; `options` are Playwright's for a context."""
        defaults = {"base_url": self._edge, "viewport": WINDOW, "locale": "en-US", "reduced_motion": "reduce"}
        context = await self._browser.new_context(**(defaults | options))
        page = await context.new_page()
        await page.goto(path)
        await page.wait_for_load_state("networkidle")
        return page

    async def take(self, page: Page, name: str) -> None:
        """Keep what the page shows as `<name>.png`.

        Raises:
            RuntimeError: the picture is larger than `LIMIT`.
        """
        path = self._folder / f"{name}.png"
        await page.screenshot(path=path, animations="disabled", caret="hide")
        await page.context.close()
        size = path.stat().st_size
        print(f"{path.name:<16} {size / 1000:>6.0f} KB", flush=True)
        if size > LIMIT:
            raise RuntimeError(f"{path} has {size} bytes, more than {LIMIT}")


async def take_all(camera: Camera, post: int, session: StorageState, text: str) -> None:
    """Take all pictures; `session` is that of the author of `post`, whose Markdown is `text`."""
    await camera.take(await camera.open("/blog/"), "blog-light")
    await camera.take(await camera.open("/blog/", color_scheme="dark", storage_state=session), "blog-dark")
    await camera.take(await camera.open(f"/blog/posts/{post}"), "post")
    await camera.take(
        await camera.open("/blog/", viewport=PHONE, device_scale_factor=2, is_mobile=True, locale="ko-KR"), "phone"
    )
    page = await camera.open("/blog/write", storage_state=session)
    await page.get_by_label("Title").fill(POST)
    await page.get_by_label("Category").fill("기술 스택")
    await page.get_by_label("Text", exact=True).fill(text)
    await page.locator(".preview .code-box").first.wait_for()
    await page.get_by_label("Text", exact=True).evaluate("area => { area.scrollTop = 0; }")
    await camera.take(page, "editor")


def main() -> int:
    """Start a platform, write the demo posts, take the pictures. Returns the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)

    async def pictures(opening: AbstractAsyncContextManager[Browser]) -> None:
        async with opening as browser:
            await take_all(Camera(browser, services.edge, folder), ids[POST], session, text)

    try:
        with throwaway_platform() as services:
            ids, authors = demo.write(services)
            text = authors["minji"].get(f"/blog/api/posts/{ids[POST]}").raise_for_status().json()["content"]
            session = logged_in(services.edge, "minji", authors["minji"].cookies)
            asyncio.run(pictures(chromium()))
    except (MissingProgramError, RuntimeError, OSError) as error:
        print(f"titanium: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
