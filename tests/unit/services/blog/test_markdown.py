"""Markdown becomes HTML that is safe, whatever it says."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from blog_service import markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[click](vbscript:msgbox)",
    "![x](javascript:alert(1))",
    '![x" onerror="alert(1)](https://a.example/x.png)',
    '[a](https://a.example "x\\" onmouseover=\\"alert(1)")',
    '<https://a.example/"onmouseover=alert(1)>',
    '```"><script>alert(1)</script>\nx\n```',
    '```python" onclick="alert(1)\n<script>alert(1)</script>\n```',
    "# <iframe src=//evil.example>",
    '| <style>*{display:none}</style> |\n|--|\n| <a style="position:fixed"> |',
    "<a href='javascript:alert(1)' style='color:red' id=main>x</a>",
    "[x]: javascript:alert(1)\n[x]",
    "[click](|javascript:alert(1))",
    "[click](<java\tscript:alert(1)>)",
    "[click](<\x01 javascript:alert(1)>)",
]

# How a browser takes an address apart (WHATWG URL): white space and control characters around it do not count, nor tabs and line
# ends within; a scheme begins with a letter. What has none is relative.
_AROUND = "".join(map(chr, range(0x21)))
_WITHIN = re.compile(r"[\t\n\r]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)


class Inspector(HTMLParser):
    """Collects what a browser could act upon."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def inspect(html: str) -> Inspector:
    inspector = Inspector()
    inspector.feed(html)
    return inspector


def check_safe(html: str) -> None:
    found = inspect(html)
    assert not {"script", "style", "iframe", "svg", "object", "form", "link", "meta"} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith("on"), name
        assert name != "style"
        if name in ("href", "src"):
            scheme = _SCHEME.match(_WITHIN.sub("", value.strip(_AROUND)))
            assert not scheme or scheme[1].lower() in ("http", "https", "mailto"), value
        if name == "id":
            assert value.startswith(markdown.ID_PREFIX)


@pytest.mark.parametrize("source", ATTACKS)
def test_attacks_become_text(source: str) -> None:
    check_safe(markdown.render(source))


@settings(max_examples=300)
@given(st.lists(st.sampled_from([*ATTACKS, "\n", "> ", "- ", "`", "*", "_", "[", "](", ")", "<", ">", "|", "&", '"'])))
def test_combined_attacks_become_text(parts: list[str]) -> None:
    check_safe(markdown.render("".join(parts)))


@settings(max_examples=200)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_text_can_be_rendered(source: str) -> None:
    check_safe(markdown.render(source))
    assert "\n" not in markdown.plain(source)


def test_headings_begin_below_the_posts_title() -> None:
    assert '<h2 id="post-one">One</h2>' in markdown.render("# One")
    assert markdown.render("###### Six").startswith("<h6")


def test_code_is_highlighted_by_classes() -> None:
    html = markdown.render('```python\ndef f(): return "<b>"\n```')
    assert '<pre class="md-code" tabindex="0" data-language="python">' in html
    assert '<span class="hl-k">def</span>' in html
    assert "&lt;b&gt;" in html


@pytest.mark.parametrize("fence", ["```nosuchlanguage\n<i>\n```", "```\n<i>\n```", "    <i>"])
def test_unknown_code_is_shown_plain(fence: str) -> None:
    assert markdown.render(fence) == '<pre class="md-code" tabindex="0"><code>&lt;i&gt;\n</code></pre>\n'


def test_tables_tasks_and_strikethrough() -> None:
    html = markdown.render("| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n- [x] done\n\n~~old~~")
    assert '<div class="md-table" tabindex="0"><table>' in html
    assert '<th class="md-center">a</th>' in html
    assert '<td class="md-right">2</td>' in html
    assert '<li><label><input type="checkbox" checked="checked" disabled="disabled"> done</label></li>' in html
    assert "<s>old</s>" in html


def test_links_tell_no_one_where_they_come_from_and_images_load_late() -> None:
    html = markdown.render("[a](https://a.example) ![b](https://b.example/b.png)")
    assert 'rel="noopener nofollow ugc"' in html
    assert 'loading="lazy"' in html


def test_plain_words() -> None:
    source = "# Title\n\nSome **bold** `code` and [a link](https://a.example).\n\n```python\nhidden\n```\n- item"
    assert markdown.plain(source) == "Title Some bold code and a link. item"


@pytest.mark.parametrize("piece", ["[", "> ", "`", "![](a)", "- ", "a**b", "<", "[a](", "|a", "*a _", "\\", "&amp;"])
def test_hostile_nesting_takes_no_time(piece: str) -> None:
    # 20,000 characters are the most a post can have; the limit is generous for slow machines.
    began = time.process_time()
    check_safe(markdown.render((piece * 20000)[:20000]))
    assert time.process_time() - began < 5
