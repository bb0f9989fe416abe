"""Getting around with the keyboard alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser

FOCUSED = """() => {
  const element = document.activeElement;
  return (element.getAttribute('aria-label') ?? element.innerText ?? '').trim().replace(/\\s+/g, ' ');
}"""
# What a focused element changes to be seen: an outline, or, where that would be cut off, a shadow or a border.
LOOK = """() => {
  const look = (element, pseudo) => {
    const style = getComputedStyle(element, pseudo);
    const outline = style.outlineStyle === 'none' ? 'none' : style.outline;
    return [outline, style.boxShadow, style.borderColor].join('|');
  };
  const element = document.activeElement;
  const around = [element, element.parentElement, element.closest('.pane') ?? element];
  const seen = () => around.map((one) => look(one)).join() + look(element, '::after');
  const focused = seen();
  element.blur();
  const blurred = seen();
  element.focus({ focusVisible: true });
  return focused !== blurred;
}"""


async def test_the_skip_link_comes_first_and_leads_to_the_content(reader: Visitor, writer: Writer) -> None:
    await writer.post("Skipped to", category="Skipping")
    await reader.go("/blog/?category=skipping")
    await reader.page.keyboard.press("Tab")
    skip = reader.link("Skip to content")
    await expect(skip).to_be_focused()
    await expect(skip).to_be_in_viewport()
    await reader.page.keyboard.press("Enter")
    await reader.page.keyboard.press("Tab")
    assert await reader.page.evaluate(FOCUSED) == "All " + str(await _count(reader))


async def _count(reader: Visitor) -> str:
    return await reader.page.locator(".tab .n").first.inner_text()


async def test_tab_goes_from_top_to_bottom(reader: Visitor, writer: Writer) -> None:
    await writer.post("Tabbed to", category="Tabbing")
    await reader.go("/blog/?category=tabbing")
    visited = []
    for _ in range(40):
        await reader.page.keyboard.press("Tab")
        visited.append(await reader.page.evaluate(FOCUSED))
        if visited[-1] == "한국어":
            break
    expected = ["Skip to content", "Titanium", "Search posts", "Log in", "Sign up", "Switch between light and dark"]
    assert visited[:6] == expected
    assert visited[-4:] == ["Tabbing 1", "Tabbing", "Tabbed to", "한국어"]


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_focus_is_visible_everywhere(member: Visitor, writer: Writer, theme: str) -> None:
    await member.page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    post = await writer.post("Focused", "[a link](https://example.org)\n\n```python\nx\n```\n\n|a|\n|-|\n|b|")
    await writer.comment(post, "Mine")
    for path in ("/blog/", f"/blog/posts/{post}", "/blog/write", "/blog/drafts"):
        await member.go(path)
        await member.page.wait_for_load_state("networkidle")
        await member.page.evaluate("document.activeElement.blur()")
        seen = set()
        for _ in range(60):
            await member.page.keyboard.press("Tab")
            where = await member.page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
            if where in seen or where.startswith("<body"):
                break
            seen.add(where)
            assert await member.page.evaluate(LOOK), f"{path}: the focus does not show on {where}"
        assert len(seen) > 8


async def test_a_post_is_written_with_the_keyboard_alone(member: Visitor) -> None:
    keyboard = member.page.keyboard
    await member.go("/blog/write")
    await expect(member.field("Title")).to_be_focused()
    await keyboard.type("By keyboard")
    await keyboard.press("Tab")
    await keyboard.type("Test")
    await member.field("Text").focus()
    await keyboard.type("No mouse was moved.")
    await keyboard.press("Control+Enter")
    await member.is_told("Published")
    await expect(member.page.locator("main")).to_be_focused()


async def test_a_dialog_holds_the_focus_and_gives_it_back(member: Visitor, writer: Writer) -> None:
    post = await writer.post("Kept")
    await member.go(f"/blog/posts/{post}")
    await member.button("Delete").focus()
    await member.page.keyboard.press("Enter")
    dialog = member.page.get_by_role("dialog", name="Delete this post?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    await member.page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(member.button("Delete")).to_be_focused()
