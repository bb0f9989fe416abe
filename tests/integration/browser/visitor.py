"""Who visits the blog: an account that writes through the API, and a browser that notices what goes wrong in it."""

from __future__ import annotations

import itertools
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.async_api import expect

from tests.harness.browser import logged_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx
    from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, Response, StorageState

_numbers = itertools.count(1)
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


@dataclass
class Writer:
    """An account, and a client that is logged in with it."""

    client: httpx.AsyncClient
    username: str
    password: str

    @classmethod
    async def register(cls, client: httpx.AsyncClient) -> Writer:
        """Make a new account and log in with it."""
        name = f"writer{next(_numbers)}"
        writer = cls(client, name, f"password of {name}")
        body = {"username": name, "email": f"{name}@example.org", "password": writer.password}
        (await client.post("/api/register", json=body)).raise_for_status()
        answer = await client.post("/api/login", json={"username": name, "password": writer.password})
        client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['token']}"
        return writer

    async def post(self, title: str, content: str = "Some text.", category: str = "Test") -> int:
        """Publish a post and return its id."""
        body = {"title": title, "content": content, "category_name": category}
        answer = await self.client.post("/blog/api/posts", json=body)
        number: int = answer.raise_for_status().json()["id"]
        return number

    async def comment(self, post: int, content: str) -> None:
        """Write a comment."""
        (await self.client.post(f"/blog/api/posts/{post}/comments", json={"content": content})).raise_for_status()

    async def session(self, edge: str) -> StorageState:
        """What a browser in which this account is logged in starts from; each call is a login of its own."""
        self.client.cookies.clear()
        await self.client.post("/api/login", json={"username": self.username, "password": self.password})
        return logged_in(edge, self.username, self.client.cookies)


@dataclass
class Visitor:
    """A browser with one page, which remembers what must not happen in it."""

    page: Page
    edge: str
    expected: set[int] = field(default_factory=set)
    """Statuses that the test provokes: the browser's console reports every 4xx."""
    troubles: list[str] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def enter(
        cls, browser: Browser, edge: str, writer: Writer | None, options: Mapping[str, Any]
    ) -> AsyncIterator[Visitor]:
        """A browser of one's own while the block runs; logged in if `writer` is given."""
        state = await writer.session(edge) if writer else None
        context = await browser.new_context(
            **{"base_url": edge, "locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options},
            storage_state=state,
        )
        context.set_default_timeout(10_000)
        visitor = cls(await context.new_page(), edge)
        visitor._watch()
        yield visitor
        await context.close()

    def _watch(self) -> None:
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.troubles.append(f"exception: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)

    def _on_console(self, message: ConsoleMessage) -> None:
        status = _STATUS.match(message.text)
        if message.type in ("error", "warning") and not (status and int(status[1]) in self.expected):
            self.troubles.append(f"console: {message.text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme != "data" and f"{parts.scheme}://{parts.netloc}" != self.edge:
            self.troubles.append(f"foreign: {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 500:
            self.troubles.append(f"{response.status}: {response.url}")

    def assert_untroubled(self) -> None:
        """Fail if the page logged an error, or asked another origin for anything."""
        assert not self.troubles, "\n".join(self.troubles)

    def forgive(self, text: str) -> None:
        """Forget troubles with this text, which the test made."""
        kept = [trouble for trouble in self.troubles if text not in trouble]
        assert len(kept) < len(self.troubles), f"{text} was to be expected"
        self.troubles[:] = kept

    async def go(self, path: str) -> None:
        """Open an address of the blog."""
        await self.page.goto(path)

    def button(self, name: str) -> Locator:
        """The button called `name`."""
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        """The link called `name`."""
        return self.page.get_by_role("link", name=name, exact=True)

    def field(self, label: str) -> Locator:
        """The field with this label."""
        return self.page.get_by_label(label, exact=True)

    async def sees(self, text: str) -> None:
        """Wait until `text` is on the page."""
        await expect(self.page.get_by_text(text).first).to_be_visible()

    async def is_told(self, text: str) -> None:
        """Wait for a toast."""
        await expect(self.page.locator(".toast", has_text=text)).to_be_visible()

    async def is_at(self, path: str) -> None:
        """Wait until the address is `path`."""
        await expect(self.page).to_have_url(f"{self.edge}{path}")

    async def answers(self, name: str) -> None:
        """Press a button of the dialog that asks."""
        await self.page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
