"""What others write stays text, and the page loads nothing but its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.harness.services import Services
    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser

ATTEMPTS = [
    "<script>document.title = 'broken into'</script>",
    "<img src=x onerror=\"document.title='broken into'\">",
    "<svg/onload=\"document.title='broken into'\">",
    "<iframe srcdoc=\"<script>parent.document.title='broken into'</script>\"></iframe>",
    "<base href='https://example.org/'>",
    "<style>body { display: none }</style>",
    "<form action='https://example.org'><button id=content>x</button></form>",
    "[link](javascript:document.title='broken')",
    "[link](JaVaScRiPt&colon;document.title='broken')",
    "[link](data:text/html,<script>1</script>)",
    "[link](vbscript:x)",
    "![image](javascript:document.title='broken')",
    '![image](/blog/static/none.svg"onerror="document.title=1)',
    '<https://example.org/"onmouseover="document.title=1>',
    '```"><script>document.title=1</script>\ncode\n```',
    "# main\n\n## comments {#comments}",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
]


async def test_markdown_stays_inert(reader: Visitor, writer: Writer) -> None:
    reader.expected.add(404)
    post = await writer.post('<b>Inert</b> & "calm"', "\n\n".join(ATTEMPTS), "<i>Odd</i>")
    for attempt in ATTEMPTS:
        await writer.comment(post, attempt)
    for path in (f"/blog/posts/{post}", "/blog/", "/blog/?q=inert"):
        await reader.go(path)
        await expect(reader.page.get_by_text('<b>Inert</b> & "calm"').first).to_be_visible()
        await _is_inert(reader)


async def test_a_preview_stays_inert(member: Visitor) -> None:
    member.expected.add(404)
    await member.go("/blog/write")
    await member.field("Text").fill("\n\n".join([*ATTEMPTS, "**the end**"]))
    await expect(member.page.locator(".preview strong")).to_have_text("the end")
    await _is_inert(member)
    await member.button("Save draft").click()
    await member.is_told("Draft saved")


async def _is_inert(visitor: Visitor) -> None:
    await visitor.page.wait_for_load_state("networkidle")
    active = await visitor.page.evaluate("""() => {
      const inside = [...document.querySelectorAll('.prose, .card, .post-head, .tabs')];
      const elements = inside.flatMap((part) => [...part.querySelectorAll('*')]);
      const found = elements.filter((element) =>
        ['SCRIPT', 'IFRAME', 'STYLE', 'FORM', 'BASE', 'OBJECT', 'EMBED', 'MATH', 'B', 'I'].includes(element.tagName) ||
        element.getAttributeNames().some((name) => name.startsWith('on') || name === 'style') ||
        /^(javascript|data|vbscript):/i.test((element.href ?? element.src ?? '').toString().trim()) ||
        (element.tagName === 'svg' && !element.classList.contains('icon')));
      return found.map((element) => element.outerHTML);
    }""")
    assert active == []
    assert "broken" not in await visitor.page.title()
    assert await visitor.page.evaluate("document.querySelectorAll('#main, #comments, #content').length") <= 2
    for link in await visitor.page.locator(".prose a").all():
        href = await link.get_attribute("href")
        assert href is None or href.startswith(("http", "mailto:", "/", "#")), href


async def test_an_attempt_that_got_through_would_meet_the_policy(reader: Visitor) -> None:
    reader.expected.add(404)
    await reader.go("/blog/")
    await reader.page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = "document.title = 'broken into'";
      document.body.append(script);
      document.body.insertAdjacentHTML('beforeend', '<img src="/none" onerror="document.title = 1">');
    }""")
    await reader.page.wait_for_load_state("networkidle")
    assert await reader.page.title() == "Titanium"
    reader.forgive("Content Security Policy")


async def test_every_page_has_a_strict_policy_and_no_inline_script(blog: Services, writer: Writer) -> None:
    post = await writer.post("Policed")
    paths = ["/", "/blog/", f"/blog/posts/{post}", "/blog/write", "/blog/login", "/blog/register", "/blog/nowhere"]
    async with httpx.AsyncClient(base_url=blog.edge) as client:
        for path in paths:
            answer = await client.get(path)
            policy = dict(
                directive.strip().split(" ", 1) for directive in answer.headers["content-security-policy"].split(";")
            )
            assert policy["default-src"] == "'none'", path
            assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'", path
            assert policy["base-uri"] == policy["frame-ancestors"] == "'none'", path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "<style" not in answer.text, path
            assert " style=" not in answer.text, path
            assert answer.text.count("<script") == answer.text.count("<script src=") + answer.text.count(
                '<script type="module" src='
            ), path
