"""Which queries are plain enough for the short way."""

from __future__ import annotations

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blog_service.answers import entity_tags
from blog_service.front import plain_query, route_name
from blog_service.repository import ListQuery


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        (b"", ListQuery()),
        (b"limit=20", ListQuery(limit=20)),
        (b"offset=7&limit=3", ListQuery(limit=3, offset=7)),
        (b"category=tech-stack&before=9&after=1", ListQuery(category="tech-stack", before=9, after=1)),
        (b"q=a+b%20%20c", ListQuery(search="a b c")),
        (b"q=" + quote("배포").encode(), ListQuery(search="배포")),
    ],
)
def test_plain(query: bytes, meaning: ListQuery) -> None:
    assert plain_query(query) == meaning


@pytest.mark.parametrize(
    "query",
    [
        b"limit=0",
        b"limit=101",
        b"limit=-1",
        b"limit=1e1",
        b"limit=",
        b"limit=1&limit=2",
        b"offset=" + b"9" * 30,
        b"other=1",
        b"q=%00",
        b"q=%ff",
        b"q=\xff",
        b"q=" + b"a" * 101,
        b"category=" + b"a" * 81,
        b"&",
        b"q=" + b"a+" * 400,
    ],
)
def test_not_plain(query: bytes) -> None:
    assert plain_query(query) is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_encoding_is_undone(text: str) -> None:
    query = plain_query(urlencode({"category": text}).encode())
    assert query is None or query.category == text


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("*", {"*"}),
        ('"1.2"', {'"1.2"'}),
        ('W/"1.2", "3.4"', {'"1.2"', '"3.4"'}),
        ("1.2", set()),
        ("", set()),
    ],
)
def test_entity_tags(header: str, tags: set[str]) -> None:
    assert entity_tags(header) == tags


@pytest.mark.parametrize(
    ("query", "name"),
    [(b"", "/x"), (b"limit=5", "/x"), (b"q=a", "/x?q"), (b"limit=5&q=a", "/x?q"), (b"seq=a", "/x")],
)
def test_a_search_has_a_route_of_its_own_in_metrics(query: bytes, name: str) -> None:
    assert route_name("/x", {"query_string": query}) == name
