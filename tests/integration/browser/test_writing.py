"""Writing posts: preview, drafts, rescued text, edits and their conflicts, deletion."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser


async def _type(visitor: Visitor, title: str, category: str, text: str) -> None:
    await visitor.field("Title").fill(title)
    await visitor.field("Category").fill(category)
    await visitor.field("Text").fill(text)


async def _keeps_unsaved_text(visitor: Visitor) -> None:
    await expect(visitor.page.locator(".state")).to_have_text("Kept in this browser")


async def test_a_post_is_previewed_and_published(member: Visitor, writer: Writer) -> None:
    await member.go("/blog/")
    await member.link("Write").click()
    await _type(member, "Written in a browser", "Fresh ink", "## First\n\n```python\nprint(1)\n```\n\n**bold**")
    preview = member.page.get_by_role("region", name="Preview")
    await expect(preview.get_by_role("heading", name="First")).to_be_visible()
    await expect(preview.locator("strong")).to_have_text("bold")
    await member.button("Publish").click()
    await member.is_told("Published")
    await expect(member.page).to_have_url(re.compile(r"/blog/posts/\d+$"))
    await expect(member.page.get_by_role("heading", level=1)).to_have_text("Written in a browser")
    await expect(member.page.locator("pre .hl-nb")).to_have_text("print")
    await expect(member.page.locator(".post-head .author")).to_have_text(writer.username)
    await member.go("/blog/")
    await expect(member.link("Written in a browser")).to_be_visible()
    await expect(member.link("Fresh ink 1")).to_be_visible()


async def test_formatting_by_button_and_by_key(member: Visitor) -> None:
    await member.go("/blog/write")
    text = member.field("Text")
    await text.fill("word")
    await text.select_text()
    await member.button("Bold").click()
    await expect(text).to_have_value("**word**")
    await text.press("Control+z")
    await expect(text).to_have_value("word")
    await text.select_text()
    await text.press("Control+i")
    await expect(text).to_have_value("*word*")


async def test_what_is_missing_is_said_and_nothing_is_sent(member: Visitor) -> None:
    await member.go("/blog/write")
    await member.field("Title").fill("Without text")
    await member.button("Publish").click()
    await expect(member.page.locator(":invalid:focus")).to_be_visible()
    await member.is_at("/blog/write")


async def test_unsaved_text_survives_a_reload(member: Visitor) -> None:
    await member.go("/blog/write")
    await _type(member, "Half a thought", "Test", "It was about")
    await _keeps_unsaved_text(member)
    member.page.on("dialog", lambda dialog: dialog.accept())
    await member.page.reload()
    await member.sees("There is unsaved text from your last visit.")
    await member.button("Restore").click()
    await expect(member.field("Title")).to_have_value("Half a thought")
    await expect(member.field("Text")).to_have_value("It was about")
    await member.button("Publish").click()
    await member.is_told("Published")
    await member.go("/blog/write")
    await expect(member.field("Title")).to_be_focused()
    await expect(member.page.locator(".rescue")).to_be_hidden()


async def test_text_alone_survives_as_often_as_the_page_is_reloaded(member: Visitor) -> None:
    member.page.on("dialog", lambda dialog: dialog.accept())
    await member.go("/blog/write")
    await member.field("Text").fill("No title yet")
    await _keeps_unsaved_text(member)
    for _ in range(2):
        await member.page.reload()
        await member.sees("There is unsaved text from your last visit.")
    await member.button("Restore").click()
    await expect(member.field("Text")).to_have_value("No title yet")


async def test_unsaved_text_is_offered_to_its_writer_alone(
    member: Visitor, other: Writer, enter: Callable[..., Awaitable[Visitor]]
) -> None:
    await member.go("/blog/write")
    await _type(member, "Private thought", "Test", "Nobody else's")
    await _keeps_unsaved_text(member)
    state = await member.page.context.storage_state()
    stranger = await enter(other)
    for item in state["origins"][0]["localStorage"]:
        if item["name"] != "titanium.user":
            await stranger.page.context.add_init_script(f"localStorage.setItem({item['name']!r}, {item['value']!r})")
    await stranger.go("/blog/write")
    await expect(stranger.field("Title")).to_be_focused()
    await expect(stranger.page.locator(".rescue")).to_be_hidden()


async def test_leaving_with_unsaved_text_asks(member: Visitor) -> None:
    await member.go("/blog/write")
    await member.field("Title").fill("Not yet")
    await member.link("Titanium").click()
    await member.sees("There is unsaved text.")
    await member.answers("Keep writing")
    await expect(member.field("Title")).to_have_value("Not yet")
    await member.link("Titanium").click()
    await member.answers("Leave")
    await member.is_at("/blog/")


async def test_an_edit_changes_the_post(member: Visitor, writer: Writer) -> None:
    post = await writer.post("Befor", "Old text")
    await member.go(f"/blog/posts/{post}")
    await member.link("Edit").click()
    await expect(member.field("Title")).to_have_value("Befor")
    await member.field("Title").fill("Before")
    await member.button("Save").click()
    await member.is_told("Saved")
    await member.is_at(f"/blog/posts/{post}")
    await expect(member.page.get_by_role("heading", level=1)).to_have_text("Before")
    await member.sees("Edited ")


async def test_the_second_writer_of_an_old_version_is_told_and_loses_nothing(
    member: Visitor, writer: Writer, enter: Callable[..., Awaitable[Visitor]]
) -> None:
    post = await writer.post("Shared", "First version")
    second = await enter(writer)
    second.expected.add(412)
    for visitor in (member, second):
        await visitor.go(f"/blog/posts/{post}/edit")
        await expect(visitor.field("Text")).to_have_value("First version")
    await member.field("Text").fill("Version of the first")
    await member.button("Save").click()
    await member.is_told("Saved")

    await second.field("Text").fill("Version of the second")
    await second.button("Save").click()
    await expect(second.page.get_by_role("alert")).to_contain_text("This post was changed meanwhile")
    await expect(second.field("Text")).to_have_value("Version of the second")
    await member.page.reload()
    await member.sees("Version of the first")

    await second.button("Overwrite with mine").click()
    await second.is_told("Saved")
    await second.sees("Version of the second")


async def test_the_second_writer_can_load_the_saved_version(member: Visitor, writer: Writer) -> None:
    member.expected.add(412)
    post = await writer.post("Taken over", "First version")
    await member.go(f"/blog/posts/{post}/edit")
    await expect(member.field("Text")).to_have_value("First version")
    answer = await writer.client.patch(f"/blog/api/posts/{post}", json={"content": "Saved elsewhere"})
    answer.raise_for_status()
    await member.field("Text").fill("Mine")
    await member.button("Save").click()
    await member.button("Load the saved version").click()
    await expect(member.field("Text")).to_have_value("Saved elsewhere")


async def test_a_post_of_somebody_else_offers_no_edit(member: Visitor, other: Writer) -> None:
    post = await other.post("Not mine")
    await member.go(f"/blog/posts/{post}")
    await expect(member.link("Edit")).to_be_hidden()
    await expect(member.button("Delete")).to_be_hidden()
    await member.go(f"/blog/posts/{post}/edit")
    await member.is_told("Only your own posts can be edited.")
    await member.is_at(f"/blog/posts/{post}")


async def test_deleting_asks_first(member: Visitor, writer: Writer) -> None:
    post = await writer.post("Soon gone")
    await member.go(f"/blog/posts/{post}")
    await member.button("Delete").click()
    await member.answers("Cancel")
    await member.is_at(f"/blog/posts/{post}")
    await member.button("Delete").click()
    await member.answers("Delete")
    await member.is_told("Post deleted")
    await member.is_at("/blog/")
    await expect(member.link("Soon gone")).to_have_count(0)
    await member.go(f"/blog/posts/{post}")
    await member.sees("There is nothing at this address")


async def test_a_draft_is_kept_continued_and_published(member: Visitor, reader: Visitor) -> None:
    await member.go("/blog/write")
    await _type(member, "Ripening", "Test", "Not ready")
    await member.button("Save draft").click()
    await member.is_told("Draft saved")
    await reader.go("/blog/")
    await expect(reader.link("Ripening")).to_have_count(0)

    await member.link("Drafts").click()
    await member.link("Ripening").click()
    await expect(member.field("Text")).to_have_value("Not ready")
    await member.field("Text").fill("Ready")
    await member.button("Publish").click()
    await member.is_told("Published")
    await member.link("Drafts").click()
    await member.sees("No drafts")
    await reader.page.reload()
    await expect(reader.link("Ripening")).to_be_visible()


async def test_a_draft_can_be_deleted(member: Visitor) -> None:
    await member.go("/blog/write")
    await member.field("Title").fill("A bad idea")
    await member.field("Title").press("Control+s")
    await member.is_told("Draft saved")
    await member.go("/blog/drafts")
    await member.button("Delete").click()
    await member.answers("Delete")
    await member.is_told("Draft deleted")
    await member.sees("No drafts")


async def test_text_outlives_a_session_that_ended(member: Visitor, writer: Writer) -> None:
    member.expected.add(401)
    await member.go("/blog/write")
    # Each page asks for an access token of its own, here for the preview. The answer must have come before the cookies
    # are cleared: it sets a new one.
    async with member.page.expect_response("**/api/auth/refresh"):
        await _type(member, "Too late", "Test", "The session ends before this is sent")
    await _keeps_unsaved_text(member)
    await member.page.context.clear_cookies()
    member.page.on("dialog", lambda dialog: dialog.accept())
    await member.page.reload()
    await member.page.get_by_role("button", name="Restore").click()
    await member.button("Publish").click()
    await member.is_told("Please log in again. What you were writing is kept in this browser.")
    await member.page.locator("main").get_by_role("link", name="Log in").click()
    await member.field("Username").fill(writer.username)
    await member.field("Password").fill(writer.password)
    await member.page.locator("main").get_by_role("button", name="Log in").click()
    await member.is_at("/blog/write")
    await member.button("Restore").click()
    await expect(member.field("Text")).to_have_value("The session ends before this is sent")
