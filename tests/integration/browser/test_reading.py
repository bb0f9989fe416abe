"""Reading: categories, search, pages, themes, languages, phones, and browsers without scripts."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.browser.visitor import Visitor, Writer

pytestmark = pytest.mark.browser

PHONE = {"width": 360, "height": 740}


async def test_tabs_show_categories_with_their_counts(reader: Visitor, writer: Writer) -> None:
    await writer.post("In C", category="C")
    await writer.post("In C++", category="C++")
    await writer.post("In C++ again", category="C++")
    await reader.go("/blog/")
    tabs = reader.page.get_by_role("navigation", name="Categories")
    await tabs.get_by_role("link", name="C++ 2", exact=True).click()
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("C++")
    await expect(reader.page.locator(".card h2")).to_have_text(["In C++ again", "In C++"])
    await expect(tabs.locator("[aria-current=page]")).to_have_text("C++2")
    await tabs.get_by_role("link", name="C 1", exact=True).click()
    await expect(reader.page.locator(".card h2")).to_have_text(["In C"])
    colours = await tabs.locator(".dot").evaluate_all("dots => dots.map(dot => getComputedStyle(dot).backgroundColor)")
    neighbours = list(pairwise(colours))
    assert neighbours
    assert all(one != another for one, another in neighbours)


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("zeppelins", "A zeppelin over the sea"),
        ("비행선", "바다 위의 비행선은 크다"),
        ("행선은", "바다 위의 비행선은 크다"),
    ],
)
async def test_search_finds_english_and_korean(reader: Visitor, writer: Writer, words: str, title: str) -> None:
    await writer.post(title)
    await writer.post("Nothing of the kind")
    await reader.go("/blog/")
    await reader.page.keyboard.press("/")
    await reader.page.keyboard.insert_text(words)
    await reader.page.keyboard.press("Enter")
    await expect(reader.page.get_by_role("heading", level=1)).to_contain_text(f"for “{words}”")
    assert set(await reader.page.locator(".card h2").all_inner_texts()) == {title}
    await reader.link("Clear search").click()
    await expect(reader.page.get_by_role("searchbox")).to_have_value("")


async def test_a_search_without_hits_says_so(reader: Visitor) -> None:
    await reader.go("/blog/?q=xyzzyx")
    await reader.sees("Nothing found for “xyzzyx”")
    await reader.link("See all posts").click()
    await reader.is_at("/blog/")


async def test_pages_reach_every_post(reader: Visitor, writer: Writer) -> None:
    titles = {f"Post number {number}" for number in range(23)}
    for title in titles:
        await writer.post(title, category="Many")
    await reader.go("/blog/")
    await reader.link("Many 23").click()
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Many")
    found = await reader.page.locator(".card h2").all_inner_texts()
    for number in (2, 3):
        await reader.link("Older").click()
        await expect(reader.page.get_by_role("link", name=f"Page {number}")).to_have_attribute("aria-current", "page")
        found += await reader.page.locator(".card h2").all_inner_texts()
    await expect(reader.link("Older")).to_have_count(0)
    assert len(found) == len(titles)
    assert set(found) == titles


async def test_back_returns_to_where_one_was(reader: Visitor, writer: Writer) -> None:
    for number in range(8):
        await writer.post(f"Back to {number}")
    await reader.go("/blog/")
    await reader.link("Back to 0").scroll_into_view_if_needed()
    before = await reader.page.evaluate("scrollY")
    assert before > 0
    await reader.link("Back to 0").click()
    await expect(reader.page.get_by_role("heading", level=1)).to_have_text("Back to 0")
    await reader.page.go_back()
    await expect(reader.link("Back to 0")).to_be_visible()
    assert abs(await reader.page.evaluate("scrollY") - before) < 5


async def test_the_theme_follows_the_system_until_it_is_chosen(enter: Callable[..., Awaitable[Visitor]]) -> None:
    reader = await enter(color_scheme="dark")
    await reader.go("/blog/")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = await reader.page.evaluate(colour)
    await reader.button("Switch between light and dark").click()
    light = await reader.page.evaluate(colour)
    assert sum(_channels(dark)) < 150 < 600 < sum(_channels(light))
    await reader.page.reload()
    assert await reader.page.evaluate(colour) == light


def _channels(colour: str) -> list[int]:
    return [int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]


async def test_the_language_follows_the_browser_until_it_is_chosen(
    enter: Callable[..., Awaitable[Visitor]], writer: Writer
) -> None:
    post = await writer.post("In every language")
    reader = await enter(locale="ko-KR")
    await reader.go(f"/blog/posts/{post}")
    await expect(reader.page.locator("html")).to_have_attribute("lang", "ko")
    await expect(reader.link("로그인")).to_be_visible()
    await reader.link("English").click()
    await expect(reader.link("Log in")).to_be_visible()
    await reader.is_at(f"/blog/posts/{post}")
    await reader.link("Titanium").click()
    await reader.sees("Notes on building, breaking and mending things.")
    await reader.link("한국어").click()
    await reader.sees("만들고, 고치고, 배운 것을 적습니다.")


async def test_without_scripts_posts_can_be_found_and_read(
    enter: Callable[..., Awaitable[Visitor]], writer: Writer
) -> None:
    for number in range(11):
        await writer.post(f"Plain {number}", f"The text of {number} about balloons", "Plain")
    reader = await enter(java_script_enabled=False)
    await reader.go("/blog/")
    await reader.link("Plain 11").click()
    await reader.link("Older").click()
    await reader.link("Plain 0").click()
    await reader.sees("The text of 0 about balloons")
    await reader.page.get_by_role("searchbox").fill("balloons")
    await reader.page.get_by_role("searchbox").press("Enter")
    await reader.sees("11 results for “balloons”")
    await reader.link("한국어").click()
    await reader.sees("‘balloons’ 검색 결과 11개")
    await reader.link("English").click()
    await reader.link("Log in").click()
    await expect(reader.page.locator("noscript p")).to_contain_text("Writing needs scripts")
    await expect(reader.field("Password")).to_be_hidden()


async def test_nothing_scrolls_sideways_on_a_phone(enter: Callable[..., Awaitable[Visitor]], writer: Writer) -> None:
    wide = "word" * 60
    table = "| a | b | c |\n|---|---|---|\n" + f"| {'long cell ' * 9} | {wide} | {'x ' * 40} |"
    content = f"{wide}\n\n```python\n{'x = 1; ' * 40}\n```\n\n{table}\n\n`{wide}`\n\n> {wide}\n\n- {wide}"
    post = await writer.post("w" * 60, content, "c" * 50)
    await writer.comment(post, content)
    member = await enter(writer, viewport=PHONE, is_mobile=True, has_touch=True)
    for path in ("/blog/", "/blog/?q=word", f"/blog/posts/{post}", f"/blog/posts/{post}/edit", "/blog/drafts"):
        await member.go(path)
        await _fits(member, path)
    reader = await enter(viewport=PHONE, is_mobile=True, has_touch=True, locale="ko-KR")
    for path in ("/blog/", f"/blog/posts/{post}", "/blog/login", "/blog/register", "/blog/nowhere"):
        await reader.go(path)
        await _fits(reader, path)


async def _fits(visitor: Visitor, path: str) -> None:
    await visitor.page.wait_for_load_state("networkidle")
    width = await visitor.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"{path} is {width} px wide"


async def test_on_a_phone_the_preview_takes_the_place_of_the_text(
    enter: Callable[..., Awaitable[Visitor]], writer: Writer
) -> None:
    member = await enter(writer, viewport=PHONE, is_mobile=True, has_touch=True)
    await member.go("/blog/write")
    await member.field("Text").fill("**seen**")
    await member.button("Preview").tap()
    await expect(member.page.locator(".preview strong")).to_be_visible()
    await expect(member.field("Text")).to_be_hidden()
    await member.button("Preview").tap()
    await expect(member.field("Text")).to_be_visible()


async def test_code_can_be_copied(enter: Callable[..., Awaitable[Visitor]], writer: Writer) -> None:
    post = await writer.post("Copied", "```python\nanswer = 42\n```")
    reader = await enter(permissions=["clipboard-read", "clipboard-write"])
    await reader.go(f"/blog/posts/{post}")
    await reader.button("Copy").click()
    await reader.is_told("Copied")
    assert await reader.page.evaluate("navigator.clipboard.readText()") == "answer = 42"
