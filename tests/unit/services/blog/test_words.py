"""The page's two languages."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import blog_service
from blog_service.page.words import _WORDS, WORDS, choose_language

PAGE = Path(blog_service.__file__).parent / "page"


@pytest.mark.parametrize(
    ("cookie", "accept", "language"),
    [
        (b"", b"", "en"),
        (b"", b"ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        (b"", b"en-US,en;q=0.9,ko;q=0.8", "en"),
        (b"", b"fr-FR,fr;q=0.9", "en"),
        (b"", b"fr, ko;q=0.1", "ko"),
        (b"", b"ko;q=0, en;q=0", "en"),
        (b"lang=ko", b"en", "ko"),
        (b"a=b; lang=en; c=d", b"ko", "en"),
        (b"lang=xx", b"ko", "ko"),
        (b"otherlang=en", b"ko", "ko"),
        (b"", b";;;,,,\xff\xfe" * 50, "en"),
    ],
)
def test_choose_language(cookie: bytes, accept: bytes, language: str) -> None:
    assert choose_language(cookie, accept) == language


@pytest.mark.parametrize("name", _WORDS)
def test_both_languages_say_the_same(name: str) -> None:
    korean, english = _WORDS[name]
    assert korean
    assert english
    if not name.endswith("_one"):
        assert set(re.findall(r"\{(\w+)\}", korean)) == set(re.findall(r"\{(\w+)\}", english))


def test_every_word_that_a_template_uses_is_there() -> None:
    used = set()
    for template in (PAGE / "templates").glob("*.html"):
        used |= set(re.findall(r'words(?:\.counted)?\("(\w+)"', template.read_text()))
    assert len(used) > 40
    assert used <= _WORDS.keys()


def test_scripts_have_the_same_messages_in_both_languages() -> None:
    text = (PAGE / "static/messages.js").read_text()
    korean, english = text.split("  en: {")
    names = [set(re.findall(r"^    (\w+):", part, re.MULTILINE)) for part in (korean, english)]
    assert names[0] == names[1]
    said = set()
    for script in (PAGE / "static").glob("*.js"):
        said |= set(re.findall(r'\bsay\("(\w+)"', script.read_text()))
    assert said <= names[0]


def test_dates_and_numbers() -> None:
    moment = datetime(2026, 3, 7, tzinfo=UTC)
    assert WORDS["ko"].date(moment) == "2026년 3월 7일"
    assert WORDS["en"].date(moment) == "March 7, 2026"
    assert WORDS["en"].counted("count", 1) == "1 post"
    assert WORDS["en"].counted("count", 1234) == "1,234 posts"
