"""Comments: writing one, deleting one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser


async def test_a_comment_is_written_and_deleted(member: Visitor, other: Writer) -> None:
    post = await other.post("Worth a word")
    await member.go(f"/blog/posts/{post}")
    await member.sees("No comments yet.")
    await member.field("Write a comment").fill("Well **said**")
    await member.button("Post comment").click()
    await member.is_told("Comment posted")
    comment = member.page.locator(".comment")
    await expect(comment.locator("strong")).to_have_text("said")
    await expect(member.page.get_by_role("heading", name="Comments")).to_have_text("Comments1")
    await member.page.reload()
    await expect(comment).to_contain_text("Well said")

    await comment.get_by_role("button", name="Delete").click()
    await member.answers("Delete")
    await member.is_told("Comment deleted")
    await expect(comment).to_have_count(0)
    await expect(member.page.get_by_role("heading", name="Comments")).to_have_text("Comments0")
    await member.sees("No comments yet.")
    await member.page.reload()
    await member.sees("No comments yet.")


async def test_a_new_comment_can_be_deleted_at_once(member: Visitor, other: Writer) -> None:
    post = await other.post("Regretted")
    await member.go(f"/blog/posts/{post}")
    await member.field("Write a comment").fill("Too quick")
    await member.button("Post comment").click()
    await member.page.locator(".comment").get_by_role("button", name="Delete").click()
    await member.answers("Delete")
    await member.is_told("Comment deleted")


async def test_a_comment_of_somebody_else_offers_no_deletion(member: Visitor, other: Writer) -> None:
    post = await other.post("Commented")
    await other.comment(post, "My own word")
    await member.go(f"/blog/posts/{post}")
    await member.sees("My own word")
    await expect(member.button("Delete")).to_have_count(0)


async def test_a_comment_that_cannot_be_sent_is_not_lost(member: Visitor, other: Writer) -> None:
    post = await other.post("Unreachable")
    await member.go(f"/blog/posts/{post}")
    await member.page.route("**/comments", lambda route: route.abort())
    await member.field("Write a comment").fill("Written on a train")
    await member.button("Post comment").click()
    await member.is_told("The server can’t be reached.")
    await expect(member.field("Write a comment")).to_have_value("Written on a train")
    await member.page.unroute("**/comments")
    await member.button("Post comment").click()
    await member.is_told("Comment posted")
    member.forgive("net::ERR_FAILED")
