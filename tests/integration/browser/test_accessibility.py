"""axe-core on every kind of page, in both themes and both languages: nothing serious or critical."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser

CONTENT = """\
A paragraph with a [link](https://example.org) and `code`.

## A heading

```python
@decorated
def double(number: int = 2) -> str:  # a comment
    return f"{number * 2!r}" + 'text'
```

> quoted

| a | b |
|---|--:|
| 1 | 2 |

- [x] done
- [ ] not yet
"""


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    """What the system prefers."""
    return str(request.param)


async def _check(visitor: Visitor, path: str) -> None:
    await visitor.page.wait_for_load_state("networkidle")
    # Half-transparent while it moves: nobody reads it then.
    await visitor.page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    found = (await Axe().run(visitor.page)).response["violations"]
    serious = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    told = "\n".join(
        f"{path}: {violation['id']}: {violation['help']}\n    {node['html'][:200]}\n    {node['failureSummary']}"
        for violation in serious
        for node in violation["nodes"]
    )
    assert not serious, told


async def test_pages_for_readers(
    enter: Callable[..., Awaitable[Visitor]], writer: Writer, other: Writer, theme: str
) -> None:
    post = await writer.post("Readable by everybody", CONTENT)
    await other.comment(post, "A word with `code`")
    for number in range(12):
        await writer.post(f"Colour {number}", category=f"Colour {number}")
    reader = await enter(color_scheme=theme)
    paths = ["/blog/", "/blog/?page=2", "/blog/?category=colour-3", "/blog/?q=colour", "/blog/?q=xyzzyx"]
    for path in [*paths, f"/blog/posts/{post}", "/blog/login", "/blog/register", "/blog/nowhere", "/blog/drafts"]:
        await reader.go(path)
        await _check(reader, path)


async def test_pages_for_writers(enter: Callable[..., Awaitable[Visitor]], writer: Writer, theme: str) -> None:
    post = await writer.post("Writable by everybody", CONTENT)
    await writer.comment(post, "My own word")
    member = await enter(writer, color_scheme=theme, locale="ko-KR")
    for path in ("/blog/", f"/blog/posts/{post}", f"/blog/posts/{post}/edit", "/blog/drafts"):
        await member.go(path)
        await _check(member, path)
    await member.go("/blog/write")
    await member.page.locator("#title").fill("임시")
    await member.page.locator("#content").fill(CONTENT)
    await expect(member.page.locator(".preview .code-box")).to_be_visible()
    await _check(member, "the editor")
    await member.page.locator(".save-draft").click()
    await expect(member.page.locator(".toast")).to_be_visible()
    await _check(member, "a toast")
    await member.go("/blog/drafts")
    await member.page.locator(".drafts button").click()
    await expect(member.page.get_by_role("dialog")).to_be_visible()
    await _check(member, "a question")


async def test_pages_on_a_phone(enter: Callable[..., Awaitable[Visitor]], writer: Writer) -> None:
    post = await writer.post("Readable in the hand", CONTENT)
    for number in range(11):
        await writer.post(f"In the hand {number}", category="Hand")
    member = await enter(writer, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    for path in ("/blog/?category=hand&page=2", f"/blog/posts/{post}", f"/blog/posts/{post}/edit", "/blog/drafts"):
        await member.go(path)
        await _check(member, path)


async def test_problems(enter: Callable[..., Awaitable[Visitor]], writer: Writer, theme: str) -> None:
    member = await enter(writer, color_scheme=theme)
    member.expected |= {401, 412}
    post = await writer.post("Contested", "First")
    await member.go(f"/blog/posts/{post}/edit")
    await expect(member.field("Text")).to_have_value("First")
    (await writer.client.patch(f"/blog/api/posts/{post}", json={"content": "Second"})).raise_for_status()
    await member.field("Text").fill("Third")
    await member.button("Save").click()
    await expect(member.page.get_by_role("alert")).to_be_visible()
    await _check(member, "a conflict")

    reader = await enter(color_scheme=theme)
    reader.expected.add(401)
    await reader.go("/blog/login")
    await reader.field("Username").fill("nobody")
    await reader.field("Password").fill("nothing at all")
    await reader.page.locator("main").get_by_role("button", name="Log in").click()
    await expect(reader.page.get_by_role("alert")).to_be_visible()
    await _check(reader, "a wrong password")
