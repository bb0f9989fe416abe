"""Slugs and search words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blog_service.text import MAX_SEARCH_WORDS, search_words, slugify, squeeze


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Troubleshooting", "troubleshooting"),
        ("C", "c"),
        ("C++", "c"),
        ("  Site  Reliability ", "site-reliability"),
        ("기술 스택", "기술-스택"),
        ("ＡＢＣ", "abc"),
        ("a_b/c?d#e", "a-b-c-d-e"),
        ("+++", "category"),
        ("🙂", "category"),
        ("x" * 50, "x" * 50),
    ],
)
def test_slugify(name: str, slug: str) -> None:
    assert slugify(name) == slug


def test_a_taken_slug_gets_a_number() -> None:
    assert slugify("C++", {"c"}) == "c-2"
    assert slugify("C#", {"c", "c-2"}) == "c-3"


@given(st.text(min_size=1, max_size=50), st.sets(st.text(max_size=5), max_size=5))
def test_slugs_are_unique_and_harmless(name: str, taken: set[str]) -> None:
    slug = slugify(name, taken)
    assert slug not in taken
    assert 1 <= len(slug) <= 80
    assert not re.search(r"[\s/?#%<>\"'&]", slug)


def test_squeeze_composes_and_folds_white_space() -> None:
    assert squeeze("  a \n\t b ") == "a b"
    assert squeeze("\u1100\u1161") == "가"


def test_a_latin_word_is_found_by_its_beginning_or_its_stem() -> None:
    (word,) = search_words("Running")
    assert (word.lexemes, word.stem, word.substring) == ("'running':*", "running", "")


def test_a_korean_word_is_found_inside_others() -> None:
    (word,) = search_words("블로그")
    assert (word.lexemes, word.stem, word.substring) == ("'블로' & '로그'", "", "%블로그%")
    (single,) = search_words("글")
    assert single.lexemes == "'글':*"


def test_punctuation_is_compared_literally() -> None:
    (word,) = search_words("C++")
    assert (word.lexemes, word.substring) == ("'c':*", "%c++%")
    (word,) = search_words("100%_x")
    assert word.substring == r"%100\%\_x%"


def test_nothing_to_search_for() -> None:
    assert search_words("") == []
    assert search_words("++ -- !!") == []


def test_words_are_limited() -> None:
    assert len(search_words("a " * 50)) == MAX_SEARCH_WORDS
