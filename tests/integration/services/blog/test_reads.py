"""Reading: validators, HEAD, search, and the short way that most reads take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.services.blog.blog import Blog, Replica, User, write

if TYPE_CHECKING:
    import httpx


@pytest.fixture
async def post(client: httpx.AsyncClient, mina: User) -> dict[str, object]:
    """A post."""
    return await write(client, mina)


async def paths(post: dict[str, object]) -> list[str]:
    return [
        "/blog/api/posts?limit=5",
        f"/blog/api/posts/{post['id']}",
        "/blog/api/categories",
        f"/blog/api/posts/{post['id']}/comments",
        "/blog/",
        f"/blog/posts/{post['id']}",
        "/blog/static/app.js",
    ]


async def test_reads_have_validators(client: httpx.AsyncClient, post: dict[str, object]) -> None:
    for path in await paths(post):
        whole = await client.get(path)
        etag = whole.headers["etag"]
        for header in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            response = await client.get(path, headers={"if-none-match": header})
            assert (response.status_code, response.content) == (304, b""), path
            assert response.headers["etag"] == etag
            assert "content-length" not in response.headers or response.headers["content-length"] == "0"
        for header in ('"other"', "", etag.strip('"')):
            assert (await client.get(path, headers={"if-none-match": header})).status_code == 200


async def test_a_write_changes_the_etag(client: httpx.AsyncClient, mina: User, post: dict[str, object]) -> None:
    checked = (await paths(post))[:-1]
    before = {path: (await client.get(path)).headers["etag"] for path in checked}
    await client.patch(f"/blog/api/posts/{post['id']}", json={"title": "Other", "category_id": 2}, headers=mina.headers)
    await client.post(f"/blog/api/posts/{post['id']}/comments", json={"content": "Hm."}, headers=mina.headers)
    for path in checked:
        response = await client.get(path, headers={"if-none-match": before[path]})
        assert response.status_code == 200, path


async def test_head_is_get_without_a_body(client: httpx.AsyncClient, post: dict[str, object]) -> None:
    for path in await paths(post):
        if path.endswith("/comments"):
            continue
        whole, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b""), path
        for name in ("content-type", "content-length", "etag", "cache-control"):
            assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("쿠버네티스", {"korean"}),
        ("네티스", {"korean"}),
        ("서버", {"korean"}),
        ("서버 재시작", {"korean"}),
        ("재시작 서버", {"korean"}),
        ("서재", set()),
        ("법", {"korean"}),
        ("\u1109\u1165\u1107\u1165", {"korean"}),
        ("postgres", {"english"}),
        ("PostgreSQL", {"english"}),
        ("connection", {"english"}),
        ("connections", {"english"}),
        ("tuned", {"english"}),
        ("gresql", set()),
        ("the", {"english"}),
        ("C++", {"symbols"}),
        ("node.js", {"symbols"}),
        ("js", {"symbols"}),
        ("100%", {"symbols"}),
        ("pool 서버", set()),
        ("zzznothing", set()),
        ("!!!", set()),
        ("'; DROP TABLE blog.posts --", set()),
        ("a & b | !c:*", set()),
        ("\\", set()),
        ("' \" <->", set()),
    ],
)
async def test_search(client: httpx.AsyncClient, search_posts: dict[int, str], search: str, found: set[str]) -> None:
    response = await client.get("/blog/api/posts", params={"q": search, "limit": 100, "category": "searched"})
    assert response.status_code == 200, response.text
    assert {search_posts[item["id"]] for item in response.json()} == found
    assert response.headers["x-total-count"] == str(len(found))


@pytest.fixture(scope="session")
async def search_posts(replica: Replica, blog: Blog) -> dict[int, str]:
    """Posts to be found, by id."""
    author = blog.issuer.user()
    texts = {
        "korean": ("쿠버네티스에서", "서버를 재시작하는 방법을 적습니다."),
        "english": ("Tuning PostgreSQL", "How the pool keeps its connections warm."),
        "symbols": ("C++ or node.js?", "It is 100% a matter of taste."),
    }
    return {
        (await write(replica.client, author, title=title, content=content, category_name="Searched"))["id"]: name
        for name, (title, content) in texts.items()
    }


async def test_search_keeps_its_words_in_links(client: httpx.AsyncClient, mina: User) -> None:
    for number in range(3):
        await write(client, mina, title=f"Linked 링크 {number}")
    response = await client.get("/blog/api/posts", params={"q": "링크 & linked", "limit": 2})
    following = await client.get(response.links["next"]["url"])
    assert len(response.json() + following.json()) == 3


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(query=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
async def test_any_search_is_answered(client: httpx.AsyncClient, query: str) -> None:
    response = await client.get("/blog/api/posts", params={"q": query})
    assert response.status_code in (200, 422)


QUERIES = st.lists(
    st.tuples(
        st.sampled_from(["limit", "offset", "category", "q", "before", "after", "unknown"]),
        st.sampled_from(
            [
                "",
                "0",
                "1",
                "2",
                "20",
                "100",
                "101",
                "-1",
                "+1",
                " 1",
                "01",
                "1.0",
                "x",
                "9" * 20,
                "test",
                "%",
                "a b",
                "한글",
            ]
        ),
    ),
    max_size=4,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(query=QUERIES)
async def test_the_short_way_and_fastapi_agree(client: httpx.AsyncClient, query: list[tuple[str, str]]) -> None:
    """An unknown parameter in front sends the same query the long way."""
    short = await client.get("/blog/api/posts", params=tuple(query))
    long = await client.get("/blog/api/posts", params=[("long", "way"), *query])
    assert (short.status_code, short.json()) == (long.status_code, long.json())
    for name in ("etag", "x-total-count", "link", "content-type"):
        assert short.headers.get(name) == long.headers.get(name)


async def test_problem_details_for_who_asks(client: httpx.AsyncClient) -> None:
    response = await client.get("/blog/api/posts/999999999", headers={"accept": "application/problem+json"})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "post_not_found"


async def test_openapi_names_every_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert {path for path in document["paths"] if path.startswith("/blog")} == {
        "/blog/api/posts",
        "/blog/api/posts/{post_id}",
        "/blog/api/posts/{post_id}/comments",
        "/blog/api/posts/{post_id}/comments/{comment_id}",
        "/blog/api/categories",
        "/blog/api/drafts",
        "/blog/api/drafts/{draft_id}",
        "/blog/api/drafts/{draft_id}/publish",
        "/blog/api/preview",
    }


async def test_banner_is_shown_by_the_replica_that_has_one(blog: Blog, redis_address: tuple[str, int, str]) -> None:
    """Replicas share a cache; none shows what another one was told, and text stays text."""
    async with (
        blog.replica(redis_address) as plain,
        blog.replica(redis_address, site_banner="Back at <noon>") as told,
    ):
        for _ in range(2):
            assert 'class="banner"' not in (await plain.client.get("/blog/")).text
            assert '<p class="banner">Back at &lt;noon&gt;</p>' in (await told.client.get("/blog/")).text
