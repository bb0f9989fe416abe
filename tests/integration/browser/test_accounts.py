"""Signing up, logging in and out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Route

    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser


async def _log_in(visitor: Visitor, username: str, password: str) -> None:
    await visitor.field("Username").fill(username)
    await visitor.field("Password").fill(password)
    await visitor.page.locator("main").get_by_role("button", name="Log in").click()


async def test_who_signs_up_is_logged_in(reader: Visitor) -> None:
    await reader.go("/blog/")
    await reader.link("Sign up").click()
    await reader.field("Username").fill("newcomer")
    await reader.field("E-mail").fill("newcomer@example.org")
    await reader.field("Password").fill("a long password")
    await reader.button("Sign up").click()
    await reader.is_told("Good to see you, newcomer")
    await reader.is_at("/blog/")
    await expect(reader.link("Write")).to_be_visible()
    await expect(reader.link("Log in")).to_be_hidden()


async def test_signing_up_with_a_taken_name_says_so_and_keeps_what_was_typed(reader: Visitor, writer: Writer) -> None:
    reader.expected.add(400)
    await reader.go("/blog/register")
    await reader.field("Username").fill(writer.username)
    await reader.field("E-mail").fill("somebody@example.org")
    await reader.field("Password").fill("a long password")
    await reader.button("Sign up").click()
    await expect(reader.page.get_by_role("alert")).to_have_text("That username is taken.")
    await expect(reader.field("E-mail")).to_have_value("somebody@example.org")


async def test_login_leads_back_and_lasts(reader: Visitor, writer: Writer) -> None:
    post = await writer.post("Read before logging in")
    await reader.go(f"/blog/posts/{post}")
    await reader.link("Log in to leave a comment.").click()
    await _log_in(reader, writer.username, writer.password)
    await reader.is_at(f"/blog/posts/{post}")
    await expect(reader.field("Write a comment")).to_be_visible()
    await reader.page.reload()
    await reader.field("Write a comment").fill("Still logged in")
    await reader.button("Post comment").click()
    await reader.is_told("Comment posted")


async def test_a_login_leads_to_no_other_site(reader: Visitor, writer: Writer) -> None:
    await reader.go("/blog/login?next=%2F%2Fexample.org%2Fblog%2F")
    await _log_in(reader, writer.username, writer.password)
    await reader.is_at("/blog/")


async def test_a_wrong_password_says_so_and_keeps_the_name(reader: Visitor, writer: Writer) -> None:
    reader.expected.add(401)
    await reader.go("/blog/login")
    await _log_in(reader, writer.username, "something else")
    await expect(reader.page.get_by_role("alert")).to_have_text("Wrong username or password.")
    await expect(reader.field("Username")).to_have_value(writer.username)
    await _log_in(reader, writer.username, writer.password)
    await reader.is_told(f"Good to see you, {writer.username}")


async def test_logging_out_ends_the_session_in_every_tab(member: Visitor) -> None:
    member.expected.add(401)
    await member.go("/blog/")
    tab = await member.page.context.new_page()
    await tab.goto("/blog/")
    await member.button("Log out").click()
    await member.is_told("Logged out")
    await expect(member.link("Log in")).to_be_visible()
    await expect(tab.get_by_role("link", name="Log in", exact=True)).to_be_visible()
    await member.page.reload()
    await expect(member.link("Log in")).to_be_visible()
    assert not await member.page.context.cookies()


async def test_the_session_is_out_of_reach_of_scripts(member: Visitor) -> None:
    await member.go("/blog/drafts")
    await member.sees("No drafts")
    assert await member.page.evaluate("document.cookie") == ""
    stored = await member.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "eyJ" not in stored, "nothing that looks like a token is stored"


async def test_a_reload_before_the_answer_does_not_log_out(member: Visitor) -> None:
    """The session is renewed, but the page that asked for it has gone."""
    answered = asyncio.Event()

    async def lose_the_answer(route: Route) -> None:
        sent = await route.request.all_headers()
        headers: dict[str, str] = {name: sent[name] for name in ("cookie", "idempotency-key", "origin") if name in sent}
        async with httpx.AsyncClient() as client:
            (await client.post(route.request.url, headers=headers)).raise_for_status()
        answered.set()

    await member.page.route("**/api/auth/refresh", lose_the_answer)
    await member.page.goto("/blog/drafts", wait_until="domcontentloaded")
    await answered.wait()
    await member.page.unroute("**/api/auth/refresh")
    await member.page.reload()
    await member.sees("No drafts")
    await expect(member.page.locator("html")).to_have_attribute("data-session", "in")
